"""prefect.yaml against the flows: everything that is deployed exists, and everything that exists is deployed."""

import ast
import asyncio
import importlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import construct_schedule
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.events.schemas.events import Resource, ResourceSpecification
from prefect.server import models, schemas
from prefect.server.database import provide_database_interface
from prefect.server.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, temporary_settings

from data_contracts.drift import DriftDecision
from flows.deployments import Scheduled, with_schedules
from tasks.drift.task_retraining import EVENT

ROOT = Path(__file__).resolve().parents[1]
CONTENT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in CONTENT["deployments"]}
FLOW_FILES = sorted(
    path
    for path in (ROOT / "flows").glob("*.py")
    if any(
        isinstance(node, ast.FunctionDef)
        and any("flow" in ast.unparse(mark).split("(") for mark in node.decorator_list)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )
)
# It waits for a person inside a run of release, where the question arises, and is started from nowhere else.
WITHIN_A_RUN = {"approval"}
HEAVY = ("torch", "transformers", "great_expectations", "scipy")

every_deployment = pytest.mark.parametrize("name", DEPLOYMENTS)
every_flow_file = pytest.mark.parametrize("path", FLOW_FILES, ids=lambda path: path.stem)


def flow_at(entrypoint: str) -> Flow[..., Any]:
    module, _, name = entrypoint.rpartition(".")
    found: Flow[..., Any] = getattr(importlib.import_module(module), name)
    return found


def test_deployments_and_flow_files_were_found() -> None:
    assert len(DEPLOYMENTS) == len(CONTENT["deployments"]) >= 8
    assert {"data_to_model", "fine_tune", "retrain"} <= {path.stem for path in FLOW_FILES}


@every_deployment
def test_the_entrypoint_of_a_deployment_is_a_flow_of_the_same_name(name: str) -> None:
    flow = flow_at(DEPLOYMENTS[name]["entrypoint"])
    assert isinstance(flow, Flow)
    # flows/dispatch.py finds the deployment of a flow by this.
    assert flow.name == name


@every_flow_file
def test_a_file_that_defines_a_flow_has_a_deployment(path: Path) -> None:
    deployed = f"flows.{path.stem}.{path.stem}" in {entry["entrypoint"] for entry in DEPLOYMENTS.values()}
    assert deployed != (path.stem in WITHIN_A_RUN)


@every_deployment
def test_every_parameter_of_a_flow_is_typed_and_described(name: str) -> None:
    flow = flow_at(DEPLOYMENTS[name]["entrypoint"])
    assert flow.parameters.properties
    for parameter, schema in flow.parameters.properties.items():
        assert {"type", "$ref", "anyOf", "allOf"} & schema.keys(), f"{parameter} has no type"
        assert len(schema.get("description", "")) > 10, f"{parameter} is not described under Args"


@every_deployment
def test_parameters_of_a_deployment_are_parameters_of_its_flow(name: str) -> None:
    flow = flow_at(DEPLOYMENTS[name]["entrypoint"])
    assert DEPLOYMENTS[name].get("parameters", {}).keys() <= flow.parameters.properties.keys()


def test_what_needs_a_gpu_is_on_the_gpu_pool_and_nothing_else() -> None:
    pools = {name: entry["work_pool"]["name"] for name, entry in DEPLOYMENTS.items()}
    on_gpu = {name for name, pool in pools.items() if pool == "gpu"}
    assert on_gpu == {"fine-tune", "assess", "predict", "cross-validate", "single-tasks", "score", "backtest"}
    assert set(pools.values()) == {"cpu", "gpu"}


def test_the_main_job_runs_every_night() -> None:
    (nightly,) = DEPLOYMENTS["data-to-model"]["schedules"]
    assert nightly["active"] is True
    assert nightly["slug"] == "nightly"
    assert runs_after(nightly, datetime(2026, 1, 31, 12, tzinfo=UTC), 2) == [
        datetime(2026, 2, 1, 3, tzinfo=UTC),
        datetime(2026, 2, 2, 3, tzinfo=UTC),
    ]


def test_every_schedule_parses_and_comes_round_again() -> None:
    schedules = [schedule for entry in DEPLOYMENTS.values() for schedule in entry.get("schedules", [])]
    assert schedules
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for schedule in schedules:
        first, second = runs_after(schedule, start, 2)
        assert first < second < start + timedelta(days=62)


def runs_after(schedule: dict[str, Any], start: datetime, count: int) -> list[datetime]:
    timing = {key: value for key, value in schedule.items() if key not in ("active", "slug")}
    parsed = construct_schedule(**timing)
    return list(asyncio.run(CronSchedule.model_validate(parsed.model_dump()).get_dates(count, start)))


