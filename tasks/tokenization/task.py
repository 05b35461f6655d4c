"""Prefect edge of tokenization."""

from data_contracts.artifacts import Encoder, TokenizedDataset, ValidatedSnapshot
from tasks.modeling.encoder import encoder_folder
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store
from tasks.tokenization.settings import Tokenization

__all__ = ["Tokenization", "tokenize"]


@cached_task("tokenization")
def tokenize(
    snapshot: ValidatedSnapshot, encoder: Encoder, settings: Tokenization, tag_columns: tuple[str, ...]
) -> TokenizedDataset:
    """Token ids of every row of every split."""
    from tasks.tokenization.encoding import encode_splits

    store = open_store()
    with store.draft() as draft:
        facts = encode_splits(
            store.directory(snapshot.digest),
            encoder_folder(encoder.name, encoder.revision),
            text_column=settings.text_column,
            tag_columns=tag_columns,
            max_tokens=settings.max_tokens,
            output=draft,
        )
        return TokenizedDataset(
            digest=store.publish(draft),
            parents=(snapshot.digest, encoder.digest),
            encoder=encoder,
            max_tokens=settings.max_tokens,
            **facts,
        )
