"""One task of a graft model as transformers loads it, and the pipelines that read texts as graft does.

Ships in every exported folder beside the files that it imports, and needs nothing but transformers, torch and numpy.
`PretrainedConfig` is the name that both transformers 4 and 5 know.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    Pipeline,
    PretrainedConfig,
    PreTrainedModel,
    TextClassificationPipeline,
)
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput

from data_contracts.plain_text import plain_text
from tasks.modeling.alignment import first_pieces
from tasks.modeling.cosine import CosineLayer
from tasks.modeling.entities import entities_of
from tasks.modeling.pooling import add_pooling, pooled_states
from tasks.modeling.sequences import best_sequences, legal_transitions
from tasks.modeling.words import SHAPES, shape_of, spans_of, words_of

LEAST_SHARE = 1e-12
CERTAIN = 1e4


class GraftConfig(PretrainedConfig):  # type: ignore[misc]
    """Configurations of the encoder and of the head, and how texts are read.

    graft_encoder: that of the encoder, and `without_pooler`.
    graft_head: kind, pooling, hidden, and what its kind has: classifier, temperature, threshold, mean, deviation, unit,
        transitions and their weight.
    graft_reading: max_tokens, windows, segments, and the settings of cleaning.
    """

    model_type = "graft"

    def __init__(
        self,
        graft_encoder: dict[str, Any] | None = None,
        graft_head: dict[str, Any] | None = None,
        graft_reading: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        self.graft_encoder = graft_encoder or {}
        self.graft_head = graft_head or {}
        self.graft_reading = graft_reading or {}
        super().__init__(**others)


class GraftModel(PreTrainedModel):  # type: ignore[misc]
    """The encoder, and the layers of one head above it."""

    config_class = GraftConfig
    base_model_prefix = "graft"
    _supports_sdpa = True

    def __init__(self, config: GraftConfig) -> None:
        super().__init__(config)
        facts, head = dict(config.graft_encoder), config.graft_head
        extra = {"add_pooling_layer": False} if facts.pop("without_pooler") else {}
        self.encoder = AutoModel.from_config(AutoConfig.for_model(**facts), **extra)
        ordinal = head["kind"] == "ordinal"
        sizes = [
            self.encoder.config.hidden_size + self.more_inputs,
            *head["hidden"],
            1 if ordinal else config.num_labels,
        ]
        lasts = [True] * len(head["hidden"]) + [not ordinal]
        self.dense = nn.ModuleList(
            nn.Linear(*pair, bias=bias) for pair, bias in zip(pairwise(sizes), lasts, strict=True)
        )
        if head.get("classifier") == "cosine":
            self.dense[-1] = CosineLayer(*sizes[-2:])
        if head.get("pooling"):
            add_pooling(self, head["pooling"], self.encoder.config.hidden_size)
        if ordinal:
            self.thresholds = nn.Parameter(torch.zeros(config.num_labels - 1))
        self.post_init()

    @property
    def more_inputs(self) -> int:
        """How many numbers the head is given besides a state."""
        return 0

    def states(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """(batch, tokens, width)."""
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **kinds).last_hidden_state
        return states

    def outputs(self, inputs: Tensor) -> Tensor:
        """What the layers make of pooled states, or of words."""
        for layer in self.dense[:-1]:
            inputs = functional.relu(layer(inputs))
        last: Tensor = self.dense[-1](inputs)
        return last


class GraftForSequenceClassification(GraftModel):
    """Logits whose softmax (sigmoid, with several labels a text) are calibrated probabilities; or the number itself."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput:
        """(batch, labels)."""
        head, mask = self.config.graft_head, torch.ones_like(input_ids) if attention_mask is None else attention_mask
        pooled = pooled_states(self.states(input_ids, mask, token_type_ids), mask, self, head["pooling"])
        found = self.outputs(pooled)
        if head["kind"] == "single_label":
            found = found / head["temperature"]
        elif head["kind"] == "ordinal":
            found = self._label_scores(found) / head["temperature"]
        elif head["kind"] == "regression":
            found = found * head["deviation"] + head["mean"]
        return SequenceClassifierOutput(logits=found)

    def _label_scores(self, number: Tensor) -> Tensor:
        """Log-probabilities of labels in order, from those of being higher than each."""
        higher = (number + self.config.graft_head["unit"] * self.thresholds).double().sigmoid()
        higher = higher.cummin(dim=1).values
        shares = functional.pad(higher, (1, 0), value=1.0) - functional.pad(higher, (0, 1))
        return shares.clamp(min=LEAST_SHARE).log().float()


