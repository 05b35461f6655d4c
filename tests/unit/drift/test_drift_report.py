"""The page about a window: what it shows of a decision, and that it holds whatever the window is like."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.drift import AccuracyEstimate, DriftDecision, DriftVerdict, Monitor, Shift
from tasks.drift.evidence import EvidenceFolders, SeenRows, WindowEvidence, drawn_positions, read_seen, rows_at
from tasks.drift.reference import freeze_reference
from tasks.drift.report import make_drift_report
from tasks.drift.report_texts import in_words, label_shares
from tasks.modeling.heads import AnyHead, MultiLabelHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.modeling.label_scores import write_label_scores
from tasks.modeling.limits import TokenLimit
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import words_of

Write = Callable[..., Path]
NASTY = "<script>alert('x')</script> & <b>$bold$</b>"
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("refund", "praise")),
    "topics": MultiLabelHead(column="topics", labels=("pets", "post")),
    "entities": TokenTagHead(column="entities", labels=("O", "B-PLACE", "I-PLACE")),
    "urgency": RegressionHead(column="urgency"),
}


class Page(HTMLParser):
    """Tags of a page with their attributes, its text, and the cells of its tables row by row."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.in_cell = False
        self.feed((folder / "report.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data

    @property
    def anchors(self) -> list[str | None]:
        return [attributes["id"] for tag, attributes in self.found if tag == "section"]


def decision(verdict: DriftVerdict = "HARMFUL", window: str = "week_2", **facts: Any) -> DriftDecision:
    return DriftDecision(
        pipeline="/somewhere/support.yaml",
        window=window,
        window_digest="a" * 64,
        model_version=3,
        verdict=verdict,
        retrain=verdict == "HARMFUL",
        reasons=("audit of <i>intent</i>: 9 of 30 wrong",),
        decided_at=datetime(2026, 8, 17, 6, 30, tzinfo=UTC),
        **facts,
    )


def monitor(log_evidence: float, bad: int = 9) -> Monitor:
    return Monitor(
        name="audit/intent",
        labelled=True,
        rows=30,
        bad=bad,
        allowed=0.1,
        log_e=2.5,
        bets=(log_evidence,) * 5,
        log_evidence=log_evidence,
    )


SHIFT = Shift(
    p_value=0.001,
    level=0.01,
    effect=0.4,
    effect_low=0.3,
    effect_high=0.5,
    tasks={"intent": 0.002, "topics": 0.9},
    views={"embeddings": 8.25},
)
ESTIMATE = AccuracyEstimate(reference=0.9, by_threshold=0.8, by_confidence=0.85, error=0.03)


def rows(texts: list[str], place: float) -> SeenRows:
    count = len(texts)
    random = np.random.default_rng(count)
    return SeenRows(
        texts,
        (place + random.normal(size=(count, 4))).astype(np.float32),
        {
            "intent": ["refund" if number % 4 else "praise" for number in range(count)],
            "topics": [["pets"] if number % 2 else [] for number in range(count)],
            "entities": [["B-PLACE" if at == 1 else "O" for at, _ in enumerate(words_of(text))] for text in texts],
            "urgency": [0.123456] * count,
        },
        {task: np.full(count, 0.75) for task in HEADS if task != "urgency"},
    )


@pytest.fixture(scope="module")
def evidence() -> WindowEvidence:
    """A window about cats in Hue, and one nasty text far away, against a reference about the post."""
    window = rows([f"cats Hue {number}" for number in range(39)] + [NASTY], 21.0)
    window.embeddings[39] *= -1
    return WindowEvidence(
        decision(
            shift=SHIFT, monitors=(monitor(8.25),), estimates={"intent": ESTIMATE}, measures={"broken share": 0.0125}
        ),
        HEADS,
        1_040,
        window,
        rows([f"post Hue {number % 7}" for number in range(80)], 20.0),
        earlier=(decision("QUIET", "week_1", monitors=(monitor(0.5, 2),)),),
        levels={"audit/intent": 7.6, "accuracy/intent": 8.3},
        proportions={"intent": {"refund": 0.9, "praise": 0.1}},
    )


@pytest.fixture(scope="module")
def folder(evidence: WindowEvidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("drift_report")
    make_drift_report(evidence, output)
    return output


def test_the_page_fetches_nothing_and_obeys_no_markup_of_a_text(folder: Path) -> None:
    page = Page(folder)
    assert {tag for tag, _ in page.found}.isdisjoint({"script", "b", "i", "link", "iframe"})
    assert not re.search(r"url\(|@import|https?://", (folder / "report.html").read_text(encoding="utf-8"))
    assert NASTY in page.text
    assert "<" not in (folder / "report.md").read_text(encoding="utf-8")


def test_verdict_reasons_and_every_layer_are_there_in_order(folder: Path) -> None:
    page = Page(folder)
    assert page.anchors == ["why", "harm", "shift", "texts", "slices", "answers", "unlike", "quality"]
    assert "support, week_2 HARMFUL" in page.text
    assert "1,040 rows against version 3" in page.text
    assert "audit of <i>intent</i>: 9 of 30 wrong" in page.text
    assert {path.stem for path in folder.glob("*.png")} == {
        *("monitors", "map", "words"),
        *("labels_intent", "labels_topics", "labels_entities"),
    }


def test_the_tables_hold_what_was_measured(folder: Path) -> None:
    rows = Page(folder).rows
    assert ["audit/intent", "8.25", "7.60", "0.300", "0.100", "9", "30", "+2.50", "labels"] in rows
    assert ["intent", "0.900", "0.800", "0.850", "-0.100", "0.030"] in rows
    assert ["moved", "0.0010", "0.0100", "0.400", "0.300 – 0.500"] in rows
    assert ["intent", "0.0020"] in rows
    assert ["embeddings", "8.25"] in rows
    assert ["broken share", "0.0125"] in rows


def test_the_text_farthest_from_the_reference_comes_first_with_its_answers(folder: Path) -> None:
    rows = Page(folder).rows
    header = rows.index(["text", "answers", "distance"])
    first = rows[header + 1]
    assert first[0] == NASTY
    assert float(first[2]) > 10 > float(rows[header + 2][2])
    assert first[1] == "intent: refund (0.75) · topics: pets (0.75) · entities: PLACE script (0.75) · urgency: 0.123"


def test_an_alarm_and_a_loss_are_marked_and_what_holds_is_not(evidence: WindowEvidence, tmp_path: Path) -> None:
    make_drift_report(evidence, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'class="number bad">8.25<' in page
    assert 'class="number bad">-0.100<' in page
    calm = decision(
        "QUIET", monitors=(monitor(7.5, 3),), estimates={"intent": ESTIMATE.model_copy(update={"error": 0.2})}
    )
    make_drift_report(replace(evidence, decision=calm), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'class="number bad"' not in page
    assert 'class="number">7.50<' in page


def test_in_markdown_a_reader_finds_reasons_tables_and_the_three_pictures(folder: Path) -> None:
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "## Why" in page
    assert "| audit/intent | **8.25** | 7.60 |" in page


@pytest.mark.parametrize("verdict", ["QUIET", "BAD_DATA", "BENIGN", "UNKNOWN"])
def test_a_decision_without_measures_still_has_its_page(verdict: DriftVerdict, tmp_path: Path) -> None:
    make_drift_report(WindowEvidence(decision(verdict), HEADS, 0), tmp_path)
    page = Page(tmp_path)
    assert page.anchors == ["why"]
    assert f"support, week_2 {verdict}" in page.text
    assert "No retraining is asked for." in page.text


def test_a_window_of_one_row_and_one_without_answers_have_their_page(evidence: WindowEvidence, tmp_path: Path) -> None:
    make_drift_report(replace(evidence, window=rows(["cats"], 1.0)), tmp_path)
    assert "unlike" in Page(tmp_path).anchors
    nothing = {task: [None] * 40 for task in HEADS}
    unsure = {task: np.full(40, np.nan) for task in HEADS if task != "urgency"}
    silent = replace(evidence.window, answers=nothing, confidences=unsure)
    make_drift_report(replace(evidence, window=silent), tmp_path)
    page = Page(tmp_path)
    assert "answers" not in page.anchors
    assert " · ".join(f"{task}: no answer" for task in HEADS) in [row[1] for row in page.rows]


def test_rows_alike_in_window_and_reference_have_their_page(evidence: WindowEvidence, tmp_path: Path) -> None:
    same = replace(rows(["the same"] * 30, 0.0), embeddings=np.ones((30, 4), np.float32))
    make_drift_report(replace(evidence, window=same, reference=same), tmp_path)
    page = Page(tmp_path)
    assert "No word rose by more than chance explains." in page.text
    assert ("the same", "0.00") in [(row[0], row[-1]) for row in page.rows]


def test_label_shares_count_texts_whatever_the_kind_of_answer() -> None:
    assert label_shares(HEADS["intent"], ["refund", "refund", None, "praise"]) == {"refund": 2 / 3, "praise": 1 / 3}
    assert label_shares(HEADS["topics"], [["pets", "post"], ["post"], []]) == {"pets": 1 / 3, "post": 2 / 3}
    tags = [["B-PLACE", "I-PLACE", "B-PLACE"], ["O"]]
    assert label_shares(HEADS["entities"], tags) == {"PLACE": 0.5}
    assert label_shares(HEADS["intent"], []) == {}


def test_answers_are_shown_in_words() -> None:
    assert in_words(HEADS["entities"], ["O", "B-PLACE"], "to Hue") == "PLACE Hue"
    assert in_words(HEADS["entities"], ["O", "O"], "to you") == "none"
    assert in_words(HEADS["topics"], ["post", "pets"], "") == "pets, post"
    assert in_words(HEADS["urgency"], 0.123456, "") == "0.123"


def test_evidence_is_read_from_the_store_and_does_without_rows_that_are_gone(
    write_rows: Write, write_model_answers: Write, tmp_path: Path, tiny_encoder: Path
) -> None:
    heads = {"intent": HEADS["intent"]}
    for split, text in (("validation", "a"), ("test", "b"), ("window", "w")):
        snapshot = write_rows(split, text=[text, None], reply=["x", "y"], intent=["refund", "praise"])
        answers = write_model_answers(
            "m", split, {"intent": ["refund", "praise"]}, {"intent": [0.75, 0.5]}, [[1.0, 2.0], [3.0, 4.0]]
        )
        write_label_scores(answers, split, "intent", np.array([[1, 0], [0, 1]], np.float32))
    encoder = TextEncoder(tiny_encoder, TokenLimit())
    freeze_reference(snapshot, answers, heads, encoder, ("text", "reply"), tmp_path)
    whole = EvidenceFolders(snapshot, answers, tmp_path, snapshot, answers)
    window, reference = read_seen(whole, heads, ("text", "reply"))
    assert (window.texts, window.seconds, window.shown) == (["w", ""], ["x", "y"], ["w / x", "y"])
    assert window.confidences["intent"].tolist() == [0.75, 0.5]
    assert reference.shown == ["a / x", "y", "b / x", "y"]
    assert reference.answers == {"intent": ["refund", "praise"] * 2}
    # The second row of both splits is the same.
    assert reference.embeddings.tolist() == [[1, 2], [3, 4], [1, 2]]
    _, reference = read_seen(replace(whole, held_out_rows=None, held_out_answers=None), heads, ("text",))
    assert (reference.texts, reference.answers, len(reference.embeddings)) == ((), {}, 3)


def test_of_many_rows_some_are_drawn_from_all_files_alike(write_rows: Write) -> None:
    first, second = drawn_positions([30_000, 10_000])
    assert len(first) + len(second) == 20_000
    assert len(first) == pytest.approx(15_000, abs=250)
    assert (np.diff(first) > 0).all()
    assert second.max() < 10_000
    assert [len(of) for of in drawn_positions([3, 0, 2])] == [3, 0, 2]
    path = write_rows("window", text=[str(number) for number in range(200_000)]) / "window.parquet"
    taken = rows_at(path, np.array([0, 70_000, 131_071, 131_072, 199_999]), ["text", "reply"])
    assert taken.to_pydict() == {"text": ["0", "70000", "131071", "131072", "199999"]}
    assert rows_at(path, np.array([], dtype=np.intp)).num_rows == 0
