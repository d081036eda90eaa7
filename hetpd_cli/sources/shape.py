"""Decodes a tree by the JSON Schema of the deployment file, keeping places and reporting every fault of shape.

The schema is the one description of the format: jsonschema accepts what this decoder accepts (a test holds the two
together). The decoder exists because a fault must come with its place, the nearest right word and the rest of the
faults, and because what decodes despite them is still checked.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from hetpd_cli.deployment import Section, Stated
from hetpd_cli.facts.values import NONE, Known, Unknown, Value
from hetpd_cli.fields import canonical, choices, fields, object_of, resolve
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.units import UnitError, parse_quantity
from hetpd_cli.versions import is_version

if TYPE_CHECKING:
    from hetpd_cli.places import Place
    from hetpd_cli.sources.tree import Entry, Node

UNDECODABLE = Unknown("what is written here cannot be read")
AUTO = "auto"
_SHOWN_CHOICES = 8


class Decoder:
    """Decodes the objects of one document and collects its problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    # -- objects ---------------------------------------------------------------------------------------------

    def section(self, node: Node, part: dict[str, Any], kind: str, where: str) -> Section:
        """Decode ``node`` as the object that ``part`` describes; ``where`` names it for messages."""
        section = Section(kind, node.place)
        self._object(node, part, "", section, where)
        return section

    def list_of(self, node: Node, where: str) -> list[Node]:
        """Return the items of a sequence of mappings; anything else is a problem."""
        if node.kind != "sequence":
            self.wrong_type(node, where, "a list")
            return []
        return node.items

    def _object(self, node: Node, part: dict[str, Any], prefix: str, section: Section, where: str) -> None:
        if node.kind != "mapping":
            self.wrong_type(node, where, "a mapping")
            return
        known = part.get("properties", {})
        extra = part.get("additionalProperties")
        for entry in node.entries:
            if entry.key.kind != "scalar":
                continue
            key = entry.key.source
            name = f"{where}.{key}" if where else key
            if key in known:
                self.value(entry.value, resolve(known[key]), prefix + key, section, name)
            elif isinstance(extra, dict):
                self.value(entry.value, resolve(extra), prefix + key, section, name)
            else:
                self._unknown_key(entry, list(known), section.kind, where)
        for key in part.get("required", ()):
            if node.get(key) is None:
                self._missing(node, key, where)

    def value(self, node: Node, part: dict[str, Any], path: str, section: Section, where: str) -> None:
        """Decode ``node`` as ``part`` of the schema and state what it says at ``path`` of ``section``."""
        inner = object_of(part)
        if part.get("type") == "array" and resolve(part["items"]).get("type") == "object":
            return
        if inner is None:
            self._leaf(node, part, path, section, where)
            return
        section.declared.add(path)
        shorthand = part.get("x-shorthand")
        if shorthand is not None and node.kind != "mapping":
            self._shorthand(node, part, inner, (path, shorthand), section, where)
            return
        self._object(node, inner, path + ".", section, where)

    def _shorthand(
        self,
        node: Node,
        part: dict[str, Any],
        inner: dict[str, Any],
        key: tuple[str, str],
        section: Section,
        where: str,
    ) -> None:
        path, name = key
        leaf = resolve(inner["properties"][name])
        scalar = next(resolve(choice) for choice in part["anyOf"] if resolve(choice).get("type") == "string")
        self._leaf(node, {**leaf, **scalar, "x-list": False, "anyOf": []}, f"{path}.{name}", section, where)
        stated = section.stated.get(f"{path}.{name}")
        if leaf.get("x-list") and stated is not None and isinstance(stated.value, str):
            section.stated[f"{path}.{name}"] = stated._replace(value=(stated.value,))

    # -- leaves ----------------------------------------------------------------------------------------------

    def _leaf(self, node: Node, part: dict[str, Any], path: str, section: Section, where: str) -> None:
        value = self._list(node, part, where) if part.get("x-list") else self._scalar(node, part, where)
        written = node.source if node.kind == "scalar" and _differs(node, value) else None
        section.stated[path] = Stated(value, node.place, written)
        for sibling, implied in part.get("x-implies", {}).get(node.source, {}).items():
            target = f"{path.rpartition('.')[0]}.{sibling}"
            section.stated.setdefault(target, Stated(implied, node.place, node.source))

    def _list(self, node: Node, part: dict[str, Any], where: str) -> Value:
        alternatives = [resolve(choice) for choice in part["anyOf"]]
        one = next(choice for choice in alternatives if choice.get("type") != "array")
        if node.kind == "scalar":
            value = self._scalar(node, {**one, "x-text": True, "x-none": part.get("x-none")}, where)
            return value if value is NONE or isinstance(value, Unknown) else (_one(value),)
        if node.kind != "sequence":
            self.wrong_type(node, where, "a list")
            return UNDECODABLE
        item = resolve(next(choice for choice in alternatives if choice.get("type") == "array")["items"])
        values = [self._scalar(child, {**item, "x-text": True}, where) for child in node.items]
        if any(isinstance(value, Unknown) for value in values):
            return UNDECODABLE
        return tuple(_one(value) for value in values)

    def _scalar(self, node: Node, part: dict[str, Any], where: str) -> Value:
        if node.kind != "scalar":
            self.wrong_type(node, where, _expected(part))
            return UNDECODABLE
        if node.value is None and node.plain:
            self._problem(
                "wrong-type",
                f"{where} is empty where {_expected(part)} is expected",
                node.place,
                "nothing stated",
                "state a value, or remove the key: an absent key is unknown",
            )
            return UNDECODABLE
        if "x-unit" in part and part.get("x-none") is not None and node.source == part["x-none"]:
            return NONE
        if "x-unit" in part and not isinstance(node.value, bool):
            return self._quantity(node, part, where)
        if part.get("x-text") or part.get("type") == "string":
            return self._text(node, part, where)
        return self._plain(node, part, where)

    def _quantity(self, node: Node, part: dict[str, Any], where: str) -> Value:
        if isinstance(node.value, str) and "anyOf" not in part:
            self.wrong_type(node, where, _expected(part))
            return UNDECODABLE
        number: Any = node.value
        if isinstance(node.value, str):
            found = parse_quantity(node.value, node.source, part["x-unit"])
            if isinstance(found, UnitError):
                self._problem(
                    "wrong-unit",
                    f"{where}: {found.message}",
                    node.place,
                    "unit does not fit",
                    found.suggestion,
                )
                return UNDECODABLE
            number = found
        bounds = part if "anyOf" not in part else {**part["anyOf"][0], **part}
        return self._bounded(node, bounds, where, number)

    def _plain(self, node: Node, part: dict[str, Any], where: str) -> Value:
        if part.get("type") == "boolean":
            if isinstance(node.value, bool):
                return node.value
            self.wrong_type(node, where, "true or false")
            return UNDECODABLE
        return self._bounded(node, part, where, node.value)

    def _bounded(self, node: Node, part: dict[str, Any], where: str, number: Any) -> Value:
        whole = part.get("type") == "integer"
        if isinstance(number, float) and whole and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)):
            self.wrong_type(node, where, _expected(part))
            return UNDECODABLE
        limit = _limit(part, number)
        if limit is not None:
            self._problem("invalid-value", f"{where} is {node.source}, {limit}", node.place, "out of range", "")
            return UNDECODABLE
        if "enum" in part and number not in part["enum"]:
            allowed = ", ".join(str(choice) for choice in part["enum"])
            self._problem("invalid-value", f"{where} is {node.source}, not {allowed}", node.place, "not known here", "")
            return UNDECODABLE
        value: Known = number
        return value

    def _text(self, node: Node, part: dict[str, Any], where: str) -> Value:
        text = node.source if part.get("x-text") or isinstance(node.value, str) else None
        if text is None or not isinstance(node.value, str | int | float) or _not_text(node, part):
            self.wrong_type(node, where, _expected(part))
            return UNDECODABLE
        if part.get("x-none") is not None and text == part["x-none"]:
            return NONE
        if part.get("x-auto") and text == AUTO:
            return Unknown(f"{where} is left to the engine (auto)", choices(part), AUTO)
        if "enum" in part and text not in part["enum"]:
            self._unknown_choice(node, part, where)
            return UNDECODABLE
        if "pattern" in part and re.search(part["pattern"], text) is None:
            self.wrong_type(node, where, _expected(part))
            return UNDECODABLE
        if part.get("x-version") and not is_version(text):
            return Unknown(f"{text!r} names no version")
        return canonical(part, text)

    # -- problems --------------------------------------------------------------------------------------------

    def _problem(self, rule: str, message: str, place: Place, label: str, fix: str) -> None:
        self.problems.append(Problem(rule, message, (LabelledPlace(place, label, primary=True),), fix))

    def wrong_type(self, node: Node, where: str, expected: str) -> None:
        """Report that ``node`` is not what is ``expected`` there."""
        found = {"mapping": "a mapping", "sequence": "a list"}.get(node.kind) or _shown(node)
        place = node.place if node.kind == "scalar" else _head(node)
        self._problem(
            "wrong-type",
            f"{where or 'the document'} is {found} where {expected} is expected",
            place,
            f"not {expected}"[:60],
            "",
        )

    def _missing(self, node: Node, key: str, where: str) -> None:
        self._problem(
            "missing-key",
            f"{where or 'the deployment'} has no {key}",
            _head(node),
            f"{key} is missing",
            f"add `{key}:`",
        )

    def _unknown_key(self, entry: Entry, known: list[str], kind: str, where: str) -> None:
        key = entry.key.source
        guess = nearest(key, known)
        fix = f"write `{guess}`" if guess else ""
        if guess is None:
            home = next((path for path in fields(kind) if path.rpartition(".")[2] == key), None)
            fix = f"it belongs at `{home}`" if home else f"known here: {_list_of(known)}"
        self._problem(
            "unknown-key",
            f"{key} is not a key of {where or 'a deployment'}{did_you_mean(guess)}",
            entry.key.place,
            "unknown key",
            fix,
        )

    def _unknown_choice(self, node: Node, part: dict[str, Any], where: str) -> None:
        guess = nearest(node.source, part["enum"])
        fix = f"write `{guess}`" if guess else f"known here: {_list_of(list(part['enum']))}"
        self._problem(
            "invalid-value",
            f"{where} is {_shown(node)}, which is not known there{did_you_mean(guess)}",
            node.place,
            "unknown value",
            fix,
        )


