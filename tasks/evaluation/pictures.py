"""Pictures of an evaluation, as PNG bytes."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.calibration import Bin
from tasks.evaluation.differences import Difference
from tasks.evaluation.scoring import IN_DOMAIN, Score
from tasks.reporting.pictures import BAD, FAINT, GOOD, INK, QUIET, bare, is_drawable, new_figure, png

CONFUSED_LABELS = 24
LETTERS_SHOWN = 30


def domain_gap(scores: Mapping[str, Sequence[Score]]) -> bytes:
    """Primary metric of every task on every split, beside the baselines; `scores` is by model name, graft's first."""
    shown = {
        name: [s for s in found if s.primary and s.metric != "out_of_scope_auroc"] for name, found in scores.items()
    }
    own = next(iter(shown.values()))
    tasks = list(dict.fromkeys(score.task for score in own))
    splits = sorted({score.split for score in own}, key=lambda split: (split != IN_DOMAIN, split))
    figure = new_figure(2.6 * len(tasks) + 1, 0.42 * len(splits) + 1.2)
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    styles = [("o", GOOD, 60), ("s", QUIET, 26), ("|", INK, 60)]
    for panel, task in zip(panels, tasks, strict=True):
        for (name, found), (marker, colour, size) in zip(shown.items(), styles, strict=False):
            points = [(s.value, splits.index(s.split), s) for s in found if s.task == task and s.split in splits]
            x, y = [p[0] for p in points], [p[1] for p in points]
            panel.scatter(x, y, marker=marker, c=colour, s=size, label=name, zorder=3)
            for value, height, score in points:
                if colour == GOOD and score.low is not None and score.high is not None:
                    panel.plot(
                        [score.low, score.high], [height, height], color=colour, alpha=0.4, lw=4, solid_capstyle="round"
                    )
                    panel.annotate(
                        f"{value:.2f}", (value, height), (0, 7), textcoords="offset points", ha="center", fontsize=8
                    )
        panel.set_title(f"{task}\n{next(s.metric for s in own if s.task == task)}", fontsize=10, color=INK)
        panel.set_yticks(range(len(splits)), splits)
        panel.set_ylim(len(splits) - 0.4, -0.7)
        bare(panel)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9
    )
    return png(figure)


def changes(differences: Sequence[Difference], margins: Sequence[float]) -> bytes:
    """Every difference with its interval: right of the line is better, wholly left of the dashed one clearly worse.

    The dashed line stands at each one's own of the `margins`.
    """
    names = [f"{d.task}, {'in domain' if d.split == IN_DOMAIN else d.split}" for d in differences]
    if len({d.opponent for d in differences}) > 1:
        names = [f"{name}: {d.opponent}" for name, d in zip(names, differences, strict=True)]
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


def written(chosen: Sequence[str]) -> list[str]:
    """What stands for each label: its name on one line, or its number among them where no picture can write it."""
    names = (" ".join(label.split()) for label in chosen)
    return [_short(name) if is_drawable(name) else f"no. {number}" for number, name in enumerate(names, start=1)]


def confusion(chosen: Sequence[str], wanted: Sequence[str], given: Sequence[str]) -> bytes:
    """Which of the chosen labels was given where another was wanted, row by row as shares of the wanted label."""
    place = {label: position for position, label in enumerate(chosen)}
    counts: NDArray[np.float64] = np.zeros((len(chosen), len(chosen)))
    totals = np.array([list(wanted).count(label) for label in chosen])
    for want, give in zip(wanted, given, strict=True):
        if want in place and give in place:
            counts[place[want], place[give]] += 1
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
        panel.scatter(b.confidence, b.accuracy, s=15 + 300 * b.rows / rows, color=GOOD, alpha=0.8)
    panel.set_xlim(0, 1.03)
    panel.set_ylim(0, 1.03)
    panel.set_xlabel("confidence")
    panel.set_ylabel("accuracy")
    panel.grid(color=FAINT, lw=0.6)
    return png(figure)


def _short(name: str) -> str:
    """Leaves room for what the name is of."""
    return name if len(name) <= LETTERS_SHOWN else f"{name[: LETTERS_SHOWN - 1]}…"
