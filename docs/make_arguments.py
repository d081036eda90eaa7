"""Adds a release of a program to the argument tables.

    python docs/make_arguments.py PROGRAM VERSION FOLDER

PROGRAM is a name of ``hetpd_cli.tables.arguments.PROGRAMS``, FOLDER holds the unpacked released package (the folder
above ``vllm/``, ``sglang/``, ``dynamo/``, ``tensorrt_llm/``, ``sglang_router/``). Nothing of the package is imported or
run: the functions that declare arguments are interpreted from their syntax tree, far enough to see every
``add_argument``. What cannot be seen that way (a default computed from the machine, choices that plugins extend) is
left out of the table. Running it again for a release replaces that release. ``transfer`` as PROGRAM reads the
connectors and the keys of the transfer configuration of vLLM.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import itertools

from hetpd_cli.tables.arguments import FOLDER, version_key

DEPTH = 40


class Opaque:
    """A value that is not known; ``text`` is the expression."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Opaque({self.text})"


class Returned(Exception):  # noqa: N818 (no error: a return statement)
    """A function of the package returns."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Parsed(Exception):  # noqa: N818 (no error: everything is declared)
    """The parser is asked to parse."""


class Parser:
    """Collects what is declared on a parser and its groups."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[Any], dict[str, Any]]] = []


class Function:
    """A function of the package, with what it is bound to."""

    def __init__(self, node: Any, module: Module, owner: Class | None = None, bound: Any = None) -> None:
        self.node, self.module, self.owner, self.bound = node, module, owner, bound
        self.closure: dict[str, Any] = {}


class Class:
    """A class of the package."""

    def __init__(self, node: ast.ClassDef, module: Module) -> None:
        self.node, self.module = node, module

    def bases(self) -> list[Class]:
        """Return the bases that are classes of the package."""
        found = [self.module.source.interpreter.value(base, {}, self.module) for base in self.node.bases]
        return [one for one in found if isinstance(one, Class)]

    def lineage(self) -> list[Class]:
        """The class and its bases, nearest first."""
        found = [self]
        for base in self.bases():
            found += [one for one in base.lineage() if one not in found]
        return found

    def fields(self) -> dict[str, tuple[ast.AnnAssign, Module]]:
        """The annotated fields, those of the bases first."""
        found: dict[str, tuple[ast.AnnAssign, Module]] = {}
        for one in reversed(self.lineage()):
            for statement in one.node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    found[statement.target.id] = (statement, one.module)
        return found

    def member(self, name: str, after: Class | None = None) -> Any:
        """Return a method or the value of an attribute; behind the class ``after`` where one is given."""
        lineage = self.lineage()
        if after is not None:
            lineage = lineage[lineage.index(after) + 1 :]
        for one in lineage:
            for statement in one.node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name == name:
                    return Function(statement, one.module, one)
                value = None
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    value = statement.value if statement.target.id == name else None
                elif isinstance(statement, ast.Assign) and any(ast.unparse(t) == name for t in statement.targets):
                    value = statement.value
                if value is not None:
                    return one.module.source.interpreter.value(value, {}, one.module)
        return Opaque(f"{self.node.name}.{name}")

    def is_enum(self) -> bool:
        """Tell whether it is an enumeration."""
        return any("Enum" in ast.unparse(base) for one in self.lineage() for base in one.node.bases)

    def enum_members(self) -> list[EnumMember]:
        """Return the members of an enumeration."""
        return [
            EnumMember(
                self, statement.targets[0].id, self.module.source.interpreter.value(statement.value, {}, self.module)
            )
            for statement in self.node.body
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        ]


class EnumMember:
    """A member of an enumeration."""

    def __init__(self, owner: Class, name: str, value: Any) -> None:
        self.owner, self.name, self.value = owner, name, value


class Instance:
    """An object of a class of the package."""

    def __init__(self, owner: Class, attributes: dict[str, Any]) -> None:
        self.owner, self.attributes = owner, attributes


class Super:
    """What ``super()`` gives."""

    def __init__(self, owner: Class, bound: Any) -> None:
        self.owner, self.bound = owner, bound


class Module:
    """A module of the package, with what it defines."""

    def __init__(self, source: Source, name: str, path: Path) -> None:
        self.source, self.name, self.path = source, name, path
        self.text = path.read_text(encoding="utf-8")
        self.definitions: dict[str, Any] = {}
        self._collect(ast.parse(self.text).body)

    def _collect(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.definitions[statement.name] = statement
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name) and not isinstance(self.definitions.get(target.id), ast.ClassDef):
                        self.definitions[target.id] = statement.value
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
                self.definitions[statement.target.id] = statement.value
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                for alias in statement.names:
                    self.definitions.setdefault(alias.asname or alias.name, (statement, alias.name))
            elif isinstance(statement, ast.If):
                self._collect(statement.body)
                self._collect(statement.orelse)
            elif isinstance(statement, ast.Try):
                self._collect(statement.body)

    def lookup(self, name: str) -> Any:
        """Return what a name of the module stands for."""
        found = self.definitions.get(name)
        if found is None:
            below = self.source.module(f"{self.name}.{name}") if self.path.name == "__init__.py" else None
            return below if below is not None else Opaque(name)
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            return Function(found, self)
        if isinstance(found, ast.ClassDef):
            return Class(found, self)
        if isinstance(found, tuple):
            return self._imported(*found)
        self.definitions[name] = None  # A name defined by itself.
        try:
            return self.source.interpreter.value(found, {}, self)
        finally:
            self.definitions[name] = found

    def _imported(self, statement: ast.Import | ast.ImportFrom, name: str) -> Any:
        if isinstance(statement, ast.Import):
            return self.source.module(name) or Opaque(name)
        base = statement.module or ""
        if statement.level:
            parts = self.name.split(".")
            parts = parts[: len(parts) - statement.level + (self.path.name == "__init__.py")]
            base = ".".join([*parts, *([base] if base else [])])
        module = self.source.module(base)
        if module is None:
            return Opaque(f"{base}.{name}")
        found = module.lookup(name)
        if isinstance(found, Opaque):
            return self.source.module(f"{base}.{name}") or found
        return found


