import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.artifacts import VERDICT_FILE, Verdict
from data_contracts.errors import InputError
from tasks.evaluation import report_scores
from tasks.evaluation.checks import WHAT_HELPS, Check, read_checks, reasons_of, verdict_of, write_checks
from tasks.evaluation.differences import read_evidence
from tasks.evaluation.gate import Measured, Ruling, judge, write_ruling
from tasks.evaluation.latency import Latency, ModelCost, write_cost
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.scoring import Score, write_scores
from tasks.modeling.heads import AnyHead, OrdinalHead, RegressionHead, SingleLabelHead

Write = Callable[..., Path]
INTENT: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("right", "wrong"))}
TWO: dict[str, AnyHead] = {**INTENT, "tone": SingleLabelHead(column="tone", labels=("right", "wrong"))}
POLICY = GatePolicy(draws=400)


def accurate(rows: int, share: float, seed: int = 0) -> dict[str, list[Any]]:
    hits = np.arange(rows) < round(rows * share)
    return {"intent": ["right" if hit else "wrong" for hit in np.random.default_rng(seed).permutation(hits)]}


def named(checks: list[Check], part: str) -> list[Check]:
    return [check for check in checks if part in check.name]


@pytest.fixture
def scene(write_rows: Write, write_model_answers: Write) -> tuple[Path, Path]:
    """A snapshot of 300 rows, and baselines that are right in 40% and 60% of them."""
    snapshot = write_rows("test", intent=["right"] * 300)
    write_model_answers("baselines/majority", "test", accurate(300, 0.4))
    return snapshot, write_model_answers("baselines/tfidf", "test", accurate(300, 0.6)).parent


# From checks to a verdict


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        ((), "PROMOTE"),
        (("HOLD",), "HOLD"),
        (("HOLD", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (("INCONCLUSIVE", "REJECT", "HOLD"), "REJECT"),
    ],
)
def test_the_strictest_verdict_that_a_failed_check_asks_for_is_that_of_the_gate(
    failed: tuple[Verdict, ...], verdict: Verdict
) -> None:
    passed = [Check("a", "1", "0", True, "REJECT"), Check("b", "1", "0", None, "REJECT")]
    assert verdict_of([*passed, *(Check("c", "1", "0", False, asked) for asked in failed)]) == verdict


def test_reasons_name_all_checks_those_that_decided_first() -> None:
    checks = [
        Check("said", "1", "2", None),
        Check("kept", "1", "2", True),
        Check("open", "1", "2", False, "INCONCLUSIVE"),
        Check("broken", "1", "2", False),
    ]
    assert [reason.split(":")[0] for reason in reasons_of(checks)] == ["broken", "open", "kept", "said"]
    assert reasons_of(checks)[0] == "broken: 1; asked: 2; not passed (REJECT)"
    # Of what passed, that it is better comes before a limit that it keeps: the first reason is what a list shows.
    passed = [Check("limit", "1", "2", True, "REJECT"), Check("better", "1", "0", True, "HOLD")]
    assert [reason.split(":")[0] for reason in reasons_of(passed)] == ["better", "limit"]


def test_what_helps_is_said_once_and_only_where_too_few_rows_leave_the_verdict_open() -> None:
    few = [Check(task, "+0.1", "above 0", False, "INCONCLUSIVE") for task in ("intent", "tone")]
    assert reasons_of(few).count(WHAT_HELPS) == 1
    assert reasons_of(few)[-1] == WHAT_HELPS
    assert report_scores.checks(few).sentences == reasons_of(few)
    decided = [*few, Check("floor", "0.1", "0.6 at least", False, "REJECT")]
    assert WHAT_HELPS not in [*reasons_of(decided), *report_scores.checks(decided).sentences]
    assert WHAT_HELPS not in reasons_of([Check("better", "no", "yes", False, "HOLD")])


def test_checks_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    checks = [Check("a", "1", "2", None), Check("b", "<1>", "é", False, "HOLD")]
    write_checks(tmp_path / "checks.json", checks)
    assert read_checks(tmp_path / "checks.json") == checks


