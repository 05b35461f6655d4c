"""The handles that tasks exchange: what a thing is called, what it came from, a few facts. No path, no tensor."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.cleaning import Cleaning
from data_contracts.environment import Environment
from data_contracts.splits import AUDIT, FRESH

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the content")]
Verdict = Literal["PROMOTE", "HOLD", "REJECT", "INCONCLUSIVE"]
DataVerdict = Literal["PASS", "PASS_WITH_QUARANTINE", "FAIL"]
PromotionKind = Literal["promote", "approval", "override", "rollback", "adopt"]

VERDICT_FILE = "verdict.json"


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
    held_out_split: str | None = Field(None, description="split that receives a share of the rows, by their texts")
    held_out_share: float = 0.0

    @property
    def labelled_since(self) -> bool:
        """Whether people labelled its rows since a model is in use, perhaps not yet all of them."""
        return self.held_out_split is not None or self.split == AUDIT

    @property
    def window(self) -> str | None:
        """The window whose rows people labelled to learn from, if it holds such rows."""
        return self.held_out_split.removeprefix(FRESH) if self.held_out_split is not None else None

    @property
    def drawn_at_random(self) -> bool:
        """Whether it is read to tell how good answers are, for which only rows that chance chose will do."""
        return self.split == AUDIT


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
    """The rows of a snapshot that satisfy their contract; the others lie in its quarantine file.

    `origin` names the directory that tells what they come from, file by file: a `RowOrigin`.
    """

    kind: Literal["validated_snapshot"] = "validated_snapshot"
    contract: str
    contract_digest: Digest
    rows: dict[str, int]
    quarantined: dict[str, int]
    cleaning: Cleaning = Cleaning()
    origin: Digest | None = None


class RowOrigin(BaseModel):
    """Everything between source files and checked rows, each with the digests of what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: SourceFiles
    lines: SplitPlan | None
    corrections: Corrections | None
    snapshot: Snapshot
    checked: ValidatedSnapshot
    contract: dict[str, Any] = Field(description="content of the contract, as in its YAML")


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

    `curves` names the TensorBoard folder of the training, `pair_column` the second texts that it has learnt to read,
    `environment` what the training ran on. `pretrained_share` of the encoder is as it was pre-trained.
    """

    kind: Literal["trained_model"] = "trained_model"
    encoder: Encoder
    max_tokens: int
    tasks: tuple[str, ...]
    best_epoch: int
    epochs: int
    steps: int
    validation_skill: float
    pretrained_share: float = 0.0
    curves: str
    cleaning: Cleaning = Cleaning()
    pair_column: str | None = None
    environment: Environment | None = None


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


class ProbeResults(Handle):
    """What became of the cases that a model was tried with; `failed` names those that fail more often than they may."""

    kind: Literal["probe_results"] = "probe_results"
    model: Digest
    failed: tuple[str, ...]


class Baselines(Handle):
    """Answers of the majority and the TF-IDF + logistic regression baselines on every evaluation split."""

    kind: Literal["baselines"] = "baselines"


class ModelCost(Handle):
    """Size and latency of one model, as they were measured on one machine."""

    kind: Literal["model_cost"] = "model_cost"


class LabelSuspects(Handle):
    """Training rows whose labels are likely wrong; `suspects` is {task: how many}."""

    kind: Literal["label_suspects"] = "label_suspects"
    suspects: dict[str, int]


class Assessment(Handle):
    """Scores of one model on every evaluation split; `scores` is {task: {split: primary metric}}.

    `cost`, `probes` and `label_errors` are what was measured beside these answers. The assessment's digest does not
    depend on them.
    """

    kind: Literal["assessment"] = "assessment"
    model: Digest
    predictions: Digest
    snapshot: Digest
    scores: dict[str, dict[str, float]]
    cost: Digest | None = None
    probes: Digest | None = None
    label_errors: Digest | None = None


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
    """What the gate said of a candidate, against whom, and why.

    Its directory holds the evidence and the checks, and the verdict in VERDICT_FILE, by which a handle that was altered
    is told.
    """

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
    rows: Digest | None = Field(None, description="the checked rows that it was judged on last")
    passport: Digest | None = None


class Promotion(BaseModel):
    """One entry of a pipeline's promotion ledger: from here on that version is champion, until the next entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1, description="entries are numbered from 1 without a gap")
    id: str = Field(description="tells apart two processes that write the same entry at once")
    kind: PromotionKind
    version: int
    model: Digest
    previous: int | None = Field(description="champion before, or None")
    judgement: Digest = Field(description="what the version was judged by at the time")
    rows: Digest | None = Field(description="the checked rows of that judgement")
    by: str = Field(description="the gate, or a person's name")
    reason: str
    at: datetime


class Replaced(BaseModel):
    """The version that a champion took the place of, and the entry of the promotion ledger by which it did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ModelVersion
    promotion: Promotion


class Opponent(BaseModel):
    """Whom a candidate is judged against: the champion as of one entry of the ledger (0 before the first).

    `title` says for people which version it is, and what made it champion: `version 3, 2026-11-24 override by ann: so`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: TrainedModel | None
    entry: int
    title: str = ""


class Approval(BaseModel):
    """A person's answer to the question whether a version that won its judgement becomes champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approve: bool
    by: str
    reason: str
    at: datetime


class Outcome(BaseModel):
    """What became of a judged version. `overtaken`: another promotion came first, so it has to be judged again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ModelVersion
    overtaken: bool = False
    why: str


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
    outcome: str = Field("", description="what became of the version, in a sentence")
