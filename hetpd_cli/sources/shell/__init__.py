"""Shell scripts to the commands that they run, without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Launch, Word
    from hetpd_cli.sources.shell.evaluation import Run
    from hetpd_cli.sources.shell.values import Saved, Value


class ScriptReading(NamedTuple):
    """The commands of a script in order, and the files that it writes from here-documents.

    ``given_up`` tells that the script cost more than a script may: commands after the last one were not read.
    """

    runs: tuple[Run, ...]
    files: Mapping[str, Embedded]
    given_up: bool = False


def read_script(script: Embedded, env: Mapping[str, Word], *, arguments: Sequence[Word] | None = ()) -> ScriptReading:
    """Read a script that is given ``arguments`` (None: nobody knows) in the environment ``env``; nothing is raised."""
    return read_scripts([script], env, arguments=arguments, is_own=lambda runs: False)[0]


def read_scripts(
    scripts: Iterable[Embedded],
    env: Mapping[str, Word],
    *,
    arguments: Sequence[Word] | None = (),
    is_own: Callable[[Sequence[Run]], bool],
) -> list[ScriptReading]:
    """Read the scripts of a page one after another; nothing is raised.

    Later ones know the variables of earlier ones. What a script exports goes on into later ones unless
    ``is_own`` tells from its commands that it was for a shell of its own.
    """
    from hetpd_cli.sources.shell.evaluation import Evaluator
    from hetpd_cli.sources.shell.values import Budget, ExhaustedError, State

    evaluator = Evaluator(State(env, arguments), Budget())
    readings: list[ScriptReading] = []
    given_up = False
    for script in scripts:
        done = len(evaluator.runs)
        before = evaluator.state.fork()
        if not given_up:
            try:
                evaluator.read(script)
            except (ExhaustedError, RecursionError):
                given_up = True
        runs = tuple(evaluator.runs[done:])
        readings.append(ScriptReading(runs, evaluator.files, given_up))
        if is_own(runs):
            evaluator.state.restore(({**evaluator.state.variables, **_exported(before)}, before[1], before[2]))
    return readings


def _exported(saved: Saved) -> dict[str, Value]:
    variables, exported, _ = saved
    return {name: variables[name] for name in exported if name in variables}


def commands(script: Embedded, env: Mapping[str, Word], *, arguments: Sequence[Word] | None = ()) -> list[Launch]:
    """Return every simple command that a script runs, in order, with words expanded and quotes removed.

    Variables come from ``env`` first, then from the script. A branch that cannot be decided is read as well as its
    alternatives; what they set differently is unknown. Nothing is raised.
    """
    return [run.launch for run in read_script(script, env, arguments=arguments).runs]
