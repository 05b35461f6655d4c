"""Pairs of texts that share most of their shingles, found by MinHash and verified by counting them.

Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", chapter 3: signatures are cut into bands, and two texts are
compared where all rows of some band agree, which happens with probability 1 - (1 - s^rows)^bands at similarity s.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rensa import RMinHash

from data_contracts.errors import InputError

# Of five characters, because short texts have few words: one of six words changed leaves half of the word pairs, and
# more than half of these. A text of fewer characters is one shingle.
SHINGLE = 5
# Of the pairs that are just as similar as asked for, at least so many are compared.
RECALL = 0.95
# More hashes would tell candidates better from others; verifying the others costs less.
MOST_HASHES = 64
# Rows of one band that are compared with all others of it: so thousands of rows of one template cost a few thousand
# comparisons and not millions, and each still meets those that come first.
FIRST_ROWS = 8
# Shingles and pairs that are held at a time.
SHINGLES_AT_A_TIME = 2_000_000
PAIRS_AT_A_TIME = 1 << 16

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

# Odd numbers of 64 bits: multiplied by one each, equal values at different places count differently.
ODD = np.array([0x9E3779B97F4A7C15 * (2 * place + 1) ** 7 % 2**64 for place in range(MOST_HASHES)], dtype=np.uint64)


class Shingles(NamedTuple):
    """Hashed shingles of some texts one after the other, and where each text's begin, with the end of the last."""

    hashes: Hashes
    offsets: Rows


def near_pairs(file: Path, ranked: Rows, similarity: float, scratch: Path) -> Rows:
    """Pairs of rows of the Arrow file's column `text`, of shape (pairs, 2), of at least this Jaccard similarity.

    `ranked` are the rows to compare, whose texts differ, the most important first; the first row of a pair is the one
    that comes earlier there, and pairs are ordered by their second and then their first row's place. `scratch`
    takes 144 bytes a row. Raises InputError for a similarity that is not from 0.5 to 1.
    """
    bands, hashes = bands_for(similarity)
    if len(ranked) < 2:
        return np.empty((0, 2), dtype=np.int64)
    with pa.memory_map(str(file)) as source:
        texts = pa.ipc.open_file(source).read_all().column("text")
        lengths = np.maximum(pc.utf8_length(texts).to_numpy().astype(np.int64), 1)
        keys, sketches = _signed(texts, ranked, lengths[ranked], (bands, hashes), scratch)
        compared = accepted = np.empty(0, dtype=np.int64)
        for band in range(bands):
            promising = _promising(_candidates(keys[band]), sketches, similarity)
            promising = np.setdiff1d(promising, compared, assume_unique=True)
            compared = np.sort(np.concatenate([compared, promising]))
            later, earlier = np.divmod(promising, len(ranked))
            for part in _parts(lengths[ranked[earlier]] + lengths[ranked[later]]):
                near = jaccard(texts, ranked[earlier[part]], ranked[later[part]]) >= similarity
                accepted = np.concatenate([accepted, promising[part][near]])
    later, earlier = np.divmod(np.sort(accepted), len(ranked))
    return np.stack([ranked[earlier], ranked[later]], axis=1)


def bands_for(similarity: float) -> tuple[int, int]:
    """Bands and hashes a band that miss few of the similar pairs and compare few others."""
    if not 0.5 <= similarity <= 1:
        raise InputError(f"texts of a similarity of {similarity} are not nearly the same: give one from 0.5 to 1")
    if similarity == 1:
        return 1, MOST_HASHES
    needed = {
        hashes: math.ceil(math.log(1 - RECALL) / math.log1p(-(similarity**hashes)))
        for hashes in range(1, MOST_HASHES + 1)
    }
    hashes = max(hashes for hashes, bands in needed.items() if hashes * bands <= MOST_HASHES)
    return needed[hashes], hashes


def shingles_of(texts: Any) -> Shingles:
    """All runs of five characters of each text of an Arrow array."""
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    # Zeros after each text complete those that are shorter than a shingle; in the others they are not reached.
    joined = "".join(text + "\0" * SHINGLE for text in texts.to_pylist())
    letters = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    windows = np.maximum(len(letters) - SHINGLE + 1, 0)
    hashes = np.zeros(windows, dtype=np.uint64)
    for place in range(SHINGLE):
        hashes += letters[place : place + windows] * ODD[place]
    counts = np.maximum(lengths - SHINGLE + 1, 1)
    begins = np.cumsum(lengths + SHINGLE) - lengths - SHINGLE
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    return Shingles(_mixed(hashes[_ranges(begins, counts)]), offsets)


def signatures_of(shingles: Shingles, hashes: int) -> npt.NDArray[np.uint32]:
    """MinHash signatures of shape (texts, hashes): two agree in as large a share as their texts' shingles do."""
    offsets = shingles.offsets.astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles.hashes, offsets, hashes, seed=1)
    return np.array(matrix.to_rows(), dtype=np.uint32)


