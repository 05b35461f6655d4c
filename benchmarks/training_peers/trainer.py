"""transformers' Trainer on a network with the same encoder and heads, as people write it for several tasks."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

from benchmarks.measuring import Clock, report
from benchmarks.training_peers.work import (
    ENCODER_DROPOUT,
    ENCODER_LEARNING_RATE,
    HEAD_DROPOUT,
    MAX_TOKENS,
    ROWS_PER_STEP,
    SEED,
    SETS,
    load_work,
)


class SeveralTasks(nn.Module):
    """An encoder, and a linear layer for each task on the mean of the token states; each row belongs to one task."""

    def __init__(self, encoder: nn.Module, widths: dict[str, int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(HEAD_DROPOUT)
        self.heads = nn.ModuleDict({name: nn.Linear(encoder.config.hidden_size, n) for name, n in widths.items()})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, task: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss: the mean over tasks of the mean over their rows."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = self.dropout((states * weights).sum(1) / weights.sum(1))
        losses = []
        for number, head in enumerate(self.heads.values()):
            rows = task == number
            if rows.any():
                losses.append(functional.cross_entropy(head(pooled[rows]).float(), labels[rows]))
        return {"loss": torch.stack(losses).sum()}


def main(folder: Path, rows: int, epochs: int, strategy: str, precision: str) -> None:
    """Trains with `strategy` "random" or "group_by_length", and reports seconds and real tokens."""
    from tasks.modeling.encoder import EncoderSettings, encoder_folder, load_encoder, set_dropout

    work, source = load_work(rows), encoder_folder(EncoderSettings().name, None)
    tokenizer = AutoTokenizer.from_pretrained(source)
    ids = tokenizer([text for text, *_ in work.train], truncation=True, max_length=MAX_TOKENS)["input_ids"]
    examples: list[dict[str, Any]] = [
        {"input_ids": of, "task": SETS.index(task), "labels": work.labels[task].index(label)}
        for of, (_, task, label) in zip(ids, work.train, strict=True)
    ]
    torch.manual_seed(SEED)
    encoder = load_encoder(source)
    # As graft's default has it, without attention's: the work is the same.
    set_dropout(encoder, ENCODER_DROPOUT)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=ROWS_PER_STEP,
        learning_rate=ENCODER_LEARNING_RATE,
        train_sampling_strategy=strategy,
        bf16=precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        seed=SEED,
    )
    trainer = Trainer(
        model=SeveralTasks(encoder, {name: len(work.labels[name]) for name in SETS}),
        args=arguments,
        train_dataset=examples,  # type: ignore[arg-type]
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    clock = Clock()
    trainer.train()
    report({"train": clock.seconds}, {"tokens": sum(map(len, ids)) * epochs}, clock.processor_seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
