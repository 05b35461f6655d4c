"""What reconcile and the watchdog make of a real server: runs that are over, fell silent or go on, and bad events."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from data_contracts.drift import Decided, Finished, TakenUp
from flows.processes import ROOT, RUN_OF_A_WORKER
from tasks.drift.ledger import DriftLedger
from tasks.drift.task_retraining import HEARTBEAT
from tasks.storage.store import Store
from tests.flows.conftest import Outcome, Shop, wait_for
from tests.unit.drift.ledgers import judged

SECONDS = 120


def run_in_state(shop: Shop, state: str, heartbeat: timedelta | None = None) -> str:
    """Id of a flow run in that state, which sent its last heartbeat so long ago, if it ever did."""
    flow = shop.api("flows/", {"name": "stand-in"})["id"]
    run: str = shop.api("flow_runs/", {"flow_id": flow, "state": {"type": state}})["id"]
    if heartbeat is not None:
        resource = f"prefect.flow-run.{run}"
        shop.send_event(HEARTBEAT, resource, {}, datetime.now(UTC) - heartbeat)
        # Events are written to the server's database in batches.
        wanted = {"filter": {"event": {"name": [HEARTBEAT]}, "resource": {"id": [resource]}}}
        wait_for(lambda: shop.api("events/filter", wanted)["total"], bool, "written", SECONDS)
    return run


def test_a_retraining_is_closed_where_its_run_is_over_gone_or_silent_and_let_be_where_it_may_go_on(
    shop: Shop, services: Outcome
) -> None:
    ledger = DriftLedger(Store(str(shop.home / "store"), cache=shop.home / "fetched"), "stand-in")
    runs = {
        "gone": str(uuid4()),
        "crashed": run_in_state(shop, "CRASHED"),
        "cancelled": run_in_state(shop, "CANCELLED"),
        "silent": run_in_state(shop, "RUNNING", timedelta(hours=1)),
        "alive": run_in_state(shop, "RUNNING", timedelta(minutes=4)),
        "without heartbeats": run_in_state(shop, "RUNNING"),
        "waiting": run_in_state(shop, "SCHEDULED"),
    }
    for window, run in runs.items():
        # Nobody could start it: there is no such pipeline.
        decision = judged(window, retrain=True, pipeline="nowhere")
        keys = {"window_digest": decision.window_digest, "model_version": 1}
        for happening in (Decided(decision=decision), TakenUp(window=window, flow_run=run, **keys)):
            ledger.append(lambda _, happening=happening: happening, datetime.now(UTC))
    done = shop.graft("reconcile")
    assert done.code == 0, done.text
    ends = [e.happening for e in ledger.entries() if isinstance(e.happening, Finished)]
    assert {(end.flow_run, end.verdict) for end in ends} == {
        (runs[window], "FAILED") for window in ("gone", "crashed", "cancelled", "silent")
    }
    assert "has been silent for 60 minutes" in done.text
    kept = len(list((shop.home / "prefect" / "results").iterdir()))
    again = shop.graft("reconcile")
    assert "nothing to do" in again.text
    assert len(list((shop.home / "prefect" / "results").iterdir())) == kept
    assert len([e for e in ledger.entries() if isinstance(e.happening, Finished)]) == 4
    for window in ("alive", "without heartbeats", "waiting"):
        decision = judged(window, retrain=True)
        keys = {"window_digest": decision.window_digest, "model_version": 1}
        end = Finished(flow_run=runs[window], verdict="FAILED", hours=0, **keys)
        ledger.append(lambda _, end=end: end, datetime.now(UTC))


def test_a_ledger_that_cannot_be_read_keeps_no_other_from_being_mended(shop: Shop, services: Outcome) -> None:
    store = Store(str(shop.home / "store"), cache=shop.home / "fetched")
    # Before the other by its name, and without its first note.
    store.create_note("drift/a-broken-one/000002", {})
    ledger, decision = DriftLedger(store, "stand-in-2"), judged("week_2", retrain=True, pipeline="nowhere")
    keys = {"window_digest": decision.window_digest, "model_version": 1}
    for happening in (Decided(decision=decision), TakenUp(window="week_2", flow_run=str(uuid4()), **keys)):
        ledger.append(lambda _, happening=happening: happening, datetime.now(UTC))
    done = shop.graft("reconcile")
    (shop.home / "store" / "notes" / "drift" / "a-broken-one" / "000002.json").unlink()
    assert done.code == 2, done.text
    assert "note drift/a-broken-one/000001 of the drift ledger was deleted" in done.text
    assert [e.happening.kind for e in ledger.entries()] == ["decided", "taken_up", "finished"]


def test_an_event_that_can_start_nothing_is_reported_with_what_to_do(shop: Shop, services: Outcome) -> None:
    shop.send_event("graft.drift.confirmed", "graft.pipeline.shop", {"window": "a decision without the rest"})
    runs = wait_for(
        lambda: shop.runs_of("report-failed-action"),
        lambda found: bool(found) and found[0]["state"]["type"] == "COMPLETED",
        "reported",
        SECONDS,
    )
    (artifact,) = shop.api("artifacts/latest/filter", {"artifacts": {"key": {"any_": ["failed-actions"]}}})
    assert "'retrain on confirmed drift' could not act" in artifact["description"]
    assert "'pipeline' is a required property" in artifact["description"]
    assert "graft reconcile" in artifact["data"]
    # A worker sends its log in batches, the last ones after the run.
    wanted = {"logs": {"flow_run_id": {"any_": [runs[0]["id"]]}, "level": {"ge_": 40}}}
    errors = wait_for(lambda: shop.api("logs/filter", wanted), bool, "the error in the log")
    assert "could not act" in errors[0]["message"]
    assert len(shop.runs_of("report-failed-action")) == 1


def test_runs_of_workers_whose_process_is_gone_are_closed_with_their_parts_and_no_others(
    shop: Shop, services: Outcome
) -> None:
    of_workers = {d["name"]: d["id"] for d in shop.api("deployments/filter", {})}
    flow = shop.api("flows/", {"name": "stand-in"})["id"]

    def run(state: str, process: int | None, deployment: str | None, parent: str | None = None) -> str:
        about = {"flow_id": flow, "deployment_id": deployment, "state": {"type": state}}
        if parent is not None:
            stands_for = {"flow_run_id": parent, "task_key": "part", "dynamic_key": "0"}
            about["parent_task_run_id"] = shop.api("task_runs/", stands_for)["id"]
        found: str = shop.api("flow_runs/", about)["id"]
        shop.api(f"flow_runs/{found}", {"infrastructure_pid": process and str(process)}, "PATCH")
        return found

    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = [run(state, gone.pid, of_workers["fine-tune"]) for state in ("RUNNING", "PENDING")]
    dead.append(run("PENDING", None, of_workers["fine-tune"]))
    # A release that waits for a person.
    dead.append(run("RUNNING", None, None, parent=dead[0]))
    dead.append(run("PAUSED", None, None, parent=dead[-1]))
    # A process that has the number of one from before a reboot.
    dead.append(run("RUNNING", os.getpid(), of_workers["fine-tune"]))
    others = [
        run("RUNNING", None, of_workers["fine-tune"]),
        run("SCHEDULED", None, of_workers["fine-tune"]),
        run("COMPLETED", gone.pid, of_workers["fine-tune"]),
        run("RUNNING", None, None),
    ]
    alive = subprocess.Popen(["sleep", "600"], env={**os.environ, RUN_OF_A_WORKER: others[0]})
    shop.api(f"flow_runs/{others[0]}", {"infrastructure_pid": str(alive.pid)}, "PATCH")
    close = "from flows.dead_runs import close_dead_runs; print(*close_dead_runs('the power failed'))"
    server = {"PREFECT_API_URL": f"http://127.0.0.1:{shop.port}/api", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", close], env=shop.environment | server, check=True, timeout=SECONDS)
    alive.kill()
    states = {r["id"]: r["state"] for r in shop.runs_of("stand-in")}
    assert [(states[of]["type"], states[of]["message"]) for of in dead] == [("CRASHED", "the power failed")] * len(dead)
    assert [states[of]["type"] for of in others] == ["RUNNING", "SCHEDULED", "COMPLETED", "RUNNING"]
    for of in others[:2]:
        shop.api(f"flow_runs/{of}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
