"""How pictures of a report look: a few colours that mean the same everywhere, and no frame around what is shown."""

import io
from functools import cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

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


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG."""
    # The dollars of a label such as `$10 to $50` would make a formula of it, or, where it is none, an error.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())
