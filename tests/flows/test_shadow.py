"""A challenger beside the champion, through the command line: unseen, and with a share of the rows."""

import json
from pathlib import Path

import pytest
import yaml

from tests.flows.conftest import PIPELINE, SAMPLES, Shop

ROWS = {"train": 400, "validation": 100, "test": 120, "noisy": 40}


@pytest.fixture(scope="module")
def pair(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A champion, and a challenger that learnt the same for half as long, from another seed."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "data").mkdir()
    for name, rows in ROWS.items():
        lines = (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "data" / f"{name}.jsonl").write_text("".join(lines[:rows]), encoding="utf-8")
    pipeline = {
        **PIPELINE,
        "name": "pair",
        "encoder": {"name": str(tiny_encoder)},
        "heads": {"sentiment": {"kind": "single_label"}},
        "training": {"epochs": 8, "rows_per_step": 16, "encoder_learning_rate": 3e-3, "head_learning_rate": 1e-2},
        # A challenger that has learnt for half as long is not better, and not so much worse that it would be rejected.
        "gate": {"margin": 0.5},
        "serving": {"shadow": True, "challenger_share": 0.3, "key": "customer"},
    }
    (folder / "shop.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False), encoding="utf-8")
    pair = Shop(folder, folder / "home", port=0)
    # On so few rows, a model of two layers is not above TF-IDF beyond chance.
    by_hand = ("promote", pair.pipeline, "1", "--reason", "so that there is a champion")
    second = ("run", pair.pipeline, "--set", "training.seed=14", "--set", "training.epochs=4")
    for command in (("run", pair.pipeline), by_hand, second):
        done = pair.graft(*command)
        assert done.code == 0, done.text
    return pair


@pytest.fixture(scope="module")
def answered(pair: Shop) -> list[dict[str, object]]:
    """Sixty customers' texts, answered."""
    lines = (SAMPLES / "test.jsonl").read_text(encoding="utf-8").splitlines()[120:180]
    rows = [{"text": json.loads(line)["text"], "customer": number} for number, line in enumerate(lines)]
    source, target = pair.folder / "in.jsonl", pair.folder / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = pair.graft("predict", pair.pipeline, "--input", str(source), "--output", str(target), "--force")
    assert done.code == 0, done.text
    assert "60 rows scored" in done.text
    return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


def test_rows_say_which_version_served_them_and_show_no_answer_of_the_other(
    answered: list[dict[str, object]],
) -> None:
    assert {row["served_by"] for row in answered} == {1, 2}
    assert all(set(row) == {"text", "customer", "predictions", "served_by"} for row in answered)


def test_agreement_is_shown_and_labels_of_the_rows_that_differ_are_tested(
    pair: Shop, answered: list[dict[str, object]]
) -> None:
    differing = pair.folder / "differing.jsonl"
    shown = pair.graft("shadow", pair.pipeline, "--differences", str(differing))
    assert shown.code == 0, shown.text
    assert "champion 1, challenger 2, 1 batch(es)" in shown.text
    rows = [json.loads(line) for line in differing.read_text(encoding="utf-8").splitlines()]
    assert rows
    for row in rows:
        assert row["champion"]["sentiment"]["label"] != row["challenger"]["sentiment"]["label"]
        # Somebody finds that the challenger is right each time.
        row["sentiment"] = row["challenger"]["sentiment"]["label"]
    differing.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tested = pair.graft("shadow", pair.pipeline, "--labels", str(differing))
    assert tested.code == 0, tested.text
    assert f"challenger {len(rows)}, champion 0" in tested.text


def test_outcomes_of_the_rows_that_each_served_are_compared(pair: Shop, answered: list[dict[str, object]]) -> None:
    outcomes = pair.folder / "outcomes.jsonl"
    rows = [row | {"solved": row["served_by"] == 2} for row in answered]
    outcomes.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    compared = pair.graft("ab", pair.pipeline, "--outcomes", str(outcomes), "--success", "solved")
    assert compared.code == 0, compared.text
    served = sum(row["served_by"] == 2 for row in answered)
    assert f"challenger right in {served} of {served} (100.0%)" in compared.text
    assert "better" in compared.text


def test_a_file_that_is_not_of_these_versions_is_refused(pair: Shop, answered: list[dict[str, object]]) -> None:
    strange = pair.folder / "strange.jsonl"
    strange.write_text('{"text": "so", "sentiment": "negative"}\n', encoding="utf-8")
    refused = pair.graft("shadow", pair.pipeline, "--labels", str(strange))
    assert refused.code == 2
    assert "labelled row 1" in refused.text
