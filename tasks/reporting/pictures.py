"""How pictures of a report look: a few colours that mean the same everywhere, and no frame around what is shown."""

import io
from collections import Counter
from collections.abc import Sequence
from functools import cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

LETTERS_SHOWN = 24
INK, GOOD, BAD, QUIET, FAINT = "#1f2933", "#2a6f97", "#b42318", "#9aa5b1", "#d9dee3"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def bare(panel: Axes) -> None:
    """Leaves the axis below and a faint grid across it: where things stand side by side, a frame says nothing."""
    panel.grid(axis="x", color=FAINT, lw=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)


def is_drawable(text: str) -> bool:
    """Whether the letters of pictures can write it, which know no Chinese, Japanese, Korean, Hindi or Thai."""
    return all(ord(letter) in _letters() for letter in text if not letter.isspace())


def written(names: Sequence[str]) -> list[str]:
    """What stands for each name: itself on one line, shortened where it is long, or its number among them.

    Numbers stand for names that no picture can write, and for those that are not told apart when shortened.
    """
    lines = [" ".join(name.split()) for name in names]
    alike = Counter(_short(line) for line in dict.fromkeys(lines))
    return [
        _short(line) if is_drawable(line) and alike[_short(line)] == 1 else _number(position)
        for position, line in enumerate(lines)
    ]


def told(caption: str, names: Sequence[str]) -> str:
    """The caption of a picture of these names, and for which of them a number stands in it."""
    shown = enumerate(zip(written(names), names, strict=True))
    numbered = [f"{short} is {name}" for position, (short, name) in shown if short == _number(position)]
    return f"{caption}, where {', '.join(numbered)}" if numbered else caption


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG."""
    # The dollars of a label such as `$10 to $50` would make a formula of it, or, where it is none, an error.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _short(name: str) -> str:
    """Leaves room for what the name is of; names that begin alike often end otherwise."""
    left = LETTERS_SHOWN // 2
    return name if len(name) <= LETTERS_SHOWN else f"{name[: left - 1]}…{name[-left:]}"


def _number(position: int) -> str:
    return f"no. {position + 1}"


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())