class GraftForTokenClassification(GraftModel):
    """Logits of the tags of words, from the state of each word's first piece and the shape of its letters."""

    @property
    def more_inputs(self) -> int:
        """The shapes of a word."""
        return len(SHAPES)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        word_starts: Tensor | None = None,
        word_shapes: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> TokenClassifierOutput:
        """(batch, words, tags); both of the words' tensors are (batch, words), with -1 for a word without a piece."""
        if word_starts is None or word_shapes is None:
            raise ValueError(
                "graft tags words, so the model is told where they start and how they are written. Use "
                'pipeline("token-classification", model=..., trust_remote_code=True), which does.'
            )
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = self.states(input_ids, mask, token_type_ids)
        positions = word_starts.clamp(min=0).unsqueeze(-1).expand(-1, -1, states.shape[-1])
        shapes = functional.one_hot(word_shapes.clamp(min=0), len(SHAPES)).to(states.dtype)
        found = self.outputs(torch.cat([states.gather(1, positions), shapes], dim=-1))
        at = torch.tensor(self.config.label2id["O"], device=found.device)
        outside = CERTAIN * functional.one_hot(at, self.config.num_labels).to(found)
        return TokenClassifierOutput(logits=torch.where(word_starts.unsqueeze(-1) < 0, outside, found))


class GraftTextClassificationPipeline(TextClassificationPipeline):  # type: ignore[misc]
    """Texts, or {"text", "text_pair"}, to labels; texts are cleaned and cut as graft does."""

    def check_model_type(self, supported_models: Any) -> None:
        """Any model is, that comes with this file."""

    def preprocess(self, inputs: Any, **_: Any) -> dict[str, Tensor]:
        """Token ids of one text or pair."""
        given = inputs if isinstance(inputs, dict) else {"text": inputs}
        reading = self.model.config.graft_reading
        second = given.get("text_pair")
        texts = (cleaned(given["text"], reading), None if second is None else cleaned(second, reading))
        return encoded(self.tokenizer, texts, reading)[0]

    def postprocess(self, model_outputs: Any, **settings: Any) -> Any:
        """The likeliest label; of labels in order the middle one, which is least far off on average."""
        config = self.model.config
        first_alone = settings.get("top_k", 1) == 1 and settings.get("_legacy", True)
        if config.graft_head["kind"] != "ordinal" or not first_alone or "function_to_apply" in settings:
            return super().postprocess(model_outputs, **settings)
        scores = model_outputs["logits"][0].double()
        untempered = (scores * config.graft_head["temperature"]).softmax(dim=-1)
        higher = 1 - untempered.cumsum(dim=-1)[:-1]
        rank = int((higher > 0.5).sum())
        return {"label": config.id2label[rank], "score": float(scores.softmax(dim=-1)[rank])}


