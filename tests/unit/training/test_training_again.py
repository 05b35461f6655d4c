"""A model trained again from what the store kept."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from data_contracts.artifacts import Encoder, TrainedModel
from data_contracts.environment import Environment
from data_contracts.errors import InputError
from tasks.modeling.encoder import encoder_digest
from tasks.modeling.heads import AnyHead
from tasks.storage.home import open_home, open_store
from tasks.training.recipe import Recipe
from tasks.training.task import Lesson, environment_today, lesson_of, train_once

WEIGHTS = "weights.safetensors"


@pytest.fixture
def lesson(toy_heads: dict[str, AnyHead]) -> Lesson:
    return Lesson(heads=toy_heads, recipe=Recipe(epochs=1, rows_per_step=20, precision="fp32"))


@pytest.fixture
def model(toy_splits: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    """The handle of a model whose rows and tokens lie in the store."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    store = open_store()
    digests = []
    for name in ("snapshot", "tokens"):
        with store.draft() as draft:
            shutil.copytree(toy_splits / name, draft, dirs_exist_ok=True)
            digests.append(store.publish(draft))
    return TrainedModel(
        digest="0" * 64,
        parents=(*digests, "1" * 64),
        encoder=Encoder(digest=encoder_digest(tiny_encoder), name=str(tiny_encoder)),
        max_tokens=24,
        tasks=("intent",),
        best_epoch=1,
        epochs=1,
        steps=2,
        validation_skill=0.5,
        curves="c",
        environment=Environment(python="3", system="s", device="cpu", cuda=None, threads=1, packages={}),
    )


def test_twice_the_same_training_gives_the_same_bytes_and_leaves_nothing_behind(
    model: TrainedModel, lesson: Lesson, tmp_path: Path
) -> None:
    written = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        train_once(model, lesson, tmp_path / name)
        written.append((tmp_path / name / WEIGHTS).read_bytes())
    assert written[0] == written[1]
    home = open_home()
    # Two directories of the store, which were there before, and neither checkpoints nor curves.
    assert len(list(Path(home.store_root, "objects").iterdir())) == 2
    assert not list(home.scratch.glob("*"))
    assert not list(home.curves.glob("*"))


def test_another_seed_gives_other_weights(model: TrainedModel, lesson: Lesson, tmp_path: Path) -> None:
    recipe = lesson.recipe.model_copy(update={"seed": 14})
    for name, of in (("first", lesson), ("second", lesson.model_copy(update={"recipe": recipe}))):
        (tmp_path / name).mkdir()
        train_once(model, of, tmp_path / name)
    assert (tmp_path / "first" / WEIGHTS).read_bytes() != (tmp_path / "second" / WEIGHTS).read_bytes()


def test_it_is_trained_with_the_threads_of_then_and_others_have_theirs_back(
    model: TrainedModel, lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = torch.get_num_threads(), []
    asked = torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda count: (seen.append(count), asked(count)))
    environment = model.environment
    assert environment is not None
    then = model.model_copy(update={"environment": environment.model_copy(update={"threads": before + 1})})
    (tmp_path / "again").mkdir()
    train_once(then, lesson, tmp_path / "again")
    assert seen == [before + 1, before]
    assert torch.get_num_threads() == before


def test_an_encoder_that_is_another_one_today_is_refused(model: TrainedModel, lesson: Lesson, tmp_path: Path) -> None:
    other = model.model_copy(update={"encoder": model.encoder.model_copy(update={"digest": "f" * 64})})
    with pytest.raises(InputError, match=r"today, and was ffffffffffff when"):
        train_once(other, lesson, tmp_path)


def test_rows_that_the_store_lacks_are_an_error(model: TrainedModel, lesson: Lesson, tmp_path: Path) -> None:
    other = model.model_copy(update={"parents": ("f" * 64, *model.parents[1:])})
    with pytest.raises(InputError, match="holds no directory ffffffffffff"):
        train_once(other, lesson, tmp_path)


def test_the_lesson_comes_back_from_the_settings_of_a_passport(lesson: Lesson) -> None:
    settings = json.loads(json.dumps({"heads": lesson.model_dump(mode="json")["heads"], "training": {"epochs": 1}}))
    assert lesson_of(settings) == lesson.model_copy(update={"recipe": Recipe(epochs=1)})
    with pytest.raises(InputError, match="settings of then"):
        lesson_of({**settings, "training": {"moons": 3}})


def test_the_environment_names_what_computes() -> None:
    found = environment_today()
    assert found.packages["torch"] == torch.__version__
    assert found.threads == torch.get_num_threads()
