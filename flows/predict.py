"""The champion over a file of texts."""

from prefect import flow

from flows.pipeline import load_pipeline
from tasks.ingestion.task import reader_of
from tasks.modeling.task import answer_file
from tasks.registry.task import find_challenger, require_champion
from tasks.shadow.task import answer_file_twice, note_agreement


@flow(flow_run_name="{pipeline}")
def predict(input_path: str, output_path: str, pipeline: str = "support") -> int:
    """Score every text of a file with the champion; returns how many there were.

    With the pipeline's `serving`, the challenger answers, too: unseen, for a comparison, or its share of the rows.

    Args:
        input_path: File (local or s3://) whose rows hold the pipeline's text column, read as the pipeline reads its own
            that end alike; other columns are kept.
        output_path: Where the rows go as JSON Lines, each with `predictions` added; written whole or not at all.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
    """
    plan = load_pipeline(pipeline)
    champion, text_column = require_champion(plan.name), plan.tokenization.text_column
    read = reader_of(plan.data, input_path, plan.tokenization.columns)
    challenger = find_challenger(plan.name) if plan.serving.asks_challenger else None
    if challenger is None:
        return answer_file(champion.model, input_path, output_path, text_column, read)
    answered = answer_file_twice(champion, challenger, input_path, output_path, text_column, plan.serving, read)
    if plan.serving.shadow:
        note_agreement(plan.name, answered, champion)
    return answered.rows
