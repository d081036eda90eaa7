"""Where the command line says that the configuration is, and what is said where it cannot be used."""

from __future__ import annotations

import sys
from typing import NamedTuple

from hetpd_cli.cli.exit_codes import USAGE
from hetpd_cli.report.style import inert


class Files(NamedTuple):
    """The configuration that the command line names, or that none is wanted."""

    config: str | None = None
    no_config: bool = False


NEAREST = Files()
"""The configuration nearest above the inputs."""


def refuse(error: Exception) -> int:
    """Say on standard error, a line for each fault, why nothing is done, and return the exit code of wrong usage."""
    for line in str(error).splitlines():
        sys.stderr.write(f"hetpd: {inert(line)}\n")
    return USAGE
