"""The data that ships: enough of it, no row twice, and every label where it belongs.

Texts are compared by the words they hold, in lower case and without punctuation.
"""

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array, triu

from data_contracts.dataset import load_contract
from tasks.validation.tags import tag_problem

SAMPLES = Path(__file__).resolve().parents[2] / "data_contracts" / "samples" / "support"
LABELLED = {
    "train": 1200,
    "validation": 250,
    "test": 300,
    "other_product": 150,
    "vietnamese": 150,
    "noisy": 150,
    "out_of_scope": 150,
    "fresh/week_2": 200,
}
WINDOWS = {f"windows/week_{week}": 200 for week in (1, 2, 3, 4)}
GRAM = 5
NEAR = 0.7

Row = dict[str, Any]


@cache
def rows_of(name: str) -> list[Row]:
    return [json.loads(line) for line in (SAMPLES / f"{name}.jsonl").open(encoding="utf-8")]


def normalised(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


@cache
def texts() -> list[tuple[str, str]]:
    """(file and line, normalised text) of every row, without the empty and cut texts that week_4 holds on purpose."""
    found = [
        (f"{name}:{number}", normalised(row["text"]))
        for name in (*LABELLED, *WINDOWS)
        for number, row in enumerate(rows_of(name), start=1)
    ]
    return [(where, text) for where, text in found if len(text) >= 12 or not where.startswith("windows/week_4")]


def near_duplicates(texts: list[str]) -> list[tuple[int, int]]:
    """Pairs whose sets of character 5-grams have a Jaccard similarity above 0.7.

    Two such sets share more than 0.7 of the larger one, so of each set's rarest 5-grams, as many as may be missing and
    one more, at least one is shared (Chaudhuri, Ganti & Kaushik 2006, prefix filtering): comparing these is enough
    to find every candidate.
    """
    sets = [{text[start : start + GRAM] for start in range(max(1, len(text) - GRAM + 1))} for text in texts]
    frequency = Counter(gram for grams in sets for gram in grams)
    rank = {gram: position for position, (gram, _) in enumerate(reversed(frequency.most_common()))}
    rarest = [sorted(rank[gram] for gram in grams)[: len(grams) - math.ceil(NEAR * len(grams)) + 1] for grams in sets]
    ends = np.cumsum([0, *(len(ranks) for ranks in rarest)])
    places = np.concatenate(rarest)
    matrix = csr_array((np.ones(len(places)), places, ends), shape=(len(texts), len(rank)))
    left, right = triu(matrix @ matrix.T, k=1).coords
    sizes = np.array([len(grams) for grams in sets])
    alike = np.minimum(sizes[left], sizes[right]) > NEAR * np.maximum(sizes[left], sizes[right])
    candidates = zip(left[alike].tolist(), right[alike].tolist(), strict=True)
    return [(a, b) for a, b in candidates if len(sets[a] & sets[b]) > NEAR * len(sets[a] | sets[b])]


def test_every_file_is_one_that_is_checked_here() -> None:
    found = {path.relative_to(SAMPLES).with_suffix("").as_posix() for path in SAMPLES.rglob("*.jsonl")}
    assert found == {*LABELLED, *WINDOWS}


@pytest.mark.parametrize("name", [*LABELLED, *WINDOWS])
def test_every_file_holds_enough_rows(name: str) -> None:
    assert len(rows_of(name)) >= {**LABELLED, **WINDOWS}[name]


def test_labelled_rows_have_the_contracts_columns_and_windows_have_no_labels() -> None:
    contract = load_contract("support")
    for names, columns in ((LABELLED, contract.columns), (WINDOWS, contract.without_labels().columns)):
        wanted = {column.name for column in columns}
        for name in names:
            assert [number for number, row in enumerate(rows_of(name), 1) if set(row) != wanted] == []


def test_no_text_occurs_twice_or_nearly_twice_in_any_files() -> None:
    assert len(texts()) > 3000
    found = near_duplicates([text for _, text in texts()])
    assert [(texts()[a], texts()[b]) for a, b in found] == []


def test_a_planted_near_duplicate_is_found() -> None:
    known = [text for _, text in texts()[:300]]
    position = max(range(len(known)), key=lambda n: len(known[n]))
    words = known[position].split()
    reworded = " ".join(["hello", *words[:-3]])
    # "abcdefghij" has six 5-grams; without its last letter five of them are left, and 5/6 is above 0.7.
    planted = [reworded, "abcdefghij", "abcdefghi", "", "vwxyz", "vwxyz"]
    last = len(known)
    assert set(near_duplicates(known + planted)) == {(position, last), (last + 1, last + 2), (last + 4, last + 5)}


def test_a_pair_at_the_limit_is_no_near_duplicate() -> None:
    # Seven of ten 5-grams are shared: 0.7 is not above 0.7. With seven of nine it is 0.78.
    assert near_duplicates(["abcdefghijk", "abcdefghijklmn"]) == []
    assert near_duplicates(["abcdefghijk", "abcdefghijklm"]) == [(0, 1)]


def test_no_more_than_five_rows_begin_with_the_same_four_words() -> None:
    openings = defaultdict(list)
    for where, text in texts():
        openings[" ".join(text.split()[:4])].append(where)
    assert len(openings) > 2000
    assert {opening: places for opening, places in openings.items() if len(places) > 5} == {}


@pytest.mark.parametrize("name", LABELLED)
def test_tags_are_legal_and_their_tokens_in_order_are_the_text_but_for_its_spaces(name: str) -> None:
    kinds = load_contract("support").column("entities").tag_kinds
    assert kinds
    for number, row in enumerate(rows_of(name), start=1):
        tokens, tags = row["entities"]["tokens"], row["entities"]["tags"]
        assert tag_problem(tokens, tags, kinds) is None, f"{name}:{number}"
        assert "".join(tokens) == "".join(row["text"].split()), f"{name}:{number}"


@pytest.mark.parametrize("name", LABELLED)
def test_labels_and_languages_are_those_of_the_contract_and_urgency_is_a_share(name: str) -> None:
    contract = load_contract("support")
    for number, row in enumerate(rows_of(name), start=1):
        for column in ("language", "intent", "sentiment"):
            allowed = {*(contract.column(column).labels or ()), *([None] if column == "intent" else [])}
            assert row[column] in allowed, f"{name}:{number}"
        assert 0 <= row["urgency"] <= 1, f"{name}:{number}"


def test_only_rows_out_of_scope_have_no_intent() -> None:
    for name in LABELLED:
        missing = sum(row["intent"] is None for row in rows_of(name))
        assert missing == (len(rows_of(name)) if name == "out_of_scope" else 0)


def test_every_label_and_entity_kind_occurs_often_enough_to_be_learnt() -> None:
    contract = load_contract("support")
    for column in ("intent", "sentiment"):
        labels = contract.column(column).labels
        assert labels
        counts = Counter(row[column] for row in rows_of("train"))
        assert {label: counts[label] for label in labels if counts[label] < 30} == {}
    kinds = contract.column("entities").tag_kinds
    assert kinds
    found = Counter(tag for row in rows_of("train") for tag in row["entities"]["tags"])
    assert {kind: found[f"B-{kind}"] for kind in kinds if found[f"B-{kind}"] < 30} == {}
