"""Compiles rules and tables into the wheel, so that an installed hetpd parses no YAML of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledCatalogueHook(BuildHookInterface[Any]):
    """Writes ``hetpd_cli/compiled/*.json`` and adds it to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are collected; an editable install compiles when it runs."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        try:
            from hetpd_cli.compile import compile_all  # noqa: PLC0415 (found through the path set above)
        finally:
            sys.path.pop(0)
        for path in compile_all():
            relative = Path(path).relative_to(self.root).as_posix()
            build_data["force_include"][str(path)] = relative
