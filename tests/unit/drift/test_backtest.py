import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tasks.drift.backtest import PastWindow, Replayed, harmful_from, policy_names, replay
from tasks.drift.governor import Governor
from tasks.drift.policy import DriftPolicy
from tasks.drift.reference import extend_reference
from tasks.drift.report_backtest import policy_rows, write_backtest
from tests.unit.drift.worlds import draw, frozen, seen, usual_texts

RANDOM = np.random.default_rng(5)
REFERENCE = frozen(draw(RANDOM, 800))
START = datetime(2026, 1, 5, tzinfo=UTC)
NAN = float("nan")


def past(name: str, *, outliers: int = 0, fresh: int = 100, right: float | None = None) -> PastWindow:
    seen = draw(np.random.default_rng(int(name)), 200, outliers=outliers)
    rights = (
        {} if right is None else {"intent": np.array([1.0] * round(100 * right) + [0.0] * round(100 - 100 * right))}
    )
    return PastWindow(name, name.rjust(64, "0"), seen, usual_texts(200), 0, fresh, rights)


# Two windows like the reference, then texts unlike all of it, for good.
WINDOWS = [past("1"), past("2"), *(past(str(number), outliers=60) for number in range(3, 7))]


def played(policy: DriftPolicy, windows: list[PastWindow] = WINDOWS, days: float = 7) -> Replayed:
    return replay(REFERENCE, windows, policy, "mine", start=START, days=days, hours=2.0)


def test_a_policy_trains_again_when_harm_comes_and_what_it_learnt_is_no_harm_any_more() -> None:
    found = played(DriftPolicy())
    assert [d.verdict for d in found.decisions] == ["QUIET", "QUIET", "HARMFUL", "BENIGN", "BENIGN", "BENIGN"]
    assert found.retrained == [2]
    assert found.hours == 2.0
    assert [d.model_version for d in found.decisions] == [1, 1, 1, 2, 2, 2]
    assert [d.decided_at.day for d in found.decisions[:3]] == [5, 12, 19]


def test_a_governor_that_asks_for_more_windows_trains_later() -> None:
    found = played(DriftPolicy(governor=Governor(windows=2, of_windows=3)))
    assert found.retrained == [3]
    assert "no retraining: 1 of the last 3 windows harmful, 2 are asked for: 1 more" in found.decisions[2].reasons


def test_policies_of_files_that_are_called_the_same_are_told_apart_by_their_paths() -> None:
    assert policy_names(["a/strict.yaml", "b/strict.yaml", "b/loose.yaml", "b/loose.yaml"]) == {
        "a/strict.yaml": "a/strict.yaml",
        "b/strict.yaml": "b/strict.yaml",
        "b/loose.yaml": "loose",
    }


def test_without_labelled_rows_nobody_trains_and_every_window_asks_for_labels() -> None:
    found = played(DriftPolicy(), [replace(window, fresh_rows=0) for window in WINDOWS])
    assert found.retrained == []
    assert [found.count(v) for v in ("QUIET", "UNKNOWN", "HARMFUL")] == [2, 4, 0]


def test_delay_is_counted_from_where_labels_say_that_harm_began() -> None:
    windows = [past("1", right=0.95), past("2", right=0.5), past("3", outliers=60, right=0.5)]
    assert harmful_from(REFERENCE, windows, tolerated=0.02) == 1
    assert harmful_from(REFERENCE, [past("1"), past("2")], tolerated=0.02) is None
    found = played(DriftPolicy(), WINDOWS)
    assert (found.delay(None), found.delay(2), found.delay(1), found.delay(3)) == (None, 0, 1, None)


