"""Which pipelines a change of a contract breaks, and where in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.dataset import DatasetContract, load_contract
from data_contracts.difference import Difference
from data_contracts.errors import InputError
from data_contracts.yaml_files import read_yaml
from flows.pipeline import PIPELINES, Pipeline, load_pipeline, pipeline_path

# What a model's answers are made of: it knows no other ones until it is trained again.
LEARNED = ("labels", "tagKinds", "logicalType", "role", "textColumn", "answersIn")
TEXT_COLUMN = Pipeline.model_fields["tokenization"].get_default().text_column


@dataclass(frozen=True)
class Change:
    """Two versions of a contract as the user named them, and how they differ."""

    names: tuple[str, str]
    before: DatasetContract
    after: DatasetContract
    found: Sequence[Difference]

    @property
    def new_reference(self) -> str:
        """The later version as a pipeline in any folder would name it."""
        new = self.names[1]
        return str(Path(new).resolve()) if new.endswith((".yaml", ".yml")) else new


def broken_pipelines(change: Change, others: Sequence[str] = ()) -> dict[str, list[str]]:
    """{pipeline: what breaks in it} for the pipelines of graft, and `others`, that use the contract.

    One that uses it and that nothing breaks has an empty list. Raises InputError for one of `others` that is unknown.
    """
    effects: dict[str, list[str]] = {}
    for path in [*sorted(PIPELINES.glob("*.yaml")), *map(pipeline_path, others)]:
        content = read_yaml(path)
        if _uses(content, path, change):
            effects[str(content.get("name", path.stem))] = list(_effects(content, path, change))
    return effects


def _uses(content: dict[str, Any], path: Path, change: Change) -> bool:
    data = content.get("data")
    named = data.get("contract") if isinstance(data, dict) else None
    if not isinstance(named, str):
        return False
    try:
        used = load_contract(named, path.resolve().parent).id
    except InputError:
        # It may be the very file that is being mended.
        return named in change.names
    return named in change.names or used in (change.before.id, change.after.id)


def _effects(content: dict[str, Any], path: Path, change: Change) -> Iterator[str]:
    heads = content.get("heads") if isinstance(content.get("heads"), dict) else {}
    for task, head in (heads or {}).items():
        column = (head.get("column") if isinstance(head, dict) else None) or task
        yield from (f"head {task} ({words})" for words in _for_consumers(column, change, learned=True))
    tokenization = content.get("tokenization")
    settings = tokenization if isinstance(tokenization, dict) else {}
    for text in filter(None, (settings.get("text_column") or TEXT_COLUMN, settings.get("pair_column"))):
        yield from (f"text column {text} ({words})" for words in _for_consumers(text, change, learned=False))
    refusing = sorted({difference.path for difference in change.found if "producers" in difference.breaks})
    if refusing:
        yield f"its data may be refused or quarantined: {', '.join(refusing)}"
    try:
        load_pipeline(str(path), [f"data.contract={change.new_reference}"])
    except InputError as error:
        yield from (f"it cannot use the contract: {line.strip(' -')}" for line in str(error).splitlines()[1:])


def _for_consumers(column: str, change: Change, learned: bool) -> Iterator[str]:
    for difference in change.found:
        if difference.column == column and "consumers" in difference.breaks:
            key = difference.path.rpartition(".")[2]
            again = "; its model must be trained again" if learned and key in LEARNED else ""
            yield f"{difference.change if key in (*LEARNED[:2], column) else f'{key}: {difference.change}'}{again}"
