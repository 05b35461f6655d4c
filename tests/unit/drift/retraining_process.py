"""What a flow run does with the event of a decision, many at once, in a process of its own."""

import threading
from pathlib import Path
from typing import Any

from tasks.drift.delivery import claim_event, take_up_retraining
from tasks.drift.ledger import DriftLedger
from tasks.storage.store import Store
from tests.unit.drift.ledgers import day, judged


def deliver_at_once(root: str, cache: Path, threads: int, name: str, together: Any, answers: Any) -> None:
    """As many flow runs as there are threads take up the retraining for week_2; answers which of them retrain."""
    started: list[str] = []

    def one_run(number: int) -> None:
        ledger = DriftLedger(Store(root, cache=cache), "support")
        if take_up_retraining(ledger, judged("week_2"), f"{name}-{number}", day(1)):
            started.append(f"{name}-{number}")

    runs = [threading.Thread(target=one_run, args=(number,)) for number in range(threads)]
    together.wait(60)
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    answers.put(started)


def claim_at_once(root: str, cache: Path, together: Any, answers: Any) -> None:
    """A reconcile of its own; answers whether it is to send the event."""
    ledger = DriftLedger(Store(root, cache=cache), "support")
    together.wait(60)
    answers.put(claim_event(ledger, judged("week_2"), day(1)))
