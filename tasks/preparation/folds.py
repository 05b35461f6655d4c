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
from tasks.preparation.settings import Folding


def cut_folds(snapshot: Path, fold: int, folding: Folding, output: Path) -> dict[str, int]:
    """Writes the snapshot with its in-domain rows divided anew; returns the rows of each split.

    Of the parts one is `test`, the next one `validation`, the rest `train`; over all values of `fold` every row is
    tested once. Raises InputError where there are fewer groups than folds.
    """
    tables = [pq.read_table(path) for split in OWN_SPLITS if (path := snapshot / f"{split}.parquet").is_file()]
    rows = pa.concat_tables(tables, promote_options="default")
    parts = _parts(rows, folding)
    own = {TEST: parts == fold, VALIDATION: parts == (fold + 1) % folding.folds}
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


def _parts(rows: pa.Table, folding: Folding) -> NDArray[np.int64]:
    """(rows,) the part of each, from 0 on."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups, folds = _groups(rows, folding), folding.folds
    if (there := len(np.unique(groups))) < folds:
        values = folding.group_column or ", ".join(folding.texts)
        raise InputError(
            f"{folds} folds need as many different values of {values}, and rows in domain hold {there}; ask for fewer "
            "folds, or add rows"
        )
    labels = np.zeros(len(groups), dtype=int)
    if folding.strata is not None:
        labels = np.unique([str(value) for value in rows.column(folding.strata).to_pylist()], return_inverse=True)[1]
    found = np.zeros(len(groups), dtype=int)
    divided = StratifiedGroupKFold(folds, shuffle=True, random_state=folding.seed).split(groups, labels, groups)
    for part, (_, chosen) in enumerate(divided):
        found[chosen] = part
    return found


def _groups(rows: pa.Table, folding: Folding) -> NDArray[np.int64]:
    """(rows,) a number for each group, and, of rows without one, for the words of their texts."""
    keys = pc.binary_join_element_wise(*(pc.fill_null(_words(rows, name), "") for name in folding.texts), "", "\0")
    if folding.group_column is not None:
        # Behind the words of texts stands one \0 at least, behind a group none.
        keys = pc.coalesce(_words(rows, folding.group_column), keys)
    return np.asarray(pc.rank(keys, tiebreaker="dense"))


def _words(rows: pa.Table, name: str) -> pa.Array:
    column = rows.column(name).combine_chunks()
    return words_alone(column) if pa.types.is_string(column.type) else column.cast("string")
