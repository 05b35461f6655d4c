"""Files that Hugging Face's `datasets` prepares of a dataset on the hub, or of a folder of data files."""

from pathlib import Path

from data_contracts.errors import InputError

HUB = "hf://datasets/"


def prepared_files(path: str, revision: str | None, subset: str | None, split: str) -> list[Path]:
    """The Arrow files of one split, in its order; they lie in the cache of `datasets`.

    Raises InputError where the hub cannot be reached, and for an unknown dataset, subset or split.
    """
    import datasets

    name = path.removeprefix(HUB)
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise InputError(f"{path} is no folder. Correct `path`, or write a dataset of the hub as {HUB}NAME.")
    if (Path(name) / "state.json").is_file():
        raise InputError(f"{path} was written by `save_to_disk`. Read it with `kind: arrow`.")
    try:
        loaded = datasets.load_dataset(name, name=subset, split=split, revision=revision, keep_in_memory=False)
    except datasets.data_files.EmptyDatasetError as error:
        raise InputError(f"{path} holds no data files that `datasets` knows. Add some, or correct `path`.") from error
    except (datasets.exceptions.DatasetNotFoundError, ConnectionError, TimeoutError) as error:
        raise InputError(
            f"{path} cannot be fetched: {error}. Check its name, the network and the token, or name a local folder."
        ) from error
    except Exception as error:
        # Formats and hub have error classes of their own; the reason often stands in the cause alone.
        reason = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        raise InputError(
            f"{path} cannot be loaded: {' '.join(reason.split())}. Check `split`, `subset`, `revision` and its files."
        ) from error
    return [Path(file["filename"]) for file in loaded.cache_files]
