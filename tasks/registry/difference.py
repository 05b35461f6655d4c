"""What differs between two versions, by their passports: rows, contract, settings, code, packages, machine."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts import difference as contracts
from data_contracts.dataset import kept_contract
from tasks.registry.passport import Passport

IDS = "_id"
# What only says where things lie: the same bytes elsewhere are the same rows.
PLACES = ("path", "address")


@dataclass(frozen=True)
class RowChange:
    """Rows of a split by their ids, which stand for their content: how many both have, and how many only one."""

    split: str
    kept: int
    removed: int
    added: int


@dataclass(frozen=True)
class Change:
    """One value that is not the same; None where there is no such thing."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Changes:
    """All that differs, each part empty where nothing does."""

    rows: list[RowChange]
    contract: list[contracts.Difference]
    settings: list[Change]
    code: list[Change]
    packages: list[Change]
    machine: list[Change]

    @property
    def nothing(self) -> bool:
        """Whether both were made from the same."""
        moved = [change for change in self.rows if change.removed or change.added]
        return not (moved or self.contract or self.settings or self.code or self.packages or self.machine)


def compare(before: Passport, after: Passport, rows_before: Path, rows_after: Path) -> Changes:
    """Everything that differs; the folders hold the rows that each of the two was trained and scored on."""
    return Changes(
        rows=row_changes(rows_before, rows_after),
        contract=_contract_changes(before, after),
        settings=value_changes(_about_results(before.settings), _about_results(after.settings)),
        code=_named(value_changes(before.program.files, after.program.files), "code "),
        packages=value_changes(_packages(before), _packages(after)),
        machine=value_changes(_machine(before), _machine(after)),
    )


def row_changes(before: Path, after: Path) -> list[RowChange]:
    """Split by split of both, which rows came and went."""
    splits = [{path.stem: path for path in sorted(folder.glob("*.parquet"))} for folder in (before, after)]
    found = []
    for split in splits[0] | splits[1]:
        old, new = (_ids(of[split]) if split in of else set() for of in splits)
        found.append(RowChange(split, len(old & new), len(old - new), len(new - old)))
    return found


def value_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Values that differ, leaf by leaf, `training.epochs` by name."""
    old, new = dict(_leaves("", before)), dict(_leaves("", after))
    names = dict.fromkeys([*old, *new])
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _contract_changes(before: Passport, after: Passport) -> list[contracts.Difference]:
    if before.rows is None or after.rows is None or before.rows.contract == after.rows.contract:
        return []
    old, new = (kept_contract(of.rows.contract) for of in (before, after) if of.rows)
    return contracts.differences(old, new)


def _about_results(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without addresses, whose rows are compared themselves."""
    return {
        name: _about_results(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if name not in PLACES
    }


def _packages(passport: Passport) -> dict[str, str]:
    environment = passport.model.environment
    return {"python": environment.python, **environment.packages} if environment else {}


def _machine(passport: Passport) -> dict[str, Any]:
    environment = passport.model.environment
    return environment.model_dump(exclude={"packages", "python"}) if environment else {}


def _named(changes: list[Change], prefix: str) -> list[Change]:
    return [Change(change.name.removeprefix(prefix), change.before, change.after) for change in changes]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, str(value)


def _ids(path: Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(path, columns=[IDS]).column(IDS).to_pylist())
