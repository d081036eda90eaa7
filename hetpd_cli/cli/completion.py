"""``hetpd completion``: the script by which a shell completes."""

from __future__ import annotations

from hetpd_cli.cli.exit_codes import OK
from hetpd_cli.cli.output import write

VARIABLE = "_HETPD_COMPLETE"
"""Environment variable by which the script asks for completions."""


def run_completion(shell: str) -> int:
    """Print the script for ``shell`` and return the exit code."""
    from typer._completion_shared import get_completion_script

    write(get_completion_script(prog_name="hetpd", complete_var=VARIABLE, shell=shell) + "\n")
    return OK


def prepare() -> None:
    """Make the shells known that complete: typer does so only where it offers options for it."""
    from typer._completion_classes import completion_init

    completion_init()
