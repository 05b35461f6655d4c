"""Pipeline: what one YAML file says, checked as a whole."""

import contextlib
import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from data_contracts.dataset import DatasetContract, load_contract
from data_contracts.errors import InputError, complain
from data_contracts.probe_files import probe_file
from data_contracts.yaml_files import model_of, parse_yaml, read_yaml
from flows.known_pipelines import note_pipeline, noted_path
from tasks.drift.policy import DriftPolicy
from tasks.evaluation.policy import MEASURED_SLICES, SKILL, GatePolicy
from tasks.evaluation.probes import Probes
from tasks.evaluation.settings import Evaluation
from tasks.ingestion.plan import DataSettings
from tasks.modeling.answers import CONFIDENCE
from tasks.modeling.encoder import EncoderSettings
from tasks.modeling.heads import AnyHead
from tasks.preparation.settings import Preparation
from tasks.registry.approval import ReleasePolicy
from tasks.shadow.serving import Serving
from tasks.tokenization.settings import Tokenization
from tasks.training.recipe import Recipe

PIPELINES = Path(__file__).parent / "pipelines"
PATH_KEYS = ("path",)
HUB = "hugging_face"
NAME = r"^[a-z0-9][a-z0-9-]*$"
TaskName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]


class Pipeline(BaseModel):
    """One pipeline: data, encoder, heads, and the policies of gate and drift.

    Paths are relative to the YAML file. `heads` come bound to their contract: with its labels and columns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Prefect's artifact keys, which begin with the name, hold no underscore.
    name: str = Field(pattern=NAME, description="lower case, digits and dashes; also the name of the model")
    data: DataSettings
    encoder: EncoderSettings = EncoderSettings()
    tokenization: Tokenization = Tokenization()
    preparation: Preparation = Preparation()
    heads: dict[TaskName, AnyHead] = Field(min_length=1)
    training: Recipe = Recipe()
    evaluation: Evaluation = Evaluation()
    gate: GatePolicy = GatePolicy()
    release: ReleasePolicy = ReleasePolicy()
    drift: DriftPolicy = DriftPolicy()
    serving: Serving = Serving()

    _contract: DatasetContract = PrivateAttr()
    _probes: Probes = PrivateAttr()

    @property
    def contract(self) -> DatasetContract:
        """The contract that `data.contract` names."""
        return self._contract

    @property
    def group_column(self) -> str | None:
        """Column whose values name the rows that hang together, where `data.splits` divides them by groups."""
        return self.data.splits.group_column if self.data.splits is not None else None

    @property
    def fold_strata(self) -> str | None:
        """Column whose values every fold has about the same share of: that of the first head of one label, if any."""
        return next((head.column for head in self.heads.values() if head.one_label), None)

    @property
    def probes(self) -> Probes:
        """The cases that `evaluation.probes` names."""
        return self._probes


def open_pipeline(name: str, overrides: list[str] | None = None) -> Pipeline:
    """The same as `load_pipeline`; a YAML file is found by the pipeline's `name` from then on."""
    pipeline = load_pipeline(name, overrides)
    # A name that is set for one run alone leads nowhere later.
    if _is_path(name) and read_yaml(Path(name)).get("name") == pipeline.name:
        note_pipeline(pipeline.name, Path(name))
    return pipeline


def load_pipeline(name: str, overrides: list[str] | None = None) -> Pipeline:
    """The pipeline called `name` (in `flows/pipelines`, or in a YAML file that was opened before), or that of a YAML
    file, with `a.b=c` overrides applied.

    Raises InputError for an unknown pipeline and for every mistake in the YAML at once, with the path of its key.
    """
    path = pipeline_path(name)
    content = read_yaml(path)
    for override in overrides or []:
        _override(content, override)
    directory = path.resolve().parent
    pipeline = model_of(_absolute_paths(content, directory), Pipeline, str(path))
    if path.parent != PIPELINES and not _is_path(name) and pipeline.name != name:
        raise InputError(
            f"{path}, which was given last for pipeline {name!r}, is called {pipeline.name!r} now. Use that name, or "
            "give the path of a YAML file."
        )
    contract = load_contract(pipeline.data.contract, directory)
    heads, problems = _bind(pipeline.heads, contract)
    problems += _misfits(pipeline, contract)
    probes = parse_yaml(probe_file(pipeline.evaluation.probes, directory), Probes)
    if not problems:
        problems = [f"evaluation.probes: {misfit}" for misfit in probes.misfits(heads)]
    if problems:
        raise complain(f"{path}: {len(problems)} mistake(s)", problems)
    bound = pipeline.model_copy(update={"heads": heads})
    bound._contract = contract
    bound._probes = probes
    return bound


def pipeline_path(name: str) -> Path:
    """The YAML file of a pipeline. Raises InputError, saying which pipelines exist."""
    path = Path(name) if _is_path(name) else PIPELINES / f"{name}.yaml"
    if path.is_file():
        return path
    noted = noted_path(name) if re.fullmatch(NAME, name) else None
    if noted is not None and noted.is_file():
        return noted
    gone = f", nor is {noted} there any more" if noted is not None else ""
    known = ", ".join(sorted(p.stem for p in PIPELINES.glob("*.yaml")))
    raise InputError(f"there is no pipeline {name!r} ({path}){gone}; known: {known}, or give the path of a YAML file")


def pipeline_reference(name: str) -> str:
    """What another process finds the pipeline by, whatever was opened since: a name of ours, or an absolute path."""
    path = pipeline_path(name)
    return name if path.parent == PIPELINES and not _is_path(name) else str(path.resolve())


