"""Draws the README's terminal picture from a real run: ``python docs/make_pictures.py`` (``--check`` compares)."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent.parent))  # this checkout, whatever is installed

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.report import Options, full
from hetpd_cli.sources.inputs import read
from hetpd_cli.sources.text import Limits

ROOT = Path(__file__).parent.parent
COLUMNS = 100
PICTURES = {"check.svg": "examples/vllm-1p1d-mismatch.yaml"}
"""Name of each picture and the file whose check it shows."""


def picture(example: str) -> str:
    """Return the SVG of ``hetpd check EXAMPLE`` on a terminal of :data:`COLUMNS` columns."""
    reading = read(example, Limits())
    shown = full.render(check([reading], catalogue()), Options(colour=True, width=COLUMNS))
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text(f"$ hetpd check {example}", style="bold"))
    console.print(Text.from_ansi(shown))
    return console.export_svg(title="hetpd check", unique_id="hetpd")


def main() -> int:
    """Write the pictures, or say which ones are not what the program prints today."""
    stale = []
    for name, example in PICTURES.items():
        path = Path(__file__).parent / name
        drawn = picture(example)
        if "--check" not in sys.argv[1:]:
            path.write_text(drawn, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != drawn:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"docs/{name} is stale: run python docs/make_pictures.py from the top of the checkout\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
