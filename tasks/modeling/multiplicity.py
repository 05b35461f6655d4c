"""Several tests at once: how small a chance has to be among many, by the method of Holm."""

from collections.abc import Sequence


def holm(chances: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Each test's chance (p-value), so that taking those up to alpha errs even once in at most alpha of all cases.

    A test of twice the weight has twice the share of alpha; the tests may hang on one another in any way (Holm 1979,
    Scandinavian Journal of Statistics 6, 65-70).
    """
    shares = [1.0] * len(chances) if weights is None else list(weights)
    adjusted = [1.0] * len(chances)
    left, highest = sum(shares), 0.0
    for test in sorted(range(len(chances)), key=lambda test: chances[test] / shares[test]):
        highest = max(highest, chances[test] * left / shares[test])
        adjusted[test] = min(1.0, highest)
        left -= shares[test]
    return adjusted