def band_keys(signatures: npt.NDArray[np.uint32], bands: int) -> Hashes:
    """One number for what a signature has in each band, of shape (bands, texts)."""
    cut = signatures.reshape(len(signatures), bands, -1).astype(np.uint64)
    return _mixed((cut * ODD[: cut.shape[2]]).sum(axis=2, dtype=np.uint64)).T


def jaccard(texts: Any, left: Rows, right: Rows) -> npt.NDArray[np.float64]:
    """Similarity of the shingle sets of the texts at `left` and `right`, pair by pair; at most 65,536 pairs."""
    rows, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    hashes, offsets = shingles_of(texts.take(pa.array(rows)))
    starts, counts = offsets[places], np.diff(offsets)[places]
    # Of 64 bits: 16 for the pair, 47 of the shingle's hash, one for the side. Sorted, what both have lies together.
    pair = np.repeat(np.tile(np.arange(len(left), dtype=np.uint64), 2), counts) << np.uint64(48)
    side = np.repeat(np.repeat(np.arange(2, dtype=np.uint64), len(left)), counts)
    values = np.sort(pair | (hashes[_ranges(starts, counts)] >> np.uint64(17) << np.uint64(1)) | side)
    # A shingle that a text has twice counts once. (np.unique hashes integers, and is slow on these.)
    values = values[np.diff(values, prepend=~values[:1]) != 0]
    of_pair = (values >> np.uint64(48)).astype(np.int64)
    shared = values[1:] >> np.uint64(1) == values[:-1] >> np.uint64(1)
    both = np.bincount(of_pair[1:][shared], minlength=len(left))
    return both / (np.bincount(of_pair, minlength=len(left)) - both)


def starts_of_runs(values: npt.NDArray[Any]) -> Rows:
    """For every place in sorted values the first place with the same value."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    starts = np.zeros(len(values), dtype=np.int64)
    starts[changes] = changes
    return np.maximum.accumulate(starts)


def _signed(
    texts: Any, ranked: Rows, lengths: Rows, shape: tuple[int, int], scratch: Path
) -> tuple[Hashes, npt.NDArray[np.uint8]]:
    """Band keys of shape (bands, texts) and the signatures' lowest bytes of shape (texts, hashes), in files."""
    bands, hashes = shape
    keys = np.memmap(scratch / "bands.u64", dtype=np.uint64, mode="w+", shape=(bands, len(ranked)))
    sketches = np.memmap(scratch / "sketches.u8", dtype=np.uint8, mode="w+", shape=(len(ranked), bands * hashes))
    for part in _parts(lengths):
        signatures = signatures_of(shingles_of(texts.take(pa.array(ranked[part]))), bands * hashes)
        sketches[part] = signatures
        keys[:, part] = band_keys(signatures, bands)
    return keys, sketches


def _candidates(keys: Hashes) -> Rows:
    """Pairs of places with the same key, as later * len(keys) + earlier, sorted; each place with its key's first."""
    order = np.argsort(keys, kind="stable")
    places, starts = np.arange(len(keys)), starts_of_runs(keys[order])
    pairs = []
    for nth in range(FIRST_ROWS):
        behind = np.flatnonzero(places - starts > nth)
        pairs.append(order[behind] * len(keys) + order[starts[behind] + nth])
    return np.sort(np.concatenate(pairs))


def _promising(candidates: Rows, sketches: npt.NDArray[np.uint8], similarity: float) -> Rows:
    """Candidates whose whole signatures agree about as much as they should; most are cut off here, and cheaply."""
    hashes = sketches.shape[1]
    # Four standard deviations below: one similar pair in 30,000 is lost.
    floor = similarity - 4 * math.sqrt(similarity * (1 - similarity) / hashes)
    kept = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(candidates), PAIRS_AT_A_TIME):
        part = candidates[start : start + PAIRS_AT_A_TIME]
        later, earlier = np.divmod(part, len(sketches))
        kept.append(part[(sketches[later] == sketches[earlier]).mean(axis=1) >= floor])
    return np.concatenate(kept)


def _parts(lengths: Rows) -> Iterator[slice]:
    """Slices of at most PAIRS_AT_A_TIME entries, of which none but a single one is longer than SHINGLES_AT_A_TIME."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = ends[start] - lengths[start]
        full = int(np.searchsorted(ends, before + SHINGLES_AT_A_TIME, side="right"))
        stop = min(max(full, start + 1), start + PAIRS_AT_A_TIME, len(lengths))
        yield slice(start, stop)
        start = stop


def _ranges(starts: Rows, counts: Rows) -> Rows:
    """The numbers start, start + 1, ..., `count` of them, for all starts one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)


def _mixed(values: Hashes) -> Hashes:
    """Every bit of a value spread over all (the finaliser of MurmurHash3, Appleby 2011)."""
    values = values ^ (values >> np.uint64(33))
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))
