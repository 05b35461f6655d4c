"""Drift through a real server and worker: a decision, an event, the server's trigger, a retraining.

These run last, since a retraining changes what the next run learns from.
"""

import json
import os
import re
import signal
import time

import yaml

from data_contracts.drift import Decided, DriftDecision, Finished
from tasks.drift.ledger import DriftLedger
from tasks.drift.task_retraining import EVENT
from tasks.storage.store import Store
from tests.flows.conftest import PIPELINE, Outcome, Shop, wait_for

RETRAIN_SECONDS = 900
QUIET_SECONDS = 15
SENT_AGAIN = 5


def test_a_quiet_window_starts_nothing_and_a_harmful_one_starts_exactly_one_retraining(
    shop: Shop, services: Outcome
) -> None:
    ledger = ledger_of(shop, "shop")
    quiet = shop.graft("watch", shop.pipeline, "--window", "week_1")
    assert quiet.code == 0, quiet.text
    assert "QUIET" in quiet.text
    bad = shop.graft("watch", shop.pipeline, "--window", "week_4")
    assert "BAD_DATA" in bad.text, bad.text
    time.sleep(QUIET_SECONDS)
    assert shop.runs_of("retrain") == []
    # Replayed, the windows are what they were found to be, the third is what it will be, and nothing comes of it.
    replayed = shop.graft("backtest", shop.pipeline, "--output", "replayed.html")
    assert replayed.code == 0, replayed.text
    harmful_unknown_benign_bad_quiet = re.search(r"^ *shop((?: +\d+){5})", replayed.text, flags=re.MULTILINE)
    assert harmful_unknown_benign_bad_quiet, replayed.text
    assert harmful_unknown_benign_bad_quiet[1].split() == ["1", "0", "0", "1", "1"]
    assert "week_2" in (shop.folder / "replayed.html").read_text(encoding="utf-8")
    assert replayed.text.count("predict_rows: running") == 1
    assert kinds(ledger) == ["decided", "decided"]

    harmful = shop.graft("watch", shop.pipeline, "--window", "week_2")
    assert harmful.code == 0, harmful.text
    assert "HARMFUL" in harmful.text
    decision = decisions(ledger)[-1]
    assert (decision.window, decision.verdict, decision.retrain) == ("week_2", "HARMFUL", True)
    for _ in range(SENT_AGAIN):
        shop.send_event(EVENT, "graft.pipeline.shop", decision.model_dump(mode="json"))
    end = end_of(ledger)
    assert (end.verdict != "FAILED", end.version) == (True, 2)

    runs = wait_for(
        lambda: [r for r in shop.runs_of("retrain") if r["state"]["type"] == "COMPLETED"],
        lambda found: len(found) == 1 + SENT_AGAIN,
        "a completed run for each event",
    )
    assert {run["created_by"]["type"] for run in runs} == {"AUTOMATION"}
    assert {run["parameters"]["drift"]["window"] for run in runs} == {"week_2"}
    sent = [r for r in shop.runs_of("fine-tune") if r["deployment_id"]]
    assert [r["work_pool_name"] for r in sent] == ["gpu"]
    assert kinds(ledger) == ["decided"] * 3 + ["announced", "taken_up", "finished"]
    # The rows labelled since are trained on, and a part of them is held out to judge the new model.
    artifacts = shop.api("artifacts/latest/filter", {"artifacts": {"key": {"any_": ["shop-results"]}}})
    assert "fresh_week_2" in str(artifacts[0]["data"])
    assert artifacts[0]["description"].startswith("Version 2")

    # The window is held against the new version's reference where that was promoted, and against the old one's if not.
    again = shop.graft("watch", shop.pipeline, "--window", "week_2")
    assert again.code == 0, again.text
    assert decisions(ledger)[-1].model_version == (2 if end.verdict == "PROMOTE" else 1)
    assert kinds(ledger).count("announced") == 1
    told = shop.graft("drift", shop.pipeline)
    assert f"{end.verdict}, version 2" in told.text, told.text
    time.sleep(QUIET_SECONDS)
    assert len([r for r in shop.runs_of("fine-tune") if r["deployment_id"]]) == 1


def test_an_event_that_a_killed_server_never_got_is_delivered_once_when_there_is_one_again(
    shop: Shop, services: Outcome
) -> None:
    pipeline = pipeline_like(shop, "again")
    first = shop.graft("run", pipeline)
    assert first.code == 0, first.text
    notes = shop.home / "store" / "notes" / "drift" / "again"
    # A minute for each request, which Prefect's client would ask a dead server for, is not what is tested.
    watch = shop.start("watch", pipeline, "--window", "week_2", PREFECT_CLIENT_MAX_RETRIES="1")
    while not list(notes.glob("*.json")):
        assert watch.poll() is None, watch.communicate()[0]
        time.sleep(0.005)
    # It holds still while the server dies, so that nothing comes between the decision and that.
    os.killpg(watch.pid, signal.SIGSTOP)
    server = json.loads((shop.home / "services" / "services.json").read_text(encoding="utf-8"))["server"]
    os.killpg(server["pid"], signal.SIGKILL)
    os.killpg(watch.pid, signal.SIGCONT)
    said, _ = watch.communicate(timeout=600)
    assert watch.returncode != 0, said
    ledger = ledger_of(shop, "again")
    assert kinds(ledger) == ["decided"]
    assert decisions(ledger)[0].retrain, decisions(ledger)[0].reasons

    up = shop.graft("up", "--port", str(shop.port))
    assert up.code == 0, up.text
    done = shop.graft("reconcile", pipeline)
    assert done.code == 0, done.text
    assert "announced" in kinds(ledger)
    assert end_of(ledger).verdict != "FAILED"
    assert "nothing to do" in shop.graft("reconcile", pipeline).text
    assert kinds(ledger) == ["decided", "announced", "taken_up", "finished"]
    runs = [run for run in shop.runs_of("retrain") if run["parameters"]["drift"]["pipeline"] == pipeline]
    assert [run["created_by"]["type"] for run in runs] == ["AUTOMATION"]


def pipeline_like(shop: Shop, name: str) -> str:
    """A pipeline of that name on the shop's data: what the shop trained is not trained again."""
    content = json.loads(json.dumps(PIPELINE).replace('"data/', '"../data/')) | {"name": name}
    path = shop.folder / name / f"{name}.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def ledger_of(shop: Shop, name: str) -> DriftLedger:
    return DriftLedger(Store(str(shop.home / "store"), cache=shop.home / "fetched"), name)


def kinds(ledger: DriftLedger) -> list[str]:
    return [entry.happening.kind for entry in ledger.entries()]


def decisions(ledger: DriftLedger) -> list[DriftDecision]:
    return [e.happening.decision for e in ledger.entries() if isinstance(e.happening, Decided)]


def end_of(ledger: DriftLedger) -> Finished:
    """The end of the one retraining of a ledger, once it has come."""
    ends = wait_for(
        lambda: [e.happening for e in ledger.entries() if isinstance(e.happening, Finished)], bool, "an end"
    )
    found: Finished = ends[0]
    return found
