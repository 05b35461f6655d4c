"""Prefect edge of modeling."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    Encoder,
    Predictions,
    TokenizedDataset,
    TrainedModel,
    ValidatedSnapshot,
)
from data_contracts.splits import TRAIN
from tasks.modeling.encoder import EncoderSettings, encoder_digest, encoder_folder
from tasks.modeling.heads import answer_columns, heads_of, tag_columns
from tasks.modeling.row_files import ReadRows
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store

__all__ = [
    "answer_columns",
    "answer_columns_of",
    "answer_file",
    "answer_once",
    "locate_encoder",
    "predict_rows",
    "tag_columns",
    "tag_columns_of",
]


@task(cache_policy=NO_CACHE)
def locate_encoder(settings: EncoderSettings) -> Encoder:
    """The encoder's files, fetched where they are remote, under the digest of their content."""
    folder = encoder_folder(settings.name, settings.revision)
    return Encoder(digest=encoder_digest(folder), name=settings.name, revision=settings.revision)


def tag_columns_of(model: TrainedModel) -> tuple[str, ...]:
    """Columns whose words the model's heads tag, which may be others than those of today's pipeline."""
    return tag_columns(heads_of(open_store().directory(model.digest)))


def answer_columns_of(model: TrainedModel) -> tuple[str, ...]:
    """Columns whose answers the model's heads find in a text."""
    return answer_columns(heads_of(open_store().directory(model.digest)))


@cached_task("modeling")
def predict_rows(model: TrainedModel, snapshot: ValidatedSnapshot, tokens: TokenizedDataset) -> Predictions:
    """The model's answers for every split it was not trained on, and for a sample of that one."""
    from tasks.modeling.predicting import predict_splits

    store = open_store()
    with store.draft() as draft:
        rows = predict_splits(
            store.directory(model.digest),
            store.directory(snapshot.digest),
            store.directory(tokens.digest),
            [split for split in tokens.rows if split != TRAIN],
            output=draft,
            sampled=[split for split in tokens.rows if split == TRAIN],
        )
        parents = (model.digest, tokens.digest)
        return Predictions(digest=store.publish(draft), parents=parents, model=model.digest, rows=rows)


@task(cache_policy=NO_CACHE)
def answer_file(
    model: TrainedModel, input_path: str, output_path: str, text_column: str, read: ReadRows | None = None
) -> int:
    """Rows of a file, as JSON Lines with the model's answers added; returns how many there were."""
    from tasks.modeling.answering import answer_rows

    folder = open_store().directory(model.digest)
    return answer_rows(folder, input_path, output_path, text_column, model.cleaning, model.pair_column, read)


def answer_once(model: Path, snapshot: str, tokens: str, output: Path) -> None:
    """A model folder's answers for every split but training, beside any run, as `predict_rows` gives them."""
    from tasks.modeling.predicting import predict_splits

    rows, encoded = (open_store().directory(digest) for digest in (snapshot, tokens))
    splits = sorted(path.stem for path in encoded.glob("*.parquet") if path.stem != TRAIN)
    predict_splits(model, rows, encoded, splits, output)
