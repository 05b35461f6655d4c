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
from tasks.training.recipe import Recipe


class Lesson(BaseModel):
    """What is to be learnt and how: heads, bound to their contract, and the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: dict[str, AnyHead]
    recipe: Recipe


@cached_task("training")
def train(snapshot: ValidatedSnapshot, tokens: TokenizedDataset, lesson: Lesson) -> TrainedModel:
    """The fine-tuned network of the best epoch."""
    from tasks.training.loop import fine_tune

    store, home = open_store(), open_home()
    # A checkpoint is taken up only by the code that wrote it.
    made_of = [snapshot.digest, tokens.digest, lesson.model_dump(mode="json"), code_components("training")]
    name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]
    with store.draft() as draft:
        facts = fine_tune(
            store.directory(snapshot.digest),
            store.directory(tokens.digest),
            encoder_folder(tokens.encoder.name, tokens.encoder.revision),
            lesson.heads,
            lesson.recipe,
            checkpoints=home.scratch / name,
            curves=home.curves / name,
            output=draft,
        )
        model = TrainedModel(
            digest=store.publish(draft),
            parents=(snapshot.digest, tokens.digest, snapshot.contract_digest),
            encoder=tokens.encoder,
            max_tokens=tokens.max_tokens,
            tasks=tuple(lesson.heads),
            curves=name,
            cleaning=tokens.cleaning,
            pair_column=tokens.pair_column,
            **vars(facts),
        )
    # A short training has ended before its first checkpoint.
    shutil.rmtree(home.scratch / name, ignore_errors=True)
    return model
