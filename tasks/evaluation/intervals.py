"""Intervals of shares."""

from statistics import NormalDist


def wilson_interval(hits: int, rows: int, worth: float | None = None, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a share, which holds for few rows and for shares near 0 or 1; of no row it is everything.

    Rows that hang together are `worth` as many that stand alone. Wilson 1927, Journal of the American Statistical
    Association 22, 209-212.
    """
    if not rows:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    alone = rows if worth is None else worth
    share, width = hits / rows, z * z / alone
    middle = (share + width / 2) / (1 + width)
    half = z / (1 + width) * (share * (1 - share) / alone + width / (4 * alone)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
