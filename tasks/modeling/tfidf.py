"""Linear models on TF-IDF of word and character n-grams: what a model that reads with an encoder has to beat."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.head import Answered, Baseline

if TYPE_CHECKING:
    from torch import Tensor

SEED = 13
LEAST_SHARE = 1e-9
SENTENCE = re.compile(r"[^\s.!?。！？][^.!?。！？\n]*[.!?。！？]*")


def most_frequent(values: Sequence[Any], texts: int) -> Answered:
    """The most frequent of the values, and its share, for so many texts."""
    value, count = Counter(values).most_common(1)[0]
    return [value] * texts, [count / len(values)] * texts


def classifier(texts: Sequence[str], labels: Sequence[str]) -> Baseline:
    """Logistic regression: the likeliest label and its probability."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(_features(), LogisticRegression(C=10, max_iter=300)).fit(texts, labels)

    def classify(texts: Sequence[str], _: Any) -> Answered:
        shares = model.predict_proba(texts)
        return [str(model.classes_[best]) for best in shares.argmax(axis=1)], [float(v) for v in shares.max(axis=1)]

    return classify


def regressor(texts: Sequence[str], numbers: Sequence[float]) -> Baseline:
    """Ridge regression."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(_features(), Ridge(alpha=1.0)).fit(texts, numbers)
    return lambda texts, _: ([float(value) for value in model.predict(texts)], [1.0] * len(texts))


def one_against_rest(texts: Sequence[str], given: NDArray[np.bool_]) -> Callable[[Sequence[str]], NDArray[np.float64]]:
    """Logistic regressions, one a label, from (texts, labels) which label was given: (texts, labels) probabilities.

    A label that all texts of training have, or none, has that share everywhere.
    """
    from sklearn.linear_model import LogisticRegression

    features = _features().fit(texts)
    known = features.transform(texts)
    shares = given.mean(axis=0)
    models = {
        label: LogisticRegression(C=10, max_iter=300).fit(known, given[:, label])
        for label, share in enumerate(shares)
        if 0 < share < 1
    }

    def probabilities(texts: Sequence[str]) -> NDArray[np.float64]:
        found, seen = np.tile(shares, (len(texts), 1)), features.transform(texts)
        for label, model in models.items():
            found[:, label] = model.predict_proba(seen)[:, 1]
        return found

    return probabilities


def sentence_finder(
    texts: Sequence[str], answers: Sequence[str]
) -> Callable[[str, str | None], tuple[str, int, float]]:
    """From a text and a question, or none, to the sentence that is most like the question, or like the answers.

    With the character that it begins at, and its cosine.
    """
    features = _features().fit(texts)
    usual = np.asarray(features.transform(answers).mean(axis=0))

    def find(text: str, question: str | None) -> tuple[str, int, float]:
        sentences = list(SENTENCE.finditer(text))
        if not sentences:
            return text, 0, 0.0
        wanted = usual if question is None else features.transform([question]).toarray()
        found = features.transform([sentence.group() for sentence in sentences])
        lengths = np.sqrt(found.multiply(found).sum(axis=1)) * np.linalg.norm(wanted)
        fits = np.asarray((found @ wanted.T) / np.maximum(lengths, LEAST_SHARE)).ravel()
        best = int(fits.argmax())
        return sentences[best].group(), sentences[best].start(), float(np.clip(fits[best], 0, 1))

    return find


def tagger(values: Sequence[Any], tags: Sequence[str]) -> "Callable[[Sequence[Sequence[str]]], Tensor]":
    """From texts that are lists of words to log probabilities of their tags: (texts, most words, tags)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(analyzer=_identity, sublinear_tf=True, min_df=2),
        # Logistic regression by stochastic gradients: forty thousand words with twelve tags in seconds.
        SGDClassifier(loss="log_loss", alpha=2e-6, max_iter=12, tol=None, random_state=SEED),
    )
    words = [of_word for value in values for of_word in _word_features(value["tokens"])]
    model.fit(words, [tag for value in values for tag in value["tags"]])
    return lambda texts: _log_shares(model, texts, tags)


def _log_shares(model: Any, texts: Sequence[Sequence[str]], tags: Sequence[str]) -> "Tensor":
    import torch

    counts = [len(words) for words in texts]
    shares = model.predict_proba([of_word for words in texts for of_word in _word_features(words)])
    # A tag that training holds no example of has no share at all.
    found = np.full((len(texts), max(counts, default=0), len(tags)), np.log(LEAST_SHARE))
    at_tags = [tags.index(tag) for tag in model.classes_]
    for row, (count, end) in enumerate(zip(counts, np.cumsum(counts), strict=True)):
        found[row, :count, at_tags] = np.log(np.maximum(shares[end - count : end], LEAST_SHARE)).T
    return torch.from_numpy(found)


def _features() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2),
    )


def _word_features(words: Sequence[str]) -> list[list[str]]:
    return [_features_at(words, position) for position in range(len(words))]


def _features_at(words: Sequence[str], position: int) -> list[str]:
    found = []
    for offset in (-2, -1, 0, 1, 2):
        at = position + offset
        word = words[at] if 0 <= at < len(words) else "<edge>"
        shape = "".join("X" if c.isupper() else "x" if c.islower() else "9" if c.isdigit() else c for c in word[:6])
        found += [f"{offset}:{word.lower()}", f"{offset}:shape:{shape}"]
        if offset == 0:
            found += [f"pre:{word[:n].lower()}" for n in (2, 3)] + [f"suf:{word[-n:].lower()}" for n in (2, 3)]
    return found


def _identity(features: list[str]) -> list[str]:
    return features
