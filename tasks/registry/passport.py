"""Passport: what a model version was made from, by digest, from the bytes of its source files to its verdict."""

import hashlib
import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from data_contracts.artifacts import (
    Assessment,
    Digest,
    Judgement,
    Reference,
    Report,
    RowOrigin,
    TrainedModel,
    ValidatedSnapshot,
)
from data_contracts.errors import InputError

PASSPORT, ORIGIN, WEIGHTS, QUARANTINE = "passport.json", "origin.json", "weights.safetensors", "quarantine.jsonl"


class GitState(BaseModel):
    """The commit that was checked out, and whether files had been changed since."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str
    dirty: bool


class Parent(BaseModel):
    """The champion that a version was judged against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int | None
    model: Digest


class Program(BaseModel):
    """The code that made a version: {`code path`: 16 digits of sha256}, and constraints.txt where it lies beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, str]
    git: GitState | None = None
    constraints: Digest | None = None


class Passport(BaseModel):
    """All that made one version. Every digest names a directory of the store, unless it is said to be of a file.

    `snapshot` holds the rows that training saw, `rows` what they come from; `settings` are those of the pipeline with
    `overrides` applied and every default filled in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    pipeline: str
    made_at: datetime
    rows: RowOrigin | None
    snapshot: ValidatedSnapshot
    quarantine: Digest | None
    settings: dict[str, Any]
    overrides: tuple[str, ...]
    program: Program
    model: TrainedModel
    weights: Digest
    parent: Parent | None
    assessment: Assessment
    judgement: Judgement
    reference: Reference
    report: Report

    @property
    def tokens(self) -> str:
        """Digest of the token ids that were learnt from."""
        return self.model.parents[1]

    @property
    def seed(self) -> int:
        """What every random choice of the training follows from."""
        return int(self.settings["training"]["seed"])

    @property
    def settings_digest(self) -> str:
        """sha256 of the settings."""
        return settings_digest(self.settings)


def write_passport(folder: Path, passport: Passport) -> None:
    """Writes `passport.json`."""
    (folder / PASSPORT).write_text(passport.model_dump_json(indent=1), encoding="utf-8")


def read_passport(folder: Path) -> Passport:
    """What `write_passport` wrote. Raises InputError where it is no passport any more."""
    path = folder / PASSPORT
    try:
        return Passport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is no passport that this graft reads: {str(error).splitlines()[0]}. It was altered, or written by "
            "another version of graft; `graft verify` says which."
        ) from error


def write_origin(folder: Path, origin: RowOrigin) -> None:
    """Writes `origin.json`."""
    (folder / ORIGIN).write_text(origin.model_dump_json(indent=1), encoding="utf-8")


def read_origin(folder: Path) -> RowOrigin:
    """What `write_origin` wrote."""
    return RowOrigin.model_validate_json((folder / ORIGIN).read_bytes())


def settings_digest(settings: dict[str, Any]) -> str:
    """sha256 over the settings, whatever their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def sha256_of(path: Path) -> str | None:
    """sha256 of a file's bytes, None where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def program_of(root: Path, files: dict[str, str]) -> Program:
    """The program that lies in that folder; no git, or no constraints.txt, is no error."""
    return Program(files=files, git=_git_state(root), constraints=sha256_of(root / "constraints.txt"))


def _git_state(root: Path) -> GitState | None:
    # A folder of installed packages may lie inside somebody else's repository.
    if not (root / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=30, check=True)
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return GitState(commit=commit.stdout.strip(), dirty=bool(changes.stdout.strip()))
