"""A window's rows, read once for all that is measured of them."""

from collections.abc import Sequence
from pathlib import Path

from data_contracts.splits import WINDOW
from tasks.drift.quality import TextFacts, text_facts
from tasks.drift.seen import Seen, see
from tasks.modeling.heads import heads_of
from tasks.modeling.limits import TokenLimit
from tasks.modeling.tokens import TextEncoder


def read_window(drawn: Path, answers: Path, model: Path, text_columns: Sequence[str]) -> tuple[Seen, TextFacts]:
    """Its rows as the model sees them, and what their texts are like."""
    return see(answers, WINDOW, heads_of(model)), text_facts(drawn, WINDOW, text_columns, text_encoder(model))


def text_encoder(model: Path) -> TextEncoder:
    """The model's, for whole texts: how many tokens the model reads at once does not matter to them."""
    return TextEncoder(model / "encoder", TokenLimit(max_tokens=8))
