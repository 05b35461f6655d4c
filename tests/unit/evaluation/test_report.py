import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from data_contracts.artifacts import Judgement, ModelVersion, Reference, TrainedModel, ValidatedSnapshot
from tasks.evaluation.assessing import LABEL_ERRORS, assess_answers
from tasks.evaluation.case_results import CaseResult, Example, Findings, write_findings
from tasks.evaluation.checks import Check, write_checks
from tasks.evaluation.differences import Difference, write_evidence
from tasks.evaluation.label_errors import Suspect, write_suspects
from tasks.evaluation.latency import Latency, ModelCost, write_cost
from tasks.evaluation.pages import ReportFacts, lineage_page, origin_of
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.report import MISTAKES_SHOWN, Evidence, make_report, results_table
from tasks.evaluation.report_scores import changes
from tasks.evaluation.report_slices import slices
from tasks.evaluation.scoring import Score
from tasks.evaluation.slices import GroupScore
from tasks.modeling.heads import (
    AnyHead,
    HeadsAdapter,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    TokenTagHead,
)
from tasks.modeling.label_scores import write_label_scores
from tasks.reporting.markdown import plain
from tasks.reporting.sections import Cell

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


def write_assessment(folder: Path, snapshot: Path, answers: Path, heads: dict[str, AnyHead], splits: list[str]) -> Path:
    """All that is measured of a model's answers, and a label that is suspected."""
    folder.mkdir()
    assess_answers(snapshot, answers, heads, splits, ("text",), folder)
    write_suspects(folder / LABEL_ERRORS, {"intent": [Suspect("r7", NASTY, "refund", "praise", 0.01, 0.9)]})
    return folder


