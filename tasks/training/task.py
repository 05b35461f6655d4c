"""Prefect edge of training."""

import hashlib
import json
import shutil

from pydantic import BaseModel, ConfigDict

from data_contracts.artifacts import TokenizedDataset, TrainedModel, ValidatedSnapshot
from tasks.modeling.encoder import encoder_folder
from tasks.modeling.heads import AnyHead
from tasks.storage.caching import cached_task, code_components
from tasks.storage.home import open_home, open_store
from tasks.training.job import Job
from tasks.training.recipe import WITHOUT_CONSEQUENCE, Recipe


class Lesson(BaseModel):
    """What is to be learnt and how: heads, bound to their contract, and the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: dict[str, AnyHead]
    recipe: Recipe


@cached_task("training")
def train(snapshot: ValidatedSnapshot, tokens: TokenizedDataset, lesson: Lesson) -> TrainedModel:
    """The fine-tuned network of the best epoch."""
    from tasks.training.launching import train_model

    store, home = open_store(), open_home()
    # A checkpoint is taken up only by the code that wrote it, but on any number of devices of any size.
    learnt = lesson.model_dump(mode="json", exclude={"recipe": WITHOUT_CONSEQUENCE})
    made_of = [snapshot.digest, tokens.digest, learnt, code_components("training")]
    name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]
    with store.draft() as draft:
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
        facts = train_model(job)
        model = TrainedModel(
            digest=store.publish(draft),
            parents=(snapshot.digest, tokens.digest, snapshot.contract_digest),
            encoder=tokens.encoder,
            max_tokens=tokens.max_tokens,
            tasks=tuple(lesson.heads),
            curves=name,
            cleaning=tokens.cleaning,
            **vars(facts),
        )
    # A short training has ended before its first checkpoint.
    shutil.rmtree(home.scratch / name, ignore_errors=True)
    return model
