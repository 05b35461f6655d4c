"""Several splits at once: what share of alpha each of them has."""

from collections.abc import Sequence

from tasks.evaluation.scoring import IN_DOMAIN


def domain_weights(splits: Sequence[str]) -> list[float]:
    """A weight for the split of each test: those in domain have one half of alpha among them, all others the other.

    So more splits out of domain never make it harder to see what happens in domain.
    """
    inside = list(splits).count(IN_DOMAIN)
    return [1 / inside if split == IN_DOMAIN else 1 / (len(splits) - inside) for split in splits]
