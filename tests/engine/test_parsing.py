"""The grammar of rules: what parses to which tree, what is refused, units."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.engine.expressions import AGGREGATES, COLLECTIONS, FUNCTIONS, UNIT_LITERALS, compile_tree, reads
from hetpd_cli.engine.parse import (
    OPERANDS,
    PREFIXES,
    Context,
    ExpressionError,
    fact_unit,
    parse_expression,
    refuse_what_is_no_condition,
)
from hetpd_cli.facts.registry import derivations
from hetpd_cli.fields import fields, object_paths

PARAMETERS = {"limit": (30.0, "s"), "ratio": (2.0, "1"), "heads": (4.0, "head")}
BOUNDARY, POOL, WHOLE = (Context(over, PARAMETERS) for over in ("boundary", "pool", "deployment"))


def refused(text: str, context: Context = BOUNDARY) -> str:
    with pytest.raises(ExpressionError) as error:
        parse_expression(text, context)
    return str(error.value)


# -- trees -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("true", ["value", True]),
        ("none", ["value", None]),
        ("'x'", ["value", "x"]),
        ("prefill.workers", ["fact", "prefill.workers"]),
        ("prefill.env.UCX_TLS", ["fact", "prefill.env.UCX_TLS"]),
        ("not true", ["not", ["value", True]]),
        ("-1", ["arithmetic", "-", ["value", 0], ["value", 1]]),
        ("true and false or none", ["or", ["and", ["value", True], ["value", False]], ["value", None]]),
        ("1 < 2 <= 3", ["and", ["compare", "<", ["value", 1], ["value", 2]], ["compare", "<=", ["value", 2], ["value", 3]]]),
        ("1 not in [1, 2]", ["compare", "not in", ["value", 1], ["list", ["value", 1], ["value", 2]]]),
        ("1 in ()", ["compare", "in", ["value", 1], ["list"]]),
        ("1 + 2 * 3", ["arithmetic", "+", ["value", 1], ["arithmetic", "*", ["value", 2], ["value", 3]]]),
        ("abs(1)", ["call", "abs", ["value", 1]]),
        ("ms(1500)", ["value", 1.5]),
        ("param.limit", ["param", "limit", 30.0]),
        ("declared(handoff.path)", ["declared", "handoff.path"]),
        ("declared(workload)", ["declared", "workload."]),
        ("  \n true \n ", ["value", True]),
    ],
)  # fmt: skip
def test_trees(text, tree) -> None:
    assert parse_expression(text, BOUNDARY) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("sum_of(pools.workers) > 1", ["over", "sum_of", "pools", ["fact", "pools.workers"]]),
        ("any_of(declared(handoffs.path)) == true", ["over", "any_of", "handoffs", ["declared", "handoffs.path"]]),
        ("all_of(prefill_pools.workers > 1 and prefill_pools.workers < 9) == true", None),
    ],
)
def test_aggregates(text, tree) -> None:
    parsed = parse_expression(text, WHOLE)
    assert parsed[:2] == ["compare", text.split()[-2]]
    assert tree is None or parsed[2] == tree


def test_trees_are_json_and_survive_it() -> None:
    text = "divides(prefill.workers, 4) and prefill.kv.dtype in ('bf16', none) or not declared(handoff.path)"
    tree = parse_expression(text, BOUNDARY)
    assert json.loads(json.dumps(tree)) == tree


@pytest.mark.parametrize("over", PREFIXES)
def test_every_fact_and_mapping_of_a_scope_can_be_named(over) -> None:
    for prefix, kind in PREFIXES[over].items():
        if prefix in COLLECTIONS:
            continue
        for path in (*fields(kind), *derivations(kind)):
            name = f"{prefix}.{path.replace('*', 'X')}"
            assert parse_expression(name, Context(over, {})) == ["fact", name]
        for path in object_paths(kind):
            assert parse_expression(f"declared({prefix}.{path})", Context(over, {}))


# -- kinds of values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "min(prefill.hosts, 1) == 1", "max(1, prefill.kv.dtype) == 1", "abs(prefill.kv.dtype) == 1",
        "min(prefill.model.hybrid, 1) == 1", "abs([1]) == 1", "-prefill.kv.dtype == 1", "prefill.hosts + 1 == 1",
        "prefill.workers * 'a' == 1", "true + 1 == 2", "divides(prefill.hosts, 2)", "divides(2, prefill.kv.dtype)",
        "divisible('a', 2)", "overlap(1, 2, prefill.kv.dtype, 3)", "contains('bf16', 'b')",
        "contains(prefill.workers, 1)", "contains(prefill.hosts, decode.hosts)", "contains([prefill.kv.dtype], 'bf16')",
        "disjoint([decode.kv.dtype], ['bf16'])", "disjoint(prefill.kv.dtype, decode.hosts)",
        "version_in(prefill.workers, '>=1')", "version_in(prefill.engine.version, 'soon')",
        "version_in(prefill.engine.version, '>=soon')", "version_in(prefill.engine.version, decode.engine.version)",
        "same_version(1, prefill.engine.version)", "prefill.kv.dtype < 1", "'a' <= prefill.kv.dtype",
        "prefill.workers == '3'", "prefill.hosts == 'node-1'", "prefill.model.hybrid != 1", "prefill.workers in 'abc'",
        "prefill.workers in prefill.kv.dtype", "prefill.workers in ['a', 'b']", "prefill.hosts in ['a']",
        "1 == prefill.workers == 'a'", "not prefill.workers", "prefill.workers and true", "true or prefill.kv.dtype",
        "prefill.workers == " + "9" * 400, "prefill.workers == 1e999", "prefill.connector.lease_s == minutes(1e308)",
    ],
)  # fmt: skip
def test_operands_of_a_known_kind_have_to_fit(text) -> None:
    refused(text)


@pytest.mark.parametrize("text", ["sum_of(pools.kv.dtype) == 1", "all_of(pools.workers)", "any_of(pools.hosts)"])
def test_what_is_gathered_has_to_fit(text) -> None:
    refused(text, WHOLE)


@pytest.mark.parametrize(
    "text",
    [
        "min(prefill.workers, none) == 1", "prefill.kv.dtype == none", "prefill.workers in [1, none]",
        "prefill.hosts == ['a', 'b']", "prefill.hosts == decode.hosts", "contains(prefill.hosts, 'a')",
        "contains(['a', 'b'], prefill.kv.dtype)", "disjoint(prefill.hosts, ['a'])", "prefill.kv.dtype in decode.hosts",
        "prefill.model.hybrid == true", "prefill.model.hybrid", "absent(prefill.hosts)",
        "version_in(prefill.engine.version, '*')", "prefill.connector.lease_s == minutes(1e300)",
    ],
)  # fmt: skip
def test_operands_that_fit_are_taken(text) -> None:
    parse_expression(text, BOUNDARY)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("prefill.workers", False), ("prefill.kv.dtype", False), ("prefill.hosts", False), ("1", False), ("[true]", False),
        ("prefill.workers == 1", True), ("prefill.model.hybrid", True), ("true", True),
    ],
)  # fmt: skip
def test_a_condition_is_true_or_false(text, taken) -> None:
    if taken:
        refuse_what_is_no_condition(text, BOUNDARY)
        return
    with pytest.raises(ExpressionError):
        refuse_what_is_no_condition(text, BOUNDARY)


def test_every_function_says_what_its_operands_are() -> None:
    assert {name: len(kinds) for name, kinds in OPERANDS.items()} == {name: row[0] for name, row in FUNCTIONS.items()}


def test_a_fault_of_syntax_names_no_file() -> None:
    assert "unknown" not in refused("divides(2, prefill.workers")


# -- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1 ** 2", "1 // 2", "1 @ 2", "1 << 2", "1 & 2", "1 | 2", "~1", "+1",
        "prefill.kv[0] == 1", "[1, 2][0] == 1", "'a' + 'b'", "'%s' % 1", "1 * 'a'",
        "b'x'", "1j", "...", "f'{1}'", "{1: 2}", "{1}", "[*prefill.hosts]", "(x := 1)",
        "lambda: 1", "[x for x in prefill.hosts]", "(x for x in prefill.hosts)", "1 if true else 2",
        "1 is 1", "prefill.kv.dtype is not none", "await prefill", "yield 1", "x = 1", "1; 2", "import os", "",
        "prefill", "prefill.kv", "prefill.", ".kv", "prefill.name", "x", "True.kv == 1", "(1).real == 1",
        "open('x')", "divides", "prefill.kv.dtype()", "(1)()", "'a'.upper()", "abs.__class__", "__import__('os')",
        "abs()", "abs(1, 2)", "abs(*[1])", "divides(part=1, whole=2)", "min(1, 2, **{})",
        "s()", "s(1, 2)", "s('1')", "s(-1)", "s(1 + 1)", "s(prefill.workers)", "s(none)", "gb(s(1))",
        "param.other", "param", "param.limit.x",
        "declared()", "declared(prefill)", "declared(prefill.kv.dtype)", "declared(prefill.nothing)", "declared('x')",
        "declared(pools)", "declared(pools.kv)",
        "unique(prefill.workers)", "all_of(true)", "pools.workers == 1", "store.nothing == 1",
    ],
)  # fmt: skip
def test_what_is_not_of_the_language(text) -> None:
    refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "pools.workers == 1",
        "all_of(workload.rate_per_s > 1)",
        "all_of()",
        "all_of(pools.workers == 1, pools.workers == 2)",
        "all_of(pools.workers == decode_pools.workers)",
        "all_of(any_of(pools.workers == 1))",
        "any_of(pools.workers == 1 for x in y)",
        "sum_of(pools.nothing)",
        "all_of(pools.workers == 1) and decode_pools.workers == 1",
    ],
)
def test_what_an_aggregate_refuses(text) -> None:
    refused(text, WHOLE)


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ("prefill.kv.block_sise == 1", "prefill.kv.block_size"),
        ("prefill.kv.dtyp == 1", "prefill.kv.dtype"),
        ("decode.parallelism.rank == 1", "decode.parallelism.ranks"),
        ("handoff.one_conector", "handoff.one_connector"),
        ("decod.workers == 1", "decode"),
        ("Divides(1, 2)", "divides"),
        ("tru", "true"),
        ("hours(1) == s(1)", None),
    ],
)
def test_the_nearest_word_is_named(text, guess) -> None:
    message = refused(text)
    assert f"did you mean {guess}?" in message if guess else "did you mean" not in message


@pytest.mark.parametrize(
    "text", ["(" * 300 + "1" + ")" * 300, "x" * 100_000, "'" + "a" * 100_000, "1" * 5000, "\0", "\ud800"]
)
def test_hostile_texts_are_refused(text) -> None:
    refused(text)


@given(st.text(alphabet="pre fil.kvdtype()[]'\"<>=+-*/%!andornotin,0123456789\n", max_size=40))
def test_any_text_parses_or_is_refused_with_a_message(text) -> None:
    try:
        tree = parse_expression(text, BOUNDARY)
    except ExpressionError as error:
        assert str(error)
    else:
        compile_tree(tree)


# -- units -----------------------------------------------------------------------------------------------------

UNITS = {
    "prefill.connector.lease_s": "s",
    "prefill.memory.kv_capacity_gib": "GiB",
    "handoff.measured.rate_gb_per_s": "GB/s",
    "handoff.path.rate_gbit_per_s": "Gbit/s",
    "workload.slo.quality_gap": "point",
    "workload.rate_per_s": "request/s",
    "prefill.kv.block_size": "token",
    "prefill.parallelism.tp": "rank",
    "prefill.model.attention.kv_heads": "head",
    "prefill.memory.utilization": "1",
    "prefill.parallelism.ranks": "rank",
    "decode.connector.heartbeat_period_s": "s",
    "decode.model.hidden": "1",
}
COUNTED = {"token", "rank", "head", "point", "1", None}


def test_units_of_facts() -> None:
    for name, unit in UNITS.items():
        prefix, _, path = name.partition(".")
        assert fact_unit(PREFIXES["boundary"][prefix], path, name) == unit


def agrees(text: str, context: Context = BOUNDARY) -> bool:
    try:
        parse_expression(text, context)
    except ExpressionError as error:
        assert "against" in str(error)
        return False
    return True


@pytest.mark.parametrize("symbol", ["==", "!=", "<", "<=", ">", ">=", "+", "-", "%"])
def test_quantities_meet_their_own_unit_only(symbol) -> None:
    for one, unit in UNITS.items():
        for other, its in UNITS.items():
            assert agrees(f"{one} {symbol} {other}") == (unit == its or {unit, its} <= COUNTED), (one, other)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("prefill.connector.lease_s > s(30)", True),
        ("prefill.connector.lease_s > ms(30) + us(1) - minutes(2)", True),
        ("prefill.connector.lease_s > gib(30)", False),
        ("prefill.connector.lease_s > 30", False),
        ("prefill.connector.lease_s > -s(30)", True),
        ("prefill.connector.lease_s < prefill.memory.kv_capacity_gib", False),
        ("prefill.memory.kv_capacity_gib == gib(4)", True),
        ("prefill.memory.kv_capacity_gib == gb(4)", True),
        ("prefill.memory.kv_capacity_gib == s(30)", False),
        ("handoff.path.rate_gbit_per_s > gbit_per_s(100)", True),
        ("handoff.path.rate_gbit_per_s > gb_per_s(100)", False),
        ("prefill.kv.block_size == tokens(16)", True),
        ("prefill.kv.block_size == prefill.parallelism.tp * 2", True),
        ("prefill.connector.lease_s * 2 > s(1)", True),
        ("prefill.connector.lease_s / 2 > s(1)", True),
        ("prefill.connector.lease_s * prefill.parallelism.tp > s(1)", True),
        ("prefill.connector.lease_s / decode.connector.lease_s > 2", True),
        ("prefill.connector.lease_s / decode.connector.lease_s > s(2)", False),
        ("prefill.connector.lease_s * decode.connector.lease_s > s(2)", False),
        ("prefill.memory.kv_capacity_gib / prefill.connector.lease_s > gib(2)", False),
        ("prefill.connector.lease_s > param.limit * param.ratio", True),
        ("prefill.connector.lease_s > param.ratio", False),
        ("prefill.model.attention.kv_heads > param.heads", True),
        ("prefill.connector.lease_s in [s(1), s(2)]", True),
        ("prefill.connector.lease_s in [1, 2]", False),
        ("abs(prefill.connector.lease_s) > s(1)", True),
        ("abs(prefill.connector.lease_s) > 1", False),
        ("max(prefill.connector.lease_s, s(1)) > gib(1)", False),
        ("divides(prefill.kv.block_size, 16) == true", True),
        ("s(1) < prefill.connector.lease_s < gib(2)", False),
    ],
)
def test_units_agree(text, fits) -> None:
    assert agrees(text) is fits


def test_units_of_aggregates() -> None:
    assert agrees("sum_of(pools.workers) > 3", WHOLE)
    assert agrees("sum_of(pools.connector.lease_s) > s(3)", WHOLE)
    assert not agrees("sum_of(pools.connector.lease_s) > 3", WHOLE)
    assert agrees("any_of(pools.connector.lease_s > s(3)) == true", WHOLE)


@pytest.mark.parametrize(
    ("literal", "value"),
    [("us(1e6)", 1), ("ms(1000)", 1), ("s(1)", 1), ("minutes(2)", 120), ("gib(3)", 3), ("gb(1.073741824)", 1),
     ("gb_per_s(5)", 5), ("gbit_per_s(5)", 5), ("tokens(7)", 7)],
)  # fmt: skip
def test_literals_come_in_the_canonical_unit(literal, value) -> None:
    tree: Any = parse_expression(literal, BOUNDARY)
    assert tree[0] == "value"
    assert tree[1] == pytest.approx(value)


def test_every_word_of_the_language_is_tested_here_or_beside() -> None:
    assert set(UNIT_LITERALS) == {"us", "ms", "s", "minutes", "gib", "gb", "gb_per_s", "gbit_per_s", "tokens"}
    assert set(AGGREGATES) == {"all_of", "any_of", "unique", "sum_of"}
    assert {name: arity for name, (arity, _) in FUNCTIONS.items()} == {
        "absent": 1, "divides": 2, "divisible": 2, "version_in": 2, "same_version": 2, "contains": 2, "disjoint": 2,
        "overlap": 4, "min": 2, "max": 2, "abs": 1,
    }  # fmt: skip


# -- reads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("true", []),
        ("declared(handoff.path)", []),
        ("'fact' == prefill.kv.dtype", ["prefill.kv.dtype"]),
        ("prefill.workers in [decode.workers, 1]", ["prefill.workers", "decode.workers"]),
        ("not (prefill.workers > 1 and -prefill.workers < 2)", ["prefill.workers", "prefill.workers"]),
        ("min(max(prefill.workers, 1), abs(decode.workers)) == 1", ["prefill.workers", "decode.workers"]),
        ("'and' in ['or', 'value', 'fact']", []),
    ],
)
def test_reads(text, names) -> None:
    assert list(reads(parse_expression(text, BOUNDARY))) == names


def test_reads_of_an_aggregate() -> None:
    tree = parse_expression(
        "sum_of(pools.workers * pools.parallelism.tp) > workload.rate_per_s / workload.rate_per_s", WHOLE
    )
    assert list(reads(tree)) == ["pools.workers", "pools.parallelism.tp", "workload.rate_per_s", "workload.rate_per_s"]