def find_pipeline(name: str) -> str | None:
    """What another process finds the pipeline of that name by today; None where none is called so any more."""
    try:
        path = pipeline_path(name)
    except InputError:
        return None
    # One with mistakes is there all the same, and its next run says which.
    with contextlib.suppress(InputError):
        if read_yaml(path).get("name") != name:
            return None
    return pipeline_reference(name)


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _override(content: dict[str, Any], override: str) -> None:
    """Sets one value, reading the text behind `=` as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"override {override!r} is not of the form a.b=c, as in training.epochs=3")
    *parents, last = key.split(".")
    target: Any = content
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise InputError(f"override {override!r}: {parent!r} holds {target!r}, which has no keys")
    try:
        target[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"override {override!r}: {text!r} is not a YAML value: {error}") from error


def _absolute_paths(value: Any, directory: Path, key: str = "") -> Any:
    """The content with every `path`, and a folder given as encoder, made absolute from the YAML's directory."""
    if isinstance(value, dict):
        # A dataset of the hub has a name where files have a path.
        named = value.get("kind") == HUB
        return {
            name: _absolute_paths(v, directory, "name" if named and name == "path" else name)
            for name, v in value.items()
        }
    if not isinstance(value, str) or "://" in value:
        return value
    is_folder = key == "name" and value.startswith(("./", "../"))
    return str((directory / value).resolve()) if key in PATH_KEYS or is_folder else value


def _bind(heads: dict[str, AnyHead], contract: DatasetContract) -> tuple[dict[str, AnyHead], list[str]]:
    bound: dict[str, AnyHead] = {}
    problems = []
    for task, head in heads.items():
        given = sorted(head.model_fields_set & head.set_by_training)
        problems += [f"heads.{task}.{key}: training sets it, whatever is given here; take it out" for key in given]
        try:
            bound[task] = head.bind(contract.column(head.column or task))
        except InputError as error:
            problems.append(f"heads.{task}: {error}")
    return bound, problems


def _misfits(pipeline: Pipeline, contract: DatasetContract) -> list[str]:
    problems = []
    if SKILL in pipeline.heads:
        problems.append(f"heads.{SKILL}: the mean over all heads is called so; take another name")
    # Answers are kept in columns called by the task, and their confidences in others.
    taken = {f"{task}{CONFIDENCE}": task for task in pipeline.heads}
    problems += [
        f"heads.{task}: the confidences of {taken[task]} are called so; take another name"
        for task in pipeline.heads
        if task in taken
    ]
    problems += _unreadable_texts(pipeline, contract)
    problems += _answers_elsewhere(pipeline, contract)
    problems += _misplaced_lines(pipeline, contract)
    if (balance := pipeline.preparation.balance) is not None:
        problems += _lacks(contract, balance.column, "preparation.balance.column")
    problems += [f"training.{misfit}" for misfit in pipeline.training.misfits(pipeline.heads)]
    return problems + _misfits_of_gate(pipeline, contract)


def _misfits_of_gate(pipeline: Pipeline, contract: DatasetContract) -> list[str]:
    problems = []
    heads = ", ".join(pipeline.heads)
    for key, named in pipeline.gate.named_tasks.items():
        unknown = [task for task in named if task not in pipeline.heads]
        problems += [f"gate.{key}: no head is called {', '.join(unknown)}; heads are {heads}"] if unknown else []
    for name in pipeline.gate.protected_slices:
        problems += [] if name in MEASURED_SLICES else _lacks(contract, name, "gate.protected_slices")
    return problems


def _unreadable_texts(pipeline: Pipeline, contract: DatasetContract) -> list[str]:
    named = {"text_column": pipeline.tokenization.text_column, "pair_column": pipeline.tokenization.pair_column}
    texts = [column.name for column in contract.text_columns]
    problems = []
    for key, name in named.items():
        lacking = [] if name is None else _lacks(contract, name, f"tokenization.{key}")
        problems += lacking
        if name is not None and not lacking and name not in texts:
            problems.append(
                f"tokenization.{key}: contract {contract.name} does not say that {name!r} is a text, so no rule about "
                f"texts (leakage, damage) would hold for it; texts are {', '.join(texts) or 'none'}. Give it `role: "
                "text`."
            )
    return problems


def _answers_elsewhere(pipeline: Pipeline, contract: DatasetContract) -> list[str]:
    """Heads whose answers stand in another text than the one that is read for them."""
    texts = pipeline.tokenization
    read = texts.pair_column or texts.text_column
    columns = {head.column or task: task for task, head in pipeline.heads.items() if head.in_text}
    found = {column.name: column.rules.answers_in for column in contract.columns if column.name in columns}
    return [
        f"heads.{columns[name]}: answers of {name!r} stand in {text!r}, but are looked for in {read!r}, which is the "
        "last text that `tokenization` reads. Name the two texts there, or correct `answersIn` of the contract."
        for name, text in found.items()
        if text is not None and text != read
    ]


def _misplaced_lines(pipeline: Pipeline, contract: DatasetContract) -> list[str]:
    splits = pipeline.data.splits
    if splits is None:
        return []
    problems = []
    for name in dict.fromkeys([*splits.columns_of(contract), *([splits.strata] if splits.strata else [])]):
        lacking = _lacks(contract, name, "data.splits.column")
        problems += lacking
        of_moments = name == splits.moment_column and not lacking
        if of_moments and (found := contract.column(name)).logical_type != "timestamp":
            problems.append(f"data.splits.column: {name!r} is of type {found.logical_type}, no timestamp")
    return problems


def _lacks(contract: DatasetContract, name: str, where: str) -> list[str]:
    """The problem that the contract has no such column, if it has none."""
    try:
        contract.column(name)
    except InputError as error:
        return [f"{where}: {error}"]
    return []
