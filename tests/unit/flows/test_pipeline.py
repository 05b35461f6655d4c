import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.types.names import raise_on_name_alphanumeric_dashes_only
from pydantic import ValidationError

from data_contracts.errors import InputError
from flows.pipeline import PIPELINES, load_pipeline, pipeline_path, pipeline_reference
from tasks.ingestion.plan import planned_files

NAMES = sorted(path.stem for path in PIPELINES.glob("*.yaml"))
CONTRACT = {
    "apiVersion": "v3.0.2",
    "kind": "DataContract",
    "id": "letters",
    "name": "letters",
    "version": "1.0.0",
    "schema": [
        {
            "name": "letters",
            "properties": [
                {"name": "body", "logicalType": "string", "customProperties": [{"property": "role", "value": "text"}]},
                {"name": "sent_at", "logicalType": "timestamp"},
                {
                    "name": "topic",
                    "logicalType": "string",
                    "customProperties": [{"property": "labels", "value": ["bill", "thanks"]}],
                },
                {"name": "weight", "logicalType": "number"},
            ],
        }
    ],
}
LETTERS: dict[str, Any] = {
    "name": "letters",
    "data": {
        "contract": "contracts/letters.yaml",
        "train": {"kind": "json_lines", "path": "rows/train.jsonl"},
        "validation": {"kind": "csv", "path": "/data/validation.csv"},
        "test": {"kind": "parquet", "path": "s3://bucket/test.parquet"},
        "out_of_domain": {"old": {"kind": "json_lines", "path": "../old.jsonl"}},
        "windows": {"source": {"kind": "json_lines", "path": "windows/{window}.jsonl"}},
    },
    "encoder": {"name": "./encoder"},
    "tokenization": {"text_column": "body"},
    "heads": {"topic": {"kind": "single_label"}, "load": {"kind": "regression", "column": "weight"}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder outside the repository that holds a contract and the pipeline `letters.yaml`."""
    found = tmp_path / "mine"
    (found / "contracts").mkdir(parents=True)
    (found / "contracts" / "letters.yaml").write_text(yaml.safe_dump(CONTRACT), encoding="utf-8")
    write(found)
    return found


def write(folder: Path, **changes: Any) -> str:
    path = folder / "letters.yaml"
    path.write_text(yaml.safe_dump({**LETTERS, **changes}, sort_keys=False), encoding="utf-8")
    return str(path)


def complaint(name: str, overrides: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_pipeline(name, overrides)
    return str(caught.value)


# The pipelines that ship


def test_there_are_pipelines() -> None:
    assert "support" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_that_ships_loads_under_the_name_of_its_file_and_finds_its_sources(name: str) -> None:
    pipeline = load_pipeline(name)
    assert pipeline.name == name
    assert pipeline_reference(name) == name
    files = planned_files(pipeline.data, (), None)
    assert {file.split for file in files} >= {"train", "validation", "test"}
    assert [
        file.source.path for file in files if "://" not in file.source.path and not Path(file.source.path).is_file()
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_heads_come_with_the_columns_and_labels_of_the_contract(name: str) -> None:
    pipeline = load_pipeline(name)
    for head in pipeline.heads.values():
        column = pipeline.contract.column(head.column)
        assert head.kind == "regression" or head.labels
        assert head.kind != "single_label" or head.labels == column.labels


def test_every_kind_of_head_and_the_layers_of_it_can_be_said_in_yaml(folder: Path) -> None:
    labels = [{"property": "labels", "value": ["low", "high"]}]
    columns = [
        *CONTRACT["schema"][0]["properties"],  # type: ignore[index]
        {"name": "topics", "logicalType": "array", "customProperties": labels},
        {"name": "haste", "logicalType": "string", "customProperties": labels},
    ]
    contract = {**CONTRACT, "schema": [{"name": "letters", "properties": columns}]}
    (folder / "contracts" / "letters.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    heads = {
        "topic": {"kind": "single_label", "hidden": [64, 32], "dropout": [0.5, 0.3]},
        "topics": {"kind": "multi_label", "threshold": 0.4, "pooling": "attention"},
        "haste": {"kind": "ordinal", "labels": ["high", "low"], "pooling": "first"},
    }
    found = load_pipeline(write(folder, heads=heads)).heads
    assert {task: head.labels for task, head in found.items()} == {
        "topic": ("bill", "thanks"),
        "topics": ("low", "high"),
        "haste": ("high", "low"),
    }
    assert (found["topic"].hidden, found["topic"].dropout) == ((64, 32), (0.5, 0.3))
    wrong = complaint(write(folder, heads={"topics": {"kind": "ordinal"}, "haste": {"kind": "multi_label"}}))
    assert "heads.topics: head ordinal on column 'topics': its logicalType is array" in wrong
    assert "heads.haste: head multi_label on column 'haste': its logicalType is string" in wrong


def test_what_training_sets_is_refused_where_a_pipeline_gives_it_key_by_key(folder: Path) -> None:
    heads = {
        "topic": {"kind": "single_label", "temperature": 1.0, "label_weights": [1, 2]},
        "load": {"kind": "regression", "column": "weight", "deviation": 2},
    }
    found = complaint(write(folder, heads=heads))
    for key in ("topic.temperature", "topic.label_weights", "load.deviation"):
        assert f"heads.{key}: training sets it, whatever is given here; take it out" in found
    assert "3 mistake(s)" in found


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_is_a_number_that_every_generator_takes(folder: Path, seed: int) -> None:
    assert "training.seed: " in complaint(write(folder, training={"seed": seed}))
    assert load_pipeline(write(folder, training={"seed": 2**63 - 1})).training.seed == 2**63 - 1


# Names and paths


def test_an_unknown_pipeline_is_answered_with_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    found = complaint("suport")
    assert "no pipeline 'suport'" in found
    for name in NAMES:
        assert name in found


def test_a_path_that_holds_nothing_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "gone.yaml") in complaint(str(tmp_path / "gone.yaml"))


def test_paths_are_relative_to_the_yaml_file_wherever_it_lies(folder: Path) -> None:
    pipeline = load_pipeline(str(folder / "letters.yaml"))
    assert pipeline.contract.name == "letters"
    assert pipeline.data.train.path == str(folder / "rows" / "train.jsonl")
    assert pipeline.data.validation.path == "/data/validation.csv"
    assert pipeline.data.test.path == "s3://bucket/test.parquet"
    assert pipeline.data.out_of_domain["old"].path == str(folder.parent / "old.jsonl")
    assert pipeline.data.windows is not None
    assert pipeline.data.windows.source.path == str(folder / "windows" / "{window}.jsonl")
    assert pipeline.encoder.name == str(folder / "encoder")


def test_a_relative_path_finds_the_same_files_and_another_process_gets_it_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert load_pipeline("mine/letters.yaml") == load_pipeline(str(folder / "letters.yaml"))
    assert pipeline_path("mine/letters.yaml").is_file()
    assert pipeline_reference("mine/letters.yaml") == str(folder / "letters.yaml")


def test_a_name_is_fit_for_the_artifacts_of_its_runs(folder: Path) -> None:
    for name in (*NAMES, load_pipeline(write(folder, name="my-2nd-letters")).name):
        assert raise_on_name_alphanumeric_dashes_only(f"{name}-results")
    for name in ("my_letters", "Letters", "-letters", "my letters", ""):
        assert "name: " in complaint(write(folder, name=name))


# Mistakes


def test_all_mistakes_are_shown_at_once_with_the_paths_of_their_keys(folder: Path) -> None:
    data = {**LETTERS["data"], "train": {"kind": "jsonl", "path": "x"}, "tets": {}}
    found = complaint(
        write(
            folder,
            data=data,
            training={"epochs": 0, "epoch": 3},
            gate={"confidence": 95},
            heads={"topic": {"kind": "single_label", "loss_weight": -1}},
        )
    )
    assert str(folder / "letters.yaml") in found.splitlines()[0]
    assert "6 mistake(s)" in found.splitlines()[0]
    for line in (
        "data.train: ",
        "data.tets: unknown key",
        "training.epochs: ",
        "training.epoch: unknown key",
        "gate.confidence: ",
        "heads.topic.single_label.loss_weight: ",
    ):
        assert f"\n  - {line}" in found


def test_what_does_not_fit_the_contract_or_the_heads_is_shown_at_once(folder: Path) -> None:
    found = complaint(
        write(
            folder,
            heads={
                "mood": {"kind": "single_label"},
                "weight": {"kind": "single_label"},
                "tags": {"kind": "token_tags", "column": "topic"},
                "size": {"kind": "regression", "column": "body"},
                "topic": {"kind": "single_label"},
            },
            tokenization={"text_column": "text"},
            gate={"floors": {"topic": 0.5, "moods": 0.5}},
        )
    )
    assert "6 mistake(s)" in found.splitlines()[0]
    assert "heads.mood: contract letters has no column 'mood'; it has body, sent_at, topic, weight" in found
    assert "heads.weight: head single_label on column 'weight': the contract gives it no `labels`" in found
    assert "heads.tags: head token_tags on column 'topic': the contract gives it no `tagKinds`" in found
    assert "heads.size: head regression on column 'body': its logicalType is string" in found
    assert "tokenization.text_column: contract letters has no column 'text'" in found
    assert "gate.floors: no head is called moods; heads are mood, weight, tags, size, topic" in found


def test_no_two_heads_may_write_the_same_column_of_answers(folder: Path) -> None:
    heads = {"load": LETTERS["heads"]["load"], "load_confidence": LETTERS["heads"]["load"]}
    assert "heads.load_confidence: the confidences of load are called so" in complaint(write(folder, heads=heads))


@pytest.mark.parametrize("split", ["test", "fresh_june", "a/b"])
def test_no_split_out_of_domain_may_hide_another_or_be_no_file_name(folder: Path, split: str) -> None:
    out_of_domain = {split: {"kind": "json_lines", "path": "old.jsonl"}}
    found = complaint(write(folder, data=LETTERS["data"] | {"out_of_domain": out_of_domain}))
    assert "1 mistake(s)" in found
    assert split in found


def test_no_head_may_be_called_as_the_mean_over_heads(folder: Path) -> None:
    heads = {"skill": {"kind": "regression", "column": "weight"}}
    assert "heads.skill: " in complaint(write(folder, heads=heads))


@pytest.mark.parametrize("content", ["- a\n- b\n", "name: [", ""])
def test_a_file_that_is_no_mapping_is_named(folder: Path, content: str) -> None:
    (folder / "letters.yaml").write_text(content, encoding="utf-8")
    assert str(folder / "letters.yaml") in complaint(str(folder / "letters.yaml"))


def test_a_pipeline_that_was_loaded_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_pipeline("support").name = "other"  # type: ignore[misc]


# Overrides


def test_overrides_change_settings_at_any_depth_and_nothing_else(folder: Path) -> None:
    name = str(folder / "letters.yaml")
    before = load_pipeline(name)
    after = load_pipeline(
        name, ["training.epochs=3", "gate.floors.topic=0.5", "data.train.path=other=1.jsonl", "training.precision=bf16"]
    )
    assert after.training == before.training.model_copy(update={"epochs": 3, "precision": "bf16"})
    assert after.gate == before.gate.model_copy(update={"floors": {"topic": 0.5}})
    assert after.data.train.path == str(folder / "other=1.jsonl")
    assert (after.heads, after.encoder, after.data.test) == (before.heads, before.encoder, before.data.test)


def test_the_value_of_an_override_is_yaml(folder: Path) -> None:
    override = "heads={load: {kind: regression, column: weight, loss_weight: 2}}"
    assert load_pipeline(str(folder / "letters.yaml"), [override]).heads["load"].loss_weight == 2
    assert load_pipeline(str(folder / "letters.yaml"), ["training.frozen_layers=null"]).training.frozen_layers is None


def test_of_two_overrides_of_a_setting_the_last_counts() -> None:
    assert load_pipeline("support", ["training.epochs=3", "training.epochs=4"]).training.epochs == 4


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epochs", "is not of the form a.b=c"),
        ("=3", "is not of the form a.b=c"),
        ("name.first=x", "'name' holds 'support', which has no keys"),
        ("training.epochs=[", "'[' is not a YAML value"),
        ("training.epoch=3", "training.epoch: unknown key"),
        ("training.epochs=many", "training.epochs: "),
        ("gate.floors.mood=0.5", "gate.floors: no head is called mood;"),
    ],
)
def test_a_bad_override_is_answered_with_what_is_wrong(override: str, said: str) -> None:
    assert said in complaint("support", [override])


# Rows that a rule divides


def undivided(splits: dict[str, Any], **more: Any) -> dict[str, Any]:
    rows = {"kind": "json_lines", "path": "rows/all.jsonl"}
    return {"contract": "contracts/letters.yaml", "undivided": rows, "splits": splits, **more}


def test_one_source_and_a_rule_may_stand_for_all_splits(folder: Path) -> None:
    data = load_pipeline(write(folder, data=undivided({"kind": "stratified", "column": "topic"}))).data
    assert data.given == {}
    assert data.undivided is not None
    assert data.undivided.path == str(folder / "rows" / "all.jsonl")
    assert data.splits is not None
    assert data.splits.strata == "topic"


def test_rows_hang_together_by_the_column_of_grouped_splits_and_by_none_of_the_others(folder: Path) -> None:
    grouped, stratified = (
        load_pipeline(write(folder, data=undivided({"kind": kind, "column": "topic"})))
        for kind in ("grouped", "stratified")
    )
    assert grouped.group_column == "topic"
    assert stratified.group_column is None
    assert load_pipeline(write(folder)).group_column is None


@pytest.mark.parametrize(
    ("data", "complaints"),
    [
        ({"contract": "contracts/letters.yaml"}, ["train, validation, test: no source; give one, or `undivided`"]),
        (undivided({"kind": "random"}) | {"splits": None}, ["`undivided` and `splits` go together"]),
        (undivided({"kind": "random", "test": 0}), ["test: no source, and `splits` gives it a share of 0"]),
        (undivided({"kind": "grouped", "column": "sender"}), ["data.splits.column", "no column 'sender'"]),
        (
            undivided(
                {
                    "kind": "time",
                    "column": "weight",
                    "validation_from": "2026-01-01T00:00:00Z",
                    "test_from": "2026-02-01T00:00:00Z",
                }
            ),
            ["data.splits.column: 'weight' is of type number, no timestamp"],
        ),
    ],
    ids=["nothing", "no rule", "no test rows", "no such group", "no time"],
)
def test_a_pipeline_whose_splits_would_get_no_rows_is_refused(
    folder: Path, data: dict[str, Any], complaints: list[str]
) -> None:
    message = complaint(write(folder, data=data))
    assert [words for words in complaints if words not in message] == []


def test_a_column_of_texts_has_to_be_one_for_the_contract_too(folder: Path) -> None:
    contract = json.loads(json.dumps(CONTRACT))
    del contract["schema"][0]["properties"][0]["customProperties"]
    (folder / "contracts" / "letters.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    message = complaint(write(folder))
    assert "tokenization.text_column: contract letters does not say that 'body' is a text" in message
    assert "role: text" in message


def test_a_column_of_second_texts_is_held_to_the_same(folder: Path) -> None:
    contract = json.loads(json.dumps(CONTRACT))
    contract["schema"][0]["properties"].append({"name": "reply", "logicalType": "string"})
    (folder / "contracts" / "letters.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    tokenization = {"text_column": "body", "pair_column": "reply"}
    message = complaint(write(folder, tokenization=tokenization))
    assert "tokenization.pair_column: contract letters does not say that 'reply' is a text" in message
    message = complaint(write(folder, tokenization={**tokenization, "pair_column": "answer"}))
    assert "tokenization.pair_column: contract letters has no column 'answer'" in message
    contract["schema"][0]["properties"][-1]["customProperties"] = [{"property": "role", "value": "text"}]
    (folder / "contracts" / "letters.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    assert load_pipeline(write(folder, tokenization=tokenization)).tokenization.pair_column == "reply"


def test_answers_stand_in_the_text_that_they_are_looked_for_in(folder: Path) -> None:
    contract = json.loads(json.dumps(CONTRACT))
    texts = [{"property": "role", "value": "text"}]
    contract["schema"][0]["properties"] += [
        {"name": "reply", "logicalType": "string", "customProperties": texts},
        {"name": "quote", "logicalType": "object", "customProperties": [{"property": "answersIn", "value": "reply"}]},
    ]
    (folder / "contracts" / "letters.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    heads = {"said": {"kind": "span", "column": "quote"}}
    message = complaint(write(folder, heads=heads))
    assert "heads.said: answers of 'quote' stand in 'reply', but are looked for in 'body'" in message
    pair = {"text_column": "body", "pair_column": "reply"}
    assert load_pipeline(write(folder, heads=heads, tokenization=pair)).heads["said"].column == "quote"
    message = complaint(write(folder, heads={"topic": {"kind": "span"}}))
    assert "heads.topic: head span on column 'topic': the contract does not say which text" in message


def test_a_dataset_of_the_hub_keeps_its_name_and_a_local_one_its_folder(folder: Path) -> None:
    for path, found in (("org/letters", "org/letters"), ("./letters", str(folder / "letters"))):
        source = {"kind": "hugging_face", "path": path, "revision": "main"}
        data = {**LETTERS["data"], "train": source}
        loaded = load_pipeline(write(folder, data=data)).data.train
        assert loaded is not None
        assert loaded.path == found


def test_a_column_to_balance_by_has_to_exist(folder: Path) -> None:
    message = complaint(write(folder, preparation={"balance": {"kind": "oversample", "column": "sender"}}))
    assert "preparation.balance.column: contract letters has no column 'sender'" in message


def test_training_settings_name_heads_that_there_are(folder: Path) -> None:
    training = {"sampling": {"kind": "fixed", "tasks": {"topic": 1}}, "skill_floors": {"mood": 0.5}}
    message = complaint(write(folder, training=training))
    assert "training.sampling.tasks gives load no part" in message
    assert "training.skill_floors: no head is called mood" in message


# Probes


def test_a_pipeline_without_probes_of_its_own_is_tried_with_those_of_any_text(folder: Path) -> None:
    plan = load_pipeline(write(folder))
    assert (plan.evaluation.probes, plan.evaluation.probe_rows) == ("any_text", 200)
    assert {case.kind for case in plan.probes.cases} == {"invariance"}
    assert {case.kind for case in load_pipeline("support").probes.cases} == {
        "invariance",
        "directional",
        "expectation",
        "identity",
    }


def test_probes_of_ones_own_lie_beside_the_pipeline(folder: Path) -> None:
    cases = [{"name": "thanks", "kind": "expectation", "task": "topic", "texts": ["Thanks!"], "answer": "thanks"}]
    (folder / "own.yaml").write_text(yaml.safe_dump({"cases": cases}), encoding="utf-8")
    plan = load_pipeline(write(folder, evaluation={"probes": "own.yaml", "probe_rows": 9}))
    assert [case.name for case in plan.probes.cases] == ["thanks"]
    assert plan.evaluation.probe_rows == 9


def test_probes_that_do_not_fit_the_heads_are_refused_case_by_case(folder: Path) -> None:
    said = complaint(write(folder, evaluation={"probes": "support"}))
    assert "evaluation.probes: case 'money wanted back': no head is called intent; heads are topic, load" in said
    assert "case 'smoke is urgent': no head is called urgency" in said
    assert "there are no probes 'mine'" in complaint(write(folder), ["evaluation.probes=mine"])
    assert "evaluation.probe: unknown key" in complaint(write(folder), ["evaluation.probe=mine"])
