"""The main job: raw rows in, a judged model version out."""

from prefect import flow

from data_contracts.artifacts import Release
from flows.assess import assess
from flows.dispatch import on_pool
from flows.fine_tune import fine_tune
from flows.pipeline import load_pipeline
from flows.prepare_data import prepare_data
from flows.release import release
from flows.single_tasks import single_tasks


@flow(flow_run_name="{pipeline}", persist_result=True)
def data_to_model(pipeline: str = "support", overrides: list[str] | None = None) -> Release:
    """Prepare the data, fine-tune a model, assess it in and out of domain, and let the gate decide on its release.

    Steps whose inputs, settings and code are those of an earlier run are reused. Fine-tuning and assessment go to the
    gpu pool when this runs as a deployment.

    Args:
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    chosen = {"pipeline": pipeline, "overrides": overrides}
    snapshot, tokens = prepare_data(pipeline, overrides)
    model = on_pool(fine_tune, snapshot=snapshot, tokens=tokens, **chosen)
    assessment, reference = on_pool(assess, model=model, snapshot=snapshot, **chosen)
    transfers = None
    if load_pipeline(pipeline, overrides).evaluation.single_task_baselines:
        transfers = on_pool(single_tasks, model=model, snapshot=snapshot, **chosen)
    return release(model, snapshot, assessment, reference, pipeline, overrides, transfers)
