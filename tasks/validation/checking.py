"""The gate: the rows of a snapshot divided by their contract into accepted and quarantined, batch by batch."""

import functools
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from data_contracts.artifacts import SourceFile
from data_contracts.dataset import DatasetContract
from tasks.validation.across import check_across
from tasks.validation.checks import QUARANTINE, QUARANTINED, Checks, Finding, write_checks
from tasks.validation.masking import mask_table
from tasks.validation.rows import RowChecks, table_batches
from tasks.validation.totals import Totals

Addresses = Mapping[str, str]


def check_snapshot(snapshot: Path, files: Sequence[SourceFile], contract: DatasetContract, output: Path) -> Checks:
    """Writes the accepted rows of every split, the quarantine and `checks.json`, whose content is returned.

    A line of `quarantine.jsonl` is a broken rule: {id, split, address, row, column, rule, value}; a row that breaks two
    has two lines. `quarantined.jsonl` has a line a row with its `content`, as an owner may mend it.
    """
    addresses = {file.sha256: file.address for file in files}
    since = {file.sha256 for file in files if file.labelled_since}
    splits = {path.stem: path for path in sorted(snapshot.glob("*.parquet"))}
    broken = {name: np.zeros(pq.read_metadata(path).num_rows, dtype=bool) for name, path in splits.items()}
    row_checks, totals = RowChecks(contract), Totals(contract)
    with (
        (output / QUARANTINE).open("w", encoding="utf-8") as quarantine,
        (output / QUARANTINED).open("w", encoding="utf-8") as rows,
        tempfile.TemporaryDirectory() as scratch,
    ):
        write = functools.partial(_write_findings, addresses=addresses, log=quarantine)
        unread = _take_over_problems(snapshot / "problems.jsonl", addresses, quarantine, rows)
        for name, path in tqdm(splits.items(), desc="checking", unit="split", disable=None, leave=False):
            write({**finding, "split": name} for finding in row_checks.check(path, broken[name]))
        across = check_across(splits, contract, broken, Path(scratch), write, since)
        for name, path in splits.items():
            accepted = _divide(path, broken[name], contract, output, totals)
            _write_rows(accepted, name, addresses, rows)
    names = sorted({*splits, *unread})
    checks = Checks(
        contract=contract.rules_digest,
        rows={name: int((~broken[name]).sum()) for name in splits},
        quarantined={name: unread.get(name, 0) + int(broken[name].sum() if name in splits else 0) for name in names},
        failures=(*row_checks.failures, *across.failures, *totals.failures()),
        rules=(*row_checks.results, *across.results),
        **totals.facts(),
    )
    write_checks(output, checks)
    return checks


def _take_over_problems(path: Path, addresses: Addresses, quarantine: TextIO, rows: TextIO) -> dict[str, int]:
    """Rows that could not be read, by split, with their lines in the quarantine."""
    findings: Counter[tuple[Any, ...]] = Counter()
    known: Counter[tuple[Any, ...]] = Counter()
    lost: Counter[str] = Counter()
    with path.open(encoding="utf-8") as lines:
        for problem in map(json.loads, lines):
            content = problem.pop("content")
            _write_findings([problem], addresses, quarantine)
            row = problem["split"], problem["file"], problem["row"]
            findings[*row, problem["column"]] += 1
            # A row has one problem a column: what comes up again is the same row of another file with the same bytes.
            if findings[*row, problem["column"]] > known[row]:
                known[row] += 1
                lost[problem["split"]] += 1
                _write_rows([{**problem, "content": content}], problem["split"], addresses, rows)
    return lost


def _divide(
    path: Path, broken: NDArray[np.bool_], contract: DatasetContract, output: Path, totals: Totals
) -> Iterator[dict[str, Any]]:
    """Writes the accepted rows of a split, and gives the others."""
    start = 0
    with pq.ParquetWriter(output / path.name, pq.read_schema(path)) as writer:
        for table in table_batches(path):
            out = broken[start : start + table.num_rows]
            start += table.num_rows
            kept, masked = mask_table(table.filter(pa.array(~out)) if out.any() else table, contract)
            totals.add(path.stem, kept, masked)
            writer.write_table(kept)
            for row in table.filter(pa.array(out)).to_pylist() if out.any() else []:
                origin = {"id": row.pop("_id"), "file": row.pop("_file"), "row": row.pop("_row")}
                yield {**origin, "content": row}


def _write_findings(findings: Iterable[Finding], addresses: Addresses, log: TextIO) -> None:
    for finding in findings:
        line = {**finding, "address": addresses.get(finding["file"], finding["file"])}
        log.write(
            json.dumps(
                {key: line[key] for key in ("id", "split", "address", "row", "column", "rule", "value")},
                ensure_ascii=False,
                default=str,
            )
            + "\n"
        )


def _write_rows(rows: Iterable[dict[str, Any]], split: str, addresses: Addresses, log: TextIO) -> None:
    for row in rows:
        line = {
            "id": row["id"],
            "split": split,
            "address": addresses.get(row["file"], row["file"]),
            "row": row["row"],
            "content": row["content"],
        }
        log.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
