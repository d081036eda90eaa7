"""Writes the pages that are made from the sources: ``python docs/make_reference.py`` (``--check`` compares)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))  # this checkout, whatever is installed

from hetpd_cli.engine.catalogue import load_rule, rule_files
from hetpd_cli.families import FAMILIES, family_digit
from hetpd_cli.fields import SECTIONS, fields
from hetpd_cli.report import rule_page
from hetpd_cli.resources import rules_dir, table_path
from hetpd_cli.tables.columns import BY_ID, BY_VERSION, columns
from hetpd_cli.tables.own import ROW_KEYS, VERSIONED_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.fields import Field
    from hetpd_cli.tables.columns import Column

DOCS = Path(__file__).parent
RULE_PAGES = DOCS / "rules"
GENERATED = "<!-- Made by docs/make_reference.py: edit the source that it names. -->\n\n"
SESSION = re.compile(r"^(```console\n)(.*?)^```$", flags=re.S | re.M)
"""Commands with what they print, on pages written by hand."""

HELP = re.compile(r"<!-- help: ([a-z ]+) -->\n.*?<!-- end of help -->\n", flags=re.S)
"""Where a page shows what a command's --help prints."""


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
    lines = [
        "# The rules\n",
        "Source: `rules/`. A rule's page has conditions, evidence and examples; `hetpd explain` prints it too.\n",
    ]
    for digit, _, family in FAMILIES:
        ours = [(path, rule) for path, rule in rules if family_digit(rule["code"]) == digit]
        lines += [
            f"## {digit}xx {family}\n",
            "| rule | what it finds | cell | severity | impact |",
            "| --- | --- | --- | --- | --- |",
        ]
        for path, rule in ours:
            link = f"[{rule['code']} {rule['name']}](rules/{path.stem}.md)"
            lines.append(
                f"| {link} | {rule['title']} | {rule.get('cell', '')} | {rule['severity']} | {rule.get('impact', '')} |"
            )
        lines.append("")
    return GENERATED + "\n".join(lines)


def tables_page() -> str:
    """Return every column of the tables that users may add rows to."""
    lines = [
        "# Columns of the tables\n",
        "Source: `columns` of the files in `hetpd_cli/tables/data/`; of `engines`, `schemas/deployment.schema.json`.",
        "[extending.md](extending.md#add-a-device-a-link-a-model) says how rows of your own are read.\n",
    ]
    for table in (*BY_ID, *BY_VERSION):
        lines += [
            f"## {table}\n",
            f"{load_rule(table_path(table))['description']}\n",
            f"A row is about: {_listed(VERSIONED_KEYS if table in BY_VERSION else ROW_KEYS)}.\n",
            "| column | value | unit | what it is |",
            "| --- | --- | --- | --- |",
        ]
        lines += [_column(column) for column in columns(table).values()]
        lines.append("")
    return GENERATED + "\n".join(lines)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _column(column: Column) -> str:
    value = _listed(column.values) if column.values else column.kind
    if column.kind == "list":
        value = f"list of {value}" if column.values else "list"
    unit = "" if column.unit in (None, "1") else column.unit
    cells = (f"`{column.name}`", value, unit or "", column.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def rule_pages() -> Iterator[tuple[Path, str]]:
    """Yield the page of each rule."""
    for path in rule_files(rules_dir()):
        source = f"<!-- Made by docs/make_reference.py from rules/{path.parent.name}/{path.name}. -->\n\n"
        yield RULE_PAGES / f"{path.stem}.md", source + rule_page.markdown(rule_page.page(load_rule(path)))


def help_block(command: str) -> str:
    """Return what ``--help`` of ``command`` prints at 100 columns."""
    done = subprocess.run(  # noqa: S603 (a command of ours)
        [sys.executable, "-m", "hetpd_cli", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "100", "PATH": "", "TERMINAL_WIDTH": "100"},
        cwd=DOCS.parent,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def _with_sessions(page: str) -> str:
    """Return ``page`` with each command of its console blocks run anew, in a copy of the examples.

    Output that was cut with a line of three dots is cut after as many lines again.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(DOCS.parent / "examples", Path(folder, "examples"))
        return SESSION.sub(lambda match: f"{match[1]}{_session(match[2], folder)}```", page)


def _session(block: str, folder: str) -> str:
    text = ""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, before = part.partition("\n")
        _, *arguments = shlex.split(command)
        environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
        done = subprocess.run(  # noqa: S603 (a command of ours)
            [sys.executable, "-m", "hetpd_cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=environment,
        )
        lines = done.stdout.splitlines(keepends=True)
        if before.endswith("...\n"):
            lines = [*lines[: before.count("\n") - 1], "...\n"]
        text += f"$ {command}\n{''.join(lines)}"
    return text


def _with_help(page: str) -> str:
    def block(match: re.Match[str]) -> str:
        return f"<!-- help: {match[1]} -->\n```text\n{help_block(match[1])}\n```\n<!-- end of help -->\n"

    return HELP.sub(block, page)


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each generated page with what it has to hold."""
    yield DOCS / "fields.md", fields_page()
    yield DOCS / "rules.md", rules_page()
    yield DOCS / "tables.md", tables_page()
    yield from rule_pages()
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if HELP.search(text) or SESSION.search(text):
            yield page, _with_sessions(_with_help(text))


def main() -> int:
    """Write the pages, or say which ones are not what the sources say today."""
    writing = "--check" not in sys.argv[1:]
    made = dict(pages())
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left_over = [path for path in RULE_PAGES.glob("*.md") if path not in made]
    if writing:
        RULE_PAGES.mkdir(exist_ok=True)
        for path in stale:
            path.write_text(made[path], encoding="utf-8")
        for path in left_over:
            path.unlink()
        return 0
    for path in (*stale, *left_over):
        sys.stderr.write(f"docs/{path.relative_to(DOCS)} is stale: run python docs/make_reference.py\n")
    return 1 if stale or left_over else 0


if __name__ == "__main__":
    sys.exit(main())
