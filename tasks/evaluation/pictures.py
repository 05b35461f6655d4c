"""Pictures of an evaluation, as PNG bytes."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tasks.evaluation.scoring import IN_DOMAIN, Score

INK, GOOD, QUIET, FAINT = "#1f2933", "#2a6f97", "#9aa5b1", "#d9dee3"


def domain_gap(scores: dict[str, list[Score]]) -> bytes:
    """Primary metric of every task on every split, beside the baselines; `scores` is by model name, graft's first."""
    shown = {
        name: [s for s in found if s.primary and s.metric != "out_of_scope_auroc"] for name, found in scores.items()
    }
    own = next(iter(shown.values()))
    tasks = list(dict.fromkeys(score.task for score in own))
    splits = sorted({score.split for score in own}, key=lambda split: (split != IN_DOMAIN, split))
    figure = Figure(figsize=(2.6 * len(tasks) + 1, 0.42 * len(splits) + 1.2), layout="constrained")
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
        panel.grid(axis="x", color=FAINT, lw=0.6)
        panel.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9
    )
    return _png(figure)


def confusion(labels: Sequence[str], wanted: Sequence[str], given: Sequence[str]) -> bytes:
    """Which label was given where another was wanted, row by row as shares of the wanted label."""
    place = {label: position for position, label in enumerate(labels)}
    counts: NDArray[np.float64] = np.zeros((len(labels), len(labels)))
    for want, give in zip(wanted, given, strict=True):
        counts[place[want], place[give]] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.34 * len(labels) + 1.8
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    panel = figure.subplots()
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else INK
        panel.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    panel.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
    panel.set_yticks(range(len(labels)), labels, fontsize=8)
    panel.set_xlabel("given")
    panel.set_ylabel("wanted")
    return _png(figure)


def reliability(confidences: Sequence[float], right: Sequence[bool]) -> bytes:
    """Accuracy against confidence in ten bins; the size of a point is the number of rows."""
    values, hits = np.asarray(confidences), np.asarray(right, dtype=float)
    bins = np.minimum((values * 10).astype(int), 9)
    figure = Figure(figsize=(3.6, 3.4), layout="constrained")
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color=QUIET, lw=1, ls="--")
    for number in sorted(set(bins.tolist())):
        inside = bins == number
        panel.scatter(values[inside].mean(), hits[inside].mean(), s=15 + 300 * inside.mean(), color=GOOD, alpha=0.8)
    panel.set_xlim(0, 1.03)
    panel.set_ylim(0, 1.03)
    panel.set_xlabel("confidence")
    panel.set_ylabel("accuracy")
    panel.grid(color=FAINT, lw=0.6)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
