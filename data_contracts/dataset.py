"""DatasetContract: columns, label sets and rules of one data set, in the terms of the Open Data Contract Standard.

The YAML follows ODCS v3 (https://bitol-io.github.io/open-data-contract-standard/) where it has a name for a thing;
what it lacks (label sets, tag kinds, the quarantine budget) stands under `customProperties`.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from data_contracts.errors import InputError
from data_contracts.rules import (
    KNOWN_RULES,
    LABEL_RULES,
    RULES_OF_FIRST_TEXT,
    RULES_OF_ROLE_TEXT,
    TEXT_RULES,
    ColumnRules,
)
from data_contracts.yaml_files import in_words, parse_yaml

DATASETS = Path(__file__).parent / "datasets"
TEXT = "text"
FRESHNESS = "freshness"
UNITS = {
    **dict.fromkeys(("m", "min", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hr", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(weeks=1)),
}
KEPT = "kept"
# Keys of a column that nothing is checked by.
FOR_PEOPLE = ("description", "businessName", "physicalType", "classification", "tags", "examples")
LogicalType = Literal["string", "number", "integer", "boolean", "timestamp", "array", "object"]


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

    @property
    def expectation(self) -> str:
        """The kind of expectation."""
        return str(self.implementation.get("type", ""))


class Property(Closed):
    """One column. What ODCS says beyond what is checked is for people.

    `array` is a list of text; `object` is {tokens, tags}, or with `answersIn` {text, start}: parts of a text.
    """

    name: str
    logical_type: LogicalType = Field(alias="logicalType")
    description: str = ""
    required: bool = False
    unique: bool = False
    logical_type_options: LogicalTypeOptions = Field(LogicalTypeOptions(), alias="logicalTypeOptions")
    quality: tuple[Quality, ...] = ()
    custom_properties: tuple[CustomProperty, ...] = Field((), alias="customProperties")
    business_name: str = Field("", alias="businessName")
    physical_type: str = Field("", alias="physicalType")
    classification: str = ""
    tags: tuple[str, ...] = ()
    examples: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _is_usable(self) -> "Property":
        if problems := list(_problems_of(self)):
            raise ValueError("; ".join(problems))
        return self

    @cached_property
    def rules(self) -> ColumnRules:
        """What `customProperties` say."""
        return ColumnRules.model_validate({entry.property: entry.value for entry in self.custom_properties})

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Allowed labels, or None for a column that is no class label."""
        return self.rules.labels

    @property
    def tag_kinds(self) -> tuple[str, ...] | None:
        """Entity kinds of a column that holds tokens with BIO tags, or None."""
        return self.rules.tag_kinds

    def where_texts_recur(self) -> "Property":
        """The column without its rule against duplicates."""
        kept = tuple(entry for entry in self.custom_properties if entry.property != "duplicates")
        # Made anew, for a copy would go on with the rules of the old one.
        return Property.model_validate({**self.model_dump(by_alias=True), "customProperties": kept})

    @property
    def is_label(self) -> bool:
        """Whether the column is an answer to learn, which a production window does not have."""
        return self.rules.role == "label"


