"""Mends what was lost between the drift ledger and the server: events that did not arrive, retrainings that died."""

from prefect import State, flow

from flows.pipeline import find_pipeline, load_pipeline
from tasks.drift.task_retraining import REDELIVER_MINUTES, close_lost, deliver_again, find_ledgers


# Nothing of it is kept: it runs 50,000 times a year.
@flow
def reconcile(
    pipeline: str | None = None, redeliver_minutes: float = REDELIVER_MINUTES, dry_run: bool = False
) -> list[str]:
    """Close retrainings whose flow run is over, and send the events of decisions that nobody took up.

    Running it again, or twice at once, changes nothing: each step is an entry of the ledger, written once.

    Args:
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file; without it, all that have a ledger.
        redeliver_minutes: An event is sent again after so long, and then after twice as long each time, up to a day.
        dry_run: Say what would be done, and do nothing.
    """
    names = (load_pipeline(pipeline).name,) if pipeline else find_ledgers()
    # A ledger that cannot be read, which fails in the end, keeps nobody from mending the others.
    mended = [state for name in names for state in _reconcile_one(name, redeliver_minutes, dry_run)]
    return [line for state in mended for line in state.result()]


def _reconcile_one(name: str, redeliver_minutes: float, dry_run: bool) -> tuple[State[list[str]], State[list[str]]]:
    return (
        close_lost(name, dry_run, return_state=True),
        deliver_again(name, find_pipeline(name), redeliver_minutes, dry_run, return_state=True),
    )
