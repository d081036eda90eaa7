"""The language of rules: what it takes, what it refuses, and that knowing more never undoes a verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.engine.expressions import compile_tree, reads
from hetpd_cli.engine.parse import Context, ExpressionError, parse_expression
from hetpd_cli.facts.values import NONE, Unknown

BOUNDARY = Context("boundary", {"limit": (2.0, "1")})
WHOLE = Context("deployment", {})


class World:
    """Facts by name; a name that is missing is unknown."""

    def __init__(self, facts: dict[str, Any], members: list[dict[str, Any]] | None = None) -> None:
        self.facts = facts
        self._members = members or []

    def value(self, name: str) -> Any:
        return self.facts.get(name.rpartition("pools.")[2], Unknown("?"))

    def declared(self, name: str) -> bool:
        return name in self.facts

    def members(self, _collection: str) -> list[World]:
        return [World(member) for member in self._members]


def run(
    text: str, facts: dict[str, Any], context: Context = BOUNDARY, members: list[dict[str, Any]] | None = None
) -> Any:
    found = compile_tree(parse_expression(text, context))(World(facts, members))
    return None if isinstance(found, Unknown) else found


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("prefill.kv.dtype ** 2 == 4", "operator"),
        ("prefill.kv['dtype'] == 1", "Subscript"),
        ("'a' + 'b' == 'ab'", "text"),
        ("(lambda: 1)() == 1", "no name"),
        ("open('x')", "no function"),
        ("__import__('os')", "no function"),
        ("divides(part=1)", "keyword"),
        ("divides(1)", "2 operands"),
        ("prefill.kv.dtyp == 'bf16'", "prefill.kv.dtype"),
        ("prefil.kv.dtype == 'bf16'", "prefill"),
        ("pool.kv.dtype == 'bf16'", "boundary"),
        ("prefill.connector.lease_s == gib(4)", "against"),
        ("prefill.connector.lease_s > 30", "against"),
        ("prefill.connector.lease_s + prefill.memory.kv_capacity_gib > s(1)", "against"),
        ("param.limt == 1", "param.limt"),
        ("all_of(prefill.kv.dtype)", "over the deployment"),
        ("declared(prefill.kv.dtype)", "no such mapping"),
        ("[x for x in (1, 2)]", "ListComp"),
        ("1 if true else 2", "IfExp"),
        ("prefill.kv.dtype is none", "comparison"),
        ("", "expression"),
        ("(" * 500, "expression"),
    ],
)
def test_what_is_refused(text, hint) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse_expression(text, BOUNDARY)
    assert hint in str(refused.value)


FACTS = {
    "prefill.kv.dtype": "bf16",
    "decode.kv.dtype": "fp16",
    "prefill.kv.block_size": 16,
    "decode.kv.block_size": 48,
    "prefill.connector.lease_s": 30,
    "prefill.connector.name": NONE,
    "prefill.hosts": ("a", "b"),
    "decode.hosts": ("c",),
    "prefill.engine.version": "0.24.0",
    "handoff.conversion": True,
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("prefill.kv.dtype == decode.kv.dtype", False),
        ("prefill.kv.dtype in ('bf16', 'fp16') and not decode.kv.dtype == 'bf16'", True),
        ("decode.kv.block_size % prefill.kv.block_size == 0", True),
        ("divides(prefill.kv.block_size, decode.kv.block_size)", True),
        ("divisible(48, 32)", False),
        ("prefill.connector.lease_s * 2 >= s(60)", True),
        ("prefill.connector.lease_s > ms(30001)", False),
        ("10 < prefill.kv.block_size <= 16", True),
        ("absent(prefill.connector.name)", True),
        ("absent(decode.connector.name)", None),
        ("disjoint(prefill.hosts, decode.hosts)", True),
        ("contains(prefill.hosts, 'a')", True),
        ("overlap(1, 4, 4, 9)", True),
        ("version_in(prefill.engine.version, '>=0.24,<0.34')", True),
        ("same_version(prefill.engine.version, '0.24')", True),
        ("max(prefill.kv.block_size, 40) - min(1, 2) + abs(-1) == 40", True),
        ("declared(handoff.conversion)", True),
        ("1 / 0 == 1", None),
        ("prefill.kv.block_size * param.limit == 32", True),
        ("prefill.kv.layout == decode.kv.layout", None),
        ("prefill.kv.layout == decode.kv.layout or true", True),
        ("prefill.kv.layout == decode.kv.layout and false", False),
        ("9e307 * 99 > 1", True),
    ],
)
def test_what_an_expression_means(text, result) -> None:
    assert run(text, FACTS) == result


def test_aggregates() -> None:
    pools = [{"workers": 2, "name": "a"}, {"workers": 3, "name": "b"}]
    assert run("all_of(pools.workers > 1)", {}, WHOLE, pools) is True
    assert run("any_of(pools.workers > 2)", {}, WHOLE, pools) is True
    assert run("sum_of(pools.workers) == 5", {}, WHOLE, pools) is True
    assert run("unique(pools.workers)", {}, WHOLE, pools) is True
    assert run("unique(pools.workers)", {}, WHOLE, [*pools, {"workers": 2}]) is False
    assert run("all_of(pools.workers > 1)", {}, WHOLE, [*pools, {}]) is None
    assert run("all_of(pools.workers > 2)", {}, WHOLE, [*pools, {}]) is False


def test_what_an_expression_reads_is_the_graph() -> None:
    tree = parse_expression("prefill.kv.dtype == decode.kv.dtype or divides(prefill.kv.block_size, 2)", BOUNDARY)
    assert list(reads(tree)) == ["prefill.kv.dtype", "decode.kv.dtype", "prefill.kv.block_size"]


NAMES = ("prefill.kv.block_size", "decode.kv.block_size", "prefill.parallelism.tp")
ATOMS = st.one_of(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.sampled_from([*NAMES, "2", "3"])
    ).map(" ".join),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(lambda pair: f"divides({pair[0]}, {pair[1]})"),
    st.sampled_from(NAMES).map(lambda name: f"{name} in (1, 2)"),
    st.sampled_from(NAMES).map(lambda name: f"{name} % 2 == 0"),
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, st.tuples(*[st.integers(1, 4)] * 3), st.sets(st.sampled_from(NAMES)))
def test_knowing_more_never_undoes_a_verdict(text, numbers, unknown) -> None:
    facts = dict(zip(NAMES, numbers, strict=True))
    whole = run(text, facts)
    part = run(text, {name: value for name, value in facts.items() if name not in unknown})
    assert isinstance(whole, bool)
    assert part is None or part == whole
