"""The expression language of rules: a small subset of Python's syntax, parsed by the standard library's ``ast``.

An expression becomes a tree of JSON lists (what the catalogue stores), and that becomes nested functions (what is
evaluated). Evaluation is three-valued; what an expression reads is the constraint graph.

Tree nodes: ``["value", v]``, ``["param", name, v]``, ``["fact", name]``, ``["declared", name]``, ``["and", ...]``,
``["or", ...]``,
``["not", x]``, ``["compare", op, a, b]``, ``["arithmetic", op, a, b]``, ``["list", ...]``, ``["call", name, ...]``,
``["over", aggregate, collection, x]``.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from hetpd_cli.facts.truth import all_true, any_true, equal, is_number, negate, ordered, within
from hetpd_cli.facts.values import NONE, UNDECIDED, Unknown
from hetpd_cli.versions import is_version, same_version, version_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Evaluate = Callable[[Any], Any]

UNIT_LITERALS = {
    "us": (1e-6, "s"),
    "ms": (1e-3, "s"),
    "s": (1, "s"),
    "minutes": (60, "s"),
    "gib": (1, "GiB"),
    "gb": (1e9 / 2**30, "GiB"),
    "gb_per_s": (1, "GB/s"),
    "gbit_per_s": (1, "Gbit/s"),
    "tokens": (1, "token"),
}
"""Literals with units, such as ``s(30)``: factor to the canonical unit, and that unit."""

AGGREGATES = ("all_of", "any_of", "unique", "sum_of")
COLLECTIONS = ("pools", "prefill_pools", "decode_pools", "handoffs")


# -- functions of the language ---------------------------------------------------------------------------------


def _known(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``function`` undecided on any operand that is unknown or none."""

    def call(*values: Any) -> Any:
        if any(isinstance(value, Unknown) or value is NONE for value in values):
            return UNDECIDED
        return function(*values)

    return call


def _absent(value: Any) -> Any:
    if isinstance(value, Unknown):
        return UNDECIDED
    return value is NONE


def _divides(part: Any, whole: Any) -> bool | Unknown:
    return whole % part == 0 if part else UNDECIDED


def _divisible(left: Any, right: Any) -> bool | Unknown:
    small, large = sorted((left, right))
    return large % small == 0 if small else UNDECIDED


def _version_in(version: Any, spec: Any) -> bool | Unknown:
    return version_in(version, spec) if is_version(version) else UNDECIDED


def _overlap(first: Any, last: Any, other_first: Any, other_last: Any) -> bool:
    return bool(first <= other_last and other_first <= last)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "absent": (1, _absent),
    "divides": (2, _known(_divides)),
    "divisible": (2, _known(_divisible)),
    "version_in": (2, _known(_version_in)),
    "same_version": (2, _known(same_version)),
    "contains": (2, _known(lambda values, item: item in values)),
    "disjoint": (2, _known(lambda one, other: not set(one) & set(other))),
    "overlap": (4, _known(_overlap)),
    "min": (2, _known(min)),
    "max": (2, _known(max)),
    "abs": (1, _known(abs)),
}
"""Name to number of operands and implementation."""

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def _calculate(symbol: str, left: Any, right: Any) -> Any:
    if not (is_number(left) and is_number(right)) or (symbol in "/%" and right == 0):
        return UNDECIDED
    try:
        return _ARITHMETIC[symbol](left, right)
    except OverflowError:
        return UNDECIDED


# -- trees to functions ----------------------------------------------------------------------------------------


def compile_tree(tree: list[Any]) -> Evaluate:
    """Return a function of an environment that evaluates ``tree``.

    The environment has ``value(name)``, ``declared(name)`` and ``members(collection)``.
    """
    return _COMPILERS[tree[0]](*tree[1:])


def _value(constant: Any) -> Evaluate:
    fixed = tuple(constant) if isinstance(constant, list) else NONE if constant is None else constant
    return lambda _: fixed


def _parameter(_: str, value: float) -> Evaluate:
    return lambda _: value


