import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from data_contracts.artifacts import Judgement, ModelVersion, Reference, TrainedModel
from tasks.evaluation.differences import Difference, write_evidence
from tasks.evaluation.pages import ReportFacts, lineage_page
from tasks.evaluation.report import MISTAKES_SHOWN, Evidence, make_report, results_table
from tasks.evaluation.scoring import Score, score_splits, write_scores
from tasks.modeling.heads import (
    AnyHead,
    HeadsAdapter,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    TokenTagHead,
)

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("refund", "praise")),
    "urgency": RegressionHead(column="urgency"),
}
NASTY = "<script>alert('x')</script> & <b>bold</b>"
FACTS = ReportFacts(
    pipeline="shop", contract="tickets", text_column="text", rows={"train": 9, "test": 20}, quarantined={"test": 3}
)
PNG = b"\x89PNG\r\n\x1a\n"


def judgement(champion: str | None) -> Judgement:
    return Judgement(
        digest="1" * 64, verdict="HOLD", reasons=("intent <i>so-so</i>",), candidate="c" * 64, champion=champion
    )


class Elements(HTMLParser):
    """Tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory, writers: Callable[[Path], tuple[Write, Write]]) -> Evidence:
    """Twenty rows that the model gets wrong, the one with markup most confidently, and two rows out of scope."""
    root = tmp_path_factory.mktemp("evidence")
    write_rows, write_model_answers = writers(root)
    texts = [NASTY, *(f"ticket {row}" for row in range(1, 20))]
    urgency = [row / 20 for row in range(20)]
    write_rows("test", text=texts, intent=["refund"] * 20, urgency=urgency)
    snapshot = write_rows("poems", text=["a rose", "a stone"], intent=[None, None], urgency=[0.1, 0.9])
    confidences = {"intent": [0.99 - row / 50 for row in range(20)]}
    for model in ("m", "majority", "tfidf"):
        write_model_answers(
            model, "poems", {"intent": ["refund", "praise"], "urgency": [0.1, 0.2]}, {"intent": [0.5] * 2}
        )
        answers = write_model_answers(model, "test", {"intent": ["praise"] * 20, "urgency": urgency}, confidences)
    (root / "model.json").write_text(json.dumps({"heads": HeadsAdapter.dump_python(HEADS, mode="json")}))
    write_scores(root / "scores.json", score_splits(snapshot, answers.parent / "m", HEADS, ["poems", "test"]))
    write_evidence(root / "evidence.json", [Difference("champion", "intent", "test", -0.0125, -0.5, 0.25, 20)])
    return Evidence(
        snapshot=snapshot,
        answers=answers.parent / "m",
        scores=root / "scores.json",
        baselines=answers.parent,
        differences=root / "evidence.json",
        model=root,
    )


@pytest.fixture(scope="module")
def folder(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report."""
    output = tmp_path_factory.mktemp("report")
    make_report(FACTS, evidence, judgement("d" * 64), output)
    return output


def test_the_page_fetches_nothing_and_holds_its_pictures(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    elements = Elements(page).found
    sources = [attributes["src"] or "" for tag, attributes in elements if tag == "img"]
    held = {base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True) for source in sources}
    assert held == {path.read_bytes() for path in folder.glob("*.png")}
    assert {path.stem for path in folder.glob("*.png")} == {"gap", "confusion_intent", "reliability_intent"}
    assert all(picture.startswith(PNG) for picture in held)
    assert {tag for tag, _ in elements}.isdisjoint({"link", "script", "iframe", "object", "base"})
    assert all({"href", "action", "srcset", "background"}.isdisjoint(attributes) for _, attributes in elements)
    assert not re.search(r"url\(|@import|https?://", page)


def test_markup_in_texts_and_reasons_is_shown_and_not_obeyed(folder: Path) -> None:
    elements = Elements((folder / "report.html").read_text(encoding="utf-8"))
    assert NASTY in elements.text
    assert "intent <i>so-so</i>" in elements.text
    assert {tag for tag, _ in elements.found}.isdisjoint({"script", "b", "i"})


