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
COLOURS = ("red", "green", "blue", "black")
NUMBERS = ("two", "five", "nine", "ten")
QUESTIONS = ("which colour ?", "how many , please ?")
QUICK = {
    "epochs": 8,
    "rows_per_step": 8,
    "encoder_learning_rate": 5e-3,
    "head_learning_rate": 2e-2,
    "patience_epochs": 8,
    "precision": "fp32",
    # What it draws depends on the cut into micro-batches and processes, of which many tests see that nothing else does.
    "encoder_dropout": 0.0,
    # So that the weights are those of the best epoch.
    "pretrained_share": 0.0,
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


@pytest.fixture(scope="session")
def pair_rows() -> list[dict[str, Any]]:
    """64 questions for a colour or a number, each with a context that names it or not, whatever of the other; and 16
    texts without a context, of which the mood alone is known."""
    rows = []
    for number in range(64):
        asked, case = number % 2, number // 2 % 4
        kinds = [COLOURS[number // 8 % 4], NUMBERS[(number // 8 + number // 16) % 4]]
        answer = kinds[asked] if case < 2 else ""
        if case:
            kinds[1 - asked if case == 1 else asked] = "some"
        words = ["we", "sent", kinds[0], "lamps", "in", kinds[1], "boxes"]
        if number // 16 % 2:
            words = ["your", kinds[1], "parcels", "hold", "lamps", "of", kinds[0], "glass"]
        context = " ".join(["well ,"] * (number // 32) + words)
        given = [answer] if answer else []
        rows.append(
            {
                "text": QUESTIONS[asked],
                "context": context,
                "holds": "yes" if answer else "no",
                "fits": 0.9 if answer else 0.1,
                "answer": {"text": given, "start": [context.index(text) for text in given]},
            }
        )
    for number in range(16):
        text = f"{'thanks' if number % 2 else 'awful'} , that was {NUMBERS[number // 2 % 4]}"
        rows.append({"text": text, "mood": "glad" if number % 2 else "angry"})
    return [{"_id": str(number), **row} for number, row in enumerate(rows)]


@pytest.fixture
def write_pairs(tiny_encoder: Path, tmp_path: Path) -> Callable[..., Path]:
    """`write_pairs(name, rows, **settings)` gives a folder with the rows as `snapshot`, in each split, and their
    `tokens`."""

    def write(name: str, rows: list[dict[str, Any]], **settings: Any) -> Path:
        from tasks.tokenization.encoding import encode_splits
        from tasks.tokenization.settings import Tokenization

        snapshot, tokens = tmp_path / name / "snapshot", tmp_path / name / "tokens"
        answers = pa.struct({"text": pa.list_(pa.string()), "start": pa.list_(pa.int64())})
        texts = dict.fromkeys(("_id", "text", "context", "holds", "mood"), pa.string())
        schema = pa.schema(texts | {"fits": pa.float64(), "answer": answers})
        for folder in (snapshot, tokens):
            folder.mkdir(parents=True)
        for split in ("train", "validation", "test"):
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), snapshot / f"{split}.parquet")
        chosen = Tokenization.model_validate({"max_tokens": 32, "pair_column": "context", **settings})
        encode_splits(snapshot, tiny_encoder, chosen, (), output=tokens, answers=True)
        return tmp_path / name

    return write


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
