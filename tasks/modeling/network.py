"""The multi-task network: one encoder, a head a task; and the folder it is kept in."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tasks.modeling.encoder import load_encoder
from tasks.modeling.heads import AnyHead, HeadsAdapter, WordTensors, heads_of
from tasks.modeling.limits import TokenLimit, limit_of
from tasks.modeling.packing import Layout, packed_states

# Names that torch lets no part of a dictionary of modules have, such as `type` and `items`.
TAKEN = frozenset(dir(nn.ModuleDict()))


class TaskLayers(nn.ModuleDict):
    """The layers of each head, found by its task, whatever that is called; in the state, most have that name, too."""

    def __getitem__(self, task: str) -> nn.Module:
        """Those of one task."""
        return super().__getitem__(_part_name(task))

    def __setitem__(self, task: str, layers: nn.Module) -> None:
        """Puts in those of one task."""
        super().__setitem__(_part_name(task), layers)


class MultiTaskNetwork(nn.Module):
    """Token states of one encoder, read by the head of every task asked for.

    `packed` says whether the encoder reads rows end to end, which it has to be fit for; the states are the same.
    """

    def __init__(self, encoder: nn.Module, heads: Mapping[str, AnyHead]) -> None:
        super().__init__()
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.encoder = encoder
        self.packed = False
        self.heads = dict(heads)
        self.layers = TaskLayers({name: head.layers(width) for name, head in heads.items()})

    def states(
        self, input_ids: Tensor, mask: Tensor, segments: Tensor | None = None, layout: Layout | None = None
    ) -> Tensor:
        """Last hidden states: (batch, tokens, width); `segments` (batch, tokens) tell a pair's texts apart.

        `layout` is that of the mask, if it is there already.
        """
        # Left out without pairs: some encoders take no such argument.
        kinds = {} if segments is None else {"token_type_ids": segments}
        if self.packed:
            return packed_states(self.encoder, input_ids, mask, layout, **kinds)
        result: Tensor = self.encoder(input_ids=input_ids, attention_mask=mask, **kinds).last_hidden_state
        return result

    def forward(
        self,
        input_ids: Tensor,
        mask: Tensor,
        words: Mapping[str, WordTensors],
        tasks: Sequence[str],
        segments: Tensor | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Logits of each task in `tasks`, and the token states they were read from; `words` are by tag column."""
        states = self.states(input_ids, mask, segments)
        return self.logits(states, mask, words, tasks), states

    def logits(
        self, states: Tensor, mask: Tensor, words: Mapping[str, WordTensors], tasks: Sequence[str]
    ) -> dict[str, Tensor]:
        """Logits of each task in `tasks` from token states, (batch, tokens, width)."""
        return {
            name: self.heads[name].logits(self.layers[name], states, mask, words.get(self.heads[name].column))
            for name in tasks
        }


def new_network(encoder_folder: Path, heads: Mapping[str, AnyHead]) -> MultiTaskNetwork:
    """Pre-trained encoder, fresh heads. Head weights depend on torch's global seed."""
    return MultiTaskNetwork(load_encoder(encoder_folder), heads)


def save_network(network: MultiTaskNetwork, encoder_folder: Path, limit: TokenLimit, output: Path) -> None:
    """Writes weights, heads, and the encoder's configuration and tokenizer, so the folder stands alone."""
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, output / "weights.safetensors"
    )
    heads = HeadsAdapter.dump_python(network.heads, mode="json")
    facts = {"heads": heads, **limit.model_dump(mode="json")}
    (output / "model.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    (output / "encoder").mkdir()
    for path in sorted(encoder_folder.glob("*")):
        if path.suffix in (".json", ".txt", ".model", ".spm"):
            shutil.copyfile(path, output / "encoder" / path.name)


def load_network(folder: Path) -> tuple[MultiTaskNetwork, TokenLimit]:
    """The network that `save_network` wrote, in evaluation mode, and its limit of tokens."""
    encoder = load_encoder(folder / "encoder", pretrained=False)
    network = MultiTaskNetwork(encoder, heads_of(folder))
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return network.eval(), limit_of(folder)


def _part_name(task: str) -> str:
    # No task has a colon in its name.
    return f"{task}:" if task in TAKEN else task