def _not_text(node: Node, part: dict[str, Any]) -> bool:
    """Tell whether a scalar that is no string stands where the schema wants another type than it has."""
    if isinstance(node.value, str):
        return False
    types = part.get("type", ["string", "number"])
    if isinstance(node.value, bool):
        return "boolean" not in types
    if isinstance(node.value, float) and not math.isfinite(node.value):
        return True
    return bool(types == "string")


def _one(value: Value) -> str:
    return value if isinstance(value, str) else str(value)


def _differs(node: Node, value: Value) -> bool:
    if value is NONE or isinstance(value, Unknown):
        return False
    if isinstance(value, tuple):
        return value != (node.source,)
    return node.source != str(value) and node.value != value


def _limit(part: dict[str, Any], number: float) -> str | None:
    if isinstance(number, float) and not math.isfinite(number):
        return "which is not finite"
    if "minimum" in part and number < part["minimum"]:
        return f"below {part['minimum']}"
    if "exclusiveMinimum" in part and number <= part["exclusiveMinimum"]:
        return f"not above {part['exclusiveMinimum']}"
    if "maximum" in part and number > part["maximum"]:
        return f"above {part['maximum']}"
    return None


def _expected(part: dict[str, Any]) -> str:
    if part.get("x-list"):
        return "a list"
    if "enum" in part:
        return "one of its words"
    if "x-unit" in part and "anyOf" in part:
        return {"token": "a number of tokens", "1": "a share"}.get(part["x-unit"], f"a quantity in {part['x-unit']}")
    types = part.get("type")
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    return names.get(str(types), "text")


def _shown(node: Node) -> str:
    text = node.source if len(node.source) <= 40 else node.source[:37] + "..."
    return f"'{text}'"


def _list_of(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_CHOICES])
    rest = len(names) - _SHOWN_CHOICES
    return f"{shown} and {rest} more" if rest > 0 else shown


def _head(node: Node) -> Place:
    """Return a one-line place for a container: its first key, or its own first character."""
    if node.kind == "mapping" and node.entries:
        return node.entries[0].key.place
    place = node.place
    return place._replace(end_line=place.line, end_column=place.column + 1, end=place.start + 1)
