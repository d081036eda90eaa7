"""What expressions evaluate to, and that no completion of the unknowns contradicts what was decided without them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetpd_cli.engine.expressions import FUNCTIONS, compile_tree
from hetpd_cli.engine.parse import Context, parse_expression
from hetpd_cli.facts.values import NONE, Unknown

POOL, WHOLE = Context("pool", {}), Context("deployment", {})
ANY = Unknown("?")


class World:
    """Facts by name; members of the one collection ``pools`` see their own facts under its name."""

    def __init__(self, facts: dict[str, Any], members: tuple[dict[str, Any], ...] = ()) -> None:
        self.facts = facts
        self._members = members

    def value(self, name: str) -> Any:
        return self.facts[name]

    def declared(self, name: str) -> bool:
        return name in self.facts

    def members(self, collection: str) -> list[World]:
        assert collection == "pools"
        return [World({**self.facts, **{f"pools.{name}": one for name, one in row.items()}}) for row in self._members]


def plain(found: Any) -> Any:
    return None if isinstance(found, Unknown) else found


def call(name: str, *values: Any) -> Any:
    return plain(FUNCTIONS[name][1](*values))


# -- functions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "result"),
    [
        ("absent", (NONE,), True),
        ("absent", (0,), False),
        ("absent", (ANY,), None),
        ("divides", (16, 48), True),
        ("divides", (16, 40), False),
        ("divides", (0, 40), None),
        ("divides", (16, 0), True),
        ("divides", (48, 16), False),
        ("divisible", (48, 16), True),
        ("divisible", (16, 48), True),
        ("divisible", (6, 4), False),
        ("divisible", (0, 4), None),
        ("divisible", (0, 0), None),
        ("version_in", ("0.24.0", ">=0.24,<0.34"), True),
        ("version_in", ("0.34.0", ">=0.24,<0.34"), False),
        ("version_in", ("latest", ">=0.24,<0.34"), None),
        ("version_in", ("0.24.0", "*"), True),
        ("same_version", ("0.24", "v0.24.0"), True),
        ("same_version", ("0.20", "0.2"), False),
        ("contains", (("a", "b"), "a"), True),
        ("contains", ((), "a"), False),
        ("disjoint", (("a", "b"), ("c",)), True),
        ("disjoint", (("a", "b"), ("b",)), False),
        ("disjoint", ((), ()), True),
        ("overlap", (1, 4, 4, 9), True),
        ("overlap", (1, 3, 4, 9), False),
        ("overlap", (4, 9, 1, 4), True),
        ("min", (2, 1.5), 1.5),
        ("max", (2, 1.5), 2),
        ("abs", (-3,), 3),
        ("abs", (-(10**400),), 10**400),
    ],
)
def test_functions(name, values, result) -> None:
    assert call(name, *values) == result


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_unknown_operand_decides_nothing(name) -> None:
    arity = FUNCTIONS[name][0]
    sample: dict[str, tuple[Any, ...]] = {
        "version_in": ("0.24", ">=1"), "same_version": ("1", "2"), "contains": (("a",), "a"), "disjoint": (("a",), ("b",)),
    }  # fmt: skip
    values = sample.get(name, (1, 2, 3, 4)[:arity])
    for index in range(arity):
        for gap in (ANY, Unknown("?", values[index : index + 1], "x"), *([] if name == "absent" else [NONE])):
            assert call(name, *values[:index], gap, *values[index + 1 :]) is None


# -- nodes -----------------------------------------------------------------------------------------------------

FACTS = {
    "pool.workers": 4, "pool.kv.block_size": 16, "pool.kv.dtype": "bf16", "pool.kv.layout": ANY, "pool.kv.scales": NONE,
    "pool.hosts": ("a", "b"), "pool.connector.lease_s": 30, "pool.connector.abort_timeout_s": NONE, "pool.devices_per_worker": ANY,
    "pool.kv.rotation": Unknown("?", ("x", "y")), "pool.model.hybrid": Unknown("?", (True, False)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("pool.workers", 4),
        ("pool.kv.layout", None),
        ("pool.workers == 4", True),
        ("pool.workers != 4", False),
        ("3 < pool.workers <= 4 < 5", True),
        ("pool.kv.dtype == pool.kv.scales", False),
        ("pool.kv.scales == none", True),
        ("pool.kv.rotation == 'x'", None),
        ("pool.kv.rotation == 'z'", False),
        ("pool.kv.rotation != 'z'", True),
        ("pool.kv.rotation in ('x', 'y')", True),
        ("pool.kv.rotation not in ('z',)", True),
        ("pool.kv.dtype in [pool.kv.layout, 'bf16']", True),
        ("pool.kv.dtype in [pool.kv.layout, 'fp8']", None),
        ("pool.model.hybrid == true or pool.model.hybrid == false", None),
        ("not pool.model.hybrid", None),
        ("pool.kv.layout == 'HND' and false", False),
        ("pool.kv.layout == 'HND' or true", True),
        ("pool.workers < pool.connector.abort_timeout_s / s(1)", None),
        ("pool.workers < none", None),
        ("pool.workers + pool.devices_per_worker > 0", None),
        ("pool.workers * 2 - 1 == 7", True),
        ("pool.workers / 8 == 0.5", True),
        ("pool.workers % 3", 1),
        ("-pool.workers", -4),
        ("pool.workers / 0", None),
        ("pool.workers % 0", None),
        ("pool.workers / (pool.workers - 4) == 1 or true", True),
        ("[1, 'a', none]", (1, "a", NONE)),
        ("declared(pool.kv)", False),
    ],
)
def test_nodes(text, result) -> None:
    assert plain(compile_tree(parse_expression(text, POOL))(World(FACTS))) == result


@pytest.mark.parametrize(
    ("workers", "text", "result"),
    [
        (10**400, "pool.workers / 3 > 1", None),
        (10**400, "pool.workers * 1.5 > 1", None),
        (10**400, "pool.workers > 1.5", True),
        (10**400, "pool.workers % 7 < 7", True),
        (1e308, "pool.workers * 10 > 1", True),
        (2**63, "pool.workers + 1 == 9223372036854775809", True),
        (5e-324, "1 / pool.workers > 1", True),
    ],
)
def test_huge_and_tiny_numbers_raise_nothing(workers, text, result) -> None:
    assert plain(compile_tree(parse_expression(text, POOL))(World({"pool.workers": workers}))) == result


@pytest.mark.parametrize(
    ("text", "rows", "result"),
    [
        ("all_of(pools.workers > 1)", (), True),
        ("any_of(pools.workers > 1)", (), False),
        ("unique(pools.workers)", (), True),
        ("sum_of(pools.workers)", (), 0),
        ("all_of(pools.workers > 1)", (2, 3), True),
        ("all_of(pools.workers > 2)", (2, ANY), False),
        ("all_of(pools.workers > 1)", (2, ANY), None),
        ("any_of(pools.workers > 2)", (ANY, 3), True),
        ("any_of(pools.workers > 3)", (ANY, 3), None),
        ("unique(pools.workers)", (1, 2, 3), True),
        ("unique(pools.workers)", (1, ANY, 1), False),
        ("unique(pools.workers)", (1, ANY, 2), None),
        ("unique(pools.workers)", (1, Unknown("?", (2, 3)), 4), True),
        ("unique(pools.workers)", (Unknown("?", None, "x"), Unknown("?", None, "x")), False),
        ("unique(pools.workers)", (NONE, NONE), False),
        ("sum_of(pools.workers)", (1, 2.5), 3.5),
        ("sum_of(pools.workers)", (1, ANY), None),
        ("sum_of(pools.workers)", (1, NONE), None),
        ("sum_of(pools.workers)", (1, True), None),
        ("sum_of(pools.workers * 2) == 6 and any_of(pools.workers == 1)", (1, 2), True),
        ("any_of(declared(pools.workers)) == true", (1, 2), True),
    ],
)
def test_aggregates(text, rows, result) -> None:
    if "declared" in text:
        tree = ["over", "any_of", "pools", ["declared", "pools.workers"]]
    else:
        tree = parse_expression(text, WHOLE)
    assert plain(compile_tree(tree)(World({}, tuple({"workers": row} for row in rows)))) == result


# -- knowing more ----------------------------------------------------------------------------------------------

NUMBERS = {"pool.workers": (0, 1, 2), "pool.kv.block_size": (1, 2, 3), "pool.parallelism.tp": (1, 2)}
TEXTS = {
    "pool.kv.layout": ("HND", "NHD"),
    "pool.kv.scale_group": ("tensor", "head"),
    "pool.kv.scales": ("static", NONE),
}
TRUTHS = {"pool.model.hybrid": (True, False)}
LISTS: dict[str, tuple[Any, ...]] = {"pool.hosts": (("a",), ("a", "b"), ())}
VERSIONS = {"pool.engine.version": ("0.24.0", "0.34.0", "main")}
ALL: dict[str, tuple[Any, ...]] = {**NUMBERS, **TEXTS, **TRUTHS, **LISTS, **VERSIONS}

number = st.deferred(
    lambda: st.one_of(
        st.sampled_from([*NUMBERS, "0", "1", "2"]),
        st.tuples(st.sampled_from("+-*/%"), number, number).map(lambda parts: f"({parts[1]} {parts[0]} {parts[2]})"),
        st.tuples(st.sampled_from(["min", "max"]), number, number).map(
            lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"
        ),
        number.map("abs({})".format),
        number.map("-{}".format),
    )
)
text = st.sampled_from([*TEXTS, "'HND'", "'tensor'", "none"])
atom = st.one_of(
    st.tuples(number, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), number).map(" ".join),
    st.tuples(text, st.sampled_from(["==", "!="]), text).map(" ".join),
    st.tuples(text, st.sampled_from(["in", "not in"]), st.lists(text, max_size=3)).map(
        lambda parts: f"{parts[0]} {parts[1]} [{', '.join(parts[2])}]"
    ),
    st.tuples(st.sampled_from(["divides", "divisible"]), number, number).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    st.tuples(number, number, number, number).map(lambda parts: f"overlap({', '.join(parts)})"),
    st.sampled_from(
        ["true", "false", *TRUTHS, "absent(pool.kv.scales)", "contains(pool.hosts, 'a')", "disjoint(pool.hosts, ['b'])",
         "version_in(pool.engine.version, '>=0.24,<0.34')", "same_version(pool.engine.version, '0.24')"]
    ),
)  # fmt: skip
truth = st.recursive(
    atom,
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
    ),
    max_leaves=5,
)


def gap(name: str) -> st.SearchStrategy[Any]:
    """Return a known value or an unknown, with candidates or an identity or neither."""
    values = ALL[name]
    some = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique_by=repr).map(tuple)
    named = f"the {name}" if name not in NUMBERS else "the number"
    return st.one_of(
        st.sampled_from(values),
        st.just(ANY),
        some.map(lambda candidates: Unknown("?", candidates)),
        st.just(Unknown("?", None, named)),
    )


@settings(max_examples=300, deadline=None)
@given(truth, st.fixed_dictionaries({name: gap(name) for name in ALL}), st.data())
def test_no_completion_contradicts_what_was_decided(expression, facts, data) -> None:
    evaluate = compile_tree(parse_expression(expression, POOL))
    part = plain(evaluate(World(facts)))
    if part is None:
        return
    named: dict[str, Any] = {}
    whole = {}
    for name, value in facts.items():
        whole[name] = value
        if isinstance(value, Unknown):
            one = data.draw(st.sampled_from(value.candidates or ALL[name]), label=name)
            whole[name] = one if value.identity is None else named.setdefault(value.identity, one)
    assert plain(evaluate(World(whole))) in {part, None}


@settings(deadline=None)
@given(truth, st.fixed_dictionaries({name: st.sampled_from(values) for name, values in ALL.items()}))
def test_known_facts_decide_all_but_what_has_no_answer(expression, facts) -> None:
    found = plain(compile_tree(parse_expression(expression, POOL))(World(facts)))
    if found is None:
        unanswerable = facts["pool.engine.version"] == "main" and "version_in" in expression
        assert unanswerable or any(word in expression for word in ("/", "%", "divi"))
    else:
        assert isinstance(found, bool)


@given(st.lists(st.sampled_from([1, 2, 3, Unknown("?", (1, 2)), Unknown("?", (4, 5)), ANY]), max_size=4))
def test_aggregates_agree_with_all_completions(rows) -> None:
    options = [(row.candidates or (1, 2, 3, 9)) if isinstance(row, Unknown) else (row,) for row in rows]
    for name, brute in (
        ("all_of(pools.workers > 1)", lambda row: all(one > 1 for one in row)),
        ("any_of(pools.workers > 1)", lambda row: any(one > 1 for one in row)),
        ("unique(pools.workers)", lambda row: len(set(row)) == len(row)),
    ):
        tree = parse_expression(name, WHOLE)
        found = plain(compile_tree(tree)(World({}, tuple({"workers": row} for row in rows))))
        results = {brute(row) for row in product(*options)}
        assert found is None or results == {found}, name
