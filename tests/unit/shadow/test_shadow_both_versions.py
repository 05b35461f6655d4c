"""Champion and challenger over the same file: who serves a row, and what is kept for a comparison."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from data_contracts.cleaning import Cleaning
from data_contracts.errors import InputError
from tasks.modeling.answering import answer, answer_rows
from tasks.modeling.answers import read_answers, read_ids
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead
from tasks.modeling.limits import TokenLimit
from tasks.modeling.network import new_network, save_network
from tasks.shadow.both_versions import Version, answer_twice
from tasks.shadow.serving import Serving, is_served_by_challenger

UNSEEN = Serving(shadow=True)
SPLIT = Serving(challenger_share=0.25, key="customer")
ROWS = [{"text": f"where is parcel {number}?", "customer": number // 2} for number in range(40)]


HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("refund", "delivery", "praise")),
    "urgency": RegressionHead(column="urgency", mean=0.5, deviation=0.25),
}


@pytest.fixture(scope="module")
def versions(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Version]:
    """Versions 3 and 4, which have learnt nothing, each from another seed."""
    found = []
    for number in (3, 4):
        folder = tmp_path_factory.mktemp(f"version-{number}")
        with torch.random.fork_rng():
            torch.manual_seed(number)
            save_network(new_network(tiny_encoder, HEADS), tiny_encoder, TokenLimit(max_tokens=16), folder)
        found.append(Version(number, folder, Cleaning(), None))
    return found


def answered(versions: list[Version], serving: Serving, folder: Path) -> list[dict[str, Any]]:
    """The rows that are written for ROWS."""
    source, target = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    (folder / "kept").mkdir()
    counts = answer_twice(*versions, str(source), str(target), "text", serving, "shop/3/4", folder / "kept")
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert counts == (40, sum(row.get("served_by") == 4 for row in rows))
    return rows


def by_itself(version: Version, folder: Path) -> list[dict[str, Any]]:
    """What that version alone answers."""
    target = folder / f"alone-{version.number}.jsonl"
    answer_rows(version.folder, str(folder / "in.jsonl"), str(target), "text")
    return [json.loads(line)["predictions"] for line in target.read_text(encoding="utf-8").splitlines()]


def test_a_challenger_in_the_shadow_is_seen_by_nobody(versions: list[Version], tmp_path: Path) -> None:
    rows = answered(versions, UNSEEN, tmp_path)
    champion, challenger = (by_itself(version, tmp_path) for version in versions)
    assert rows == [row | {"predictions": found} for row, found in zip(ROWS, champion, strict=True)]
    assert champion != challenger


def test_what_both_answer_is_kept_for_a_comparison(versions: list[Version], tmp_path: Path) -> None:
    answered(versions, UNSEEN, tmp_path)
    kept = [json.loads(line) for line in (tmp_path / "kept" / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    for role, version in zip(("champion", "challenger"), versions, strict=True):
        assert [row[role] for row in kept] == by_itself(version, tmp_path)
        found = read_answers(tmp_path / "kept" / f"{role}.parquet", HEADS)
        assert found.answers["intent"] == [row[role]["intent"]["label"] for row in kept]
    assert read_ids(tmp_path / "kept", "champion") == [str(number) for number in range(1, 41)]


def test_a_share_of_the_keys_is_served_by_the_challenger_and_rows_say_by_whom(
    versions: list[Version], tmp_path: Path
) -> None:
    rows = answered(versions, SPLIT, tmp_path)
    found = {number: by_itself(version, tmp_path) for number, version in zip((3, 4), versions, strict=True)}
    for at, row in enumerate(rows):
        assert row["predictions"]["intent"]["label"] == found[row["served_by"]][at]["intent"]["label"]
    assert {row["served_by"] for row in rows} == {3, 4}
    assert all(rows[at]["served_by"] == rows[at + 1]["served_by"] for at in range(0, 40, 2))
    # Nothing is kept where no comparison is asked for.
    assert list((tmp_path / "kept").iterdir()) == []


def test_without_a_shadow_each_version_is_asked_for_its_own_rows_alone(
    versions: list[Version], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[Path, int] = {}

    def counting(folder: Path, rows: dict[int, dict[str, Any]], *rest: Any) -> Any:
        asked[folder] = len(rows)
        return answer(folder, rows, *rest)

    monkeypatch.setattr("tasks.shadow.both_versions.answer", counting)
    rows = answered(versions, SPLIT, tmp_path)
    assert asked == {of.folder: sum(row["served_by"] == of.number for row in rows) for of in versions}


def served(trial: str, serving: Serving = SPLIT) -> list[bool]:
    return [is_served_by_challenger({"customer": key}, "here", serving, trial) for key in range(4000)]


def test_a_key_keeps_its_version_and_another_trial_divides_the_keys_anew() -> None:
    first, second = served("shop/3/4"), served("shop/3/5")
    assert first == served("shop/3/4")
    # Shares of 0.25 and of 0.25 * 0.25 of 4,000 keys, four standard deviations to either side.
    assert sum(first) == pytest.approx(1000, abs=110)
    assert sum(one and other for one, other in zip(first, second, strict=True)) == pytest.approx(250, abs=62)


def test_a_larger_share_keeps_whom_the_challenger_serves_already() -> None:
    small, large = served("t"), served("t", Serving(challenger_share=0.5, key="customer"))
    assert all(later for earlier, later in zip(small, large, strict=True) if earlier)


@pytest.mark.parametrize("row", [{}, {"customer": None}, {"customer": ["a"]}])
def test_a_row_without_a_key_is_refused_where_it_stands(row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"in\.jsonl, line 3: no 'customer' to choose champion or challenger by"):
        is_served_by_challenger(row, "in.jsonl, line 3", SPLIT, "t")


def test_a_share_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="challenger_share needs a key"):
        Serving(challenger_share=0.1)
