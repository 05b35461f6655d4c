"""From a file's columns to those of the contract."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.errors import InputError, complain
from tasks.ingestion.rows import RawRows

# Besides point and comma, what parts thousands: spaces, also those that lines do not break at, and apostrophes.
THOUSANDS = " \u00a0\u202f'\u2019"


class Tagged(BaseModel):
    """Tagged tokens, {"tokens": [...], "tags": [...]}, of two columns of lists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: str = Field(description="column in the file that holds each row's list of tokens")
    tags: str = Field(description="column in the file that holds a tag for each token")


class Joined(BaseModel):
    """Text of a column of lists of tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    join: str = Field(description="column in the file that holds each row's list of tokens")
    by: str = Field(" ", description="what stands between them in the text; nothing, of Chinese or Thai")


class Answered(BaseModel):
    """Answers, {"text": ..., "start": ...}, of two columns; `end` may take the place of `text`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: str = Field(description="column in the file that holds the character each row's answer begins at")
    text: str | None = Field(None, description="column in the file that holds the answer as it stands in the text")
    end: str | None = Field(None, description="column in the file that holds the character behind the answer")

    @model_validator(mode="after")
    def _says_where_it_ends(self) -> "Answered":
        if (self.text is None) == (self.end is None):
            raise ValueError("an answer is made of `start` and `text`, or of `start` and `end`; give one of the two")
        return self

    @property
    def parts(self) -> dict[str, str]:
        """{key of the answer: column in the file}."""
        return {key: name for key in ("text", "start", "end") if (name := getattr(self, key)) is not None}


class Number(BaseModel):
    """A number of a column of texts that write it as people do, with a decimal comma, and thousands apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: str = Field(description="column in the file that holds each row's number as text")
    decimal: Literal[",", "."] = Field(",", description="what stands before its decimals; the other may part thousands")

    def of(self, value: Any) -> Any:
        """The number as programs write it; what is none as it is: the contract's check says what is wrong with it."""
        if not isinstance(value, str):
            return value
        parting = THOUSANDS + {",": ".", ".": ","}[self.decimal]
        form = rf"\s*([+-]?)(\d+|[1-9]\d{{0,2}}(?:[{parting}]\d{{3}})+)(?:{re.escape(self.decimal)}(\d+))?\s*"
        if (found := re.fullmatch(form, value)) is None:
            return value
        sign, whole, decimals = found.groups()
        return sign + re.sub(rf"[{parting}]", "", whole) + (f".{decimals}" if decimals else "")


Made = str | Tagged | Joined | Answered | Number


def map_batches(
    batches: Iterable[RawRows], made: dict[str, Made], dropped: Sequence[str], path: str
) -> Iterator[RawRows]:
    """The batches of one file under the contract's names; `made` is {contract column: what it is made of}.

    A column that another is made of goes, unless it is made of itself too. Raises InputError where two columns would
    get the same name, and, since a key may be missing in some rows, at the end of the file where `made` or `dropped`
    names a column that no row has.
    """
    seen: dict[str, None] = {}
    for batch in batches:
        seen.update(dict.fromkeys(batch.columns))
        _refuse_clashes(seen, made, dropped, path)
        yield replace(batch, columns=mapped(batch, made, dropped))
    if seen:
        _refuse_unknown(seen, made, dropped, path)


def mapped(batch: RawRows, made: dict[str, Made], dropped: Sequence[str]) -> dict[str, Any]:
    """The columns of a batch under the contract's names; one of which the batch has no part is left out."""
    gone = {*dropped, *(name for rule in made.values() for name in _needs(rule))}
    kept = {name: column for name, column in batch.columns.items() if name not in gone}
    rules = {name: rule for name, rule in made.items() if any(need in batch.columns for need in _needs(rule))}
    return {**kept, **{name: _make(rule, batch) for name, rule in rules.items()}}


def _needs(rule: Made) -> tuple[str, ...]:
    match rule:
        case Tagged():
            return (rule.tokens, rule.tags)
        case Joined():
            return (rule.join,)
        case Answered():
            return tuple(rule.parts.values())
        case Number():
            return (rule.number,)
    return (rule,)


def _make(rule: Made, batch: RawRows) -> Any:
    found = [batch.columns.get(name, [None] * len(batch.numbers)) for name in _needs(rule)]
    match rule:
        case Tagged():
            return _tagged(found[0], found[1])
        case Joined():
            return _joined(found[0], rule.by)
        case Answered():
            keys = tuple(rule.parts)
            return [_answer(dict(zip(keys, of_row, strict=True))) for of_row in zip(*map(_as_list, found), strict=True)]
        case Number():
            return [rule.of(value) for value in _as_list(found[0])]
    return found[0]


def _tagged(tokens: Any, tags: Any) -> Any:
    if _is_python(tokens) or _is_python(tags):
        pairs = zip(_as_list(tokens), _as_list(tags), strict=True)
        return [None if pair == (None, None) else {"tokens": pair[0], "tags": pair[1]} for pair in pairs]
    import pyarrow as pa
    import pyarrow.compute as pc

    neither = pc.and_(tokens.is_null(), tags.is_null())
    return pa.StructArray.from_arrays([tokens, tags], ["tokens", "tags"], mask=neither)


def _answer(parts: dict[str, Any]) -> dict[str, Any] | None:
    return parts if any(part is not None for part in parts.values()) else None


def _joined(column: Any, by: str) -> Any:
    if not _is_python(column):
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
            return pc.binary_join(column, by)
    return [_joined_tokens(value, by) for value in _as_list(column)]


def _joined_tokens(value: Any, by: str) -> Any:
    """Text, or the value itself where it is no list of text: the contract's check says what is wrong with it."""
    if isinstance(value, list | tuple) and all(isinstance(token, str) for token in value):
        return by.join(value)
    return value


def _is_python(column: Any) -> bool:
    return isinstance(column, list | tuple)


def _as_list(column: Any) -> Sequence[Any]:
    return column if _is_python(column) else column.to_pylist()  # type: ignore[no-any-return]


def _refuse_clashes(seen: Iterable[str], made: dict[str, Made], dropped: Sequence[str], path: str) -> None:
    used = {*dropped, *(name for rule in made.values() for name in _needs(rule))}
    twice = sorted(name for name in seen if name in made and name not in used)
    if twice:
        raise InputError(
            f"{path} already has {', '.join(map(repr, twice))}, which `columns` makes of another column. "
            "Rename one of the two, or name the file's own under `drop`."
        )


def _refuse_unknown(seen: Iterable[str], made: dict[str, Made], dropped: Sequence[str], path: str) -> None:
    has = set(seen)
    problems = [
        f"`columns` makes {name!r} of {need!r}"
        for name, rule in made.items()
        for need in _needs(rule)
        if need not in has
    ]
    problems += [f"`drop` leaves out {name!r}" for name in dropped if name not in has]
    if problems:
        raise complain(
            f"{path} has no such column",
            problems,
            f"Its columns are {', '.join(map(repr, sorted(has)))}. Correct the settings of the source.",
        )
