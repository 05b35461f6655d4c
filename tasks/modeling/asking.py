"""A saved model asked about texts that stand in no file."""

from collections.abc import Sequence
from pathlib import Path

from data_contracts.errors import InputError
from tasks.modeling.answering import tokens_of
from tasks.modeling.inference import Outputs, run_network
from tasks.modeling.network import load_network
from tasks.modeling.pairs import NoRoomError
from tasks.modeling.tokens import TextEncoder


def answer_texts(
    model: Path, texts: Sequence[str], seconds: Sequence[str | None] | None = None, description: str = "answering"
) -> Outputs:
    """The model's answers, one a text, or one a pair where `seconds` has another text for it.

    Texts are read as they are, so they come as the model's own were cleaned. Raises InputError with the text of a pair
    that leaves its second text no room.
    """
    network, limit = load_network(model)
    encoder = TextEncoder(model / "encoder", limit)
    given = list(texts)
    if not given:
        return Outputs({task: [] for task in network.heads}, {task: [] for task in network.heads})
    try:
        tokens = tokens_of(given, None if seconds is None else list(seconds), network.heads, encoder)
    except NoRoomError as error:
        raise InputError(f"{given[error.position][:80]!r}: {error}.") from error
    return run_network(network, tokens, pad_id=encoder.pad_id, description=description)
