"""The chain from source files to a version, link by link: which of them still are what the passport says.

A link is broken where content does not have the digest it goes by, or names other parents than those it was made from.
What lies outside the store (source files, encoder, contract, code) may rightly have changed since: it differs today.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from data_contracts.artifacts import VERDICT_FILE, Handle, SourceFile
from data_contracts.dataset import kept_contract
from data_contracts.errors import InputError
from tasks.registry.passport import PASSPORT, QUARANTINE, WEIGHTS, Passport, Program, read_passport, sha256_of

Status = Literal["holds", "BROKEN", "differs today", "gone"]
SHOWN_DIGITS = 12
NOTHING = "nothing"


@dataclass(frozen=True)
class Link:
    """One link of the chain: what was expected, and what was found where that is not the same."""

    name: str
    status: Status
    expected: str
    found: str = ""


class Objects(NamedTuple):
    """The store, as far as it takes to look: the digest of a directory's content today with the files that changed,
    and a local folder of the directory."""

    hash_again: Callable[[str], tuple[str | None, Sequence[str]]]
    directory: Callable[[str], Path]


@dataclass(frozen=True)
class Today:
    """What is there now of all that lies outside the store; None where it is gone or cannot be read.

    `registered` is {name: digest} as the registry has it: model, reference, judgement.
    """

    settings_digest: str | None
    contract: str | None
    encoder: str | None
    program: Program
    registered: dict[str, str | None]
    source: Callable[[SourceFile], str | None]
    digest_of_sources: Callable[[Sequence[SourceFile]], str]


def first_broken(links: Sequence[Link]) -> Link | None:
    """The broken link that is nearest to the source; None where the chain holds."""
    return next((link for link in links if link.status == "BROKEN"), None)


def verify(digest: str, objects: Objects, today: Callable[[Passport], Today]) -> list[Link]:
    """Every link of the version whose passport has that digest, from the source on, after the passport itself.

    `today` is asked once the passport is known to hold.
    """
    link = _stored("passport", digest, objects)
    if link.status == "BROKEN":
        return [link]
    try:
        passport = read_passport(objects.directory(digest))
    except InputError as error:
        return [Link("passport", "BROKEN", f"a {PASSPORT} that can be read", str(error))]
    now = today(passport)
    return [
        link,
        *_rows(passport, objects, now),
        *_model(passport, objects),
        *_version(passport, now),
        *_around(passport, now),
    ]


def _rows(passport: Passport, objects: Objects, now: Today) -> Iterator[Link]:
    origin, snapshot = passport.rows, passport.snapshot
    if origin is None:
        yield Link("rows", "gone", "what the rows come from", "this version was made before that was kept")
        yield _stored("training rows", snapshot.digest, objects)
        return
    for file in origin.sources.files:
        yield _outside(f"source {file.split or 'undivided'} {file.address}", file.sha256, now.source(file))
    yield _equal("source files", origin.sources.digest, now.digest_of_sources(origin.sources.files))
    made = (origin.sources, origin.lines, origin.corrections)
    parents = tuple(handle.digest for handle in made if handle)
    for name, handle in (("split plan", origin.lines), ("corrections", origin.corrections)):
        if handle is not None:
            yield _stored(name, handle.digest, objects)
    yield _child("snapshot", origin.snapshot, parents, objects)
    content = kept_contract(origin.contract).digest
    yield _equal("contract", origin.checked.contract_digest, content)
    yield _child("checked rows", origin.checked, (origin.snapshot.digest, content), objects)
    if passport.quarantine is not None and objects.hash_again(origin.checked.digest)[0] is not None:
        found = sha256_of(objects.directory(origin.checked.digest) / QUARANTINE)
        yield _equal("quarantine", passport.quarantine, found)
    if snapshot.digest != origin.checked.digest:
        yield _child("prepared rows", snapshot, (origin.checked.digest,), objects)


def _model(passport: Passport, objects: Objects) -> Iterator[Link]:
    model, snapshot, assessment = passport.model, passport.snapshot, passport.assessment
    yield _stored("tokens", passport.tokens, objects)
    # Older models name their contract, too, which the checked rows do.
    learnt = model.model_copy(update={"parents": model.parents[:2]})
    yield _child("model", learnt, (snapshot.digest, passport.tokens), objects)
    if objects.hash_again(model.digest)[0] is not None:
        yield _equal("weights", passport.weights, sha256_of(objects.directory(model.digest) / WEIGHTS))
    yield _stored("predictions", assessment.predictions, objects)
    scored = (assessment.predictions, assessment.snapshot)
    yield _child("assessment", assessment, scored, objects, of={"model": (assessment.model, model.digest)})
    # The assessment's digest does not depend on what was measured beside the scores, by which the gate goes, too.
    beside = {"cost": assessment.cost, "probes": assessment.probes, "label errors": assessment.label_errors}
    for name, digest in beside.items():
        if digest is not None:
            yield _stored(name, digest, objects)
    judged = passport.judgement
    for parent in judged.parents[1:]:
        yield _stored(f"judged beside {parent[:SHOWN_DIGITS]}", parent, objects)
    yield _child(
        "judgement",
        judged,
        (assessment.digest, *judged.parents[1:]),
        objects,
        of={
            "candidate": (judged.candidate, model.digest),
            "champion": (judged.champion, passport.parent.model if passport.parent else None),
            "verdict": (judged.verdict, _verdict_in(objects, judged.digest)),
        },
    )
    reference = passport.reference
    of_model = {"model": (reference.model, model.digest)}
    yield _child("reference", reference, (assessment.predictions,), objects, of=of_model)
    yield _child("report", passport.report, (assessment.digest, judged.digest), objects)


def _version(passport: Passport, now: Today) -> Iterator[Link]:
    """What the registry has under the version's number."""
    expected = {"model": passport.model, "reference": passport.reference, "judgement": passport.judgement}
    for name, handle in expected.items():
        yield _equal(f"registered {name}", handle.digest, now.registered.get(name))


