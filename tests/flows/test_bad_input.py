"""What the command line says to mistakes: one message, exit code 2, no traceback, what was there unharmed."""

from pathlib import Path

import pytest
import yaml

from tests.flows.conftest import PIPELINE, Outcome, Shop


def _refused(outcome: Outcome, *shown: str) -> None:
    assert outcome.code == 2, outcome.text
    assert "Traceback" not in outcome.text
    for text in shown:
        assert text in outcome.text, f"{text!r} is missing in:\n{outcome.text}"


def test_an_unknown_pipeline_is_answered_with_those_that_exist(shop: Shop) -> None:
    _refused(shop.graft("run", "suport"), "no pipeline 'suport'", "support")


def test_all_mistakes_of_a_yaml_are_shown_at_once(shop: Shop) -> None:
    wrong = {**PIPELINE, "trainnig": {}, "heads": {"sentiment": {"kind": "singel"}}}
    path = shop.folder / "wrong.yaml"
    path.write_text(yaml.safe_dump(wrong), encoding="utf-8")
    _refused(shop.graft("run", str(path)), "wrong.yaml", "trainnig: unknown key", "heads.sentiment", "2 mistake(s)")


def test_a_column_that_the_contract_lacks_is_named(shop: Shop) -> None:
    outcome = shop.graft("run", shop.pipeline, "--set", "heads.sentiment.column=mood")
    _refused(outcome, "'mood'", "sentiment")


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("", ["train.jsonl", "no rows"]),
        ('{"text": "hello there", "colour": "red"}\n', ["'colour' is not in the contract", "'entities' is missing"]),
        (None, ["does not exist", "train.jsonl"]),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_run(
    shop: Shop, services: Outcome, tmp_path: Path, content: str | None, shown: list[str]
) -> None:
    path = tmp_path / "train.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    _refused(shop.graft("run", shop.pipeline, "--set", f"data.train.path={path}"), *shown)


def test_rows_beyond_the_budget_end_the_run_with_file_and_row(shop: Shop, services: Outcome, tmp_path: Path) -> None:
    lines = (shop.folder / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:50]
    lines[4] = lines[4].replace('"tags": [', '"tags": ["O", ')
    lines[9] = lines[9].replace('"sentiment": "', '"sentiment": "very ')
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    models = shop.graft("models", shop.pipeline).text
    outcome = shop.graft("run", shop.pipeline, "--set", f"data.train.path={path}")
    _refused(
        outcome, f"{path}, row 5, entities", "tokens but", f"{path}, row 10, sentiment", "one of negative", "quarantine"
    )
    assert shop.graft("models", shop.pipeline).text == models


def test_a_missing_bucket_is_named(shop: Shop, services: Outcome) -> None:
    outcome = shop.graft("run", shop.pipeline, "--set", "data.train.path=s3://no-such-bucket-of-ours/train.jsonl")
    _refused(outcome, "s3://no-such-bucket-of-ours/train.jsonl")


def test_watching_a_window_that_does_not_exist_names_those_that_do(shop: Shop, services: Outcome) -> None:
    _refused(shop.graft("watch", shop.pipeline, "--window", "week_9"), "week_9", "week_1", "week_2")


def test_a_file_without_rows_gets_no_predictions(shop: Shop, services: Outcome) -> None:
    outcome = shop.graft("predict", shop.pipeline, "--input", "/dev/null", "--output", "nothing.jsonl")
    _refused(outcome, "holds no rows")


def test_what_is_no_mistake_of_the_user_ends_with_1_and_debug_shows_where(
    shop: Shop, services: Outcome, tmp_path: Path
) -> None:
    source, target = tmp_path / "texts.jsonl", tmp_path / "answers.jsonl"
    source.write_text('{"text": "Where is my parcel?"}\n', encoding="utf-8")
    command = ("predict", shop.pipeline, "--input", str(source), "--output", str(target))
    (weights,) = shop.home.glob("store/objects/*/weights.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    try:
        brief, long = shop.graft(*command), shop.graft(*command, "--debug")
    finally:
        weights.write_bytes(whole)
    assert (brief.code, long.code) == (1, 1)
    assert "a fault of graft's; --debug shows where" in brief.text
    assert "Traceback" not in brief.text
    assert "Traceback" in long.text
    assert not target.exists()
