from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from data_contracts.artifacts import Verdict
from tasks.evaluation.gate import (
    SKILL,
    Difference,
    GatePolicy,
    compare,
    first_verdict,
    judge,
    later_verdict,
    read_evidence,
    write_evidence,
)
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, TokenTagHead

Write = Callable[..., Path]
MARGIN = 0.02
INTENT: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("right", "wrong"))}
POLICY = GatePolicy(margin=MARGIN, draws=400)


def difference(low: float, high: float, task: str = SKILL, split: str = "test") -> Difference:
    return Difference("champion", task, split, (low + high) / 2, low, high, 300)


def answers_right_at(right: NDArray[np.bool_]) -> dict[str, list[Any]]:
    return {"intent": ["right" if hit else "wrong" for hit in right]}


# The first model


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(0.1, 0.3), (0.01, 0.2)], "PROMOTE"),
        ([(0.1, 0.3), (-0.01, 0.2)], "INCONCLUSIVE"),
        ([(0.1, 0.3), (0.0, 0.2)], "INCONCLUSIVE"),
        ([(0.1, 0.3), (-0.2, -0.1)], "REJECT"),
        ([(0.1, 0.3), (-0.2, 0.0)], "REJECT"),
        ([], "INCONCLUSIVE"),
    ],
)
def test_a_first_model_has_to_beat_every_baseline_beyond_chance(
    intervals: list[tuple[float, float]], verdict: Verdict
) -> None:
    found, reasons = first_verdict([difference(low, high, f"task{n}") for n, (low, high) in enumerate(intervals)])
    assert found == verdict
    assert reasons


# A later model


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        pytest.param([difference(0.01, 0.05)], "PROMOTE", id="better in domain"),
        pytest.param(
            [difference(-0.01, 0.05), difference(0.01, 0.09, split="noisy")], "PROMOTE", id="better out of domain"
        ),
        pytest.param([difference(-0.01, 0.05), difference(-0.05, 0.05, split="noisy")], "HOLD", id="better nowhere"),
        pytest.param([difference(-0.01, 0.05), difference(0.01, 0.05, "intent")], "HOLD", id="one task is no skill"),
        pytest.param([difference(-0.02, 0.05)], "HOLD", id="worse by the margin at most"),
        pytest.param([difference(-0.021, 0.05)], "INCONCLUSIVE", id="may be worse by more than the margin"),
        pytest.param(
            [difference(-0.03, 0.05), difference(0.01, 0.09, split="noisy")], "INCONCLUSIVE", id="gain elsewhere"
        ),
        pytest.param([difference(-0.09, -0.03)], "REJECT", id="worse in domain"),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.09, -0.03, "intent", "noisy")], "REJECT", id="one task elsewhere"
        ),
        pytest.param([difference(0.01, 0.05, split="noisy")], "INCONCLUSIVE", id="nothing measured in domain"),
    ],
)
def test_a_later_model_is_promoted_only_when_worse_nowhere_and_better_somewhere(
    evidence: list[Difference], verdict: Verdict
) -> None:
    found, reasons = later_verdict(evidence, MARGIN)
    assert found == verdict
    assert reasons


def test_a_rejection_names_the_task_and_the_split_that_are_worse() -> None:
    _, reasons = later_verdict([difference(0.01, 0.05), difference(-0.09, -0.03, "intent", "noisy")], MARGIN)
    assert len(reasons) == 1
    assert "intent on noisy -0.060 [-0.090, -0.030]" in reasons[0]


# Differences


def test_identical_answers_differ_by_exactly_nothing(write_rows: Write, write_model_answers: Write) -> None:
    heads: dict[str, AnyHead] = {
        **INTENT,
        "urgency": RegressionHead(column="urgency"),
        "entities": TokenTagHead(column="entities", labels=("O", "B-X", "I-X")),
    }
    random = np.random.default_rng(1)
    tags = [{"tokens": ["a", "b"], "tags": ["B-X", "O"]}] * 50
    snapshot = write_rows("test", intent=["right"] * 50, urgency=random.random(50).tolist(), entities=tags)
    answers = {
        **answers_right_at(random.random(50) < 0.7),
        "urgency": random.random(50).tolist(),
        "entities": [["B-X", "O"] if hit else ["O", "B-X"] for hit in random.random(50) < 0.7],
    }
    new, old = (write_model_answers(name, "test", answers) for name in ("new", "old"))
    evidence = compare(snapshot, heads, new, old, "champion", ["test"], POLICY)
    assert [d.task for d in evidence] == ["intent", "urgency", "entities", SKILL]
    assert all((d.value, d.low, d.high) == (0.0, 0.0, 0.0) for d in evidence)


