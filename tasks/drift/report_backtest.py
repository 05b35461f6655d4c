"""Policies beside each other: a picture to choose one from, and the figures behind it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_contracts.drift import DriftVerdict
from tasks.drift.backtest import Replayed
from tasks.reporting.page import Page, write_page
from tasks.reporting.pictures import BAD, FAINT, GOOD, INK, QUIET, bare, new_figure, png, told, written
from tasks.reporting.sections import Column, Picture, Section, Table

COLOURS: dict[DriftVerdict, str] = {
    "QUIET": FAINT,
    "BENIGN": GOOD,
    "UNKNOWN": "#b8860b",
    "BAD_DATA": QUIET,
    "HARMFUL": BAD,
}
# Names of windows, below the narrowest picture, with the longest names of policies beside it.
LETTERS_ABREAST = 36
LINES = ("-", "--", ":", "-.")
COLUMNS = ("policy", "harmful", "unknown", "benign", "bad data", "quiet", "delay (windows)", "retrainings", "hours")


def policy_rows(replayed: Sequence[Replayed], harmful_from: int | None) -> list[tuple[str, ...]]:
    """A row a policy, for a table: windows by verdict, delay in windows, retrainings and their hours."""
    return [
        (
            of.policy,
            *(str(of.count(verdict)) for verdict in ("HARMFUL", "UNKNOWN", "BENIGN", "BAD_DATA", "QUIET")),
            "" if harmful_from is None else "never" if (late := of.delay(harmful_from)) is None else str(late),
            str(len(of.retrained)),
            f"{of.hours:.1f}",
        )
        for of in replayed
    ]


def write_backtest(
    pipeline: str,
    windows: Sequence[str],
    replayed: Sequence[Replayed],
    accuracies: Sequence[Mapping[str, float]],
    harmful_from: int | None,
    learnt: Sequence[str],
    output: Path,
) -> None:
    """Writes `report.html`, the picture and `report.md`. `accuracies` are {task: accuracy} of each window; `learnt`
    are windows that the champion was trained with, so that their labels were left out."""
    rows = policy_rows(replayed, harmful_from)
    table = Table([Column(title, "name" if title == "policy" else "number") for title in COLUMNS], rows)
    where = "No label says where harm began"
    if harmful_from is not None:
        where = f"By labels, harm began in {windows[harmful_from]}"
    if learnt:
        where += f" (labels of {', '.join(learnt)} do not count: the champion was trained with some)"
    note = (
        f"{where}. No model was trained: a retraining counts as promoted, and what its windows brought is no news from "
        "then on. Accuracy is the champion's, by labels where there are any, else as estimated."
    )
    caption = told("What each policy makes of each window", [*(of.policy for of in replayed), *windows])
    picture = Picture("policies", caption, timeline(windows, replayed, accuracies))
    why = [
        Section(
            f"why-{number}",
            of.policy,
            tables=[
                Table(
                    (Column("window"), Column("verdict"), Column("why", "text")),
                    [(d.window, d.verdict, "; ".join(d.reasons)) for d in of.decisions],
                    title="By window",
                    folded=True,
                )
            ],
        )
        for number, of in enumerate(replayed)
    ]
    sections = [Section("policies", "Policies", note, tables=[table], pictures=[picture]), *why]
    facts = f"{len(windows)} windows, {len(replayed)} {'policy' if len(replayed) == 1 else 'policies'}"
    write_page(Page(f"{pipeline}, back-test", "BACKTEST", "", facts, sections), output, in_markdown=("policies",))


def timeline(windows: Sequence[str], replayed: Sequence[Replayed], accuracies: Sequence[Mapping[str, float]]) -> bytes:
    """A line of squares a policy, coloured by verdict, with a ring where it trains again; accuracy below."""
    width, names = max(6.0, 0.22 * len(windows) + 2.5), written([*(of.policy for of in replayed), *windows])
    policies, columns = names[: len(replayed)], names[len(replayed) :]
    figure = new_figure(width, 0.42 * len(replayed) + 3.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[0.42 * len(replayed) + 0.5, 2.0])
    for height, of in enumerate(replayed):
        colours = [COLOURS[decision.verdict] for decision in of.decisions]
        above.scatter(range(len(windows)), [height] * len(windows), c=colours, marker="s", s=70, linewidths=0)
        above.scatter(of.retrained, [height] * len(of.retrained), s=150, facecolors="none", edgecolors=INK, lw=1.4)
    above.set_yticks(range(len(replayed)), policies, fontsize=9)
    above.set_ylim(len(replayed) - 0.4, -0.6)
    for verdict, colour in COLOURS.items():
        above.scatter([], [], c=colour, marker="s", s=50, label=verdict.lower().replace("_", " "))
    above.scatter([], [], s=90, facecolors="none", edgecolors=INK, label="trains again")
    figure.legend(loc="outside upper center", ncols=6, frameon=False, fontsize=8)
    for number, task in enumerate(dict.fromkeys(task for found in accuracies for task in found)):
        line = [found.get(task, float("nan")) for found in accuracies]
        below.plot(
            range(len(windows)), line, marker="o", ms=3, lw=1.2, ls=("-", "--", ":", "-.")[number % 4], label=task
        )
    below.set_ylabel("accuracy", fontsize=9)
    upright = len(columns) * max(map(len, columns)) < LETTERS_ABREAST
    below.set_xticks(range(len(windows)), columns, rotation=0 if upright else 90, fontsize=8)
    if any(accuracies):
        below.legend(frameon=False, fontsize=8)
    for panel in (above, below):
        bare(panel)
    return png(figure)
