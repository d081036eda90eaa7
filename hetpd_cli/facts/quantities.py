"""Calculations on facts: a result that is no number is unknown, never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.facts.values import Unknown
from hetpd_cli.wording import isfinite_number

if TYPE_CHECKING:
    from collections.abc import Callable


def calculated(formula: Callable[..., Any], *operands: Any) -> Any:
    """Return ``formula(*operands)``, unknown where it overflows, divides by zero or is no number."""
    try:
        result = formula(*operands)
    except (OverflowError, ZeroDivisionError, ValueError):
        return Unknown("out of the range of numbers")
    return result if isfinite_number(result) else Unknown("out of the range of numbers")
