"""Same inputs and code, no work: graft's cache policy, and why each step ran or was reused.

A step's key is made of named components: one for each input handle, one for each leaf of its settings, one for each
source file its stage consists of. Keeping the components of earlier runs is what lets a run say what changed.
"""

import ast
import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from prefect import State, Task, task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from pydantic import BaseModel

from data_contracts.artifacts import Handle
from data_contracts.yaml_files import read_yaml
from tasks.storage.home import open_store

P = ParamSpec("P")
R = TypeVar("R")
ROOT = Path(__file__).resolve().parents[2]
REMEMBERED_RUNS = 8
# By which entries of a list are told apart: columns, and what ODCS calls custom properties.
NAMES = ("name", "property")
SOURCE_SUFFIXES = (".py", ".html")
# What no file of a handle's directory holds, and each step gives to the next.
HANDED_ON = {"cleaning", "pair_column"}
steps = logging.getLogger("graft.steps")


@dataclass
class Remembered:
    """What a step was run on, kept until it completes."""

    note: str
    components: dict[str, str]


_unfinished: dict[UUID, Remembered] = {}


def cached_task(stage: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A Prefect task whose result is reused for the same inputs, settings and source of `tasks/<stage>`."""

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        return task(cache_policy=SameInputsAndCode(stage=stage), persist_result=True, on_completion=[remember])(
            function
        )

    return decorate


@dataclass
class SameInputsAndCode(CachePolicy):
    """Cache key over inputs, settings and source, whichever flow asks for the step.

    A result whose directory is gone from the store is not reused.
    """

    stage: str = ""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **_: Any
    ) -> str | None:
        name = task_ctx.task.name
        components = {**code_components(self.stage), **input_components(inputs)}
        key = hashlib.sha256(json.dumps([name, components], sort_keys=True).encode()).hexdigest()
        note = f"steps/{_name_of_pipeline(str(flow_parameters.get('pipeline', 'none')))}/{_name_of_flow()}/{name}"
        kept, store, lost = task_ctx.result_store, open_store(), None
        # What Prefect keeps under a key may be the handle of a directory that this store does not hold.
        while kept.exists(key) and (digest := _digest_of(kept.read(key).result)) and not store.holds(digest):
            key, lost = hashlib.sha256(f"{key} lost".encode()).hexdigest(), digest
        if kept.exists(key):
            steps.info("%s: reused, because inputs, settings and code are those of an earlier run", name)
        else:
            gone = f"its result {lost[:12]} is gone from the store" if lost else None
            steps.info("%s: running, because %s", name, gone or what_changed(components, store.read_note(note) or []))
        _unfinished[task_ctx.task_run.id] = Remembered(note, components)
        return key


def remember(_: Task[Any, Any], task_run: TaskRun, state: State[Any]) -> None:
    """Completion hook: note what the step was run on."""
    if done := _unfinished.pop(task_run.id, None):
        store = open_store()
        runs = [components for components in store.read_note(done.note) or [] if components != done.components]
        store.write_note(done.note, [done.components, *runs][:REMEMBERED_RUNS])


def input_components(inputs: dict[str, Any]) -> dict[str, str]:
    """Inputs as flat text: handles by digest and by what they hand on, settings leaf by leaf."""
    return {name: text for key, value in inputs.items() for name, text in _flatten(key, value)}


def what_changed(components: dict[str, str], earlier: list[dict[str, str]]) -> str:
    """The difference to the most similar of the earlier runs, in words."""
    if not earlier:
        return "it has not run before"
    # By place where names alone tell no difference, as of columns in another order.
    differences = [
        _differences(_by_name(components), _by_name(other)) or _differences(components, other) for other in earlier
    ]
    closest = min(differences, key=len)
    if not closest:
        return "Prefect's record of its earlier result is gone"
    shown = ", ".join(closest[:4])
    return f"{shown} and {len(closest) - 4} more" if len(closest) > 4 else shown


@cache
def code_components(stage: str) -> dict[str, str]:
    """sha256 of each source file of the stage, templates too, and of what it imports from us, storage left out.

    A template belongs to the module of its name beside it, wherever that is imported.
    """
    waiting = [path for path in sorted((ROOT / "tasks" / stage).rglob("*")) if path.suffix in SOURCE_SUFFIXES]
    found: dict[str, str] = {}
    while waiting:
        path = waiting.pop()
        name = f"code {path.relative_to(ROOT).as_posix()}"
        if name in found:
            continue
        found[name], imported = _source_file(path)
        waiting.extend(imported)
    return found


@cache
def _source_file(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Short sha256 of a source file, and the project's files that it imports."""
    source = path.read_bytes()
    imported = tuple(_imported_files(ast.parse(source))) if path.suffix == ".py" else ()
    return hashlib.sha256(source).hexdigest()[:16], imported


def _imported_files(tree: ast.Module) -> Iterable[Path]:
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            # `from tasks.modeling import scores` names a module, too.
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for module in modules:
            path = ROOT / (module.replace(".", "/") + ".py")
            ours = module.startswith(("tasks.", "data_contracts.")) and not module.startswith("tasks.storage.")
            if ours and path.is_file():
                yield path
                template = path.with_suffix(".html")
                yield from [template] if template.is_file() else []


def _name_of_flow() -> str:
    """The flow that asks: what a step was run on before is said of the same use of it, as of training or of windows."""
    context = FlowRunContext.get()
    return context.flow.name if context and context.flow else "none"


@cache
def _name_of_pipeline(given: str) -> str:
    """What the YAML calls itself, by which it may be given the next time, and which no other does."""
    path = Path(given)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return str(read_yaml(path).get("name", path.stem))
    return path.stem


def _digest_of(result: Any) -> str | None:
    return result.digest if isinstance(result, Handle) else None


def _flatten(name: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, Handle):
        yield name, value.digest[:16]
        for field in HANDED_ON & type(value).model_fields.keys():
            yield from _flatten(f"{name}.{field}", getattr(value, field))
    elif isinstance(value, BaseModel):
        yield from _flatten(name, {field: getattr(value, field) for field in type(value).model_fields})
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _flatten(f"{name}.{key}", value[key])
        if not value:
            yield name, "{}"
    elif isinstance(value, list | tuple) and value and isinstance(value[0], BaseModel):
        for position, item in enumerate(value):
            yield from _flatten(f"{name}.{position}", item)
    else:
        yield name, json.dumps(value, default=str, sort_keys=True, ensure_ascii=False)


def _differences(now: dict[str, str], before: dict[str, str]) -> list[str]:
    changed = [name for name in sorted(now | before) if now.get(name) != before.get(name)]
    return [_in_words(name, before.get(name), now.get(name)) for name in changed]


def _by_name(components: dict[str, str]) -> dict[str, str]:
    """Entries of lists by their names instead of their places, as far as they have any and no two the same."""
    named: dict[str, str] = {}
    for name, value in components.items():
        parts: list[str] = []
        place = ""
        for part in name.split("."):
            place = f"{place}.{part}" if place else part
            own = [components.get(f"{place}.{field}", "") for field in NAMES] if part.isdigit() else []
            parts.append(next((json.loads(text) for text in own if text.startswith('"')), part))
        by_name = ".".join(parts)
        named[name if by_name in named else by_name] = value
    return named


def _in_words(name: str, before: str | None, now: str | None) -> str:
    if name.startswith("code "):
        return f"{name.removeprefix('code ')} changed"
    if before is None:
        return f"{name} is new"
    if now is None:
        return f"{name} is gone"
    return f"{name} changed from {before[:40]} to {now[:40]}"