class GraftTokenClassificationPipeline(Pipeline):  # type: ignore[misc]
    """Texts to entities {entity_group, score, word, start, end}; the score is the mean probability of its words' tags.

    Positions are those in the text as it was cleaned.
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True

    def _sanitize_parameters(self, aggregation_strategy: str | None = None) -> tuple[dict[str, Any], ...]:
        """Entities are whole whatever strategy is asked for."""
        return {}, {}, {}

    def preprocess(self, inputs: str) -> dict[str, Any]:
        """Token ids, and where words start and how they are written."""
        reading = self.model.config.graft_reading
        text = cleaned(inputs, reading)
        tensors, pieces = encoded(self.tokenizer, (text, None), reading)
        spans = spans_of(words_of(text), text)
        starts = first_pieces([pieces], [spans]).values.tolist()
        shapes = [shape_of(text[start:end]) for start, end in spans]
        words = {"word_starts": torch.tensor([starts or [-1]]), "word_shapes": torch.tensor([shapes or [-1]])}
        return {**tensors, **words, "text": text, "spans": spans}

    def _forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
        read = {name: inputs.pop(name) for name in ("text", "spans")}
        return {"logits": self.model(**inputs).logits, **read}

    def postprocess(self, outputs: dict[str, Any]) -> list[dict[str, Any]]:
        """The best legal sequence of tags, as entities."""
        head, labels = (
            self.model.config.graft_head,
            [self.model.config.id2label[n] for n in range(self.model.config.num_labels)],
        )
        shares = outputs["logits"].double().log_softmax(dim=-1).cpu().numpy()
        steps = legal_transitions(labels)
        if head["transitions"]:
            steps = steps + head["transition_weight"] * np.array(head["transitions"])
        ((path, _),) = best_sequences(shares, steps, [len(outputs["spans"])])
        found = entities_of([labels[position] for position in path], outputs["spans"], outputs["text"])
        sure = [float(np.exp(shares[0, word, tag])) for word, tag in enumerate(path)]
        return [self._entity(entity, outputs["spans"], sure) for entity in found]

    def _entity(self, entity: dict[str, Any], spans: list[tuple[int, int]], sure: list[float]) -> dict[str, Any]:
        within = [
            s for (start, end), s in zip(spans, sure, strict=True) if entity["start"] <= start and end <= entity["end"]
        ]
        score = sum(within) / len(within)
        facts = {"entity_group": entity["kind"], "score": score, "word": entity["text"]}
        return {**facts, "start": entity["start"], "end": entity["end"]}


def cleaned(text: str, reading: dict[str, Any]) -> str:
    """The text as the model learnt to read it."""
    return plain_text(text, unicode=reading["unicode"], markup=reading["markup"], whitespace=reading["whitespace"])


def encoded(
    tokenizer: Any, texts: tuple[str, str | None], reading: dict[str, Any]
) -> tuple[dict[str, Tensor], list[tuple[int, int]]]:
    """Tensors of one row, and of each token which characters of the first text it covers, (0, 0) for none.

    Raises ValueError for a text that graft would read in several windows.
    """
    first, second = texts
    pair = () if second is None else (second,)
    # It would warn of texts that are too long for the model, which are cut below.
    whole = tokenizer(first, *pair, truncation=False, padding=False, verbose=False).encodings[0]
    limit, of = reading["max_tokens"], whole.sequence_ids
    if reading["windows"] and len(whole.ids) > limit:
        raise ValueError(
            f"the text has {len(whole.ids)} tokens; graft reads it in windows of {limit}, which this folder does not "
            "know. Use `graft predict`, or pass the text in parts."
        )
    kept = list(_kept(of, limit))
    rows = {"input_ids": whole.ids, "attention_mask": [1] * len(of)}
    if second is not None and reading["segments"]:
        rows["token_type_ids"] = whole.type_ids
    pieces = [whole.offsets[at] if of[at] == 0 else (0, 0) for at in kept]
    return {name: torch.tensor([[row[at] for at in kept]]) for name, row in rows.items()}, pieces


def _kept(sequences: list[int | None], limit: int) -> Iterator[int]:
    """Positions that stay: of a pair the longer text is cut until both fit, or both have half of the room."""
    sizes = [sum(of == number for of in sequences) for number in (0, 1)]
    room = limit - (len(sequences) - sum(sizes))
    first = min(sizes[0], max(room - sizes[1], room - room // 2)) if sizes[1] else room
    rooms, seen = (first, room - first if sizes[1] else 0), [0, 0]
    for at, of in enumerate(sequences):
        if of is None:
            yield at
            continue
        seen[of] += 1
        if seen[of] <= rooms[of]:
            yield at
