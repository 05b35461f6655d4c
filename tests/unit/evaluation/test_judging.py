"""The gate as a step: what it reads of the candidate, the champion and the baselines in the store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_contracts.artifacts import Assessment, Baselines
from tasks.evaluation.policy import GatePolicy
from tasks.evaluation.scoring import SCORES, Score, write_scores
from tasks.evaluation.task import judge_candidate
from tasks.modeling.heads import HeadsAdapter, RegressionHead
from tasks.storage.home import open_store

Write = Callable[..., Path]


def published(folder: Path) -> str:
    store = open_store()
    with store.draft() as draft:
        shutil.copytree(folder, draft, dirs_exist_ok=True)
        return store.publish(draft)


@pytest.mark.parametrize(("unit", "zero"), [(1.0, 0.0), (3600.0, 1.7e9), (1e-9, 0.0)])
def test_numbers_are_compared_by_the_head_as_it_was_trained_whatever_their_unit(
    write_rows: Write,
    write_model_answers: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unit: float,
    zero: float,
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    random = np.random.default_rng(1)
    truth, noise = random.normal(size=300), random.normal(size=300)
    labels = (zero + unit * truth).tolist()
    snapshot = write_rows("test", at=labels)
    candidate = write_model_answers("new", "test", {"at": (zero + unit * (truth + 0.5 * noise)).tolist()})
    for name in ("majority", "tfidf"):
        baselines = write_model_answers(f"baselines/{name}", "test", {"at": [zero] * 300}).parent
    network = tmp_path / "network"
    network.mkdir()
    head = RegressionHead(column="at").fit(labels)
    (network / "model.json").write_text(json.dumps({"heads": HeadsAdapter.dump_python({"at": head}, mode="json")}))
    scores = tmp_path / "scores"
    scores.mkdir()
    write_scores(scores / SCORES, [Score("at", "test", "correlation", 0.9, 300, True)])
    assessment = Assessment(
        digest=published(scores),
        model=published(network),
        predictions=published(candidate),
        snapshot=published(snapshot),
        scores={},
    )
    judged = judge_candidate.fn(assessment, None, Baselines(digest=published(baselines)), GatePolicy(draws=200))
    assert judged.verdict == "PROMOTE", judged.reasons
