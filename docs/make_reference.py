"""Writes the pages that are made from the sources: ``python docs/make_reference.py`` (``--check`` compares)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hetpd_cli.engine.catalogue import load_rule, rule_files
from hetpd_cli.fields import SECTIONS, fields
from hetpd_cli.resources import rules_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.fields import Field

DOCS = Path(__file__).parent
GENERATED = "<!-- Made by docs/make_reference.py: edit the source that it names. -->\n\n"
FAMILIES = {
    "0": "The input itself",
    "1": "Compute placement",
    "2": "KV representation",
    "3": "The path between the pools",
    "4": "KV ownership",
    "5": "Launch facts that break a handoff",
}


def fields_page() -> str:
    """Return every field of the deployment file, from its schema."""
    lines = [
        "# Fields of the deployment file\n",
        "Source: `schemas/deployment.schema.json`. *Change* says how a repair may change a field: `free`, `costly`,",
        "`given` (never) or `assertion` (never: it says what is so).\n",
    ]
    for section in SECTIONS:
        lines += [
            f"## {section}\n",
            "| field | value | unit | change | what it is |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [_row(field) for field in fields(section).values()]
        lines.append("")
    return GENERATED + "\n".join(lines)


def _row(field: Field) -> str:
    value = ", ".join(f"`{choice}`" for choice in field.choices) if field.choices else field.kind
    unit = "" if field.unit in (None, "1") else field.unit
    cells = (f"`{field.path}`", value, unit or "", field.change, field.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def rules_page() -> str:
    """Return a line for every rule, by family."""
    rules = [(path, load_rule(path)) for path in rule_files(rules_dir())]
    lines = ["# The rules\n", "Source: `rules/`. Each file holds what is shown here, the evidence, and examples.\n"]
    for digit, family in FAMILIES.items():
        ours = [(path, rule) for path, rule in rules if rule["code"][3] == digit]
        lines += [
            f"## {digit}xx {family}\n",
            "| rule | what it finds | cell | severity | impact |",
            "| --- | --- | --- | --- | --- |",
        ]
        for path, rule in ours:
            link = f"[{rule['code']} {rule['name']}](../rules/{path.parent.name}/{path.name})"
            lines.append(
                f"| {link} | {rule['title']} | {rule.get('cell', '')} | {rule['severity']} | {rule.get('impact', '')} |"
            )
        lines.append("")
    return GENERATED + "\n".join(lines)


def help_block() -> str:
    """Return what ``hetpd check --help`` prints at 100 columns."""
    done = subprocess.run(
        [sys.executable, "-m", "hetpd_cli", "check", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "100", "PATH": "", "TERMINAL_WIDTH": "100"},
        cwd=DOCS.parent,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def _with_help(page: str) -> str:
    before, _, rest = page.partition("<!-- help -->\n")
    _, _, after = rest.partition("<!-- end of help -->\n")
    return f"{before}<!-- help -->\n```text\n{help_block()}\n```\n<!-- end of help -->\n{after}"


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each generated page with what it has to hold."""
    yield DOCS / "fields.md", fields_page()
    yield DOCS / "rules.md", rules_page()
    cli = DOCS / "cli.md"
    yield cli, _with_help(cli.read_text(encoding="utf-8"))


def main() -> int:
    """Write the pages, or say which ones are not what the sources say today."""
    stale = []
    for path, text in pages():
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    for name in stale:
        sys.stderr.write(f"docs/{name} is stale: run python docs/make_reference.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