class Source:
    """The modules of an unpacked package."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules: dict[str, Module | None] = {}
        self.interpreter = Interpreter(self)

    def module(self, name: str) -> Module | None:
        """Return a module, None where the package has none of that name."""
        if name not in self.modules:
            base = self.root.joinpath(*name.split("."))
            path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
            self.modules[name] = None
            self.modules[name] = Module(self, name, path) if path else None
        return self.modules[name]


UNBOUND = object()
KINDS = {"int": "integer", "float": "number", "str": "text"}


class Interpreter:
    """Runs statements as far as they can be known."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.depth = 0

    # Expressions

    def value(self, node: Any, local: dict[str, Any], module: Module) -> Any:
        """Return the value of an expression, as far as it can be known."""
        if node is None:
            return None
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            return Opaque(ast.unparse(node))
        try:
            return method(node, local, module)
        except (TypeError, KeyError, IndexError, ValueError, AttributeError, RecursionError):
            return Opaque(ast.unparse(node))

    def _constant(self, node: ast.Constant, local: Any, module: Module) -> Any:
        return node.value

    def _name(self, node: ast.Name, local: dict[str, Any], module: Module) -> Any:
        return local[node.id] if node.id in local else module.lookup(node.id)

    def _sequence(self, node: Any, local: Any, module: Module) -> list[Any]:
        found: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                inner = self.items(self.value(item.value, local, module))
                found += [Opaque("*")] if inner is None else inner
            else:
                found.append(self.value(item, local, module))
        return found

    def _list(self, node: ast.List, local: Any, module: Module) -> Any:
        return self._sequence(node, local, module)

    def _set(self, node: ast.Set, local: Any, module: Module) -> Any:
        return self._sequence(node, local, module)

    def _tuple(self, node: ast.Tuple, local: Any, module: Module) -> Any:
        return tuple(self._sequence(node, local, module))

    def _dict(self, node: ast.Dict, local: Any, module: Module) -> Any:
        found: dict[Any, Any] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            one = self.value(item, local, module)
            if key is None:
                found.update(one if isinstance(one, dict) else {})
            else:
                name = self.value(key, local, module)
                found[name if isinstance(name, str | int) else str(name)] = one
        return found

    def _joinedstr(self, node: ast.JoinedStr, local: Any, module: Module) -> Any:
        parts = []
        for part in node.values:
            inner = part.value
            one = inner if isinstance(part, ast.Constant) else self.value(inner, local, module)
            parts.append(str(one) if not isinstance(one, Opaque) else "{}")
        return "".join(parts)

    def _ifexp(self, node: ast.IfExp, local: Any, module: Module) -> Any:
        test = self.truth(self.value(node.test, local, module))
        if test is None:
            return Opaque(ast.unparse(node))
        return self.value(node.body if test else node.orelse, local, module)

    def _binop(self, node: ast.BinOp, local: Any, module: Module) -> Any:
        left, right = self.value(node.left, local, module), self.value(node.right, local, module)
        if isinstance(left, Opaque) or isinstance(right, Opaque):
            return Opaque(ast.unparse(node))
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Pow):
            return left**right
        if isinstance(node.op, ast.Sub):
            return [one for one in left if one not in right] if isinstance(left, list) else left - right
        if isinstance(node.op, ast.Div):
            return left / right
        if isinstance(node.op, ast.FloorDiv):
            return left // right
        if isinstance(node.op, ast.LShift):
            return left << right
        return Opaque(ast.unparse(node))

    def _unaryop(self, node: ast.UnaryOp, local: Any, module: Module) -> Any:
        one = self.value(node.operand, local, module)
        if isinstance(node.op, ast.Not):
            test = self.truth(one)
            return Opaque(ast.unparse(node)) if test is None else not test
        if isinstance(node.op, ast.USub) and isinstance(one, int | float):
            return -one
        return Opaque(ast.unparse(node))

    def _boolop(self, node: ast.BoolOp, local: Any, module: Module) -> Any:
        last: Any = None
        for part in node.values:
            last = self.value(part, local, module)
            test = self.truth(last)
            if test is None or test == isinstance(node.op, ast.Or):
                return last
        return last

    def _compare(self, node: ast.Compare, local: Any, module: Module) -> Any:
        left, right = self.value(node.left, local, module), self.value(node.comparators[0], local, module)
        operator = node.ops[0]
        if isinstance(operator, ast.Is | ast.IsNot) and right is None and not isinstance(left, Opaque):
            return (left is None) == isinstance(operator, ast.Is)
        if isinstance(left, Opaque) or isinstance(right, Opaque):
            return Opaque(ast.unparse(node))
        if isinstance(operator, ast.Eq | ast.NotEq):
            return (left == right) == isinstance(operator, ast.Eq)
        if isinstance(operator, ast.In | ast.NotIn):
            return (left in right) == isinstance(operator, ast.In)
        return Opaque(ast.unparse(node))

    def _subscript(self, node: ast.Subscript, local: Any, module: Module) -> Any:
        base = self.value(node.value, local, module)
        if isinstance(base, dict | list | tuple | str):
            key = self.value(node.slice, local, module)
            return base[key]
        return Opaque(ast.unparse(node))

    def _lambda(self, node: ast.Lambda, local: Any, module: Module) -> Any:
        return Opaque(ast.unparse(node))

    def _namedexpr(self, node: ast.NamedExpr, local: dict[str, Any], module: Module) -> Any:
        local[node.target.id] = self.value(node.value, local, module)
        return local[node.target.id]

    def _comprehension(self, node: Any, local: Any, module: Module) -> Any:
        generator = node.generators[0]
        items = self.items(self.value(generator.iter, local, module))
        if items is None or len(node.generators) > 1:
            return Opaque(ast.unparse(node))
        found = []
        for item in items:
            inner = dict(local)
            self.assign(generator.target, item, inner, module)
            tests = [self.truth(self.value(test, inner, module)) for test in generator.ifs]
            if None in tests:
                return Opaque(ast.unparse(node))
            if all(tests):
                found.append(self.value(node.elt, inner, module))
        return found

    _listcomp = _setcomp = _generatorexp = _comprehension

    def _attribute(self, node: ast.Attribute, local: Any, module: Module) -> Any:
        base = self.value(node.value, local, module)
        name = node.attr
        if isinstance(base, Module):
            return base.lookup(name)
        if isinstance(base, Super):
            found = base.owner.member(name, base.owner)
            if isinstance(found, Function):
                found.bound = base.bound
            return found
        if isinstance(base, Class):
            if base.is_enum():
                return next((one for one in base.enum_members() if one.name == name), Opaque(name))
            found = base.member(name)
            if isinstance(found, Function) and "classmethod" in map(ast.unparse, found.node.decorator_list):
                found.bound = base
            return found
        if isinstance(base, EnumMember):
            return {"value": base.value, "name": base.name}.get(name, Opaque(ast.unparse(node)))
        if isinstance(base, Instance):
            if name in base.attributes:
                return base.attributes[name]
            found = base.owner.member(name)
            if isinstance(found, Function) and "staticmethod" not in map(ast.unparse, found.node.decorator_list):
                found.bound = base
            return found
        return Opaque(f"{base.text}.{name}" if isinstance(base, Opaque) else ast.unparse(node))

    # Calls

    def _call(self, node: ast.Call, local: Any, module: Module) -> Any:
        arguments: list[Any] = []
        for one in node.args:
            if isinstance(one, ast.Starred):
                arguments += self.items(self.value(one.value, local, module)) or []
            else:
                arguments.append(self.value(one, local, module))
        words: dict[str, Any] = {}
        for word in node.keywords:
            given = self.value(word.value, local, module)
            if word.arg is not None:
                words[word.arg] = given
            elif isinstance(given, dict):
                words.update(given)
        if isinstance(node.func, ast.Attribute):
            base = self.value(node.func.value, local, module)
            handled = self._method(base, node.func.attr, arguments, words)
            if handled is not UNBOUND:
                return handled
        elif isinstance(node.func, ast.Name) and node.func.id == "super" and not arguments:
            return Super(local["__class__"], local.get("self", local.get("cls")))
        return self.call(self.value(node.func, local, module), arguments, words, ast.unparse(node))

    def _method(self, base: Any, name: str, arguments: list[Any], words: dict[str, Any]) -> Any:  # noqa: PLR0912
        if isinstance(base, Parser):
            if name == "add_argument":
                base.calls.append((arguments, words))
            elif name in {"parse_args", "parse_known_args", "parse_intermixed_args"}:
                raise Parsed
            elif name.startswith("add_"):
                return base
            return Opaque(name)
        if isinstance(base, dict):
            if name == "get":
                return base.get(arguments[0], arguments[1] if len(arguments) > 1 else None)
            if name in {"items", "keys", "values"}:
                return list(getattr(base, name)())
            if name == "update":
                base.update(arguments[0] if arguments and isinstance(arguments[0], dict) else words)
                return None
            if name == "pop":
                return base.pop(arguments[0], None)
            if name == "copy":
                return dict(base)
        if isinstance(base, list):
            if name in {"append", "extend", "remove", "add"}:
                getattr(base, {"add": "append"}.get(name, name))(arguments[0])
                return None
            if name in {"copy", "union"}:
                return base + [one for other in arguments for one in self.items(other) or [Opaque("*")]]
        if isinstance(base, str) and name in {
            "replace",
            "lower",
            "upper",
            "lstrip",
            "rstrip",
            "strip",
            "split",
            "format",
        }:
            return getattr(base, name)(*arguments)
        if isinstance(base, str) and name in {"startswith", "endswith", "removeprefix", "join", "isidentifier"}:
            return getattr(base, name)(*arguments)
        if isinstance(base, Opaque) and base.text.endswith("os.environ") and name == "get":
            return arguments[1] if len(arguments) > 1 else None
        return UNBOUND

    def call(self, function: Any, arguments: list[Any], words: dict[str, Any], text: str) -> Any:  # noqa: PLR0912
        """Return what a call gives."""
        name = function.text.rpartition(".")[2] if isinstance(function, Opaque) else ""
        first = arguments[0] if arguments else None
        if isinstance(function, Function):
            if function.node.name in {"optional_type", "parse_type"}:
                return Opaque(text)
            if function.node.name == "get_kwargs" and isinstance(first, Class):
                return VllmFields(self.source).kwargs(first)
            if function.node.name == "add_cli_args_from_dataclass" and isinstance(first, Parser):
                SglangFields(self.source).add(first, arguments[1])
                return None
            return self.run(function, arguments, words)
        if isinstance(function, Class):
            if any("ArgumentParser" in ast.unparse(base) for base in function.node.bases):
                return Parser()
            if function.is_enum():
                return next((one for one in function.enum_members() if one.value == first), Opaque(text))
            return Instance(function, words)
        if name == "ArgumentParser" or name.endswith("ArgumentParser"):
            return Parser()
        if name in {"sorted", "list", "set", "tuple", "frozenset", "dict"} and len(arguments) <= 1:
            if name == "dict":
                return {**(first if isinstance(first, dict) else {}), **words}
            items = self.items(first) if arguments else []
            if items is None:
                return Opaque(text)
            return sorted(items) if name == "sorted" else list(dict.fromkeys(items)) if name == "set" else items
        if name == "getenv":
            return arguments[1] if len(arguments) > 1 else None
        if name in {"bool", "int", "float", "str"} and len(arguments) == 1 and isinstance(first, str | int | float):
            return {"bool": bool, "int": int, "float": float, "str": str}[name](first)
        if name in {"copy", "deepcopy"}:
            return first
        if name == "get_args" and isinstance(first, Opaque) and "Literal[" in first.text:
            literal = ast.parse(first.text, mode="eval").body
            return self._literal(literal)
        if name in {"field", "Field"}:
            if "default" in words:
                return words["default"]
            return Opaque(text) if "default_factory" in words or first is None else first
        return Opaque(text)

    def _literal(self, node: Any) -> Any:
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return [one.value for one in inner]

    def run(self, function: Function, arguments: list[Any], words: dict[str, Any]) -> Any:
        """Interpret a function; its result is not known where it cannot be."""
        node = function.node
        if self.depth > DEPTH:
            return Opaque(node.name)
        given = [function.bound, *arguments] if function.bound is not None else list(arguments)
        names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
        local: dict[str, Any] = dict(function.closure)
        if function.owner is not None:
            local["__class__"] = function.owner
        defaults = dict(zip(reversed(names), reversed(node.args.defaults), strict=False))
        optional = zip((one.arg for one in node.args.kwonlyargs), node.args.kw_defaults, strict=True)
        for name, default in (*defaults.items(), *optional):
            local[name] = self.value(default, {}, function.module) if default is not None else Opaque(name)
        local.update(zip(names, given, strict=False))
        known = {*names, *(one.arg for one in node.args.kwonlyargs)}
        local.update({name: one for name, one in words.items() if name in known})
        if node.args.kwarg:
            local[node.args.kwarg.arg] = {name: one for name, one in words.items() if name not in known}
        if node.args.vararg:
            local[node.args.vararg.arg] = given[len(names) :]
        self.depth += 1
        try:
            self.statements(node.body, local, function.module)
        except Returned as end:
            return end.value
        finally:
            self.depth -= 1
        return None

    # Statements

    def statements(self, body: list[ast.stmt], local: dict[str, Any], module: Module) -> None:
        """Run statements."""
        for statement in body:
            self.statement(statement, local, module)

    def statement(self, node: Any, local: dict[str, Any], module: Module) -> None:  # noqa: PLR0912
        """Run one statement; what has no effect on arguments is passed over."""
        if isinstance(node, ast.Expr):
            self.value(node.value, local, module)
        elif isinstance(node, ast.Assign):
            given = self.value(node.value, local, module)
            for target in node.targets:
                self.assign(target, given, local, module)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, self.value(node.value, local, module), local, module)
        elif isinstance(node, ast.AugAssign):
            operation = ast.BinOp(ast.parse(ast.unparse(node.target), mode="eval").body, node.op, node.value)
            self.assign(node.target, self.value(ast.fix_missing_locations(operation), local, module), local, module)
        elif isinstance(node, ast.Return):
            raise Returned(self.value(node.value, local, module))
        elif isinstance(node, ast.If):
            self.branch(node, local, module)
        elif isinstance(node, ast.For):
            for item in self.items(self.value(node.iter, local, module)) or []:
                self.assign(node.target, item, local, module)
                try:
                    self.statements(node.body, local, module)
                except Continued:
                    continue
        elif isinstance(node, ast.Continue):
            raise Continued
        elif isinstance(node, ast.Try | ast.With):
            self.statements(node.body, local, module)
        elif isinstance(node, ast.FunctionDef):
            local[node.name] = Function(node, module)
            local[node.name].closure = local
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                local[alias.asname or alias.name] = module._imported(node, alias.name)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Subscript):
                    base = self.value(target.value, local, module)
                    if isinstance(base, dict):
                        base.pop(self.value(target.slice, local, module), None)

    def branch(self, node: ast.If, local: dict[str, Any], module: Module) -> None:
        """Take the branch that is known to be taken; both where that is not known, and neither ends the function."""
        test = self.truth(self.value(node.test, local, module))
        if test is not None:
            self.statements(node.body if test else node.orelse, local, module)
            return
        for body in (node.body, node.orelse):
            try:
                self.statements(body, local, module)
            except (Returned, Continued):
                continue

    def assign(self, target: Any, given: Any, local: dict[str, Any], module: Module) -> None:
        """Assign a value to a name, an item, an attribute or several names."""
        if isinstance(target, ast.Name):
            local[target.id] = given
        elif isinstance(target, ast.Tuple):
            parts = self.items(given) or [Opaque("?")] * len(target.elts)
            for one, part in zip(target.elts, parts, strict=False):
                self.assign(one, part, local, module)
        elif isinstance(target, ast.Subscript):
            base = self.value(target.value, local, module)
            if isinstance(base, dict):
                base[self.value(target.slice, local, module)] = given
        elif isinstance(target, ast.Attribute):
            base = self.value(target.value, local, module)
            if isinstance(base, Instance):
                base.attributes[target.attr] = given

    def items(self, given: Any) -> list[Any] | None:
        """Return the items of a value; None where it has none that are known."""
        if isinstance(given, list | tuple):
            return list(given)
        if isinstance(given, dict):
            return list(given)
        if isinstance(given, Class) and given.is_enum():
            return list(given.enum_members())
        return None

    def truth(self, given: Any) -> bool | None:
        """Return whether a value counts as true; None where that is not known."""
        return None if isinstance(given, Opaque) else bool(given)


