"""Whom the labels of a window judge: no version that was trained with them."""

from collections.abc import Callable
from typing import Any

import pytest

from data_contracts.artifacts import (
    Judgement,
    ModelVersion,
    Predictions,
    Reference,
    Replaced,
    Snapshot,
    SourceFiles,
    TrainedModel,
    ValidatedSnapshot,
)
from flows import watch_drift
from flows.pipeline import PIPELINES, load_pipeline
from flows.watch_drift import answer_window
from tests.unit.drift.ledgers import promotion

PLAN = load_pipeline(str(PIPELINES / "support.yaml"))
SOURCE = SourceFiles(digest="5" * 64, files=())
CHECKED = ValidatedSnapshot(
    digest="6" * 64, contract="support", contract_digest="7" * 64, rows={"window": 9}, quarantined={}
)


@pytest.fixture
def version(trained_model: Callable[[str], TrainedModel]) -> Callable[[int], ModelVersion]:
    def numbered(number: int) -> ModelVersion:
        model = trained_model(str(number) * 64)
        judged = Judgement(digest="8" * 64, verdict="PROMOTE", reasons=(), candidate=model.digest, champion=None)
        reference = Reference(digest="9" * 64, model=model.digest, rows=1)
        return ModelVersion(
            pipeline="support", version=number, model=model, reference=reference, judgement=judged, run_id="run"
        )

    return numbered


@pytest.fixture
def audit_of(monkeypatch: pytest.MonkeyPatch, version: Callable[[int], ModelVersion]) -> Callable[..., Any]:
    """What version 2, which replaced version 1, is judged by in week_1; given are the windows that each learnt."""

    def asked(*, champion: tuple[str, ...] = (), before: tuple[str, ...] = ()) -> Any:
        stand_ins = {
            "locate_sources": lambda data, window: SOURCE,
            "locate_audit": lambda data, window: SOURCE,
            "ingest": lambda *of: Snapshot(digest="4" * 64, rows={}),
            "check_contract": lambda *of: CHECKED,
            "draw_rows": lambda checked, most: checked,
            "tokens_for": lambda *of: None,
            "predict_rows": lambda model, *of: Predictions(digest="3" * 64, model=model.digest, rows={}),
            "count_fresh_rows": lambda *of: 0,
            # A retraining took it up, whoever was promoted.
            "find_learned_windows": lambda name: ("week_1",),
            "windows_learnt": lambda of, otherwise: {1: before, 2: champion}[of.version],
            "find_replaced": lambda of: Replaced(version=version(1), promotion=promotion(2)),
        }
        for name, stand_in in stand_ins.items():
            monkeypatch.setattr(watch_drift, name, stand_in)
        return answer_window(PLAN, PLAN.data, version(2), "week_1")

    return asked


def test_labels_of_a_window_that_another_version_learnt_judge_the_champion(audit_of: Callable[..., Any]) -> None:
    found = audit_of()
    assert not found.learnt
    assert found.audit.replaced.version.version == 1


def test_labels_that_the_champion_learnt_do_not_judge_it(audit_of: Callable[..., Any]) -> None:
    found = audit_of(champion=("week_1",))
    assert (found.learnt, found.audit) == (True, None)
    assert audit_of(champion=("week_2",)).audit is not None


def test_the_version_before_is_no_rival_on_labels_that_it_learnt(audit_of: Callable[..., Any]) -> None:
    found = audit_of(before=("week_1",))
    assert found.audit is not None
    assert (found.audit.replaced, found.audit.replaced_answers) == (None, None)
