"""Powers with which costs grow."""

from collections.abc import Sequence

import numpy as np


def power(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The p of cost ~ size^p, by least squares on log scales.

    Args:
        sizes: Positive numbers.
        costs: One cost per size.

    Returns:
        The exponent; nan with fewer than two sizes, or if a cost is not positive.

    Example:
        >>> round(power([1, 10, 100], [3, 300, 30_000]), 6)
        2.0
    """
    if len(sizes) < 2 or not all(cost > 0 for cost in costs):
        return np.nan
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
