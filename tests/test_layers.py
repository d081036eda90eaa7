"""Nothing imports upwards, and nothing below cli/ and report/ prints (docs/architecture.md)."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "hetpd_cli"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAY_IMPORT = {
    "cli": {"cli", "engine", "sources", "report", "configuration", "suppressions"},
    "suppressions": {"suppressions", "configuration", "sources"},
    "configuration": {"configuration", "engine", "facts", "sources", "tables"},
    "report": {"report"},
    "engine": {"engine", "facts", "tables", "sources"},
    "sources": {"sources", "facts", "tables"},
    "facts": {"facts", "tables", "physics"},
    "tables": {"tables", "facts", "sources"},
    "physics": {"physics"},
}
"""Packages that each package may import; plain modules of hetpd_cli are open to all."""


def imported(source: str) -> set[str]:
    """Return the sub-packages of hetpd_cli that ``source`` imports when it runs; type checking does not count."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[1] for name in names if name.startswith("hetpd_cli.")} & set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_imports_go_down(module) -> None:
    package = module.relative_to(PACKAGE).parts[0]
    if package in MAY_IMPORT:
        assert imported(module.read_text(encoding="utf-8")) <= MAY_IMPORT[package]


@pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_only_the_command_line_writes(module) -> None:
    text = module.read_text(encoding="utf-8")
    if module.relative_to(PACKAGE).parts[0] not in {"cli", "__main__.py", "releases.py"}:
        assert "sys.stdout" not in text
        assert "sys.stderr" not in text
        assert re.search(r"\bprint\(", text) is None
