"""Pages about a model: the facts of its report, and its lineage as a Prefect artifact shows it."""

from pydantic import BaseModel, ConfigDict

from data_contracts.artifacts import Judgement, ModelVersion, TrainedModel, ValidatedSnapshot
from tasks.evaluation.policy import GatePolicy
from tasks.reporting.markdown import plain


class ReportFacts(BaseModel):
    """What the report says of where a model comes from.

    `champion` says whom it was judged against, and how that one became champion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    contract: str
    text_column: str
    pair_column: str | None = None
    rows: dict[str, int]
    quarantined: dict[str, int]
    gate: GatePolicy = GatePolicy()
    origin: dict[str, str] = {}
    champion: str = ""


def origin_of(model: TrainedModel, snapshot: ValidatedSnapshot) -> dict[str, str]:
    """What a model was made from, by digest, for the report."""
    mixed = f"with {model.pretrained_share:.0%} of the pre-trained encoder, " if model.pretrained_share else ""
    kept = f"epoch {model.best_epoch} of {model.epochs}, {mixed}validation skill {model.validation_skill:.3f}"
    return {
        "model": model.digest,
        "training": kept,
        "encoder": f"{model.encoder.name}, {model.encoder.digest}",
        "checked rows": snapshot.digest,
        "contract": f"{snapshot.contract}, {snapshot.contract_digest}",
    }


def lineage_page(pipeline: str, judgement: Judgement, version: ModelVersion, contract: str, outcome: str = "") -> str:
    """Markdown: verdict, reasons, what became of the version, and a mermaid graph of what the version was made from.

    `contract` is the digest of the contract that its rows were checked against.
    """
    model = version.model
    # Models of before name their contract behind these.
    snapshot, tokens, *_ = model.parents
    opponent = f"champion {judgement.champion[:12]}" if judgement.champion else "majority and TF-IDF baselines"
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    reasons = "\n".join(f"- {plain(reason)}" for reason in judgement.reasons)
    return f"""# {pipeline}: {judgement.verdict}

{reasons}

{outcome}

```mermaid
graph LR
    contract["contract<br/>{contract[:12]}"] --> rows
    rows["checked rows<br/>{snapshot[:12]}"] --> tokens["tokens<br/>{tokens[:12]}"]
    encoder["encoder {model.encoder.name.split(":")[-1]}<br/>{model.encoder.digest[:12]}"] --> tokens
    tokens --> model["model<br/>{model.digest[:12]}"]
    encoder --> model
    model --> gate{{{{"gate: {judgement.verdict}"}}}}
    opponent["{opponent}"] --> gate
    gate --> version["version {version.version}{aliases}"]
```
"""
