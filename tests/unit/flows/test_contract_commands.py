"""`graft contract`, from the command line to its exit status, without a server."""

import gzip
import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from data_contracts.dataset import DATASETS, load_contract
from flows.__main__ import app
from flows.pipeline import PIPELINES

SAMPLES = DATASETS.parent / "samples" / "support"
TRAIN, TEST = SAMPLES / "train.jsonl", SAMPLES / "test.jsonl"


def graft(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["contract", *map(str, arguments)])


def write_rows(path: Path, rows: Sequence[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def tickets() -> list[dict[str, Any]]:
    """Rows that satisfy the contract `support`."""
    with TRAIN.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture
def support(tmp_path: Path) -> dict[str, Any]:
    """The content of the contract `support`."""
    content: dict[str, Any] = yaml.safe_load((DATASETS / "support.yaml").read_text(encoding="utf-8"))
    return content


def column(content: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in content["schema"][0]["properties"] if c["name"] == name)
    return found


def write_contract(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def test_the_command_that_checks_a_draft_reads_the_file_as_the_draft_did(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "my words.data", [{"words": ["one", "cat"], "user": n} for n in range(3)])
    draft, settings = tmp_path / "draft.yaml", ("--set-source", "columns={text: {join: words}}")
    said = graft("init", rows, "--kind", "json_lines", *settings, "--output", draft).stdout
    program, group, *arguments = shlex.split(said.partition("data: ")[2])
    assert (program, group) == ("graft", "contract")
    assert "does not have the columns" in graft("check", draft, rows, "--kind", "json_lines").stderr
    checked = graft(*arguments)
    assert checked.exit_code == 0, checked.output


def test_a_contract_is_drafted_to_the_terminal_and_called_after_the_file(tmp_path: Path) -> None:
    shutil.copyfile(TRAIN, tmp_path / "tickets.jsonl")
    result = graft("init", tmp_path / "tickets.jsonl", "--label", "urgency")
    assert result.exit_code == 0
    content = yaml.safe_load(result.stdout)
    assert content["name"] == "tickets"
    assert {"property": "role", "value": "label"} in column(content, "urgency")["customProperties"]


def test_a_file_called_by_its_split_lends_its_folders_name() -> None:
    assert yaml.safe_load(graft("init", TRAIN).stdout)["name"] == "support"
    assert yaml.safe_load(graft("init", TRAIN, "--name", "desk").stdout)["name"] == "desk"


def test_the_data_passes_the_contract_that_was_drafted_from_it(tmp_path: Path) -> None:
    draft = tmp_path / "drafted.yaml"
    assert graft("init", TRAIN, "--output", draft).exit_code == 0
    result = graft("check", draft, TRAIN)
    assert result.exit_code == 0
    assert "support 0.1.0: PASS\n" in result.stdout
    assert "all 1280 rows satisfy it" in result.stdout


def test_a_file_of_the_user_is_never_replaced_without_being_asked(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("precious", encoding="utf-8")
    result = graft("init", TRAIN, "--output", mine)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert mine.read_text(encoding="utf-8") == "precious"
    assert graft("init", TRAIN, "--output", mine, "--force").exit_code == 0
    assert load_contract(str(mine)).name == "support"


def test_settings_of_the_source_make_columns_of_others(tmp_path: Path) -> None:
    rows = [{"words": ["in", "Hue", f"{n}"], "marks": ["O", "B-PLACE", "O"], "note": {"a": n}} for n in range(30)]
    path = write_rows(tmp_path / "places.jsonl", rows)
    assert "no contract has a type for" in graft("init", path).stderr
    settings = [
        *("--set-source", "columns.entities={tokens: words, tags: marks}"),
        *("--set-source", "columns.text={join: words}"),
        *("--set-source", "drop=[note]"),
    ]
    draft = tmp_path / "places.yaml"
    assert graft("init", path, "--output", draft, *settings).exit_code == 0
    assert load_contract(str(draft)).column("entities").tag_kinds == ("PLACE",)
    assert graft("check", draft, path, *settings).exit_code == 0


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["delimiter"], "'delimiter' is not of the form KEY=VALUE"),
        (["=;"], "is not of the form KEY=VALUE"),
        (["columns=text", "columns.text=body"], "'columns.text=body' is not of the form"),
        (["drop=[a"], "is not a YAML value"),
        (["delimeter=;"], "delimeter: unknown key"),
    ],
)
def test_a_setting_of_the_source_that_cannot_be_used_is_named(settings: list[str], complaint: str) -> None:
    result = graft("init", TRAIN, *(part for entry in settings for part in ("--set-source", entry)))
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_draft_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    result = graft("init", TRAIN, "--output", tmp_path / "absent" / "draft.yaml")
    assert result.exit_code == 2
    assert "Choose another --output" in result.stderr


def test_a_contract_alone_is_shown_with_its_rules() -> None:
    result = graft("check", "support")
    assert result.exit_code == 0
    assert "16 labels: order_status, cancel_order" in result.stdout
    assert "up to 2.0% of a split's rows" in result.stdout


def test_the_mistakes_of_a_contract_are_all_said(tmp_path: Path, support: dict[str, Any]) -> None:
    support["ownr"] = "me"
    column(support, "text")["logicalType"] = "words"
    result = graft("check", write_contract(tmp_path / "broken.yaml", support), TRAIN)
    assert result.exit_code == 2
    assert "2 mistake(s)" in result.stderr
    assert "ownr: unknown key" in result.stderr


def test_a_row_that_breaks_a_rule_is_shown_with_its_place(tmp_path: Path, tickets: list[dict[str, Any]]) -> None:
    tickets[16]["sentiment"] = "furious"
    path = write_rows(tmp_path / "tickets.jsonl", tickets)
    result = graft("check", "support", path, f"test={TEST}")
    assert result.exit_code == 0
    assert "PASS_WITH_QUARANTINE" in result.stdout
    assert f"{path}, row 17, sentiment: one of negative, neutral, positive, found furious" in result.stdout
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.startswith((" te", " tr"))}
    assert rows == {"train": ["1,279", "1"], "test": ["325", "0"]}


