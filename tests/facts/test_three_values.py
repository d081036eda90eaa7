"""Three-valued logic against brute force over what the unknowns may be."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.facts.truth import all_true, any_true, equal, negate, ordered, within
from hetpd_cli.facts.values import NONE, Unknown

NUMBERS = st.integers(0, 3)
SIDES = st.one_of(
    NUMBERS,
    st.lists(NUMBERS, min_size=1, max_size=3, unique=True).map(lambda some: Unknown("?", tuple(some))),
    st.just(Unknown("?")),
)
TRUTHS = st.sampled_from([True, False, Unknown("?")])


def choices(side: Any) -> tuple[Any, ...]:
    if not isinstance(side, Unknown):
        return (side,)
    return side.candidates if side.candidates is not None else (0, 1, 2, 3, 4)


def verdict(results: set[bool]) -> bool | None:
    return results.pop() if len(results) == 1 else None


def plain(truth: Any) -> bool | None:
    return truth if isinstance(truth, bool) else None


@given(SIDES, SIDES)
def test_equality_is_what_all_joint_choices_agree_on(left, right) -> None:
    expected = verdict({one == other for one, other in product(choices(left), choices(right))})
    assert plain(equal(left, right)) == expected


@given(st.sampled_from(["<", "<=", ">", ">="]), SIDES, SIDES)
def test_an_order_never_contradicts_a_choice(symbol, left, right) -> None:
    compare = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}[symbol]
    decided = plain(ordered(symbol, left, right))
    results = {compare(one, other) for one, other in product(choices(left), choices(right))}
    assert decided is None or results == {decided}


@given(SIDES, st.lists(NUMBERS, max_size=4))
def test_membership_never_contradicts_a_choice(value, members) -> None:
    decided = plain(within(value, tuple(members)))
    assert decided is None or {choice in members for choice in choices(value)} == {decided}


@given(st.lists(TRUTHS, max_size=4))
def test_connectives_are_what_all_completions_agree_on(truths) -> None:
    completions = list(product(*[(truth,) if isinstance(truth, bool) else (True, False) for truth in truths]))
    assert plain(all_true(truths)) == verdict({all(case) for case in completions})
    assert plain(any_true(truths)) == verdict({any(case) for case in completions})


def test_one_identity_is_one_value() -> None:
    one, same, other = Unknown("?", None, "a"), Unknown("!", None, "a"), Unknown("?", None, "b")
    assert equal(one, same) is True
    assert plain(equal(one, other)) is None
    assert plain(equal(Unknown("?"), Unknown("?"))) is None
    assert ordered("<=", one, same) is True
    assert ordered("<", one, same) is False


def test_none_is_a_value() -> None:
    assert equal(NONE, NONE) is True
    assert equal(NONE, "x") is False
    assert plain(equal(NONE, Unknown("?", ("x", NONE)))) is None
    assert equal(NONE, Unknown("?", ("x", "y"))) is False
    assert plain(negate(Unknown("?"))) is None
