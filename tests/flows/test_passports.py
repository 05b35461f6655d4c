"""What made a version: verified, explained, trained again and exported, through the command line on real parts."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.flows.conftest import SAMPLES, Outcome, Shop

# Two runs come before the first test.
ROWS = {"train": 160, "validation": 60, "test": 80, "noisy": 40}
FILES = {name: {"kind": "json_lines", "path": f"data/{name}.jsonl"} for name in ROWS}


@pytest.fixture(scope="module")
def mill(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A pipeline on an encoder of two layers, with two versions: the second learnt from more rows and for longer."""
    folder = tmp_path_factory.mktemp("mill")
    (folder / "data").mkdir()
    for name, rows in ROWS.items():
        write_rows(folder, name, rows)
    pipeline = {
        "name": "mill",
        "data": {
            "contract": "support",
            **{name: FILES[name] for name in ("train", "validation", "test")},
            "out_of_domain": {"noisy": FILES["noisy"]},
        },
        "encoder": {"name": str(tiny_encoder)},
        "tokenization": {"max_tokens": 48},
        "heads": {"sentiment": {"kind": "single_label"}, "urgency": {"kind": "regression"}},
        "training": {"epochs": 1, "rows_per_step": 16, "encoder_learning_rate": 5e-3, "head_learning_rate": 1e-2},
    }
    (folder / "shop.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False), encoding="utf-8")
    mill = Shop(folder, folder / "home", port=0)
    assert mill.graft("run", mill.pipeline).code == 0
    write_rows(folder, "train", 200)
    second = mill.graft("run", mill.pipeline, "--set", "training.epochs=2")
    assert second.code == 0, second.text
    write_rows(folder, "train", 160)
    return mill


def write_rows(folder: Path, name: str, rows: int) -> None:
    lines = (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "data" / f"{name}.jsonl").write_text("".join(lines[:rows]), encoding="utf-8")


def told(outcome: Outcome) -> str:
    """What was written, without the width of columns."""
    return " ".join(outcome.text.split())


@contextmanager
def altered(path: Path) -> Iterator[None]:
    """One byte of the file is another one for as long as the context is open."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        yield
    finally:
        path.write_bytes(content)


def weights(mill: Shop, version: str) -> Path:
    """The weights of the version, by the digest that verifying shows."""
    found = re.search(r"model holds ([0-9a-f]{12})", told(mill.graft("verify", mill.pipeline, version)))
    assert found is not None
    (folder,) = (mill.home / "store" / "objects").glob(f"{found[1]}*")
    return folder / "weights.safetensors"


def test_a_chain_that_nobody_touched_is_verified_to_its_source(mill: Shop) -> None:
    done = mill.graft("verify", mill.pipeline, "1")
    assert done.code == 0, done.text
    assert "The chain of mill version 1 holds." in done.text
    for link in ("passport", f"source train {mill.folder}/data/train.jsonl", "checked rows", "model", "judgement"):
        assert f"{link} holds" in told(done), link


def test_a_source_file_and_a_setting_of_today_differ_without_breaking_the_chain(mill: Shop) -> None:
    done = mill.graft("verify", mill.pipeline, "2")
    assert done.code == 0, done.text
    assert f"source train {mill.folder}/data/train.jsonl differs today" in told(done)
    # The pipeline is asked with the settings that were changed for that run.
    assert "pipeline today holds" in told(done)
    assert "1 thing(s) outside the store" in done.text


def test_a_byte_in_the_weights_is_found_and_named(mill: Shop) -> None:
    with altered(weights(mill, "1")):
        done = mill.graft("verify", mill.pipeline, "1")
    assert done.code == 2, done.text
    assert "mill version 1: the chain is broken at model" in done.text
    assert "(altered: weights.safetensors)" in done.text


def test_two_versions_are_explained_by_what_they_were_made_from(mill: Shop) -> None:
    done = mill.graft("explain", mill.pipeline, "1", "2")
    assert done.code == 0, done.text
    assert "train 160 0 40" in told(done)
    assert "training.epochs 1 2" in told(done)
    assert "the same in both: contract, packages, machine, code" in done.text
    for scored in ("sentiment test accuracy", "urgency noisy pearson"):
        assert scored in told(done)
    same = mill.graft("explain", mill.pipeline, "1", "1")
    assert "Both were made from the same rows" in same.text
    assert re.search(r"\+0\.000 -0\.0\d\d … \+0\.0\d\d", told(same))


def test_a_version_is_reproduced_to_the_byte_and_a_dry_run_does_nothing(mill: Shop) -> None:
    dry = mill.graft("reproduce", mill.pipeline, "1", "--dry-run")
    assert dry.code == 0, dry.text
    assert "up to 1 epoch(s), seed 13" in dry.text
    assert "Nothing was trained" in dry.text
    again = mill.folder / "again"
    done = mill.graft("reproduce", mill.pipeline, "1", "--output", str(again))
    assert done.code == 0, done.text
    assert "mill version 1 is reproduced" in done.text
    assert "Warning" not in done.text
    assert (again / "weights.safetensors").read_bytes() == weights(mill, "1").read_bytes()
    assert mill.graft("reproduce", mill.pipeline, "1", "--output", str(again)).code == 2


def test_a_version_is_exported_once_and_again_only_by_force(mill: Shop) -> None:
    output = mill.folder / "exported"
    done = mill.graft("export", mill.pipeline, "2", "--output", str(output))
    assert done.code == 0, done.text
    for task, pipeline in (("sentiment", "text-classification"), ("urgency", "text-classification")):
        assert json.loads((output / task / "config.json").read_text(encoding="utf-8"))["model_type"] == "graft"
        assert f"pipeline_tag: {pipeline}" in (output / task / "README.md").read_text(encoding="utf-8")
    refused = mill.graft("export", mill.pipeline, "2", "--output", str(output), "--task", "urgency")
    assert refused.code == 2
    assert f"{output}/urgency is not empty" in refused.text
    assert "Traceback" not in refused.text
    forced = mill.graft("export", mill.pipeline, "1", "--output", str(output), "--task", "urgency", "--force")
    assert forced.code == 0, forced.text
    assert "Version 1 of pipeline" in (output / "urgency" / "README.md").read_text(encoding="utf-8")


def test_a_version_that_is_not_there_is_said_in_one_line(mill: Shop) -> None:
    for command in (("verify", mill.pipeline, "9"), ("explain", mill.pipeline, "1", "9")):
        done = mill.graft(*command)
        assert done.code == 2
        assert done.text.strip() == (
            "graft: pipeline mill has no version 9; its versions are 1, 2. `graft models mill` lists them."
        )