def test_a_ruling_is_written_with_the_verdict_that_a_passport_is_held_against(tmp_path: Path) -> None:
    ruling = Ruling("HOLD", ["no better"], [], [Check("better", "1", "2", False, "HOLD")])
    write_ruling(tmp_path, ruling)
    written = json.loads((tmp_path / VERDICT_FILE).read_text(encoding="utf-8"))
    assert written == {"verdict": "HOLD", "reasons": ["no better"]}
    assert read_checks(tmp_path / "checks.json") == ruling.checks
    assert read_evidence(tmp_path / "evidence.json") == []


# The first model


@pytest.mark.parametrize(("share", "verdict"), [(0.9, "PROMOTE"), (0.62, "INCONCLUSIVE"), (0.2, "REJECT")])
def test_without_a_champion_the_baselines_are_the_opponents(
    scene: tuple[Path, Path], write_model_answers: Write, share: float, verdict: Verdict
) -> None:
    candidate = write_model_answers("new", "test", accurate(300, share, seed=1))
    found = judge(scene[0], INTENT, candidate, None, scene[1], POLICY)
    assert found.verdict == verdict
    assert {d.opponent for d in found.evidence} == {"majority", "tfidf"}


def test_a_first_model_that_no_row_compares_is_not_promoted(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=[None] * 10)
    candidate = write_model_answers("new", "test", accurate(10, 1.0))
    for name in ("majority", "tfidf"):
        baselines = write_model_answers(f"baselines/{name}", "test", accurate(10, 0.5)).parent
    assert judge(snapshot, INTENT, candidate, None, baselines, POLICY).verdict == "INCONCLUSIVE"


def test_a_single_row_proves_nothing(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=["right"])
    new, old = (write_model_answers(n, "test", {"intent": [a]}) for n, a in (("new", "right"), ("old", "wrong")))
    for name in ("majority", "tfidf"):
        baselines = write_model_answers(f"baselines/{name}", "test", {"intent": ["wrong"]}).parent
    assert judge(snapshot, INTENT, new, None, baselines, POLICY).verdict == "INCONCLUSIVE"
    assert judge(snapshot, INTENT, new, old, baselines, POLICY).verdict == "INCONCLUSIVE"


# Limits


@pytest.mark.parametrize(("floor", "verdict"), [(0.9, "PROMOTE"), (0.95, "REJECT")])
def test_a_floor_rejects_a_model_that_beats_its_champion(
    scene: tuple[Path, Path], write_model_answers: Write, floor: float, verdict: Verdict
) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    champion = write_model_answers("old", "test", accurate(300, 0.7))
    policy = POLICY.model_copy(update={"floors": {"intent": floor}})
    found = judge(scene[0], INTENT, candidate, champion, scene[1], policy)
    assert found.verdict == verdict
    check = Check("intent in domain, floor", "0.900", f"{floor:.3f} at least", verdict == "PROMOTE")
    assert named(found.checks, "floor") == [check]
    assert any(reason.startswith("intent in domain, floor: 0.900") for reason in found.reasons)


def test_a_floor_that_cannot_be_measured_rejects(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=[None] * 10)
    candidate = write_model_answers("new", "test", accurate(10, 1.0))
    for name in ("majority", "tfidf"):
        baselines = write_model_answers(f"baselines/{name}", "test", accurate(10, 0.5)).parent
    policy = POLICY.model_copy(update={"floors": {"intent": 0.5}})
    assert judge(snapshot, INTENT, candidate, None, baselines, policy).verdict == "REJECT"


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    """A calibration error of 0.04, 90 megabytes, and 12 ms for one text."""
    write_scores(
        tmp_path / "scores.json",
        [
            Score("intent", "test", "expected_calibration_error", 0.04, 300),
            Score("intent", "noisy", "expected_calibration_error", 0.4, 300),
        ],
    )
    latencies = (Latency(1, 100, 8.0, 12.0, 110.0), Latency(32, 10, 90.0, 120.0, 330.0))
    write_cost(tmp_path / "cost.json", ModelCost("a device", 22_000_000, 90_000_000, latencies))
    return Measured(tmp_path / "scores.json", tmp_path / "cost.json")


