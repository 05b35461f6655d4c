"""Prefect edge of training."""

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from pydantic import BaseModel, ConfigDict, ValidationError

from data_contracts.artifacts import TokenizedDataset, TrainedModel, ValidatedSnapshot
from data_contracts.environment import Environment
from data_contracts.errors import InputError
from tasks.modeling.encoder import encoder_digest, encoder_folder
from tasks.modeling.heads import AnyHead
from tasks.storage.caching import cached_task, code_components
from tasks.storage.home import open_home, open_store
from tasks.training.job import Job
from tasks.training.recipe import WITHOUT_CONSEQUENCE, Recipe

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_REPORTS = 3.0


class Lesson(BaseModel):
    """What is to be learnt and how: heads, bound to their contract, and the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: dict[str, AnyHead]
    recipe: Recipe


@cached_task("training")
def train(snapshot: ValidatedSnapshot, tokens: TokenizedDataset, lesson: Lesson) -> TrainedModel:
    """The fine-tuned network of the best epoch."""
    from tasks.training.environment import current_environment
    from tasks.training.launching import train_model
    from tasks.training.scratch import working_in

    store, home = open_store(), open_home()
    # A checkpoint is taken up only by the code that wrote it, but on any number of devices of any size.
    learnt = lesson.model_dump(mode="json", exclude={"recipe": WITHOUT_CONSEQUENCE})
    made_of = [snapshot.digest, tokens.digest, learnt, code_components("training")]
    # In the order of the heads, by which the optimiser in a checkpoint knows whose weights are whose.
    name = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    progress = TrainingProgress(name)
    with working_in(home.scratch / name), store.draft() as draft:
        job = Job(
            snapshot=store.directory(snapshot.digest),
            tokens=store.directory(tokens.digest),
            encoder=encoder_folder(tokens.encoder.name, tokens.encoder.revision),
            encoder_digest=tokens.encoder.digest,
            heads=lesson.heads,
            recipe=lesson.recipe,
            checkpoints=home.scratch / name,
            curves=home.curves / name,
            output=draft,
            ceilings=home.ceilings,
        )
        facts = train_model(job, progress.report)
        model = TrainedModel(
            digest=store.publish(draft),
            parents=(snapshot.digest, tokens.digest),
            encoder=tokens.encoder,
            max_tokens=tokens.max_tokens,
            tasks=tuple(lesson.heads),
            curves=name,
            cleaning=tokens.cleaning,
            pair_column=tokens.pair_column,
            environment=current_environment(),
            **vars(facts),
        )
    mixed = f", with {model.pretrained_share:.0%} of the pre-trained encoder" if model.pretrained_share else ""
    progress.end(f"epoch {model.best_epoch} of {model.epochs} is the best{mixed}: skill {model.validation_skill:.3f}")
    return model


def lesson_of(settings: Mapping[str, Any]) -> Lesson:
    """The lesson in the settings of a pipeline of then. Raises InputError where this code knows other settings."""
    try:
        return Lesson.model_validate({"heads": settings["heads"], "recipe": settings["training"]})
    except (ValidationError, KeyError) as error:
        raise InputError(
            f"the settings of then are none that this code knows: {error}. Check out the commit that the passport "
            "names, and reproduce there."
        ) from error


def train_once(model: TrainedModel, lesson: Lesson, output: Path) -> None:
    """Trains what `model` was trained on again, into `output`, with as many threads; no result and no checkpoint is
    taken up, and nothing is published.

    Raises InputError where the store lacks what was learnt from, or the encoder is another one today.
    """
    import torch

    from tasks.training.launching import train_model

    store, home = open_store(), open_home()
    folder = encoder_folder(model.encoder.name, model.encoder.revision)
    if (found := encoder_digest(folder)) != model.encoder.digest:
        raise InputError(
            f"encoder {model.encoder.name} in {folder} is {found[:12]} today, and was {model.encoder.digest[:12]} when "
            f"the model was trained. Put back the files of then, or train a new version with `graft run`."
        )
    snapshot, tokens = (store.directory(digest) for digest in model.parents[:2])
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="graft-again-") as scratch:
        # Sums of floating-point numbers hang on how many threads share them.
        torch.set_num_threads(model.environment.threads if model.environment else threads)
        try:
            train_model(
                Job(
                    snapshot=snapshot,
                    tokens=tokens,
                    encoder=folder,
                    encoder_digest=found,
                    heads=lesson.heads,
                    recipe=lesson.recipe,
                    checkpoints=Path(scratch, "checkpoints"),
                    curves=Path(scratch, "curves"),
                    output=output,
                    ceilings=home.ceilings,
                )
            )
        finally:
            torch.set_num_threads(threads)


def environment_today() -> Environment:
    """What a training would run on now."""
    from tasks.training.environment import current_environment

    return current_environment()


class TrainingProgress:
    """How far a training is, as an artifact of its run, sent every few seconds; it goes on where no server takes it."""

    def __init__(self, name: str) -> None:
        self._key = f"training-{name}"
        self._artifact: UUID | None = None
        self._pause = SECONDS_BETWEEN_REPORTS
        self._due = 0.0

    def report(self, share: float, scores: str) -> None:
        """Shows the share of the steps that are done, and the scores of the last epoch."""
        # Without a run there is nothing that an artifact could belong to.
        if time.monotonic() >= self._due and TaskRunContext.get() is not None:
            self._send(share, scores)

    def end(self, result: str) -> None:
        """Shows the training as done, however many steps that took."""
        if self._artifact is not None:
            self._send(1.0, result)

    def _send(self, share: float, text: str) -> None:
        try:
            if self._artifact is None:
                self._artifact = cast(UUID, create_progress_artifact(100 * share, key=self._key, description=text))
            else:
                update_progress_artifact(self._artifact, 100 * share, description=text)
            self._pause = SECONDS_BETWEEN_REPORTS
        except Exception as error:
            # A server that does not answer is waited for, so it is asked ever more seldom.
            self._pause *= 2
            logger.warning("the server did not take the progress of the training (%s)", error)
        self._due = time.monotonic() + self._pause
