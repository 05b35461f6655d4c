"""Several splits at once: what share of alpha each of them has."""

from collections.abc import Sequence

from data_contracts.splits import FRESH
from tasks.evaluation.scoring import IN_DOMAIN


def domain_weights(splits: Sequence[str]) -> list[float]:
    """A weight for the split of each test: in domain, labelled since, all others; each of these has the same among it.

    So more splits out of domain never make it harder to see what happens in domain, or on the rows that a retraining is
    for.
    """
    families = [_family(split) for split in splits]
    return [1 / families.count(family) for family in families]


def _family(split: str) -> str:
    return split if split == IN_DOMAIN else FRESH if split.startswith(FRESH) else ""
