"""Parses an expression and checks it: known facts, known functions, agreeing units.

Only the build, the tests and custom rules come here; ``check`` reads compiled trees.
"""

from __future__ import annotations

import ast
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from hetpd_cli.engine.expressions import AGGREGATES, COLLECTIONS, FUNCTIONS, UNIT_LITERALS
from hetpd_cli.facts.registry import derivations
from hetpd_cli.fields import field, fields, object_paths
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.versions import version_in

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

NUMBER, TEXT, BOOLEAN, LIST = "a number", "text", "true or false", "a list"
KINDS = {"number": NUMBER, "integer": NUMBER, "text": TEXT, "boolean": BOOLEAN, "list": LIST}
"""Kind of a fact's value to the words for it."""

OPERANDS: dict[str, tuple[str | None, ...]] = {
    "absent": (None,),
    "divides": (NUMBER, NUMBER),
    "divisible": (NUMBER, NUMBER),
    "version_in": (TEXT, TEXT),
    "same_version": (TEXT, TEXT),
    "contains": (LIST, None),
    "disjoint": (LIST, LIST),
    "overlap": (NUMBER, NUMBER, NUMBER, NUMBER),
    "min": (NUMBER, NUMBER),
    "max": (NUMBER, NUMBER),
    "abs": (NUMBER,),
}
"""What each operand of a function is; None where it may be anything."""

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
_ORDERED = ("<", "<=", ">", ">=")
_WITHIN = ("in", "not in")


class ExpressionError(ValueError):
    """An expression that is not of the language, or speaks of a fact that does not exist."""


class Context(NamedTuple):
    """What an expression may speak of: the rule's ``over`` and its named parameters with their units."""

    over: str
    parameters: Mapping[str, tuple[float, str]]


class Typed(NamedTuple):
    """A tree with the unit of its value, None where it has none, and the kind (:data:`KINDS`), None where not known."""

    tree: list[Any]
    unit: str | None
    kind: str | None = None


def parse_expression(text: str, context: Context) -> list[Any]:
    """Return the tree of ``text``. Raises ExpressionError with a message for the rule's author."""
    return _parsed(text, context).tree


def refuse_what_is_no_condition(text: str, context: Context) -> None:
    """Raise ExpressionError where ``text`` is no expression, or one that is never true or false."""
    kind = _parsed(text, context).kind
    if kind not in {BOOLEAN, None}:
        raise ExpressionError(f"{text.strip()} is {kind} where true or false is expected")


