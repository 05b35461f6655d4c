"""Which rows repeat others, exactly or nearly, and which of them are kept."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.errors import InputError
from data_contracts.texts import words_alone
from tasks.validation.duplicates import EMPTY, Duplicates, exact_groups, find_duplicates, fingerprints
from tasks.validation.near_duplicates import bands_for, jaccard, near_pairs, shingles_of

SAMPLES = Path(__file__).resolve().parents[3] / "data_contracts" / "samples" / "support"
TEST, VALIDATION, TRAIN = 2, 1, 0


def duplicates_in(rows: list[tuple[str, int]], similarity: float | None, scratch: Path) -> Duplicates:
    """Of rows given as (text, priority)."""
    texts, priority = [text for text, _ in rows], np.array([level for _, level in rows])
    return find_duplicates([words_alone(pa.array(texts))], priority, similarity, scratch)


def sample_texts(count: int) -> list[str]:
    lines = (SAMPLES / "train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = words_alone(pa.array([json.loads(line)["text"] for line in lines[:count]])).to_pylist()
    assert len(texts) == count
    return texts


def grams(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(max(1, len(text) - 4))}


def similarity_of(one: str, other: str) -> float:
    """Jaccard similarity of the sets of 5-grams, counted in the plain way."""
    return len(grams(one) & grams(other)) / len(grams(one) | grams(other))


def written(texts: list[str], folder: Path) -> Path:
    """An Arrow file of three batches."""
    path = folder / "texts.arrow"
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=max(1, len(texts) // 3))
    return path


def variants(texts: list[str], seed: int) -> list[str]:
    """Each text with a word or two left out or added."""
    generator = np.random.default_rng(seed)
    changed = []
    for text in texts:
        words = text.split()
        for _ in range(generator.integers(1, 3)):
            place = int(generator.integers(len(words)))
            words[place : place + int(generator.integers(2))] = ["really"] if generator.random() < 0.5 else []
            words = words or ["empty"]
        changed.append(" ".join(words))
    return changed


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Where's my  order?! ", "where s my order"),
        ("ＦＵＬＬ ﬁne ①", "full fine 1"),
        ("ĐÃ TRẢ – hàng", "đã trả hàng"),
        ("tra\u0309 ha\u0300ng", "trả hàng"),
        ("snake_case 1.290.000đ", "snake case 1 290 000đ"),
        # A vowel sign of Hindi is part of its word.
        ("हिन्दी!", "हिन्दी"),
        ("👍 !!", ""),
        ("", ""),
    ],
)
def test_normalised_text_is_lower_case_words_with_single_spaces(text: str, plain: str) -> None:
    assert words_alone(pa.array([text])).to_pylist() == [plain]
    assert words_alone(pa.chunked_array([[text], [text]])).to_pylist() == [plain, plain]


def test_fingerprints_are_the_same_everywhere_and_empty_texts_have_none() -> None:
    prints = fingerprints(pa.array(["refund", "", None, "refund", "refunds"]))
    # The value that pandas.util.hash_array documents by its key, so that stored fingerprints stay comparable.
    assert prints.tolist() == [7280734753672483512, 0, 0, 7280734753672483512, prints[4]]
    assert prints[4] not in (prints[0], EMPTY)
    assert fingerprints(pa.chunked_array([["refund"], ["", "refunds"]])).tolist() == [prints[0], 0, prints[4]]
    assert fingerprints(pa.array(["refund"], pa.large_string()))[0] == prints[0]


def test_the_first_row_of_the_highest_priority_stands_for_its_group() -> None:
    prints = np.array([7, 5, 7, 5, 9, 7, 0, 0], dtype=np.uint64)
    equal = np.zeros(8, dtype=np.int64)
    assert exact_groups(prints, equal).tolist() == [0, 1, 0, 1, 4, 0, 6, 7]
    levels = np.array([0, 2, 1, 2, 0, 1, 0, 1])
    assert exact_groups(prints, levels).tolist() == [2, 1, 2, 1, 4, 2, 6, 7]


def test_exact_duplicates_are_told_across_batches_and_splits(tmp_path: Path) -> None:
    train, test = ["Hello there", "Where is it?", "hello, there!", ""], ["Where is it", "", "HELLO THERE", "new"]
    batches = [words_alone(pa.array(train)), words_alone(pa.array(test))]
    found = find_duplicates(iter(batches), np.array([TRAIN] * 4 + [TEST] * 4), None, tmp_path)
    assert found.of.tolist() == [6, 4, 6, -1, -1, -1, -1, -1]
    assert found.exact.tolist() == [True, True, True, False, False, False, False, False]
    assert list(tmp_path.iterdir()) == []


def test_every_text_needs_a_priority(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 texts but 3 priorities"):
        find_duplicates([pa.array(["a", "b"])], np.zeros(3, dtype=np.int64), None, tmp_path)
    nothing = find_duplicates([], np.zeros(0, dtype=np.int64), 0.8, tmp_path)
    assert (nothing.of.tolist(), nothing.exact.tolist()) == ([], [])


LONG = "my kettle leaks water every time that i start it in the morning"


def test_a_near_duplicate_names_the_row_it_repeats(tmp_path: Path) -> None:
    rows = [(LONG, TRAIN), ("nothing of the kind at all", TRAIN), (f"{LONG} again", TRAIN), (f"{LONG}!", TRAIN)]
    found = duplicates_in(rows, 0.8, tmp_path)
    assert found.of.tolist() == [-1, -1, 0, 0]
    assert found.exact.tolist() == [False, False, False, True]


def test_of_two_splits_the_one_of_higher_priority_keeps_its_row(tmp_path: Path) -> None:
    rows = [(LONG, TRAIN), (f"{LONG} again", VALIDATION), (f"{LONG} now", TEST), (LONG, TRAIN)]
    assert duplicates_in(rows, 0.8, tmp_path).of.tolist() == [2, 2, -1, 2]


# Each is near to the next (59 of 73 shingles are shared, then 73 of 90), the first and the last are not (59 of 90).
CHAIN = [LONG, f"{LONG} and stops now", f"{LONG} and stops now for a long while"]


def test_a_row_that_is_dropped_does_not_drop_its_own_neighbours(tmp_path: Path) -> None:
    pairs = itertools.combinations(CHAIN, 2)
    assert [similarity_of(*pair) for pair in pairs] == pytest.approx([59 / 73, 59 / 90, 73 / 90])
    assert duplicates_in([(text, TRAIN) for text in CHAIN], 0.8, tmp_path).of.tolist() == [-1, 0, -1]


def test_across_splits_even_a_dropped_row_of_the_test_split_counts(tmp_path: Path) -> None:
    # Whoever keeps duplicates within the test split must not find one of them in training.
    first, second, third = CHAIN
    found = duplicates_in([(third, TRAIN), (second, TRAIN), (first, TEST), (second, TEST)], 0.8, tmp_path)
    assert found.of.tolist() == [3, 3, -1, 2]
    assert found.exact.tolist() == [False, True, False, False]


def test_a_copy_of_a_dropped_row_repeats_what_that_one_repeats(tmp_path: Path) -> None:
    rows = [(f"{LONG} again", TRAIN), (f"{LONG} again.", TRAIN), (LONG, TEST)]
    found = duplicates_in(rows, 0.8, tmp_path)
    assert found.of.tolist() == [2, 2, -1]
    assert found.exact.tolist() == [False, False, False]


def test_texts_without_a_word_are_nobodys_duplicates(tmp_path: Path) -> None:
    assert duplicates_in([("!", TRAIN), ("?", TRAIN), ("", TEST), ("👍", TEST)], 0.8, tmp_path).of.tolist() == [-1] * 4


def test_short_texts_are_compared_as_a_whole(tmp_path: Path) -> None:
    rows = [("ok", TRAIN), ("OK!", TRAIN), ("no", TRAIN), ("oka", TRAIN), ("o k", TRAIN)]
    assert duplicates_in(rows, 0.8, tmp_path).of.tolist() == [-1, 0, -1, -1, -1]


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9, 0.97])
def test_bands_find_95_of_100_pairs_at_the_limit(similarity: float) -> None:
    # Leskovec, Rajaraman & Ullman, section 3.4.2: 1 - (1 - s^r)^b.
    bands, hashes = bands_for(similarity)
    assert 1 - (1 - similarity**hashes) ** bands >= 0.95
    assert 1 - (1 - similarity**hashes) ** (bands - 1) < 0.95
    assert bands * hashes <= 64


def test_bands_at_080_are_ten_of_six_hashes() -> None:
    # 0.8^6 = 0.262; 0.738^10 = 0.048 and 0.738^9 = 0.065; seven hashes would need 13 bands, 91 in all.
    assert bands_for(0.8) == (10, 6)
    assert bands_for(1) == (1, 64)


@pytest.mark.parametrize("similarity", [0.49, 1.01, 8])
def test_a_similarity_of_no_near_duplicates_is_refused(similarity: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"a similarity of {similarity} .* from 0.5 to 1"):
        duplicates_in([("one", TRAIN), ("two", TRAIN)], similarity, tmp_path)


def test_shingles_are_the_runs_of_five_characters() -> None:
    hashes, offsets = shingles_of(pa.array(["abcdef", "bcdef", "abc", "abcde", "đơn hàng", "abcabcabc"]))
    # Two, one, one, one, four and five of them.
    assert offsets.tolist() == [0, 2, 3, 4, 5, 9, 14]
    assert hashes[1] == hashes[2]
    assert hashes[0] == hashes[4]
    # The last text has "abcab" and "bcabc" twice; nothing else is equal.
    assert hashes[9:11].tolist() == hashes[12:14].tolist()
    assert len(set(hashes.tolist())) == 14 - 4


def test_similarity_is_counted_on_sets_of_shingles() -> None:
    texts = pa.chunked_array([["abcdefghij", "abcdefghi"], ["abcabcabc", "abcabc", "xyz"]])
    left, right = np.array([0, 2, 0, 4]), np.array([1, 3, 4, 4])
    # 5 of 6; {abcab, bcabc} of {abcab, bcabc, cabca}; none; all.
    assert jaccard(texts, left, right).tolist() == pytest.approx([5 / 6, 2 / 3, 0, 1])


def test_pairs_are_those_that_comparing_everything_gives(tmp_path: Path) -> None:
    originals = sample_texts(150)
    texts = list(dict.fromkeys([*originals, *variants(originals, seed=1), *variants(originals, seed=2)]))
    sets = [grams(text) for text in texts]
    every = itertools.combinations(range(len(texts)), 2)
    wanted = {(a, b) for a, b in every if len(sets[a] & sets[b]) >= 0.7 * len(sets[a] | sets[b])}
    found = near_pairs(written(texts, tmp_path), np.arange(len(texts)), 0.7, tmp_path)
    pairs = {(first, second) for first, second in found.tolist()}
    assert len(wanted) > 100
    assert len(pairs) == len(found)
    assert pairs <= wanted
    assert len(pairs) >= 0.95 * len(wanted)
    assert [second for _, second in found.tolist()] == sorted(second for _, second in found.tolist())


def test_pairs_just_at_the_limit_are_found_19_times_in_20(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    texts = []
    for _ in range(1000):
        # 49 random characters are 45 shingles; of a longer one with 11 more behind it they are 45 of 56, or 0.804.
        text = "".join(generator.choice(letters, 60))
        texts += [text[:49], text]
    found = near_pairs(written(texts, tmp_path), np.arange(len(texts)), 0.8, tmp_path)
    assert {(first, second) for first, second in found.tolist()} <= {(2 * n, 2 * n + 1) for n in range(1000)}
    assert len(found) >= 950


def test_the_order_of_rank_decides_which_of_a_pair_is_the_first(tmp_path: Path) -> None:
    texts = [LONG, "something else entirely", f"{LONG} again"]
    assert near_pairs(written(texts, tmp_path), np.array([0, 1, 2]), 0.8, tmp_path).tolist() == [[0, 2]]
    assert near_pairs(written(texts, tmp_path), np.array([2, 1, 0]), 0.8, tmp_path).tolist() == [[2, 0]]
    # A row that is not ranked is not compared.
    assert near_pairs(written(texts, tmp_path), np.array([0, 1]), 0.8, tmp_path).tolist() == []


def test_thousands_of_rows_of_one_template_cost_few_comparisons_and_leave_few_rows(tmp_path: Path) -> None:
    texts = [f"{LONG} and so the order {number} has to be sent back to the shop at once" for number in range(1000)]
    assert similarity_of(texts[0], texts[999]) > 0.8
    pairs = near_pairs(written(texts, tmp_path), np.arange(1000), 0.8, tmp_path)
    # Eight comparisons a row and band, not 500 a row.
    assert len(pairs) <= 8 * 10 * 1000 < 1000 * 999 / 2
    found = duplicates_in([(text, TRAIN) for text in texts], 0.8, tmp_path)
    kept = np.flatnonzero(found.of < 0).tolist()
    assert kept[0] == 0
    assert len(kept) <= 0.01 * 1000
    assert not found.exact.any()