class Continued(Exception):  # noqa: N818 (no error: a continue statement)
    """A loop goes on with its next item."""


class Hints:
    """What an annotation allows: names of plain types, and what containers and literals hold."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.literals: list[Any] = []
        self.elements: dict[str, list[Any]] = {}


def hints(source: Source, node: Any, module: Module) -> Hints:
    """Return what an annotation allows, through aliases, unions and ``Annotated``."""
    found = Hints()
    _hint(source, node, module, found, 0)
    return found


def _hint(source: Source, node: Any, module: Module, found: Hints, depth: int) -> None:
    if depth > 20:
        return
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            _hint(source, ast.parse(node.value, mode="eval").body, module, found, depth + 1)
        else:
            found.names.add("None" if node.value is None else "other")
    elif isinstance(node, ast.BinOp):
        _hint(source, node.left, module, found, depth + 1)
        _hint(source, node.right, module, found, depth + 1)
    elif isinstance(node, ast.Subscript):
        base = ast.unparse(node.value).rpartition(".")[2]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if base in {"Optional", "Union"}:
            for one in inner:
                _hint(source, one, module, found, depth + 1)
            found.names |= {"None"} if base == "Optional" else set()
        elif base in {"Annotated", "A", "SkipValidation", "ClassVar", "InitVar", "Final"}:
            _hint(source, inner[0], module, found, depth + 1)
        elif base == "Literal":
            found.names.add("Literal")
            found.literals += literals(source, inner, module)
        elif base.lower() in {"list", "tuple", "set", "dict", "sequence", "mapping"}:
            found.names.add(base.lower())
            found.elements[base.lower()] = [(one, module) for one in inner]
        else:
            found.names.add("other")
    elif isinstance(node, ast.Name | ast.Attribute):
        _named_hint(source, node, module, found, depth)


def literals(source: Source, inner: list[Any], module: Module) -> list[Any]:
    """Return the values of a ``Literal``, those of literals within it too; something opaque stands for the unknown."""
    found: list[Any] = []
    for one in inner:
        if isinstance(one, ast.Constant):
            found.append(one.value)
            continue
        alias, home = alias_of(source, one, module)
        nested = hints(source, alias, home) if alias is not None else Hints()
        found += nested.literals or [Opaque(ast.unparse(one))]
    return found


def _named_hint(source: Source, node: Any, module: Module, found: Hints, depth: int) -> None:
    name = ast.unparse(node).rpartition(".")[2]
    if name in {"str", "int", "float", "bool", "list", "tuple", "set", "dict", "Dict", "List"}:
        found.names.add(name.lower())
        return
    alias, home = alias_of(source, node, module)
    if alias is not None:
        _hint(source, alias, home, found, depth + 1)
        return
    one = source.interpreter.value(node, {}, module)
    if isinstance(one, Class):
        decorators = " ".join(map(ast.unparse, one.node.decorator_list))
        bases = {ast.unparse(base) for other in one.lineage() for base in other.node.bases}
        if "dataclass" in decorators or "config" in decorators:
            found.names.add("dataclass")
        elif bases & {"dict", "Dict"} or any(base.startswith(("dict[", "BaseModel")) for base in bases):
            found.names.add("dict")
        else:
            found.names.add("other")
    else:
        found.names.add("other")


def alias_of(source: Source, node: Any, module: Module) -> tuple[Any, Module]:
    """Return the annotation that a name stands for, and where; None where it is no alias."""
    for _ in range(8):
        if not isinstance(node, ast.Name):
            return None, module
        definition = module.definitions.get(node.id)
        if isinstance(definition, tuple) and isinstance(definition[0], ast.ImportFrom) and not definition[0].level:
            module_next = source.module(definition[0].module or "")
            if module_next is None:
                return None, module
            node, module = ast.Name(definition[1], ast.Load()), module_next
            continue
        if isinstance(definition, ast.Subscript | ast.BinOp):
            return definition, module
        if isinstance(definition, ast.Name):
            return definition, module
        return None, module
    return None, module


class VllmFields:
    """What ``get_kwargs`` of vLLM gives for the fields of a configuration class."""

    def __init__(self, source: Source) -> None:
        self.source = source
        module = source.module("vllm.engine.arg_utils")
        assert module is not None
        self.optional_value = "{bool, str, type(None)}" in module.text
        self.human = _human_readable(module)

    def kwargs(self, owner: Class) -> dict[str, dict[str, Any]]:
        """Return the keyword arguments of ``add_argument`` of each field."""
        return {
            name: self._one(name, statement, module)
            for name, (statement, module) in owner.fields().items()
            if "ClassVar" not in ast.unparse(statement.annotation)
        }

    def _one(self, name: str, statement: ast.AnnAssign, module: Module) -> dict[str, Any]:
        found = hints(self.source, statement.annotation, module)
        interpreter = self.source.interpreter
        kwargs: dict[str, Any] = {"default": interpreter.value(statement.value, {}, module)}
        names = found.names
        if "dataclass" in names:
            kwargs["type"] = Opaque("json.loads")
        elif names == {"bool", "str", "None"} and self.optional_value:
            kwargs |= {"type": Opaque("str"), "nargs": "?"}
        elif "bool" in names:
            kwargs["action"] = Opaque("argparse.BooleanOptionalAction")
        elif "Literal" in names:
            kwargs["type"] = Opaque(type(found.literals[0]).__name__ if found.literals else "str")
            if "str" not in names:
                kwargs["choices"] = [*found.literals, *(["None"] if "None" in names else [])]
        elif names & {"tuple", "list", "set", "sequence"}:
            kwargs |= self._collection(found)
        elif "int" in names:
            human = name in self.human
            kwargs["type"] = Opaque("human_readable_int" if human else "int")
        elif "float" in names:
            kwargs["type"] = Opaque("float")
        elif names & {"dict", "mapping"}:
            kwargs["type"] = Opaque("json.loads" if names <= {"dict", "mapping", "None"} else "union_dict_and_str")
        else:
            kwargs["type"] = Opaque("str")
        return kwargs

    def _collection(self, found: Hints) -> dict[str, Any]:
        name = next(one for one in ("tuple", "list", "set", "sequence") if one in found.names)
        elements = found.elements.get(name, [])
        inner = hints(self.source, *elements[0]) if elements else Hints()
        plain = [one for one in ("str", "int", "float") if one in inner.names]
        fixed = name == "tuple" and "..." not in [ast.unparse(one) for one, _ in elements]
        kwargs: dict[str, Any] = {"type": Opaque(plain[0] if plain else "str")}
        kwargs["nargs"] = len(elements) if fixed and elements else "+"
        if "Literal" in inner.names and not plain:
            kwargs["choices"] = [*inner.literals, *(["None"] if "None" in found.names else [])]
        return kwargs


def _human_readable(module: Module) -> set[str]:
    """Return the fields whose integers vLLM takes with a suffix (``32k``)."""
    found: set[str] = set()
    for name in ("get_kwargs", "_compute_kwargs"):
        function = module.definitions.get(name)
        for node in ast.walk(function) if isinstance(function, ast.AST) else ():
            if isinstance(node, ast.Assign) and "human_readable" in ast.unparse(node.targets[0]):
                found |= {one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
            if isinstance(node, ast.If) and "human_readable" in ast.unparse(node.body[0]):
                found |= {
                    one.value
                    for one in ast.walk(node.test)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return found


class SglangFields:
    """What ``add_cli_args_from_dataclass`` of SGLang declares."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def add(self, parser: Parser, owner: Any) -> None:
        """Declare the fields of a class, or of the namespaces that it is put together from."""
        for one in self._owners(owner):
            for name, (statement, module) in one.fields().items():
                self._field(parser, name, statement, module)

    def _owners(self, owner: Any) -> list[Class]:
        if isinstance(owner, Class) and owner.fields():
            return [owner]
        found: list[Class] = []
        for path in sorted((self.source.root / "sglang" / "srt" / "arg_groups" / "fields").glob("*.py")):
            module = self.source.module(f"sglang.srt.arg_groups.fields.{path.stem}")
            nodes = module.definitions.values() if module else ()
            found += [
                Class(one, module) for one in nodes if isinstance(one, ast.ClassDef) and "_NS_PATH" in ast.unparse(one)
            ]
        return found

    def _field(self, parser: Parser, name: str, statement: ast.AnnAssign, module: Module) -> None:
        annotation = statement.annotation
        if isinstance(annotation, ast.Constant):
            annotation = ast.parse(annotation.value, mode="eval").body
        if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value) not in {"A", "Annotated"}:
            return
        inner, *metadata = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        meta: dict[str, Any] | None = None
        for one in metadata:
            if isinstance(one, ast.Call) and ast.unparse(one.func) == "Arg":
                value = self.source.interpreter.value
                meta = {word.arg: value(word.value, {}, module) for word in one.keywords if word.arg}
                break
            if isinstance(one, ast.Constant | ast.JoinedStr | ast.BinOp):
                meta = {}
                break
        if meta is None or meta.get("no_cli"):
            return
        kwargs: dict[str, Any] = {"dest": name}
        if statement.value is not None:
            kwargs["default"] = self.source.interpreter.value(statement.value, {}, module)
        found = hints(self.source, inner, module)
        names = found.names - {"None"}
        if meta.get("action") is not None:
            kwargs |= {"action": meta["action"], **(meta.get("action_kwargs") or {})}
        elif names == {"bool"} and meta.get("type_parser") is None:
            kwargs["action"] = "store_true"
        else:
            kwargs |= self._typed(meta, found, names)
        parser.calls.append(
            ([meta.get("cli_name") or "--" + name.replace("_", "-"), *(meta.get("aliases") or [])], kwargs)
        )

    def _typed(self, meta: dict[str, Any], found: Hints, names: set[str]) -> dict[str, Any]:
        kwargs: dict[str, Any] = {}
        parser = meta.get("type_parser")
        if names == {"list"} and parser is None:
            inner = hints(self.source, *found.elements["list"][0]) if found.elements.get("list") else Hints()
            kwargs["nargs"] = meta.get("nargs") or "+"
            kwargs["type"] = Opaque(next((one for one in ("int", "float") if inner.names == {one}), "str"))
        else:
            literal = {type(one).__name__ for one in found.literals} if names == {"Literal"} else names
            kwargs["type"] = parser or Opaque(next((one for one in ("int", "float") if literal == {one}), "str"))
            if meta.get("nargs"):
                kwargs["nargs"] = meta["nargs"]
        choices = meta.get("choices") or (found.literals if names == {"Literal"} else None)
        return {**kwargs, "choices": choices} if choices else kwargs