def _around(passport: Passport, now: Today) -> Iterator[Link]:
    yield _outside("encoder today", passport.model.encoder.digest, now.encoder)
    yield _outside("contract today", passport.snapshot.contract_digest, now.contract)
    yield _outside("pipeline today", passport.settings_digest, now.settings_digest)
    then, program = passport.program, now.program
    changed = sorted(name for name in then.files | program.files if then.files.get(name) != program.files.get(name))
    shown = ", ".join(name.removeprefix("code ") for name in changed[:3]) + (", ..." if len(changed) > 3 else "")
    if changed:
        yield Link("code today", "differs today", f"{len(then.files)} files", f"{len(changed)} changed: {shown}")
    else:
        yield Link("code today", "holds", f"{len(then.files)} files")
    if then.constraints is not None:
        yield _outside("constraints.txt today", then.constraints, program.constraints)


def _stored(name: str, digest: str, objects: Objects) -> Link:
    """Whether the store holds that directory with all its bytes."""
    found, altered = objects.hash_again(digest)
    if found is None:
        return Link(name, "BROKEN", digest, "no such directory in the store")
    if found != digest:
        return Link(name, "BROKEN", digest, f"{found}{_in_brackets(altered)}")
    return Link(name, "holds", digest)


def _child(
    name: str,
    handle: Handle,
    parents: tuple[str, ...],
    objects: Objects,
    of: dict[str, tuple[Any, Any]] | None = None,
) -> Link:
    """The same, and whether it was made from those parents and says what it should (`of`: name, said and wanted)."""
    link = _stored(name, handle.digest, objects)
    if link.status == "BROKEN":
        return link
    if handle.parents != parents:
        return Link(name, "BROKEN", f"made from {_short(parents)}", f"made from {_short(handle.parents)}")
    for what, (said, wanted) in (of or {}).items():
        if said != wanted:
            return Link(name, "BROKEN", f"{what} {wanted}", f"{what} {said}")
    return link


def _equal(name: str, expected: str, found: str | None) -> Link:
    return Link(name, "holds", expected) if found == expected else Link(name, "BROKEN", expected, found or NOTHING)


def _outside(name: str, expected: str, found: str | None) -> Link:
    if found is None:
        return Link(name, "gone", expected, NOTHING)
    return Link(name, "holds", expected) if found == expected else Link(name, "differs today", expected, found)


def _verdict_in(objects: Objects, digest: str) -> str | None:
    if objects.hash_again(digest)[0] is None:
        return None
    try:
        return str(json.loads((objects.directory(digest) / VERDICT_FILE).read_bytes())["verdict"])
    except (OSError, ValueError, KeyError):
        return None


def _short(digests: Sequence[str]) -> str:
    return ", ".join(digest[:SHOWN_DIGITS] for digest in digests) or NOTHING


def _in_brackets(altered: Sequence[str]) -> str:
    return f" (altered: {', '.join(altered)})" if altered else ""
