"""Where files of probes lie."""

from pathlib import Path

from data_contracts.errors import InputError

PROBES = Path(__file__).parent / "probes"


def probe_file(name: str, directory: Path) -> Path:
    """The file of probes called `name` (in `probes/`), or the YAML file at that path, relative to `directory`.

    Raises InputError, saying which exist.
    """
    path = directory / name if name.endswith((".yaml", ".yml")) else PROBES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(of.stem for of in PROBES.glob("*.yaml")))
        raise InputError(f"there are no probes {name!r} ({path}); known probes: {known}, or give a path to a YAML file")
    return path
