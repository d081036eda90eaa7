"""Parses an expression and checks it: known facts, known functions, agreeing units.

Only the build, the tests and custom rules come here; ``check`` reads compiled trees.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from hetpd_cli.engine.expressions import AGGREGATES, COLLECTIONS, FUNCTIONS, UNIT_LITERALS
from hetpd_cli.facts.registry import derivations
from hetpd_cli.fields import field, fields, object_paths
from hetpd_cli.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES: dict[str, dict[str, str]] = {
    "pool": {"pool": "pool", "workload": "workload", "router": "router", "store": "store"},
    "boundary": {
        "prefill": "pool",
        "decode": "pool",
        "handoff": "handoff",
        "workload": "workload",
        "router": "router",
        "store": "store",
    },
    "pair": {"first": "pool", "second": "pool"},
    "deployment": {
        "workload": "workload",
        "router": "router",
        "store": "store",
        "pools": "pool",
        "prefill_pools": "pool",
        "decode_pools": "pool",
        "handoffs": "handoff",
    },
}
"""For each ``over``: the prefixes of its facts and the kind of subject behind each."""

COUNTS = frozenset(
    {
        "1",
        "rank",
        "device",
        "worker",
        "head",
        "layer",
        "block",
        "sequence",
        "request",
        "NIC",
        "port",
        "point",
        "token",
    }
)
"""Units of things that are counted: they compare with each other and with plain numbers."""

_COMPARE = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%"}
_WORDS = {"true": True, "false": False, "none": None}


class ExpressionError(ValueError):
    """An expression that is not of the language, or speaks of a fact that does not exist."""


class Context(NamedTuple):
    """What an expression may speak of: the rule's ``over`` and its named parameters with their units."""

    over: str
    parameters: Mapping[str, tuple[float, str]]


class Typed(NamedTuple):
    """A tree with the unit of its value, None where it has none."""

    tree: list[Any]
    unit: str | None


def parse_expression(text: str, context: Context) -> list[Any]:
    """Return the tree of ``text``. Raises ExpressionError with a message for the rule's author."""
    try:
        parsed = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"{text!r} is no expression: {error}") from None
    try:
        return _Parser(context).node(parsed.body).tree
    except (RecursionError, OverflowError) as error:
        raise ExpressionError(f"{text[:60]!r} is too deep or too large: {error}") from None


