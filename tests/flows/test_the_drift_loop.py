"""Drift through a real server and worker: a decision, an event, the server's trigger, a retraining.

These run last, since a retraining changes what the next run learns from.
"""

import time

import pytest

from tests.flows.conftest import Outcome, Shop

RETRAIN_SECONDS = 900
QUIET_SECONDS = 15


@pytest.mark.timeout(1800)
def test_a_quiet_window_starts_nothing_and_a_harmful_one_starts_exactly_one_retraining(
    shop: Shop, services: Outcome
) -> None:
    quiet = shop.graft("watch", shop.pipeline, "--window", "week_1")
    assert quiet.code == 0, quiet.text
    assert "QUIET" in quiet.text
    bad = shop.graft("watch", shop.pipeline, "--window", "week_4")
    assert "BAD_DATA" in bad.text, bad.text
    time.sleep(QUIET_SECONDS)
    assert shop.runs_of("retrain") == []

    harmful = shop.graft("watch", shop.pipeline, "--window", "week_2")
    assert harmful.code == 0, harmful.text
    assert "HARMFUL" in harmful.text
    run = _finished(shop, "retrain")
    assert run["state"]["type"] == "COMPLETED", run["state"]
    assert run["created_by"]["type"] == "AUTOMATION"
    assert run["parameters"]["drift"]["window"] == "week_2"

    sent = [r for r in shop.runs_of("fine-tune") if r["deployment_id"]]
    assert [r["work_pool_name"] for r in sent] == ["gpu"]
    # The rows labelled since are trained on, and a part of them is held out to judge the new model.
    artifacts = shop.api("artifacts/latest/filter", {"artifacts": {"key": {"any_": ["shop-results"]}}})
    assert "fresh_week_2" in str(artifacts[0]["data"])
    assert artifacts[0]["description"].startswith("Version 2")

    again = shop.graft("watch", shop.pipeline, "--window", "week_2")
    assert again.code == 0, again.text
    time.sleep(QUIET_SECONDS)
    started = [r for r in shop.runs_of("fine-tune") if r["deployment_id"]]
    assert len(started) == 1


def _finished(shop: Shop, flow: str) -> dict[str, object]:
    deadline = time.monotonic() + RETRAIN_SECONDS
    while time.monotonic() < deadline:
        runs = shop.runs_of(flow)
        if runs and runs[0]["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return runs[0]
        time.sleep(2)
    pytest.fail(f"no finished run of {flow} after {RETRAIN_SECONDS} s: {shop.runs_of(flow)}")
