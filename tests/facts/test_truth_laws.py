"""Laws of the three-valued logic over texts, numbers, lists and none, identities included."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.facts.truth import all_true, any_true, equal, is_number, negate, ordered, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Unknown

POOL = ("a", "b", 1, 2.0, True, ("a",), NONE)
FREE = ("a", "b", "c", 1, 2.0, 3, NONE)
"""What an unknown without candidates might be."""

KNOWN = st.sampled_from(POOL)
UNKNOWN = st.builds(
    lambda some, name: Unknown("?", tuple(some) if some else None, name),
    st.lists(KNOWN, max_size=3, unique_by=repr),
    st.sampled_from([None, None, "x", "y"]),
)
VALUES = st.one_of(KNOWN, UNKNOWN)


def worlds(*values: Any) -> list[tuple[Any, ...]]:
    """Return every joint choice of what ``values`` may be; unknowns of one identity choose alike."""
    keys = [value.identity or id(value) if isinstance(value, Unknown) else None for value in values]
    options = [list(value.candidates or FREE) if isinstance(value, Unknown) else [value] for value in values]
    found = []
    for choice in product(*options):
        by_key: dict[Any, Any] = {}
        if all(key is None or by_key.setdefault(key, one) is one for key, one in zip(keys, choice, strict=True)):
            found.append(choice)
    return found


def agreed(results: set[Any]) -> Any:
    return results.pop() if len(results) == 1 else None


def plain(truth: Any) -> Any:
    return truth if isinstance(truth, bool) else None


@given(VALUES, VALUES)
def test_equality(left, right) -> None:
    found = plain(equal(left, right))
    joint = worlds(left, right)
    if joint:
        assert found in {None, agreed({equal(*world) for world in joint})}
    assert found == plain(equal(right, left))
    assert plain(negate(equal(left, right))) == (None if found is None else not found)
    both_known = not isinstance(left, Unknown) and not isinstance(right, Unknown)
    if both_known:
        assert found == (left is right if NONE in (left, right) else left == right)


@given(st.sampled_from(["<", "<=", ">", ">="]), VALUES, VALUES)
def test_order(symbol, left, right) -> None:
    found = plain(ordered(symbol, left, right))
    results = {plain(ordered(symbol, *world)) for world in worlds(left, right)} - {None}
    assert found is None or results <= {found}
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[symbol]
    assert plain(ordered(mirrored, right, left)) == found


@given(VALUES, st.lists(VALUES, max_size=3))
def test_membership(value, members) -> None:
    found = plain(within(value, tuple(members)))
    results = {plain(within(world[0], world[1:])) for world in worlds(value, *members)}
    assert found is None or results in ({found}, set())


@given(st.lists(KNOWN, max_size=3), UNKNOWN)
def test_membership_of_a_value_that_is_one_of_several(members, value) -> None:
    """Known members: the answer is exactly what all candidates agree on."""
    if value.candidates:
        results = {any(equal(one, member) for member in members) for one in value.candidates}
        assert plain(within(value, tuple(members))) == agreed(results)


def test_no_list_is_no_answer() -> None:
    assert within("a", NONE) is UNDECIDED
    assert within("a", Unknown("?")) is UNDECIDED
    assert within("a", ()) is False
    assert within(Unknown("?"), ()) is False


@given(st.lists(st.sampled_from([True, False, UNDECIDED, "text", 1, NONE]), max_size=4))
def test_connectives_are_dual_and_take_only_truths_for_decided(values) -> None:
    assert plain(any_true(values)) == plain(negate(all_true([negate(value) for value in values])))
    if any(value is False for value in values):
        assert all_true(values) is False
    elif all(value is True for value in values):
        assert all_true(values) is True
    else:
        assert all_true(values) is UNDECIDED
    assert plain(any_true(values)) is not False or all(value is False for value in values)


@pytest.mark.parametrize(
    ("symbol", "left", "right", "result"),
    [
        ("<", True, 2, None),
        ("<", "a", "b", None),
        ("<", NONE, 1, None),
        ("<", Unknown("?", (1, NONE)), 2, None),
        ("<", Unknown("?", ("a",)), 2, None),
        ("<", Unknown("?", ()), 2, None),
        ("<", Unknown("?", (1, 2)), Unknown("?", (3, 4)), True),
        (">=", Unknown("?", (1, 2)), Unknown("?", (3, 4)), False),
        ("<=", Unknown("?", None, "x"), Unknown("?", None, "x"), True),
        (">", Unknown("?", None, "x"), Unknown("?", None, "x"), False),
        ("<=", Unknown("?", None, "x"), Unknown("?", None, "y"), None),
        ("<", 10**400, 1.5, False),
        ("<", 2, 2.5, True),
    ],
)
def test_orders(symbol, left, right, result) -> None:
    assert plain(ordered(symbol, left, right)) is result


def test_none_equals_itself_only_and_a_truth_is_no_number() -> None:
    assert equal(NONE, NONE) is True
    assert {equal(NONE, other) for other in (0, False, "", "none", ())} == {False}
    assert equal(Unknown("?", (NONE,)), NONE) is True
    assert [is_number(value) for value in (1, 1.5, True, "1", NONE, None)] == [True, True, False, False, False, False]


def test_unknowns_without_identity_are_never_one() -> None:
    one, other = Unknown("?"), Unknown("?")
    assert equal(one, one) is UNDECIDED
    assert equal(one, other) is UNDECIDED
    assert equal(Unknown("?", None, ""), Unknown("?", None, "")) is True
    assert equal(Unknown("?", ("a",)), Unknown("?", ("a",))) is True
    assert equal(Unknown("?", ("a", "b")), Unknown("?", ("a", "b"))) is UNDECIDED
    assert equal(Unknown("?", ("a", "b")), Unknown("?", ("c",))) is False
