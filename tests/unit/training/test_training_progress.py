"""How far a training is, sent to Prefect's server now and then."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from tasks.training import task as module
from tasks.training.task import TrainingProgress


class Page:
    """The page of a run: takes artifacts as the server does, and refuses them while it is `down`."""

    def __init__(self) -> None:
        self.shown: list[tuple[UUID, float, str]] = []
        self.keys: list[str] = []
        self.asked = 0
        self.down = False

    def create(self, progress: float, key: str, description: str) -> UUID:
        """Takes a new artifact."""
        found = uuid4()
        self.update(found, progress, description)
        self.keys.append(key)
        return found

    def update(self, artifact: UUID, progress: float, description: str) -> None:
        """Takes what is new of an artifact."""
        self.asked += 1
        if self.down:
            raise ConnectionError("nobody answers")
        self.shown.append((artifact, progress, description))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """The page of a run that is under way, on which time passes only when the test says so."""
    found = Page()
    monkeypatch.setattr(module, "create_progress_artifact", found.create)
    monkeypatch.setattr(module, "update_progress_artifact", found.update)
    monkeypatch.setattr(module.TaskRunContext, "get", lambda: "a run")
    return found


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`passes(seconds)` moves the clock."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_one_artifact_is_sent_at_most_every_few_seconds_and_at_the_end(
    page: Page, passes: Callable[[float], None]
) -> None:
    progress = TrainingProgress("0a1b")
    for step in range(1, 11):
        progress.report(step / 100, f"step {step}")
        passes(1.0)
    progress.end("epoch 1 is the best")
    assert page.keys == ["training-0a1b"]
    assert len({artifact for artifact, _, _ in page.shown}) == 1
    assert [(round(share), text) for _, share, text in page.shown] == [
        (1, "step 1"),
        (4, "step 4"),
        (7, "step 7"),
        (10, "step 10"),
        (100, "epoch 1 is the best"),
    ]


def test_a_server_that_takes_nothing_is_asked_ever_more_seldom_and_ends_no_training(
    page: Page, passes: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    progress = TrainingProgress("0a1b")
    page.down = True
    asked = []
    for second in range(60):
        before = page.asked
        progress.report(second / 100, "")
        asked += [second] * (page.asked - before)
        passes(1.0)
    assert asked == [0, 6, 18, 42]
    assert "did not take the progress of the training (nobody answers)" in caplog.text
    progress.end("done")
    assert page.shown == []

    page.down = False
    passes(48.0)
    progress.report(0.7, "again")
    passes(3.0)
    progress.report(0.8, "as before")
    assert [text for _, _, text in page.shown] == ["again", "as before"]


def test_nothing_is_sent_outside_of_a_run(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.TaskRunContext, "get", lambda: None)
    progress = TrainingProgress("0a1b")
    progress.report(0.5, "")
    progress.end("done")
    assert page.asked == 0
