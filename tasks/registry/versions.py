"""Model versions in MLflow, one registered model a pipeline, with the aliases champion, previous and challenger.

The first two follow from the ledger of promotions, which decides; `challenger` is the newest version that was judged,
not rejected, and is no champion.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.artifacts import Judgement, ModelVersion, Promotion, Reference, TrainedModel
from data_contracts.errors import InputError
from tasks.modeling.history import EpochRecord
from tasks.registry.aliases import CHALLENGER, CHAMPION, PREVIOUS, Aliases
from tasks.registry.promotions import PromotionLedger

MODEL, REFERENCE, JUDGEMENT, ROWS = "graft.model", "graft.reference", "graft.judgement", "graft.rows"
VERDICT = "verdict"
PASSPORT = "graft.passport"
# More than that a tracking server does not take.
METRICS_AT_ONCE = 1000
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRecord:
    """What the tracking server keeps of the run that made a version; `rows` are the checked rows it was judged on."""

    parameters: dict[str, Any]
    metrics: dict[str, float]
    files: tuple[Path, ...]
    epochs: Sequence[EpochRecord] = ()
    rows: str | None = None


class Registry:
    """The versions of one pipeline's model at one tracking server; `artifacts` is where a local one keeps files."""

    def __init__(self, tracking_uri: str, pipeline: str, artifacts: Path, ledger: PromotionLedger) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # With MLflow's seven, four minutes pass before anybody hears that there is no server.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        from mlflow import MlflowClient

        # Importing MLflow sets its own levels, so these come after.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.pipeline = pipeline
        self.ledger = ledger
        # A tracking server places artifacts itself; a bare database would put them below the working directory.
        self._artifact_location = None if tracking_uri.startswith("http") else artifacts.as_uri()
        with _readable_errors(tracking_uri):
            self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
            self.versions_exist = self._has_model()
        self._aliases = Aliases(self._client, pipeline, ledger)

    def champion(self) -> ModelVersion | None:
        """The version in use, or None before the first promotion."""
        entry = self.ledger.last()
        return self.promoted(entry) if entry else None

    def promoted(self, entry: Promotion) -> ModelVersion:
        """The version that an entry made champion. Raises InputError where the tracking server does not hold it."""
        found = next((version for version in self.versions() if version.version == entry.version), None)
        if found is None or found.model.digest != entry.model:
            raise InputError(
                f"entry {entry.number} of the promotion ledger says that version {entry.version} of {self.pipeline}, "
                f"model {entry.model[:12]}, is champion, but the tracking server holds "
                f"{'no such version' if found is None else f'model {found.model.digest[:12]} under that number'}. "
                "MLFLOW_TRACKING_URI and GRAFT_STORE have to point to two that belong together; where the version was "
                f"deleted, `graft rollback {self.pipeline} --to N` makes another one champion."
            )
        return found

    def challenger(self) -> ModelVersion | None:
        """The newest version that was neither promoted nor rejected, or None."""
        return next((version for version in self.versions() if CHALLENGER in version.aliases), None)

    def versions(self) -> list[ModelVersion]:
        """All versions, newest first."""
        if not self.versions_exist:
            return []
        with _readable_errors(self.pipeline):
            found = self._client.search_model_versions(f"name = '{self.pipeline}'")
            aliases = self._aliases.decided()
        return sorted((self._read(entry, aliases) for entry in found), key=lambda version: -version.version)

    def version(self, number: int) -> ModelVersion:
        """The version of that number. Raises InputError, saying which there are."""
        versions = self.versions()
        found = next((version for version in versions if version.version == number), None)
        if found is None:
            known = ", ".join(str(version.version) for version in reversed(versions)) or "none"
            raise InputError(
                f"pipeline {self.pipeline} has no version {number}; its versions are {known}. "
                f"`graft models {self.pipeline}` lists them."
            )
        return found

    def version_of(self, model: str) -> ModelVersion | None:
        """The version that holds the model of that digest, if it was registered; the first, where two runs did so."""
        return next((version for version in reversed(self.versions()) if version.model.digest == model), None)

    def register(
        self, model: TrainedModel, reference: Reference, judgement: Judgement, record: RunRecord
    ) -> ModelVersion:
        """A new version with the run that made it. It becomes challenger, unless it was rejected."""
        with _readable_errors(self.pipeline):
            run_id = self._log_run(model, record)
            if not self.versions_exist:
                self._create_model()
            tags = {
                MODEL: model.model_dump_json(),
                REFERENCE: reference.model_dump_json(),
                **_judgement_tags(judgement, record.rows or model.parents[0]),
            }
            run = self._client.get_run(run_id)
            created = self._client.create_model_version(
                self.pipeline, source=f"{run.info.artifact_uri}/model", run_id=run_id, tags=tags
            )
            self._aliases.point_challenger(int(created.version), judgement.verdict)
        found = self.version_of(model.digest)
        assert found is not None, "the version just created is listed"
        return found

    def complete(self, known: ModelVersion) -> ModelVersion:
        """The version as `register` leaves it: a run that was killed may have left the newest one no challenger yet."""
        champions = {number for entry in self.ledger.entries() for number in (entry.version, entry.previous)}
        newest = self.versions()[0].version
        if known.version != newest or known.version in champions or CHALLENGER in known.aliases:
            return known
        with _readable_errors(self.pipeline):
            self._aliases.point_challenger(known.version, known.judgement.verdict)
        return self.version(known.version)

    def stamp(self, known: ModelVersion, passport: str, file: Path) -> ModelVersion:
        """The version with that passport, whose file goes beside the report."""
        with _readable_errors(self.pipeline):
            self._client.log_artifact(known.run_id, str(file))
            self._client.set_model_version_tag(self.pipeline, str(known.version), PASSPORT, passport)
        return known.model_copy(update={"passport": passport})

    def keep_beside_report(self, number: int, file: Path) -> None:
        """Puts a file into the run of that version, in the place of one of that name."""
        known = self.version(number)
        with _readable_errors(self.pipeline):
            self._client.log_artifact(known.run_id, str(file))

    def judge_again(self, known: ModelVersion, judgement: Judgement, record: RunRecord) -> ModelVersion:
        """The version with another judgement, and the files of `record` in its run, in the place of those before."""
        with _readable_errors(self.pipeline):
            for path in record.files:
                self._client.log_artifact(known.run_id, str(path))
            if CHAMPION not in known.aliases:
                self._aliases.point_challenger(known.version, judgement.verdict)
            for name, value in _judgement_tags(judgement, record.rows or known.model.parents[0]).items():
                self._client.set_model_version_tag(self.pipeline, str(known.version), name, value)
        return self.version(known.version)

    def follow_ledger(self) -> str | None:
        """Points the aliases where the ledger says. Returns where champion pointed instead, or None."""
        if not self.versions_exist:
            return None
        with _readable_errors(self.pipeline):
            return self._aliases.follow_ledger(lambda: {version.version for version in self.versions()})

    def adoptable(self) -> tuple[ModelVersion, int | None] | None:
        """Champion and number of the previous one by MLflow's aliases alone, as they were kept before the ledger."""
        if not self.versions_exist:
            return None
        with _readable_errors(self.pipeline):
            kept = self._aliases.kept()
        return (self.version(kept[CHAMPION]), kept.get(PREVIOUS)) if CHAMPION in kept else None

    def _create_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self.pipeline)
        except MlflowException:
            # Another run that registers its first version came first.
            if not self._has_model():
                raise
        self.versions_exist = True

    def _log_run(self, model: TrainedModel, record: RunRecord) -> str:
        experiment = self._client.get_experiment_by_name(self.pipeline)
        experiment_id = experiment.experiment_id if experiment else self._new_experiment()
        run = self._client.create_run(experiment_id, tags={"graft.model": model.digest})
        run_id: str = run.info.run_id
        for name, value in record.parameters.items():
            self._client.log_param(run_id, name, value)
        for name, number in record.metrics.items():
            self._client.log_metric(run_id, name, number)
        self._log_epochs(run, record.epochs)
        for path in record.files:
            self._client.log_artifact(run_id, str(path))
        self._client.set_terminated(run_id)
        return run_id

    def _log_epochs(self, run: Any, epochs: Sequence[EpochRecord]) -> None:
        """The training's curves, whose step is the epoch."""
        from mlflow.entities import Metric

        points = [
            Metric(name, value, run.info.start_time, epoch)
            for epoch, record in enumerate(epochs, start=1)
            for name, value in record.values.items()
        ]
        for start in range(0, len(points), METRICS_AT_ONCE):
            self._client.log_batch(run.info.run_id, metrics=points[start : start + METRICS_AT_ONCE])

    def _new_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        try:
            created: str = self._client.create_experiment(self.pipeline, artifact_location=self._artifact_location)
        except MlflowException:
            # Another run that registers its first version came first.
            if (other := self._client.get_experiment_by_name(self.pipeline)) is None:
                raise
            created = other.experiment_id
        return created

    def _has_model(self) -> bool:
        return bool(self._client.search_registered_models(f"name = '{self.pipeline}'"))

    def _read(self, entry: Any, aliases: dict[str, int]) -> ModelVersion:
        return ModelVersion(
            pipeline=self.pipeline,
            version=int(entry.version),
            model=TrainedModel.model_validate(json.loads(entry.tags[MODEL])),
            reference=Reference.model_validate(json.loads(entry.tags[REFERENCE])),
            judgement=Judgement.model_validate(json.loads(entry.tags[JUDGEMENT])),
            rows=entry.tags.get(ROWS) or json.loads(entry.tags[MODEL])["parents"][0],
            run_id=entry.run_id,
            passport=entry.tags.get(PASSPORT),
            aliases=tuple(sorted(name for name, version in aliases.items() if version == int(entry.version))),
        )


def _judgement_tags(judgement: Judgement, rows: str) -> dict[str, str]:
    # The judgement last: a run that is killed before finds the one before it, and writes all of them again.
    return {ROWS: rows, VERDICT: judgement.verdict, JUDGEMENT: judgement.model_dump_json()}


@contextlib.contextmanager
def _readable_errors(where: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise InputError(
            f"the tracking server cannot be used for {where}: {error}. Check MLFLOW_TRACKING_URI."
        ) from error
