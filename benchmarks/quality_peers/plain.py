"""A plain loop, as one writes it in an afternoon: one task, six epochs, batches of 32 rows of like length, a layer."""

import argparse
import json
import random
from pathlib import Path

from benchmarks.measuring import Clock, report
from benchmarks.quality_peers.work import TASKS, empty_folder, heads_of, write_data

EPOCHS, ROWS, RATE = 6, 32, 2e-4


def main() -> None:
    """Trains on one task, whose rows it writes to FOLDER, and leaves the model of the last epoch in KEPT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("task")
    parser.add_argument("--settings", type=json.loads, required=True)
    given = parser.parse_args()

    import pyarrow.parquet as pq
    import torch
    from torch.nn import functional

    from tasks.modeling.inference import device_of_choice, lower_precision, mask_of, pad
    from tasks.modeling.limits import read_limit
    from tasks.modeling.network import new_network, save_network
    from tasks.modeling.tokenized import read_tokens
    from tasks.training.loop import has_fast_bf16

    if TASKS[given.task].of_words:
        raise SystemExit(f"the plain loop labels texts, and {given.task} labels words")
    encoder = write_data(given.folder, [given.task], ("train", "validation"), given.settings["rows"])
    ids = read_tokens(given.folder / "tokens" / "train.parquet").input_ids
    of_loop = {"classifier": "linear", "dropout": 0.0}
    heads = {task: head.model_copy(update=of_loop) for task, head in heads_of([given.task]).items()}
    head = heads[given.task]
    labels = head.targets(pq.read_table(given.folder / "snapshot" / "train.parquet").column(given.task).to_pylist())
    torch.manual_seed(given.settings["seed"])
    order = random.Random(given.settings["seed"])
    device = device_of_choice()
    network = new_network(encoder, heads).train().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE)
    total = EPOCHS * -(-len(ids) // ROWS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / total)
    clock = Clock()
    for _ in range(EPOCHS):
        by_length = sorted(range(len(ids)), key=lambda row: (len(ids[row]), order.random()))
        batches = [by_length[at : at + ROWS] for at in range(0, len(by_length), ROWS)]
        order.shuffle(batches)
        for rows in batches:
            tokens = [ids[row] for row in rows]
            with lower_precision(device, has_fast_bf16(device)):
                logits, _ = network(pad(tokens, 0).to(device), mask_of(tokens).to(device), {}, [given.task])
            functional.cross_entropy(logits[given.task].float(), labels[rows].to(device)).backward()
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    save_network(network.cpu(), encoder, read_limit(given.folder / "tokens"), empty_folder(given.kept / "model"))
    report({"train": clock.seconds}, {"rows": len(ids)}, clock.processor_seconds)


if __name__ == "__main__":
    main()
