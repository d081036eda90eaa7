"""Compiles rules and tables: ``python -m hetpd_cli.compile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.engine.catalogue import compile_builtin
from hetpd_cli.resources import COMPILED
from hetpd_cli.tables import TABLES, table

if TYPE_CHECKING:
    from pathlib import Path


def compile_all() -> list[Path]:
    """Compile what is missing or stale and return the files. Raises what a faulty source raises."""
    compile_builtin()
    for name in TABLES:
        table(name)
    return [COMPILED / f"{name}.json" for name in ("catalogue", *TABLES)]


def table_sizes() -> dict[str, int]:
    """Return the number of rows of each table."""
    return {name: len(table(name)["rows"]) for name in TABLES}


if __name__ == "__main__":
    compile_all()
