"""Answers that are numbers: a network whose training diverged answers NaN, which no metric and no gate may take."""

from collections.abc import Mapping, Sequence

import numpy as np

from data_contracts.errors import InputError
from tasks.modeling.answers import Answers


def check_finite(found: Answers, split: str, whose: str = "the model") -> None:
    """Raises InputError, naming task, split and row, where an answer or a confidence is no finite number."""
    numbers: Mapping[str, Sequence[object]]
    for numbers in (found.confidences, found.answers):
        for task, values in numbers.items():
            if not values or not isinstance(values[0], float | None):
                continue
            broken = np.flatnonzero(~np.isfinite(np.array(values, dtype=float)))
            if len(broken):
                raise InputError(
                    f"{whose} gives NaN for task {task!r} in {len(broken)} of {len(values)} rows of split {split!r}, "
                    f"first in row {int(broken[0]) + 1}: its training diverged. Nothing was released. Train "
                    "with a lower `training.encoder_learning_rate`, or in precision fp32."
                )