@pytest.mark.parametrize(
    ("limit", "kept", "broken"),
    [
        ("max_calibration_error", 0.04, 0.03),
        ("max_calibration_error", {"intent": 0.04}, {"intent": 0.03}),
        ("max_megabytes", 90, 89),
        ("max_latency_ms", 12, 11.5),
    ],
)
def test_a_limit_is_held_against_what_was_measured_and_not_kept_where_nothing_was(
    scene: tuple[Path, Path],
    write_model_answers: Write,
    measured: Measured,
    tmp_path: Path,
    limit: str,
    kept: Any,
    broken: Any,
) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    nowhere = Measured(tmp_path / "absent.json", tmp_path / "absent.json")
    for value, files, verdict in (
        (kept, measured, "PROMOTE"),
        (broken, measured, "REJECT"),
        (kept, Measured(), "REJECT"),
        (kept, nowhere, "REJECT"),
    ):
        policy = GatePolicy.model_validate({"draws": 400, limit: value})
        found = judge(scene[0], INTENT, candidate, None, scene[1], policy, measured=files)
        assert found.verdict == verdict
        failed = [check for check in found.checks if check.passed is False]
        assert len(failed) == (verdict == "REJECT")
        assert [check.found for check in failed if files != measured] == ["not measured"] * (files != measured)


def test_a_calibration_limit_for_all_asks_nothing_of_a_number(
    write_rows: Write, write_model_answers: Write, measured: Measured
) -> None:
    heads: dict[str, AnyHead] = {**INTENT, "urgency": RegressionHead(column="urgency")}
    values = np.random.default_rng(1).random(300).tolist()
    snapshot = write_rows("test", intent=["right"] * 300, urgency=values)
    candidate = write_model_answers("new", "test", {**accurate(300, 0.9), "urgency": values})
    for name in ("majority", "tfidf"):
        baselines = write_model_answers(
            f"baselines/{name}", "test", {**accurate(300, 0.5), "urgency": [0.5] * 300}
        ).parent
    for limit, verdict in ((0.05, "PROMOTE"), ({"intent": 0.05, "urgency": 0.05}, "REJECT")):
        policy = GatePolicy.model_validate({"draws": 400, "max_calibration_error": limit})
        found = judge(snapshot, heads, candidate, None, baselines, policy, measured=measured)
        assert found.verdict == verdict


# A later model


def test_a_champion_is_compared_on_every_split_but_those_of_training(
    scene: tuple[Path, Path], write_rows: Write, write_model_answers: Write
) -> None:
    for split, share in (("train", 0.1), ("validation", 0.1), ("noisy", 0.5)):
        write_rows(split, intent=["right"] * 100)
        write_model_answers("new", split, accurate(100, share))
        write_model_answers("old", split, accurate(100, 0.9))
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    champion = write_model_answers("old", "test", accurate(300, 0.7))
    found = judge(scene[0], INTENT, candidate, champion, scene[1], POLICY)
    assert {d.split for d in found.evidence} == {"test", "noisy"}
    assert found.verdict == "REJECT"
    assert "on noisy" in found.reasons[0]


def test_what_passed_is_listed_too(scene: tuple[Path, Path], write_model_answers: Write) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    champion = write_model_answers("old", "test", accurate(300, 0.7))
    found = judge(scene[0], INTENT, candidate, champion, scene[1], POLICY)
    assert found.verdict == "PROMOTE"
    assert [check.name for check in found.checks if check.passed] == [
        "intent in domain, against the champion",
        "skill in domain, against the champion",
        "better than the champion",
    ]
    assert len(found.reasons) == len(found.checks)


@pytest.mark.parametrize(("share", "verdict"), [(0.9, "PROMOTE"), (0.62, "INCONCLUSIVE"), (0.3, "REJECT")])
def test_a_task_that_the_champion_does_not_answer_is_judged_as_that_of_a_first_model(
    write_rows: Write, write_model_answers: Write, share: float, verdict: Verdict
) -> None:
    snapshot = write_rows("test", intent=["right"] * 300, tone=["right"] * 300)
    same = accurate(300, 0.8)["intent"]
    for name in ("majority", "tfidf"):
        tone = accurate(300, 0.6)["intent"]
        baselines = write_model_answers(f"baselines/{name}", "test", {"intent": tone, "tone": tone}).parent
    champion = write_model_answers("old", "test", {"intent": same})
    candidate = write_model_answers("new", "test", {"intent": same, "tone": accurate(300, share, 1)["intent"]})
    found = judge(snapshot, TWO, candidate, champion, baselines, POLICY, champion_heads=INTENT)
    assert found.verdict == verdict
    assert {(d.opponent, d.task) for d in found.evidence if d.task != SKILL} == {
        ("champion", "intent"),
        ("majority", "tone"),
        ("tfidf", "tone"),
    }
    assert [check.found for check in named(found.checks, "task tone")] == ["the champion does not answer it"]