def _fact(name: str) -> Evaluate:
    return lambda environment: environment.value(name)


def _declared(name: str) -> Evaluate:
    return lambda environment: environment.declared(name)


def _all(*parts: list[Any]) -> Evaluate:
    functions = [compile_tree(part) for part in parts]

    def evaluate(environment: Any) -> Any:
        result: Any = True
        for function in functions:
            truth = function(environment)
            if truth is False:
                return False
            if truth is not True:
                result = UNDECIDED
        return result

    return evaluate


def _any(*parts: list[Any]) -> Evaluate:
    functions = [compile_tree(part) for part in parts]

    def evaluate(environment: Any) -> Any:
        result: Any = False
        for function in functions:
            truth = function(environment)
            if truth is True:
                return True
            if truth is not False:
                result = UNDECIDED
        return result

    return evaluate


def _not(part: list[Any]) -> Evaluate:
    function = compile_tree(part)
    return lambda environment: negate(function(environment))


def _compare(symbol: str, left: list[Any], right: list[Any]) -> Evaluate:
    one, other = compile_tree(left), compile_tree(right)
    if symbol == "==":
        return lambda environment: equal(one(environment), other(environment))
    if symbol == "!=":
        return lambda environment: negate(equal(one(environment), other(environment)))
    if symbol == "in":
        return lambda environment: within(one(environment), other(environment))
    if symbol == "not in":
        return lambda environment: negate(within(one(environment), other(environment)))
    return lambda environment: ordered(symbol, one(environment), other(environment))


def _arithmetic(symbol: str, left: list[Any], right: list[Any]) -> Evaluate:
    one, other = compile_tree(left), compile_tree(right)
    return lambda environment: _calculate(symbol, one(environment), other(environment))


def _list(*parts: list[Any]) -> Evaluate:
    functions = [compile_tree(part) for part in parts]
    return lambda environment: tuple(function(environment) for function in functions)


def _call(name: str, *parts: list[Any]) -> Evaluate:
    functions = [compile_tree(part) for part in parts]
    implementation = FUNCTIONS[name][1]
    return lambda environment: implementation(*[function(environment) for function in functions])


def _over(aggregate: str, collection: str, part: list[Any]) -> Evaluate:
    function = compile_tree(part)
    combine = _AGGREGATES[aggregate]
    return lambda environment: combine([function(member) for member in environment.members(collection)])


def _unique(values: list[Any]) -> Any:
    result: Any = True
    for index, value in enumerate(values):
        for other in values[:index]:
            same = equal(value, other)
            if same is True:
                return False
            if same is not False:
                result = UNDECIDED
    return result


def _sum(values: list[Any]) -> Any:
    return sum(values) if all(is_number(value) for value in values) else UNDECIDED


_AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "all_of": all_true,
    "any_of": any_true,
    "unique": _unique,
    "sum_of": _sum,
}

_COMPILERS: dict[str, Callable[..., Evaluate]] = {
    "value": _value,
    "param": _parameter,
    "fact": _fact,
    "declared": _declared,
    "and": _all,
    "or": _any,
    "not": _not,
    "compare": _compare,
    "arithmetic": _arithmetic,
    "list": _list,
    "call": _call,
    "over": _over,
}


def reads(tree: list[Any]) -> Iterator[str]:
    """Yield the names of the facts that ``tree`` reads, in order, repeated as written."""
    if tree[0] == "fact":
        yield tree[1]
        return
    for part in tree[1:]:
        if isinstance(part, list) and part and isinstance(part[0], str) and part[0] in _COMPILERS:
            yield from reads(part)


def with_parameters(tree: list[Any], values: Mapping[str, float]) -> list[Any]:
    """Return ``tree`` with the parameters named in ``values`` set to these."""
    if tree[0] == "param":
        return ["param", tree[1], values.get(tree[1], tree[2])]
    return [with_parameters(part, values) if isinstance(part, list) and part else part for part in tree]