# From calls to rows


def row(names: list[Any], kwargs: dict[str, Any], negate: str) -> dict[str, Any] | None:
    """Return the row of one ``add_argument``; None for a positional one. ``negate`` is how switches are turned off."""
    spellings = [name for name in names if isinstance(name, str) and name.startswith("-")]
    if not spellings:
        return None
    found: dict[str, Any] = {"name": canonical(spellings), "spellings": spellings}
    action = action_of(kwargs.get("action"))
    if action == "switch" and "nargs" in kwargs:
        action = "value"
    if action in {"switch", "negatable"}:
        found |= {"kind": "switch", "takes": "0"}
    else:
        kind, human = kind_of(kwargs.get("type"))
        nargs = kwargs.get("nargs")
        found |= {"kind": kind, "takes": "1" if nargs is None or isinstance(nargs, Opaque) else str(nargs)}
        found |= {"suffixes": True} if human else {}
    if kwargs.get("action") in {"append", "extend"} or kwargs.get("multiple"):
        found["repeats"] = True
    if action == "negatable":
        found["negations"] = negations(spellings, negate)
    choices = kwargs.get("choices")
    values = [one.value if isinstance(one, EnumMember) else one for one in Interpreter.items(None, choices) or []]  # type: ignore[arg-type]
    if values and not any(isinstance(one, Opaque | Class | Function) for one in values):
        found["choices"] = sorted({str(one) for one in values if one is not None})
    made = action != "negatable" and isinstance(kwargs.get("action"), Class | Opaque)
    default = kwargs.get("default", {"store_true": False, "store_false": True}.get(str(kwargs.get("action"))))
    default = Opaque("of the action") if made and "default" not in kwargs else default
    default = default.value if isinstance(default, EnumMember) else default
    if default is None or isinstance(default, str | int | float | bool):
        found["default"] = default
    note = deprecation(kwargs)
    return {**found, "deprecated": note} if note else found


