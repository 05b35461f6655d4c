"""The main job through the command line, on real parts."""

import json
import urllib.request
from pathlib import Path

import yaml

from tests.flows.conftest import Outcome, Shop, wait_for

STEPS = {
    "ingest",
    "check_contract",
    "document_checks",
    "tokenize",
    "train",
    "predict_rows",
    "probe_model",
    "measure_cost",
    "find_label_errors",
    "score_predictions",
    "keep_reference",
    "answer_baselines",
    "judge_candidate",
    "write_report",
    "register_version",
}


def test_a_first_run_without_a_server_ends_with_a_table_a_verdict_and_a_version(first_run: Outcome) -> None:
    assert first_run.code == 0, first_run.text
    assert set(first_run.steps()) == STEPS
    for shown in ("in domain", "noisy", "TF-IDF", "majority", "Gate:", "shop version 1", "report.html", "tensorboard"):
        assert shown in first_run.text, shown
    assert "PROMOTE" in first_run.text
    assert "Traceback" not in first_run.text
    # What the run still had to send was sent before its own server stopped.
    assert "Error logging to API" not in first_run.text


def test_the_run_shows_up_in_the_pages_of_a_server_that_is_started_later(
    shop: Shop, first_run: Outcome, services: Outcome
) -> None:
    assert services.code == 0, services.text
    runs = shop.runs_of("data-to-model")
    assert runs[0]["state"]["type"] == "COMPLETED"
    assert runs[0]["id"] in first_run.text
    artifacts = {artifact["key"]: artifact for artifact in shop.api("artifacts/latest/filter", {})}
    assert {"shop-results", "shop-report", "shop-lineage"} <= artifacts.keys()
    (training,) = [artifact for artifact in artifacts.values() if artifact["type"] == "progress"]
    assert training["key"].startswith("training-")
    assert training["data"] == 100.0
    assert "of 2 is the best: skill 0." in training["description"]


def test_services_that_run_are_found_and_not_started_again(shop: Shop, services: Outcome) -> None:
    before = (shop.home / "services" / "services.json").read_text(encoding="utf-8")
    again = shop.graft("up", "--port", str(shop.port))
    assert again.code == 0, again.text
    assert "server: found" in again.text
    assert "worker-cpu: found" in again.text
    assert (shop.home / "services" / "services.json").read_text(encoding="utf-8") == before


def test_nothing_changed_means_every_step_is_reused(shop: Shop, services: Outcome) -> None:
    again = shop.graft("run", shop.pipeline)
    assert again.code == 0, again.text
    assert set(again.steps()) == STEPS
    assert set(again.steps().values()) == {"reused"}
    assert "shop version 1" in again.text


def test_one_change_runs_what_depends_on_it_and_says_what_changed(shop: Shop, services: Outcome) -> None:
    changed = shop.graft("run", shop.pipeline, "--set", "gate.margin=0.5")
    assert changed.code == 0, changed.text
    assert "policy.margin changed from 0.02 to 0.5" in changed.text
    ran = {step for step, what in changed.steps().items() if what == "running"}
    # A first model is judged without the margin, so the verdict is the same; the report shows the margin.
    assert ran == {"judge_candidate", "write_report"}


def test_the_report_is_one_file_that_fetches_nothing(shop: Shop, first_run: Outcome) -> None:
    path = Path(first_run.text.partition("Report: ")[2].splitlines()[0])
    page = path.read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "http://" not in page
    assert "https://" not in page


def test_predictions_are_written_beside_the_rows(shop: Shop, services: Outcome) -> None:
    source, target = shop.folder / "new.jsonl", shop.folder / "answers.jsonl"
    source.write_text('{"text": "My Juno S7 never arrived, where is it? Maria", "id": 7}\n', encoding="utf-8")
    done = shop.graft("predict", shop.pipeline, "--input", str(source), "--output", str(target))
    assert done.code == 0, done.text
    row = json.loads(target.read_text(encoding="utf-8"))
    assert row["id"] == 7
    assert row["predictions"]["sentiment"]["label"] in ("negative", "neutral", "positive")
    assert 0 <= row["predictions"]["urgency"] <= 1.2


