"""``hetpd init``: writes a deployment file to start from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hetpd_cli.cli.exit_codes import OK, USAGE
from hetpd_cli.cli.output import options, write
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.report.columns import aligned
from hetpd_cli.report.style import Style, finish, inert
from hetpd_cli.resources import PACKAGE, examples_dir
from hetpd_cli.sources.text import STDIN

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = PACKAGE / "templates" / "deploy.yaml"
_MODELINE = "# yaml-language-server:"
"""Names the schema by a path that leads there from the folder of the examples only."""


def examples() -> Mapping[str, Path]:
    """Return the example deployments by name."""
    return {path.stem: path for path in sorted(examples_dir().glob("*.yaml"))}


def run_list() -> int:
    """List the examples, each with the first sentence of its comment, and return the exit code."""
    rows = [[name, about(path.read_text(encoding="utf-8"))] for name, path in examples().items()]
    write(finish(aligned(rows, ("plain",), options("never", quiet=False, verbose=False), Style(False))))
    return OK


def about(text: str) -> str:
    """Return the first sentence of the comment at the top of a file."""
    comment = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return " ".join(comment).partition(". ")[0].rstrip(".:")


def run_init(path: str, example: str | None, *, force: bool) -> int:
    """Write the template, or an example, to ``path`` and return the exit code."""
    source = TEMPLATE
    if example is not None:
        known = examples()
        if example not in known:
            guess = did_you_mean(nearest(example, known)) or f": {', '.join(known)}"
            return _refused(f"no example is called {example}{guess}")
        source = known[example]
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(_MODELINE))
    if path == STDIN:
        write(text)
        return OK
    try:
        # "x" refuses what exists, a link that leads nowhere included.
        with Path(path).open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return _refused(f"{path} exists: --force overwrites it")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return _refused(f"cannot write {path}: {reason}")
    write(f"wrote {inert(path)}: `hetpd check {inert(path)}` checks it\n")
    return OK


def _refused(why: str) -> int:
    sys.stderr.write(f"hetpd: {inert(why)}\n")
    return USAGE