def test_the_page_says_verdict_opponent_rows_and_change(folder: Path) -> None:
    text = Elements((folder / "report.html").read_text(encoding="utf-8")).text
    assert "shop HOLD" in text
    assert "against champion dddddddddddd" in text
    assert "Change since the champion" in text
    assert "-0.500 – +0.250" in text


def test_a_first_model_has_no_change_to_show(evidence: Evidence, tmp_path: Path) -> None:
    write_evidence(tmp_path / "evidence.json", [Difference("tfidf", "intent", "test", 0.1, 0.05, 0.25, 20)])
    make_report(FACTS, replace(evidence, differences=tmp_path / "evidence.json"), judgement(None), tmp_path)
    text = Elements((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "against both baselines" in text
    assert "Change since the champion" not in text


def test_mistakes_are_read_from_the_column_of_texts(
    evidence: Evidence, writers: Callable[[Path], tuple[Write, Write]], tmp_path: Path
) -> None:
    write_rows, _ = writers(tmp_path)
    urgency = [row / 20 for row in range(20)]
    write_rows("poems", number=["1", "2"], body=["a rose", "a stone"], intent=[None, None], urgency=[0.1, 0.9])
    bodies = [f"letter {row}" for row in range(20)]
    snapshot = write_rows("test", number=["x"] * 20, body=bodies, intent=["refund"] * 20, urgency=urgency)
    facts = FACTS.model_copy(update={"text_column": "body"})
    make_report(facts, replace(evidence, snapshot=snapshot), judgement(None), tmp_path)
    assert "letter 0" in Elements((tmp_path / "report.html").read_text(encoding="utf-8")).text


def test_mistakes_of_a_pair_show_both_texts(
    evidence: Evidence, writers: Callable[[Path], tuple[Write, Write]], tmp_path: Path
) -> None:
    write_rows, _ = writers(tmp_path)
    urgency = [row / 20 for row in range(20)]
    write_rows("poems", text=["a rose", "a stone"], intent=[None, None], urgency=[0.1, 0.9])
    texts, replies = [f"letter {row}" for row in range(20)], [None, *(f"reply {row}" for row in range(1, 20))]
    snapshot = write_rows("test", text=texts, reply=replies, intent=["refund"] * 20, urgency=urgency)
    facts = FACTS.model_copy(update={"pair_column": "reply"})
    make_report(facts, replace(evidence, snapshot=snapshot), judgement(None), tmp_path)
    page = Elements((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "letter 1 / reply 1" in page
    assert "letter 0 /" not in page


def test_every_kind_of_head_has_its_pictures_and_its_mistakes_in_words(
    writers: Callable[[Path], tuple[Write, Write]], tmp_path: Path
) -> None:
    heads: dict[str, AnyHead] = {
        "topics": MultiLabelHead(column="topics", labels=("refund", "praise")),
        "haste": OrdinalHead(column="haste", labels=("low", "middle", "high")),
        "places": TokenTagHead(column="places", labels=("O", "B-X", "I-X")),
        "urgency": RegressionHead(column="urgency"),
    }
    write_rows, write_model_answers = writers(tmp_path)
    places = [{"tokens": ["Oslo"], "tags": ["B-X"]}, {"tokens": ["so"], "tags": ["O"]}]
    lists = [["praise", "refund"], []]
    labels = {"topics": lists, "haste": ["low", "high"], "places": places, "urgency": [0.1, 0.2]}
    snapshot = write_rows("test", text=["first", "second"], **labels)
    given = {"topics": [["refund", "praise"], ["praise"]], "haste": ["low", "middle"], "places": [["O"], ["O"]]}
    sure = {"topics": [0.9, 0.6], "haste": [0.9, 0.8]}
    for model in ("m", "majority", "tfidf"):
        answers = write_model_answers(model, "test", {**given, "urgency": [0.1, 0.2]}, sure)
    (tmp_path / "model.json").write_text(json.dumps({"heads": HeadsAdapter.dump_python(heads, mode="json")}))
    write_scores(tmp_path / "scores.json", score_splits(snapshot, answers, heads, ["test"]))
    write_evidence(tmp_path / "differences.json", [])
    files = (tmp_path / "scores.json", answers.parent, tmp_path / "differences.json", tmp_path)
    (tmp_path / "report").mkdir()
    make_report(FACTS, Evidence(snapshot, answers, *files), judgement(None), tmp_path / "report")
    assert {path.stem for path in (tmp_path / "report").glob("*.png")} == {
        "gap", "reliability_topics", "reliability_haste", "confusion_haste",
    }  # fmt: skip
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    mistakes = re.findall(r"<td>(\w+)</td><td>([\w, ]+)</td><td>([\w, ]+)</td><td class=\"number\">0\.\d\d</td>", page)
    assert mistakes == [("haste", "high", "middle"), ("topics", "no label", "praise")]


def test_the_most_confident_mistakes_are_shown_first_and_no_more_than_a_page_of_them(folder: Path) -> None:
    text = Elements((folder / "report.html").read_text(encoding="utf-8")).text
    assert [row for row in range(1, 20) if f"ticket {row}\n" in f"{text}\n" or f"ticket {row}intent" in text] == list(
        range(1, MISTAKES_SHOWN)
    )
    assert text.index(NASTY) < text.index("ticket 1") < text.index("ticket 11")


def test_the_results_table_goes_by_task_then_in_domain_first_then_by_split() -> None:
    def scores(value: float, low: float | None) -> list[Score]:
        return [
            Score(task, split, metric, value, 7, primary, low, low)
            for split in ("noisy", "alien", "test")
            for task in ("urgency", "intent")
            for metric, primary in (("first", True), ("second", False))
        ]

    table = results_table({"graft": scores(0.9, 0.8), "majority": scores(0.1, None), "tfidf": scores(0.5, None)[:-2]})
    assert [(row["task"], row["split"]) for row in table] == [
        ("urgency", "in domain"),
        ("urgency", "alien"),
        ("urgency", "noisy"),
        ("intent", "in domain"),
        ("intent", "alien"),
        ("intent", "noisy"),
    ]
    assert {row["metric"] for row in table} == {"first"}
    assert {(row["graft"], row["low"], row["majority"], row["rows"]) for row in table} == {(0.9, 0.8, 0.1, 7)}
    assert [row["tfidf"] for row in table] == [0.5, 0.5, 0.5, None, 0.5, 0.5]


def test_the_table_beside_the_page_is_that_of_the_page(folder: Path) -> None:
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert [(row["task"], row["split"], row["metric"]) for row in table] == [
        ("intent", "in domain", "accuracy"),
        ("intent", "poems", "out_of_scope_auroc"),
        ("urgency", "in domain", "pearson"),
        ("urgency", "poems", "pearson"),
    ]
    # All twenty rows inside are more confident than those outside.
    assert [row["graft"] for row in table] == pytest.approx([0.0, 1.0, 1.0, 1.0])


def test_the_lineage_names_everything_a_version_was_made_from(trained_model: Callable[[str], TrainedModel]) -> None:
    version = ModelVersion(
        pipeline="shop",
        version=4,
        model=trained_model("c" * 64),
        reference=Reference(digest="8" * 64, model="c" * 64, rows=20),
        judgement=judgement("d" * 64),
        run_id="run",
        aliases=("challenger",),
    )
    page = lineage_page("shop", judgement("d" * 64), version)
    for part in (*(letter * 12 for letter in "57aced"), "version 4 (challenger)", "gate: HOLD"):
        assert part in page
    assert "majority and TF-IDF baselines" in lineage_page("shop", judgement(None), version)
    older = version.model_copy(update={"model": version.model.model_copy(update={"parents": ("5" * 64, "7" * 64)})})
    assert "contract" not in lineage_page("shop", judgement(None), older)
