"""The guard: before anything is learnt, a batch has to say of a row what the row says by itself."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from data_contracts.errors import InputError
from tasks.modeling.inference import lower_precision, mask_of, pad
from tasks.modeling.network import MultiTaskNetwork
from tasks.modeling.packing import attention_of, pack, unpack

logger = logging.getLogger(__name__)
ROWS_COMPARED = 8
# Largest difference between two ways to compute a state, as a share of the largest state where that is over 1.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def choose_packing(network: MultiTaskNetwork, input_ids: Sequence[Sequence[int]], pad_id: int, *, bf16: bool) -> None:
    """Has the network read rows end to end where the encoder takes them so, and pad them otherwise.

    Eight rows from the shortest to the longest are compared. Raises InputError for an encoder that asks for more than
    tokens, and where rows come out otherwise in a padded batch, too, for then it takes padding for text.
    """
    name, rows = type(network.encoder).__name__, _spread(input_ids)
    was_training, attention = network.training, attention_of(network.encoder)
    network.eval()
    try:
        alone = _alone(network, rows, pad_id, bf16=bf16)
        network.packed = pack(network.encoder)
        if network.packed and (problem := _problem(network, rows, alone, pad_id, bf16=bf16)):
            logger.warning("%s reads padded batches, which takes longer: end to end, %s", name, problem)
            network.packed = False
            unpack(network.encoder, attention)
        if not network.packed and (problem := _problem(network, rows, alone, pad_id, bf16=bf16)):
            raise InputError(
                f"encoder {name} cannot be trained in batches: of {len(rows)} training rows, {problem} between a row "
                "by itself and the same row in a batch. Choose an encoder that leaves out what its mask leaves out."
            )
    finally:
        network.train(was_training)


def difference(found: Tensor, expected: Tensor, *, bf16: bool) -> str | None:
    """By how much states differ where that is more than rounding, and None otherwise."""
    apart = float((found - expected).abs().max())
    allowed = TOLERANCE[torch.bfloat16 if bf16 else torch.float32] * max(1.0, float(expected.abs().max()))
    return None if apart <= allowed else f"a state differs by {apart:.1e}"


def _spread(input_ids: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    by_length = sorted(input_ids, key=len)
    at = torch.linspace(0, len(by_length) - 1, min(ROWS_COMPARED, len(by_length)))
    return [by_length[int(place)] for place in at]


def _alone(network: MultiTaskNetwork, rows: Sequence[Sequence[int]], pad_id: int, *, bf16: bool) -> Tensor:
    try:
        return torch.cat([_states(network, [row], pad_id, bf16=bf16) for row in rows])
    except (TypeError, ValueError) as error:
        raise InputError(
            f"encoder {type(network.encoder).__name__} gives no states of tokens and their mask alone: {error}. Choose "
            "an encoder of texts, such as a BERT, RoBERTa, DeBERTa or ModernBERT."
        ) from error


def _problem(
    network: MultiTaskNetwork, rows: Sequence[Sequence[int]], alone: Tensor, pad_id: int, *, bf16: bool
) -> str | None:
    try:
        return difference(_states(network, rows, pad_id, bf16=bf16), alone, bf16=bf16)
    except Exception as error:
        if not network.packed:
            raise
        # An encoder of another make may take no such rows, or have attention of another kind.
        return f"{type(error).__name__}: {error}"


def _states(network: MultiTaskNetwork, rows: Sequence[Sequence[int]], pad_id: int, *, bf16: bool) -> Tensor:
    """(tokens, width) of all real tokens."""
    device = next(network.parameters()).device
    mask = mask_of(rows).to(device)
    with torch.no_grad(), lower_precision(device, bf16):
        return network.states(pad(rows, pad_id).to(device), mask)[mask.bool()].float()
