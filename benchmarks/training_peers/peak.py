"""What the device can do at most: multiplications of large matrices, which training is made of, and nothing else."""

import sys
import time

import torch

from benchmarks.measuring import report
from tasks.modeling.encoder import EncoderSettings, encoder_folder, load_encoder

SECONDS = 2.0
SIDES = {"cpu": 1024, "cuda": 8192}


def main(precision: str) -> None:
    """Reports operations a second, and those that a real token takes in training."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    side = SIDES[device.type]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    best = 0.0
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        product = left @ right
        # Read, so that a GPU has to be done.
        float(product[0, 0])
        best = max(best, 2 * side**3 / (time.perf_counter() - started))
    encoder = load_encoder(encoder_folder(EncoderSettings().name, None), pretrained=False)
    embeddings = sum(weight.numel() for weight in encoder.embeddings.parameters())  # type: ignore[union-attr]
    weights = sum(weight.numel() for weight in encoder.parameters()) - embeddings
    # Kaplan et al. 2020 (arXiv:2001.08361, 2.1): 2 operations a weight forwards and 4 backwards; attention not counted.
    report({}, {"operations_per_second": int(best), "operations_per_token": 6 * weights})


if __name__ == "__main__":
    main(sys.argv[1])
