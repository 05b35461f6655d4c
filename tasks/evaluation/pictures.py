"""Pictures of an evaluation, as PNG bytes."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.calibration import Bin
from tasks.evaluation.differences import Difference
from tasks.evaluation.naming import opponent, place
from tasks.evaluation.scoring import IN_DOMAIN, Score
from tasks.reporting.pictures import BAD, FAINT, GOOD, INK, QUIET, bare, new_figure, png, told, written

CONFUSED_LABELS = 24
# As many as stay readable in the width of the page.
PANELS_ABREAST = 3


def domain_gap(scores: Mapping[str, Sequence[Score]]) -> bytes:
    """Primary metric of every task on every split, beside the baselines; `scores` is by model name, graft's first."""
    shown = {
        name: [s for s in found if s.primary and s.metric != "out_of_scope_auroc"] for name, found in scores.items()
    }
    own = next(iter(shown.values()))
    tasks = list(dict.fromkeys(score.task for score in own))
    splits = sorted({score.split for score in own}, key=lambda split: (split != IN_DOMAIN, split))
    columns = min(len(tasks), PANELS_ABREAST)
    lines = -(-len(tasks) // columns)
    figure = new_figure(2.6 * columns + 1, (0.42 * len(splits) + 0.9) * lines + 0.3)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    styles = [("o", GOOD, 60), ("s", QUIET, 26), ("|", INK, 60), ("x", INK, 22)]
    for left in panels[len(tasks) :]:
        left.remove()
    for panel, task in zip(panels, tasks, strict=False):
        for (name, found), (marker, colour, size) in zip(shown.items(), styles, strict=False):
            points = [(s.value, splits.index(s.split), s) for s in found if s.task == task and s.split in splits]
            x, y = [p[0] for p in points], [p[1] for p in points]
            panel.scatter(x, y, marker=marker, c=colour, s=size, label=opponent(name), zorder=3)
            for value, height, score in points:
                if colour == GOOD and score.low is not None and score.high is not None:
                    panel.plot(
                        [score.low, score.high], [height, height], color=colour, alpha=0.4, lw=4, solid_capstyle="round"
                    )
                    panel.annotate(
                        f"{value:.2f}", (value, height), (0, 7), textcoords="offset points", ha="center", fontsize=8
                    )
        panel.set_title(f"{task}\n{next(s.metric for s in own if s.task == task)}", fontsize=9, color=INK)
        panel.set_yticks(range(len(splits)), list(map(place, splits)))
        panel.set_ylim(len(splits) - 0.4, -0.7)
        bare(panel)
    handles, models = panels[0].get_legend_handles_labels()
    abreast = min(len(models), 2 * columns)
    figure.legend(handles, models, loc="outside lower center", ncols=abreast, frameon=False, fontsize=9)
    return png(figure)


def changes(differences: Sequence[Difference], margins: Sequence[float]) -> bytes:
    """Every difference with its interval: right of the line is better, wholly left of the dashed one clearly worse.

    The dashed line stands at each one's own of the `margins`.
    """
    names = [f"{d.task}, {place(d.split)}" for d in differences]
    if len({d.opponent for d in differences}) > 1:
        names = [f"{name}: {opponent(d.opponent)}" for name, d in zip(names, differences, strict=True)]
    figure = new_figure(7.2, 0.3 * len(differences) + 1.0)
    panel = figure.subplots()
    panel.axvline(0, color=INK, lw=0.8)
    for height, (d, margin) in enumerate(zip(differences, margins, strict=True)):
        panel.plot([-margin, -margin], [height - 0.5, height + 0.5], color=BAD, lw=0.8, ls="--")
        colour = GOOD if d.low > 0 else BAD if d.high < -margin else QUIET
        panel.plot([d.low, d.high], [height, height], color=colour, lw=3.5, alpha=0.55, solid_capstyle="round")
        panel.plot([d.value], [height], "o", color=colour, ms=6)
    panel.set_yticks(range(len(names)), names, fontsize=9)
    panel.set_ylim(len(names) - 0.4, -0.6)
    bare(panel)
    return png(figure)


def confused_labels(labels: Sequence[str], wanted: Sequence[str], given: Sequence[str]) -> list[str]:
    """The labels that `confusion` shows: all, or of many those that are confused most often, which may be none."""
    mistakes = Counter(
        label for want, give in zip(wanted, given, strict=True) if want != give for label in (want, give)
    )
    most = {label for label, _ in mistakes.most_common(CONFUSED_LABELS)}
    return [label for label in labels if len(labels) <= CONFUSED_LABELS or label in most]


def confusion(chosen: Sequence[str], wanted: Sequence[str], given: Sequence[str]) -> bytes:
    """Which of the chosen labels was given where another was wanted, row by row as shares of the wanted label."""
    places = {label: position for position, label in enumerate(chosen)}
    counts: NDArray[np.float64] = np.zeros((len(chosen), len(chosen)))
    totals = np.array([list(wanted).count(label) for label in chosen])
    for want, give in zip(wanted, given, strict=True):
        if want in places and give in places:
            counts[places[want], places[give]] += 1
    shares = counts / np.maximum(totals[:, None], 1)
    names = written(chosen)
    # A dozen letters of this size take an inch.
    side = 0.34 * len(chosen) + max(1.8, 0.8 + max(map(len, names)) / 12)
    figure = new_figure(side + 0.6, side)
    panel = figure.subplots()
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else INK
        panel.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    panel.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    panel.set_yticks(range(len(names)), names, fontsize=8)
    panel.set_xlabel("given")
    panel.set_ylabel("wanted")
    return png(figure)


def confusion_caption(task: str, chosen: Sequence[str], labels: Sequence[str]) -> str:
    """The task, how many of its labels `confusion` leaves out, and what its numbers stand for."""
    left_out = len(chosen) < len(labels)
    shown = f", the {len(chosen)} of {len(labels)} labels that are confused most" if left_out else ""
    return told(f"{task}{shown}", chosen)


def reliability(before: Sequence[Bin], after: Sequence[Bin]) -> bytes:
    """Accuracy against confidence, with 95% intervals; the size of a point is its share of the rows.

    `before` the temperature in grey, where there is one.
    """
    figure = new_figure(3.6, 3.4)
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color=QUIET, lw=1, ls="--")
    panel.plot([b.confidence for b in before], [b.accuracy for b in before], "x", color=QUIET, ms=5)
    rows = max(1, sum(b.rows for b in after))
    for b in after:
        panel.plot([b.confidence] * 2, [b.low, b.high], color=GOOD, lw=1, alpha=0.6)
        panel.scatter(b.confidence, b.accuracy, s=15 + 300 * b.rows / rows, color=GOOD, alpha=0.8, clip_on=False)
    panel.set_xlim(0, 1.03)
    panel.set_ylim(0, 1.03)
    panel.set_xlabel("confidence")
    panel.set_ylabel("accuracy")
    panel.grid(color=FAINT, lw=0.6)
    panel.set_axisbelow(True)
    return png(figure)