class ServiceLevel(Closed):
    """An entry of `slaProperties`. `freshness` is checked: `element` is no older than `value` `unit`s."""

    property: str
    value: Any
    unit: str = ""
    element: str = ""
    id: str = ""
    value_ext: Any = Field(None, alias="valueExt")
    driver: str = ""
    description: str = ""
    scheduler: str = ""
    schedule: str = ""


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
    sla_properties: tuple[ServiceLevel, ...] = Field((), alias="slaProperties")
    custom_properties: tuple[CustomProperty, ...] = Field((), alias="customProperties")
    # For people: part of the contract, and nothing that could be checked here.
    tenant: str = ""
    domain: str = ""
    data_product: str = Field("", alias="dataProduct")
    tags: tuple[str, ...] = ()
    team: Any = None
    roles: Any = None
    support: Any = None
    servers: Any = None
    price: Any = None
    authoritative_definitions: Any = Field(None, alias="authoritativeDefinitions")
    contract_created_ts: Any = Field(None, alias="contractCreatedTs")

    @model_validator(mode="after")
    def _names_are_unique_and_known(self, info: ValidationInfo) -> "DatasetContract":
        if info.context == KEPT:
            return self
        names = [column.name for column in self.columns]
        problems = [f"column {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
        problems += _unknown(self.custom_properties, ("quarantineBudget",)) + _given_twice(self.custom_properties)
        budget = _custom(self.custom_properties, "quarantineBudget")
        if budget is not None and not (type(budget) in (int, float) and 0 <= budget <= 1):
            problems.append(f"quarantineBudget is a share from 0 to 1, not {budget!r}")
        problems += _unknown_columns(self)
        problems += _rules_of_other_columns(self)
        problems += _unknown_implementations(self)
        problems += _unusable_freshness(self)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def columns(self) -> tuple[Property, ...]:
        """Columns in the order of the YAML."""
        return self.schema_[0].properties

    @property
    def text_columns(self) -> tuple[Property, ...]:
        """Columns of role `text`; where none has that role, the one called `text`."""
        given = tuple(column for column in self.columns if column.rules.role == TEXT)
        return given or tuple(c for c in self.columns if c.name == TEXT and c.logical_type == "string")

    @property
    def freshness(self) -> tuple[str, timedelta] | None:
        """The column that tells how old the data is and the greatest age of its newest row, or None."""
        level = next((level for level in self.sla_properties if level.property == FRESHNESS), None)
        return (_element(level), float(level.value) * UNITS[level.unit]) if level else None

    def text_column_of(self, column: Property) -> str | None:
        """The text that the tokens of a tagged column, or the answers of another, stand in."""
        named = column.rules.answers_in or column.rules.text_column
        return named or next((text.name for text in self.text_columns), None)

    @property
    def quarantine_budget(self) -> float:
        """Share of a split's rows that may be quarantined before the run stops; 0 where the contract is silent."""
        return float(_custom(self.custom_properties, "quarantineBudget") or 0.0)

    @property
    def digest(self) -> str:
        """sha256 of the contract."""
        # Without what is left at its default: a key that graft learns later leaves older contracts what they are.
        content = json.dumps(self.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def rules_digest(self) -> str:
        """sha256 of what is asked of rows: what else is changed, such as the owner, asks for no new training."""
        columns = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)["schema"][0]["properties"]
        content = [{key: value for key, value in column.items() if key not in FOR_PEOPLE} for column in columns]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

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
        """The part of the contract for rows of production: nobody has labelled them, and people repeat each other."""
        kept = tuple(column.where_texts_recur() for column in self.columns if not column.is_label)
        return self.model_copy(update={"schema_": (self.schema_[0].model_copy(update={"properties": kept}),)})


def kept_contract(content: dict[str, Any]) -> DatasetContract:
    """The contract of a version of before, which was checked by the rules of then."""
    return DatasetContract.model_validate(content, context=KEPT)


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


def _problems_of(column: Property) -> Iterator[str]:
    if column.name.startswith("_"):
        yield f"column {column.name!r}: names with a leading underscore are those of graft's own columns"
    unknown = _unknown(column.custom_properties, KNOWN_RULES)
    yield from unknown
    given = [entry.property for entry in column.custom_properties]
    yield from _given_twice(column.custom_properties)
    if unknown:
        return
    try:
        rules = column.rules
    except ValidationError as error:
        for problem in error.errors():
            yield in_words(problem)
        return
    if rules.labels is not None and column.logical_type not in ("string", "array"):
        yield f"labels are those of a string or an array of strings, not of a column of type {column.logical_type}"
    if rules.tag_kinds is not None and column.logical_type != "object":
        yield f"tagKinds are those of an object of tokens and tags, not of a column of type {column.logical_type}"
    if rules.answers_in is not None and column.logical_type != "object":
        yield f"answersIn is for an object of answers, not for a column of type {column.logical_type}"
    if rules.answers_in is not None and rules.tag_kinds is not None:
        yield "answersIn and tagKinds are for two kinds of columns; a column holds answers or tokens with tags"
    misplaced = [name for name in TEXT_RULES if name in given] if column.logical_type != "string" else []
    misplaced += [name for name in LABEL_RULES[1:] if name in given] if rules.labels is None else []
    yield from (f"{name} says nothing about a column of this kind" for name in misplaced)


def _unknown_columns(contract: DatasetContract) -> Iterator[str]:
    texts = [column.name for column in contract.columns if column.logical_type == "string"]
    for column in contract.columns:
        for rule, named in (("textColumn", column.rules.text_column), ("answersIn", column.rules.answers_in)):
            if named is not None and named not in texts:
                yield f"column {column.name!r}: {rule} {named!r} is none of the columns of text: {', '.join(texts)}"


def _rules_of_other_columns(contract: DatasetContract) -> Iterator[str]:
    """Rules that are checked on other columns than those they are given for."""
    texts = [column.name for column in contract.text_columns]
    for column in contract.columns:
        given = {entry.property for entry in column.custom_properties}
        if column.name not in texts:
            of_texts = [rule for rule in RULES_OF_ROLE_TEXT if rule in given]
            yield from (f"column {column.name!r}: {rule} is for columns with `role: text`" for rule in of_texts)
        elif column.name != texts[0]:
            of_rows = [rule for rule in RULES_OF_FIRST_TEXT if rule in given]
            yield from (f"column {column.name!r}: {rule} is given for all texts at {texts[0]!r}" for rule in of_rows)
        if not column.is_label:
            of_labels = [rule for rule in LABEL_RULES[1:] if rule in given]
            yield from (f"column {column.name!r}: {rule} is for columns with `role: label`" for rule in of_labels)


def _unknown_implementations(contract: DatasetContract) -> Iterator[str]:
    for column in contract.columns:
        for rule in column.quality:
            unknown = ", ".join(map(repr, sorted(set(rule.implementation) - {"type", "kwargs"})))
            if unknown:
                yield f"column {column.name!r}: implementation holds {unknown}; it holds `type` and `kwargs` alone"


def _unusable_freshness(contract: DatasetContract) -> Iterator[str]:
    moments = [column.name for column in contract.columns if column.logical_type == "timestamp"]
    if sum(level.property == FRESHNESS for level in contract.sla_properties) > 1:
        yield "slaProperties: freshness is given twice"
    for level in contract.sla_properties:
        if level.property != FRESHNESS:
            if get_close_matches(level.property.lower(), [FRESHNESS], cutoff=0.8):
                yield f"slaProperties: {level.property!r} is nothing that is checked; is it `{FRESHNESS}`?"
            continue
        if _element(level) not in moments:
            known = ", ".join(moments) or "none"
            yield f"slaProperties: freshness names element {level.element!r}; columns of type timestamp: {known}"
        if level.unit not in UNITS:
            yield f"slaProperties: freshness has unit {level.unit!r}; units are {', '.join(UNITS)}"
        if not (type(level.value) in (int, float) and level.value > 0):
            yield f"slaProperties: freshness is a number above 0, not {level.value!r}"


def _element(level: ServiceLevel) -> str:
    """The column that `table.column` or `column` names."""
    return level.element.rpartition(".")[2]


def _unknown(entries: tuple[CustomProperty, ...], known: tuple[str, ...]) -> list[str]:
    return [
        f"unknown custom property {entry.property!r}; known: {', '.join(known)}"
        for entry in entries
        if entry.property not in known
    ]


def _given_twice(entries: tuple[CustomProperty, ...]) -> list[str]:
    given = [entry.property for entry in entries]
    return [f"custom property {name!r} is given twice" for name in sorted({n for n in given if given.count(n) > 1})]


def _custom(entries: tuple[CustomProperty, ...], name: str) -> Any:
    return next((entry.value for entry in entries if entry.property == name), None)
