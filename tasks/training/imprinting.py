"""Where layers that go by angles begin: at the means of what the encoder makes of each label's texts or words."""

from typing import Any

import torch
from torch import Tensor, nn

from tasks.modeling.cosine import CosineLayer
from tasks.modeling.heads import MultiLabelHead, SingleLabelHead, TokenTagHead
from tasks.modeling.inference import batches_by_length
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.ranks import Ranks
from tasks.training.rows import Rows

Imprinted = SingleLabelHead | MultiLabelHead | TokenTagHead
EXAMPLES_PER_LABEL = 32
TOKENS_PER_BATCH = 4096


def imprint_heads(network: MultiTaskNetwork, rows: Rows, pad_id: int, ranks: Ranks) -> None:
    """Has each cosine layer begin at the means of the first 32 texts, or words, of each label; in all ranks alike."""
    was_training = network.training
    network.eval()
    for task, head in network.heads.items():
        if isinstance(head, Imprinted) and head.classifier == "cosine":
            last: CosineLayer = network.layers[task][-1]  # type: ignore[index]
            last.imprint(*_examples(network, head, task, rows, pad_id))
            if isinstance(head, MultiLabelHead):
                last.bias.data.copy_(_log_odds(head, task, rows))
            # Each rank has computed the same, but perhaps not to the last bit.
            last.load_state_dict(ranks.of_first({name: value.cpu() for name, value in last.state_dict().items()}))
    network.train(was_training)


def _examples(network: MultiTaskNetwork, head: Imprinted, task: str, rows: Rows, pad_id: int) -> tuple[Tensor, Tensor]:
    """What the last layer is given of each example, (examples, its width), and its label's position, (examples,)."""
    found = _first_of_each_label(head, task, rows)
    windows, device = list(found), next(network.parameters()).device
    inputs: list[Tensor] = []
    targets: list[int] = []
    with torch.no_grad():
        for at in batches_by_length([len(rows.tokens.input_ids[window]) for window in windows], TOKENS_PER_BATCH):
            chosen = [windows[place] for place in at]
            batch = rows.batch(chosen, {task: head}, pad_id).to(device)
            states = network.states(batch.input_ids, batch.mask, batch.segments)
            layers = network.layers[task]
            below: nn.Sequential = layers[:-1]  # type: ignore[index]
            given = below(head.inputs(layers, states, batch.mask, batch.words.get(head.column)))  # type: ignore[arg-type]
            for of_window, window in zip(given.float(), chosen, strict=True):
                places, positions = zip(*found[window], strict=True)
                inputs.append(of_window.reshape(-1, given.shape[-1])[list(places)])
                targets += positions
    return torch.cat(inputs), torch.tensor(targets, device=device)


def _first_of_each_label(head: Imprinted, task: str, rows: Rows) -> dict[int, list[tuple[int, int]]]:
    """{window: (place, position of the label) of each example in it}; the place is a word's, and 0 for a text."""
    left = dict.fromkeys(head.labels, EXAMPLES_PER_LABEL)
    position = {label: number for number, label in enumerate(head.labels)}
    found: dict[int, list[tuple[int, int]]] = {}
    for window in rows.labelled[task]:
        for place, name in _named(head, rows.window_labels[task][window], rows, window):
            if left[name]:
                left[name] -= 1
                found.setdefault(window, []).append((place, position[name]))
    return found


def _named(head: Imprinted, given: Any, rows: Rows, window: int) -> list[tuple[int, str]]:
    """(place, label) of all that has a label in the window, and a state: a word that was cut off has none."""
    if head.of_words:
        starts = rows.tokens.words[head.column].starts[window]
        tagged = zip(given["tags"], starts, strict=True)
        return [(place, tag) for place, (tag, start) in enumerate(tagged) if start >= 0]
    return [(0, label) for label in (given if isinstance(head, MultiLabelHead) else [given])]


def _log_odds(head: MultiLabelHead, task: str, rows: Rows) -> Tensor:
    """Of each label, how likely a text of training has it, as if one more had it and one more had not."""
    targets = head.targets([rows.window_labels[task][window] for window in rows.labelled[task]])
    return torch.logit((targets.sum(dim=0) + 1) / (len(targets) + 2))
