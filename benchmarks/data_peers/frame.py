"""The same checks written straight on one pandas frame, by Great Expectations or by pandera, then the same tokens.

What people write without graft: everything in memory, one step after the other. The checks are called through each
library's own interface and every broken row is named, as a quarantine needs it.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data_peers.task import DAMAGE, LABELS, LONGEST, MAX_TOKENS, SHARES, SHORTEST, WORD
from benchmarks.measuring import report

Frame = Any


def main(rows: Path, folder: Path, library: str) -> None:
    """Reads, checks with `library` ("great_expectations" or "pandera"), divides, tokenizes, and reports."""
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    frame = pd.read_json(rows, lines=True, dtype={"text": str, "label": str, "customer": str, "score": float})
    seconds["read and divide"] = time.perf_counter() - started
    started = time.perf_counter()
    check = _checker(library)
    seconds["import the library"] = time.perf_counter() - started
    started = time.perf_counter()
    broken = check(frame)
    frame = frame[~broken]
    seconds["check"] = time.perf_counter() - started
    started = time.perf_counter()
    places = np.random.default_rng(0).random(len(frame))
    ends = np.cumsum([SHARES["test"], SHARES["validation"]])
    names = np.where(places < ends[0], "test", np.where(places < ends[1], "validation", "train"))
    seconds["read and divide"] += time.perf_counter() - started
    started = time.perf_counter()
    words = frame["text"].str.lower().str.replace(r"[^\w]+", " ", regex=True).str.strip()
    leaks = (names == "train") & words.isin(words[names != "train"]).to_numpy()
    frame, names = frame[~leaks], names[~leaks]
    for split in ("train", "validation", "test"):
        frame[names == split].to_parquet(folder / f"{split}.parquet")
    seconds["check"] += time.perf_counter() - started
    seconds["tokenize"] = _tokenize(frame, names, folder)
    report(seconds, {split: int((names == split).sum()) for split in ("train", "validation", "test")})


def _checker(library: str) -> Any:
    return _great_expectations() if library == "great_expectations" else _pandera()


def _great_expectations() -> Any:
    import great_expectations as gx
    import great_expectations.expectations as gxe

    context = gx.get_context(mode="ephemeral")
    definition = (
        context.data_sources.add_pandas("rows").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("rows")
    )
    suite = gx.ExpectationSuite(
        name="rows",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="text"),
            gxe.ExpectColumnValueLengthsToBeBetween(column="text", min_value=SHORTEST, max_value=LONGEST),
            gxe.ExpectColumnValuesToMatchRegex(column="text", regex=WORD),
            gxe.ExpectColumnValuesToNotMatchRegex(column="text", regex=DAMAGE),
            gxe.ExpectColumnValuesToNotBeNull(column="label"),
            gxe.ExpectColumnValuesToBeInSet(column="label", value_set=LABELS),
            gxe.ExpectColumnValuesToNotBeNull(column="score"),
            gxe.ExpectColumnValuesToBeBetween(column="score", min_value=0, max_value=1),
        ],
    )

    def check(frame: Frame) -> Any:
        batch = definition.get_batch(batch_parameters={"dataframe": frame.assign(_row=range(len(frame)))})
        wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": ["_row"]}
        broken = np.zeros(len(frame), dtype=bool)
        for result in batch.validate(suite, result_format=wanted).results:
            broken[[entry["_row"] for entry in result.result.get("unexpected_index_list") or []]] = True
        return broken

    return check


def _pandera() -> Any:
    import pandera.pandas as pandera

    length = pandera.Check.str_length(SHORTEST, LONGEST)
    text = [length, pandera.Check.str_contains(WORD), pandera.Check.str_matches(f"^(?!.*{DAMAGE})")]
    schema = pandera.DataFrameSchema(
        {
            "text": pandera.Column(str, text, nullable=False),
            "label": pandera.Column(str, pandera.Check.isin(LABELS), nullable=False),
            "score": pandera.Column(float, pandera.Check.in_range(0, 1), nullable=False),
        }
    )

    def check(frame: Frame) -> Any:
        broken = np.zeros(len(frame), dtype=bool)
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as error:
            cases = error.failure_cases["index"].dropna().astype(int).to_numpy()
            broken[cases] = True
        return broken

    return check


def _tokenize(frame: Frame, names: Any, folder: Path) -> float:
    """Seconds that it took, without what graft's settings take to import."""
    from tokenizers import Tokenizer

    from tasks.modeling.encoder import EncoderSettings, encoder_folder

    encoder = encoder_folder(EncoderSettings().name, None)
    started = time.perf_counter()
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    for split in ("train", "validation", "test"):
        encoded = tokenizer.encode_batch_fast(frame["text"][names == split].tolist())
        ids = pa.array([one.ids for one in encoded], type=pa.list_(pa.int32()))
        pq.write_table(pa.table({"input_ids": ids}), folder / f"{split}-tokens.parquet")
    return time.perf_counter() - started


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
