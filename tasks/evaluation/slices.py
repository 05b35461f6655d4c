"""Slices: how a task fares in groups of rows, and the gap between a group and the whole.

A slice divides rows by the value of a column that is neither a label of the pipeline nor a text, by the file that they
came from, or by how many words their texts have. A group of few rows is named but not judged.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.evaluation.clusters import Clusters, read_clusters, sums_of_clusters
from tasks.evaluation.known_labels import read_known_labels
from tasks.evaluation.policy import LENGTH, SOURCE_FILE, GatePolicy
from tasks.evaluation.resampling import DRAWS, INTERVAL, resampled_sums
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.answers import read_answers
from tasks.modeling.heads import AnyHead
from tasks.modeling.words import words_of

Groups = dict[str, NDArray[np.int64]]
ORIGIN = "_file"
NO_VALUE = "(none)"
# A column of more values names its rows rather than dividing them into groups that are compared.
MOST_GROUPS = 50
# Draws of a gap, times rows: of very many rows, whose draws vary little, fewer draws do.
MOST_COUNTS, LEAST_DRAWS = 20_000_000, 200
LEAST_ROWS = int(GatePolicy.model_fields["slice_min_rows"].default)


@dataclass(frozen=True)
class GroupScore:
    """A task's primary metric in one group of a slice; `gap` is how far it is above (or below) that of all rows.

    `low` and `high` bound the gap's 95% bootstrap interval. `judged` is False for a group of too few rows, or
    of rows of too few clusters.
    """

    task: str
    split: str
    slice: str
    group: str
    value: float
    rows: int
    gap: float
    low: float
    high: float
    judged: bool


def groups_of(
    table: pa.Table, columns: Sequence[str], text_column: str | None = None, edges: Sequence[int] = ()
) -> dict[str, Groups]:
    """{slice: {group: row positions}}; texts are divided at `edges`, in words: see `length_edges`.

    A column is left out where it holds other than words, whole numbers or yes and no, or has more than 50 values.
    """
    found = {}
    for column in columns:
        groups = _groups_of_values(table.column(column))
        if groups:
            found[SOURCE_FILE if column == ORIGIN else column] = groups
    if text_column is not None and edges:
        found[LENGTH] = _groups_of_lengths(table.column(text_column).to_pylist(), edges)
    return found


def length_edges(texts: Sequence[str | None]) -> list[int]:
    """Quartiles of the texts' lengths in words, from which on a text belongs to the next group."""
    counts = [_words_in(text) for text in texts]
    if not counts:
        return []
    return sorted({int(edge) + 1 for edge in np.quantile(counts, (0.25, 0.5, 0.75)) if edge < max(counts)})


def slice_columns(snapshot: Path, heads: Mapping[str, AnyHead], text_columns: Collection[str]) -> list[str]:
    """Columns of the in-domain rows that divide them: none of the heads', no text, nor what a row is called."""
    taken = {head.column for head in heads.values()} | set(text_columns)
    names = pq.read_schema(snapshot / f"{IN_DOMAIN}.parquet").names
    return [name for name in names if name not in taken and (name == ORIGIN or not name.startswith("_"))]


def snapshot_groups(
    snapshot: Path, split: str, heads: Mapping[str, AnyHead], text_columns: Sequence[str]
) -> dict[str, Groups]:
    """Every slice of a split; lengths are divided as those of the in-domain texts are, so that splits compare."""
    columns = slice_columns(snapshot, heads, text_columns)
    edges: list[int] = []
    first = text_columns[0] if text_columns else None
    if first is not None:
        inside = pq.read_table(snapshot / f"{IN_DOMAIN}.parquet", columns=[first])
        edges = length_edges(inside.column(first).to_pylist())
    table = pq.read_table(snapshot / f"{split}.parquet")
    return groups_of(table, [name for name in columns if name in table.column_names], first, edges)


