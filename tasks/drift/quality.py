"""Layer A, quality: whether a window is the kind of data that the model is for at all. Bad data is never retrained on.

Rows against the contract, its languages among them, are told by the contract; here are the rows that it let pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.modeling.tokens import TextEncoder

# A text shorter or longer than all but so many of the reference's, on either side, is of an odd length.
ODD = 0.005


class QualityLimits(BaseModel):
    """How many rows of a window may be of a kind, beyond the reference's share of them, before it is bad data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broken_share: float = Field(0.1, gt=0, lt=1, description="rows against the contract")
    repeated_share: float = Field(0.5, gt=0, lt=1, description="rows whose text came before in the same window")
    unknown_share: float = Field(0.1, gt=0, lt=1, description="pieces of text that the vocabulary does not hold")
    odd_length_share: float = Field(0.3, gt=0, lt=1, description="texts shorter or longer than nearly all of before")
    lost_share: float = Field(0.01, gt=0, lt=1, description="rows that the model gave no numbers for")


@dataclass(frozen=True)
class TextFacts:
    """Of every row: tokens of its texts, share of its pieces that the vocabulary lacks, whether its texts came before.

    Tokens include the special ones, of which pieces are none.
    """

    tokens: NDArray[np.int64]
    unknown: NDArray[np.float64]
    repeated: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, rows: NDArray[Any]) -> "TextFacts":
        """Those rows, by position or mask."""
        return TextFacts(self.tokens[rows], self.unknown[rows], self.repeated[rows])


def text_facts(
    snapshot: Path,
    split: str,
    columns: Sequence[str],
    encoder: TextEncoder,
    before: set[tuple[str | None, ...]] | None = None,
) -> TextFacts:
    """Of one split, whose texts are in those columns; `before` holds rows of earlier splits, and then this one's."""
    found = pq.read_table(snapshot / f"{split}.parquet", columns=list(columns)).to_pydict()
    texts = list(zip(*(found[column] for column in columns), strict=True))
    unknown_id, before = encoder.unknown_id, set() if before is None else before
    tokens, unknown, repeated = [], [], []
    whole = encoder.read([" ".join(text or "" for text in of_row) for of_row in texts])
    for of_row, encoded in zip(texts, whole, strict=True):
        ids = encoded.ids
        tokens.append(len(ids))
        pieces = len(ids) - sum(encoded.special_tokens_mask)
        unknown.append(ids.count(unknown_id) / max(1, pieces) if unknown_id is not None else 0.0)
        repeated.append(of_row in before)
        before.add(of_row)
    return TextFacts(np.array(tokens, int), np.array(unknown, float), np.array(repeated, bool))


def quality_measures(reference: TextFacts, window: TextFacts, broken: int, lost: int) -> dict[str, float]:
    """{limit: share}: how much larger each share is than in the reference; rows against the contract as they are."""
    rows = len(window)
    every = rows + broken
    measures = {"broken_share": broken / every if every else 0.0}
    if not rows:
        return measures
    low, high = np.quantile(reference.tokens, [ODD, 1 - ODD]) if len(reference) else (0, np.inf)
    odd = [
        float(((facts.tokens < low) | (facts.tokens > high)).mean()) if len(facts) else 0.0
        for facts in (window, reference)
    ]
    known = [float(facts.unknown.mean()) if len(facts) else 0.0 for facts in (window, reference)]
    again = [float(facts.repeated.mean()) if len(facts) else 0.0 for facts in (window, reference)]
    return measures | {
        "repeated_share": again[0] - again[1],
        "unknown_share": known[0] - known[1],
        "odd_length_share": odd[0] - odd[1],
        "lost_share": lost / rows,
    }


def quality_problems(limits: QualityLimits, measures: Mapping[str, float], rows: int) -> list[str]:
    """What makes the window bad data, in words; `rows` are those that the contract let pass."""
    words = {
        "broken_share": "of the rows break the contract",
        "repeated_share": "of the rows repeat a text of the window, beyond what is usual",
        "unknown_share": "of the pieces of text are unknown to the vocabulary, beyond what is usual",
        "odd_length_share": "of the texts are shorter or longer than nearly all that the model was tested on",
        "lost_share": "of the rows got no answer that is a number",
    }
    found = []
    for name, limit in limits:
        share = measures.get(name, 0.0)
        # One row out of few is no share: of a window of one row, it would be all.
        if share > limit and (name == "broken_share" or round(share * rows, 6) >= 2):
            found.append(f"{share:.1%} {words[name]}; {limit:.0%} are let pass (drift.quality.{name})")
    return found
