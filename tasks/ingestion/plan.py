"""Which source feeds which split."""

import glob
import logging
import re
from pathlib import PurePosixPath
from typing import Annotated, Any

import fsspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.cleaning import Cleaning
from data_contracts.errors import InputError
from data_contracts.splits import AUDIT, FRESH, OWN_SPLITS, TEST, TRAIN, VALIDATION, WINDOW
from tasks.ingestion.addresses import readable_read_errors
from tasks.ingestion.lines import COMPRESSED
from tasks.ingestion.sources import JsonLines, Source
from tasks.ingestion.splits import ByShare, Splits

logger = logging.getLogger(__name__)
SplitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class WindowSource(BaseModel):
    """Files of which there is one a window: `{window}` in the path stands for the window's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source
    held_out_share: float = Field(
        0.5, ge=0, lt=1, description="share of freshly labelled rows kept out of training, to judge the new model on"
    )

    @model_validator(mode="after")
    def _path_names_the_window(self) -> "WindowSource":
        if "{window}" not in self.source.path:
            raise ValueError(f"source.path needs {{window}} where the window's name stands, found {self.source.path!r}")
        if "*" in self.source.path:
            raise ValueError(f"source.path: a window is one file, and {self.source.path!r} is a pattern for many")
        return self

    def at(self, window: str) -> Source:
        """The source of one window. Raises InputError where its file does not exist, saying which windows do."""
        path = self.address(window)
        if not self.has(window):
            known = ", ".join(self.known()) or "none"
            raise InputError(f"there is no window {window!r}: {path} does not exist; windows there are: {known}")
        return self.source.model_copy(update={"path": path})

    def address(self, window: str) -> str:
        """Where the window's file is, or belongs."""
        return self.source.path.replace("{window}", window)

    def has(self, window: str) -> bool:
        """Whether the window's file exists. Raises InputError where that cannot be found out."""
        files, path = self._place()
        with readable_read_errors(self.source.path):
            return bool(files.exists(path.replace("{window}", window)))

    def known(self) -> list[str]:
        """Names of the windows whose file exists. Raises InputError where the place cannot be listed."""
        files, path = self._place()
        with readable_read_errors(self.source.path):
            found = [str(file) for file in files.glob(glob.escape(path).replace("{window}", "*"))]
        slot = re.escape("{window}")
        pattern = re.escape(path).replace(slot, "([^/]+)", 1).replace(slot, r"\1")
        return sorted(match.group(1) for file in found if (match := re.fullmatch(pattern, file)))

    def _place(self) -> tuple[Any, str]:
        with readable_read_errors(self.source.path):
            # Files are added by others at any time, so a listing is not kept.
            files, path = fsspec.core.url_to_fs(self.source.path, use_listings_cache=False)
        return files, str(path)


