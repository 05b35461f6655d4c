"""Prefect edge of preparation."""

from data_contracts.artifacts import ValidatedSnapshot
from tasks.modeling.encoder import encoder_digest
from tasks.preparation.settings import Folding, Preparation
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store

__all__ = ["Folding", "Preparation", "cut_fold", "prepare", "prepared"]


def prepared(
    snapshot: ValidatedSnapshot,
    settings: Preparation,
    text_column: str,
    tag_columns: tuple[str, ...],
    pair_column: str | None = None,
    answer_columns: tuple[str, ...] = (),
) -> ValidatedSnapshot:
    """The snapshot that training sees: the same one, without a step, where the settings change nothing."""
    if settings.changes_nothing:
        return snapshot
    # What a translator writes hangs on its weights, and a folder of that name may hold others tomorrow.
    translators = {model.name: encoder_digest(model.folder()) for model in settings.translators}
    # Answers to be learnt stand in the second text where there is one, and only the first is varied.
    in_text = answer_columns if pair_column is None else ()
    return prepare(snapshot, settings, text_column, tag_columns, pair_column, in_text, translators)


@cached_task("preparation")
def cut_fold(snapshot: ValidatedSnapshot, fold: int, folding: Folding) -> ValidatedSnapshot:
    """The rows in domain divided anew: one part is the test, the next one the validation, the others train."""
    from tasks.preparation.folds import cut_folds

    store = open_store()
    with store.draft() as draft:
        rows = cut_folds(store.directory(snapshot.digest), fold, folding, output=draft)
        return snapshot.model_copy(update={"digest": store.publish(draft), "parents": (snapshot.digest,), "rows": rows})


@cached_task("preparation")
def prepare(
    snapshot: ValidatedSnapshot,
    settings: Preparation,
    text_column: str,
    tag_columns: tuple[str, ...],
    pair_column: str | None,
    answer_columns: tuple[str, ...],
    translators: dict[str, str],
) -> ValidatedSnapshot:
    """Training rows balanced and augmented, and all other splits as they are."""
    from tasks.preparation.rows import prepare_rows

    store = open_store()
    with store.draft() as draft:
        rows = prepare_rows(
            store.directory(snapshot.digest),
            settings,
            text_column=text_column,
            tag_columns=tag_columns,
            pair_column=pair_column,
            answer_columns=answer_columns,
            output=draft,
        )
        return snapshot.model_copy(update={"digest": store.publish(draft), "parents": (snapshot.digest,), "rows": rows})