def canonical(spellings: list[str]) -> str:
    """Return the name of an argument: its first long spelling, without dashes in front."""
    long = [one for one in spellings if one.startswith("--")]
    return (long or spellings)[0].lstrip("-").replace("_", "-")


def action_of(action: Any) -> str:
    """Return ``switch`` (no value), ``negatable`` (no value, with ``--no-``) or ``value``."""
    if action in {"store_true", "store_false", "store_const", "count", "help", "version"}:
        return "switch"
    if isinstance(action, str) or action is None:
        return "value"
    text = action.text if isinstance(action, Opaque) else ast.unparse(action.node) if isinstance(action, Class) else ""
    if "BooleanOptionalAction" in text:
        return "negatable"
    if re.search(r"nargs=0\b|_StoreTrueAction|StoreTrueAction|_StoreConstAction", text):
        return "switch"
    lineage = [ast.unparse(one.node) for one in action.lineage()] if isinstance(action, Class) else []
    return "switch" if any(re.search(r"nargs=0\b", one) for one in lineage) else "value"


def kind_of(given: Any) -> tuple[str, bool]:
    """Return the kind of a value from its ``type``, and whether integers may have a suffix."""
    if isinstance(given, Function):
        text = given.node.name
    else:
        text = given.text if isinstance(given, Opaque) else getattr(given, "__name__", "str")
    if "human_readable" in text:
        return "integer", True
    if re.search(r"json", text) and "union" not in text:
        return "json", False
    for word, kind in (("int", "integer"), ("float", "number")):
        if re.fullmatch(rf"(?:optional_type\(|parse_type\(|nullable_|optional_){{0,2}}{word}\)*", text):
            return kind, False
    return "text", False


