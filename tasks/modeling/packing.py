"""Rows end to end: an encoder reads the real tokens of a batch as one row, so that nothing is spent on padding.

Every layer but attention looks at one token at a time and does not notice; attention is told where rows begin. On a
GPU that is a kernel for rows of different length. On a CPU rows of one length, which stand together, are taken at a
time: they are another view of the states, so nothing is copied, padded or masked. Elsewhere rows are laid side by side
for attention alone, where padding costs least: of a BERT layer a token takes 12 * width * width multiplications, and
2 * width for each that it attends to.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.modeling.encoder import first_position

ATTENTION = "rows_end_to_end"
HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Layout:
    """Where the rows of a batch stand: end to end from the shortest on, and side by side in the order of the batch.

    `mask` is (rows, longest), `places` (tokens,) where each token stands in the flattened mask, and `ends` (rows + 1,)
    counts the tokens before each row and behind the last. `lengths` is {tokens: rows that have so many}.
    """

    mask: Tensor
    places: Tensor
    ends: Tensor
    lengths: dict[int, int]

    def to(self, device: torch.device) -> "Layout":
        """The same on that device."""
        mask, places, ends = (to_device(values, device) for values in (self.mask, self.places, self.ends))
        return Layout(mask, places, ends, self.lengths)

    def side_by_side(self, states: Tensor) -> Tensor:
        """(tokens, ...) to (rows, longest, ...), with zeros behind the shorter rows."""
        rows, longest = self.mask.shape
        flat = states.new_zeros(rows * longest, *states.shape[1:]).index_copy(0, self.places, states)
        return flat.reshape(rows, longest, *states.shape[1:])

    def end_to_end(self, states: Tensor) -> Tensor:
        """(rows, longest, ...) to (tokens, ...)."""
        return states.flatten(0, 1).index_select(0, self.places)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """The values on the device; a GPU is told to fetch them from memory and not waited for."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def layout_of(mask: Tensor) -> Layout:
    """The layout of a batch, from its (rows, longest) mask with 1 for real tokens.

    On a GPU this waits until all before it is done, so whoever has the mask in memory makes the layout there.
    """
    lengths, order = mask.sum(dim=1).sort(stable=True)
    real, everywhere = mask.bool(), torch.arange(mask.numel(), device=mask.device).reshape(mask.shape)
    ends = functional.pad(lengths.cumsum(dim=0), (1, 0)).int()
    return Layout(real, everywhere[order][real[order]], ends, Counter(lengths.tolist()))


def pack(encoder: nn.Module) -> bool:
    """Has the encoder take rows end to end as well; False where its attention is its own, which no one can replace."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(ATTENTION, attend)
    # Without it transformers would make no mask at all, and a padded batch attend to its padding.
    AttentionMaskInterface.register(ATTENTION, _mask_of_padding)
    if not getattr(encoder, "_can_set_attn_implementation", bool)():
        return False
    encoder.set_attn_implementation(ATTENTION)  # type: ignore[operator]
    return attention_of(encoder) == ATTENTION


def attention_of(encoder: nn.Module) -> str:
    """What transformers calls the encoder's attention."""
    found: str = encoder.config._attn_implementation  # type: ignore[union-attr, assignment]
    return found


def unpack(encoder: nn.Module, attention: str) -> None:
    """Takes that back: gives the encoder the attention that it had."""
    if attention_of(encoder) == ATTENTION:
        encoder.set_attn_implementation(attention)  # type: ignore[operator]


def _mask_of_padding(*arguments: Any, attention_mask: Tensor | None = None, **others: Any) -> Tensor | None:
    """What transformers makes for sdpa, and nothing for rows end to end, which have no padding: of 10,000 tokens it
    would be 100 MB for a window of attention, or where kernels are recorded."""
    from transformers.masking_utils import sdpa_mask

    if attention_mask is None:
        return None
    found: Tensor | None = sdpa_mask(*arguments, attention_mask=attention_mask, **others)
    return found


