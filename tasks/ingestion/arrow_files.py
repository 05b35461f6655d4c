"""Rows of Parquet and Arrow files: columns stay the Arrow arrays that they are on disk."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_contracts.errors import InputError
from tasks.ingestion.addresses import WEB, file_system, full_address, matching_files, readable_read_errors
from tasks.ingestion.rows import BYTES_A_BATCH, ROWS_A_BATCH, RawRows
from tasks.ingestion.values import are_in_calendar

FILE_MAGIC = b"ARROW1"
# What ends a stream of record batches: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
STREAM_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
ENDINGS = (".arrow", ".feather")


def parquet_batches(file: Path, path: str) -> Iterator[RawRows]:
    """Rows of a Parquet file. Raises InputError where it is damaged or cut off."""
    with _whole(path, "Parquet"), pq.ParquetFile(file, buffer_size=BYTES_A_BATCH // 16) as parquet:
        facts = parquet.metadata
        size = sum(facts.row_group(n).total_byte_size for n in range(facts.num_row_groups))
        batches = parquet.iter_batches(batch_size=_rows_at_once(facts.num_rows, size))
        # A text that recurs counts once in `size`, and is there each time from here on.
        yield from _numbered((part for batch in batches for part in _parts(batch)), parquet.schema_arrow, path)


def arrow_batches(file: Path, path: str) -> Iterator[RawRows]:
    """Rows of an Arrow file, in the file or the stream format. Raises InputError where it is damaged or cut off."""
    with _whole(path, "Arrow"), pa.memory_map(str(file)) as source:
        if source.read(len(FILE_MAGIC)) == FILE_MAGIC:
            opened = pa.ipc.open_file(source)
            batches = (opened.get_batch(n) for n in range(opened.num_record_batches))
        else:
            _refuse_open_end(source)
            source.seek(0)
            opened = pa.ipc.open_stream(source)
            batches = iter(opened)
        yield from _numbered((part for batch in batches for part in _parts(batch)), opened.schema, path)


def arrow_shards(path: str) -> list[str]:
    """Addresses of the Arrow files at `path`: of a folder those of its dataset, else as `matching_files` has it.

    Raises InputError where the folder holds several splits, or nothing.
    """
    files, inner = file_system(path)
    with readable_read_errors(path):
        if path.startswith(WEB) or not files.isdir(inner):
            return matching_files(path)
        names = sorted(str(name) for name in files.ls(inner, detail=False))
        held = {name.rpartition("/")[2]: name for name in names}
        if "dataset_dict.json" in held:
            splits = json.loads(files.cat_file(held["dataset_dict.json"]))["splits"]
            raise InputError(f"{path} holds the splits {', '.join(splits)}. Name one: {path.rstrip('/')}/{splits[0]}")
        found = [name for name in held if name.endswith(ENDINGS)]
        if "state.json" in held:
            # Beside a dataset's own files lie those that a later `map` keeps.
            found = [file["filename"] for file in json.loads(files.cat_file(held["state.json"]))["_data_files"]]
    if not found or any(name not in held for name in found):
        lacking = ", ".join(name for name in found if name not in held) or "files that end with .arrow or .feather"
        raise InputError(f"{path} lacks {lacking}. Save the dataset again, or name the folder that holds them.")
    return sorted(full_address(files, held[name]) for name in found)


def _numbered(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: str) -> Iterator[RawRows]:
    if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise InputError(f"{path} has the column(s) {', '.join(map(repr, twice))} twice. Rename one in the file.")
    classes = _class_names(schema)
    first = 1
    for batch in batches:
        if batch.num_rows:
            # Reading does not look at offsets and letters, and a damaged one would end the process.
            batch.validate(full=True)
            columns = dict(zip(schema.names, map(_plain, batch.columns), strict=True))
            named = {name: _named(columns[name], names) for name, names in classes.items() if name in columns}
            yield RawRows(range(first, first + batch.num_rows), {**columns, **named})
            first += batch.num_rows


@contextmanager
def _whole(path: str, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a whole {kind} file: {reason}. Copy it again.") from error


def _refuse_open_end(source: Any) -> None:
    """A stream that is cut off between two batches reads as a shorter one."""
    source.seek(max(source.size() - len(STREAM_END), 0))
    if source.read() != STREAM_END:
        raise ValueError("the mark at its end is missing")


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    step = _rows_at_once(batch.num_rows, batch.nbytes)
    return (batch.slice(start, step) for start in range(0, batch.num_rows, step))


def _rows_at_once(rows: int, size: int) -> int:
    return max(1, min(ROWS_A_BATCH, rows * BYTES_A_BATCH // max(size, 1)))


def _plain(array: pa.Array) -> pa.Array:
    """The array in a type that columns of contracts have, where there is one: dates begin at midnight in UTC.

    Moments that Python has no value for are written out, as are all of their batch.
    """
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    if pa.types.is_decimal(array.type):
        return _cast(array, pa.int64() if array.type.scale == 0 else pa.float64())
    if not (pa.types.is_date(array.type) or pa.types.is_timestamp(array.type)):
        return array
    if not are_in_calendar(array):
        return array.cast(pa.string())
    return array.cast(pa.timestamp("us", getattr(array.type, "tz", None)), safe=False)


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:
        # More digits than that type holds: each value is looked at, and is a mistake of its row.
        return array


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the classes that `datasets` stores as numbers, by column; they stand in the schema's metadata."""
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = metadata.get("info", {}).get("features", {})
    inner = {name: feature.get("feature", feature) for name, feature in features.items() if isinstance(feature, dict)}
    return {
        name: feature["names"]
        for name, feature in inner.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def _named(array: pa.Array, names: list[str]) -> pa.Array:
    """Class names in place of class numbers, in a list too; a negative number says that there is no label."""
    if pa.types.is_integer(array.type):
        return pa.array(names, pa.string()).take(pc.if_else(pc.less(array, 0), None, array))
    if not pa.types.is_nested(array.type):
        return array
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, _named(array.flatten(), names), mask=array.is_null())