def score_slices(
    snapshot: Path,
    answers: Path,
    heads: Mapping[str, AnyHead],
    splits: Sequence[str],
    text_columns: Sequence[str],
    min_rows: int = LEAST_ROWS,
    group_column: str | None = None,
) -> list[GroupScore]:
    """Every task in every group of every slice of these splits, where the slice has two groups or more.

    For an interval, rows with the same value of `group_column` are drawn together.
    """
    found = []
    for split in splits:
        groups = snapshot_groups(snapshot, split, heads, text_columns)
        labels, answered = read_known_labels(snapshot, split, heads), read_answers(answers / f"{split}.parquet", heads)
        clusters = read_clusters(snapshot, split, group_column)
        for task, head in heads.items():
            known = np.array([row for row, label in enumerate(labels[task]) if label is not None], dtype=np.int64)
            if not len(known):
                continue
            given, wanted = [answered.answers[task][row] for row in known], [labels[task][row] for row in known]
            statistics = head.statistics(given, wanted)
            of_known = None if clusters is None else clusters[known]
            for name, of_slice in groups.items():
                members = {group: np.isin(known, rows) for group, rows in of_slice.items()}
                present = {group: of for group, of in members.items() if of.any()}
                if len(present) > 1:
                    found += _score_groups(task, split, name, head, statistics, present, min_rows, of_known)
    return found


def worst_groups(found: Sequence[GroupScore]) -> list[GroupScore]:
    """Of every task, split and slice the judged group of the lowest value."""
    worst: dict[tuple[str, str, str], GroupScore] = {}
    for score in found:
        key = score.task, score.split, score.slice
        if score.judged and (key not in worst or score.value < worst[key].value):
            worst[key] = score
    return list(worst.values())


def write_slices(path: Path, found: Sequence[GroupScore]) -> None:
    """Writes the groups' scores as JSON."""
    path.write_text(json.dumps([asdict(score) for score in found], indent=1), encoding="utf-8")


def read_slices(path: Path) -> list[GroupScore]:
    """What `write_slices` wrote."""
    return [GroupScore(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _groups_of_values(column: pa.ChunkedArray) -> Groups:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    words = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (words or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return {}
    values = [NO_VALUE if value is None else str(value) for value in column.to_pylist()]
    names = sorted(set(values))
    if len(names) > MOST_GROUPS:
        return {}
    held = np.array(values, dtype=object)
    return {name: np.flatnonzero(held == name) for name in names}


def _groups_of_lengths(texts: Sequence[str | None], edges: Sequence[int]) -> Groups:
    counts = np.array([_words_in(text) for text in texts], dtype=np.int64)
    bounds = [0, *edges]
    names = [f"{low} to {high - 1} words" for low, high in zip(bounds, edges, strict=False)]
    names.append(f"{bounds[-1]} words or more")
    group = np.searchsorted(edges, counts, side="right")
    return {name: np.flatnonzero(group == number) for number, name in enumerate(names) if (group == number).any()}


def _words_in(text: str | None) -> int:
    return sum(word[0].isalnum() for word in words_of(text or ""))


def _score_groups(
    task: str,
    split: str,
    name: str,
    head: AnyHead,
    statistics: NDArray[np.float64],
    members: Mapping[str, NDArray[np.bool_]],
    min_rows: int,
    clusters: Clusters | None,
) -> list[GroupScore]:
    width = statistics.shape[1]
    # The rows of the whole and of each group side by side, so that a draw takes the same for all of them; then which
    # rows are of which group.
    inside = np.stack(list(members.values()), axis=1).astype(float)
    table = np.concatenate([statistics, *(statistics * of[:, None] for of in inside.T), inside], axis=1)
    whole, units = table.sum(axis=0)[None], sums_of_clusters(table, clusters)
    sums = resampled_sums(units, min(DRAWS, max(LEAST_DRAWS, MOST_COUNTS // len(units))))
    starts = range(0, width * (1 + len(members)), width)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [head.score_of_sums(sums[:, at : at + width]) for at in starts]
    values = [float(head.score_of_sums(whole[:, at : at + width])[0]) for at in starts]
    found = []
    for number, (group, of) in enumerate(members.items(), start=1):
        # A draw that takes no row of a small group says nothing of it.
        there = sums[:, starts.stop + number - 1] > 0
        low, high = np.quantile((drawn[number] - drawn[0])[there], INTERVAL)
        rows, gap = int(of.sum()), values[number] - values[0]
        limits, units_of = (float(low), float(high)), rows if clusters is None else len(np.unique(clusters[of]))
        found.append(GroupScore(task, split, name, group, values[number], rows, gap, *limits, units_of >= min_rows))
    return found
