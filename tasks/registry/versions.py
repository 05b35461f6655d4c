"""Model versions in MLflow: aliases champion, challenger and previous; one registered model a pipeline."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.artifacts import Judgement, ModelVersion, Reference, TrainedModel
from data_contracts.errors import InputError
from tasks.modeling.history import EpochRecord

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
MODEL, REFERENCE, JUDGEMENT = "graft.model", "graft.reference", "graft.judgement"
PASSPORT = "graft.passport"
# More than that a tracking server does not take.
METRICS_AT_ONCE = 1000
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRecord:
    """What the tracking server keeps of the run that made a version."""

    parameters: dict[str, Any]
    metrics: dict[str, float]
    files: tuple[Path, ...]
    epochs: Sequence[EpochRecord] = ()


class Registry:
    """The versions of one pipeline's model at one tracking server; `artifacts` is where a local one keeps files."""

    def __init__(self, tracking_uri: str, pipeline: str, artifacts: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # With MLflow's seven, four minutes pass before anybody hears that there is no server.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        from mlflow import MlflowClient

        # Importing MLflow sets its own levels, so these come after.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.pipeline = pipeline
        # A tracking server places artifacts itself; a bare database would put them below the working directory.
        self._artifact_location = None if tracking_uri.startswith("http") else artifacts.as_uri()
        with _readable_errors(tracking_uri):
            self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
            self.versions_exist = self._has_model()

    def champion(self) -> ModelVersion | None:
        """The version in use, or None before the first promotion."""
        return self._aliased(CHAMPION)

    def challenger(self) -> ModelVersion | None:
        """The newest version that was neither promoted nor rejected, or None."""
        return self._aliased(CHALLENGER)

    def versions(self) -> list[ModelVersion]:
        """All versions, newest first."""
        if not self.versions_exist:
            return []
        with _readable_errors(self.pipeline):
            found = self._client.search_model_versions(f"name = '{self.pipeline}'")
            aliases = self._client.get_registered_model(self.pipeline).aliases
        return sorted((self._read(entry, aliases) for entry in found), key=lambda version: -version.version)

    def version_of(self, model: str) -> ModelVersion | None:
        """The version that holds the model of that digest, if it was registered."""
        return next((version for version in self.versions() if version.model.digest == model), None)

    def register(
        self, model: TrainedModel, reference: Reference, judgement: Judgement, record: RunRecord
    ) -> ModelVersion:
        """A new version with the run that made it. It becomes champion only when the verdict is PROMOTE."""
        with _readable_errors(self.pipeline):
            run_id = self._log_run(model, record)
            if not self.versions_exist:
                self._client.create_registered_model(self.pipeline)
                self.versions_exist = True
            tags = {
                MODEL: model.model_dump_json(),
                REFERENCE: reference.model_dump_json(),
                JUDGEMENT: judgement.model_dump_json(),
                "verdict": judgement.verdict,
            }
            run = self._client.get_run(run_id)
            created = self._client.create_model_version(
                self.pipeline, source=f"{run.info.artifact_uri}/model", run_id=run_id, tags=tags
            )
            if judgement.verdict == "PROMOTE":
                self._promote(int(created.version))
            elif judgement.verdict != "REJECT":
                self._client.set_registered_model_alias(self.pipeline, CHALLENGER, created.version)
        found = self.version_of(model.digest)
        assert found is not None, "the version just created is listed"
        return found

    def stamp(self, known: ModelVersion, passport: str, file: Path) -> ModelVersion:
        """The version with that passport, whose file goes beside the report."""
        with _readable_errors(self.pipeline):
            self._client.log_artifact(known.run_id, str(file))
            self._client.set_model_version_tag(self.pipeline, str(known.version), PASSPORT, passport)
        return known.model_copy(update={"passport": passport})

    def rollback(self) -> tuple[ModelVersion, ModelVersion]:
        """Makes the previous champion champion again; returns (now, before). The two change places."""
        champion, previous = self.champion(), self._aliased(PREVIOUS)
        if champion is None or previous is None:
            raise InputError(
                f"pipeline {self.pipeline} has no {'champion' if champion is None else 'previous champion'} to roll "
                "back to. `graft models` lists its versions."
            )
        self._promote(previous.version)
        return previous, champion

    def _promote(self, version: int) -> None:
        # `previous` first: killed in between, the champion in use is still champion.
        champion = self._aliased(CHAMPION)
        with _readable_errors(self.pipeline):
            if champion is not None and champion.version != version:
                self._client.set_registered_model_alias(self.pipeline, PREVIOUS, str(champion.version))
            self._client.set_registered_model_alias(self.pipeline, CHAMPION, str(version))

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
        created: str = self._client.create_experiment(self.pipeline, artifact_location=self._artifact_location)
        return created

    def _has_model(self) -> bool:
        return bool(self._client.search_registered_models(f"name = '{self.pipeline}'"))

    def _aliased(self, alias: str) -> ModelVersion | None:
        if not self.versions_exist:
            return None
        with _readable_errors(self.pipeline):
            aliases = self._client.get_registered_model(self.pipeline).aliases
            if alias not in aliases:
                return None
            return self._read(self._client.get_model_version(self.pipeline, aliases[alias]), aliases)

    def _read(self, entry: Any, aliases: dict[str, str]) -> ModelVersion:
        return ModelVersion(
            pipeline=self.pipeline,
            version=int(entry.version),
            model=TrainedModel.model_validate(json.loads(entry.tags[MODEL])),
            reference=Reference.model_validate(json.loads(entry.tags[REFERENCE])),
            judgement=Judgement.model_validate(json.loads(entry.tags[JUDGEMENT])),
            run_id=entry.run_id,
            passport=entry.tags.get(PASSPORT),
            aliases=tuple(sorted(name for name, version in aliases.items() if int(version) == int(entry.version))),
        )


@contextlib.contextmanager
def _readable_errors(where: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise InputError(
            f"the tracking server cannot be used for {where}: {error}. Check MLFLOW_TRACKING_URI."
        ) from error
