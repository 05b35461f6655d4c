"""`graft shadow` and `graft ab`: a challenger beside the champion, compared on production rows."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.options import DEBUG, PIPELINE
from flows.terminal import failures, show_rows

if TYPE_CHECKING:
    from data_contracts.artifacts import ModelVersion
    from flows.pipeline import Pipeline

ALPHA = Annotated[
    float, typer.Option(help="Chance of naming a better one where there is none, over all looks.", min=1e-6, max=0.5)
]


def shadow(
    pipeline: PIPELINE = "support",
    differences: Annotated[
        str | None, typer.Option(help="JSON Lines file to write the rows to that the two answer otherwise.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Such a file with labels filled in: which of the two is right more often?")
    ] = None,
    alpha: ALPHA = 0.05,
    debug: DEBUG = False,
) -> None:
    """Compare the challenger, which answered unseen, with the champion (`serving: {shadow: true}`).

    Label as many of the differing rows as you like, and look as often as you like: the test allows for it.
    """
    with failures(debug):
        from tasks.shadow.task import read_label_tests, read_shadow_notes, write_differences

        plan, champion, challenger = _both_of(pipeline)
        batches = read_shadow_notes(plan.name, champion.version, challenger.version)
        print(f"{plan.name}: champion {champion.version}, challenger {challenger.version}, {len(batches)} batch(es)")
        rows = [[b, of.task, str(of.rows), of.in_words] for b, (_, found) in sorted(batches.items()) for of in found]
        nothing = f"No batch was answered by both yet. Set serving.shadow in it, and `graft predict {plan.name}`."
        show_rows(("batch", "task", "rows", "agreement"), rows, nothing)
        answers = {batch: of for batch, (of, _) in batches.items()}
        if differences is not None:
            count = write_differences(answers, champion.model, plan.tokenization.columns, differences)
            print(f"{count} texts that they answer otherwise are in {differences}: fill in labels, then --labels")
        if labels is not None:
            _show_tests(read_label_tests(answers, champion.model, plan.tokenization.columns, labels), alpha)


def ab(
    outcomes: Annotated[str, typer.Option(help="JSON Lines file of answered rows with their labels or outcomes.")],
    pipeline: PIPELINE = "support",
    success: Annotated[
        str | None, typer.Option(help="Column of true and false, or 1 and 0: whether the answer served its purpose.")
    ] = None,
    alpha: ALPHA = 0.05,
    debug: DEBUG = False,
) -> None:
    """Compare the challenger with the champion on the rows that each served (`serving: {challenger_share, key}`).

    Rows are those of `graft predict`, in the order of time, with labels, or with a column of outcomes, added. Of each
    key the first row with an outcome counts. Look as often as you like: the test allows for it.
    """
    with failures(debug):
        from data_contracts.errors import InputError
        from tasks.shadow.task import read_outcome_tests

        plan, champion, challenger = _both_of(pipeline)
        if not plan.serving.challenger_share:
            raise InputError(f"pipeline {plan.name} has serving.challenger_share 0, so the challenger serves no row.")
        _show_tests(read_outcome_tests(outcomes, champion, challenger, plan.serving, success), alpha)


def _both_of(pipeline: str) -> "tuple[Pipeline, ModelVersion, ModelVersion]":
    from data_contracts.errors import InputError
    from flows.pipeline import open_pipeline
    from tasks.registry.task_versions import open_registry

    plan = open_pipeline(pipeline)
    registry = open_registry(plan.name)
    champion, challenger = registry.champion(), registry.challenger()
    if champion is None or challenger is None:
        raise InputError(
            f"pipeline {plan.name} has no {'champion' if champion is None else 'challenger'}, so there is nothing to "
            f"compare. `graft models {plan.name}` lists its versions."
        )
    return plan, champion, challenger


def _show_tests(tests: dict[str, Any], alpha: float) -> None:
    rows = [[task, found.in_words, found.verdict(alpha)] for task, found in tests.items()]
    show_rows(
        ("task", "so far", f"the challenger is (alpha {alpha:g})"), rows, "No row has a label that tells them apart."
    )
