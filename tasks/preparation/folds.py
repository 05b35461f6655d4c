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
    snapshot: Path,
    fold: int,
    folds: int,
    texts: tuple[str, ...],
    group_column: str | None,
    strata: str | None,
    seed: int,
    output: Path,
) -> dict[str, int]:
    """Writes the snapshot with its in-domain rows divided anew; returns the rows of each split.

    Of `folds` parts one is `test`, the next one `validation`, the rest `train`; over all values of `fold` every row is
    tested once. Rows of one group stay together, those without a group where the words of their `texts` are the same,
    and each part has about the same share of every value of `strata`. Raises InputError where there are fewer such
    groups than folds.
    """
    tables = [pq.read_table(path) for split in OWN_SPLITS if (path := snapshot / f"{split}.parquet").is_file()]
    rows = pa.concat_tables(tables, promote_options="default")
    parts = _parts(rows, folds, texts, group_column, strata, seed)
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


def _parts(
    rows: pa.Table, folds: int, texts: tuple[str, ...], group_column: str | None, strata: str | None, seed: int
) -> NDArray[np.int64]:
    """(rows,) the part of each, from 0 on."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups = _groups(rows, texts, group_column)
    if (there := len(np.unique(groups))) < folds:
        values = group_column or ", ".join(texts)
        raise InputError(
            f"{folds} folds need as many different values of {values}, and rows in domain hold {there}; ask for fewer "
            "folds, or add rows"
        )
    labels = np.zeros(len(groups), dtype=int)
    if strata is not None:
        labels = np.unique([str(value) for value in rows.column(strata).to_pylist()], return_inverse=True)[1]
    found = np.zeros(len(groups), dtype=int)
    divided = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(groups, labels, groups)
    for part, (_, chosen) in enumerate(divided):
        found[chosen] = part
    return found


def _groups(rows: pa.Table, texts: tuple[str, ...], group_column: str | None) -> NDArray[np.int64]:
    """(rows,) a number for each group, and, of rows without one, for the words of their texts."""
    keys = pc.binary_join_element_wise(*(pc.fill_null(_words(rows, name), "") for name in texts), "", "\0")
    if group_column is not None:
        # Behind the words of texts stands one \0 at least, behind a group none.
        keys = pc.coalesce(_words(rows, group_column), keys)
    return np.asarray(pc.rank(keys, tiebreaker="dense"))


def _words(rows: pa.Table, name: str) -> pa.Array:
    column = rows.column(name).combine_chunks()
    return words_alone(column) if pa.types.is_string(column.type) else column.cast("string")