def test_a_task_that_only_the_champion_answers_is_named(scene: tuple[Path, Path], write_model_answers: Write) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    answers = accurate(300, 0.7)["intent"]
    champion = write_model_answers("old", "test", {"intent": answers, "tone": answers})
    found = judge(scene[0], INTENT, candidate, champion, scene[1], POLICY, champion_heads=TWO)
    assert found.verdict == "PROMOTE"
    assert named(found.checks, "task tone")[0].found == "the champion answers it, the candidate does not"
    assert any("task tone" in reason for reason in found.reasons)


def test_a_task_with_other_labels_is_compared_on_the_rows_whose_labels_both_know(
    write_rows: Write, write_model_answers: Write
) -> None:
    now: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise", "delivery"))}
    before: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise", "order"))}
    labels = ["refund", "praise"] * 100 + ["delivery"] * 100
    snapshot = write_rows("test", intent=labels)
    # The candidate is right in all rows, the champion in all whose label it knows.
    candidate = write_model_answers("new", "test", {"intent": labels})
    champion = write_model_answers("old", "test", {"intent": [*labels[:200], *["order"] * 100]})
    found = judge(snapshot, now, candidate, champion, candidate, POLICY, champion_heads=before)
    assert [(d.value, d.rows) for d in found.evidence if d.task == "intent"] == [(0.0, 200)]
    assert named(found.checks, "task intent")[0].found == "labels gone: order; labels new: delivery"
    assert found.verdict == "HOLD"


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (
            SingleLabelHead(column="intent", labels=("right", "wrong")),
            SingleLabelHead(column="intent", labels=("right", "false")),
            "labels gone: false; labels new: wrong",
        ),
        (
            SingleLabelHead(column="intent", labels=("right", "wrong")),
            RegressionHead(column="intent"),
            "the champion's head is of kind regression, the candidate's single_label",
        ),
        (
            OrdinalHead(column="intent", labels=("right", "wrong")),
            OrdinalHead(column="intent", labels=("wrong", "right")),
            "its labels have another order",
        ),
        (
            OrdinalHead(column="intent", labels=("right", "wrong")),
            OrdinalHead(column="intent", labels=("right", "soso", "wrong")),
            "labels gone: soso",
        ),
    ],
)
def test_a_task_whose_answers_do_not_compare_is_a_new_one(
    scene: tuple[Path, Path], write_model_answers: Write, now: AnyHead, before: AnyHead, said: str
) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    champion = write_model_answers("old", "test", accurate(300, 0.9))
    found = judge(scene[0], {"intent": now}, candidate, champion, scene[1], POLICY, champion_heads={"intent": before})
    assert {d.opponent for d in found.evidence} == {"majority", "tfidf"}
    assert [check.found for check in named(found.checks, "task intent")] == [said]


# Protected slices


def vietnamese(write_rows: Write, write_model_answers: Write, rows: int, right: int) -> tuple[Path, Path, Path]:
    """A candidate that gains in 600 English rows, and is right in some of the Vietnamese ones, all of which the
    champion is right in."""
    snapshot = write_rows("test", intent=["right"] * (600 + rows), language=["en"] * 600 + ["vi"] * rows)
    english = accurate(600, 0.95)["intent"], accurate(600, 0.8)["intent"]
    new = write_model_answers("new", "test", {"intent": english[0] + ["right"] * right + ["wrong"] * (rows - right)})
    old = write_model_answers("old", "test", {"intent": english[1] + ["right"] * rows})
    return snapshot, new, old


