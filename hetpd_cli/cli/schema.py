"""``hetpd schema``: the published JSON Schemas."""

from __future__ import annotations

import sys

from hetpd_cli.cli.exit_codes import OK, USAGE
from hetpd_cli.cli.output import options, write
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.report.columns import aligned
from hetpd_cli.report.style import Style, finish, inert
from hetpd_cli.resources import load_schema, schema_names, schema_path


def run_schema(name: str | None) -> int:
    """Print the schema called ``name``, or the list of them, and return the exit code."""
    names = schema_names()
    if name is None:
        rows = [[one, _first_sentence(str(load_schema(one).get("description", "")))] for one in names]
        write(finish(aligned(rows, ("plain",), options("never", quiet=False, verbose=False), Style(False))))
        return OK
    if name not in names:
        guess = did_you_mean(nearest(name, names)) or f": {', '.join(names)}"
        sys.stderr.write(f"hetpd: no schema is called {inert(name)}{guess}\n")
        return USAGE
    write(schema_path(name).read_text(encoding="utf-8"))
    return OK


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")
