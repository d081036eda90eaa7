"""The operations that formulas need besides arithmetic, for a number and for an array alike.

They dispatch on the type: plain numbers never import numpy.
"""

from __future__ import annotations

import math
from typing import Any

Quantity = Any
"""A number or a numpy array of numbers."""

BYTES_PER_GB = 10**9
BYTES_PER_GIB = 2**30
BITS_PER_BYTE = 8


def _plain(*values: Quantity) -> bool:
    return all(isinstance(value, int | float) for value in values)


def maximum(left: Quantity, right: Quantity) -> Quantity:
    """Return the larger of two quantities, element by element."""
    if _plain(left, right):
        return max(left, right)
    import numpy as np

    return np.maximum(left, right)


def minimum(left: Quantity, right: Quantity) -> Quantity:
    """Return the smaller of two quantities, element by element."""
    if _plain(left, right):
        return min(left, right)
    import numpy as np

    return np.minimum(left, right)


def where(condition: Any, chosen: Quantity, other: Quantity) -> Quantity:
    """Return ``chosen`` where ``condition`` is true and ``other`` elsewhere."""
    if isinstance(condition, bool) and _plain(chosen, other):
        return chosen if condition else other
    import numpy as np

    return np.where(condition, chosen, other)


def ceil(value: Quantity) -> Quantity:
    """Return the smallest whole number that is not below ``value``."""
    if _plain(value):
        return math.ceil(value)
    import numpy as np

    return np.ceil(value)
