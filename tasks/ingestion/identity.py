"""Ids of rows, from their content alone: a row keeps its id when its file grows, moves or is written otherwise."""

import hashlib
import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

ID_BYTES = 12
BETWEEN, ABSENT = "\x1f", "\x00"


def row_ids(table: pa.Table) -> list[str]:
    """24 hexadecimal digits a row: BLAKE2b over its typed values. Rows of the same content have the same id."""
    digits = b"".join([blake2b(text, digest_size=ID_BYTES).digest() for text in _contents(table)]).hex()
    return [digits[start : start + 2 * ID_BYTES] for start in range(0, len(digits), 2 * ID_BYTES)]


def row_places(table: pa.Table, seed: int) -> NDArray[np.float64]:
    """(rows,) in [0, 1), evenly spread and the same for the same values and seed."""
    salt = str(seed).encode()
    digests = b"".join([blake2b(text, digest_size=8, salt=salt).digest() for text in _contents(table)])
    # The 53 bits that a float holds to the bit.
    return (np.frombuffer(digests, dtype=">u8") >> np.uint64(11)).astype(np.float64) / 2.0**53


def raw_id(row: Mapping[str, Any] | str) -> str:
    """The id of a row that has no typed values, from what stands in the file."""
    content = json.dumps(row, sort_keys=True, default=str, ensure_ascii=True).encode()
    return blake2b(content, digest_size=ID_BYTES).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(table: pa.Table) -> list[bytes]:
    """For each row bytes that no row of other values has."""
    parts = [_as_text(column.combine_chunks()) for column in table.columns]
    whole = pc.binary_join_element_wise(*parts, BETWEEN, null_handling="replace", null_replacement=ABSENT)
    contents: list[bytes] = whole.cast(pa.binary()).to_pylist()
    return contents


def _as_text(values: pa.Array) -> pa.Array:
    """Text by which values are told apart; lengths stand before texts, so no two rows run together to the same."""
    if pa.types.is_string(values.type):
        return pc.binary_join_element_wise(pc.cast(pc.binary_length(values), pa.string()), values, ":")
    if pa.types.is_struct(values.type):
        fields = [pc.fill_null(_as_text(part), ABSENT) for part in values.flatten()]
        joined = pc.binary_join_element_wise(*fields, BETWEEN)
        return pc.if_else(values.is_valid(), joined, None)
    if pa.types.is_list(values.type):
        lengths = pc.fill_null(pc.list_value_length(values), 0)
        starts = pa.concat_arrays([pa.array([0], type=pa.int32()), pc.cumulative_sum(lengths)])
        items = pa.ListArray.from_arrays(starts, _as_text(values.flatten()))
        joined = pc.binary_join_element_wise(pc.cast(lengths, pa.string()), pc.binary_join(items, ","), "|")
        return pc.if_else(values.is_valid(), joined, None)
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return values.cast(pa.string())
