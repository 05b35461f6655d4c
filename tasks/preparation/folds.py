"""Folds: every row in domain judged once, by a model that has not seen it."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.splits import OWN_SPLITS, TEST, TRAIN, VALIDATION
from data_contracts.texts import words_alone


def cut_folds(
    snapshot: Path, fold: int, folds: int, columns: tuple[str, ...], strata: str | None, seed: int, output: Path
) -> dict[str, int]:
    """Writes the snapshot with its in-domain rows divided anew; returns the rows of each split.

    Of `folds` parts one is `test`, the next one `validation`, the rest `train`; over all values of `fold` every row is
    tested once. Rows whose words are the same in `columns` (texts, or what groups rows) stay together, and each part
    has about the same share of every value of `strata`. Raises InputError where there are fewer such groups than folds.
    """
    tables = [pq.read_table(path) for split in OWN_SPLITS if (path := snapshot / f"{split}.parquet").is_file()]
    rows = pa.concat_tables(tables, promote_options="default")
    parts = _parts(rows, folds, columns, strata, seed)
    own = {TEST: parts == fold, VALIDATION: parts == (fold + 1) % folds}
    own[TRAIN] = ~(own[TEST] | own[VALIDATION])
    shutil.copytree(
        snapshot,
        output,
        ignore=shutil.ignore_patterns(*(f"{split}.parquet" for split in OWN_SPLITS)),
        dirs_exist_ok=True,
    )
    for split, chosen in own.items():
        pq.write_table(rows.filter(pa.array(chosen)), output / f"{split}.parquet")
    return {path.stem: pq.read_metadata(path).num_rows for path in sorted(output.glob("*.parquet"))}


def _parts(rows: pa.Table, folds: int, columns: tuple[str, ...], strata: str | None, seed: int) -> NDArray[np.int64]:
    """(rows,) the part of each, from 0 on."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups = _groups(rows, columns)
    if (there := len(np.unique(groups))) < folds:
        raise InputError(
            f"{folds} folds need as many different values of {', '.join(columns)}, and rows in domain hold {there}; "
            "ask for fewer folds, or add rows"
        )
    labels = np.zeros(len(groups), dtype=int)
    if strata is not None:
        labels = np.unique([str(value) for value in rows.column(strata).to_pylist()], return_inverse=True)[1]
    found = np.zeros(len(groups), dtype=int)
    divided = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(groups, labels, groups)
    for part, (_, chosen) in enumerate(divided):
        found[chosen] = part
    return found


def _groups(rows: pa.Table, columns: tuple[str, ...]) -> NDArray[np.int64]:
    """(rows,) a number for the values of those columns, of texts by their words alone."""
    values = []
    for name in columns:
        column = rows.column(name).combine_chunks()
        values.append(
            pc.fill_null(words_alone(column) if pa.types.is_string(column.type) else column.cast("string"), "")
        )
    keys = pc.binary_join_element_wise(*values, "\0") if len(values) > 1 else values[0]
    return np.asarray(pc.rank(keys, tiebreaker="dense"))