class _Parser:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.collection: str | None = None

    def node(self, node: ast.expr) -> Typed:
        for kind, parse in self._KINDS.items():
            if isinstance(node, kind):
                parsed: Typed = parse(self, node)
                return parsed
        raise ExpressionError(f"{ast.unparse(node)}: {type(node).__name__} is not part of the language")

    def _constant(self, node: ast.Constant) -> Typed:
        if node.value is None or isinstance(node.value, str | bool | int | float):
            return Typed(["value", node.value], None)
        raise ExpressionError(f"{node.value!r} is not a value of the language")

    def _boolean(self, node: ast.BoolOp) -> Typed:
        name = "and" if isinstance(node.op, ast.And) else "or"
        return Typed([name, *(self.node(value).tree for value in node.values)], None)

    def _unary(self, node: ast.UnaryOp) -> Typed:
        inner = self.node(node.operand)
        if isinstance(node.op, ast.Not):
            return Typed(["not", inner.tree], None)
        if isinstance(node.op, ast.USub):
            return Typed(["arithmetic", "-", ["value", 0], inner.tree], inner.unit)
        raise ExpressionError(f"{ast.unparse(node)} is not part of the language")

    def _compare(self, node: ast.Compare) -> Typed:
        sides = [node.left, *node.comparators]
        parts = []
        for left, operation, right in zip(sides, node.ops, sides[1:], strict=False):
            symbol = _COMPARE.get(type(operation))
            if symbol is None:
                raise ExpressionError(f"{ast.unparse(node)}: this comparison is not part of the language")
            one, other = self.node(left), self.node(right)
            self._agree(one, other, ast.unparse(node))
            parts.append(["compare", symbol, one.tree, other.tree])
        return Typed(parts[0] if len(parts) == 1 else ["and", *parts], None)

    def _agree(self, left: Typed, right: Typed, text: str) -> None:
        """Refuse a comparison or a sum of quantities in different units."""
        if left.unit == right.unit or (_counts(left) and _counts(right)):
            return
        raise ExpressionError(f"{text}: {left.unit or 'a plain number'} against {right.unit or 'a plain number'}")

    def _arithmetic(self, node: ast.BinOp) -> Typed:
        symbol = _ARITHMETIC.get(type(node.op))
        if symbol is None:
            raise ExpressionError(f"{ast.unparse(node)}: this operator is not part of the language")
        one, other = self.node(node.left), self.node(node.right)
        if any(part.tree[0] == "value" and isinstance(part.tree[1], str) for part in (one, other)):
            raise ExpressionError(f"{ast.unparse(node)}: no arithmetic on text")
        tree = ["arithmetic", symbol, one.tree, other.tree]
        if symbol in "+-%":
            self._agree(one, other, ast.unparse(node))
            return Typed(tree, one.unit or other.unit)
        if symbol == "/" and one.unit == other.unit:
            return Typed(tree, None)
        return Typed(tree, one.unit if _counts(other) else f"{one.unit}{symbol}{other.unit}")

    def _list(self, node: ast.Tuple | ast.List) -> Typed:
        items = [self.node(item) for item in node.elts]
        return Typed(["list", *(item.tree for item in items)], items[0].unit if items else None)

    def _name(self, node: ast.Name) -> Typed:
        if node.id in _WORDS:
            return Typed(["value", _WORDS[node.id]], None)
        raise ExpressionError(f"{node.id} is no fact{self._hint(node.id)}")

    def _fact(self, node: ast.Attribute) -> Typed:
        name = _dotted(node)
        prefix, _, path = name.partition(".")
        if prefix == "param":
            return self._parameter(path)
        kind = PREFIXES[self.context.over].get(prefix)
        if kind is None:
            raise ExpressionError(f"{name}: a rule over {self.context.over} has no {prefix}{self._hint(prefix)}")
        if prefix in COLLECTIONS and prefix != self.collection:
            raise ExpressionError(f"{name}: {prefix} is a collection, use it inside {', '.join(AGGREGATES)}")
        return Typed(["fact", name], fact_unit(kind, path, name))

    def _parameter(self, name: str) -> Typed:
        if name not in self.context.parameters:
            raise ExpressionError(f"param.{name} is not among the rule's parameters")
        value, unit = self.context.parameters[name]
        return Typed(["param", name, value], None if unit == "1" else unit)

    def _call(self, node: ast.Call) -> Typed:
        name = _dotted(node.func)
        if node.keywords:
            raise ExpressionError(f"{name}: no keyword arguments")
        if name == "declared":
            return Typed(["declared", self._section(node)], None)
        if name in UNIT_LITERALS:
            return self._literal(name, node)
        if name in AGGREGATES:
            return self._aggregate(name, node)
        if name not in FUNCTIONS:
            guess = nearest(name, [*FUNCTIONS, *UNIT_LITERALS, *AGGREGATES, "declared"])
            raise ExpressionError(f"{name} is no function{did_you_mean(guess)}")
        if len(node.args) != FUNCTIONS[name][0]:
            raise ExpressionError(f"{name} takes {FUNCTIONS[name][0]} operands")
        parts = [self.node(argument) for argument in node.args]
        unit = parts[0].unit if name in {"min", "max", "abs"} else None
        return Typed(["call", name, *(part.tree for part in parts)], unit)

    def _section(self, node: ast.Call) -> str:
        name = _dotted(node.args[0]) if len(node.args) == 1 else ""
        prefix, _, path = name.partition(".")
        kind = PREFIXES[self.context.over].get(prefix)
        if kind is None or (path and path not in object_paths(kind)) or (not path and kind == "pool"):
            raise ExpressionError(f"declared({name}): no such mapping; a single fact has no declared()")
        return name if path else f"{prefix}."

    def _literal(self, name: str, node: ast.Call) -> Typed:
        factor, unit = UNIT_LITERALS[name]
        if (
            len(node.args) != 1
            or not isinstance(node.args[0], ast.Constant)
            or not isinstance(node.args[0].value, int | float)
        ):
            raise ExpressionError(f"{name}() takes one number")
        return Typed(["value", node.args[0].value * factor], unit)

    def _aggregate(self, name: str, node: ast.Call) -> Typed:
        if self.context.over != "deployment" or len(node.args) != 1 or self.collection is not None:
            raise ExpressionError(f"{name} takes one expression, in rules over the deployment, not nested")
        used = {
            prefix
            for prefix in COLLECTIONS
            for part in ast.walk(node.args[0])
            if isinstance(part, ast.Name) and part.id == prefix
        }
        if len(used) != 1:
            raise ExpressionError(f"{name} speaks of exactly one collection of {', '.join(COLLECTIONS)}")
        self.collection = used.pop()
        part = self.node(node.args[0])
        collection, self.collection = self.collection, None
        return Typed(["over", name, collection, part.tree], part.unit if name == "sum_of" else None)

    def _hint(self, name: str) -> str:
        return did_you_mean(nearest(name, [*PREFIXES[self.context.over], *_WORDS]))

    _KINDS: ClassVar[dict[type[ast.expr] | tuple[type[ast.expr], ...], Any]] = {
        ast.Constant: _constant,
        ast.BoolOp: _boolean,
        ast.UnaryOp: _unary,
        ast.Compare: _compare,
        ast.BinOp: _arithmetic,
        (ast.Tuple, ast.List): _list,
        ast.Name: _name,
        ast.Attribute: _fact,
        ast.Call: _call,
    }


def _counts(part: Typed) -> bool:
    return part.unit is None or part.unit in COUNTS


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise ExpressionError(f"{ast.unparse(node)} is no name")


def fact_unit(kind: str, path: str, name: str) -> str | None:
    """Return the unit of a fact. Raises ExpressionError, with the nearest name, where there is no such fact."""
    derivation = derivations(kind).get(path)
    if derivation is not None and derivation.unit is not None:
        return derivation.unit
    known = field(kind, path)
    if known is not None:
        return known.unit
    if derivation is not None:
        return None
    guess = nearest(path, [*fields(kind), *derivations(kind)])
    prefix = name.removesuffix(path)
    raise ExpressionError(f"{name} is no fact{did_you_mean(guess and prefix + guess)}")
