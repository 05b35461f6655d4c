"""Prefect edge of tokenization."""

from data_contracts.artifacts import Encoder, TokenizedDataset, TrainedModel, ValidatedSnapshot
from tasks.modeling.encoder import encoder_folder
from tasks.modeling.limits import limit_of
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store
from tasks.tokenization.settings import Tokenization

__all__ = ["Tokenization", "tokenization_of", "tokenize"]


@cached_task("tokenization")
def tokenize(
    snapshot: ValidatedSnapshot,
    encoder: Encoder,
    settings: Tokenization,
    tag_columns: tuple[str, ...],
    answer_columns: tuple[str, ...] = (),
) -> TokenizedDataset:
    """Token ids of every row of every split."""
    from tasks.tokenization.encoding import encode_splits

    store = open_store()
    with store.draft() as draft:
        facts = encode_splits(
            store.directory(snapshot.digest),
            encoder_folder(encoder.name, encoder.revision),
            settings,
            tag_columns,
            output=draft,
            answers=bool(answer_columns),
        )
        return TokenizedDataset(
            digest=store.publish(draft),
            parents=(snapshot.digest, encoder.digest),
            encoder=encoder,
            max_tokens=settings.max_tokens,
            cleaning=snapshot.cleaning,
            pair_column=settings.pair_column,
            **facts,
        )


def tokenization_of(model: TrainedModel, text_column: str) -> Tokenization:
    """The settings by which that model reads texts, which may be others than those of today's pipeline."""
    limit = limit_of(open_store().directory(model.digest))
    return Tokenization(text_column=text_column, pair_column=model.pair_column, **limit.model_dump())
