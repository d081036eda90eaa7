"""Writes text to standard output: colour, width, encodings, closed pipes."""

from __future__ import annotations

import os
import sys

from hetpd_cli.report import Options


class UnwritableError(OSError):
    """A report that cannot be written; the message says where to, and why."""


def wants_colour(choice: str) -> bool:
    """Tell whether to colour: ``always``, ``never``, or ``auto`` (a terminal, no NO_COLOR, no TERM=dumb)."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Return the columns of the terminal, or None where the output is no terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdecimal() and int(columns[:6]) > 0:
        return int(columns[:6])
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


def options(colour: str, *, quiet: bool, verbose: bool) -> Options:
    """Return how to print for this terminal."""
    return Options(wants_colour(colour), terminal_width(), quiet, verbose)


def write(text: str) -> None:
    """Write ``text`` to standard output; characters that it cannot encode are escaped, a closed pipe is no error.

    Raises UnwritableError where nothing more can be written.
    """
    if sys.stdout is None:
        return
    try:
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise UnwritableError(f"cannot write standard output: {error.strerror}") from None
