"""Where pipelines lie whose YAML is in a folder of its own: what a command or a run was given last, by its `name`.

What graft prints names a pipeline by its `name`, wherever it is read, so that has to lead to the file.
"""

from pathlib import Path

from tasks.storage.home import open_store


def note_pipeline(name: str, path: Path) -> None:
    """Notes the file in the store as that of the pipeline called `name`."""
    store, content = open_store(), {"path": str(path.resolve())}
    if store.read_note(_note(name)) != content:
        store.write_note(_note(name), content)


def noted_path(name: str) -> Path | None:
    """The file that was given last under that name; None where none was."""
    content = open_store().read_note(_note(name))
    return Path(content["path"]) if content else None


def _note(name: str) -> str:
    return f"pipelines/{name}"
