"""What a run needs that a person may have got wrong, looked at before a server is started for it.

Nothing here imports Prefect, which reads its settings when it is imported.
"""

from collections.abc import Sequence
from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.yaml_files import parse_yaml
from flows.pipeline import Pipeline
from tasks.ingestion.plan import no_windows, past_windows, planned_files
from tasks.registry.promotions import PromotionLedger
from tasks.registry.task_versions import version_numbered
from tasks.storage.home import open_store


def check_prediction(plan: Pipeline, input_path: str, output_path: str, force: bool) -> None:
    """Raises InputError where texts cannot be read, answers cannot be written, or there is no champion."""
    if _is_local(input_path) and (not Path(input_path).exists() or Path(input_path).is_dir()):
        found = "is a folder" if Path(input_path).exists() else "does not exist"
        raise InputError(f"{input_path} {found}. Give a file of rows with --input.")
    _check_output(output_path)
    if _is_local(output_path) and Path(output_path).exists():
        if _is_local(input_path) and Path(output_path).samefile(input_path):
            raise InputError(f"{output_path} is the input itself. Choose another --output.")
        if not force:
            raise InputError(f"{output_path} exists already. Choose another --output, or replace it with --force.")
    _check_champion(plan.name)


def check_watch(plan: Pipeline, window: str | None) -> None:
    """Raises InputError where there is no such window, the pipeline names none at all, or there is no champion."""
    if window is not None:
        planned_files(plan.data, (), window)
    elif plan.data.windows is None:
        raise no_windows()
    _check_champion(plan.name)


def check_backtest(
    plan: Pipeline, windows: str | None, labels: str | None, policies: Sequence[str], output: str
) -> None:
    """Raises InputError where windows, labels or policies cannot be read, or the page cannot be written."""
    for folder in filter(None, (windows, labels)):
        if _is_local(folder) and not Path(folder).is_dir():
            raise InputError(f"{folder} is no folder. Give one of files, one a window.")
    past_windows(plan.data, windows, labels)
    for policy in policies:
        parse_yaml(Path(policy), type(plan.drift))
    _check_output(output)
    _check_champion(plan.name)


def _check_output(path: str) -> None:
    if not _is_local(path):
        return
    if Path(path).is_dir():
        raise InputError(f"{path} is a folder. Give a file with --output.")
    if not Path(path).parent.is_dir():
        raise InputError(f"{Path(path).parent} does not exist, so {Path(path).name} cannot be written there.")


def _is_local(path: str) -> bool:
    return "://" not in path


def _check_champion(pipeline: str) -> None:
    # The store tells of promotions; importing MLflow, which knows of champions from before that, takes seconds.
    if PromotionLedger(open_store(), pipeline).last() is None:
        version_numbered(pipeline, None)
