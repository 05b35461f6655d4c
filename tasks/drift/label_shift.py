"""How the labels of a window are distributed, if texts of a label are what they were (label shift)."""

import numpy as np
from numpy.typing import NDArray

from tasks.drift.seen import OfTask

STEPS, CLOSE = 200, 1e-6
# Of a label that a small reference lacks.
LEAST = 1e-6


def estimate_label_shares(reference: OfTask, window: OfTask) -> NDArray[np.float64]:
    """(labels,) shares in the window by maximum likelihood, for a task whose answer is one label.

    The EM of Saerens, Latinne and Decaestecker (2002, Neural Computation 14), which with calibrated probabilities errs
    less than inverting the confusions (Alexandari, Kundaje and Shrikumar 2020, 1901.06852). Where the reference stands
    is the mean of its own probabilities, which calibration makes that of its labels.
    """
    if reference.shares is None or window.shares is None:
        raise ValueError("label shares are estimated of tasks whose answer is one label")
    before = np.maximum(reference.shares.mean(axis=0, dtype=float), LEAST)
    before /= before.sum()
    shares = window.shares.astype(float)
    found = before
    for _ in range(STEPS):
        weighted = shares * (found / before)
        step = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        done = np.abs(step - found).max() < CLOSE
        found = step
        if done:
            break
    return np.asarray(found)
