"""The gate: whether a candidate becomes champion, from what both answered on the same rows.

The verdict is the strictest that a check which did not pass asks for, and PROMOTE where all passed. REJECT: something
is worse beyond chance, below its floor, or beyond a limit. INCONCLUSIVE: it may be, and there are too few rows to say.
HOLD: it is no worse, but no better either.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_contracts.artifacts import VERDICT_FILE, Verdict
from data_contracts.splits import TRAINING_SPLITS
from tasks.evaluation.baselines import BASELINES
from tasks.evaluation.checks import Check, reasons_of, verdict_of, write_checks
from tasks.evaluation.clusters import read_clusters
from tasks.evaluation.differences import Difference, PairedRows, differences, paired_rows, write_evidence
from tasks.evaluation.finite import check_finite
from tasks.evaluation.known_labels import known_labels
from tasks.evaluation.limits import calibration_checks, cost_checks, floor_checks
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.promotion_rule import baseline_checks, champion_checks
from tasks.evaluation.protected import protected_checks
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.evaluation.shared_tasks import SharedTasks, shared_tasks
from tasks.evaluation.slices import snapshot_groups
from tasks.modeling.answers import Answers, read_answers, read_labels
from tasks.modeling.heads import AnyHead

EVIDENCE, CHECKS = "evidence.json", "checks.json"


@dataclass(frozen=True)
class Measured:
    """Files of what was measured of the candidate besides its answers: `scores.json`, and what `write_cost` wrote."""

    scores: Path | None = None
    cost: Path | None = None


class Ruling(NamedTuple):
    """What the gate says, the evidence it is from, and everything that it checked."""

    verdict: Verdict
    reasons: list[str]
    evidence: list[Difference]
    checks: list[Check]


def judge(
    snapshot: Path,
    heads: Mapping[str, AnyHead],
    candidate: Path,
    champion: Path | None,
    baselines: Path,
    policy: GatePolicy,
    *,
    champion_heads: Mapping[str, AnyHead] | None = None,
    measured: Measured = Measured(),
    text_columns: Sequence[str] = (),
    group_column: str | None = None,
) -> Ruling:
    """The gate's ruling. The folders hold answers for the splits of `snapshot`.

    `champion_heads` are the candidate's by default; `text_columns` are what slices do without, the first one gives the
    lengths of texts. Rows with the same value of `group_column` are drawn together. Tasks that the champion does not
    answer are judged as those of a first model. Raises InputError, naming the row, where a model answers NaN.
    """
    shared = shared_tasks(heads, champion, champion_heads) if champion else SharedTasks(new=dict(heads))
    checks = [*shared.notes, *_own_checks(snapshot, heads, candidate, measured, policy)]
    first = _against_baselines(snapshot, shared.new, candidate, baselines, policy, group_column)
    found = baseline_checks(first)
    if shared.new and not first:
        limit = "above 0 beyond chance"
        found = [Check("better than the baselines", "no labelled row in domain", limit, False, "INCONCLUSIVE")]
    checks += found
    evidence = first
    if champion and shared.compared:
        splits = sorted(p.stem for p in candidate.glob("*.parquet") if p.stem not in TRAINING_SPLITS)
        pairs = {
            split: read_pairs(
                snapshot, split, shared.compared, candidate, champion, "champion", shared.labels, group_column
            )
            for split in splits
        }
        later = [d for split, of in pairs.items() for d in differences("champion", split, of, policy)]
        gained = bool(first) and all(check.passed for check in found)
        groups = snapshot_groups(snapshot, IN_DOMAIN, heads, text_columns) if policy.protected_slices else {}
        checks += champion_checks(later, policy, gained=gained)
        checks += protected_checks(pairs[IN_DOMAIN], groups, policy)
        evidence = [*later, *first]
    return Ruling(verdict_of(checks), reasons_of(checks), evidence, checks)


def write_ruling(folder: Path, ruling: Ruling) -> None:
    """Writes the evidence, the checks, and the verdict with its reasons."""
    write_evidence(folder / EVIDENCE, ruling.evidence)
    write_checks(folder / CHECKS, ruling.checks)
    verdict = {"verdict": ruling.verdict, "reasons": ruling.reasons}
    (folder / VERDICT_FILE).write_text(json.dumps(verdict, indent=1), encoding="utf-8")


def read_pairs(
    snapshot: Path,
    split: str,
    heads: Mapping[str, AnyHead],
    candidate: Path,
    opponent: Path,
    name: str,
    known: Mapping[str, frozenset[str]] | None = None,
    group_column: str | None = None,
) -> dict[str, PairedRows]:
    """What candidate and opponent make of the rows of a split, by task; of some only where a label is `known`."""
    labels, clusters = read_labels(snapshot, split, heads), read_clusters(snapshot, split, group_column)
    both = [_read(folder, split, heads, whose) for folder, whose in ((candidate, "candidate"), (opponent, name))]
    given = {task: known_labels(labels[task], (known or {}).get(task)) for task in heads}
    return {
        task: paired_rows(head, given[task], both[0].answers[task], both[1].answers[task], clusters)
        for task, head in heads.items()
    }


def _against_baselines(
    snapshot: Path,
    heads: Mapping[str, AnyHead],
    candidate: Path,
    baselines: Path,
    policy: GatePolicy,
    group_column: str | None,
) -> list[Difference]:
    found = []
    for name in BASELINES if heads else ():
        opponent = baselines / name
        pairs = read_pairs(snapshot, IN_DOMAIN, heads, candidate, opponent, name, group_column=group_column)
        found += [d for d in differences(name, IN_DOMAIN, pairs, policy) if d.task != SKILL]
    return found


def _own_checks(
    snapshot: Path, heads: Mapping[str, AnyHead], candidate: Path, measured: Measured, policy: GatePolicy
) -> list[Check]:
    labels, found = read_labels(snapshot, IN_DOMAIN, heads), _read(candidate, IN_DOMAIN, heads, "candidate")
    return [
        *_absent_labels(heads, labels),
        *floor_checks(heads, labels, found, policy),
        *calibration_checks(heads, measured.scores, policy),
        *cost_checks(measured.cost, policy),
    ]


def _absent_labels(heads: Mapping[str, AnyHead], labels: Mapping[str, list[Any]]) -> list[Check]:
    """Labels that no in-domain row has, of which the scores say nothing."""
    checks = []
    for task, head in heads.items():
        there = {label for label in labels[task] if label is not None} if head.one_label else set(head.labels)
        absent = [label for label in head.labels if label not in there]
        if there and absent:
            checks.append(Check(f"{task} in domain, labels", f"no row has {', '.join(absent)}", "all labels", None))
    return checks


def _read(folder: Path, split: str, heads: Mapping[str, AnyHead], whose: str) -> Answers:
    found = read_answers(folder / f"{split}.parquet", heads)
    check_finite(found, split, f"the {whose}")
    return found
