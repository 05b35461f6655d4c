"""Two versions over the same texts: one that each row is served by, and both for a comparison that nobody sees."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.cleaning import Cleaning
from tasks.modeling.answering import answer
from tasks.modeling.answers import write_answers
from tasks.modeling.row_files import ReadRows, check_folder, read_rows, write_rows
from tasks.shadow.serving import CHALLENGER, CHAMPION, Serving, is_served_by_challenger

ROLES = (CHAMPION, CHALLENGER)


@dataclass(frozen=True)
class Version:
    """A version of the model: its number, its folder, and how texts are cleaned for it."""

    number: int
    folder: Path
    cleaning: Cleaning
    pair_column: str | None


def answer_twice(
    champion: Version,
    challenger: Version,
    input_path: str,
    output_path: str,
    text_column: str,
    serving: Serving,
    trial: str,
    output: Path,
    read: ReadRows | None = None,
) -> tuple[int, int]:
    """Writes the rows as `answer_rows` does, answered by the version that serves each; returns rows, and challenger's.

    Where the challenger serves any, rows say by which version they were answered, as `served_by`. With `shadow`,
    `output` receives what a comparison needs and nobody else sees: `rows.jsonl`, and `champion.parquet` and
    `challenger.parquet`, the answers of each to all rows. Raises InputError naming file and line.
    """
    check_folder(output_path)
    rows = read_rows(input_path, text_column, champion.pair_column or challenger.pair_column, read)
    of_challenger = {
        number
        for number, row in rows.items()
        if is_served_by_challenger(row, f"{input_path}, line {number}", serving, trial)
    }
    own = {CHAMPION: rows.keys() - of_challenger, CHALLENGER: of_challenger}
    seen: dict[str, dict[int, dict[str, Any]]] = {}
    for role, version in zip(ROLES, (champion, challenger), strict=True):
        asked = {number: row for number, row in rows.items() if serving.shadow or number in own[role]}
        if not asked:
            continue
        found = answer(version.folder, asked, input_path, text_column, version.cleaning, version.pair_column)
        seen[role] = dict(zip(asked, found.seen, strict=True))
        if serving.shadow:
            write_answers(output / f"{role}.parquet", [str(number) for number in asked], found.answers)
    if serving.shadow:
        _write_both(output / "rows.jsonl", rows, seen)
    by = {CHAMPION: champion.number, CHALLENGER: challenger.number}
    roles = {number: CHALLENGER if number in of_challenger else CHAMPION for number in rows}
    served = [
        row | seen[roles[number]][number] | ({"served_by": by[roles[number]]} if serving.challenger_share else {})
        for number, row in rows.items()
    ]
    write_rows(served, output_path)
    return len(rows), len(of_challenger)


def _write_both(
    path: Path, rows: Mapping[int, dict[str, Any]], seen: Mapping[str, Mapping[int, dict[str, Any]]]
) -> None:
    """Each row with what both versions say of it."""
    with path.open("w", encoding="utf-8") as file:
        for number, row in rows.items():
            both = {role: seen[role][number]["predictions"] for role in ROLES}
            file.write(json.dumps(row | both, ensure_ascii=False) + "\n")
