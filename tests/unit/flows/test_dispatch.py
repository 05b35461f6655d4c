"""What a run on a worker sends to a pool, when it runs for the first time and when it is run again."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Running, Scheduled, State

from flows import dispatch


class Pool:
    """Flow runs by their idempotency keys; a worker has brought each to its end when it is waited for."""

    def __init__(self) -> None:
        self.runs: dict[str, FlowRun] = {}
        self.ends: list[State[Any]] = []

    def run_deployment(
        self, name: str, parameters: Any, idempotency_key: str, timeout: float | None = None, **_: Any
    ) -> FlowRun:
        assert name == "double/double"
        run = self.runs.setdefault(idempotency_key, FlowRun(id=uuid4(), flow_id=uuid4(), state=Scheduled()))
        assert run.state is not None
        if timeout is None and not run.state.is_final():
            run.state = self.ends.pop(0)
        return run


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """The pool of a run on a worker."""
    found = Pool()
    monkeypatch.setenv(dispatch.RUN_OF_A_WORKER, "a run")
    monkeypatch.setattr(dispatch, "run_deployment", found.run_deployment)
    monkeypatch.setattr(dispatch, "flow_run", SimpleNamespace(id="a run"))
    return found


@flow(name="double")
def double_it(number: int) -> int:
    return 2 * number


@pytest.fixture
def double() -> Callable[..., Any]:
    return lambda number: dispatch.on_pool(double_it, number=number)


def test_a_run_that_is_run_again_finds_the_work_that_it_had_sent(pool: Pool, double: Callable[..., Any]) -> None:
    pool.ends = [Completed(data=6)]
    assert [double(3), double(3)] == [6, 6]
    assert len(pool.runs) == 1


def test_a_run_that_is_run_again_waits_for_work_that_goes_on(pool: Pool, double: Callable[..., Any]) -> None:
    pool.ends = [Running(), Completed(data=6)]
    with pytest.raises(Exception, match="RUNNING"):
        double(3)
    assert double(3) == 6
    assert len(pool.runs) == 1


def test_work_that_failed_is_sent_once_more_each_time_that_its_run_is_run_again(
    pool: Pool, double: Callable[..., Any]
) -> None:
    pool.ends = [Crashed(message="killed"), Crashed(message="killed again"), Completed(data=6)]
    for message in ("killed", "killed again"):
        with pytest.raises(Exception, match=message):
            double(3)
    assert double(3) == 6
    assert len(pool.runs) == 3
    assert double(3) == 6
    assert len(pool.runs) == 3


def test_what_goes_on_by_itself_is_sent_once_a_matter_whoever_asks_and_again_where_it_failed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = dispatch.send(double_it, "a matter", number=3)
    monkeypatch.setattr(dispatch, "flow_run", SimpleNamespace(id="the run of the next night"))
    assert dispatch.send(double_it, "a matter", number=4) is first
    assert dispatch.send(double_it, "another matter", number=3) is not first
    first.state = Completed(data=6)
    assert dispatch.send(double_it, "a matter", number=3) is first
    first.state = Crashed(message="nobody answered")
    again = dispatch.send(double_it, "a matter", number=3)
    assert again is not first
    assert dispatch.send(double_it, "a matter", number=3) is again
