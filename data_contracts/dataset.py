"""DatasetContract: columns, label sets and rules of one data set, in the terms of the Open Data Contract Standard.

The YAML follows ODCS v3 (https://bitol-io.github.io/open-data-contract-standard/) where it has a name for a thing;
what it lacks (label sets, tag kinds, the quarantine budget) stands under `customProperties`.
"""

import hashlib
import json
import re
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.errors import InputError, complain

DATASETS = Path(__file__).parent / "datasets"
Model = TypeVar("Model", bound=BaseModel)
LogicalType = Literal["string", "number", "integer", "boolean", "timestamp", "object"]


class Closed(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class CustomProperty(Closed):
    """An entry of `customProperties`: what ODCS has no name for."""

    property: str
    value: Any


class LogicalTypeOptions(Closed):
    """Limits that belong to a type. Lengths count characters."""

    min_length: int | None = Field(None, alias="minLength", ge=0)
    max_length: int | None = Field(None, alias="maxLength", ge=1)
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _limits_leave_something(self) -> "LogicalTypeOptions":
        for low, high in ((self.min_length, self.max_length), (self.minimum, self.maximum)):
            if low is not None and high is not None and low > high:
                raise ValueError(f"the lower limit {low} is above the upper limit {high}, so no value is allowed")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is no regular expression: {error}") from error
        return self


class Quality(Closed):
    """A rule in Great Expectations' own words: `implementation` holds `type` and `kwargs` of one expectation."""

    type: Literal["custom"]
    engine: Literal["greatExpectations"]
    description: str = ""
    implementation: dict[str, Any]


class Property(Closed):
    """One column."""

    name: str
    logical_type: LogicalType = Field(alias="logicalType")
    description: str = ""
    required: bool = False
    unique: bool = False
    logical_type_options: LogicalTypeOptions = Field(LogicalTypeOptions(), alias="logicalTypeOptions")
    quality: tuple[Quality, ...] = ()
    custom_properties: tuple[CustomProperty, ...] = Field((), alias="customProperties")

    @model_validator(mode="after")
    def _is_usable(self) -> "Property":
        if problems := list(_problems_of(self)):
            raise ValueError("; ".join(problems))
        return self

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Allowed labels, or None for a column that is no class label."""
        labels = _custom(self.custom_properties, "labels")
        return tuple(labels) if labels is not None else None

    @property
    def tag_kinds(self) -> tuple[str, ...] | None:
        """Entity kinds of a column that holds tokens with BIO tags, or None."""
        kinds = _custom(self.custom_properties, "tagKinds")
        return tuple(kinds) if kinds is not None else None

    @property
    def is_label(self) -> bool:
        """Whether the column is an answer to learn, which a production window does not have."""
        return bool(_custom(self.custom_properties, "role") == "label")


class SchemaObject(Closed):
    """The table."""

    name: str
    logical_type: Literal["object"] = Field("object", alias="logicalType")
    description: str = ""
    properties: tuple[Property, ...] = Field(min_length=1)


class Description(Closed):
    """What the data is for."""

    purpose: str = ""
    usage: str = ""
    limitations: str = ""


class DatasetContract(Closed):
    """One contract. `digest` is that of the YAML's content, so a comment does not change it."""

    api_version: Annotated[str, Field(pattern=r"^v3\.")] = Field(alias="apiVersion")
    kind: Literal["DataContract"]
    id: str
    name: str
    version: str
    status: Literal["proposed", "draft", "active", "deprecated", "retired"] = "active"
    owner: str = ""
    description: Description = Description()
    schema_: tuple[SchemaObject, ...] = Field(alias="schema", min_length=1, max_length=1)
    custom_properties: tuple[CustomProperty, ...] = Field((), alias="customProperties")

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> "DatasetContract":
        names = [column.name for column in self.columns]
        problems = [f"column {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
        problems += _unknown(self.custom_properties, ("quarantineBudget",))
        budget = _custom(self.custom_properties, "quarantineBudget")
        if budget is not None and not (type(budget) in (int, float) and 0 <= budget <= 1):
            problems.append(f"quarantineBudget is a share from 0 to 1, not {budget!r}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def columns(self) -> tuple[Property, ...]:
        """Columns in the order of the YAML."""
        return self.schema_[0].properties

    @property
    def quarantine_budget(self) -> float:
        """Share of a split's rows that may be quarantined before the run stops; 0 where the contract is silent."""
        return float(_custom(self.custom_properties, "quarantineBudget") or 0.0)

    @property
    def digest(self) -> str:
        """sha256 of the contract."""
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def column(self, name: str) -> Property:
        """The column of that name. Raises InputError, saying which exist."""
        for column in self.columns:
            if column.name == name:
                return column
        raise InputError(
            f"contract {self.name} has no column {name!r}; it has {', '.join(c.name for c in self.columns)}. "
            "Correct the name in the pipeline, or add the column to the contract."
        )

    def without_labels(self) -> "DatasetContract":
        """The part of the contract that rows satisfy before anybody has labelled them."""
        kept = tuple(column for column in self.columns if not column.is_label)
        return self.model_copy(update={"schema_": (self.schema_[0].model_copy(update={"properties": kept}),)})


def load_contract(name: str, directory: Path | None = None) -> DatasetContract:
    """The contract called `name` (in `datasets/`), or that of the YAML file at that path, relative to `directory`.

    Raises InputError for a contract that does not exist and for one with mistakes, listing all of them.
    """
    path = DATASETS / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        path = (directory or Path.cwd()) / name
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in DATASETS.glob("*.yaml")))
        raise InputError(
            f"there is no contract {name!r} ({path}); known contracts: {known}, or give a path to a YAML file"
        )
    return parse_yaml(path, DatasetContract)


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
        problems = [_in_words(problem) for problem in error.errors() if not _only_follows(problem, error.errors())]
        raise complain(f"{where}: {len(problems)} mistake(s)", problems) from error


def _only_follows(problem: Any, problems: Sequence[Any]) -> bool:
    """Whether a list is called too short only because pydantic did not count its entries that have mistakes."""
    depth = len(problem["loc"])
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == problem["loc"] for other in problems
    )


def _in_words(problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"]) or "(top)"
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    if problem["type"] == "missing":
        return f"{path}: missing"
    return f"{path}: {problem['msg']}, found {str(problem.get('input'))[:80]!r}"


def _problems_of(column: Property) -> Iterator[str]:
    if column.name.startswith("_"):
        yield f"column {column.name!r}: names with a leading underscore are those of graft's own columns"
    yield from _unknown(column.custom_properties, ("labels", "role", "tagKinds", "tagScheme"))
    for name in ("labels", "tagKinds"):
        value = _custom(column.custom_properties, name)
        if value is None:
            continue
        if not isinstance(value, list) or not value or not all(isinstance(entry, str) for entry in value):
            yield f"{name} is a list of text, not {value!r}; YAML reads yes, no, on, off and numbers as text in quotes"
        elif len(set(value)) < len(value):
            yield f"{name} holds an entry twice: {value}"
    for name, allowed in (("role", "label"), ("tagScheme", "BIO")):
        if (value := _custom(column.custom_properties, name)) not in (None, allowed):
            yield f"{name} is {allowed!r} or absent, not {value!r}"


def _unknown(entries: tuple[CustomProperty, ...], known: tuple[str, ...]) -> list[str]:
    return [
        f"unknown custom property {entry.property!r}; known: {', '.join(known)}"
        for entry in entries
        if entry.property not in known
    ]


def _custom(entries: tuple[CustomProperty, ...], name: str) -> Any:
    return next((entry.value for entry in entries if entry.property == name), None)
