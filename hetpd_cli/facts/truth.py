"""Three-valued logic over values that may be unknown: what expressions and derived facts share."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from hetpd_cli.facts.values import NONE, UNDECIDED, Truth, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def equal(left: Any, right: Any) -> Truth:
    """Compare two values: true if equal for all joint choices, false if for none, else undecided."""
    left_unknown, right_unknown = isinstance(left, Unknown), isinstance(right, Unknown)
    if not left_unknown and not right_unknown:
        if left is NONE or right is NONE:
            return left is right
        return bool(left == right)
    if left_unknown and right_unknown and left.identity is not None and left.identity == right.identity:
        return True
    ours = left.candidates if left_unknown else (left,)
    theirs = right.candidates if right_unknown else (right,)
    if ours is None or theirs is None:
        return UNDECIDED
    if not set(ours) & set(theirs):
        return False
    return True if len(set(ours) | set(theirs)) == 1 else UNDECIDED


def negate(truth: Any) -> Truth:
    """Return the three-valued negation."""
    return (not truth) if isinstance(truth, bool) else UNDECIDED


def all_true(values: Iterable[Any]) -> Truth:
    """Return the three-valued conjunction."""
    result: Truth = True
    for value in values:
        if value is False:
            return False
        if value is not True:
            result = UNDECIDED
    return result


def any_true(values: Iterable[Any]) -> Truth:
    """Return the three-valued disjunction."""
    return negate(all_true([negate(value) for value in values]))


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def ordered(symbol: str, left: Any, right: Any) -> Truth:
    """Compare two numbers; a value that is none or unknown without candidates decides nothing."""
    compare = _ORDER[symbol]
    if is_number(left) and is_number(right):
        return compare(left, right)
    if isinstance(left, Unknown) and isinstance(right, Unknown) and left.identity and left.identity == right.identity:
        return symbol in {"<=", ">="}
    ours, theirs = _choices(left), _choices(right)
    if ours is None or theirs is None:
        return UNDECIDED
    results = {compare(one, other) for one in ours for other in theirs}
    return results.pop() if len(results) == 1 else UNDECIDED


def _choices(value: Any) -> tuple[Any, ...] | None:
    found = value.candidates if isinstance(value, Unknown) else (value,)
    return found if found and all(is_number(choice) for choice in found) else None


def is_number(value: Any) -> bool:
    """Tell whether ``value`` is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def within(value: Any, choices: Any) -> Truth:
    """Tell whether ``value`` equals one of ``choices``."""
    if isinstance(choices, Unknown) or choices is NONE:
        return UNDECIDED
    results = [equal(value, choice) for choice in choices]
    if True in results:
        return True
    if isinstance(value, Unknown) and value.candidates and set(value.candidates) <= set(choices):
        return True
    return UNDECIDED if UNDECIDED in results else False
