"""Export: one task of a trained model as a folder that transformers' pipelines load, without graft."""

import json
import re
from pathlib import Path
from typing import Any

from data_contracts.cleaning import Cleaning
from data_contracts.errors import InputError
from tasks.modeling.encoder import WITH_POOLER, reads_segments
from tasks.modeling.heads import AnyHead, heads_of
from tasks.modeling.heads_ordinal import UNIT
from tasks.modeling.limits import TokenLimit, limit_of

ROOT = Path(__file__).resolve().parents[2]
MODELING = "modeling_graft"
# What `modeling_graft.py` imports ships with it, as it is but for where it is imported from.
SHIPPED = (
    f"tasks/registry/{MODELING}.py",
    "data_contracts/plain_text.py",
    *(
        f"tasks/modeling/{name}.py"
        for name in ("alignment", "cosine", "entities", "pooling", "ragged", "sequences", "words")
    ),
)
OURS = re.compile(r"^from (?:tasks\.modeling|data_contracts)\.(\w+) import", re.MULTILINE)
SEQUENCES, TOKENS = "text-classification", "token-classification"
PIPELINES = {
    "single_label": SEQUENCES,
    "multi_label": SEQUENCES,
    "ordinal": SEQUENCES,
    "regression": SEQUENCES,
    "token_tags": TOKENS,
}
CLASSES = {
    SEQUENCES: ("SequenceClassification", "TextClassification"),
    TOKENS: ("TokenClassification", "TokenClassification"),
}
PROBLEMS = {
    "single_label": "single_label_classification",
    "ordinal": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
# Of a head's settings, what its answers hang on.
OF_HEADS = ("kind", "pooling", "hidden", "classifier", "temperature", "threshold", "mean", "deviation", "transitions")


def exportable(heads: dict[str, AnyHead], wanted: str | None) -> list[str]:
    """The tasks that are exported: the one that is wanted, or all that transformers has a pipeline for.

    Raises InputError for a task that is not there or has no pipeline, and where none has one.
    """
    if wanted is not None and wanted not in heads:
        raise InputError(f"the model has no task {wanted!r}; its tasks are {', '.join(heads)}")
    found = [task for task in ([wanted] if wanted else heads) if heads[task].kind in PIPELINES]
    if not found:
        kinds = sorted({head.kind for task, head in heads.items() if wanted in (None, task)})
        raise InputError(
            f"transformers has no pipeline for a head of kind {', '.join(kinds)}; those it has are for "
            f"{', '.join(PIPELINES)}. Serve such answers with `graft predict`."
        )
    return found


def export_task(model: Path, task: str, cleaning: Cleaning, output: Path) -> None:
    """Writes configuration, weights, tokenizer and code of one task of the model in a folder."""
    from transformers import AutoTokenizer

    head, limit = heads_of(model)[task], limit_of(model)
    _write_weights(model, task, output)
    AutoTokenizer.from_pretrained(model / "encoder", model_max_length=limit.max_tokens).save_pretrained(output)
    config = configuration(model, task, head, limit, cleaning)
    (output / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for name in SHIPPED:
        source = OURS.sub(r"from .\1 import", (ROOT / name).read_text(encoding="utf-8"))
        (output / Path(name).name).write_text(source, encoding="utf-8")


def configuration(model: Path, task: str, head: AnyHead, limit: TokenLimit, cleaning: Cleaning) -> dict[str, Any]:
    """What `config.json` says."""
    encoder = json.loads((model / "encoder" / "config.json").read_text(encoding="utf-8"))
    pipeline = PIPELINES[head.kind]
    of_model, of_pipeline = CLASSES[pipeline]
    labels = head.labels or (task,)
    settings = {name: value for name, value in head.model_dump(mode="json").items() if name in OF_HEADS}
    more = {"ordinal": {"unit": UNIT}, "token_tags": {"transition_weight": getattr(head, "transition_weight", 0.0)}}
    problem = {"problem_type": PROBLEMS[head.kind]} if head.kind in PROBLEMS else {}
    return {
        "model_type": "graft",
        "architectures": [f"GraftFor{of_model}"],
        "auto_map": {
            "AutoConfig": f"{MODELING}.GraftConfig",
            f"AutoModelFor{of_model}": f"{MODELING}.GraftFor{of_model}",
        },
        "custom_pipelines": {
            pipeline: {
                "impl": f"{MODELING}.Graft{of_pipeline}Pipeline",
                "pt": [f"AutoModelFor{of_model}"],
                "type": "text",
            }
        },
        **problem,
        "id2label": {str(position): label for position, label in enumerate(labels)},
        "label2id": {label: position for position, label in enumerate(labels)},
        "graft_encoder": {**encoder, "without_pooler": encoder["model_type"] in WITH_POOLER},
        "graft_head": settings | more.get(head.kind, {}),
        "graft_reading": {
            "max_tokens": limit.max_tokens,
            "windows": limit.beyond == "windows",
            "segments": reads_segments(model / "encoder"),
            **cleaning.model_dump(mode="json"),
        },
        "dtype": "float32",
    }


def _write_weights(model: Path, task: str, output: Path) -> None:
    """The encoder's weights, and those of the task's layers, which are counted without the dropouts between them."""
    from safetensors.torch import save_file
    from torch import nn

    from tasks.modeling.cosine import CosineLayer
    from tasks.modeling.network import load_network

    network, _ = load_network(model)
    layers = network.layers[task]
    weights = {f"encoder.{name}": value for name, value in network.encoder.state_dict().items()}
    dense = [part for part in layers.children() if isinstance(part, nn.Linear | CosineLayer)]
    for position, layer in enumerate(dense):
        weights |= {f"dense.{position}.{name}": value for name, value in layer.state_dict().items()}
    weights |= dict(layers.named_parameters(recurse=False))
    kept = {name: value.detach().contiguous() for name, value in weights.items()}
    save_file(kept, output / "model.safetensors", metadata={"format": "pt"})
