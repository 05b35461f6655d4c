"""Which language a text is written in, by the model of py3langid: naive Bayes over byte n-grams, without a network.

Lui & Baldwin 2012, "langid.py: An Off-the-shelf Language Identification Tool" (ACL). The library walks its automaton
over one text at a time; here all texts of a batch take each step together, through the library's own tables.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from scipy.sparse import csr_array

from data_contracts.errors import InputError

# ISO 639-2's code for a language that is not determined.
UNDETERMINED = "und"
# Below 12 bytes (three short words, four Chinese characters) one text in three is taken for another language.
MIN_BYTES = 12
# Cut to whatever length, texts whose best language has at least this probability are right in 98 % and more.
MIN_PROBABILITY = 0.5
# A language shows within the first lines; the rest of a long text would only cost time.
MAX_BYTES = 1000
BATCH = 8192


class _Model(NamedTuple):
    """The automaton's next state by (row of the state, byte), each state's row and feature (-1: none); then the Bayes
    weights of shape (features, languages) and priors of the languages that may be answered."""

    steps: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.int64]
    features: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    priors: npt.NDArray[np.float32]
    codes: npt.NDArray[np.str_]


def language_of(texts: Sequence[str], among: Sequence[str] | None = None) -> list[tuple[str, float]]:
    """ISO 639-1 code and probability of every text's language, "und" where text or probability are too small.

    `among` leaves only these languages to choose from, so that their probabilities sum to one: right where no others
    can occur, and wrong for finding those that should not. Raises InputError for a code that the model does not know.
    """
    model = _load_model(None if among is None else tuple(among))
    found: list[tuple[str, float]] = []
    for start in range(0, len(texts), BATCH):
        encoded = [_bytes_of(text) for text in texts[start : start + BATCH]]
        probabilities = _probabilities(encoded, model)
        best = probabilities.argmax(axis=1)
        certain = probabilities[np.arange(len(encoded)), best]
        short = np.fromiter(map(len, encoded), dtype=np.int64) < MIN_BYTES
        codes = np.where(short | (certain < MIN_PROBABILITY), UNDETERMINED, model.codes[best])
        found += zip(codes.tolist(), certain.tolist(), strict=True)
    return found


def language_shares(texts: Sequence[str], among: Sequence[str] | None = None) -> dict[str, float]:
    """{language: its share of the texts}, the largest first; "und" has a share too."""
    counts = Counter(code for code, _ in language_of(texts, among))
    return {code: count / len(texts) for code, count in counts.most_common()}


@cache
def _load_model(among: tuple[str, ...] | None) -> _Model:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    # Codes of three letters are small languages, such as Nigerian Pidgin, that misspelt English is taken for.
    known = sorted(code for code in identifier.labels if len(code) == 2)
    unknown = sorted(set(among or ()) - set(known))
    if unknown:
        raise InputError(f"languages {', '.join(unknown)} cannot be told apart; those that can are {', '.join(known)}")
    identifier.set_languages(known if among is None else among)
    return _Model(
        steps=np.asarray(identifier.tk_nextmove),
        rows=np.asarray(identifier.tk_row, dtype=np.int64) << 8,
        features=np.asarray(identifier.tk_output, dtype=np.int64),
        weights=np.ascontiguousarray(identifier.nb_ptc, dtype=np.float32),
        priors=np.asarray(identifier.nb_pc, dtype=np.float32),
        codes=np.array(identifier.nb_classes),
    )


def _bytes_of(text: str) -> bytes:
    """As the model was trained: composed letters, and no text in capitals alone."""
    lowered = text[:MAX_BYTES].lower() if text.isupper() else text[:MAX_BYTES]
    return unicodedata.normalize("NFC", lowered).encode(errors="surrogatepass")[:MAX_BYTES]


def _probabilities(encoded: list[bytes], model: _Model) -> npt.NDArray[np.float32]:
    """Of shape (texts, languages); softmax at the temperature that py3langid calibrates by, the root of the length."""
    counts = _features_in(encoded, model)
    counts.data = np.log1p(counts.data)
    scores = counts @ model.weights + model.priors
    lengths = np.fromiter(map(len, encoded), dtype=np.float32, count=len(encoded))
    scores /= np.sqrt(np.maximum(lengths, 1))[:, None]
    # Without a single feature nothing speaks for any language, and the priors alone must not.
    scores[np.diff(counts.indptr) == 0] = 0
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True), dtype=np.float32)


def _features_in(encoded: list[bytes], model: _Model) -> csr_array:
    """Counts of shape (texts, features)."""
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    letters = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    # The longest first, so that the texts which still have a byte at a position are the first of them.
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    left = np.searchsorted(-lengths[order], -np.arange(lengths.max(initial=0)))
    states = np.zeros(len(encoded), dtype=np.int64)
    texts, features = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for position, rows in enumerate(left.tolist()):
        states[:rows] = model.steps[model.rows[states[:rows]] + letters[starts[:rows] + position]]
        reached = model.features[states[:rows]]
        hits = np.flatnonzero(reached >= 0)
        texts.append(order[hits])
        features.append(reached[hits])
    where = (np.concatenate(texts), np.concatenate(features))
    counts = csr_array((np.ones(len(where[0]), dtype=np.float32), where), shape=(len(encoded), len(model.weights)))
    counts.sum_duplicates()
    return counts
