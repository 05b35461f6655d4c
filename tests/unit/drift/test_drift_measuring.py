"""A window in three layers: what is measured of it, and of windows that are hardly any."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.drift.measuring import Count, Measured, label_proportions, measure_window
from tasks.drift.monitors import allowed_share
from tasks.drift.policy import DriftPolicy
from tasks.drift.quality import QualityLimits, TextFacts
from tasks.drift.reference import Frozen
from tasks.drift.seen import OfTask, Seen
from tasks.drift.shift import spent_level
from tasks.modeling.heads import MultiLabelHead, SingleLabelHead
from tests.unit.drift.worlds import draw, frozen, seen, usual_texts

POLICY = DriftPolicy()


@pytest.fixture(scope="module")
def reference() -> Frozen:
    return frozen(draw(np.random.default_rng(1), 500))


def measure(
    reference: Frozen,
    window: Seen,
    texts: TextFacts | None = None,
    policy: DriftPolicy = POLICY,
    *,
    broken: int = 0,
    look: int = 1,
    baseline: Seen | None = None,
) -> Measured:
    return measure_window(
        reference, window, texts or usual_texts(len(window)), broken, policy, look=look, baseline=baseline
    )


def repeating(rows: int, *repeated: int) -> TextFacts:
    again = np.zeros(rows, bool)
    again[list(repeated)] = True
    return replace(usual_texts(rows), repeated=again)


def test_an_unchanged_window_is_measured_in_all_layers_and_nothing_stands_out(reference: Frozen) -> None:
    found = measure(reference, draw(np.random.default_rng(2), 100))
    assert (found.rows, found.problems) == (100, ())
    assert found.shift is not None
    assert not found.shift.significant
    assert found.shift.level == spent_level(1, POLICY.alpha, POLICY.looks)
    assert found.counts.keys() == {"accuracy/intent", "out_of_scope"}
    assert all(count.rows == 100 and count.bad / 100 < count.allowed for count in found.counts.values())
    estimate = found.estimates["intent"]
    assert abs(estimate.by_threshold - estimate.reference) <= estimate.error
    assert found.measures == pytest.approx(
        dict.fromkeys(("broken_share", "repeated_share", "unknown_share", "odd_length_share", "lost_share"), 0.0)
    )


def test_as_many_answers_are_doubted_as_the_reference_has_wrong() -> None:
    tenths = np.arange(1, 11) / 10
    rows = Frozen(seen(confidences=tenths, right=[0, 1, 0] + [1] * 7, distances=[2**0.5] * 10), usual_texts(10))
    found = measure(rows, seen(confidences=[0.1, 0.2, 0.29, 0.3, 0.9]))
    # No row is nearer than any other. Two of ten are wrong, so answers less sure than the third are doubted.
    assert found.counts["accuracy/intent"] == Count(3, 5, allowed_share(2, 10, POLICY.tolerated_drop))


def test_texts_far_from_the_reference_are_counted_as_out_of_scope(reference: Frozen) -> None:
    found = measure(reference, draw(np.random.default_rng(3), 100, outliers=30)).counts["out_of_scope"]
    assert 30 <= found.bad <= 40
    usual = reference.seen.distances
    assert usual is not None
    # One in twenty of the reference's own, of which 24 of 500 are beyond the 475th but one.
    assert found.allowed == allowed_share(24, 500, POLICY.tolerated_out_of_scope)


def test_a_text_is_out_of_scope_beyond_the_distance_that_is_usual_in_the_reference() -> None:
    def directions(*degrees: float) -> Seen:
        return seen(np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1))

    # Each row of the reference is ten degrees from its nearest.
    rows = frozen(directions(*range(0, 100, 10)))
    found = measure(rows, directions(-11, -9, 5, 45, 99, 101, 180))
    assert found.counts["out_of_scope"] == Count(3, 7, allowed_share(0, 10, POLICY.tolerated_out_of_scope))


def test_what_is_tolerated_is_the_policys(reference: Frozen) -> None:
    window = draw(np.random.default_rng(4), 100)
    strict = DriftPolicy(tolerated_drop=0, tolerated_out_of_scope=0)
    usual, less = measure(reference, window).counts, measure(reference, window, policy=strict).counts
    # Less than what the reference's own share may be is never allowed.
    assert less["out_of_scope"].allowed == allowed_share(24, 500, 0)
    assert usual["out_of_scope"].allowed == pytest.approx(24 / 500 + 0.03)
    assert usual["accuracy/intent"].allowed >= less["accuracy/intent"].allowed
    lax = measure(reference, window, policy=DriftPolicy(tolerated_drop=0.1)).counts
    assert lax["accuracy/intent"].allowed - usual["accuracy/intent"].allowed > 0.05


def test_a_text_that_comes_again_is_no_evidence(reference: Frozen) -> None:
    window = draw(np.random.default_rng(5), 100)
    found = measure(reference, window, repeating(100, *range(60, 100)))
    assert found.rows == 60
    assert {count.rows for count in found.counts.values()} == {60}
    assert found.shift == measure(reference, window.at(np.arange(60))).shift


def test_one_text_sent_again_and_again_is_bad_data(reference: Frozen) -> None:
    (problem,) = measure(reference, draw(np.random.default_rng(6), 100), repeating(100, *range(1, 100))).problems
    assert "99.0% of the rows repeat a text" in problem


def test_repeats_are_usual_where_the_reference_has_them(reference: Frozen) -> None:
    chatty = Frozen(reference.seen, replace(reference.texts, repeated=np.arange(1000) % 2 == 0))
    assert measure(chatty, draw(np.random.default_rng(6), 100), repeating(100, *range(20, 100))).problems == ()


def test_answers_that_are_no_numbers_are_bad_data_and_few_of_them_are_left_out(reference: Frozen) -> None:
    window = draw(np.random.default_rng(7), 200)
    confidences = window.tasks["intent"].confidences.copy()
    confidences[:2] = np.nan
    some = replace(window, tasks={"intent": replace(window.tasks["intent"], confidences=confidences)})
    found = measure(reference, some)
    assert (found.rows, found.problems, found.measures["lost_share"]) == (198, (), 0.01)
    none = replace(window, tasks={"intent": replace(window.tasks["intent"], confidences=np.full(200, np.nan))})
    found = measure(reference, none)
    assert found.rows == 0
    assert found.problems == [
        "100.0% of the rows got no answer that is a number; 1% are let pass (drift.quality.lost_share)"
    ]
    assert (found.shift, found.counts, found.estimates) == (None, {}, {})


def test_an_empty_window_has_nothing_to_measure(reference: Frozen) -> None:
    found = measure(reference, draw(np.random.default_rng(8), 5).at(np.arange(0)))
    assert (found.rows, list(found.problems)) == (0, ["no row is left to measure"])


def test_rows_against_the_contract_count_with_those_that_passed(reference: Frozen) -> None:
    window = draw(np.random.default_rng(9), 90)
    assert measure(reference, window, broken=10).problems == ()
    (problem,) = measure(reference, window, broken=11).problems
    assert problem.startswith("10.9% of the rows break the contract")


def test_one_lost_row_is_no_share_however_many_broke_the_contract(reference: Frozen) -> None:
    window = draw(np.random.default_rng(9), 10)
    window.embeddings[0] = np.nan
    lenient = DriftPolicy(quality=QualityLimits(broken_share=0.9))
    assert measure(reference, window, policy=lenient, broken=15).problems == ()


def test_a_window_of_one_row_counts_for_the_monitors_alone(reference: Frozen) -> None:
    found = measure(reference, draw(np.random.default_rng(10), 1))
    assert (found.rows, found.problems, found.shift) == (1, (), None)
    assert {count.rows for count in found.counts.values()} == {1}
    assert found.estimates == {}


def test_the_test_needs_as_many_rows_as_the_policy_says(reference: Frozen) -> None:
    window = draw(np.random.default_rng(11), 50)
    assert measure(reference, window).shift is not None
    assert measure(reference, window.at(np.arange(49))).shift is None


def test_later_tests_are_held_against_less(reference: Frozen) -> None:
    window = draw(np.random.default_rng(12), 60)
    levels = [found.level for look in (1, 26, 76) if (found := measure(reference, window, look=look).shift)]
    assert levels == pytest.approx([0.001, 0.00025, 0.0000625])


def test_against_a_baseline_the_same_window_is_no_shift_and_harm_is_counted_as_before(reference: Frozen) -> None:
    random = np.random.default_rng(13)
    window = draw(random, 100, moved=3)
    before = measure(reference, window)
    after = measure(reference, window, baseline=draw(random, 400, moved=3))
    assert before.shift is not None
    assert after.shift is not None
    assert before.shift.significant
    assert not after.shift.significant
    assert after.shift.effect < before.shift.effect
    assert (after.counts, after.estimates, after.measures) == (before.counts, before.estimates, before.measures)


def test_a_task_whose_reference_has_no_labels_is_not_watched_for_harm(reference: Frozen) -> None:
    def with_tone(rows: Seen) -> Seen:
        tone = replace(rows.tasks["intent"], right=None)
        return replace(rows, tasks=rows.tasks | {"tone": tone, "new": tone})

    old = with_tone(reference.seen)
    old = replace(old, tasks={task: of for task, of in old.tasks.items() if task != "new"})
    found = measure(Frozen(old, reference.texts), with_tone(draw(np.random.default_rng(14), 60)))
    assert found.counts.keys() == {"accuracy/intent", "out_of_scope"}
    assert found.estimates.keys() == {"intent"}
    assert found.shift is not None
    assert found.shift.tasks.keys() == {"intent", "tone"}


def with_reviews(tickets: Seen, reviews: int, *, labelled: bool) -> Seen:
    """Beside the tickets, rows that lie elsewhere and are answered without any idea; people label the tickets alone."""
    of = tickets.tasks["intent"]
    assert of.shares is not None
    assert of.right is not None
    places = np.random.default_rng(reviews).normal(0, 0.1, size=(reviews, tickets.embeddings.shape[1]))
    places[:, -1] -= 12
    together = OfTask(
        np.append(of.confidences, np.full(reviews, 1 / 3)),
        np.vstack([of.shares, np.full((reviews, 3), 1 / 3)]),
        np.append(of.right, np.full(reviews, np.nan)) if labelled else None,
    )
    return Seen(np.vstack([tickets.embeddings, places]).astype(np.float32), {"intent": together})


@pytest.mark.parametrize("doubt", [0.0, 0.9])
def test_rows_of_a_kind_that_a_task_has_no_labels_of_say_nothing_of_it(doubt: float, reference: Frozen) -> None:
    tickets = draw(np.random.default_rng(20), 200, doubt=doubt)
    known = frozen(with_reviews(reference.seen, 150, labelled=True))
    alone, found = measure(reference, tickets), measure(known, with_reviews(tickets, 80, labelled=False))
    one, other = (of.counts["accuracy/intent"] for of in (alone, found))
    assert other.rows == 200
    assert (other.bad, other.allowed) == (pytest.approx(one.bad, abs=2), pytest.approx(one.allowed, abs=0.01))
    assert found.estimates["intent"].by_threshold == pytest.approx(alone.estimates["intent"].by_threshold, abs=0.02)
    # All in all the doubt of the second window is an alarm, and that of the first is none.
    assert (one.bad / one.rows > one.allowed) == (doubt > 0)


def test_of_a_window_without_rows_that_a_task_is_asked_of_nothing_is_said_of_it(reference: Frozen) -> None:
    known = frozen(with_reviews(reference.seen, 150, labelled=True))
    nothing = draw(np.random.default_rng(20), 0)
    found = measure(known, with_reviews(nothing, 80, labelled=False))
    assert found.counts.keys() == {"out_of_scope"}
    assert found.estimates == {}


def test_label_proportions_are_named_and_of_rows_that_have_numbers() -> None:
    def rows(counts: tuple[int, int]) -> Seen:
        shares = np.repeat(np.array([[0.999, 0.001], [0.001, 0.999]], np.float32), counts, axis=0)
        both = seen(shares=shares)
        return replace(both, tasks=both.tasks | {"topics": OfTask(np.ones(len(shares)))})

    window = rows((20, 60))
    shares = window.tasks["intent"].shares
    assert shares is not None
    shares[:10] = np.nan
    heads = {
        "intent": SingleLabelHead(column="intent", labels=("refund", "praise")),
        "topics": MultiLabelHead(column="topics", labels=("a", "b")),
        "unseen": SingleLabelHead(column="unseen", labels=("a", "b")),
    }
    found = label_proportions(rows((50, 50)), window, heads)
    assert found.keys() == {"intent"}
    assert found["intent"] == pytest.approx({"refund": 1 / 7, "praise": 6 / 7}, abs=0.01)
    assert label_proportions(rows((50, 50)), rows((0, 0)), heads) == {}


def test_a_policy_is_read_from_words_and_unknown_ones_are_refused() -> None:
    found = DriftPolicy.model_validate({"statistics": [{"kind": "embedding_distance", "features": 32}], "alpha": 0.01})
    assert [(statistic.kind, found.alpha) for statistic in found.statistics] == [("embedding_distance", 0.01)]
    assert len(POLICY.statistics) == 6
    for wrong in ({"alhpa": 0.1}, {"statistics": []}, {"run_length": 99}, {"statistics": [{"kind": "mmd"}]}):
        with pytest.raises(ValueError, match="validation error"):
            DriftPolicy.model_validate(wrong)
