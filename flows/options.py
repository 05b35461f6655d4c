"""What several commands are given, said once."""

from typing import Annotated

import typer

PIPELINE = Annotated[str, typer.Argument(help="Name of a pipeline in flows/pipelines, or the path of a YAML file.")]
BY = Annotated[str | None, typer.Option("--by", help="Who says so; by default the user that is logged in.")]
DEBUG = Annotated[bool, typer.Option("--debug", help="After an error, show the traceback.")]