def test_models_are_listed_and_a_rollback_without_a_previous_champion_is_refused(shop: Shop, services: Outcome) -> None:
    assert "champion" in shop.graft("models", shop.pipeline).text
    if "previous" not in shop.graft("models", shop.pipeline).text:
        refused = shop.graft("rollback", shop.pipeline)
        assert refused.code == 2
        assert "previous champion" in refused.text


def test_every_flow_is_a_deployment_with_a_form(shop: Shop, services: Outcome) -> None:
    deployments = {d["name"]: d for d in shop.api("deployments/filter", {})}
    wanted = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert len(wanted) > 10
    assert deployments.keys() == {deployment["name"] for deployment in wanted}
    for deployment in deployments.values():
        properties = deployment["parameter_openapi_schema"]["properties"]
        assert properties, deployment["name"]
        assert all(p.get("description") for p in properties.values()), deployment["name"]
    with urllib.request.urlopen(f"http://127.0.0.1:{shop.port}/api/work_pools/gpu", timeout=30) as answer:
        assert json.load(answer)["concurrency_limit"] is None


def test_the_server_plans_the_runs_of_every_schedule(shop: Shop, services: Outcome) -> None:
    scheduled = {d["id"]: d["name"] for d in shop.api("deployments/filter", {}) if d["schedules"]}
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}

    def planned() -> set[str]:
        runs = shop.api("flow_runs/filter", wanted)
        return {scheduled[run["deployment_id"]] for run in runs if run["auto_scheduled"]}

    assert {"data-to-model", "watch-windows", "reconcile"} <= set(scheduled.values())
    shop.switch_schedules(on=True)
    wait_for(planned, set(scheduled.values()).__le__, "planned", seconds=120)
    shop.switch_schedules(on=False)


def test_what_people_switched_off_in_the_pages_stays_off_and_what_prefect_yaml_has_no_more_goes(
    shop: Shop, services: Outcome
) -> None:
    deployment = shop.api("deployments/name/reconcile/reconcile", None, "GET")
    (schedule,) = deployment["schedules"]
    (automation,) = (a for a in shop.api("automations/filter", {}) if a["name"] == "retrain on confirmed drift")

    def switch(on: bool) -> None:
        shop.api(f"deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": on}, "PATCH")
        shop.api(f"automations/{automation['id']}", {"enabled": on}, "PATCH")
        shop.api("work_pools/gpu", {"is_paused": not on}, "PATCH")
        shop.api("work_pools/cpu/queues/default", {"is_paused": not on}, "PATCH")

    def automations() -> dict[str, bool]:
        return {a["name"]: a["enabled"] for a in shop.api("automations/filter", {})}

    switch(on=False)
    # One that an earlier prefect.yaml had.
    shop.api("deployments/", {"name": "reconcile-2", "flow_id": shop.api("flows/", {"name": "reconcile-2"})["id"]})
    deployed = shop.home / "services" / "prefect.yaml"
    content = yaml.safe_load(deployed.read_text(encoding="utf-8"))
    content["deployments"].append({"name": "reconcile-2"})
    deployed.write_text(yaml.safe_dump(content), encoding="utf-8")
    up = shop.graft("up", "--port", str(shop.port))
    off = "queue default of pool cpu, pool gpu, deployment data-to-model, deployment watch-windows, "
    off += "automation retrain on confirmed drift, deployment reconcile, schedule every-ten-minutes"
    assert f"switched off in the pages, and left so: {off}\n" in up.text
    found = {d["name"]: d for d in shop.api("deployments/filter", {})}
    assert found.keys() == {entry["name"] for entry in content["deployments"]} - {"reconcile-2"}
    assert {name for name, d in found.items() if d["paused"]} == {"data-to-model", "watch-windows", "reconcile"}
    assert [s["active"] for d in found.values() for s in d["schedules"]].count(False) == 1
    assert automations() == {"retrain on confirmed drift": False, "report failed actions": True}
    (automation,) = (a for a in shop.api("automations/filter", {}) if a["name"] == "retrain on confirmed drift")
    deployment = shop.api("deployments/name/reconcile/reconcile", None, "GET")
    (schedule,) = deployment["schedules"]
    switch(on=True)
    assert all(automations().values())