def packed_states(
    encoder: nn.Module, input_ids: Tensor, mask: Tensor, layout: Layout | None = None, **others: Tensor
) -> Tensor:
    """Last hidden states (rows, longest, width), 0 for padding, of an encoder that `pack` said yes to.

    `others` are what it is told of each token besides, (rows, longest) each. `layout` is that of the mask, if it is
    there already.
    """
    layout = layout or layout_of(mask)
    positions = layout.end_to_end(mask.cumsum(dim=1) - 1) + first_position(encoder.config)
    others = {name: layout.end_to_end(values)[None] for name, values in others.items()}
    found = encoder(input_ids=layout.end_to_end(input_ids)[None], position_ids=positions[None], layout=layout, **others)
    return layout.side_by_side(found.last_hidden_state[0])


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    layout: Layout | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of each row to itself: (1, heads, tokens, width) to (1, tokens, heads, width), as transformers has it.

    A padded batch, which has no layout, is left to transformers. Raises ValueError for attention of another kind than
    to all tokens of the row, or to those less than `sliding_window` away.
    """
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        others |= {"dropout": dropout, "scaling": scaling, "sliding_window": sliding_window}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)  # type: ignore[no-any-return]
    unknown = ("softcap", "position_bias", "s_aux")
    if getattr(module, "is_causal", False) or any(others.get(name) is not None for name in unknown):
        raise ValueError("attention is causal, or does more than weigh all tokens")
    query, key, value = (of[0].transpose(0, 1) for of in (query, key, value))
    # transformers counts the token itself: a window of 1 reaches no other.
    reach = None if sliding_window is None else sliding_window - 1
    found = _kernel_for(query, dropout)(query, key, value, _How(layout, dropout, scaling, reach))
    return found[None], None


class _How(NamedTuple):
    """What a kernel is told besides the states; `reach` is how far off a token may be, None for any distance."""

    layout: Layout
    dropout: float
    scaling: float | None
    reach: int | None

    @property
    def rows(self) -> tuple[Tensor, Tensor, int, int]:
        """Where the rows of queries and keys end, and how long the longest of each is, as kernels ask for it."""
        longest = self.layout.mask.shape[1]
        return self.layout.ends, self.layout.ends, longest, longest

    @property
    def window(self) -> tuple[int, int]:
        """How far attention reaches to both sides, -1 for any distance."""
        return (-1, -1) if self.reach is None else (self.reach, self.reach)


Kernel = Callable[[Tensor, Tensor, Tensor, _How], Tensor]


def _kernel_for(query: Tensor, dropout: float) -> Kernel:
    """FlashAttention where it is installed, else what torch has of it, which knows no dropout, else padding."""
    if query.device.type == "cpu":
        return _length_by_length
    if not query.is_cuda or query.dtype not in HALF:
        return _side_by_side
    from transformers.utils import is_flash_attn_2_available

    if is_flash_attn_2_available():
        return _flash_attention
    return _side_by_side if dropout else _varlen_attention


def _length_by_length(query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
    lengths = how.layout.lengths
    sizes = [rows * tokens for tokens, rows in lengths.items()]
    given = query.dtype
    parts = zip(*(torch.split(of.float(), sizes) for of in (query, key, value)), strict=True)
    found = []
    # In bf16, the gradient of attention takes a CPU 14 times as long as in fp32 (torch 2.13).
    with torch.autocast("cpu", enabled=False):
        for (tokens, rows), of_length in zip(lengths.items(), parts, strict=True):
            states = [part.unflatten(0, (rows, tokens)) for part in of_length]
            mask = None if how.reach is None or how.reach >= tokens - 1 else _near(tokens, how.reach, query.device)
            found.append(_attention(states, mask, how).flatten(0, 1))
    return torch.cat(found).to(given)


def _side_by_side(query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
    layout, mask = how.layout, how.layout.mask[:, None, None, :]
    if how.reach is not None:
        mask = mask & _near(mask.shape[-1], how.reach, mask.device)
    return layout.end_to_end(_attention([layout.side_by_side(of) for of in (query, key, value)], mask, how))


def _attention(states: Sequence[Tensor], mask: Tensor | None, how: _How) -> Tensor:
    """(rows, tokens, heads, width) from queries, keys and values of that shape."""
    query, key, value = (of.transpose(1, 2) for of in states)
    grouped = query.shape[1] != key.shape[1]
    found = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=how.dropout, scale=how.scaling, enable_gqa=grouped
    )
    return found.transpose(1, 2)


def _near(tokens: int, reach: int, device: torch.device) -> Tensor:
    """(tokens, tokens), which are at most so far apart."""
    at = torch.arange(tokens, device=device)
    return (at[:, None] - at).abs() <= reach


def _varlen_attention(query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    # torch 2.11 does not know of it.
    grouped: dict[str, Any] = {"enable_gqa": True} if query.shape[1] != key.shape[1] else {}
    found = varlen_attn(query, key, value, *how.rows, scale=how.scaling, window_size=how.window, **grouped)
    return found if isinstance(found, Tensor) else found[0]


def _flash_attention(query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
    from flash_attn import flash_attn_varlen_func

    found: Tensor = flash_attn_varlen_func(
        query, key, value, *how.rows, dropout_p=how.dropout, softmax_scale=how.scaling, window_size=how.window
    )
    return found
