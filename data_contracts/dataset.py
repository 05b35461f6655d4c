"""DatasetContract: columns, label sets and rules of one data set, in the terms of the Open Data Contract Standard.

The YAML follows ODCS v3 (https://bitol-io.github.io/open-data-contract-standard/) where it has a name for a thing;
what it lacks (label sets, tag kinds, the quarantine budget) stands under `customProperties`.
"""

import hashlib
import json
import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from data_contracts.errors import InputError
from data_contracts.mistakes import FRESHNESS, UNITS, column_of, mistakes_of, mistakes_of_column
from data_contracts.rules import ColumnRules
from data_contracts.yaml_files import parse_yaml

DATASETS = Path(__file__).parent / "datasets"
TEXT = "text"
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
        if problems := list(mistakes_of_column(self)):
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
        problems = list(mistakes_of(self))
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
        return (column_of(level.element), float(level.value) * UNITS[level.unit]) if level else None

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


def _custom(entries: tuple[CustomProperty, ...], name: str) -> Any:
    return next((entry.value for entry in entries if entry.property == name), None)
