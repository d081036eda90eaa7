"""Each release at which a rule's expressions, or a cell of the tables it reads, change has a test that the verdict switches."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hetpd_cli.engine.catalogue import load_rule
from hetpd_cli.resources import rules_dir
from hetpd_cli.tables import capability, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPEC = re.compile(r'version_in\(\s*[\w.]+\s*,\s*"([^"]+)"\s*\)')
_BOUND = re.compile(r"(>=|<)\s*([0-9][\w.]*)")
_CODE = re.compile(r"HPD[0-9]{3}")
_VERSION = re.compile(r"\b[0-9]+(?:\.[0-9]+)+(?:rc[0-9]+)?\b")
_NEWEST = {"0.34", "0.5.24", "1.4", "0.26"}
"""Where what has been read ends."""


def gates() -> dict[tuple[str, str], str]:
    """Return the code and the bound of each gate, with the file of the rule."""
    found = {}
    for path in sorted(rules_dir().rglob("HPD[1-5]*.yaml")):
        raw = load_rule(path)
        for spec in _SPEC.findall(f"{raw.get('when', '')} {raw.get('require', '')}"):
            found |= {(raw["code"], bound): path.name for _, bound in _BOUND.findall(spec) if bound not in _NEWEST}
    return found


_STEPS = ("0.11.0", "0.11.1", *(f"0.{minor}.0" for minor in range(12, 34)))
_CELL = re.compile(r"\bhandoff\.(\w+)")


def cells() -> dict[tuple[str, str], str]:
    """Return the releases of vLLM at which a capability that a rule reads turns from yes to no or back, by rule."""
    found = {}
    names = {name for row in table("capabilities")["rows"] for name in row}
    for path in sorted(rules_dir().rglob("HPD[1-5]*.yaml")):
        raw = load_rule(path)
        for name in names & set(_CELL.findall(f"{raw.get('when', '')} {raw.get('require', '')}")):
            for connector in ("nixl", "mooncake", "moriio"):
                known = [capability("vllm", connector, version, name) for version in _STEPS]
                for before, cell, version in zip(known, known[1:], _STEPS[1:], strict=False):
                    if before is not None and cell is not None and before.value != cell.value:
                        found[raw["code"], _short(version)] = f"{connector}: {name}"
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _parameters(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name of each test and each of its sets of parameters; a key of a table of the module stands for its row."""
    tables = [table for table in vars(module).values() if isinstance(table, dict)]
    for name, function in vars(module).items():
        for mark in getattr(function, "pytestmark", ()) if name.startswith("test_") else ():
            for row in mark.args[1] if mark.name == "parametrize" else ():
                yield name, next((table[row] for table in tables if isinstance(row, str) and row in table), row)


def releases_of_tests() -> set[tuple[str, str]]:
    """Return code and release of everything that a test of gates asks for."""
    found = set()
    for path in Path(__file__).parent.glob("test_*gates*.py"):
        module = import_module(f"tests.gates.{path.stem}")
        for _, row in _parameters(module):
            texts = list(_texts(row))
            codes = {code for text in texts for code in _CODE.findall(text)}
            releases = {release for text in texts for release in _VERSION.findall(text)}
            found |= {(code, _short(release)) for code in codes for release in releases}
    return found


def _short(release: str) -> str:
    return re.sub(r"(\.0)+$", "", release)


GATES = gates() | cells()
TESTED = releases_of_tests()


@pytest.mark.parametrize("gate", GATES, ids=[f"{code}-{bound}" for code, bound in GATES])
def test_a_gate_is_tested(gate) -> None:
    code, bound = gate
    assert (code, _short(bound)) in TESTED, GATES[gate]


def test_there_are_gates() -> None:
    assert len(GATES) > 10