def test_more_broken_rows_than_the_budget_end_with_2_and_ten_are_shown(
    tmp_path: Path, tickets: list[dict[str, Any]]
) -> None:
    for row in tickets[:30]:
        row["sentiment"] = "furious"
    result = graft("check", "support", write_rows(tmp_path / "tickets.jsonl", tickets))
    assert result.exit_code == 2
    assert "support 1.0.0: FAIL" in result.stdout
    assert "train: 30 of 1280 rows (2.3%)" in result.stdout
    assert result.stdout.count("found furious") == 10
    assert "... and 20 more" in result.stdout


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("rows.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 9)[:-9], "gzip"),
        ("rows.doc", b"", "does not say what kind of file it is"),
        ("rows.csv", b"text;language\na;en\n", "Set `delimiter: "),
        ("rows.jsonl", b"", "holds no rows"),
    ],
    # By themselves, names hold the time of compression: two processes then collect different tests.
    ids=["cut off", "unknown format", "other delimiter", "empty"],
)
def test_a_file_that_cannot_be_used_is_named_without_a_traceback(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = graft("check", "support", path)
    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_all_labelled_sources_of_a_pipeline_are_checked() -> None:
    result = graft("check", "support", "--pipeline", "support")
    assert result.exit_code == 0
    for split in ("train", "validation", "test", "vietnamese", "noisy", "fresh_week_2"):
        assert f" {split} " in result.stdout


def test_a_contract_that_did_not_change_breaks_nobody() -> None:
    result = graft("diff", "support", DATASETS / "support.yaml", "--exit-code")
    assert result.exit_code == 0
    assert "say the same" in result.stdout


def test_a_change_names_the_heads_that_it_breaks_and_the_version_it_asks_for(
    tmp_path: Path, support: dict[str, Any]
) -> None:
    support["version"] = "1.1.0"
    column(support, "intent")["customProperties"][1]["value"].append("gift_card")
    column(support, "text")["logicalTypeOptions"]["maxLength"] = 3000
    after = write_contract(tmp_path / "after.yaml", support)
    result = graft("diff", "support", after)
    assert result.exit_code == 0
    assert "breaks pipeline support:" in result.stdout
    assert "head intent (a label more: gift_card; its model must be trained again)" in result.stdout
    assert "text column text (maxLength: was 2000, now 3000)" in result.stdout
    assert "head sentiment" not in result.stdout
    assert "a minor change; version 1.0.0 was raised to 1.1.0, as it should be" in result.stdout
    assert graft("diff", "support", after, "--exit-code").exit_code == 1


def test_a_change_for_people_breaks_no_pipeline(tmp_path: Path, support: dict[str, Any]) -> None:
    support["owner"] = "sales"
    result = graft("diff", "support", write_contract(tmp_path / "after.yaml", support), "--exit-code")
    assert result.exit_code == 0
    assert "pipeline support is not affected" in result.stdout
    assert "has to be raised from 1.0.0 to 1.0.1; it is 1.0.0" in result.stdout


def test_what_a_pipeline_can_no_longer_use_is_said(tmp_path: Path, support: dict[str, Any]) -> None:
    column(support, "urgency")["name"] = "haste"
    del support["schema"][0]["properties"][0]
    result = graft("diff", "support", write_contract(tmp_path / "after.yaml", support), "--exit-code")
    assert result.exit_code == 1
    assert "head urgency (renamed to haste)" in result.stdout
    assert "text column text (the column is gone)" in result.stdout
    assert "it cannot use the contract: heads.urgency: contract support has no column 'urgency'" in result.stdout


def test_a_pipeline_of_ones_own_is_looked_at_where_it_uses_the_contract(
    tmp_path: Path, support: dict[str, Any]
) -> None:
    before = write_contract(tmp_path / "before.yaml", {**support, "id": "mine", "name": "mine"})
    column(support, "sentiment")["customProperties"][1]["value"] = ["positive", "neutral", "negative"]
    after = write_contract(tmp_path / "after.yaml", {**support, "id": "mine", "name": "mine"})
    pipeline = yaml.safe_load((PIPELINES / "support.yaml").read_text(encoding="utf-8"))
    pipeline["name"], pipeline["data"]["contract"] = "mine", "before.yaml"
    pipeline["heads"] = {"mood": {"kind": "single_label", "column": "sentiment"}}
    pipeline["gate"], pipeline["evaluation"] = {}, {}
    mine = write_contract(tmp_path / "pipeline.yaml", pipeline)
    result = graft("diff", before, after, "--pipeline", mine)
    assert result.exit_code == 0
    assert "pipeline support" not in result.stdout
    assert "breaks pipeline mine:" in result.stdout
    assert "head mood (the labels stand in another order; its model must be trained again)" in result.stdout
    assert "cannot use" not in result.stdout


def test_brackets_in_labels_and_patterns_are_shown_and_not_obeyed(tmp_path: Path, support: dict[str, Any]) -> None:
    column(support, "language")["logicalTypeOptions"] = {"pattern": "^[a-z]{2}$"}
    rules = {rule["property"]: rule for rule in column(support, "intent")["customProperties"]}
    rules["labels"]["value"] = ["[bold] claim", "[/] other", *rules["labels"]["value"]]
    after = write_contract(tmp_path / "after.yaml", support)
    result = graft("diff", "support", after)
    assert all(said in result.stdout for said in ("[bold] claim", "[/] other"))
    assert "matches ^[a-z]{2}$" in graft("check", after).stdout


def test_the_help_of_graft_names_the_commands() -> None:
    assert "contract" in CliRunner().invoke(app, ["--help"]).stdout
    assert all(name in graft("--help").stdout for name in ("init", "check", "diff"))
