"""Prefect edge of the comparison of a challenger with the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import ModelVersion, ShadowAnswers, TrainedModel
from tasks.modeling.heads import heads_of
from tasks.modeling.row_files import ReadRows
from tasks.shadow.serving import Serving
from tasks.storage.home import open_store


@task(cache_policy=NO_CACHE)
def answer_file_twice(
    champion: ModelVersion,
    challenger: ModelVersion,
    input_path: str,
    output_path: str,
    text_column: str,
    serving: Serving,
    read: ReadRows | None = None,
) -> ShadowAnswers:
    """Rows of a file with answers of champion or challenger, whichever serves each, and both kept for a comparison."""
    from tasks.shadow.both_versions import Version, answer_twice

    store = open_store()
    first, second = (
        Version(of.version, store.directory(of.model.digest), of.model.cleaning, of.model.pair_column)
        for of in (champion, challenger)
    )
    trial = f"{champion.pipeline}/{champion.version}/{challenger.version}"
    with store.draft() as draft:
        rows, served = answer_twice(first, second, input_path, output_path, text_column, serving, trial, draft, read)
        return ShadowAnswers(
            digest=store.publish(draft),
            parents=(champion.model.digest, challenger.model.digest),
            champion=champion.version,
            challenger=challenger.version,
            rows=rows,
            served_by_challenger=served,
        )


@task(cache_policy=NO_CACHE)
def note_agreement(pipeline: str, answered: ShadowAnswers, champion: ModelVersion) -> None:
    """How far champion and challenger agree on a batch: a note for `graft shadow`, and an artifact of the run."""
    from tasks.shadow.agreement import agreement_of, agreement_page

    store = open_store()
    heads = heads_of(store.directory(champion.model.digest))
    found = agreement_of(store.directory(answered.digest), heads)
    note = {"answers": answered.model_dump(mode="json"), "agreement": [asdict(of_task) for of_task in found]}
    # A batch that is answered again by the same versions is the same note.
    store.write_note(f"{shadow_notes(pipeline, answered.champion, answered.challenger)}/{answered.digest}", note)
    create_markdown_artifact(agreement_page(pipeline, answered, found), key=f"{pipeline}-shadow")


def read_shadow_notes(pipeline: str, champion: int, challenger: int) -> dict[str, tuple[ShadowAnswers, list[Any]]]:
    """{batch: answers of both versions, and how far they agree on each task}, by the first digits of the digest."""
    from tasks.shadow.agreement import Agreement

    store = open_store()
    notes = (store.read_note(name) for name in store.note_names(shadow_notes(pipeline, champion, challenger)))
    read = ((ShadowAnswers(**note["answers"]), [Agreement(**of) for of in note["agreement"]]) for note in notes if note)
    return {answers.digest[:12]: (answers, agreement) for answers, agreement in read}


def write_differences(
    batches: Mapping[str, ShadowAnswers], champion: TrainedModel, columns: Sequence[str], path: str
) -> int:
    """Writes the rows that two versions answer otherwise to a JSON Lines file, to be labelled; returns their number.

    `columns` are those of texts: rows that are alike in them are written once.
    """
    from tasks.modeling.row_files import check_folder, write_rows
    from tasks.shadow.agreement import differing_rows

    check_folder(path)
    store = open_store()
    heads = heads_of(store.directory(champion.digest))
    rows = differing_rows({batch: store.directory(of.digest) for batch, of in batches.items()}, heads, columns)
    write_rows(rows, path)
    return len(rows)


def read_label_tests(
    batches: Mapping[str, ShadowAnswers], champion: TrainedModel, columns: Sequence[str], path: str
) -> dict[str, Any]:
    """What the labels in such a file say so far: {task: SignTest}."""
    from tasks.modeling.row_files import read_objects
    from tasks.shadow.agreement import label_tests

    store = open_store()
    heads = heads_of(store.directory(champion.digest))
    folders = {batch: store.directory(of.digest) for batch, of in batches.items()}
    return label_tests(folders, heads, columns, list(read_objects(path).values()))


def read_outcome_tests(
    path: str, champion: ModelVersion, challenger: ModelVersion, serving: Serving, success: str | None
) -> dict[str, Any]:
    """What the outcomes of rows that either version served say so far: {task or outcome: OutcomeTest}."""
    from tasks.modeling.row_files import read_objects
    from tasks.shadow.outcomes import outcome_tests

    heads = heads_of(open_store().directory(champion.model.digest))
    return outcome_tests(path, read_objects(path), heads, (champion.version, challenger.version), serving, success)


def shadow_notes(pipeline: str, champion: int, challenger: int) -> str:
    """Where the store keeps the notes of batches that both versions answered."""
    return f"shadow/{pipeline}/{champion}-{challenger}"
