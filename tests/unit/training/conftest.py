"""A toy problem that two layers can learn, and a training of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.training.recipe import Recipe

CITIES = ("Oslo", "Lima", "Hue", "Cairo")
OPENINGS = ("hi", "good morning", "dear all at the shop", "hello , I wrote to you twice")
QUICK = {
    "epochs": 8,
    "rows_per_step": 8,
    "encoder_learning_rate": 5e-3,
    "head_learning_rate": 2e-2,
    "patience_epochs": 8,
    "precision": "fp32",
}


@pytest.fixture(scope="session")
def toy_heads() -> dict[str, AnyHead]:
    """A head of each kind, without dropout."""
    return {
        "intent": SingleLabelHead(column="intent", labels=("refund", "delivery"), dropout=0.0),
        "places": TokenTagHead(column="places", labels=("O", "B-PLACE", "I-PLACE"), dropout=0.0),
        "urgency": RegressionHead(column="urgency", dropout=0.0),
    }


@pytest.fixture(scope="session")
def toy_rows() -> list[dict[str, Any]]:
    """40 texts: what is wanted, a city and a haste, each told by one word, in texts of 5 to 12 words."""
    rows = []
    for number in range(40):
        wanted, urgent = number % 2, (number // 2) % 2
        words = [*OPENINGS[number % 4].split(), "money" if wanted else "parcel", "in", CITIES[(number // 4) % 4]]
        words += ["now"] * urgent + ["please"] * (number % 3)
        rows.append(
            {
                "text": " ".join(words),
                "intent": "refund" if wanted else "delivery",
                "places": {"tokens": words, "tags": ["B-PLACE" if word in CITIES else "O" for word in words]},
                "urgency": 0.9 if urgent else 0.1,
            }
        )
    return rows


@pytest.fixture
def write_splits(tiny_encoder: Path, tmp_path: Path) -> Callable[..., Path]:
    """`write_splits(name, train, validation)` gives a folder with the rows as `snapshot` and their `tokens`.

    Tokens are 24 at most a text, or what the `settings` of tokenization say.
    """

    def write(name: str, train: list[dict[str, Any]], validation: list[dict[str, Any]], **settings: Any) -> Path:
        from tasks.tokenization.encoding import encode_splits
        from tasks.tokenization.settings import Tokenization

        snapshot, tokens = tmp_path / name / "snapshot", tmp_path / name / "tokens"
        tag = pa.struct({"tokens": pa.list_(pa.string()), "tags": pa.list_(pa.string())})
        schema = pa.schema({"text": pa.string(), "intent": pa.string(), "places": tag, "urgency": pa.float64()})
        for folder in (snapshot, tokens):
            folder.mkdir(parents=True)
        for split, rows in {"train": train, "validation": validation}.items():
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), snapshot / f"{split}.parquet")
        encode_splits(
            snapshot,
            tiny_encoder,
            Tokenization.model_validate({"max_tokens": 24, **settings}),
            ("places",),
            output=tokens,
        )
        return tmp_path / name

    return write


@pytest.fixture
def toy_splits(write_splits: Callable[..., Path], toy_rows: list[dict[str, Any]]) -> Path:
    """The toy problem as snapshot and tokens; it is validated on rows it was trained on, for there are few."""
    return write_splits("toys", toy_rows, toy_rows[:12])


@pytest.fixture
def training(
    tiny_encoder: Path, toy_splits: Path, toy_heads: dict[str, AnyHead], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """`training(name, **settings)` gives the arguments of a training that works below `tmp_path / name`."""

    def arguments(
        name: str,
        splits: Path | None = None,
        heads: dict[str, AnyHead] | None = None,
        report: Callable[[float, str], None] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        folder = tmp_path / name
        (folder / "model").mkdir(parents=True, exist_ok=True)
        return {
            "snapshot": (splits or toy_splits) / "snapshot",
            "tokens": (splits or toy_splits) / "tokens",
            "encoder": tiny_encoder,
            "heads": heads or toy_heads,
            "recipe": Recipe.model_validate({**QUICK, **settings}),
            "checkpoints": folder / "checkpoints",
            "curves": folder / "curves",
            "output": folder / "model",
            **({"report": report} if report else {}),
        }

    return arguments


@pytest.fixture
def train(training: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """`train(name, **settings)` leaves `model` and `curves` below `tmp_path / name`, and gives the facts."""

    def run(name: str, **settings: Any) -> Any:
        from tasks.training.loop import fine_tune

        return fine_tune(**training(name, **settings))

    return run
