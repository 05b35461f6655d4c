"""The rule of the gate, and how often it errs: simulations run through the code that judges real models."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from data_contracts.artifacts import Verdict
from tasks.evaluation.checks import verdict_of
from tasks.evaluation.differences import Difference, PairedRows, differences
from tasks.evaluation.multiplicity import domain_weights
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.promotion_rule import baseline_checks, champion_checks
from tasks.modeling.multiplicity import holm

MARGIN = 0.02
POLICY = GatePolicy()
# A p-value beyond any doubt, and one of no weight.
SURE, NONE = 0.0005, 0.9


def difference(low: float, high: float, task: str = SKILL, split: str = "test", *, rows: int = 300) -> Difference:
    """With the chances that such an interval has."""
    better, worse = (SURE if sure else NONE for sure in (low > 0, high < -MARGIN))
    return Difference("champion", task, split, (low + high) / 2, low, high, rows, better, worse)


def verdict_on(evidence: list[Difference], policy: GatePolicy = POLICY) -> Verdict:
    return verdict_of(champion_checks(evidence, policy))


# Many tests at once


def test_chances_are_adjusted_as_holm_did() -> None:
    # Four tests: 0.01 * 4, 0.013 * 3 raised to the one before, 0.014 * 2 likewise, 0.19 * 1.
    assert holm([0.014, 0.01, 0.19, 0.013]) == pytest.approx([0.04, 0.04, 0.19, 0.04])
    assert holm([0.4, 0.7]) == pytest.approx([0.8, 0.8])
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_a_test_of_twice_the_weight_has_twice_the_share_of_alpha() -> None:
    # 0.02 * 4 / 2 for the first, then 0.03 * 2 / 1 and 0.2.
    assert holm([0.02, 0.03, 0.2], [2, 1, 1]) == pytest.approx([0.04, 0.06, 0.2])


def test_what_happens_in_domain_is_as_easy_to_see_however_many_other_splits_there_are() -> None:
    for others in (1, 3, 30):
        splits = ["noisy", "test", *(f"split {number}" for number in range(others - 1))]
        weights = domain_weights(splits)
        assert holm([0.02 if split == "test" else 0.9 for split in splits], weights)[1] == pytest.approx(0.04)
    assert domain_weights(["test", "test"]) == [0.5, 0.5]
    assert domain_weights(["test", "a", "test", "b"]) == [0.5, 0.5, 0.5, 0.5]


def test_what_a_retraining_is_for_is_as_easy_to_see_as_what_happens_in_domain() -> None:
    assert domain_weights(["test", "noisy", "fresh_week_2", "other"]) == [1, 0.5, 1, 0.5]
    assert domain_weights(["fresh_week_2", "test", "fresh_week_3"]) == [0.5, 1, 0.5]
    gain = Difference("champion", SKILL, "fresh_week_2", 0.03, 0.001, 0.06, 300, 0.015, NONE)
    others = [difference(-0.05, 0.05, split=f"split {number}") for number in range(8)]
    assert verdict_on([difference(-0.01, 0.01), gain, *others]) == "PROMOTE"


def test_a_comparison_is_asked_for_where_four_of_five_equal_models_would_pass() -> None:
    # 0.02 * 1.645 / (1.645 + 0.842) is 0.0132, and with intervals of 95% 0.02 * 1.960 / (1.960 + 0.842) is 0.0140.
    def split(half: float) -> list[Difference]:
        return [difference(0.01, 0.05), difference(-0.011 - half, half - 0.011, split="noisy")]

    assert verdict_on(split(0.0131)) == "INCONCLUSIVE"
    assert verdict_on(split(0.0134)) == "PROMOTE"
    assert verdict_on(split(0.0134), GatePolicy(confidence=0.95)) == "INCONCLUSIVE"
    assert verdict_on(split(0.0141), GatePolicy(confidence=0.95)) == "PROMOTE"


# The rule


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(0.1, 0.3), (0.01, 0.2)], "PROMOTE"),
        ([(0.1, 0.3), (-0.01, 0.2)], "INCONCLUSIVE"),
        ([(0.1, 0.3), (0.0, 0.2)], "INCONCLUSIVE"),
        ([(0.1, 0.3), (-0.2, -0.1)], "REJECT"),
        ([(0.1, 0.3), (-0.2, 0.0)], "REJECT"),
    ],
)
def test_a_first_model_has_to_beat_every_baseline_beyond_chance(
    intervals: list[tuple[float, float]], verdict: Verdict
) -> None:
    evidence = [difference(low, high, f"task{n}") for n, (low, high) in enumerate(intervals)]
    assert verdict_of(baseline_checks(evidence)) == verdict


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        pytest.param([difference(0.01, 0.05)], "PROMOTE", id="better in domain"),
        pytest.param(
            [difference(-0.01, 0.02), difference(0.01, 0.09, split="noisy")], "PROMOTE", id="better out of domain"
        ),
        pytest.param([difference(-0.01, 0.02), difference(-0.05, 0.05, split="noisy")], "HOLD", id="better nowhere"),
        pytest.param([difference(-0.01, 0.02), difference(0.01, 0.03, "intent")], "HOLD", id="one task is no skill"),
        pytest.param([difference(-0.02, 0.01)], "HOLD", id="worse by the margin at most"),
        pytest.param([difference(-0.021, 0.05)], "INCONCLUSIVE", id="may be worse by more than the margin"),
        pytest.param(
            [difference(-0.03, 0.05), difference(0.01, 0.09, split="noisy")], "INCONCLUSIVE", id="gain elsewhere"
        ),
        pytest.param([difference(-0.09, -0.03)], "REJECT", id="worse in domain"),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.09, -0.03, "intent", "noisy")], "REJECT", id="one task elsewhere"
        ),
        pytest.param([difference(0.01, 0.05, split="noisy")], "INCONCLUSIVE", id="nothing measured in domain"),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.025, 0.001, "intent")], "INCONCLUSIVE", id="a task could be shown"
        ),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.03, 0.009, "intent")], "PROMOTE", id="too few rows for a task"
        ),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.025, 0.001, split="noisy")],
            "INCONCLUSIVE",
            id="another split could be shown",
        ),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.03, 0.009, split="noisy")], "PROMOTE", id="too few rows on a split"
        ),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.025, 0.001, "intent", "noisy")],
            "PROMOTE",
            id="one task on another split need not be shown",
        ),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.046, 0.005, split="noisy")],
            "INCONCLUSIVE",
            id="too few rows on a split, and the difference itself is below",
        ),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.047, 0.005, split="noisy")],
            "PROMOTE",
            id="too few rows for the difference itself",
        ),
        pytest.param(
            [difference(0.01, 0.05), difference(-0.07, -0.021, split="noisy")],
            "REJECT",
            id="few rows are enough for what is clearly worse",
        ),
    ],
)
def test_a_later_model_is_promoted_only_when_worse_nowhere_and_better_somewhere(
    evidence: list[Difference], verdict: Verdict
) -> None:
    assert verdict_on(evidence) == verdict


def test_a_task_with_a_margin_of_its_own_has_to_be_shown_however_few_rows_there_are() -> None:
    evidence = [difference(0.01, 0.05), difference(-0.03, 0.02, "intent"), difference(-0.03, 0.02, "tone")]
    assert verdict_on(evidence) == "PROMOTE"
    assert verdict_on(evidence, GatePolicy(margins={"intent": 0.02})) == "INCONCLUSIVE"
    assert verdict_on(evidence, GatePolicy(margins={"intent": 0.03})) == "PROMOTE"


def test_what_is_worse_only_for_itself_and_not_among_all_leaves_the_verdict_open() -> None:
    worse = Difference("champion", "intent", "noisy", -0.06, -0.09, -0.03, 300, NONE, 0.04)
    others = [difference(-0.05, 0.05, "intent", f"split {number}") for number in range(8)]
    assert verdict_on([difference(0.01, 0.05), worse, *others]) == "INCONCLUSIVE"
    assert verdict_on([difference(0.01, 0.05), worse]) == "INCONCLUSIVE"
    alone = Difference("champion", "intent", "noisy", -0.06, -0.09, -0.03, 300, NONE, 0.02)
    assert verdict_on([difference(0.01, 0.05), alone]) == "REJECT"


def test_better_on_one_of_many_splits_has_to_stand_out_among_all() -> None:
    def splits(count: int) -> list[Difference]:
        gain = Difference("champion", SKILL, "noisy", 0.03, 0.001, 0.06, 300, 0.02, NONE)
        return [gain, *(difference(-0.05, 0.05, split=f"split {number}") for number in range(count))]

    inside = difference(-0.01, 0.01)
    assert verdict_on([inside, *splits(0)]) == "PROMOTE"
    assert verdict_on([inside, *splits(1)]) == "HOLD"


def test_a_new_task_is_a_gain_but_excuses_nothing() -> None:
    held, rejected = [difference(-0.01, 0.02)], [difference(-0.09, -0.03)]
    assert verdict_of(champion_checks(held, POLICY, gained=True)) == "PROMOTE"
    assert verdict_of(champion_checks(rejected, POLICY, gained=True)) == "REJECT"


def test_a_rejection_names_the_task_and_the_split_that_are_worse() -> None:
    checks = champion_checks([difference(0.01, 0.05), difference(-0.09, -0.03, "intent", "noisy")], POLICY)
    failed = [check for check in checks if check.passed is False]
    assert [check.name for check in failed] == ["intent on noisy, against the champion"]
    assert failed[0].found == "-0.060 [-0.090, -0.030]"


# How often the rule errs


class Domain(NamedTuple):
    """Rows of a split, the champion's accuracy there, and the share of rows that only one of two models is right in."""

    rows: int
    accuracy: float
    disagreement: float


