"""Which source feeds which split."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import InputError
from tasks.ingestion.sources import Source


class WindowSource(BaseModel):
    """Files of which there is one a window: `{window}` in the path stands for the window's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source
    held_out_share: float = Field(
        0.5, ge=0, lt=1, description="share of freshly labelled rows kept out of training, to judge the new model on"
    )

    def at(self, window: str) -> Source:
        """The source of one window. Raises InputError where its file does not exist, saying which windows do."""
        source = self.source.model_copy(update={"path": self.source.path.replace("{window}", window)})
        if "://" not in source.path and not Path(source.path).is_file():
            known = ", ".join(self.known()) or "none"
            raise InputError(f"there is no window {window!r}: {source.path} does not exist; windows there are: {known}")
        return source

    def known(self) -> list[str]:
        """Names of the windows whose file exists locally."""
        path = Path(self.source.path)
        before, _, after = path.name.partition("{window}")
        return sorted(p.name[len(before) : len(p.name) - len(after)] for p in path.parent.glob(f"{before}*{after}"))


class DataSettings(BaseModel):
    """Contract and sources of a pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: str = Field(description="name of a contract in data_contracts/datasets, or path of a YAML file")
    train: Source
    validation: Source
    test: Source
    out_of_domain: dict[str, Source] = Field({}, description="split name: where its rows are")
    windows: WindowSource | None = Field(None, description="production texts without labels, a file a window")
    fresh: WindowSource | None = Field(None, description="rows labelled since, a file a window; a retraining adds them")


class PlannedFile(BaseModel):
    """A source with the split it feeds."""

    split: str
    source: Source
    held_out_split: str | None = None
    held_out_share: float = 0.0

    def facts(self) -> dict[str, Any]:
        """What a SourceFile records."""
        reader = self.source.model_dump(mode="json", exclude={"path"})
        return {**self.model_dump(exclude={"source"}), "address": self.source.path, "reader": reader}


def planned_files(data: DataSettings, fresh_windows: tuple[str, ...], window: str | None) -> list[PlannedFile]:
    """The files of a training run, with the fresh rows of `fresh_windows`; or, given `window`, that window alone."""
    if window is not None:
        if data.windows is None:
            raise InputError(
                "the pipeline names no `data.windows`, so there is no window to watch. Add it to the YAML."
            )
        return [PlannedFile(split="window", source=data.windows.at(window))]
    given = {"train": data.train, "validation": data.validation, "test": data.test, **data.out_of_domain}
    files = [PlannedFile(split=split, source=source) for split, source in given.items()]
    if data.fresh is not None:
        share = data.fresh.held_out_share
        files += [
            PlannedFile(split="train", source=data.fresh.at(name), held_out_split=f"fresh_{name}", held_out_share=share)
            for name in fresh_windows
        ]
    return files