def write_judgement(folder: Path, differences: list[Difference]) -> Path:
    """What the gate publishes."""
    folder.mkdir()
    write_evidence(folder / "evidence.json", differences)
    checks = [Check("intent labels", "no row has x", "all labels", None), Check("skill", "+0.1", "above 0", True)]
    write_checks(folder / "checks.json", [*checks, Check("floor <u>", "0.500", "0.600 at least", False)])
    return folder


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory, writers: Callable[[Path], tuple[Write, Write]]) -> Evidence:
    """Twenty rows that the model gets wrong, the one with markup most confidently, and two rows out of scope."""
    root = tmp_path_factory.mktemp("evidence")
    write_rows, write_model_answers = writers(root)
    texts = [NASTY, *(f"ticket {row}" for row in range(1, 20))]
    urgency = [row / 20 for row in range(20)]
    channel = ["mail"] * 12 + ["chat"] * 8
    write_rows("test", text=texts, intent=["refund"] * 20, urgency=urgency, channel=channel)
    write_rows("validation", text=["a", "b"], intent=["refund", "praise"], urgency=[0.1, 0.2], channel=["mail", "chat"])
    snapshot = write_rows(
        "poems", text=["a rose", "a stone"], intent=[None, None], urgency=[0.1, 0.9], channel=["mail", "chat"]
    )
    confidences = {"intent": [0.99 - row / 50 for row in range(20)]}
    for model in ("m", "majority", "tfidf"):
        given: dict[str, list[object]] = {"intent": ["refund", "praise"], "urgency": [0.1, 0.2]}
        for split in ("poems", "validation"):
            write_model_answers(model, split, given, {"intent": [0.5] * 2}, embeddings=[[0.0, 1.0], [1.0, 0.0]])
        answers = write_model_answers(
            model, "test", {"intent": ["praise"] * 20, "urgency": urgency}, confidences, embeddings=[[1.0, 1.0]] * 20
        )
    # The encoder before training answers classifiers alone.
    for split, count in (("poems", 2), ("validation", 2), ("test", 20)):
        write_model_answers("zero_shot", split, {"intent": ["refund"] * count}, {"intent": [0.6] * count})
    own = answers.parent / "m"
    scores = np.log(np.array([[1 - c, c] for c in confidences["intent"]], dtype=np.float32))
    write_label_scores(own, "test", "intent", scores)
    for split in ("poems", "validation"):
        write_label_scores(own, split, "intent", np.zeros((2, 2), dtype=np.float32))
    (root / "model.json").write_text(json.dumps({"heads": HeadsAdapter.dump_python(HEADS, mode="json")}))
    example = Example("before " + NASTY, "refund", "after", "praise")
    case = CaseResult("typing errors", "invariance", "intent", 20, 4, 0.2, 0.1, 0.4, 0.1, False, [example])
    write_findings(root / "probes.json", Findings([case]))
    latency = (Latency(1, 200, 2.0, 3.5, 480.0), Latency(32, 20, 20.0, 24.0, 1500.0))
    write_cost(root / "cost.json", ModelCost("a machine", 22_700_000, 91_000_000, latency))
    return Evidence(
        snapshot=snapshot,
        answers=own,
        assessment=write_assessment(root / "assessment", snapshot, own, HEADS, ["poems", "test"]),
        baselines=answers.parent,
        judgement=write_judgement(
            root / "judgement", [Difference("champion", "intent", "test", -0.0125, -0.5, 0.25, 20)]
        ),
        model=root,
        probes=root / "probes.json",
        cost=root / "cost.json",
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
    assert {path.stem for path in folder.glob("*.png")} == {"changes", "gap", "confusion_intent", "reliability_intent"}
    assert all(picture.startswith(PNG) for picture in held)
    assert {tag for tag, _ in elements}.isdisjoint({"link", "script", "iframe", "object", "base"})
    assert all({"action", "srcset", "background"}.isdisjoint(attributes) for _, attributes in elements)
    # Links lead to parts of the page, each of which is there.
    links = {(attributes["href"] or "") for _, attributes in elements if "href" in attributes}
    assert links == {f"#{attributes['id']}" for tag, attributes in elements if tag == "section"}
    assert not re.search(r"url\(|@import|https?://", page)


def test_markup_in_texts_and_reasons_is_shown_and_not_obeyed(folder: Path) -> None:
    elements = Elements((folder / "report.html").read_text(encoding="utf-8"))
    assert NASTY in elements.text
    assert "floor <u>" in elements.text
    assert {tag for tag, _ in elements.found}.isdisjoint({"script", "b", "i", "u"})


def test_the_page_says_verdict_opponent_rows_and_change(folder: Path) -> None:
    text = Elements((folder / "report.html").read_text(encoding="utf-8")).text
    assert "shop HOLD" in text
    assert "against champion dddddddddddd" in text
    assert "Change since the champion" in text
    assert "-0.500 – +0.250" in text


def test_the_page_says_which_version_the_champion_is_and_that_a_person_made_it_champion(
    evidence: Evidence, tmp_path: Path
) -> None:
    facts = FACTS.model_copy(update={"champion": "version 3, 2026-11-24 override by ann: <b>stale rows</b>"})
    make_report(facts, evidence, judgement("d" * 64), tmp_path)
    elements = Elements((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "against champion version 3, 2026-11-24 override by ann: <b>stale rows</b> ·" in elements.text
    assert "b" not in {tag for tag, _ in elements.found}
    assert "d" * 12 not in elements.text


def test_a_first_model_is_shown_beside_the_baselines(evidence: Evidence, tmp_path: Path) -> None:
    differences = [Difference("tfidf", "intent", "test", 0.1, 0.05, 0.25, 20)]
    make_report(
        FACTS, replace(evidence, judgement=write_judgement(tmp_path / "j", differences)), judgement(None), tmp_path
    )
    text = Elements((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "against both baselines" in text
    assert "Beside the baselines" in text
    assert "Change since the champion" not in text


def test_changes_in_domain_come_first_and_the_mean_of_one_task_is_left_out() -> None:
    of_task = [Difference("champion", "intent", split, 0.1, 0.05, 0.2, 20) for split in ("noisy", "test")]
    means = [replace(d, task=SKILL) for d in of_task]
    shown = changes(judgement("d" * 64), [*of_task, *means], GatePolicy()).tables[0].rows
    assert [row[:2] for row in shown] == [("intent", "in domain"), ("intent", "noisy")]
    other = [replace(d, task="mood") for d in of_task]
    shown = changes(judgement("d" * 64), [*of_task, *other, *means], GatePolicy()).tables[0].rows
    assert [row[0] for row in shown] == ["intent", "mood", SKILL] * 2


def test_a_task_that_is_beyond_its_own_margin_is_marked_so_and_the_margin_is_told() -> None:
    # Beyond half a point, and well within the two points of all others.
    found = [Difference("champion", task, "test", -0.012, -0.017, -0.007, 5000) for task in ("intent", "mood")]
    section = changes(judgement("d" * 64), found, GatePolicy(margin=0.02, margins={"intent": 0.005}))
    assert [(row[0], row[3]) for row in section.tables[0].rows] == [
        ("intent", Cell(-0.012, "bad")),
        ("mood", Cell(-0.012, "")),
    ]
    assert "the margin, -0.02, of intent -0.005: what lies" in section.note


def test_all_suspected_labels_lie_beside_the_page_that_shows_the_first(folder: Path) -> None:
    found = json.loads((folder / "label_errors.json").read_text(encoding="utf-8"))
    assert [(split, suspect["id"]) for split, of in found.items() for suspect in of["intent"]] == [("test", "r7")]


def test_a_group_that_is_better_than_the_whole_is_no_worst_one() -> None:
    gaps = {"a": 0.1, "b": -0.1}
    groups = [
        GroupScore("intent", "test", "channel", g, 0.7 + gap, 40, gap, -0.1, 0.1, True) for g, gap in gaps.items()
    ]
    found = slices([*groups, replace(groups[0], slice="language")])
    assert found is not None
    assert [row[3] for row in found.tables[0].rows] == ["b"]
    assert len(found.tables[1].rows) == 3


def test_what_decided_stands_on_top_and_every_check_below(folder: Path) -> None:
    text = Elements((folder / "report.html").read_text(encoding="utf-8")).text
    decided = text.index("floor <u>: 0.500; asked: 0.600 at least; not passed (REJECT)")
    assert decided < text.index("All 3 checks") < text.index("Every task, in and out of domain", decided)
    marks = [text.index(mark, decided) for mark in ("not passed: REJECT", "+0.1above 0passed", "not judged")]
    assert marks == sorted(marks)


def test_the_same_stands_in_markdown_where_markup_in_texts_is_shown_too(folder: Path) -> None:
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert "## Change since the champion" in page
    assert "| task | split | metric |" in page
    assert page.count("data:image/png;base64,") == 2
    assert "<" not in page
    assert r"&lt;script&gt;alert('x')&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt;" in page
    # What is folded on the page is left out.
    assert "## All metrics" not in page
    assert plain("a|b *c* _d_ `e` [f](g)") == r"a\|b \*c\* \_d\_ \`e\` \[f\](g)"


def test_every_measurement_has_its_section(folder: Path) -> None:
    elements = Elements((folder / "report.html").read_text(encoding="utf-8"))
    anchors = [attributes["id"] for tag, attributes in elements.found if tag == "section"]
    assert anchors == [
        *("gate", "changes", "results", "slices", "confusion", "calibration", "scope", "behaviour"),
        *("mistakes", "labels", "speed", "metrics", "rows"),
    ]
    for shown in ("channel", "chat", "energy", "typing errors", "22.7 million parameters"):
        assert shown in elements.text
    assert "too few to say" in elements.text


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
        "haste": OrdinalHead(column="haste", labels=("low", "middle", "high", "緊急")),
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
    write_label_scores(
        answers.parent / "m", "test", "haste", np.log(np.array([[0.9, 0.04, 0.04, 0.02], [0.1, 0.8, 0.05, 0.05]]))
    )
    assessment = write_assessment(tmp_path / "assessment", snapshot, answers.parent / "m", heads, ["test"])
    verdict = write_judgement(tmp_path / "judgement", [])
    (tmp_path / "report").mkdir()
    own = Evidence(snapshot, answers.parent / "m", assessment, answers.parent, verdict, tmp_path)
    make_report(FACTS, own, judgement(None), tmp_path / "report")
    assert {path.stem for path in (tmp_path / "report").glob("*.png")} == {
        "gap", "reliability_topics", "reliability_haste", "reliability_places", "confusion_haste",
    }  # fmt: skip
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "haste, where no. 4 is 緊急" in page
    cell = r'<td class="name"><span>([\w, ]+)</span></td>'
    mistakes = re.findall(rf'{cell * 3}<td class="number">0\.\d\d</td></tr>', page)
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
    assert [row["zero_shot"] for row in table] == [1.0, 0.5, None, None]
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
    # A model names its rows and tokens; the contract is that of the rows.
    page = lineage_page("shop", judgement("d" * 64), version, "f" * 64)
    for part in (*(letter * 12 for letter in "57fced"), "version 4 (challenger)", "gate: HOLD"):
        assert part in page
    assert "- intent &lt;i&gt;so-so&lt;/i&gt;\n" in page
    assert "majority and TF-IDF baselines" in lineage_page("shop", judgement(None), version, "f" * 64)


def test_where_a_model_comes_from_says_how_much_of_the_pre_trained_encoder_is_in_it(
    trained_model: Callable[[str], TrainedModel],
) -> None:
    model = trained_model("a" * 64)
    rows = ValidatedSnapshot(digest="b" * 64, contract="c", contract_digest="c" * 64, rows={}, quarantined={})
    assert origin_of(model, rows)["training"] == "epoch 1 of 2, validation skill 0.500"
    mixed = model.model_copy(update={"pretrained_share": 0.2})
    assert origin_of(mixed, rows)["training"] == (
        "epoch 1 of 2, with 20% of the pre-trained encoder, validation skill 0.500"
    )