def test_equal_models_with_other_mistakes_differ_by_nothing_within_an_interval_around_it(
    write_rows: Write, write_model_answers: Write
) -> None:
    snapshot = write_rows("test", intent=["right"] * 100)
    rows = np.arange(100)
    new = write_model_answers("new", "test", answers_right_at(rows >= 20))
    old = write_model_answers("old", "test", answers_right_at(rows < 80))
    found, skill = compare(snapshot, INTENT, new, old, "champion", ["test"], POLICY)
    assert found.value == skill.value == pytest.approx(0)
    assert found.low < 0 < found.high


def test_a_clearly_better_model_is_above_the_other_and_the_other_as_far_below(
    write_rows: Write, write_model_answers: Write
) -> None:
    random = np.random.default_rng(2)
    snapshot = write_rows("test", intent=["right"] * 300)
    new = write_model_answers("new", "test", answers_right_at(random.random(300) < 0.9))
    old = write_model_answers("old", "test", answers_right_at(random.random(300) < 0.6))
    up, skill = compare(snapshot, INTENT, new, old, "champion", ["test"], POLICY)
    down, _ = compare(snapshot, INTENT, old, new, "champion", ["test"], POLICY)
    assert 0.1 < up.low < up.value < up.high < 0.5
    # The skill of one task is that task.
    assert (skill.low, skill.value, skill.high) == (up.low, up.value, up.high)
    assert (down.low, down.value, down.high) == pytest.approx((-up.high, -up.value, -up.low))


def test_intervals_are_paired_so_that_mistakes_in_common_do_not_widen_them(
    write_rows: Write, write_model_answers: Write
) -> None:
    snapshot = write_rows("test", intent=["right"] * 300)
    rows = np.arange(300)
    new = write_model_answers("new", "test", answers_right_at(rows % 2 == 0))
    shared = answers_right_at((rows % 2 == 0) & (rows > 6))
    old = write_model_answers("old", "test", shared)
    found, _ = compare(snapshot, INTENT, new, old, "champion", ["test"], POLICY)
    assert found.value == pytest.approx(4 / 300)
    # The new model is right in 4 rows more and wrong in no other. A draw takes these as a binomial of 4 in 300 does:
    # 1 to 8 times in 95 draws of a hundred.
    assert (found.low, found.high) == pytest.approx((1 / 300, 8 / 300), abs=1.01 / 300)


def test_the_interval_is_the_same_each_time(write_rows: Write, write_model_answers: Write) -> None:
    random = np.random.default_rng(3)
    snapshot = write_rows("test", intent=["right"] * 80)
    new, old = (write_model_answers(name, "test", answers_right_at(random.random(80) < 0.7)) for name in ("new", "old"))
    first, second = (compare(snapshot, INTENT, new, old, "champion", ["test"], POLICY) for _ in range(2))
    assert first == second
    assert first[0].low < first[0].high


