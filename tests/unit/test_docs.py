"""What the documents show is what graft reads, and the commands that they name are there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import TypeAdapter

from data_contracts.dataset import DatasetContract
from data_contracts.rules import KNOWN_RULES
from data_contracts.yaml_files import model_of
from flows.pipeline import Pipeline
from tasks.drift.governor import Governor
from tasks.drift.policy import DriftPolicy
from tasks.drift.statistics import DriftStatistic
from tasks.evaluation.edits import AnyEdit
from tasks.evaluation.policy import GatePolicy
from tasks.evaluation.probes import AnyCase, Probes
from tasks.ingestion.sources import Source
from tasks.ingestion.splits import Splits
from tasks.modeling.heads import AnyHead
from tasks.preparation.augmentation import Augmentation
from tasks.preparation.balancing import Balance
from tasks.training.sampling import Sampling
from tasks.training.schedules import Schedule
from tasks.training.weighting import LossWeighting

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DATA, TRAINING, EVALUATION, DRIFT = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("data", "training", "evaluation", "drift")
)
BLOCKS = [b for path in DOCUMENTS for b in re.findall(r"```yaml\n(.*?)```", path.read_text("utf-8"), flags=re.DOTALL)]
CODE = re.compile(r"```.*?```|`[^`\n]+`", flags=re.DOTALL)
COMMAND = re.compile(r"\bgraft ([a-z-]+(?: [a-z]+)?)")


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 6
    assert {block.splitlines()[0] for block in BLOCKS} == {"# part of a pipeline", "# a contract", "# probes"}


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_example_is_read_without_a_mistake(block: str) -> None:
    content: dict[str, Any] = yaml.safe_load(block)
    if block.startswith("# a contract"):
        model_of(content, DatasetContract, "data.md")
        return
    if block.startswith("# probes"):
        model_of(content, Probes, "evaluation.md")
        return
    for name, part in content.items():
        TypeAdapter(Pipeline.model_fields[name].annotation).validate_python(part)


def test_every_rule_is_explained() -> None:
    assert [name for name in KNOWN_RULES if name not in DATA] == ["tagScheme"]


def kinds_of(*families: Any) -> list[str]:
    """What the kinds of these families are called in YAML."""
    return [kind.model_fields["kind"].default for family in families for kind in get_args(get_args(family)[0])]


def test_every_kind_of_source_split_balance_and_variant_is_explained() -> None:
    kinds = kinds_of(Source, Splits, Balance, Augmentation)
    assert len(kinds) >= 18
    assert [kind for kind in kinds if not re.search(rf"`{kind}`|kind: {kind}\b", DATA)] == []


def test_every_kind_of_case_and_edit_is_explained() -> None:
    kinds = kinds_of(AnyCase, AnyEdit)
    assert len(kinds) >= 12
    assert [kind for kind in kinds if f"`{kind}`" not in EVALUATION] == []


def test_every_kind_of_head_sampling_weighting_and_schedule_is_explained() -> None:
    kinds = kinds_of(AnyHead, Sampling, LossWeighting, Schedule)
    assert len(kinds) >= 20
    assert [kind for kind in kinds if f"`{kind}`" not in TRAINING] == []


def test_every_setting_of_the_gate_is_explained() -> None:
    assert [name for name in GatePolicy.model_fields if f"`{name}`" not in EVALUATION] == []


def test_every_view_of_a_window_and_every_setting_of_the_governor_is_explained() -> None:
    kinds = kinds_of(DriftStatistic)
    assert len(kinds) >= 6
    assert [name for name in (*kinds, *Governor.model_fields) if f"`{name}`" not in DRIFT] == []


def test_every_setting_of_drift_is_explained() -> None:
    assert [name for name in DriftPolicy.model_fields if f"`drift.{name}`" not in DRIFT] == []


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if "graft " in path.read_text(encoding="utf-8")])
def test_every_command_that_is_named_exists(document: Path) -> None:
    code = "\n".join(CODE.findall(document.read_text(encoding="utf-8")))
    named = {tuple(found.split()) for found in COMMAND.findall(code)}
    assert named
    done = subprocess.run(
        [sys.executable, "-c", LISTING], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    known = {tuple(line.split()) for line in done.stdout.splitlines()}
    groups = {command[0] for command in known if len(command) == 2}
    wanted = {command if command[0] in groups and len(command) == 2 else command[:1] for command in named}
    assert sorted(wanted - known - {(group,) for group in groups}) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


LISTING = """
from typer.main import get_command
from flows.__main__ import app
for name, command in get_command(app).commands.items():
    print(name)
    for below in getattr(command, "commands", {}):
        print(name, below)
"""