def test_wrong_answers_that_chance_explains_are_no_harm_however_many_windows_are_looked_at() -> None:
    reference = frozen(seen(np.zeros((1000, 2)), right=[0] * 100 + [1] * 900))

    def began(*right: float) -> int | None:
        return harmful_from(reference, [past(str(n), right=share) for n, share in enumerate(right, start=1)], 0.0)

    # A thousand rows leave open that 11.6% are wrong. Then 20 of 100 are so once in 96 windows: enough for one of two,
    # and not for one of eleven.
    assert began(0.9, 0.8) == 1
    assert began(0.9, *[0.88] * 9, 0.8) is None
    assert began(0.9, *[0.88] * 9, 0.75) == 10


def test_labels_are_evidence_in_a_back_test_too() -> None:
    windows = [past("1", right=0.9), past("2", right=0.3)]
    found = played(DriftPolicy(), windows)
    assert [decision.verdict for decision in found.decisions] == ["QUIET", "HARMFUL"]
    assert found.decisions[1].reasons[0] == "labels show that intent became worse"
    assert (
        "labels: 90 of 100 rows are answered rightly as to intent (90%), of the reference"
        in found.decisions[0].reasons[-1]
    )
    assert windows[1].accuracy(found.decisions[1]) == {"intent": 0.3}
    assert past("1").accuracy(found.decisions[0])["intent"] == found.decisions[0].estimates["intent"].by_threshold


def test_a_reference_with_a_window_in_it_has_its_rows_unjudged_and_each_text_once() -> None:
    seen = draw(np.random.default_rng(9), 10)
    texts = replace(usual_texts(10), repeated=np.array([False] * 8 + [True] * 2))
    found = extend_reference(REFERENCE, [(seen, texts)])
    assert len(found.seen) == len(REFERENCE.seen) + 8
    right = found.seen.tasks["intent"].right
    assert right is not None
    assert np.isnan(right[-8:]).all()
    assert not np.isnan(right[:-8]).any()
    assert np.array_equal(found.seen.embeddings[-8:], seen.embeddings[:8])
    assert found.seen.distances is not None
    assert len(found.seen.distances) == len(found.texts.tokens) == len(found.seen)
    assert len(found.texts.repeated) == len(REFERENCE.texts.repeated) + 10


def test_the_page_shows_policies_beside_each_other(tmp_path: Path) -> None:
    one, two = (
        played(DriftPolicy()),
        replace(played(DriftPolicy(governor=Governor(windows=2, of_windows=3))), policy="two"),
    )
    accuracies = [window.accuracy(decision) for window, decision in zip(WINDOWS, one.decisions, strict=True)]
    write_backtest("mill", [w.name for w in WINDOWS], [one, two], accuracies, 2, ["1"], tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "By labels, harm began in 3 (labels of 1 do not count: the champion was trained with some)." in page
    assert (tmp_path / "policies.png").read_bytes().startswith(b"\x89PNG")
    assert policy_rows([one, two], 2) == [
        ("mine", "1", "0", "3", "0", "2", "0", "1", "2.0"),
        ("two", "2", "0", "2", "0", "2", "0", "1", "2.0"),
    ]
    assert policy_rows([one], None)[0][6] == ""


def test_windows_and_policies_of_any_name_are_drawn(tmp_path: Path) -> None:
    windows = ["第一周", *(f"production_2026-11-{day}" for day in range(10, 15))]
    found = replace(played(DriftPolicy()), policy="政策")
    with warnings.catch_warnings():
        # Of a letter that the font lacks, and of names that leave no room.
        warnings.simplefilter("error")
        write_backtest("mill", windows, [found], [{}] * len(windows), None, [], tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What each policy makes of each window, where no. 1 is 政策, no. 2 is 第一周" in page


@pytest.mark.parametrize("broken", [40, 0])
def test_a_window_of_broken_rows_is_bad_data_and_no_reason_to_train(broken: int) -> None:
    found = played(DriftPolicy(), [replace(past("4", outliers=60), broken=broken)])
    assert [decision.verdict for decision in found.decisions] == ["BAD_DATA" if broken else "HARMFUL"]
    assert found.retrained == ([] if broken else [0])