def test_a_task_is_compared_on_the_rows_that_have_its_label_and_skill_is_the_mean_over_tasks(
    write_rows: Write, write_model_answers: Write
) -> None:
    heads: dict[str, AnyHead] = {**INTENT, "tone": SingleLabelHead(column="tone", labels=("right", "wrong"))}
    snapshot = write_rows("test", intent=["right"] * 4, tone=["right", "right", None, None])
    write_rows("poems", intent=[None, None], tone=["right", "right"])
    write_rows("blank", intent=[None, None], tone=[None, None])
    for split, rows in (("test", 4), ("poems", 2), ("blank", 2)):
        new = write_model_answers("new", split, {"intent": ["right"] * rows, "tone": ["right"] * rows})
        old = write_model_answers("old", split, {"intent": ["right", "wrong"] * (rows // 2), "tone": ["wrong"] * rows})
    evidence = compare(snapshot, heads, new, old, "champion", ["test", "poems", "blank"], POLICY)
    assert {(d.split, d.task): (d.value, d.rows) for d in evidence} == {
        ("test", "intent"): (0.5, 4),
        ("test", "tone"): (1.0, 2),
        ("test", SKILL): (0.75, 4),
        ("poems", "tone"): (1.0, 2),
        ("poems", SKILL): (1.0, 2),
    }


def test_evidence_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    evidence = [difference(-0.01, 0.02), difference(0.1, 0.2, "intent", "noisy")]
    write_evidence(tmp_path / "evidence.json", evidence)
    assert read_evidence(tmp_path / "evidence.json") == evidence


# The whole gate


def accurate(rows: int, share: float, seed: int = 0) -> dict[str, list[Any]]:
    hits = np.arange(rows) < round(rows * share)
    return answers_right_at(np.random.default_rng(seed).permutation(hits))


@pytest.fixture
def scene(write_rows: Write, write_model_answers: Write) -> tuple[Path, Path]:
    """A snapshot of 300 rows, and baselines that are right in 40% and 60% of them."""
    snapshot = write_rows("test", intent=["right"] * 300)
    write_model_answers("baselines/majority", "test", accurate(300, 0.4))
    return snapshot, write_model_answers("baselines/tfidf", "test", accurate(300, 0.6)).parent


@pytest.mark.parametrize(("share", "verdict"), [(0.9, "PROMOTE"), (0.62, "INCONCLUSIVE"), (0.2, "REJECT")])
def test_without_a_champion_the_baselines_are_the_opponents(
    scene: tuple[Path, Path], write_model_answers: Write, share: float, verdict: Verdict
) -> None:
    candidate = write_model_answers("new", "test", accurate(300, share, seed=1))
    found, _, evidence = judge(scene[0], INTENT, candidate, None, scene[1], POLICY)
    assert found == verdict
    assert {d.opponent for d in evidence} == {"majority", "tfidf"}


def test_a_floor_rejects_a_model_that_beats_its_champion(scene: tuple[Path, Path], write_model_answers: Write) -> None:
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    champion = write_model_answers("old", "test", accurate(300, 0.7))
    for floor, verdict in ((0.9, "PROMOTE"), (0.95, "REJECT")):
        policy = POLICY.model_copy(update={"floors": {"intent": floor}})
        found, reasons, _ = judge(scene[0], INTENT, candidate, champion, scene[1], policy)
        assert found == verdict
        assert ("intent in domain is 0.900, below its floor 0.950" in reasons) == (verdict == "REJECT")


def test_a_floor_that_cannot_be_measured_rejects(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=[None] * 10)
    candidate = write_model_answers("new", "test", accurate(10, 1.0))
    baselines = write_model_answers("baselines/majority", "test", accurate(10, 0.5)).parent
    write_model_answers("baselines/tfidf", "test", accurate(10, 0.5))
    policy = POLICY.model_copy(update={"floors": {"intent": 0.5}})
    assert judge(snapshot, INTENT, candidate, None, baselines, policy)[0] == "REJECT"
    assert judge(snapshot, INTENT, candidate, None, baselines, POLICY)[0] == "INCONCLUSIVE"


def test_a_champion_is_compared_on_every_split_but_those_of_training(
    scene: tuple[Path, Path], write_rows: Write, write_model_answers: Write
) -> None:
    for split, share in (("validation", 0.1), ("noisy", 0.5)):
        write_rows(split, intent=["right"] * 100)
        write_model_answers("new", split, accurate(100, share))
        write_model_answers("old", split, accurate(100, 0.9))
    candidate = write_model_answers("new", "test", accurate(300, 0.9))
    champion = write_model_answers("old", "test", accurate(300, 0.7))
    found, reasons, evidence = judge(scene[0], INTENT, candidate, champion, scene[1], POLICY)
    assert {d.split for d in evidence} == {"test", "noisy"}
    assert found == "REJECT"
    assert any("on noisy" in reason for reason in reasons)


@pytest.mark.parametrize(("share", "verdict"), [(0.9, "PROMOTE"), (0.62, "INCONCLUSIVE"), (0.3, "REJECT")])
def test_a_task_that_the_champion_does_not_answer_is_judged_as_that_of_a_first_model(
    write_rows: Write, write_model_answers: Write, share: float, verdict: Verdict
) -> None:
    heads: dict[str, AnyHead] = {**INTENT, "tone": SingleLabelHead(column="tone", labels=("right", "wrong"))}
    snapshot = write_rows("test", intent=["right"] * 300, tone=["right"] * 300)
    same = accurate(300, 0.8)["intent"]
    for name in ("majority", "tfidf"):
        tone = accurate(300, 0.6)["intent"]
        baselines = write_model_answers(f"baselines/{name}", "test", {"intent": tone, "tone": tone}).parent
    champion = write_model_answers("old", "test", {"intent": same})
    candidate = write_model_answers("new", "test", {"intent": same, "tone": accurate(300, share, 1)["intent"]})
    found, _, evidence = judge(snapshot, heads, candidate, champion, baselines, POLICY)
    assert found == verdict
    assert {(d.opponent, d.task) for d in evidence if d.task != SKILL} == {
        ("champion", "intent"),
        ("majority", "tone"),
        ("tfidf", "tone"),
    }


def test_equal_models_are_hardly_ever_promoted_and_hardly_ever_rejected(
    scene: tuple[Path, Path], write_model_answers: Write
) -> None:
    random = np.random.default_rng(17)
    policy = POLICY.model_copy(update={"draws": 200})
    verdicts: Counter[Verdict] = Counter()
    for _ in range(200):
        # Most mistakes are in common, as between two trainings on the same rows; the rates are equal.
        easy = random.random(300)
        new, old = (easy + random.normal(0, 0.1, 300) < 0.8 for _ in range(2))
        candidate = write_model_answers("new", "test", answers_right_at(new))
        champion = write_model_answers("old", "test", answers_right_at(old))
        verdicts[judge(scene[0], INTENT, candidate, champion, scene[1], policy)[0]] += 1
    # A two-sided 95% interval lies above 0 in 5 of 200.
    assert verdicts["PROMOTE"] <= 10
    assert verdicts["REJECT"] <= 4
    assert verdicts["HOLD"] + verdicts["INCONCLUSIVE"] >= 186
