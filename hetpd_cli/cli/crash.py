"""What is said when hetpd itself fails."""

from __future__ import annotations

import os
import sys

from hetpd_cli import __version__
from hetpd_cli.report.style import inert

DEBUG = "HETPD_DEBUG"
"""Environment variable that asks for the traceback."""


def report_crash(error: Exception) -> None:
    """Say in one line that hetpd failed, or print the traceback where :data:`DEBUG` is set."""
    if os.environ.get(DEBUG):
        from traceback import print_exception

        print_exception(error)
        return
    said = inert(f"{type(error).__name__}: {error}")[:300]
    sys.stderr.write(f"hetpd {__version__}: internal error: {said} (set {DEBUG}=1 for the traceback)\n")
