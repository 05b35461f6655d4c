"""Intervals of shares."""

from statistics import NormalDist


def wilson_interval(hits: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a share, which holds for few rows and for shares near 0 or 1; of no row it is everything.

    Wilson 1927, Journal of the American Statistical Association 22, 209-212.
    """
    if not rows:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, width = hits / rows, z * z / rows
    middle = (share + width / 2) / (1 + width)
    half = z / (1 + width) * (share * (1 - share) / rows + width / (4 * rows)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
