"""Shell scripts to the commands that they run, without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Launch, Word
    from hetpd_cli.sources.shell.evaluation import Run


class ScriptReading(NamedTuple):
    """The commands of a script in order, and the files that it writes from here-documents.

    ``given_up`` tells that the script cost more than a script may: commands after the last one were not read.
    """

    runs: tuple[Run, ...]
    files: Mapping[str, Embedded]
    given_up: bool = False


def read_script(script: Embedded, env: Mapping[str, Word], *, arguments: Sequence[Word] | None = ()) -> ScriptReading:
    """Read a script that is given ``arguments`` (None: nobody knows) in the environment ``env``; nothing is raised."""
    from hetpd_cli.sources.shell.evaluation import Evaluator
    from hetpd_cli.sources.shell.values import Budget, ExhaustedError, State

    evaluator = Evaluator(State(env, arguments), Budget())
    try:
        evaluator.read(script)
    except (ExhaustedError, RecursionError):
        return ScriptReading(tuple(evaluator.runs), evaluator.files, given_up=True)
    return ScriptReading(tuple(evaluator.runs), evaluator.files)


def commands(script: Embedded, env: Mapping[str, Word], *, arguments: Sequence[Word] | None = ()) -> list[Launch]:
    """Return every simple command that a script runs, in order, with words expanded and quotes removed.

    Variables come from ``env`` first, then from the script. A branch that cannot be decided is read as well as its
    alternatives; what they set differently is unknown. Nothing is raised.
    """
    return [run.launch for run in read_script(script, env, arguments=arguments).runs]
