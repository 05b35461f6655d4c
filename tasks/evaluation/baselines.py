"""What a model has to beat: the majority answer, and TF-IDF with logistic (ridge) regression."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from tasks.modeling.answers import Answers, read_ids, read_labels, write_answers
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.modeling.words import words_of

BASELINES = ("majority", "tfidf")
SEED = 13
LEAST_SHARE = 1e-9


def answer_with_baselines(
    snapshot: Path, heads: Mapping[str, AnyHead], text_column: str, splits: Sequence[str], output: Path
) -> None:
    """Fits both baselines on `train` and writes their answers to `majority/<split>.parquet` and `tfidf/...`."""
    train = _read_texts(snapshot, "train", text_column), read_labels(snapshot, "train", heads)
    found: dict[str, dict[str, Answers]] = {name: {split: Answers({}, {}) for split in splits} for name in BASELINES}
    texts = {split: _read_texts(snapshot, split, text_column) for split in splits}
    for task, head in tqdm(heads.items(), desc="baselines", unit="task", disable=None, leave=False):
        known = [row for row, label in enumerate(train[1][task]) if label is not None]
        fitted_on = [train[0][row] for row in known], [train[1][task][row] for row in known]
        words = {split: _words(snapshot, split, head, texts[split]) for split in splits}
        for name, fit in (("majority", _majority), ("tfidf", _tfidf)):
            answer = fit(head, *fitted_on)
            for split in splits:
                answers, confidences = answer(texts[split], words[split])
                found[name][split].answers[task] = answers
                found[name][split].confidences[task] = confidences
    for name in BASELINES:
        (output / name).mkdir()
        for split in splits:
            write_answers(output / name / f"{split}.parquet", read_ids(snapshot, split), found[name][split])


def _majority(head: AnyHead, _: list[str], labels: list[Any]) -> Any:
    """The most frequent label, no entity at all, the mean."""
    if isinstance(head, SingleLabelHead):
        label, count = Counter(labels).most_common(1)[0]
        return lambda texts, _: ([label] * len(texts), [count / len(labels)] * len(texts))
    if isinstance(head, TokenTagHead):
        return lambda texts, words: ([["O"] * len(of_text) for of_text in words], [1.0] * len(texts))
    return lambda texts, _: ([float(np.mean(labels))] * len(texts), [1.0] * len(texts))


def _tfidf(head: AnyHead, texts: list[str], labels: list[Any]) -> Any:
    """Word and character n-grams of the text; for tags, of the word and its neighbours."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
    from sklearn.pipeline import make_pipeline, make_union

    if isinstance(head, TokenTagHead):
        tagger = make_pipeline(
            TfidfVectorizer(analyzer=_identity, sublinear_tf=True, min_df=2),
            # Logistic regression by stochastic gradients: forty thousand words with twelve tags in seconds.
            SGDClassifier(loss="log_loss", alpha=2e-6, max_iter=12, tol=None, random_state=SEED),
        )
        given = [value["tokens"] for value in labels]
        tagger.fit(
            [f for words in given for f in _word_features(words)], [t for value in labels for t in value["tags"]]
        )
        # Legal tags alone: with a weight for the tag before, which its features hold already, the tagger gets worse
        # (entity F1 0.817, and 0.753 with 0.5, on the validation rows of support).
        decoder = head.model_copy(update={"transition_weight": 0.0})
        return lambda texts, words: _tag(decoder, tagger, words)
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2),
    )
    if isinstance(head, RegressionHead):
        regressor = make_pipeline(features, Ridge(alpha=1.0)).fit(texts, labels)
        return lambda texts, _: ([float(value) for value in regressor.predict(texts)], [1.0] * len(texts))
    classifier = make_pipeline(features, LogisticRegression(C=10, max_iter=300)).fit(texts, labels)

    def classify(texts: list[str], _: Any) -> tuple[list[Any], list[float]]:
        shares = classifier.predict_proba(texts)
        return [str(classifier.classes_[best]) for best in shares.argmax(axis=1)], [
            float(v) for v in shares.max(axis=1)
        ]

    return classify


def _tag(head: TokenTagHead, tagger: Any, words: list[list[str]]) -> tuple[list[Any], list[float]]:
    """The best legal tags of each text, and the probability that all of them are right."""
    import torch

    counts = [len(of_text) for of_text in words]
    shares = tagger.predict_proba([feature for of_text in words for feature in _word_features(of_text)])
    # A tag that training holds no example of has no share at all.
    log_shares = np.full((len(words), max(counts, default=0), len(head.labels)), np.log(LEAST_SHARE))
    at_tags = [head.labels.index(tag) for tag in tagger.classes_]
    ends = np.cumsum(counts)
    for row, (count, end) in enumerate(zip(counts, ends, strict=True)):
        log_shares[row, :count, at_tags] = np.log(np.maximum(shares[end - count : end], LEAST_SHARE)).T
    return head.decode(torch.from_numpy(log_shares), counts)


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


def _read_texts(snapshot: Path, split: str, text_column: str) -> list[str]:
    texts: list[str] = (
        pq.read_table(snapshot / f"{split}.parquet", columns=[text_column]).column(text_column).to_pylist()
    )
    return texts


def _words(snapshot: Path, split: str, head: AnyHead, texts: list[str]) -> list[list[str]]:
    if not isinstance(head, TokenTagHead):
        return [[] for _ in texts]
    tagged = read_labels(snapshot, split, {"": head})[""]
    return [value["tokens"] if value else words_of(text) for value, text in zip(tagged, texts, strict=True)]
