"""A model tried with the cases of a file of probes."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.cleaning import Cleaning
from tasks.evaluation.asked import WITHOUT_CLEANING, Replies, Rows
from tasks.evaluation.case_results import Findings
from tasks.evaluation.clusters import read_clusters
from tasks.evaluation.edits import Entity, Original, Text
from tasks.evaluation.probes import Probes
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.answers import read_answers
from tasks.modeling.asking import answer_texts
from tasks.modeling.chance import number_of
from tasks.modeling.entities import entities_of
from tasks.modeling.heads import AnyHead, heads_of, tag_columns
from tasks.modeling.limits import limit_of
from tasks.modeling.pairs import NoRoomError
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import spans_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folders:
    """A model, the checked rows, and what the model answered them."""

    model: Path
    snapshot: Path
    answers: Path


@dataclass(frozen=True)
class Reading:
    """Which columns a model reads, how texts were cleaned for it, and the column whose values hang rows together."""

    text_column: str
    pair_column: str | None = None
    cleaning: Cleaning = WITHOUT_CLEANING
    group_column: str | None = None


def probe(folders: Folders, probes: Probes, limit: int, reading: Reading) -> Findings:
    """What came of every case, on at most `limit` texts each; rows are those of the in-domain test split.

    Cases that do not fit the model's heads are left out.
    """
    heads = heads_of(folders.model)
    rows = read_rows(folders, heads, probes.seed, limit, reading)
    plans = [case.plan(rows) for case in probes.cases]
    texts = list(dict.fromkeys(text for plan in plans for text in plan.texts))
    seconds = [text.second for text in texts] if reading.pair_column else None
    outputs = answer_texts(folders.model, [text.text for text in texts], seconds, description="probing")
    replies = Replies(heads, texts, outputs)
    found = [plan.judge(replies) for plan in plans]
    findings = Findings([of for part in found for of in part.results], [of for part in found for of in part.biases])
    logger.info("%s", in_short(findings))
    return findings


def in_short(findings: Findings) -> str:
    """How many cases there were, and which of them failed, in one line."""
    cases = dict.fromkeys(result.case for result in findings.results)
    if not findings.failed:
        return f"probes: {len(cases)} case(s), and none fails more often than it may"
    failed = ", ".join(
        f"{result.case} ({result.task} {result.failures} of {result.asked})"
        for result in findings.results
        if result.passed is False
    )
    return f"probes: {len(findings.failed)} of {len(cases)} cases fail more often than they may: {failed}"


def read_rows(folders: Folders, heads: Mapping[str, AnyHead], seed: int, limit: int, reading: Reading) -> Rows:
    """The rows that have a text, in an order that hangs on the seed and their ids alone."""
    columns = ["_id", reading.text_column, *([reading.pair_column] if reading.pair_column else [])]
    columns += [head.column for head in heads.values()]
    table = pq.read_table(folders.snapshot / f"{IN_DOMAIN}.parquet", columns=list(dict.fromkeys(columns))).to_pylist()
    answered = read_answers(folders.answers / f"{IN_DOMAIN}.parquet", heads).answers
    order = sorted(range(len(table)), key=lambda at: number_of(seed, table[at]["_id"]))
    order = [at for at in order if table[at][reading.text_column] is not None]
    clusters = read_clusters(folders.snapshot, IN_DOMAIN, reading.group_column)
    return Rows(
        originals=[_original(table[at], tag_columns(heads), reading) for at in order],
        heads=heads,
        labels={task: [table[at][head.column] for at in order] for task, head in heads.items()},
        answers={task: [answered[task][at] for at in order] for task in heads},
        cleaning=reading.cleaning,
        limit=limit,
        seed=seed,
        clusters=None if clusters is None else clusters[order],
        has_room=_room_in(folders.model),
    )


def _room_in(model: Path) -> Callable[[Text], bool]:
    """Whether a model that reads in windows has room for a second text beside one that an edit made longer."""
    limit = limit_of(model)
    encoder = TextEncoder(model / "encoder", limit)

    def has_room(text: Text) -> bool:
        if text.second is None or limit.beyond != "windows":
            return True
        try:
            encoder.encode([(text.text, text.second)])
        except NoRoomError:
            return False
        return True

    return has_room


def _original(row: Mapping[str, Any], columns: tuple[str, ...], reading: Reading) -> Original:
    text: str = row[reading.text_column]
    entities = [
        Entity(of["kind"], of["start"], of["end"])
        for column in columns
        if row[column] is not None
        for of in entities_of(row[column]["tags"], spans_of(row[column]["tokens"], text), text)
    ]
    return Original(Text(text, row[reading.pair_column] if reading.pair_column else None), tuple(entities))