@pytest.mark.parametrize(
    ("rows", "right", "verdict", "passed"),
    [(60, 60, "PROMOTE", True), (60, 40, "REJECT", False), (29, 9, "PROMOTE", None)],
)
def test_no_group_of_a_protected_slice_may_be_worse_than_the_champion_unless_too_small_to_say(
    write_rows: Write, write_model_answers: Write, rows: int, right: int, verdict: Verdict, passed: bool | None
) -> None:
    snapshot, new, old = vietnamese(write_rows, write_model_answers, rows, right)
    assert judge(snapshot, INTENT, new, old, new, POLICY).verdict == "PROMOTE"
    policy = POLICY.model_copy(update={"protected_slices": ("language",)})
    found = judge(snapshot, INTENT, new, old, new, policy)
    assert found.verdict == verdict
    checks = {check.name.split(",")[0]: check.passed for check in named(found.checks, "where")}
    assert checks == {"intent where language en": True, "intent where language vi": passed}


def test_a_group_that_is_worse_only_for_itself_and_not_among_many_leaves_the_verdict_open(
    write_rows: Write, write_model_answers: Write
) -> None:
    # Of 60 rows in each of 21 groups the candidate loses six in one, which chance does to some group of many.
    shops = [f"shop {number:02}" for number in range(21) for _ in range(60)]
    snapshot = write_rows("test", intent=["right"] * 1260, shop=shops)
    old = accurate(1260, 0.7)["intent"]
    old[:60] = ["right"] * 60
    new = ["wrong"] * 6 + ["right"] * 1254
    candidate = write_model_answers("new", "test", {"intent": new})
    champion = write_model_answers("old", "test", {"intent": old})
    policy = POLICY.model_copy(update={"protected_slices": ("shop",)})
    found = judge(snapshot, INTENT, candidate, champion, candidate, policy)
    assert found.verdict == "INCONCLUSIVE"
    assert [check.name for check in found.checks if check.passed is False] == [
        "intent where shop shop 00, against the champion"
    ]


def test_a_protected_slice_that_the_rows_do_not_have_rejects(
    scene: tuple[Path, Path], write_model_answers: Write
) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    champion = write_model_answers("old", "test", accurate(300, 0.7))
    policy = POLICY.model_copy(update={"protected_slices": ("language",)})
    found = judge(scene[0], INTENT, candidate, champion, scene[1], policy)
    assert found.verdict == "REJECT"
    assert named(found.checks, "slice language")[0].found == "the in-domain rows have no such groups"


# Bad input


def test_labels_that_no_row_in_domain_has_are_named(scene: tuple[Path, Path], write_model_answers: Write) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    found = judge(scene[0], INTENT, candidate, None, scene[1], POLICY)
    check = named(found.checks, "intent in domain, labels")[0]
    assert (check.found, check.passed) == ("no row has wrong", None)


@pytest.mark.parametrize("broken", ["new", "old"])
def test_a_model_that_answers_nan_is_named_with_task_split_and_row(
    write_rows: Write, write_model_answers: Write, broken: str
) -> None:
    heads: dict[str, AnyHead] = {**INTENT, "urgency": RegressionHead(column="urgency")}
    snapshot = write_rows("test", intent=["right"] * 3, urgency=[0.1, 0.2, 0.3])
    folders = {}
    for name in ("new", "old"):
        urgency = [0.1, float("nan") if name == broken else 0.2, 0.3]
        folders[name] = write_model_answers(name, "test", {"intent": ["right"] * 3, "urgency": urgency})
    whose = {"new": "the candidate", "old": "the champion"}[broken]
    found = f"{whose} gives NaN for task 'urgency' in 1 of 3 rows of split 'test', first in row 2.*diverged"
    with pytest.raises(InputError, match=found):
        judge(snapshot, heads, folders["new"], folders["old"], folders["new"], POLICY)


def test_the_policy_of_a_pipeline_names_only_its_heads_and_its_columns(tmp_path: Path) -> None:
    from flows.pipeline import load_pipeline

    for override, problem in (
        ("gate.margins={mood: 0.01}", "gate.margins: no head is called mood"),
        ("gate.max_calibration_error={mood: 0.1}", "gate.max_calibration_error: no head is called mood"),
        ("gate.protected_slices=[planet]", "gate.protected_slices: "),
    ):
        with pytest.raises(InputError, match=problem):
            load_pipeline("support", [override])
    gate = load_pipeline("support", ["gate.protected_slices=[language, text_length]"]).gate
    assert gate.protected_slices == ("language", "text_length")
    assert json.loads(gate.model_dump_json())["max_calibration_error"] is None