# Two trainings on the same rows are right and wrong together in most rows: of ten mistakes, seven are in common.
ALIKE = {"test": Domain(3000, 0.90, 0.06)}
# As if the two had nothing in common: 2 * 0.9 * 0.1 for equal models, 0.92 * 0.1 + 0.9 * 0.08 for a gain of two points.
UNLIKE = {"test": Domain(3000, 0.90, 0.17)}
DOMAINS = {
    **ALIKE,
    "other_product": Domain(500, 0.80, 0.09),
    "noisy": Domain(300, 0.75, 0.12),
    "vietnamese": Domain(150, 0.70, 0.12),
}
RETRAINED = {**DOMAINS, "fresh_week_2": Domain(250, 0.75, 0.15)}
FEW_ROWS = {"test": Domain(40, 0.90, 0.06), "noisy": Domain(25, 0.75, 0.12), "other": Domain(10, 0.75, 0.12)}
PAIRS = 1000
QUICK = GatePolicy(draws=500)


def accuracy(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(sums[:, 0] / sums[:, 1])


def two_models(random: np.random.Generator, domain: Domain, gain: float) -> PairedRows:
    """Right and wrong answers of a champion, and of a candidate whose accuracy is higher by `gain`."""
    champion_alone = (domain.disagreement - gain) / 2
    both = domain.accuracy - champion_alone
    kind = random.choice(
        4,
        size=domain.rows,
        p=(both, champion_alone + gain, champion_alone, 1 - both - domain.disagreement),
    )
    rows = np.ones(domain.rows)
    candidate, champion = (np.stack([np.isin(kind, right), rows], axis=1).astype(float) for right in ((0, 1), (0, 2)))
    return PairedRows(accuracy, candidate, champion, rows.astype(bool))


def verdicts(
    domains: Mapping[str, Domain], gain: float | Mapping[str, float], tasks: int = 1, pairs: int = PAIRS
) -> Counter[Verdict]:
    """Verdicts on pairs of models that the whole rule judges; the gain is that on every split, or {split: gain}."""
    random = np.random.default_rng(20_261)
    found: Counter[Verdict] = Counter()
    for _ in range(pairs):
        evidence = []
        for split, domain in domains.items():
            of_it = gain if isinstance(gain, float) else gain.get(split, 0.0)
            of_split = {f"task {number}": two_models(random, domain, of_it) for number in range(tasks)}
            evidence += differences("champion", split, of_split, QUICK)
        found[verdict_of(champion_checks(evidence, QUICK))] += 1
    return found


def at_most(share: float, pairs: int = PAIRS) -> float:
    """What a gate that errs with just this share stays within in 39 of 40 simulations."""
    return pairs * share + 1.96 * (pairs * share * (1 - share)) ** 0.5


@pytest.mark.parametrize(
    ("domains", "tasks"),
    [(ALIKE, 1), (UNLIKE, 1), (DOMAINS, 3), (RETRAINED, 3), (FEW_ROWS, 2)],
    ids=["alike", "unlike", "several domains and tasks", "retrained", "few rows"],
)
def test_of_equal_models_no_more_than_alpha_are_promoted_and_hardly_any_rejected(
    domains: Mapping[str, Domain], tasks: int
) -> None:
    found = verdicts(domains, gain=0.0, tasks=tasks)
    assert found["PROMOTE"] <= at_most(QUICK.alpha)
    assert found["REJECT"] <= at_most(QUICK.alpha)


@pytest.mark.parametrize(
    ("domains", "tasks"), [(ALIKE, 1), (UNLIKE, 1), (DOMAINS, 3)], ids=["alike", "unlike", "several domains and tasks"]
)
def test_of_models_that_are_a_point_worse_hardly_any_is_promoted(domains: Mapping[str, Domain], tasks: int) -> None:
    pairs = PAIRS // tasks
    assert verdicts(domains, gain=-0.01, tasks=tasks, pairs=pairs)["PROMOTE"] <= 0.05 * pairs


@pytest.mark.parametrize(("domains", "tasks"), [(ALIKE, 1), (DOMAINS, 3)], ids=["alike", "several domains and tasks"])
def test_of_models_that_are_two_points_better_on_3000_rows_nine_in_ten_are_promoted(
    domains: Mapping[str, Domain], tasks: int
) -> None:
    pairs = PAIRS // tasks
    assert verdicts(domains, gain=0.02, tasks=tasks, pairs=pairs)["PROMOTE"] >= 0.9 * pairs


def test_of_retrainings_that_help_where_they_should_and_harm_nowhere_four_in_five_are_promoted() -> None:
    pairs = PAIRS // 3
    assert verdicts(RETRAINED, gain={"fresh_week_2": 0.06}, tasks=3, pairs=pairs)["PROMOTE"] >= 0.8 * pairs


def test_of_retrainings_that_cost_the_margin_in_domain_hardly_any_is_promoted() -> None:
    pairs = PAIRS // 3
    found = verdicts(RETRAINED, gain={"fresh_week_2": 0.06, "test": -MARGIN}, tasks=3, pairs=pairs)
    assert found["PROMOTE"] <= 0.05 * pairs


def test_of_retrainings_that_cost_twice_the_margin_out_of_domain_few_are_promoted() -> None:
    pairs = PAIRS // 3
    found = verdicts(RETRAINED, gain={"fresh_week_2": 0.06, "noisy": -2 * MARGIN}, tasks=3, pairs=pairs)
    assert found["PROMOTE"] <= 0.1 * pairs


@pytest.mark.parametrize(("groups", "rows_each", "together"), [(100, 10, 0.7), (60, 50, 0.5)])
def test_of_equal_models_no_more_are_promoted_where_rows_of_a_group_are_right_or_wrong_together(
    groups: int, rows_each: int, together: float
) -> None:
    """As `splits: {kind: grouped}` has them: a share of a group's rows has the group's answer, the rest their own."""
    random = np.random.default_rng(20_263)
    pairs, known = PAIRS // 2, np.ones(groups * rows_each, dtype=bool)
    found: Counter[Verdict] = Counter()
    for _ in range(pairs):
        tables = []
        for _ in range(2):
            of_group, own = random.random((groups, 1)) < 0.9, random.random((groups, rows_each)) < 0.9
            right = np.where(random.random(own.shape) < together, of_group, own).ravel()
            tables.append(np.stack([right, known], axis=1).astype(float))
        paired = PairedRows(accuracy, *tables, known, np.repeat(np.arange(groups), rows_each))
        found[verdict_of(champion_checks(differences("champion", "test", {"t": paired}, QUICK), QUICK))] += 1
    # Drawn row by row, a fifth of them would be promoted, and three in ten of those with greater groups.
    assert found["PROMOTE"] <= at_most(QUICK.alpha, pairs)
    assert found["REJECT"] <= at_most(QUICK.alpha, pairs)


def test_a_model_that_is_worse_by_more_than_the_margin_passes_for_no_worse_as_rarely_as_alpha_says() -> None:
    # On few rows above all, where an interval without the two added rows would let half of them pass.
    random = np.random.default_rng(20_262)
    for rows in (20, 50, 100, 300):
        passed = sum(
            differences("champion", "test", {"t": two_models(random, Domain(rows, 0.9, 0.08), -MARGIN)}, QUICK)[0].low
            >= -MARGIN
            for _ in range(500)
        )
        assert passed <= at_most(QUICK.alpha, 500) + 5