class DataSettings(BaseModel):
    """Contract and sources of a pipeline: a source for each split, or one, `undivided`, that `splits` divides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: str = Field(description="name of a contract in data_contracts/datasets, or path of a YAML file")
    train: Source | None = None
    validation: Source | None = None
    test: Source | None = None
    undivided: Source | None = Field(None, description="rows that `splits` divides among train, validation and test")
    splits: Splits | None = Field(None, description="the rule that divides `undivided`, by its kind")
    out_of_domain: dict[SplitName, Source] = Field({}, description="split name: where its rows are")
    windows: WindowSource | None = Field(None, description="production texts without labels, a file a window")
    fresh: WindowSource | None = Field(None, description="rows labelled since, a file a window; a retraining adds them")
    audit: WindowSource | None = Field(
        None, description="rows of a window, drawn at random and labelled, which tell how good the answers to it are"
    )
    cleaning: Cleaning = Cleaning()

    @property
    def given(self) -> dict[str, Source]:
        """Splits that have a source of their own."""
        own = {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}
        return {**{name: source for name, source in own.items() if source is not None}, **self.out_of_domain}

    @model_validator(mode="after")
    def _splits_have_names_of_their_own(self) -> "DataSettings":
        taken = [name for name in self.out_of_domain if name in (*OWN_SPLITS, AUDIT) or name.startswith(FRESH)]
        if taken:
            raise ValueError(
                f"out_of_domain: {', '.join(taken)} cannot be called so; {', '.join(OWN_SPLITS)} and {FRESH}... are "
                "splits of graft's own"
            )
        return self

    @model_validator(mode="after")
    def _every_split_gets_rows(self) -> "DataSettings":
        absent = [name for name in OWN_SPLITS if name not in self.given]
        if (self.undivided is None) != (self.splits is None):
            raise ValueError("`undivided` and `splits` go together: rows, and the rule that divides them")
        if absent and self.undivided is None:
            raise ValueError(
                f"{', '.join(absent)}: no source; give one, or `undivided` rows and `splits` to divide them"
            )
        if isinstance(self.splits, ByShare):
            unfed = [name for name in absent if name != TRAIN and not getattr(self.splits, name)]
            if unfed:
                raise ValueError(f"{', '.join(unfed)}: no source, and `splits` gives it a share of 0")
        return self


class PlannedFile(BaseModel):
    """A source with the split it feeds; None where a rule divides its rows."""

    split: str | None
    source: Source
    held_out_split: str | None = None
    held_out_share: float = 0.0

    def shards(self) -> list["PlannedFile"]:
        """One for each file of the source. Raises InputError where there is none."""
        return [self.model_copy(update={"source": self.source.at(address)}) for address in self.source.shards()]

    def facts(self) -> dict[str, Any]:
        """What a SourceFile records."""
        reader = self.source.model_dump(mode="json", exclude={"path"})
        return {**self.model_dump(exclude={"source"}), "address": self.source.path, "reader": reader}


def with_windows(data: DataSettings, folder: str | None, labels: str | None) -> DataSettings:
    """The same with windows, and labelled rows of them, from folders, where these are given.

    Their files are like those of the pipeline's own, if such are there, and else JSON Lines.
    """
    changes = {} if folder is None else {"windows": _windows_in(folder, data.windows)}
    if labels is not None:
        rows = _windows_in(labels, data.audit or data.fresh)
        changes |= {"audit": rows, "fresh": rows}
    return data.model_copy(update=changes)


def _windows_in(place: str, own: WindowSource | None) -> WindowSource:
    folder = f"{place.rstrip('/')}/{{window}}"
    if own is not None:
        suffixes = PurePosixPath(own.source.path).suffixes
        ending = "".join(suffixes[-2 if own.source.path.endswith(tuple(COMPRESSED)) else -1 :])
        alike = WindowSource(source=own.source.at(folder + ending))
        if alike.known():
            return alike
    return WindowSource(source=JsonLines(path=f"{folder}.jsonl"))


def past_windows(data: DataSettings, folder: str | None, labels: str | None) -> tuple[DataSettings, list[str]]:
    """Where windows of the past and their labels are read from, and their names in order."""
    chosen = with_windows(data, folder, labels)
    names = chosen.windows.known() if chosen.windows is not None else []
    if not names:
        place = folder or "`data.windows` of the pipeline"
        raise InputError(
            f"{place} holds no window. Give a folder of files, one a window, with --windows: "
            "like those of `data.windows`, or .jsonl."
        )
    return chosen, names


def no_windows() -> InputError:
    """The error of a pipeline that nothing can be watched in."""
    return InputError("the pipeline names no `data.windows`, so there is no window to watch. Add it to the YAML.")


def planned_audit(data: DataSettings, window: str) -> list[PlannedFile]:
    """The file of the window's rows that were labelled to judge the model by; none where there is no such file yet."""
    if data.audit is None or not data.audit.has(window):
        return []
    return [PlannedFile(split=AUDIT, source=data.audit.at(window))]


def planned_files(data: DataSettings, fresh_windows: tuple[str, ...], window: str | None) -> list[PlannedFile]:
    """The files of a training run, with the fresh rows of `fresh_windows`; or, given `window`, that window alone.

    A window that nobody labelled rows of to learn from, or whose file was taken out since, is left out and named.
    """
    if window is not None:
        if data.windows is None:
            raise no_windows()
        return [PlannedFile(split=WINDOW, source=data.windows.at(window))]
    files = [PlannedFile(split=split, source=source) for split, source in data.given.items()]
    files += [PlannedFile(split=None, source=data.undivided)] if data.undivided is not None else []
    if data.fresh is not None:
        share = data.fresh.held_out_share
        there = [name for name in fresh_windows if data.fresh.has(name)]
        # Each was retrained for, so a run that ended here would end so every night from then on.
        for name in sorted(set(fresh_windows) - set(there)):
            logger.warning("no rows are learnt from window %s: %s does not exist", name, data.fresh.address(name))
        files += [
            PlannedFile(split=TRAIN, source=data.fresh.at(name), held_out_split=f"{FRESH}{name}", held_out_share=share)
            for name in there
        ]
    return files
