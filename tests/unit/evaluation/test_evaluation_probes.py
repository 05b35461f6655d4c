"""Files of probes: those that ship, and what is said of mistakes; and a small network tried with a file."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_contracts.artifacts import Predictions, TrainedModel, ValidatedSnapshot
from data_contracts.dataset import load_contract
from data_contracts.errors import InputError
from data_contracts.probe_files import PROBES, probe_file
from data_contracts.yaml_files import parse_yaml
from tasks.evaluation.case_results import read_findings, write_findings
from tasks.evaluation.probes import Probes
from tasks.evaluation.probing import Folders, Reading, probe, read_rows
from tasks.evaluation.task import probe_model
from tasks.modeling.answers import Answers, read_ids, write_answers
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.modeling.limits import TokenLimit
from tasks.storage.home import open_store

FILES = sorted(PROBES.glob("*.yaml"))
TAGS = ("O", "B-PLACE", "I-PLACE")
CASES: list[dict[str, Any]] = [
    {"name": "slips", "kind": "invariance", "edit": {"kind": "typing_errors"}},
    {
        "name": "places",
        "kind": "invariance",
        "edit": {"kind": "entities", "entity": "PLACE", "others": ["Hue", "Rome"]},
    },
    {"name": "small", "kind": "invariance", "edit": {"kind": "casing", "to": "lower"}, "max_failure_rate": 0.0},
    {"name": "praise", "kind": "expectation", "task": "intent", "texts": ["well done"], "answer": "praise"},
    {
        "name": "who",
        "kind": "identity",
        "groups": {"a": ["ana"], "b": ["ben"]},
        "texts": ["to {term}"],
        "label": "praise",
    },
]


def probes(*cases: dict[str, Any], **settings: Any) -> Probes:
    """A file of these cases."""
    return Probes.model_validate({"cases": cases or CASES, **settings})


@pytest.fixture(scope="module")
def heads() -> dict[str, AnyHead]:
    """A classifier, a tagger and a regression."""
    return {
        "intent": SingleLabelHead(column="intent", labels=("refund", "praise")),
        "places": TokenTagHead(column="places", labels=TAGS),
        "urgency": RegressionHead(column="urgency", mean=0.5, deviation=0.25),
    }


@pytest.fixture
def folders(tiny_encoder: Path, heads: dict[str, AnyHead], write_rows: Callable[..., Path], tmp_path: Path) -> Folders:
    """An untrained network, six rows, and answers to them."""
    import torch

    from tasks.modeling.network import new_network, save_network

    model, answers = tmp_path / "model", tmp_path / "answers"
    model.mkdir()
    answers.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_network(new_network(tiny_encoder, heads), tiny_encoder, TokenLimit(max_tokens=16), model)
    texts = [f"Number {number} goes to Oslo for Ana" for number in range(6)]
    values = [{"tokens": text.split(), "tags": ["O"] * 4 + ["B-PLACE", "O", "O"]} for text in texts]
    snapshot = write_rows("test", text=texts, intent=["refund"] * 6, urgency=[0.5] * 6, places=values)
    given = {"intent": ["praise"] * 6, "places": [["O"] * 7] * 6, "urgency": [0.5] * 6}
    ids = read_ids(snapshot, "test")
    write_answers(answers / "test.parquet", ids, Answers(given, {task: [1.0] * 6 for task in given}))
    return Folders(model, snapshot, answers)


def test_some_files_ship() -> None:
    assert {path.stem for path in FILES} >= {"any_text", "support"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_that_ships_is_read_without_a_mistake(path: Path) -> None:
    assert len(parse_yaml(path, Probes).cases) >= 5


def test_the_probes_of_any_text_fit_every_kind_of_task() -> None:
    contract = load_contract("support")
    bound: dict[str, AnyHead] = {"intent": SingleLabelHead().bind(contract.column("intent"))}
    assert parse_yaml(PROBES / "any_text.yaml", Probes).misfits(bound) == []


def test_a_file_is_found_by_name_and_by_a_path_from_the_pipeline(tmp_path: Path) -> None:
    assert probe_file("support", tmp_path) == PROBES / "support.yaml"
    (tmp_path / "own.yaml").write_text("cases: []", encoding="utf-8")
    assert probe_file("own.yaml", tmp_path) == tmp_path / "own.yaml"
    with pytest.raises(InputError, match=r"no probes 'missing' .* known probes: any_text, support"):
        probe_file("missing", tmp_path)


def test_all_mistakes_of_a_file_are_shown_at_once_with_their_place(tmp_path: Path) -> None:
    cases = [
        {"name": "one", "kind": "invariance", "edit": {"kind": "casing", "to": "sideways"}},
        {
            "name": "two",
            "kind": "directional",
            "task": "intent",
            "expect": "falls",
            "edit": {"kind": "numbers"},
            "odd": 1,
        },
        {"name": "three", "kind": "invariance"},
        {"name": "four", "kind": "improbable"},
    ]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"cases": cases}), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        parse_yaml(tmp_path / "own.yaml", Probes)
    for said in (
        "4 mistake(s)",
        "cases.0.invariance.edit.casing.to",
        "cases.1.directional.odd: unknown key",
        "cases.2.invariance: give either `edit`",
        "cases.3",
    ):
        assert said in str(caught.value)


def test_cases_have_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="slips is there twice"):
        probes(CASES[0], CASES[0])


def test_what_does_not_fit_the_heads_is_said_of_every_case(heads: dict[str, AnyHead]) -> None:
    assert probes().misfits(heads) == []
    only = {"urgency": heads["urgency"]}
    assert probes().misfits(only) == [
        "case 'praise': no head is called intent; heads are urgency",
        "case 'who': no task answers with the one label praise; name its task in `tasks`",
    ]


def test_a_network_is_tried_with_every_case_and_the_findings_go_to_disk(folders: Folders, tmp_path: Path) -> None:
    found = probe(folders, probes(), 4, Reading("text"))
    asked = {(of.case, of.task): of.asked for of in found.results}
    tasks = ("intent", "places", "urgency")
    assert asked == {
        **{(case, task): 4 for case in ("slips", "places", "small") for task in tasks},
        ("praise", "intent"): 1,
        # One that was written by hand, and the four rows with Ana.
        **{("who", task): 5 for task in tasks},
    }
    # The network is uncased, so that only its tagger, which sees shapes, may mind.
    small = {of.task: of.failures for of in found.results if of.case == "small"}
    assert (small["intent"], small["urgency"]) == (0, 0)
    assert [of.label for of in found.biases] == ["praise", None, None]
    write_findings(tmp_path / "probes.json", found)
    assert read_findings(tmp_path / "probes.json") == found


def test_the_same_probes_give_the_same_findings(folders: Folders) -> None:
    first, again = (probe(folders, probes(), 4, Reading("text")) for _ in range(2))
    assert first == again


def test_rows_come_in_an_order_of_chance_with_their_entities_labels_and_answers(
    folders: Folders, heads: dict[str, AnyHead]
) -> None:
    rows, other = (read_rows(folders, heads, seed, 4, Reading("text")) for seed in (1, 2))
    texts = [of.text.text for of in rows.originals]
    assert sorted(texts) == [f"Number {number} goes to Oslo for Ana" for number in range(6)]
    assert texts != [of.text.text for of in other.originals]
    assert {of.entities for of in rows.originals} == {(("PLACE", 17, 21),)}
    assert list(rows.labels["intent"]) == ["refund"] * 6
    assert list(rows.answers["intent"]) == ["praise"] * 6


def test_rows_in_an_order_of_chance_keep_the_groups_that_they_hang_together_in(
    folders: Folders, heads: dict[str, AnyHead]
) -> None:
    rows = read_rows(folders, heads, 1, 4, Reading("text", group_column="text"))
    assert rows.clusters is not None
    assert [f"Number {cluster} goes to Oslo for Ana" for cluster in rows.clusters] == [
        of.text.text for of in rows.originals
    ]
    one = read_rows(folders, heads, 1, 4, Reading("text", group_column="intent"))
    assert one.worth([of.text for of in one.originals]) == 1
    assert rows.worth([of.text for of in rows.originals]) == 6
    assert read_rows(folders, heads, 1, 4, Reading("text")).clusters is None


def test_a_row_of_two_texts_is_a_pair(folders: Folders, heads: dict[str, AnyHead]) -> None:
    rows = read_rows(folders, heads, 1, 4, Reading("text", pair_column="intent"))
    assert {of.text.second for of in rows.originals} == {"refund"}


def test_an_edit_that_leaves_the_second_text_of_a_pair_no_room_is_not_asked_about(
    folders: Folders, tiny_encoder: Path, write_rows: Callable[..., Path], tmp_path: Path
) -> None:
    from tasks.modeling.network import load_network, save_network

    network, _ = load_network(folders.model)
    windowed = tmp_path / "windowed"
    windowed.mkdir()
    save_network(network, tiny_encoder, TokenLimit(max_tokens=24, beyond="windows", window_overlap=4), windowed)
    words = [f"Number {number}" + " goes" * (2 * number) for number in range(6)]
    values = [{"tokens": text.split(), "tags": ["O"] * len(text.split())} for text in words]
    long = ["ana " * 30] * 6
    write_rows("test", text=words, second=long, intent=["refund"] * 6, urgency=[0.5] * 6, places=values)
    said = "{text} and ana said so"
    cases = (
        {"name": "said", "kind": "invariance", "edit": {"kind": "template", "template": said}, "tasks": ["intent"]},
        {"name": "who", "kind": "identity", "groups": {"a": ["goes"], "b": ["goes and comes"]}, "tasks": ["intent"]},
    )
    found = probe(Folders(windowed, folders.snapshot, folders.answers), probes(*cases), 9, Reading("text", "second"))
    asked = {result.case: result.asked for result in found.results}
    # Of 24 tokens 3 are special and 8 are left, so a first text has 13: it may have 2 + 2 * 3 words before four are
    # added, and 2 + 2 where two of them become six.
    assert asked == {"said": 4, "who": 1}


def test_more_than_may_fail_is_named(folders: Folders, caplog: pytest.LogCaptureFixture) -> None:
    never = {**CASES[3], "name": "never", "max_failure_rate": 0.0}
    always = {**never, "name": "always", "max_failure_rate": 1.0}
    caplog.set_level("INFO")
    failed = []
    for answer in ("praise", "refund"):
        cases = ({**of, "answer": answer} for of in (never, always))
        failed.append(probe(folders, probes(*cases), 4, Reading("text")).failed)
    assert sorted(failed) == [(), ("never",)]
    assert sorted(record.getMessage() for record in caplog.records if record.getMessage().startswith("probes")) == [
        "probes: 1 of 2 cases fail more often than they may: never (intent 1 of 1)",
        "probes: 2 case(s), and none fails more often than it may",
    ]


def test_what_the_cases_came_to_is_published_under_model_answers_and_rows(
    folders: Folders, trained_model: Callable[[str], TrainedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    store = open_store()
    digests = []
    for folder in (folders.model, folders.answers, folders.snapshot):
        with store.draft() as draft:
            shutil.copytree(folder, draft, dirs_exist_ok=True)
            digests.append(store.publish(draft))
    model = trained_model(digests[0])
    predictions = Predictions(digest=digests[1], model=model.digest, rows={"test": 6})
    rows = {"test": 6}
    snapshot = ValidatedSnapshot(digest=digests[2], contract="c", contract_digest="0" * 64, rows=rows, quarantined={})
    cases = ({**CASES[3], "name": answer, "answer": answer, "max_failure_rate": 0.0} for answer in ("praise", "refund"))

    found = probe_model.fn(model, predictions, snapshot, probes(*cases), 4, "text")

    assert found.parents == tuple(digests)
    assert found.model == model.digest
    # The one text has one of the two labels.
    assert len(found.failed) == 1
    written = read_findings(store.directory(found.digest) / "probes.json")
    assert written.failed == found.failed
    assert [result.case for result in written.results] == ["praise", "refund"]
