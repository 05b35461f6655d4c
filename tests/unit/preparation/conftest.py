"""Two translators that have learnt three sentences by heart."""

import json
from pathlib import Path
from typing import Any

import pytest

ENGLISH = ("where is my refund", "the parcel is late", "thanks a lot")
GERMAN = ("wo ist mein geld", "das paket ist spät", "vielen dank")
# What comes back is said otherwise.
AGAIN = ("where is my money", "the parcel comes late", "many thanks")
SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 64}


@pytest.fixture(scope="session")
def translators(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of two Marian models of one layer: English to German and back, for those sentences alone."""
    root = tmp_path_factory.mktemp("translators")
    return (
        _translator(root / "there", ENGLISH, GERMAN),
        _translator(root / "back", GERMAN, AGAIN),
    )


def _translator(folder: Path, sources: tuple[str, ...], targets: tuple[str, ...]) -> Path:
    """A model trained until it gives each target for its source."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    tokenizer = _tokenizer(folder, [*sources, *targets])
    sizes = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in SIZES.items()}
    last = len(tokenizer) - 1
    config = MarianConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        max_position_embeddings=24,
        dropout=0.0,
        pad_token_id=last,
        decoder_start_token_id=last,
        eos_token_id=0,
        forced_eos_token_id=0,
        **sizes,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MarianMTModel(config)
        batch = tokenizer(list(sources), return_tensors="pt", padding=True)
        labels = tokenizer(text_target=list(targets), return_tensors="pt", padding=True)["input_ids"]
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(120):
            model(**batch, labels=labels.masked_fill(labels == last, -100)).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    model.save_pretrained(folder)
    return folder


def _tokenizer(folder: Path, texts: list[str]) -> Any:
    import sentencepiece
    from transformers import MarianTokenizer

    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 5),
        model_prefix=str(folder / "source"),
        vocab_size=48,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = (folder / "source.model").rename(folder / "source.spm")
    (folder / "target.spm").write_bytes(model.read_bytes())
    read = sentencepiece.SentencePieceProcessor(model_file=str(model))
    pieces = [read.id_to_piece(at) for at in range(read.get_piece_size())]
    ordered = ["</s>", "<unk>", *(piece for piece in pieces if not piece.startswith("<")), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: at for at, piece in enumerate(ordered)}), encoding="utf-8")
    tokenizer = MarianTokenizer(
        source_spm=str(model), target_spm=str(folder / "target.spm"), vocab=str(folder / "vocab.json")
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
