"""What held-out rows look like through a model, kept with it: later windows are held against this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.errors import InputError
from data_contracts.splits import FRESH, TEST, VALIDATION
from tasks.drift.novelty import beside, nearest_rows
from tasks.drift.quality import TextFacts, text_facts
from tasks.drift.seen import OfTask, Seen, rights, see
from tasks.modeling.answers import read_answers, read_labels
from tasks.modeling.heads import AnyHead
from tasks.modeling.tokens import TextEncoder

FILE = "reference.npz"
HELD_OUT = (VALIDATION, TEST)
# More rows would make every window slower and hardly sharper: a window is far smaller.
MOST_ROWS = 20_000
SEED = 20_266


@dataclass(frozen=True)
class Frozen:
    """The held-out rows, each text once: as the model sees them, and what their texts are like.

    Which rows repeat a text is known of all held-out rows, those left out among them.
    """

    seen: Seen
    texts: TextFacts


def freeze_reference(
    snapshot: Path,
    answers: Path,
    heads: Mapping[str, AnyHead],
    encoder: TextEncoder,
    columns: Sequence[str],
    output: Path,
) -> int:
    """Writes the reference from the held-out rows in domain; returns how many there are.

    `columns` are those of the texts. Of very many rows MOST_ROWS are drawn at random.
    """
    parts, facts = [], []
    before: set[tuple[str | None, ...]] = set()
    for split in held_out(sorted(path.stem for path in answers.glob("*.parquet"))):
        labels = read_labels(snapshot, split, heads)
        found = read_answers(answers / f"{split}.parquet", heads).answers
        seen = see(answers, split, heads)
        tasks = {t: replace(of, right=rights(heads[t], found[t], labels[t])) for t, of in seen.tasks.items()}
        parts.append(Seen(seen.embeddings, tasks))
        facts.append(text_facts(snapshot, split, columns, encoder, before))
    together, texts = _concatenated(parts), _concatenated_facts(facts)
    once = np.flatnonzero(~texts.repeated & together.finite)
    if len(once) > MOST_ROWS:
        once = np.sort(np.random.default_rng(SEED).choice(once, MOST_ROWS, replace=False))
    write_frozen(_frozen(together.at(once), replace(texts.at(once), repeated=texts.repeated)), output)
    return len(once)


def held_out(splits: Sequence[str]) -> list[str]:
    """Those in domain that training does not see. What was labelled since belongs to it, or it would stay news."""
    return [split for split in splits if split in HELD_OUT or split.startswith(FRESH)]


def write_frozen(frozen: Frozen, output: Path) -> None:
    """Writes a reference as `read_reference` reads it."""
    seen, texts = frozen.seen, frozen.texts
    arrays: dict[str, Any] = {
        "embeddings": seen.embeddings,
        "distances": seen.distances,
        "nearest": seen.nearest,
        "tokens": texts.tokens,
        "unknown": texts.unknown,
        "repeated": texts.repeated,
    }
    for task, of in seen.tasks.items():
        arrays[f"confidence/{task}"] = of.confidences
        if of.right is not None:
            arrays[f"right/{task}"] = of.right
        if of.shares is not None:
            arrays[f"shares/{task}"] = of.shares
    np.savez(output / FILE, **arrays)


def extend_reference(reference: Frozen, windows: Sequence[tuple[Seen, TextFacts]]) -> Frozen:
    """The reference with the rows of some windows in it, each text once, whose answers nobody has judged."""
    parts, facts = [reference.seen], [reference.texts]
    for seen, texts in windows:
        once = np.flatnonzero(seen.finite & ~texts.repeated)
        rows = seen.at(once)
        unjudged = {task: replace(of, right=np.full(len(once), np.nan)) for task, of in rows.tasks.items()}
        parts.append(Seen(rows.embeddings, {task: unjudged[task] for task in reference.seen.tasks}))
        facts.append(replace(texts.at(once), repeated=texts.repeated))
    return _frozen(_concatenated(parts), _concatenated_facts(facts))


def read_reference(folder: Path) -> Frozen:
    """What was written. A task none of whose rows has a label has no `right`.

    Raises InputError for a reference of before there were distances.
    """
    with np.load(folder / FILE, allow_pickle=False) as arrays:
        there = {name: arrays[name] for name in arrays.files}
    if "distances" not in there:
        raise InputError(
            f"the reference in {folder} was kept by an earlier graft and lacks what windows are compared by now. "
            "Run the pipeline once more, `graft run`, which keeps a new one with the next version."
        )
    tasks = {}
    for name, confidences in there.items():
        kind, _, task = name.partition("/")
        if kind == "confidence":
            right = there.get(f"right/{task}")
            known = right is not None and not np.isnan(right).all()
            tasks[task] = OfTask(confidences, there.get(f"shares/{task}"), right if known else None)
    texts, embeddings = TextFacts(there["tokens"], there["unknown"], there["repeated"]), there["embeddings"]
    # What was kept before it held them is found out again.
    nearest = there["nearest"] if "nearest" in there else nearest_rows(embeddings, embeddings, own=True)[1]
    return Frozen(Seen(embeddings, tasks, there["distances"], nearest), texts)


def _frozen(seen: Seen, texts: TextFacts) -> Frozen:
    return Frozen(beside(seen, seen), texts)


def _concatenated_facts(parts: Sequence[TextFacts]) -> TextFacts:
    return TextFacts(*(np.concatenate([getattr(f, name) for f in parts]) for name in ("tokens", "unknown", "repeated")))


def _concatenated(parts: Sequence[Seen]) -> Seen:
    tasks = {}
    for task in parts[0].tasks:
        of = [part.tasks[task] for part in parts]
        shares, right = ([getattr(o, name) for o in of] for name in ("shares", "right"))
        tasks[task] = OfTask(
            np.concatenate([o.confidences for o in of]),
            None if any(part is None for part in shares) else np.concatenate(shares),
            None if any(part is None for part in right) else np.concatenate(right),
        )
    return Seen(np.concatenate([part.embeddings for part in parts]), tasks)
