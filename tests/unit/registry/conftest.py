"""A tracking database, a ledger on a store beside it, and versions in them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts.artifacts import Judgement, ModelVersion, Opponent, Outcome, Reference, TrainedModel, Verdict
from tasks.registry.promoting import promote_if_won
from tasks.registry.promotions import PromotionLedger
from tasks.registry.versions import Registry, RunRecord
from tasks.storage.store import Store

RECORD = RunRecord(parameters={"epochs": 3}, metrics={"intent/test": 0.75}, files=())
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Desk:
    """One pipeline's registry, and short ways to bring versions into it; a model is called by a letter."""

    registry: Registry
    store: Store
    model: Callable[[str], TrainedModel]

    def judgement(self, letter: str, verdict: Verdict, number: int = 1, against: str | None = None) -> Judgement:
        champion = None if against is None else against * 64
        return Judgement(
            digest=f"{number:064x}", verdict=verdict, reasons=("so",), candidate=letter * 64, champion=champion
        )

    def register(
        self, letter: str, verdict: Verdict, number: int = 1, against: str | None = None, record: RunRecord = RECORD
    ) -> ModelVersion:
        """Registers the model, or judges it again where it is known."""
        judged = self.judgement(letter, verdict, number, against)
        known = self.registry.version_of(letter * 64)
        if known is not None:
            return self.registry.judge_again(known, judged, record)
        reference = Reference(digest="8" * 64, model=letter * 64, rows=20)
        return self.registry.register(self.model(letter * 64), reference, judged, record)

    def opponent(self) -> Opponent:
        last = self.registry.ledger.last()
        return Opponent(model=self.model(last.model) if last else None, entry=last.number if last else 0)

    def release(
        self, letter: str, verdict: Verdict = "PROMOTE", number: int = 1, against: str | None = None
    ) -> Outcome:
        """Registers the model and promotes it if it won, as a run does that nobody gets in the way of."""
        version = self.register(letter, verdict, number, against)
        return promote_if_won(self.registry, version, self.opponent(), None, NOW)

    def aliases(self) -> dict[int, tuple[str, ...]]:
        return {version.version: version.aliases for version in self.registry.versions()}

    def aliases_of_mlflow(self) -> dict[str, int]:
        kept = self.registry._client.get_registered_model(self.registry.pipeline).aliases
        return {alias: int(version) for alias, version in kept.items()}

    def champions(self) -> list[int]:
        return [entry.version for entry in self.registry.ledger.entries()]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tracking database for all tests of a file, since a new one takes seconds; each test has its own pipeline."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), cache=tmp_path / "unused")


@pytest.fixture
def desk(
    address: str,
    store: Store,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    trained_model: Callable[[str], TrainedModel],
) -> Desk:
    pipeline = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    ledger = PromotionLedger(store, pipeline)
    return Desk(Registry(address, pipeline, tmp_path / "artifacts", ledger), store, trained_model)
