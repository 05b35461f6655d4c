"""Which kind of source a file is, by the ending of its name."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from data_contracts.errors import InputError, complain
from data_contracts.yaml_files import in_words
from tasks.ingestion.addresses import name_of
from tasks.ingestion.lines import COMPRESSED
from tasks.ingestion.sources import Source, SourceAdapter

KINDS: dict[str, str] = {
    ending: source.model_fields["kind"].default for source in get_args(get_args(Source)[0]) for ending in source.endings
}


def ending_of(address: str) -> str:
    """The ending of a file's name in small letters, that of a compressed one without what says so."""
    name = name_of(address)
    return (name.with_suffix("") if name.suffix in COMPRESSED else name).suffix


def source_of(address: str, kind: str | None = None, settings: Mapping[str, Any] | None = None) -> Source:
    """The source that reads a file, of the kind that its ending speaks for unless `kind` is given.

    Raises InputError for an ending that speaks for none, and for settings that the kind does not have.
    """
    ending = ending_of(address)
    if kind is None and ending not in KINDS:
        raise InputError(
            f"{address}: the ending {ending!r} does not say what kind of file it is; those that do are "
            f"{', '.join(KINDS)}, also with {', '.join(COMPRESSED)}. Name the kind with --kind."
        )
    tabs = {"delimiter": "\t"} if ending == ".tsv" and kind in (None, "csv") else {}
    given = {"kind": kind or KINDS[ending], "path": address, **tabs, **(settings or {})}
    try:
        return SourceAdapter.validate_python(given)
    except ValidationError as error:
        raise complain(f"{address} cannot be read so", [in_words(problem) for problem in error.errors()]) from error