def test_what_runs_by_itself_runs_for_every_pipeline_that_is_named_and_no_other() -> None:
    hotel = Scheduled("hotel", "/rooms/hotel_pipe.yaml", has_windows=True)
    letters = Scheduled("letters", "letters", has_windows=False)
    deployed = {entry["name"]: entry for entry in with_schedules(CONTENT, [hotel, letters])["deployments"]}
    (nightly,), (daily,) = (DEPLOYMENTS[name]["schedules"] for name in ("data-to-model", "watch-windows"))
    of_hotel = {"parameters": {"pipeline": "/rooms/hotel_pipe.yaml"}}
    assert deployed["data-to-model"]["schedules"] == [
        {**nightly, "slug": "nightly-hotel", **of_hotel},
        {**nightly, "slug": "nightly-letters", "parameters": {"pipeline": "letters"}},
    ]
    # Where the pipeline names no windows, there are none to watch.
    assert deployed["watch-windows"]["schedules"] == [{**daily, "slug": "daily-hotel", **of_hotel}]
    others = DEPLOYMENTS.keys() - {"data-to-model", "watch-windows"}
    assert {name: deployed[name] for name in others} == {name: DEPLOYMENTS[name] for name in others}
    assert "parameters" not in nightly


def test_the_confirmed_drift_of_any_pipeline_starts_retrain_with_the_whole_decision() -> None:
    (entry,) = DEPLOYMENTS["retrain"]["triggers"]
    trigger = DeploymentEventTrigger.model_validate(entry)
    assert trigger.enabled
    assert trigger.expect == {EVENT}
    match = ResourceSpecification.model_validate(entry["match"])
    assert match.matches(Resource({"prefect.resource.id": "graft.pipeline.support"}))
    assert not match.matches(Resource({"prefect.resource.id": "prefect.flow-run.1"}))
    assert trigger.parameters == {"drift": "{{ event.payload }}"}


def test_a_decision_as_its_event_carries_it_is_a_valid_parameter_of_retrain() -> None:
    decision = DriftDecision(
        pipeline="support",
        window="week_2",
        window_digest="a" * 64,
        model_version=3,
        verdict="HARMFUL",
        retrain=True,
        reasons=("intent suffers",),
        measures={"shift_p_value": 0.001},
        decided_at=datetime(2026, 1, 12, tzinfo=UTC),
    )
    payload = json.loads(json.dumps(decision.model_dump(mode="json")))
    assert flow_at("flows.retrain.retrain").validate_parameters({"drift": payload}) == {"drift": decision}


def test_what_was_lost_is_looked_for_every_ten_minutes_for_all_pipelines() -> None:
    entry = DEPLOYMENTS["reconcile"]
    assert entry.get("parameters", {}) == {}
    (schedule,) = entry["schedules"]
    assert schedule["active"] is True
    start = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
    assert runs_after(schedule, start, 2) == [start.replace(minute=10), start.replace(minute=20)]


def test_the_server_makes_runs_of_a_schedule(tmp_path: Path) -> None:
    async def scheduled() -> int:
        database = provide_database_interface()
        await database.create_db()
        async with database.session_context(begin_transaction=True) as session:
            flow = await models.flows.create_flow(session, schemas.core.Flow(name="reconcile"))
            schedule = CronSchedule(cron=DEPLOYMENTS["reconcile"]["schedules"][0]["cron"])
            deployment = schemas.core.Deployment(
                name="reconcile", flow_id=flow.id, schedules=[schemas.core.DeploymentSchedule(schedule=schedule)]
            )
            made = await models.deployments.create_deployment(session, deployment)
            assert made is not None
            return len(await models.deployments.schedule_runs(session, made.id, min_runs=3))

    with temporary_settings({PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}"}):
        assert asyncio.run(scheduled()) >= 3


def test_any_automation_that_cannot_act_is_reported_but_not_the_reporting_one() -> None:
    (entry,) = DEPLOYMENTS["report-failed-action"]["triggers"]
    trigger = DeploymentEventTrigger.model_validate(entry)
    assert trigger.enabled
    assert trigger.expect == {"prefect.automation.action.failed"}
    match = ResourceSpecification.model_validate(entry["match"])

    def automation(name: str) -> Resource:
        return Resource({"prefect.resource.id": "prefect.automation.1", "prefect.resource.name": name})

    assert match.matches(automation(DEPLOYMENTS["retrain"]["triggers"][0]["name"]))
    assert match.matches(automation("somebody's own"))
    # Where its run cannot be started either, each failure would make the next.
    assert not match.matches(automation(entry["name"]))


def test_an_event_reaches_the_report_whole() -> None:
    (entry,) = DEPLOYMENTS["report-failed-action"]["triggers"]
    assert entry["parameters"] == {"event": "{{ event }}"}
    event = {"event": "prefect.automation.action.failed", "resource": {}, "payload": {"reason": "no"}, "related": []}
    report = flow_at("flows.report_failed_action.report_failed_action")
    assert report.validate_parameters({"event": event}) == {"event": event}


def test_no_step_is_pulled_so_that_a_worker_runs_in_the_folder_deployed_from() -> None:
    assert [entry for entry in (CONTENT, *DEPLOYMENTS.values()) if "pull" in entry] == []


def test_importing_the_flows_leaves_the_heavy_libraries_alone() -> None:
    modules = [f"flows.{path.stem}" for path in FLOW_FILES]
    script = (
        "import importlib, json, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {[*modules, *HEAVY]!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == modules
