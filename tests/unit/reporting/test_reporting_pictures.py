"""Pictures of nasty names: each is drawn whole, in letters that the font has, and a caption says what numbers are."""

import itertools
import warnings
from collections.abc import Callable, Sequence

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tasks.drift import pictures as of_windows
from tasks.drift.words import RisenWord
from tasks.evaluation import pictures as of_models
from tasks.evaluation.differences import Difference
from tasks.evaluation.scoring import Score
from tasks.reporting.pictures import told, written

MODELS = ("graft", "majority", "tfidf", "zero_shot")
NAMES = ["退款", "refund", "धनवापसी", "возврат", "एक\nदो", f"under {'W' * 24} a", "$10 to $50"]
SHOWN = ["no. 1", "refund", "no. 3", "возврат", "no. 5", "under WWWWW…WWWWWWWWWW a", "$10 to $50"]

LONG = "donaudampfschifffahrtsgesellschaft"


@pytest.fixture
def figure_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """Draws as the page does, for warnings are errors, and gives the figure in place of its bytes."""
    figures: list[Figure] = []
    for module in (of_models, of_windows):
        keep = module.png
        monkeypatch.setattr(module, "png", lambda figure, keep=keep: (figures.append(figure), keep(figure)))

    def draw(picture: Callable[..., object], *given: object) -> Figure:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture(*given)
        return figures[-1]

    return draw


def ticks(figure: Figure, axis: str) -> list[str]:
    return [label.get_text() for label in getattr(figure.axes[0], f"get_{axis}ticklabels")()]


def is_whole(figure: Figure) -> bool:
    """Whether nothing that is shown leaves the picture."""
    shown = figure.get_tightbbox()
    return min(shown.x0, shown.y0) > -0.01 and (figure.get_size_inches() - shown.max > -0.01).all()


def on_one_another(texts: Sequence[Text]) -> bool:
    boxes = [text.get_window_extent() for text in texts]
    return any(left.overlaps(right) for left, right in itertools.pairwise(boxes))


def test_a_number_stands_for_what_cannot_be_written_or_told_apart() -> None:
    assert written(NAMES) == SHOWN
    assert written([f"{'W' * 20} {letter} {'W' * 20}" for letter in "ab"]) == ["no. 1", "no. 2"]
    # A window may be looked at twice.
    assert written(["W" * 31] * 2) == ["WWWWWWWWWWW…WWWWWWWWWWWW"] * 2


def test_a_caption_says_what_numbers_stand_for() -> None:
    assert told("mood", ["good", "坏", "bad"]) == "mood, where no. 2 is 坏"
    assert told("mood", ["good", "bad"]) == "mood"


def test_long_and_foreign_labels_of_a_window_leave_room_for_their_shares(figure_of: Callable[..., Figure]) -> None:
    shares = dict.fromkeys(NAMES, 0.125)
    figure = figure_of(of_windows.label_shares, shares, shares, shares)
    assert ticks(figure, "y") == SHOWN
    assert is_whole(figure)


def test_words_that_rose_are_drawn_with_their_shares(figure_of: Callable[..., Figure]) -> None:
    words = [RisenWord(word, 0.385, 0.001, 9.0 - place) for place, word in enumerate([*NAMES[:5], LONG])]
    figure = figure_of(of_windows.risen, words)
    assert ticks(figure, "y") == [*SHOWN[:5], "donaudampfs…gesellschaft"]
    assert is_whole(figure)


@pytest.mark.parametrize("windows", [[f"2026-W{week}" for week in range(10, 50)], ["W" * 99, "第一周"]])
def test_names_of_windows_and_monitors_stay_apart_and_whole(
    figure_of: Callable[..., Figure], windows: list[str]
) -> None:
    evidence = {f"accuracy/task_{number}_of_a_long_name": [1.0] * len(windows) for number in range(8)}
    figure = figure_of(of_windows.evidence_over_time, windows, evidence, [8.0])
    assert is_whole(figure)
    labels = figure.axes[0].get_xticklabels()
    assert labels[0].get_rotation() or not on_one_another(labels)


@pytest.mark.parametrize("tasks", [1, 2, 8])
def test_tasks_stand_three_abreast_beside_all_that_the_table_has(figure_of: Callable[..., Figure], tasks: int) -> None:
    scores = {
        model: [
            Score(f"task_{number}", split, "accuracy", 0.5, 20, primary=True, low=0.4, high=0.6)
            for number in range(tasks)
            for split in ("noisy", "test")
        ]
        for model in MODELS
    }
    figure = figure_of(of_models.domain_gap, scores)
    assert (len(figure.axes), figure.get_figwidth()) == (tasks, 2.6 * min(tasks, 3) + 1)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "graft",
        "majority",
        "TF-IDF + LR",
        "zero shot",
    ]
    assert ticks(figure, "y") == ["in domain", "noisy"]
    assert is_whole(figure)


def test_a_difference_names_split_and_opponent_as_the_tables_do(figure_of: Callable[..., Figure]) -> None:
    found = [Difference(model, "intent", "test", 0.1, 0.0, 0.2, 20) for model in ("majority", "tfidf")]
    figure = figure_of(of_models.changes, found, [0.02, 0.02])
    assert ticks(figure, "y") == ["intent, in domain: majority", "intent, in domain: TF-IDF + LR"]
