"""Where graft keeps things on this machine: the one place that reads graft's own environment variables."""

import os
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import InputError
from tasks.storage.store import Store, readable_write_errors

__all__ = ["Home", "open_home", "open_store", "readable_write_errors"]


@dataclass(frozen=True)
class Home:
    """Folders below one root. Everything in it can be carried to another machine, or deleted to start anew."""

    root: Path
    store_root: str
    tracking_uri: str

    @property
    def prefect_database(self) -> str:
        """Connection URL of the database that every server graft starts shares."""
        return _given(
            "PREFECT_API_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{self.root / 'prefect' / 'prefect.db'}"
        )

    @property
    def results(self) -> Path:
        """Folder of Prefect's persisted results: the handles that a repeated step is answered with."""
        return self.root / "prefect" / "results"

    @property
    def curves(self) -> Path:
        """TensorBoard's log directory: one folder a training, below the name of its pipeline."""
        return self.root / "curves"

    @property
    def scratch(self) -> Path:
        """Checkpoints of trainings that have not ended."""
        return self.root / "scratch"

    @property
    def ceilings(self) -> Path:
        """File of what fits into the memory of this machine's devices."""
        return self.root / "ceilings.json"

    @property
    def services(self) -> Path:
        """State and logs of the processes that `graft up` started."""
        return self.root / "services"


def open_home() -> Home:
    """The home that GRAFT_HOME names, by default ~/.graft; GRAFT_STORE and MLFLOW_TRACKING_URI move its parts."""
    root = Path(_given("GRAFT_HOME", "~/.graft")).expanduser().resolve()
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is no folder. Set GRAFT_HOME to one, where graft may keep things.")
    with readable_write_errors(str(root)):
        root.mkdir(parents=True, exist_ok=True)
    return Home(
        root=root,
        store_root=_given("GRAFT_STORE", str(root / "store")),
        tracking_uri=_given("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}"),
    )


def open_store() -> Store:
    """The store of the current home."""
    home = open_home()
    return Store(home.store_root, cache=home.root / "fetched")


def _given(variable: str, default: str) -> str:
    """What an environment variable says; an empty one says nothing, as `VARIABLE=` in a file of settings means."""
    return os.environ.get(variable) or default