def _parsed(text: str, context: Context) -> Typed:
    try:
        parsed = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is no expression: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"{text!r} is no expression: {error}") from None
    try:
        return _Parser(context).node(parsed.body)
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
        value = node.value
        if value is None or isinstance(value, str | bool):
            return Typed(["value", value], None, {str: TEXT, bool: BOOLEAN}.get(type(value)))
        if isinstance(value, int | float):
            if not isfinite(value):
                raise ExpressionError(f"{ast.unparse(node)} is no finite number")
            return Typed(["value", value], None, NUMBER)
        raise ExpressionError(f"{value!r} is not a value of the language")

    def _operand(self, node: ast.expr, kind: str | None) -> Typed:
        """Return an operand. Raises ExpressionError where it is known to be of another kind than ``kind``."""
        part = self.node(node)
        if kind is not None and part.kind not in {kind, None}:
            raise ExpressionError(f"{ast.unparse(node)} is {part.kind} where {kind} is expected")
        return part

    def _boolean(self, node: ast.BoolOp) -> Typed:
        name = "and" if isinstance(node.op, ast.And) else "or"
        return Typed([name, *(self._operand(value, BOOLEAN).tree for value in node.values)], None, BOOLEAN)

    def _unary(self, node: ast.UnaryOp) -> Typed:
        if isinstance(node.op, ast.Not):
            return Typed(["not", self._operand(node.operand, BOOLEAN).tree], None, BOOLEAN)
        if isinstance(node.op, ast.USub):
            inner = self._operand(node.operand, NUMBER)
            return Typed(["arithmetic", "-", ["value", 0], inner.tree], inner.unit, NUMBER)
        raise ExpressionError(f"{ast.unparse(node)} is not part of the language")

    def _compare(self, node: ast.Compare) -> Typed:
        sides = [node.left, *node.comparators]
        parts = []
        for left, operation, right in zip(sides, node.ops, sides[1:], strict=False):
            symbol = _COMPARE.get(type(operation))
            if symbol is None:
                raise ExpressionError(f"{ast.unparse(node)}: this comparison is not part of the language")
            one = self._operand(left, NUMBER if symbol in _ORDERED else None)
            other = self._operand(right, NUMBER if symbol in _ORDERED else LIST if symbol in _WITHIN else None)
            self._agree(one, other, ast.unparse(node))
            self._comparable(one, right if symbol in _WITHIN else other, ast.unparse(node))
            parts.append(["compare", symbol, one.tree, other.tree])
        return Typed(parts[0] if len(parts) == 1 else ["and", *parts], None, BOOLEAN)

    def _comparable(self, left: Typed, right: Typed | ast.expr, text: str) -> None:
        """Refuse to compare what can never be equal: values of two kinds, with the items of a list that is written."""
        others = [right] if isinstance(right, Typed) else [self.node(item) for item in getattr(right, "elts", ())]
        for other in others:
            if left.kind != other.kind and None not in {left.kind, other.kind}:
                raise ExpressionError(f"{text}: {left.kind} against {other.kind}")

    def _agree(self, left: Typed, right: Typed, text: str) -> None:
        """Refuse a comparison or a sum of quantities in different units."""
        if left.unit == right.unit or (_counts(left) and _counts(right)):
            return
        raise ExpressionError(f"{text}: {left.unit or 'a plain number'} against {right.unit or 'a plain number'}")

    def _arithmetic(self, node: ast.BinOp) -> Typed:
        symbol = _ARITHMETIC.get(type(node.op))
        if symbol is None:
            raise ExpressionError(f"{ast.unparse(node)}: this operator is not part of the language")
        one, other = (self._operand(side, NUMBER) for side in (node.left, node.right))
        tree = ["arithmetic", symbol, one.tree, other.tree]
        if symbol in "+-%":
            self._agree(one, other, ast.unparse(node))
            return Typed(tree, one.unit or other.unit, NUMBER)
        if symbol == "/" and one.unit == other.unit:
            return Typed(tree, None, NUMBER)
        return Typed(tree, one.unit if _counts(other) else f"{one.unit}{symbol}{other.unit}", NUMBER)

    def _list(self, node: ast.Tuple | ast.List) -> Typed:
        items = [self.node(item) for item in node.elts]
        return Typed(["list", *(item.tree for item in items)], items[0].unit if items else None, LIST)

    def _name(self, node: ast.Name) -> Typed:
        if node.id in _WORDS:
            return Typed(["value", _WORDS[node.id]], None, None if node.id == "none" else BOOLEAN)
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
        return Typed(["fact", name], fact_unit(kind, path, name), _fact_kind(kind, path))

    def _parameter(self, name: str) -> Typed:
        if name not in self.context.parameters:
            raise ExpressionError(f"param.{name} is not among the rule's parameters")
        value, unit = self.context.parameters[name]
        return Typed(["param", name, value], None if unit == "1" else unit, NUMBER)

    def _call(self, node: ast.Call) -> Typed:
        name = _dotted(node.func)
        if node.keywords:
            raise ExpressionError(f"{name}: no keyword arguments")
        if name == "declared":
            return Typed(["declared", self._section(node)], None, BOOLEAN)
        if name in UNIT_LITERALS:
            return self._literal(name, node)
        if name in AGGREGATES:
            return self._aggregate(name, node)
        if name not in FUNCTIONS:
            guess = nearest(name, [*FUNCTIONS, *UNIT_LITERALS, *AGGREGATES, "declared"])
            raise ExpressionError(f"{name} is no function{did_you_mean(guess)}")
        if len(node.args) != FUNCTIONS[name][0]:
            raise ExpressionError(f"{name} takes {FUNCTIONS[name][0]} operands")
        parts = [self._operand(argument, kind) for argument, kind in zip(node.args, OPERANDS[name], strict=True)]
        _check_operands(name, node, parts)
        calculates = name in {"min", "max", "abs"}
        tree = ["call", name, *(part.tree for part in parts)]
        return Typed(tree, parts[0].unit if calculates else None, NUMBER if calculates else BOOLEAN)

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
        if not isfinite(node.args[0].value * factor):
            raise ExpressionError(f"{ast.unparse(node)} is no finite number")
        return Typed(["value", node.args[0].value * factor], unit, NUMBER)

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
        part = self._operand(node.args[0], {"sum_of": NUMBER, "unique": None}.get(name, BOOLEAN))
        collection, self.collection = self.collection, None
        sums = name == "sum_of"
        return Typed(["over", name, collection, part.tree], part.unit if sums else None, NUMBER if sums else BOOLEAN)

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


def _check_operands(name: str, node: ast.Call, parts: list[Typed]) -> None:
    """Refuse operands that a function cannot decide on: a range of versions that is none, facts within a list."""
    if name == "version_in":
        spec = parts[1].tree[1] if parts[1].tree[0] == "value" else None
        try:
            version_in("1.0", str(spec))
        except ValueError as error:
            raise ExpressionError(f"{ast.unparse(node)}: {error}") from None
    if name in {"contains", "disjoint"}:
        if any(item[0] != "value" for part in parts if part.tree[0] == "list" for item in part.tree[1:]):
            raise ExpressionError(f"{ast.unparse(node)}: a list of facts; write `x in [...]`, which knows unknown ones")
        if name == "contains" and parts[1].kind == LIST:
            raise ExpressionError(f"{ast.unparse(node)}: a list within a list")


def _fact_kind(subject: str, path: str) -> str | None:
    """Return the kind of value that a fact has, None where nothing says it."""
    known = field(subject, path)
    derivation = derivations(subject).get(path)
    kinds = {KINDS[one] for one in (known and known.kind, derivation and derivation.result) if one}
    return kinds.pop() if len(kinds) == 1 else None


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
