"""YAML files read as they are meant, and as models, with every mistake shown at once."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from data_contracts.errors import InputError, complain

Model = TypeVar("Model", bound=BaseModel)


class UniqueKeys(yaml.CSafeLoader):
    """Reads YAML as it is meant: of a key given twice, plain YAML would drop the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping of a node. Raises ConstructorError for a key given twice."""
        seen: dict[str, yaml.Mark] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    f"key {key.value!r} is given twice, first", seen[key.value], "and again", key.start_mark
                )
            seen[key.value] = key.start_mark
        return super().construct_mapping(node, deep=deep)


def parse_yaml(path: Path, model: type[Model]) -> Model:
    """The YAML file as a model. Raises InputError with every mistake and the path of its key."""
    return model_of(read_yaml(path), model, str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds. Raises InputError where it is none."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), UniqueKeys)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, not a mapping of keys to values")
    return content


def model_of(content: dict[str, Any], model: type[Model], where: str) -> Model:
    """`content` as a model. Raises InputError with every mistake and the path of its key."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [in_words(problem) for problem in error.errors() if not _only_follows(problem, error.errors())]
        raise complain(f"{where}: {len(problems)} mistake(s)", problems) from error


def in_words(problem: Any) -> str:
    """One of pydantic's errors: the path of its key, what is wrong, and what was found."""
    path = ".".join(str(part) for part in problem["loc"]) or "(top)"
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    if problem["type"] == "missing":
        return f"{path}: missing"
    if problem["type"] == "value_error":
        # A validator of ours says itself what it found.
        return f"{path}: {problem['msg'].removeprefix('Value error, ')}"
    return f"{path}: {problem['msg']}, found {str(problem.get('input'))[:80]!r}"


def _only_follows(problem: Any, problems: Sequence[Any]) -> bool:
    """Whether a list is called too short only because pydantic did not count its entries that have mistakes."""
    depth = len(problem["loc"])
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == problem["loc"] for other in problems
    )
