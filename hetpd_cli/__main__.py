"""Entry point: ``hetpd`` and ``python -m hetpd_cli``. Imports only what the call needs."""

from __future__ import annotations

import gc
import os
import sys

INTERNAL_ERROR = 4
INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from hetpd_cli import __version__

        try:  # noqa: SIM105 (contextlib is not worth its import here)
            sys.stdout.write(f"hetpd {__version__}\n")
        except (AttributeError, OSError):  # closed, or nobody reads
            pass
        _leave(0)
    # A run is short and keeps most of what it makes: frequent collections only cost time.
    gc.set_threshold(50_000)
    try:
        from hetpd_cli.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        from hetpd_cli.cli.crash import report_crash

        report_crash(error)
        code = INTERNAL_ERROR
    _leave(code)


def _leave(code: int) -> None:
    """End the process with ``code``, without freeing what the run made: that would take a fifth of its time."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
    os._exit(code)


if __name__ == "__main__":
    main()
