"""The champion over a file of texts."""

from prefect import flow

from flows.pipeline import load_pipeline
from tasks.modeling.task import answer_file
from tasks.registry.task import require_champion


@flow(flow_run_name="{pipeline}")
def predict(input_path: str, output_path: str, pipeline: str = "support") -> int:
    """Score every text of a JSON Lines file with the champion; returns how many there were.

    Args:
        input_path: JSON Lines file (local or s3://) whose rows hold the pipeline's text column; other columns are kept.
        output_path: Where the rows go, each with `predictions` added; written whole or not at all.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
    """
    plan = load_pipeline(pipeline)
    champion = require_champion(plan.name)
    return answer_file(champion.model, input_path, output_path, plan.tokenization.text_column)
