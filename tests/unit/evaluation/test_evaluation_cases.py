"""Cases of each kind, judged on replies that are written down by hand."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from data_contracts.cleaning import Cleaning
from tasks.evaluation.asked import Replies, Rows
from tasks.evaluation.case_results import CaseResult, Findings
from tasks.evaluation.edits import Entity, Original, Text
from tasks.evaluation.intervals import wilson_interval
from tasks.evaluation.probes import AnyCase
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.modeling.inference import Outputs

HEADS: dict[str, AnyHead] = {
    "tone": SingleLabelHead(column="tone", labels=("bad", "good"), temperature=2.0),
    "level": OrdinalHead(column="level", labels=("low", "high")),
    "urgency": RegressionHead(column="urgency", mean=0.5, deviation=0.2),
    "places": TokenTagHead(column="places", labels=("O", "B-PLACE", "I-PLACE")),
    "topics": MultiLabelHead(column="topics", labels=("x", "y")),
}


def rows(*texts: str, **settings: Any) -> Rows:
    """Rows of these texts."""
    return Rows([Original(Text(text)) for text in texts], **{"heads": HEADS, **settings})


def case(**settings: Any) -> AnyCase:
    """A case as its YAML gives it."""
    found: AnyCase = TypeAdapter(AnyCase).validate_python({"name": "a case", **settings})
    return found


def judged(of: AnyCase, among: Rows, said: Mapping[str, Mapping[str, Any]]) -> Findings:
    """The findings of a case on {task: {text: answer}}; of `tone`, an answer is the probability of `good`."""
    plan = of.plan(among)
    texts = list(dict.fromkeys(plan.texts))
    answers = {task: [of_task[text.text] for text in texts] for task, of_task in said.items()}
    scores = {}
    if "tone" in answers:
        shares = np.array(answers["tone"])
        # Twice the logarithm, which the head's temperature of 2 undoes.
        scores["tone"] = 2 * np.log(np.stack([1 - shares, shares], axis=1)).astype(np.float32)
        answers["tone"] = ["good" if share > 0.5 else "bad" for share in shares]
    heads = {task: among.heads[task] for task in said}
    return of.plan(Rows(**{**vars(among), "heads": heads})).judge(
        Replies(heads, texts, Outputs(answers, {}, label_scores=scores))
    )


def result(findings: Findings) -> CaseResult:
    """The one result."""
    (found,) = findings.results
    return found


def test_an_answer_that_changes_fails_and_texts_that_do_not_change_are_not_counted() -> None:
    lower = case(kind="invariance", edit={"kind": "casing", "to": "lower"})
    said = {"Aa": 0.9, "aa": 0.2, "Bb": 0.9, "bb": 0.6, "Cc": 0.1, "cc": 0.1}
    found = result(judged(lower, rows("Aa", "Bb", "small already", "Cc"), {"tone": said}))
    assert (found.asked, found.failures, found.failure_rate) == (3, 1, pytest.approx(1 / 3))
    (shown,) = found.examples
    assert (shown.before, shown.answer_before, shown.after, shown.answer_after) == ("Aa", "good", "aa", "bad")


def test_a_case_of_all_tasks_has_a_result_for_each_and_one_that_names_some_for_those() -> None:
    said: dict[str, dict[str, Any]] = {
        "tone": {"Aa": 0.9, "aa": 0.8},
        "urgency": {"Aa": 0.5, "aa": 0.61},
        "topics": {"Aa": ["x", "y"], "aa": ["y", "x"]},
    }
    settings = {"kind": "invariance", "edit": {"kind": "casing", "to": "lower"}}
    # Half a standard deviation is 0.1.
    everything = judged(case(**settings), rows("Aa"), said).results
    assert {of.task: of.failures for of in everything} == {"tone": 0, "urgency": 1, "topics": 0}
    some = judged(case(**settings, tasks=["urgency"], tolerance=0.12), rows("Aa"), said).results
    assert [(of.task, of.failures) for of in some] == [("urgency", 0)]


def test_a_tagger_has_to_find_as_many_entities_of_each_kind_wherever_they_are() -> None:
    dropped = case(kind="invariance", edit={"kind": "punctuation", "marks": "dropped"})
    said = {
        "In Oslo, now.": ["O", "B-PLACE", "O", "O", "O"],
        "In Oslo now": ["O", "B-PLACE", "I-PLACE"],
        "Lima, Oslo.": ["B-PLACE", "O", "B-PLACE", "O"],
        "Lima Oslo": ["B-PLACE", "I-PLACE"],
    }
    found = result(judged(dropped, rows("In Oslo, now.", "Lima, Oslo."), {"places": said}))
    assert (found.asked, found.failures) == (2, 1)
    assert found.examples[0].answer_before == ["PLACE Lima", "PLACE Oslo"]
    assert found.examples[0].answer_after == ["PLACE Lima Oslo"]


def test_an_answer_that_is_no_number_agrees_with_none() -> None:
    lower = case(kind="invariance", edit={"kind": "casing", "to": "lower"})
    assert result(judged(lower, rows("Aa"), {"urgency": {"Aa": math.nan, "aa": math.nan}})).failures == 1
    rises = case(kind="directional", task="urgency", expect="does_not_fall", edit={"kind": "casing", "to": "lower"})
    assert result(judged(rises, rows("Aa"), {"urgency": {"Aa": 0.5, "aa": math.nan}})).failures == 1


def test_pairs_are_written_by_hand_with_the_same_words_in_both() -> None:
    of = case(
        kind="invariance",
        tasks=["tone"],
        lists={"city": ["Oslo", "Lima"], "day": ["today"]},
        pairs=[{"before": "To {city} {day}", "after": "{day} to {city}"}, {"before": "{city}", "after": "{city}"}],
    )
    assert sorted(text.text for text in of.plan(rows()).texts) == [
        *("To Lima today", "To Oslo today"),
        *("today to Lima", "today to Oslo"),
    ]


@pytest.mark.parametrize(
    ("expect", "failed"),
    [
        ("rises", ["falls", "stays", "falls little"]),
        ("falls", ["rises", "stays", "rises little"]),
        ("does_not_rise", ["rises"]),
        ("does_not_fall", ["falls"]),
    ],
)
def test_the_probability_of_a_label_moves_as_it_should(expect: str, failed: list[str]) -> None:
    moves = {"rises": 0.3, "falls": -0.3, "stays": 0.0, "rises little": 0.05, "falls little": -0.05}
    said = dict.fromkeys(moves, 0.5) | {f"{name} Bad.": 0.5 - move for name, move in moves.items()}
    edit = {"kind": "template", "template": "{text} Bad."}
    of = case(kind="directional", task="tone", label="bad", expect=expect, edit=edit)
    found = result(judged(of, rows(*moves), {"tone": said}))
    assert found.asked == 5
    assert sorted(example.before for example in found.examples) == sorted(failed)
    assert found.examples[0].before in ("rises", "falls")
    assert {example.wanted for example in found.examples} == {f"bad {expect.replace('_', ' ')}"}


def test_without_a_label_that_of_the_first_answer_is_watched() -> None:
    of = case(kind="directional", task="tone", expect="falls", edit={"kind": "replaced", "words": {"is": "is not"}})
    said = {"It is fine": 0.9, "It is not fine": 0.6, "It is bad": 0.1, "It is not bad": 0.05}
    found = result(judged(of, rows("It is fine", "It is bad", "whatever"), {"tone": said}))
    # 0.9 of good fell to 0.6; 0.9 of bad rose to 0.95.
    assert (found.asked, found.failures) == (2, 1)
    assert found.examples[0].before == "It is bad"


def test_a_number_moves_as_it_should() -> None:
    edit = {"kind": "template", "template": "{text} Now!"}
    of = case(kind="directional", task="urgency", expect="rises", edit=edit)
    said = {"a": 0.2, "a Now!": 0.4, "b": 0.9, "b Now!": 0.9}
    assert result(judged(of, rows("a", "b"), {"urgency": said})).failures == 1


def test_a_text_has_to_get_its_answer() -> None:
    of = case(
        kind="expectation",
        task="tone",
        texts=["The {thing} is {how}"],
        answer="good",
        lists={"thing": ["fan", "tv"], "how": ["ok"]},
    )
    found = result(judged(of, rows(), {"tone": {"The fan is ok": 0.9, "The tv is ok": 0.3}}))
    assert (found.asked, found.failures) == (2, 1)
    assert (found.examples[0].before, found.examples[0].answer_before, found.examples[0].wanted) == (
        "The tv is ok",
        "bad",
        "good",
    )


def test_entities_are_expected_with_the_words_of_their_text() -> None:
    of = case(
        kind="expectation",
        task="places",
        texts=["To {city} at once"],
        answer=["PLACE {city}"],
        lists={"city": ["Da Nang", "Oslo"]},
    )
    said = {"To Da Nang at once": ["O", "B-PLACE", "I-PLACE", "O", "O"], "To Oslo at once": ["O", "O", "B-PLACE", "O"]}
    found = result(judged(of, rows(), {"places": said}))
    assert [(e.before, e.answer_before, e.wanted) for e in found.examples] == [
        ("To Oslo at once", ["PLACE at"], "PLACE Oslo")
    ]


def test_no_entity_and_no_label_can_be_expected() -> None:
    of = case(kind="expectation", task="topics", texts=["well"], answer=[])
    assert result(judged(of, rows(), {"topics": {"well": []}})).failures == 0
    assert result(judged(of, rows(), {"topics": {"well": ["x"]}})).examples[0].wanted == "none"


def test_several_labels_are_expected_in_any_order() -> None:
    of = case(kind="expectation", task="topics", texts=["well"], answer=["y", "x"])
    assert result(judged(of, rows(), {"topics": {"well": ["x", "y"]}})).failures == 0


@pytest.mark.parametrize(
    ("limits", "failed"),
    [({"at_least": 0.7}, {"a"}), ({"at_most": 0.7}, {"c"}), ({"at_least": 0.6, "at_most": 0.7}, {"a", "c"})],
)
def test_a_number_is_expected_within_limits(limits: dict[str, float], failed: set[str]) -> None:
    of = case(kind="expectation", task="urgency", texts=["a", "b", "c"], **limits)
    found = result(judged(of, rows(), {"urgency": {"a": 0.5, "b": 0.7, "c": 0.9}}))
    assert {example.before for example in found.examples} == failed
    assert (found.examples[0].wanted or "").startswith("at ")


def test_as_many_texts_are_asked_as_the_limit_says_and_the_same_ones_every_time() -> None:
    texts = [f"Text {number}" for number in range(50)]
    lower = case(kind="invariance", edit={"kind": "casing", "to": "lower"})
    assert len(lower.plan(rows(*texts, limit=7)).texts) == 14
    written = case(kind="expectation", task="tone", texts=["{n} {n}"], answer="good", lists={"n": texts})
    first, again, other = (written.plan(rows(limit=7, seed=seed)).texts for seed in (1, 1, 2))
    assert len(first) == 7
    assert first == again != other
    slips = case(kind="invariance", edit={"kind": "typing_errors"})
    assert slips.plan(rows(*texts)).texts == slips.plan(rows(*texts)).texts


def test_edited_texts_are_cleaned_as_the_model_reads_them_and_a_pair_keeps_its_second_text() -> None:
    pairs = Rows([Original(Text("Why", "Because"))], HEADS, cleaning=Cleaning(whitespace=True))
    edit = {"kind": "template", "template": "  {text}   so "}
    planned = case(kind="invariance", edit=edit).plan(pairs)
    assert planned.texts == [Text("Why", "Because"), Text("Why so", "Because")]


def test_entities_of_rows_are_exchanged() -> None:
    found = Rows([Original(Text("To Oslo"), (Entity("PLACE", 3, 7),))], HEADS)
    of = case(kind="invariance", edit={"kind": "entities", "entity": "PLACE", "others": ["Oslo", "Lima"]})
    assert of.plan(found).texts == [Text("To Oslo"), Text("To Lima")]


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "expectation", "task": "gone", "texts": ["a"], "answer": "b"},
        {"kind": "expectation", "task": "tone", "texts": ["a"], "at_least": 0.5},
        {"kind": "directional", "task": "gone", "expect": "falls", "pairs": [{"before": "a", "after": "b"}]},
        {
            "kind": "directional",
            "task": "tone",
            "label": "gone",
            "expect": "falls",
            "pairs": [{"before": "a", "after": "b"}],
        },
        {"kind": "invariance", "tasks": ["gone"], "pairs": [{"before": "a", "after": "b"}]},
    ],
)
def test_a_case_that_does_not_fit_the_heads_of_an_older_model_is_left_out(settings: dict[str, Any]) -> None:
    assert judged(case(**settings), rows(), {"tone": {"a": 0.5, "b": 0.5}}).results == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "invariance"}, "give either `edit`"),
        (
            {"kind": "invariance", "edit": {"kind": "numbers"}, "pairs": [{"before": "a", "after": "b"}]},
            "give either `edit`",
        ),
        ({"kind": "invariance", "pairs": [{"before": "{x}", "after": "b"}]}, r"\{x\} has no list; lists are none"),
        (
            {"kind": "invariance", "lists": {"y": ["b"]}, "pairs": [{"before": "a", "after": "b"}]},
            r"\{y\} stands in none",
        ),
        ({"kind": "expectation", "task": "t", "texts": ["a"]}, "give either `answer`"),
        ({"kind": "expectation", "task": "t", "texts": ["a"], "answer": "b", "at_most": 1}, "give either `answer`"),
        (
            {"kind": "expectation", "task": "t", "texts": ["a {x}", "b"], "answer": "{x}", "lists": {"x": ["1"]}},
            r"not all in \['b'\]",
        ),
        ({"kind": "directional", "task": "t", "edit": {"kind": "numbers"}}, "expect"),
        ({"kind": "expectation", "task": "t", "texts": ["{x}"], "answer": "b", "lists": {"x": []}}, "at least 1 item"),
        ({"kind": "invariance", "edit": {"kind": "numbers"}, "tolerence": 1}, "Extra inputs"),
    ],
)
def test_a_case_that_cannot_be_meant_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        case(**settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"kind": "invariance", "tasks": ["tone", "mood"], "edit": {"kind": "numbers"}},
            "no head is called mood; heads are tone",
        ),
        (
            {"kind": "directional", "task": "mood", "expect": "falls", "edit": {"kind": "numbers"}},
            "no head is called mood",
        ),
        (
            {"kind": "directional", "task": "tone", "label": "odd", "expect": "falls", "edit": {"kind": "numbers"}},
            "odd is no label of tone; labels are bad, good",
        ),
        (
            {"kind": "directional", "task": "urgency", "label": "odd", "expect": "falls", "edit": {"kind": "numbers"}},
            "odd is no label of urgency; labels are none",
        ),
        (
            {"kind": "directional", "task": "topics", "expect": "falls", "edit": {"kind": "numbers"}},
            "neither with one label nor with a number",
        ),
        ({"kind": "expectation", "task": "mood", "texts": ["a"], "answer": "b"}, "no head is called mood"),
        ({"kind": "expectation", "task": "tone", "texts": ["a"], "answer": "odd"}, "odd is no label of tone"),
        ({"kind": "expectation", "task": "tone", "texts": ["a"], "answer": ["good"]}, "answers with one label"),
        ({"kind": "expectation", "task": "tone", "texts": ["a"], "at_most": 1}, "no number: give `answer`"),
        ({"kind": "expectation", "task": "urgency", "texts": ["a"], "answer": "1"}, "a number: give `at_least`"),
        (
            {"kind": "expectation", "task": "places", "texts": ["a"], "answer": ["CITY Oslo"]},
            "B-CITY is no label of places",
        ),
        ({"kind": "expectation", "task": "topics", "texts": ["a"], "answer": "x"}, "answers with a list"),
    ],
)
def test_what_a_case_names_and_the_heads_have_not_is_said(settings: dict[str, Any], said: str) -> None:
    (problem,) = case(**settings).misfits(HEADS)
    assert said in problem


def test_a_case_that_fits_the_heads_has_nothing_to_complain_of() -> None:
    assert case(kind="invariance", edit={"kind": "numbers"}).misfits(HEADS) == []
    assert (
        case(kind="directional", task="level", label="low", expect="falls", edit={"kind": "numbers"}).misfits(HEADS)
        == []
    )
    assert case(kind="directional", task="urgency", expect="falls", edit={"kind": "numbers"}).misfits(HEADS) == []


@pytest.mark.parametrize("edit", [{"kind": "casing", "to": "upper"}, {"kind": "template", "template": "{text} Now."}])
def test_texts_of_one_group_count_as_one_for_the_interval_of_a_failure_rate(edit: dict[str, Any]) -> None:
    texts = [f"text {number}" for number in range(8)]
    heads: dict[str, AnyHead] = {"tone": HEADS["tone"]}
    of = case(kind="invariance", edit=edit, tasks=["tone"])

    def interval(clusters: list[int] | None) -> tuple[float, float]:
        among = rows(*texts, heads=heads, clusters=None if clusters is None else np.array(clusters))
        after = [text.text for text in of.plan(among).texts[1::2]]
        found = result(judged(of, among, {"tone": dict.fromkeys((*texts, *after), 0.9) | {after[0]: 0.1}}))
        assert (found.asked, found.failures) == (8, 1)
        return found.low, found.high

    assert interval(None) == interval(list(range(8))) == wilson_interval(1, 8)
    assert interval([0, 0, 1, 1, 2, 2, 3, 3]) == wilson_interval(1, 8, 4)


def test_texts_written_by_hand_stand_alone_where_rows_do_not() -> None:
    among = rows("a", "b", "c", clusters=np.array([5, 5, 6]))
    assert among.worth([Text("a"), Text("b")]) == 1
    assert among.worth([Text("by hand"), Text("another")]) == 2
    assert among.worth([Text("a"), Text("c"), Text("by hand")]) == 3
    assert rows("a").worth([Text("a")]) is None
