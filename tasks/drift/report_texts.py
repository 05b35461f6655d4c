"""Sections about the texts: where they lie, the words that rose, what was answered, and those unlike all before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.drift import pictures
from tasks.drift.evidence import SeenRows, WindowEvidence
from tasks.drift.labelling import first_of_each
from tasks.drift.novelty import nearest_distances
from tasks.drift.slices import length_quarters, moved_slices
from tasks.drift.words import risen_words
from tasks.modeling.heads import AnyHead
from tasks.reporting.pictures import told
from tasks.reporting.sections import Column, Picture, Section, Table, Value

TEXTS_SHOWN = 12
WHICH_ROWS = "Which rows tell them apart"
LABELS_SHOWN = 12
CHARACTERS_SHOWN = 300


def texts(evidence: WindowEvidence) -> Section | None:
    """The map of embeddings and the words that rose."""
    drawn, sentences = [], []
    window, reference = evidence.window, evidence.reference
    if len(window.embeddings) and len(reference.embeddings) > 1:
        drawn.append(
            Picture("map", "Where the texts lie", pictures.embedding_map(reference.embeddings, window.embeddings))
        )
    if window.texts and reference.texts:
        words = risen_words(window.shown, reference.shown)
        if words:
            caption = told("Words that rose, and the texts that hold them", [word.word for word in words])
            drawn.append(Picture("words", caption, pictures.risen(words)))
        else:
            sentences.append("No word rose by more than chance explains.")
    return (
        Section("texts", "What the texts are about", sentences=sentences, pictures=drawn)
        if drawn or sentences
        else None
    )


def slices(evidence: WindowEvidence) -> Section | None:
    """Kinds of rows, by their columns and the length of their texts, that have become more or less frequent."""
    window, reference = evidence.window, evidence.reference
    if not window.texts or not reference.texts:
        return None
    sides = [{**side.others, "length": length_quarters(side.shown, reference.shown)} for side in (window, reference)]
    moved = moved_slices(*sides)
    if not moved:
        return Section(
            "slices", "Which rows tell them apart", sentences=["No slice moved by more than chance explains."]
        )
    columns = (Column("slice"), Column("window", "number"), Column("reference", "number"), Column("z", "number", 1))
    rows = [(of.name, of.window, of.reference, of.z) for of in moved]
    note = "Shares of rows; z is how far a share has moved, in standard deviations."
    return Section("slices", WHICH_ROWS, note, tables=[Table(columns, rows)])


def answers(evidence: WindowEvidence) -> Section | None:
    """What was answered how often, in the reference and in the window; of many labels those that moved most."""
    drawn = []
    for task, head in evidence.heads.items():
        if head.is_number or head.in_text:
            continue
        before, now = (label_shares(head, rows.answers.get(task, ())) for rows in (evidence.reference, evidence.window))
        estimated = evidence.proportions.get(task)
        if not before or not now:
            continue
        moved = {label: abs(now.get(label, 0) - before.get(label, 0)) for label in before | now}
        most = sorted(moved, key=lambda label: (-moved[label], label))[:LABELS_SHOWN]
        most.sort(key=lambda label: -max(now.get(label, 0), before.get(label, 0)))
        picture = pictures.label_shares(before, {label: now.get(label, 0.0) for label in most}, estimated)
        rest = f", the {len(most)} of {len(moved)} that moved most" if len(moved) > len(most) else ""
        drawn.append(Picture(f"labels_{task}", told(f"{task}{rest}", most), picture))
    note = "Shares of what the model answers, which move with the texts and with its mistakes."
    note += " The estimate takes the mistakes out." if evidence.proportions else ""
    return Section("answers", "Label proportions", note, pictures=drawn) if drawn else None


def unlike(evidence: WindowEvidence) -> Section | None:
    """Texts of the window that are farthest from any row of the reference, with the answers to them."""
    window, reference = evidence.window, evidence.reference
    if not len(window.embeddings) or len(reference.embeddings) < 2:
        return None
    shown = window.shown
    firsts = np.array(first_of_each(shown))
    distances = nearest_distances(window.embeddings[firsts], reference.embeddings)
    usual = float(np.median(nearest_distances(reference.embeddings[::2], reference.embeddings[1::2])))
    farthest = np.argsort(-distances, kind="stable")[:TEXTS_SHOWN]
    columns = (Column("text", "text"), Column("answers", "text"), Column("distance", "number", 2))
    rows: list[tuple[Value, ...]] = [
        (
            _cut(shown[firsts[at]]),
            " · ".join(
                f"{task}: {_answered(window, int(firsts[at]), task, of)}" for task, of in evidence.heads.items()
            ),
            float(distances[at] / usual) if usual > 0 else float(distances[at]),
        )
        for at in farthest
    ]
    note = (
        "Distance to the nearest row of the reference, where 1 is what is usual among the reference's own. Behind each "
        "answer stands how sure the model is."
    )
    return Section("unlike", "Texts most unlike the reference", note, tables=[Table(columns, rows)])


def label_shares(head: AnyHead, given: Sequence[Any]) -> dict[str, float]:
    """{label: share of the texts that were answered with it}; of tagged words, the kinds of entities in a text."""
    known = [answer for answer in given if answer is not None]
    counts = Counter(label for answer in known for label in _labels_in(head, answer))
    return {label: count / len(known) for label, count in counts.items()}


def _labels_in(head: AnyHead, answer: str | Sequence[str]) -> set[str]:
    labels = {answer} if isinstance(answer, str) else set(answer)
    return {tag.partition("-")[2] for tag in labels if tag != "O"} if head.of_words else labels


def _answered(rows: SeenRows, position: int, task: str, head: AnyHead) -> str:
    answer = rows.answers[task][position]
    if answer is None:
        return "no answer"
    sure: Mapping[str, Any] = rows.confidences
    confidence = f" ({sure[task][position]:.2f})" if task in sure else ""
    return f"{in_words(head, answer, rows.texts[position])}{confidence}"


def in_words(head: AnyHead, answer: Any, text: str) -> str:
    """An answer for people: an entity by kind and text, a number in three digits."""
    if head.is_number:
        return f"{answer:.3g}"
    said = head.said(answer, text) if head.of_words else head.in_words(answer)
    return (", ".join(said) or "none") if isinstance(said, list) else str(said)


def _cut(text: str) -> str:
    return text if len(text) <= CHARACTERS_SHOWN else f"{text[:CHARACTERS_SHOWN]}…"
