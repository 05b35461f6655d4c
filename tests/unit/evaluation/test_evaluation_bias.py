"""Identity terms exchanged, and rows that mention a group, on replies that are written down by hand."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.evaluation.asked import Replies, Rows
from tasks.evaluation.bias import Identity
from tasks.evaluation.case_results import Bias, Findings
from tasks.evaluation.edits import Original, Text
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead
from tasks.modeling.inference import Outputs

TONE = SingleLabelHead(column="tone", labels=("bad", "good"))
RELIGIONS = {"christian": ["christian", "church"], "muslim": ["muslim", "mosque"]}


def identity(**settings: Any) -> Identity:
    """A case as its YAML gives it."""
    return Identity.model_validate({"name": "who", "groups": RELIGIONS, "label": "bad", "minimum_rows": 1, **settings})


def judged(of: Identity, rows: Rows, share_of_bad: Callable[[str], float]) -> Findings:
    """The findings where `tone` is told by that function of a text."""
    plan = of.plan(rows)
    texts = list(dict.fromkeys(plan.texts))
    shares = np.array([share_of_bad(text.text) for text in texts])
    scores = np.log(np.stack([shares, 1 - shares], axis=1)).astype(np.float32)
    answers = ["bad" if share > 0.5 else "good" for share in shares]
    return plan.judge(Replies(rows.heads, texts, Outputs({"tone": answers}, {}, label_scores={"tone": scores})))


def rows(*texts: str, **settings: Any) -> Rows:
    """Rows of these texts, for `tone` alone."""
    return Rows([Original(Text(text)) for text in texts], **{"heads": {"tone": TONE}, **settings})


def bias(findings: Findings) -> Bias:
    """The one bias."""
    (found,) = findings.biases
    return found


def test_terms_are_exchanged_side_by_side_both_ways_and_in_the_case_that_is_there() -> None:
    planned = identity().plan(rows("A Muslim MOSQUE", "From church to mosque", "neither"))
    assert planned.texts == [
        *(Text("A Muslim MOSQUE"), Text("A Christian CHURCH")),
        *(Text("From church to mosque"), Text("From mosque to church")),
    ]


def test_a_term_that_stands_beside_two_is_exchanged_with_the_first() -> None:
    groups = {"women": ["she", "her", "her"], "men": ["he", "him", "his"]}
    planned = identity(groups=groups).plan(rows("She saw her", "his and him"))
    assert planned.texts[1::2] == [Text("He saw him"), Text("her and her")]


def test_answers_that_hang_on_the_group_are_counted_and_shown() -> None:
    found = judged(
        identity(max_failure_rate=0.5),
        rows("a muslim", "a church", "a mosque"),
        lambda text: 0.9 if "muslim" in text else 0.2,
    )
    (result,) = found.results
    # Neither of church and mosque is taken for bad.
    assert (result.kind, result.asked, result.failures, result.passed) == ("identity", 3, 1, True)
    assert (result.examples[0].before, result.examples[0].after) == ("a muslim", "a christian")
    assert (result.examples[0].answer_before, result.examples[0].answer_after) == ("bad", "good")


def test_a_shift_is_that_of_the_label_from_the_first_group_to_the_second_whichever_was_there() -> None:
    shares = {"muslim": 0.45, "mosque": 0.4, "christian": 0.25, "church": 0.3}
    found = bias(judged(identity(), rows("muslim", "church"), shares.__getitem__))
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.texts, pair.changed) == ("christian", "muslim", 2, 0)
    # 0.45 - 0.25 and 0.4 - 0.3.
    assert pair.mean_shift == pytest.approx(0.15)
    assert {(of.group, of.term): of.mean_shift for of in found.terms} == {
        ("muslim", "muslim"): pytest.approx(0.2),
        ("christian", "christian"): pytest.approx(-0.2),
        ("muslim", "mosque"): pytest.approx(0.1),
        ("christian", "church"): pytest.approx(-0.1),
    }
    assert found.worst == pair


def test_a_text_that_speaks_of_both_groups_may_change_its_answer_but_shifts_neither() -> None:
    shares = {"christian or muslim": 0.9, "muslim or christian": 0.1}
    found = bias(judged(identity(), rows("christian or muslim"), shares.__getitem__))
    assert (found.pairs[0].changed, found.pairs[0].mean_shift, found.terms) == (1, None, [])


def test_where_nothing_hangs_on_the_group_there_is_no_worst_pair() -> None:
    found = bias(judged(identity(), rows("a muslim", "a church"), lambda _: 0.3))
    assert found.worst is None
    assert [of.mean_shift for of in found.terms] == [0.0] * 4


def test_the_worst_pair_is_that_of_most_changes_among_pairs_of_enough_texts() -> None:
    groups = {name: [name] for name in ("a", "b", "c")}
    shares = {"a": 0.1, "b": 0.2, "c": 0.9}

    def share_of_bad(text: str) -> float:
        return shares[text.split()[-1]]

    texts = ["it is a", "was a", "from a", "and b"]
    found = bias(judged(identity(groups=groups, minimum_rows=2), rows(*texts), share_of_bad))
    # b and c have one text, which changes, too.
    assert [(of.first, of.second, of.texts, of.changed_share) for of in found.pairs] == [
        ("a", "b", 4, 0.0),
        ("a", "c", 3, 1.0),
        ("b", "c", 1, 1.0),
    ]
    assert found.worst == found.pairs[1]
    few = bias(judged(identity(groups=groups, minimum_rows=5), rows(*texts), share_of_bad))
    assert few.worst is None


def test_hand_written_texts_hold_every_term_of_each_pair_of_groups() -> None:
    of = identity(texts=["A {term} {who}"], lists={"who": ["man", "woman"]})
    texts = of.plan(rows()).texts
    pairs = {(before.text, after.text) for before, after in zip(texts[::2], texts[1::2], strict=True)}
    assert pairs == {
        *(("A christian man", "A muslim man"), ("A church man", "A mosque man")),
        *(("A christian woman", "A muslim woman"), ("A church woman", "A mosque woman")),
    }
    assert len(of.plan(rows("muslim", "christian", limit=1)).texts) == 4


def test_numbers_shift_in_their_own_units_and_without_a_label() -> None:
    urgency: dict[str, AnyHead] = {"urgency": RegressionHead(column="urgency", deviation=0.2)}
    plan = identity(label=None).plan(rows("muslim", heads=urgency))
    replies = Replies(urgency, plan.texts, Outputs({"urgency": [0.4, 0.7]}, {}))
    found = plan.judge(replies)
    assert found.results[0].failures == 1
    assert bias(found).pairs[0].mean_shift == pytest.approx(-0.3)
    assert bias(found).gaps == []


def test_rows_that_mention_a_group_are_held_against_all_others() -> None:
    # Of 4 rows of muslims 2 are wrong, both nice ones that are taken for bad; of 6 others 1 of 5 nice ones.
    texts = [*("muslim",) * 4, *("other",) * 6]
    labels = ["good", "good", "bad", "good", *["good"] * 5, "bad"]
    answers = ["bad", "bad", "bad", "good", "bad", *["good"] * 4, "bad"]
    given = {"labels": {"tone": labels}, "answers": {"tone": answers}}
    found = bias(judged(identity(minimum_rows=3), rows(*texts, **given), lambda _: 0.3)).gaps
    by = {(of.measure, of.group): of for of in found}
    errors = by["error rate", "muslim"]
    assert (errors.rows, errors.rate, errors.others_rate) == (4, 0.5, pytest.approx(1 / 6))
    taken = by["false positive rate of bad", "muslim"]
    assert (taken.rows, taken.rate, taken.others_rate) == (3, pytest.approx(2 / 3), 0.2)
    assert taken.gap == pytest.approx(2 / 3 - 0.2)
    assert by["error rate", "christian"].too_small_to_say


def test_a_row_without_a_label_says_nothing_of_its_group() -> None:
    given = {"labels": {"tone": ["good", None, "good"]}, "answers": {"tone": ["bad", "bad", "good"]}}
    found = bias(judged(identity(), rows("muslim", "muslim", "other", **given), lambda _: 0.3))
    assert {of.rows for of in found.gaps if of.group == "muslim"} == {1}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"groups": {"a": ["x", "y"], "b": ["z"]}},
            "as many terms each, to exchange the first with the first; found a 2, b 1",
        ),
        ({"groups": {"a": ["x"], "b": ["X"]}}, "'x' is of a and of b"),
        ({"groups": {"a": ["x"]}}, "at least 2 items"),
        ({"texts": ["no place"]}, "'no place' has no place {term}"),
        ({"texts": ["{term} {who}"]}, r"\{who\} has no list"),
        ({"lists": {"term": ["a"]}, "texts": ["{term}"]}, "take another name"),
    ],
)
def test_a_case_that_cannot_be_meant_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        identity(**settings)


def test_all_mistakes_of_a_case_are_said_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        identity(groups={"a": ["x", "y"], "b": ["X"]}, texts=["no place"])
    for said in ("found a 2, b 1", "'x' is of a and of b", "no place {term}"):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tasks": ["mood"]}, "no head is called mood"),
        ({"label": "odd"}, "no task answers with the one label odd"),
        ({"tasks": ["urgency"]}, "no task answers with the one label bad"),
    ],
)
def test_what_a_case_names_and_the_heads_have_not_is_said(settings: Mapping[str, Any], said: str) -> None:
    heads: dict[str, AnyHead] = {"tone": TONE, "urgency": RegressionHead(column="urgency")}
    (problem,) = identity(**settings).misfits(heads)
    assert said in problem
    assert identity().misfits(heads) == []
