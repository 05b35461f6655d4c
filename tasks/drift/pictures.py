"""Pictures of a window beside its reference, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.drift.words import RisenWord
from tasks.reporting.pictures import BAD, FAINT, GOOD, INK, QUIET, bare, new_figure, png, written

# Two of them stand side by side on the page.
WIDTH = 4.35
POINTS = 2_000
EVIDENCE_WIDTH = 7.2
# Of the size of ticks and legends.
LETTERS_AN_INCH = 13
SHARE_WIDTH = 1.4
LINES = ("-", "--", ":", "-.")
COLOURS = (GOOD, "#b8860b", "#5b3f8c", "#2e7d5b", "#8c564b", "#c2588f")


def embedding_map(reference: NDArray[np.float32], window: NDArray[np.float32]) -> bytes:
    """Both on the two directions in which the reference varies most; at most POINTS of each, evenly taken."""
    known, found = (rows[:: max(1, -(-len(rows) // POINTS))].astype(np.float64) for rows in (reference, window))
    centre = known.mean(axis=0)
    directions = np.linalg.svd(known - centre, full_matrices=False)[2][:2].T
    figure = new_figure(WIDTH, 3.6)
    panel = figure.subplots()
    for rows, colour, name, alpha in ((known, QUIET, "reference", 0.5), (found, GOOD, "window", 0.8)):
        places = np.pad((rows - centre) @ directions, ((0, 0), (0, 2 - directions.shape[1])))
        panel.scatter(places[:, 0], places[:, 1], s=12, color=colour, alpha=alpha, linewidths=0, label=name)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_color(FAINT)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9, markerscale=1.6)
    return png(figure)


def risen(words: Sequence[RisenWord]) -> bytes:
    """A bar a word, as long as its z-score, with the shares of texts that hold it."""
    names = written([word.word for word in words])
    figure = new_figure(WIDTH, 0.27 * len(words) + 0.8)
    panel = figure.subplots()
    panel.barh(range(len(words)), [word.z for word in words], color=GOOD, alpha=0.75, height=0.7)
    for height, word in enumerate(words):
        share = f"{_percent(word.window)}, before {_percent(word.reference)}"
        panel.annotate(share, (word.z, height), (4, 0), textcoords="offset points", va="center", fontsize=8, color=INK)
    panel.set_yticks(range(len(words)), names, fontsize=9)
    panel.set_ylim(len(words) - 0.4, -0.6)
    # Beside the longest bar stands its share, for which the words leave more room or less.
    room = WIDTH - max(map(len, names)) / LETTERS_AN_INCH
    panel.set_xlim(0, max(word.z for word in words) * room / (room - SHARE_WIDTH))
    panel.set_xlabel("z-score of the log-odds", fontsize=9)
    bare(panel)
    return png(figure)


def label_shares(
    reference: Mapping[str, float], window: Mapping[str, float], estimated: Mapping[str, float] | None = None
) -> bytes:
    """Shares of each label: what the model answered before and answers now, and the estimated true shares."""
    labels = list(window)
    figure = new_figure(WIDTH, 0.42 * len(labels) + 1.1)
    panel = figure.subplots()
    places = np.arange(len(labels))
    before, now = ([shares.get(label, 0.0) for label in labels] for shares in (reference, window))
    panel.barh(places - 0.19, before, color=QUIET, height=0.36, label="answers, reference")
    panel.barh(places + 0.19, now, color=GOOD, height=0.36, label="answers, window")
    if estimated:
        known = [(estimated[label], place) for place, label in enumerate(labels) if label in estimated]
        x, y = [share for share, _ in known], [place for _, place in known]
        panel.plot(x, y, "D", color=BAD, ms=5, clip_on=False, label="estimated true share, window")
    panel.set_yticks(places, written(labels), fontsize=9)
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    bare(panel)
    handles, names = panel.get_legend_handles_labels()
    # matplotlib lists the marks ahead of the bars.
    order = sorted(range(len(names)), key=lambda at: not names[at].startswith("answers"))
    shown = ([of[at] for at in order] for of in (handles, names))
    figure.legend(*shown, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return png(figure)


def evidence_over_time(looks: Sequence[str], evidence: Mapping[str, Sequence[float]], levels: Sequence[float]) -> bytes:
    """Log evidence of each monitor at each look, NaN where it did not look, and the levels of an alarm."""
    names = written(looks)
    # A line's sample and the gaps beside it take the room of some eight letters.
    fitting = int(EVIDENCE_WIDTH * LETTERS_AN_INCH) // (8 + max(map(len, evidence)))
    columns = min(3, max(1, fitting))
    figure = new_figure(EVIDENCE_WIDTH, 3.0 + 0.2 * (len(evidence) // columns))
    panel = figure.subplots()
    for number, level in enumerate(levels):
        panel.axhline(level, color=BAD, lw=1, ls="--", label="" if number else "alarm")
    for number, (monitor, values) in enumerate(evidence.items()):
        style = LINES[number // len(COLOURS) % len(LINES)]
        panel.plot(
            range(len(names)), values, style, marker="o", ms=4, color=COLOURS[number % len(COLOURS)], label=monitor
        )
    every = max(1, len(names) // 12)
    ticks = names[::every]
    upright = len(ticks) * max(map(len, ticks)) < EVIDENCE_WIDTH * LETTERS_AN_INCH
    turned: dict[str, Any] = {} if upright else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    panel.set_xticks(range(0, len(names), every), ticks, fontsize=8, **turned)
    panel.set_ylabel("log evidence", fontsize=9)
    panel.grid(axis="y", color=FAINT, lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    return png(figure)


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
