"""How far a share that was counted on some images may be from that of all images like them."""

import math

Z_95 = 1.959964
"""The standard normal distribution is within this, on either side, with probability 0.95."""


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share, from 0 to 1.

    With p = right / n: centre (p + z^2 / 2n) / (1 + z^2 / n), and on either side of it
    z sqrt(p (1 - p) / n + z^2 / 4n^2) / (1 + z^2 / n).

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927);
    recommended by Brown, Cai and DasGupta, "Interval estimation for a binomial proportion" (2001).

    Args:
        right: Images that count.
        images: All images, at least one.
    """
    share, square = right / images, Z_95**2
    centre = (share + square / (2 * images)) / (1 + square / images)
    spread = Z_95 * math.sqrt(share * (1 - share) / images + square / (4 * images**2))
    spread /= 1 + square / images
    return max(0.0, centre - spread), min(1.0, centre + spread)
