"""What sets two versions apart."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tasks.registry.difference import Change, Changes, RowChange, compare, value_changes
from tasks.registry.passport import WEIGHTS, Program
from tasks.registry.reproducing import compare_weights
from tests.unit.registry.chains import ENVIRONMENT, PROGRAM, SETTINGS, Chain, make_chain


def changes(before: Chain, after: Chain) -> Changes:
    rows = [chain.folder(chain.passport.snapshot.digest) for chain in (before, after)]
    return compare(before.passport, after.passport, *rows)


def test_a_version_does_not_differ_from_itself(tmp_path: Path) -> None:
    chain = make_chain(tmp_path)
    found = changes(chain, chain)
    assert found.nothing
    assert found.rows == [RowChange("train", kept=3, removed=0, added=0)]


def test_rows_that_came_and_went_are_counted_split_by_split(tmp_path: Path) -> None:
    found = changes(make_chain(tmp_path / "1"), make_chain(tmp_path / "2", rows=("b", "c", "d", "e", "f")))
    assert found.rows == [RowChange("train", kept=2, removed=1, added=3)]
    assert not found.nothing
    assert (found.contract, found.settings, found.code) == ([], [], [])


def test_settings_are_compared_leaf_by_leaf_and_addresses_are_not(tmp_path: Path) -> None:
    before = {**SETTINGS, "data": {"train": {"kind": "csv", "path": "/a/train.csv"}}}
    after = {
        "name": "shop",
        "training": {"seed": 7, "epochs": 2, "patience": 1},
        "gate": {"floors": {"intent": 0.6}},
        "data": {"train": {"kind": "csv", "path": "/b/train.csv"}},
    }
    found = changes(make_chain(tmp_path / "1", settings=before), make_chain(tmp_path / "2", settings=after))
    assert found.settings == [
        Change("training.seed", "13", "7"),
        Change("gate.floors", "{}", None),
        Change("training.patience", None, "1"),
        Change("gate.floors.intent", None, "0.6"),
    ]
    assert found.rows[0].kept == 3


def test_code_is_compared_file_by_file(tmp_path: Path) -> None:
    files = {"code tasks/training/loop.py": "9" * 16, "code tasks/training/new.py": "2" * 16}
    found = changes(make_chain(tmp_path / "1"), make_chain(tmp_path / "2", program=Program(files=files)))
    assert found.code == [
        Change("tasks/training/loop.py", "0" * 16, "9" * 16),
        Change("tasks/modeling/heads.py", "1" * 16, None),
        Change("tasks/training/new.py", None, "2" * 16),
    ]
    assert PROGRAM.files != files


def test_packages_and_the_machine_are_told_apart(tmp_path: Path) -> None:
    first = make_chain(tmp_path / "1")
    elsewhere = ENVIRONMENT.model_copy(
        update={"device": "NVIDIA H100", "packages": {"torch": "2.14.0", "numpy": "2.1.0"}}
    )
    second = make_chain(tmp_path / "2")
    model = second.passport.model.model_copy(update={"environment": elsewhere})
    second.reissue(model=model)
    found = changes(first, second)
    assert found.packages == [Change("torch", "2.13.0", "2.14.0")]
    assert found.machine == [Change("device", "cpu", "NVIDIA H100")]


def test_a_change_of_the_contract_is_told_in_its_own_words(tmp_path: Path) -> None:
    first, second = make_chain(tmp_path / "1"), make_chain(tmp_path / "2")
    rows = second.passport.rows
    assert rows is not None
    (schema,) = rows.contract["schema"]
    fewer = [column for column in schema["properties"] if column["name"] != "urgency"]
    contract = {**rows.contract, "schema": [{**schema, "properties": fewer}]}
    second.reissue(rows=rows.model_copy(update={"contract": contract}))
    (found,) = changes(first, second).contract
    assert (found.path, found.change) == ("urgency", "the column is gone")


def test_values_of_another_kind_are_compared_as_they_are_written() -> None:
    assert value_changes({"a": [1, 2], "b": None}, {"a": [1, 2], "b": "None"}) == []
    assert value_changes({"a": {"b": 1}}, {"a": 1}) == [Change("a.b", "1", None), Change("a", None, "1")]


def weights(folder: Path, **arrays: list[float]) -> Path:
    folder.mkdir()
    save_file({name: np.array(values, dtype=np.float32) for name, values in arrays.items()}, folder / WEIGHTS)
    return folder


def test_equal_weights_are_equal_by_their_bytes(tmp_path: Path) -> None:
    found = compare_weights(weights(tmp_path / "1", a=[1.0, 2.0]), weights(tmp_path / "2", a=[1.0, 2.0]))
    assert found.equal
    assert found.before == found.after


def test_of_other_weights_it_is_said_how_far_apart_they_are(tmp_path: Path) -> None:
    before = weights(tmp_path / "1", a=[1.0, 2.0, 3.0], b=[0.0])
    after = weights(tmp_path / "2", a=[1.0, 2.5, 3.0], b=[-0.25])
    found = compare_weights(before, after)
    assert not found.equal
    assert (found.largest, found.where, found.moved, found.weights) == (0.5, "a", 2, 4)
    assert found.mean == pytest.approx(0.75 / 4)
    assert found.unlike == ()


def test_weights_that_only_one_has_or_in_another_shape_are_named(tmp_path: Path) -> None:
    found = compare_weights(
        weights(tmp_path / "1", a=[1.0], b=[1.0, 2.0]), weights(tmp_path / "2", a=[1.0], b=[1.0], c=[0.0])
    )
    assert found.unlike == ("b", "c")
    assert (found.moved, found.largest) == (0, 0.0)
