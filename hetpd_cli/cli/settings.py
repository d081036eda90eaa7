"""Where the command line says that the configuration is, and what is said where it cannot be used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.cli.exit_codes import USAGE
from hetpd_cli.report.style import inert

if TYPE_CHECKING:
    from hetpd_cli.configuration.options import Given, Options


class ChangesError(ValueError):
    """What changed since a revision cannot be told; the message is one harmless line."""


class Files(NamedTuple):
    """The configuration that the command line names, or that none is wanted."""

    config: str | None = None
    no_config: bool = False


NEAREST = Files()
"""The configuration nearest above the inputs."""


def said(
    prefill_gpu: str | None, decode_gpu: str | None, model: str | None, link: str | None, versions: list[str] | None
) -> Options | None:
    """Return the facts that the command line says, or None where it says none: then nothing is imported for them."""
    if all(one is None for one in (prefill_gpu, decode_gpu, model, link)) and not versions:
        return None
    from hetpd_cli.configuration.options import Options

    return Options(prefill_gpu, decode_gpu, model, link, tuple(versions or ()))


def given_by(options: Options | None) -> tuple[Given, ...]:
    """Return the facts that ``options`` give. Raises ConfigurationError for an engine that is none."""
    if options is None:
        return ()
    from hetpd_cli.configuration.options import given

    return tuple(given(options))


def refuse(error: Exception) -> int:
    """Say on standard error, a line for each fault, why nothing is done, and return the exit code of wrong usage."""
    for line in str(error).splitlines():
        sys.stderr.write(f"hetpd: {inert(line)}\n")
    return USAGE
