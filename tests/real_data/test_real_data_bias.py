"""Bias of a plain model of toxicity: comments of Wikipedia's talk pages, and the same with identity terms exchanged."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tasks.evaluation.asked import Replies, Rows
from tasks.evaluation.bias import Identity
from tasks.evaluation.case_results import Findings
from tasks.evaluation.cases import Invariance
from tasks.evaluation.edits import Original, Text
from tasks.evaluation.word_exchange import found_in
from tasks.modeling.heads import AnyHead, SingleLabelHead
from tasks.modeling.inference import Outputs
from tests.real_data.sets import DATASETS, needs_data

pytestmark = needs_data
HEADS: dict[str, AnyHead] = {"label": SingleLabelHead(column="label", labels=("nontoxic", "toxic"))}
RELIGIONS = ("catholic", "christian", "jewish", "muslim", "protestant", "sikh")
ORIENTATIONS = ("gay", "heterosexual", "homosexual", "lesbian", "queer", "transgender")


@dataclass(frozen=True)
class Comments:
    """Half of the comments to learn from, the others to ask about, each with its exchanged text and its label."""

    learnt: list[tuple[str, str]]
    asked: list[tuple[str, str, str]]

    def rows(self, model: Any, limit: int = 2000) -> Rows:
        """The comments to ask about, and what the model makes of them."""
        texts = [text for text, _, _ in self.asked]
        answers = [str(of) for of in model.predict(texts)]
        labels = [label for _, _, label in self.asked]
        originals = [Original(Text(text)) for text in texts]
        return Rows(originals, HEADS, {"label": labels}, {"label": answers}, limit=limit)


def fitted(examples: list[tuple[str, str]], stop_words: list[str] | None = None) -> Any:
    """TF-IDF of words with logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, stop_words=stop_words), LogisticRegression(C=10, max_iter=1000)
    )
    return model.fit([text for text, _ in examples], [label for _, label in examples])


def judged(case: Identity | Invariance, rows: Rows, model: Any) -> Findings:
    """The findings of a case on what the model replies."""
    plan = case.plan(rows)
    texts = list(dict.fromkeys(plan.texts))
    shares = model.predict_proba([text.text for text in texts])
    answers = [str(model.classes_[best]) for best in shares.argmax(axis=1)]
    outputs = Outputs({"label": answers}, {}, label_scores={"label": np.log(shares).astype(np.float32)})
    return plan.judge(Replies(HEADS, texts, outputs))


@pytest.fixture(scope="module")
def comments() -> Comments:
    """Every second comment for each purpose."""
    folder = DATASETS / "wiki_toxicity"
    plain, exchanged = (
        [json.loads(line) for line in (folder / name).open(encoding="utf-8")]
        for name in ("test.jsonl", "test_identity_swapped.jsonl")
    )
    pairs = list(zip(plain, exchanged, strict=True))
    assert len(pairs) == 1_492
    assert all(one["rev_id"] == other["rev_id"] for one, other in pairs)
    return Comments(
        [(one["text"], one["label"]) for one, _ in pairs[::2]],
        [(one["text"], other["text"], one["label"]) for one, other in pairs[1::2]],
    )


@pytest.fixture(scope="module")
def model(comments: Comments) -> Any:
    """The model of the comments as they were written."""
    return fitted(comments.learnt)


@pytest.fixture(scope="module")
def prejudiced(comments: Comments) -> Any:
    """A model that has seen the word `gay` in toxic comments alone."""
    return fitted([(f"gay {text}" if label == "toxic" else text, label) for text, label in comments.learnt])


def orientations(**settings: Any) -> Identity:
    """The same comment about other people."""
    groups = {term: [term] for term in ORIENTATIONS}
    return Identity.model_validate({"name": "o", "groups": groups, "label": "toxic", **settings})


def test_pairs_that_come_exchanged_are_judged_as_hand_written_ones(comments: Comments, model: Any) -> None:
    pairs = [(text, other) for text, other, _ in comments.asked if text != other and "{" not in text + other]
    assert len(pairs) > 300
    written = [{"before": text, "after": other} for text, other in pairs]
    case = Invariance.model_validate({"name": "exchanged", "kind": "invariance", "pairs": written})
    (result,) = judged(case, comments.rows(model), model).results
    changed = model.predict([text for text, _ in pairs]) != model.predict([other for _, other in pairs])
    assert (result.asked, result.failures) == (len(pairs), changed.sum())
    assert 0 < result.failures < len(pairs) / 4
    assert result.low < result.failures / len(pairs) < result.high


def test_a_model_that_has_learnt_a_prejudice_is_found_out(comments: Comments, model: Any, prejudiced: Any) -> None:
    before, after = (judged(orientations(), comments.rows(of), of) for of in (model, prejudiced))
    assert after.results[0].low > before.results[0].high
    shifts = {of.term: of.mean_shift for of in after.biases[0].terms}
    assert max(shifts, key=lambda term: shifts[term]) == "gay"
    assert shifts["gay"] > 0.2
    worst = after.biases[0].worst
    assert worst is not None
    assert "gay" in (worst.first, worst.second)


def test_nice_comments_that_mention_the_group_are_taken_for_toxic_more_often_as_dixon_and_others_found(
    comments: Comments, model: Any, prejudiced: Any
) -> None:
    measure = "false positive rate of toxic"
    nice = [text for text, _, label in comments.asked if label == "nontoxic" and found_in(text, ["gay"])]
    rates = []
    for of in (model, prejudiced):
        gaps = judged(orientations(minimum_rows=10), comments.rows(of), of).biases[0].gaps
        (gap,) = [found for found in gaps if (found.measure, found.group) == (measure, "gay")]
        assert (gap.rows, gap.rate) == (len(nice), (of.predict(nice) == "toxic").mean())
        assert gap.low is not None
        assert gap.low > 0
        rates.append(gap.rate)
    assert rates[0] < rates[1]


def test_a_model_that_does_not_see_the_terms_treats_all_alike(comments: Comments) -> None:
    blind = fitted(comments.learnt, stop_words=list(ORIENTATIONS))
    found = judged(orientations(), comments.rows(blind), blind)
    assert found.results[0].asked > 500
    assert found.results[0].failures == 0
    assert found.biases[0].worst is None


def test_what_the_data_set_exchanges_is_what_is_found_in_its_comments(comments: Comments) -> None:
    terms = [*RELIGIONS, *ORIENTATIONS, "jew"]
    changed = [(text, other) for text, other, _ in comments.asked if text != other]
    assert all(found_in(text, terms) for text, _ in changed)
