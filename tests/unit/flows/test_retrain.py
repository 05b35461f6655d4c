"""What the ledger hears of a retraining that did not come to its end."""

from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed

from data_contracts.drift import Finished
from flows.retrain import keep_failure, retrain
from tasks.drift.delivery import record_decision, take_up_retraining
from tasks.drift.governor import Governor
from tasks.drift.ledger import DriftLedger
from tasks.storage.home import open_store
from tests.unit.drift.ledgers import always, day, judged


def test_a_run_that_fails_crashes_or_is_cancelled_leaves_its_failure_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    ledger, run = DriftLedger(open_store(), "support"), uuid4()
    decision = record_decision(ledger, Governor(), always(judged("week_2")), day(0))
    take_up_retraining(ledger, decision, str(run), day(1))
    # Parameters come from the server as JSON.
    parameters = {"drift": decision.model_dump(mode="json")}
    for hooks in (retrain.on_failure_hooks, retrain.on_crashed_hooks, retrain.on_cancellation_hooks):
        assert hooks == [keep_failure]
    keep_failure(retrain, FlowRun(flow_id=uuid4(), parameters=parameters), Crashed())
    assert len(ledger.entries()) == 2
    for _ in range(2):
        keep_failure(retrain, FlowRun(id=run, flow_id=uuid4(), parameters=parameters), Crashed())
    assert len(ledger.entries()) == 3
    end = ledger.entries()[-1].happening
    assert isinstance(end, Finished)
    assert (end.verdict, end.flow_run) == ("FAILED", str(run))