def negations(spellings: list[str], negate: str) -> list[str]:
    """Return the spellings that turn a switch off."""
    found = [f"--no-{one[2:]}" for one in spellings if one.startswith("--")]
    if negate == "inverse":
        inverse = {"--enable-": "--disable-", "--disable-": "--enable-"}
        found += [
            other + one.removeprefix(prefix)
            for one in spellings
            for prefix, other in inverse.items()
            if one.startswith(prefix)
        ]
    return found


def deprecation(kwargs: dict[str, Any]) -> str:
    """Return what stands instead of an argument, ``deprecated`` where that is not said, else nothing."""
    new = kwargs.get("new_flag")
    if isinstance(new, str):
        return new
    action = kwargs.get("action")
    name = action.node.name if isinstance(action, Class) else ""
    text = kwargs.get("help")
    said = isinstance(text, str) and re.match(r"\s*[\[(*]*deprecated", text, re.IGNORECASE)
    return "deprecated" if kwargs.get("deprecated") is True or "Deprecated" in name or said else ""


def rows(parser: Parser, negate: str = "") -> list[dict[str, Any]]:
    """Return the rows of what was declared on a parser; what declares nothing new is left out."""
    found = [one for names, kwargs in parser.calls if (one := row(names, kwargs, negate))]
    names: dict[str, dict[str, Any]] = {}
    for one in found:
        names.setdefault(one["name"], one)
    return list(names.values())


# Programs


def run(source: Source, module: str, path: str, *arguments: Any) -> None:
    """Interpret a function (``Class.method`` too) of a module up to where it parses."""
    home = source.module(module)
    if home is None:
        return
    owner, _, name = path.rpartition(".")
    found = home.lookup(owner) if owner else home
    function = (found.member(name) if isinstance(found, Class) else found.lookup(name)) if found else None
    if isinstance(function, Function):
        if owner and "classmethod" in map(ast.unparse, function.node.decorator_list):
            function.bound = found
        try:
            source.interpreter.run(function, list(arguments), {})
        except Parsed:
            return


def of_vllm(source: Source) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the arguments of ``vllm serve`` and how its parser reads them."""
    parser = Parser()
    folders = ("openai", "launchers", "common")
    for module in (f"vllm.entrypoints.{name}.cli_args" for name in folders):
        run(source, module, "make_arg_parser", parser)
    names = {name for call in parser.calls for name in call[0]}
    if "--tensor-parallel-size" not in names:
        run(source, "vllm.engine.arg_utils", "AsyncEngineArgs.add_cli_args", parser)
    engine = Parser()
    run(source, "vllm.engine.arg_utils", "AsyncEngineArgs.add_cli_args", engine)
    taken = {name for names, _ in engine.calls for name in names if isinstance(name, str)}
    home = source.module("vllm.utils.argparse_utils")
    inverse = home is not None and "_inverse_prefixes" in home.text
    found = [
        one if taken.intersection(one["spellings"]) else {**one, "frontend": True}
        for one in rows(parser, "inverse" if inverse else "no")
    ]
    return found, {"underscores": True, "abbreviations": True, "dotted": True, "positional": "model"}


def of_sglang(source: Source) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the arguments of SGLang's server and how its parser reads them."""
    parser = Parser()
    run(source, "sglang.srt.server_args", "ServerArgs.add_cli_args", parser)
    return rows(parser), {"abbreviations": True}


def of_router(source: Source) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the arguments of SGLang's router and how its parser reads them."""
    parser = Parser()
    for module in ("sglang_router.launch_router", "sglang_router.router_args"):
        run(source, module, "RouterArgs.add_cli_args", parser)
    return rows(parser), {"abbreviations": True}


