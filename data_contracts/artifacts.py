"""The handles that tasks exchange: what a thing is called, what it came from, a few facts. No path, no tensor."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.cleaning import Cleaning

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the content")]
Verdict = Literal["PROMOTE", "HOLD", "REJECT", "INCONCLUSIVE"]
DataVerdict = Literal["PASS", "PASS_WITH_QUARANTINE", "FAIL"]
DriftVerdict = Literal["QUIET", "BAD_DATA", "BENIGN", "HARMFUL", "UNKNOWN"]


class Handle(BaseModel):
    """A published directory of the store: its digest names it, its parents tell what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Digest
    parents: tuple[Digest, ...] = ()


class SourceFile(BaseModel):
    """One file that holds rows of one split, or of rows that a rule divides among splits where `split` is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str | None
    address: str
    sha256: Digest
    reader: dict[str, Any] = Field(description="settings of the source, without its address")
    held_out_split: str | None = Field(None, description="split that receives a share of the rows, by row id")
    held_out_share: float = 0.0


class SourceFiles(Handle):
    """Which bytes feed which split. The digest ignores addresses, so the same bytes elsewhere are the same source."""

    kind: Literal["source_files"] = "source_files"
    files: tuple[SourceFile, ...]


class SplitPlan(Handle):
    """Where the lines between splits lie, so that a row stays where it is when the data grows."""

    kind: Literal["split_plan"] = "split_plan"


class Corrections(Handle):
    """Rows that an owner mended, by the id of the row that each stands for."""

    kind: Literal["corrections"] = "corrections"
    rows: int


class Snapshot(Handle):
    """Rows as they were read and cleaned, a Parquet file a split, each row with its file's sha256 and its number."""

    kind: Literal["snapshot"] = "snapshot"
    rows: dict[str, int]
    cleaning: Cleaning = Cleaning()


class ValidatedSnapshot(Handle):
    """The rows of a snapshot that satisfy their contract; the others lie in its quarantine file."""

    kind: Literal["validated_snapshot"] = "validated_snapshot"
    contract: str
    contract_digest: Digest
    rows: dict[str, int]
    quarantined: dict[str, int]
    cleaning: Cleaning = Cleaning()


class DataDocs(Handle):
    """What a contract asks and how a snapshot fared, as Great Expectations' pages; `index.html` is the first."""

    kind: Literal["data_docs"] = "data_docs"


class Encoder(Handle):
    """A pre-trained encoder as it lies on disk: the digest covers its weights, configuration and tokenizer."""

    kind: Literal["encoder"] = "encoder"
    name: str
    revision: str | None = None


class TokenizedDataset(Handle):
    """Token ids of every row of every split; a text beyond the limit is cut (`truncated`) or takes several windows."""

    kind: Literal["tokenized_dataset"] = "tokenized_dataset"
    encoder: Encoder
    max_tokens: int
    rows: dict[str, int]
    windows: dict[str, int]
    tokens: dict[str, int]
    truncated: dict[str, int]
    cleaning: Cleaning = Cleaning()
    pair_column: str | None = None


class TrainedModel(Handle):
    """One encoder with its heads, fine-tuned; its parents are the checked rows, their tokens and their contract.

    `curves` names the TensorBoard folder of the training, `pair_column` the second texts that it has learnt to read.
    """

    kind: Literal["trained_model"] = "trained_model"
    encoder: Encoder
    max_tokens: int
    tasks: tuple[str, ...]
    best_epoch: int
    epochs: int
    steps: int
    validation_skill: float
    curves: str
    cleaning: Cleaning = Cleaning()
    pair_column: str | None = None


class Predictions(Handle):
    """Answers, confidences and embeddings of one model for the rows of some splits."""

    kind: Literal["predictions"] = "predictions"
    model: Digest
    rows: dict[str, int]


class ShadowAnswers(Handle):
    """A batch of production rows as champion and challenger answer each; `served_by_challenger` of them it did."""

    kind: Literal["shadow_answers"] = "shadow_answers"
    champion: int
    challenger: int
    rows: int
    served_by_challenger: int


class Baselines(Handle):
    """Answers of the majority and the TF-IDF + logistic regression baselines on every evaluation split."""

    kind: Literal["baselines"] = "baselines"


class Assessment(Handle):
    """Scores of one model on every evaluation split; `scores` is {task: {split: primary metric}}."""

    kind: Literal["assessment"] = "assessment"
    model: Digest
    predictions: Digest
    snapshot: Digest
    scores: dict[str, dict[str, float]]


class CrossValidation(Handle):
    """Scores in domain over folds; `means` is {task: mean of the primary metric}."""

    kind: Literal["cross_validation"] = "cross_validation"
    folds: int
    means: dict[str, float]


class Transfers(Handle):
    """Scores of a model of all tasks beside those of a model of each alone; `losing` tasks are worse off together."""

    kind: Literal["transfers"] = "transfers"
    model: Digest
    losing: tuple[str, ...]


class Judgement(Handle):
    """What the gate said of a candidate, against whom, and why."""

    kind: Literal["judgement"] = "judgement"
    verdict: Verdict
    reasons: tuple[str, ...]
    candidate: Digest
    champion: Digest | None


class Reference(Handle):
    """What held-out rows look like through a model: embeddings and outputs that later windows are held against."""

    kind: Literal["reference"] = "reference"
    model: Digest
    rows: int


class ModelVersion(BaseModel):
    """A model in the registry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    version: int
    model: TrainedModel
    reference: Reference
    judgement: Judgement
    run_id: str
    aliases: tuple[str, ...] = ()


class Report(Handle):
    """One self-contained HTML page and the pictures in it."""

    kind: Literal["report"] = "report"


class Release(BaseModel):
    """What a run of the main job ends with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ModelVersion
    judgement: Judgement
    assessment: Assessment
    report: Report


class DriftDecision(BaseModel):
    """What one window was found to be, as it stands in the ledger and travels in the event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str = Field(description="name of the pipeline, or the path of its YAML file")
    window: str
    window_digest: Digest
    model_version: int
    verdict: DriftVerdict
    retrain: bool
    reasons: tuple[str, ...]
    measures: dict[str, float]
    decided_at: datetime
