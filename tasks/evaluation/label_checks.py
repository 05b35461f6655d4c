"""Which labels of a snapshot are likely wrong: in training by what other rows say, in domain by what the model does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_contracts.splits import TRAIN
from tasks.evaluation.baselines import read_texts
from tasks.evaluation.known_labels import read_known_labels
from tasks.evaluation.label_errors import SEED, Suspect, held_out_shares, suspects
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.answers import read_ids, read_labels
from tasks.modeling.calibration import shares_of
from tasks.modeling.heads import AnyHead
from tasks.modeling.label_scores import read_label_scores
from tasks.modeling.limits import TokenLimit
from tasks.modeling.row_ids import sample_own
from tasks.modeling.text_states import text_states

LEAST_ROWS, MOST_ROWS = 50, 10_000


def suspects_in_training(
    snapshot: Path, heads: Mapping[str, AnyHead], encoder: Path, limit: TokenLimit, text_columns: Sequence[str]
) -> dict[str, list[Suspect]]:
    """Of every head of one label, by the states of the pre-trained encoder; see `held_out_shares`.

    At most MOST_ROWS rows are looked at, drawn at random; none that was made from another one. A task with fewer than
    50 labelled rows, or one label alone, is left out.
    """
    answering = {task: head for task, head in heads.items() if head.one_label}
    if not answering:
        return {}
    ids = read_ids(snapshot, TRAIN)
    rows = sample_own(ids, MOST_ROWS, SEED)
    every_text = read_texts(snapshot, TRAIN, text_columns)
    texts = [every_text[row] for row in rows]
    states = text_states(encoder, texts, limit)
    labels = read_labels(snapshot, TRAIN, answering)
    found = {}
    for task, head in answering.items():
        places = {label: position for position, label in enumerate(head.labels)}
        known = [at for at, row in enumerate(rows) if labels[task][row] is not None]
        given = np.array([places[labels[task][rows[at]]] for at in known], dtype=np.int64)
        if len(known) < LEAST_ROWS or len(np.unique(given)) < 2:
            continue
        shares = held_out_shares(states[known], given, len(head.labels))
        found[task] = suspects([ids[rows[at]] for at in known], [texts[at] for at in known], given, shares, head.labels)
    return found


def suspects_in_domain(
    snapshot: Path, answers: Path, heads: Mapping[str, AnyHead], text_columns: Sequence[str]
) -> dict[str, list[Suspect]]:
    """Of every head of one label, by the probabilities of the model, which has not seen these rows."""
    answering = {task: head for task, head in heads.items() if head.one_label}
    ids, texts = read_ids(snapshot, IN_DOMAIN), read_texts(snapshot, IN_DOMAIN, text_columns)
    labels = read_known_labels(snapshot, IN_DOMAIN, answering)
    found = {}
    for task, head in answering.items():
        places = {label: position for position, label in enumerate(head.labels)}
        known = [row for row, label in enumerate(labels[task]) if label is not None]
        if len(known) < LEAST_ROWS:
            continue
        given = np.array([places[labels[task][row]] for row in known], dtype=np.int64)
        temperature = float(getattr(head, "temperature", 1.0))
        shares = shares_of(np.asarray(read_label_scores(answers, IN_DOMAIN, task)[known]), temperature)
        found[task] = suspects([ids[row] for row in known], [texts[row] for row in known], given, shares, head.labels)
    return found