def of_dynamo(source: Source, component: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The parsers of Dynamo's workers are made in ``parse_args`` or ``parse_cmd_line_args``."""
    found: list[Parser] = []
    original = Parser.__init__

    def remember(self: Parser) -> None:
        original(self)
        found.append(self)

    Parser.__init__ = remember  # type: ignore[method-assign]
    try:
        for module, function in ENTRIES[component]:
            run(source, f"dynamo.{component}.{module}", function)
            if found and found[0].calls:
                break
    finally:
        Parser.__init__ = original  # type: ignore[method-assign]
    if not found:
        return [], {}
    text = "".join(one.text for one in source.modules.values() if one and one.name.startswith(f"dynamo.{component}"))
    flexible = component == "vllm" and "parser = FlexibleArgumentParser(" in text
    about: dict[str, Any] = {"abbreviations": "allow_abbrev=False" not in text}
    if flexible:
        about |= {"underscores": True, "dotted": True}
    if component in {"vllm", "sglang"}:
        about["engine"] = component
    joint = Parser()
    joint.calls = [call for parser in found for call in parser.calls]
    ours = rows(joint)
    if "parse_dynamic_flags" in text:
        ours.append({"name": "trtllm", "spellings": ["--trtllm"], "kind": "json", "takes": "1", "default": None})
        about["dotted"] = True
    if component == "frontend" and "parse_known_args" in text:
        about["passes_on"] = True
    return ours, about


ENTRIES = {
    "vllm": [("args", "parse_args"), ("args", "_parse_cli_args"), ("main", "parse_args")],
    "sglang": [("args", "parse_args"), ("main", "parse_args")],
    "trtllm": [("args", "parse_args"), ("utils.trtllm_utils", "cmd_line_args"), ("main", "parse_args")],
    "frontend": [("main", "parse_args")],
}


def of_trtllm(source: Source) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the options of ``trtllm-serve serve``; click takes them as they are spelt."""
    module = source.module("tensorrt_llm.commands.serve")
    assert module is not None
    function = next(
        one
        for one in module.definitions.values()
        if isinstance(one, ast.FunctionDef) and any("command('serve')" in ast.unparse(d) for d in one.decorator_list)
    )
    found = []
    for decorator in function.decorator_list:
        found += options(source, decorator, module)
    return found, {"positional": "model"}


def options(source: Source, decorator: Any, module: Module) -> list[dict[str, Any]]:
    """Return the rows of one decorator: an option of click, or a function that applies several."""
    if not isinstance(decorator, ast.Call):
        home = module.lookup(ast.unparse(decorator))
        calls = [one for one in ast.walk(home.node) if isinstance(one, ast.Call)] if isinstance(home, Function) else []
        return [one for call in calls for one in options(source, call, home.module)]
    if not ast.unparse(decorator.func).endswith("option"):
        return []
    interpreter = source.interpreter
    value = interpreter.value
    words = {word.arg: value(word.value, {}, module) for word in decorator.keywords if word.arg}
    texts = [value(one, {}, module) for one in decorator.args]
    pair = [part.split("/") for one in texts if isinstance(one, str) and one.startswith("-") for part in [one]]
    kwargs: dict[str, Any] = {name: words.get(name) for name in ("default", "help", "type", "multiple")}
    typed = next((word.value for word in decorator.keywords if word.arg == "type"), None)
    if isinstance(typed, ast.Call) and "Choice" in ast.unparse(typed.func) and typed.args:
        lists = [interpreter.items(value(one, {}, module)) for one in typed.args[:2]]
        kwargs |= {
            "type": Opaque("str"),
            "choices": [one for part in lists for one in part or []] if lists[0] else None,
        }
    elif typed is not None and "Range" in ast.unparse(typed):
        kwargs["type"] = Opaque("float" if "Float" in ast.unparse(typed) else "int")
    if words.get("is_flag") or any(len(part) > 1 for part in pair):
        kwargs["action"] = "store_true"
    found = row([part[0] for part in pair], kwargs, "")
    if found is None:
        return []
    off = [part[1] for part in pair if len(part) > 1]
    return [{**found, "negations": off} if off else found]


READERS = {"vllm": of_vllm, "sglang": of_sglang, "trtllm": of_trtllm, "sglang_router": of_router}


def read(program: str, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the arguments of a program and how its parser reads them."""
    source = Source(folder)
    if program.startswith("dynamo."):
        return of_dynamo(source, program.partition(".")[2])
    return READERS[program](source)


# Tables


def expanded(table: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the rows of each release by name, without ranges."""
    found: dict[str, dict[str, dict[str, Any]]] = {release: {} for release in table["releases"]}
    for one in table["arguments"]:
        if not one["in"]:
            continue
        plain = {key: value for key, value in one.items() if key != "in"}
        for first, last in one["in"]:
            for release in table["releases"][table["releases"].index(first) : table["releases"].index(last) + 1]:
                found[release][one["name"]] = plain
    return found


def packed(by_release: dict[str, dict[str, dict[str, Any]]], order: list[str]) -> list[dict[str, Any]]:
    """Return rows with the ranges of releases in which they are alike, by name, newest first."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for index, release in enumerate(order):
        for one in by_release[release].values():
            key = json.dumps(one, sort_keys=True)
            spans = ranges.setdefault(key, [])
            if spans and spans[-1][1] == index - 1:
                spans[-1] = (spans[-1][0], index)
            else:
                spans.append((index, index))
    found = []
    for key, spans in ranges.items():
        one = json.loads(key)
        head = {name: one.pop(name) for name in ("name", "spellings", "kind", "takes")}
        found.append(({**head, **one, "in": [[order[first], order[last]] for first, last in spans]}, spans[-1][1]))
    found.sort(key=lambda pair: (pair[0]["name"], -pair[1]))
    return [one for one, _ in found]


def same_names(by_release: dict[str, dict[str, dict[str, Any]]], order: list[str]) -> None:
    """Give an argument one name in all releases: that of the release before with which it shares a spelling."""
    for before, after in itertools.pairwise(order):
        known = {spelling: one["name"] for one in by_release[before].values() for spelling in one["spellings"]}
        renamed: dict[str, dict[str, Any]] = {}
        taken = set(by_release[after])
        for name, one in by_release[after].items():
            old = next((known[spelling] for spelling in one["spellings"] if spelling in known), name)
            free = old != name and old not in taken and old not in renamed
            renamed[old if free else name] = {**one, "name": old} if free else one
        by_release[after] = renamed


def parsers_of(table: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the parser at each release."""
    return at_each(table["parsers"], table["releases"]) if table["releases"] else {}


def at_each(changing: dict[str, Any], order: list[str]) -> dict[str, Any]:
    """Return what holds at each release, of what is stored at the releases at which it changes."""
    found: dict[str, Any] = {}
    last: Any = {}
    for release in order:
        last = changing.get(release, last)
        found[release] = last
    return found


def changes(by_release: dict[str, Any], order: list[str]) -> dict[str, Any]:
    """Return the releases at which the parser becomes another one."""
    found: dict[str, Any] = {}
    for release in order:
        if not found or list(found.values())[-1] != by_release[release]:
            found[release] = by_release[release]
    return found


USUAL = {"kind": "text", "takes": "1", "default": None}


def short(one: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what is usual; a default that is not known is said instead."""
    usual = {**USUAL, "spellings": [f"--{one['name']}"]}
    found = {key: one[key] for key in ("name", *one) if key not in usual or one[key] != usual[key]}
    return found if "default" in one else {**found, "computed": True}


def full(one: dict[str, Any]) -> dict[str, Any]:
    """Return a row with what :func:`short` leaves out."""
    found = {**USUAL, "spellings": [f"--{one['name']}"], **one}
    if found.pop("computed", False):
        del found["default"]
    return found


def write(path: Path, table: dict[str, Any]) -> None:
    """Write a table, one argument a line."""
    head = {key: value for key, value in table.items() if key != "arguments"}
    lines = [json.dumps(short(one), separators=(",", ":"), ensure_ascii=False) for one in table["arguments"]]
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False)[:-1]
    path.write_text(text + ',"arguments":[\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def pinned(folder: Path, engine: str) -> str | None:
    """Return the release of the engine that the package requires, from its metadata."""
    for path in folder.glob("*.dist-info/METADATA"):
        name = {"trtllm": "tensorrt-llm"}.get(engine, engine)
        match = re.search(rf"^Requires-Dist: {name}(?:\[[^]]*\])?==([^\s;]+)", path.read_text(encoding="utf-8"), re.M)
        return match[1] if match else None
    return None


def transfer(version: str, folder: Path) -> int:
    """Add what a release of vLLM, or of vllm-ascend, knows of transfer configurations."""
    path = FOLDER / "transfer.json"
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"releases": {}, "connectors": {}}
    source = Source(folder)
    ascend = (folder / "vllm_ascend").is_dir()
    registered = connectors(source, "vllm_ascend" if ascend else "vllm/distributed/kv_transfer/kv_connector")
    name = "vllm-ascend" if ascend else "vllm"
    order = sorted({*table["releases"].get(name, ()), version}, key=lambda one: version_key(one) or ((), 0, 0))
    table["releases"][name] = order
    stored = table["connectors"].setdefault(name, {})
    table["connectors"][name] = changes({**at_each(stored, order), version: sorted(registered)}, order)
    if not ascend:
        table["keys"] = changes({**at_each(table.get("keys", {}), order), version: transfer_keys(source)}, order)
        extra = table.setdefault("extra", {})
        for connector, module in registered.items():
            extra[connector] = sorted({*extra.get(connector, ()), *extra_keys(folder, module, registered)})
    path.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
    sys.stdout.write(f"transfer {version}: {len(registered)} connectors\n")
    return 0


def connectors(source: Source, below: str) -> dict[str, str]:
    """Return the connectors that a package registers, with the module of each."""
    found: dict[str, str] = {}
    for path in sorted((source.root / below).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "register_connector(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Factory.register_connector"):
                values = [one.value for one in node.args if isinstance(one, ast.Constant)]
                if len(values) == 3:
                    found[str(values[0])] = str(values[1])
    return found


def transfer_keys(source: Source) -> dict[str, str]:
    """Return the keys of the transfer configuration with the kind of each."""
    module = source.module("vllm.config")
    owner = module.lookup("KVTransferConfig") if module else None
    kinds = {"int": "integer", "float": "number", "bool": "switch", "dict": "json"}
    found = {}
    for name, (statement, home) in owner.fields().items() if isinstance(owner, Class) else ():
        names = hints(source, statement.annotation, home).names - {"None"}
        found[name] = next((kinds[one] for one in ("bool", "int", "float", "dict") if one in names), "text")
    return found


def extra_keys(folder: Path, module: str, registered: dict[str, str]) -> set[str]:
    """Return the keys of the extra configuration that the module, or the package, of a connector reads."""
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    top = folder / "vllm" / "distributed" / "kv_transfer" / "kv_connector" / "v1"
    home = path.parent if path.is_file() else path.with_suffix("")
    others = {folder.joinpath(*one.split(".")).parent for one in registered.values()} - {home, top}
    files = [path] if home in {top, top.parent} else list(home.rglob("*.py"))
    files = [one for one in files if not any(other in one.parents and home in other.parents for other in others)]
    if home not in {top} and home.parent not in {top, top.parent}:
        files += list(home.parent.glob("*.py"))
    common = folder / "vllm" / "v1" / "core" / "kv_cache_utils.py"
    return {key for one in (*files, common) if one.is_file() for key in keys_read(one.read_text(encoding="utf-8"))}


def keys_read(text: str) -> set[str]:
    """Return the constant keys that a module reads from an extra configuration."""
    tree = ast.parse(text)
    names = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and re.search(r"extra_config\)?(?: or {})?$", ast.unparse(node.value))
        for target in node.targets
    }

    def extra(node: ast.expr) -> bool:
        return ast.unparse(node) in names or bool(re.search(r"extra_config(?: or {}\))?$", ast.unparse(node)))

    found = set()
    for node in ast.walk(tree):
        key: Any = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            reads = node.func.attr == "get_from_extra_config" or (node.func.attr == "get" and extra(node.func.value))
            key = node.args[0] if reads else None
        elif isinstance(node, ast.Subscript) and extra(node.value):
            key = node.slice
        elif isinstance(node, ast.Compare) and extra(node.comparators[0]):
            key = node.left
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.add(key.value)
    return found


def main(words: list[str]) -> int:
    """Add one release and return 0; 1 where nothing was found, 2 for wrong usage."""
    if len(words) != 3:
        sys.stderr.write("usage: python docs/make_arguments.py PROGRAM VERSION FOLDER\n")
        return 2
    program, version, folder = words[0], words[1], Path(words[2])
    if program == "transfer":
        return transfer(version, folder)
    found, about = read(program, folder)
    if not found:
        sys.stderr.write(f"{folder}: no arguments of {program} found\n")
        return 1
    path = FOLDER / f"{program}.json"
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"releases": [], "arguments": []}
    table["arguments"] = [full(one) for one in table["arguments"]]
    by_release = {**expanded(table), version: {one["name"]: one for one in found}}
    order = sorted(by_release, key=lambda one: version_key(one) or ((), 0, 0))
    same_names(by_release, order)
    parsers = changes({**parsers_of(table), version: about}, order)
    made: dict[str, Any] = {"program": program, "releases": order, "parsers": parsers}
    engines = dict(table.get("engine_releases", {}))
    if program in {"dynamo.vllm", "dynamo.sglang", "dynamo.trtllm"} and pinned(folder, program[7:]):
        engines[version] = pinned(folder, program[7:])
    if engines:
        made["engine_releases"] = engines
    unplaced = [one for one in table["arguments"] if not one["in"]]
    write(path, {**made, "arguments": packed(by_release, order) + unplaced})
    sys.stdout.write(f"{program} {version}: {len(found)} arguments\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
