"""Looks through commands that start others: docker run, ssh, srun with a script, tmux."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.embedded import join
from hetpd_cli.sources.launch import Launch, Word
from hetpd_cli.sources.launch_lines import NAMES, launches_engine
from hetpd_cli.sources.shell import read_script
from hetpd_cli.sources.shell.builtins import SHELLS, script_of
from hetpd_cli.sources.shell.values import stand_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.shell.evaluation import Run

_CONTAINERS = frozenset({"docker", "podman", "nerdctl"})
_SWITCHES = frozenset(
    {"--rm", "--privileged", "--init", "--read-only", "--no-healthcheck", "--detach", "--interactive", "--tty"}
    | {"--oom-kill-disable", "--sig-proxy", "--publish-all", "--quiet", "--replace", "--tls-verify"}
)
_SHORT_SWITCHES = re.compile(r"-[ditPq]+")
_SSH_WITH_VALUE = re.compile(r"-[a-zA-Z]*[bBcDEeFIiJLlmOopQRSWw]")
_SERVES = re.compile(r"vllm-openai|(?:^|/)vllm[\w-]*/vllm-openai")


def inner_runs(run: Run) -> list[Run] | None:
    """Return the commands that ``run`` starts in a shell or a container; None if it is a command itself."""
    words = run.launch.words
    program = words[0].value.rpartition("/")[2]
    if program in _CONTAINERS:
        return _container(run)
    for number, word in enumerate(words[1:], 1):
        if word.value.rpartition("/")[2] in SHELLS:
            found = script_of(words[number:])
            if found is not None:
                return _script(run, found[0], found[1][1:], run.launch.env)
    if launches_engine(words):
        return None
    if program == "ssh":
        return _ssh(run)
    for word in words[1:]:
        if re.search(r"\s", word.value) and NAMES.search(word.value):
            inner = _script(run, word, (), run.launch.env)
            if inner and any(launches_engine(found.launch.words) for found in inner):
                return inner
    return None


def _script(run: Run, script: Word, arguments: Sequence[Word], env: Mapping[str, Word]) -> list[Run]:
    reading = read_script(script.text, env, arguments=arguments)
    return [_around(found, run) for found in reading.runs]


def _around(inner: Run, outer: Run) -> Run:
    """Return a command with what stands around the one that starts it."""
    return inner._replace(
        log=inner.log or outer.log,
        function=inner.function or outer.function,
        comment=inner.comment or outer.comment,
        container=inner.container or outer.container,
        image=inner.image or outer.image,
        gpus=inner.gpus or outer.gpus,
        branch=inner.branch or outer.branch,
    )


def _ssh(run: Run) -> list[Run] | None:
    words = run.launch.words
    at = 1
    while at < len(words) and words[at].value.startswith("-"):
        at += 2 if _SSH_WITH_VALUE.fullmatch(words[at].value) else 1
    command = words[at + 1 :]
    if not command:
        return None
    texts: list[Embedded] = []
    for word in command:
        if texts:
            texts.append(stand_for(" ", word.text) if word.text.text else word.text)
        texts.append(word.text)
    host = words[at].value
    return _script(run._replace(container=run.container or host), Word(join(texts), command[0].place), (), {})


class _Options(NamedTuple):
    """What the options of a ``docker run`` say, and where they end."""

    end: int
    env: dict[str, Word]
    entrypoint: Word | None
    name: str
    gpus: tuple[Word, int] | None


def _container(run: Run) -> list[Run] | None:
    words = run.launch.words
    verbs = [word.value for word in words[1:3]]
    if "exec" in verbs:
        return _exec(run)
    if "run" not in verbs:
        return None
    options = _options(run, 2 + verbs.index("run"))
    if options.end >= len(words):
        return None
    image, command = words[options.end], list(words[options.end + 1 :])
    entrypoint = options.entrypoint
    if entrypoint is not None and entrypoint.value:
        command.insert(0, entrypoint)
    elif entrypoint is None and _SERVES.search(image.value) and not launches_engine(command) and not _is_shell(command):
        # Its entry point is the server: the command is only the server's arguments.
        program = [Word(stand_for(text, image.text), image.place) for text in ("vllm", "serve")]
        command = program + command
    if not command:
        return None
    launch = Launch(tuple(command), options.env, run.launch.place, run.launch.incomplete)
    container = options.name or run.container
    return [run._replace(launch=launch, container=container, image=image, gpus=options.gpus or run.gpus)]


def _options(run: Run, at: int) -> _Options:
    words = run.launch.words
    env: dict[str, Word] = {}
    entrypoint: Word | None = None
    name, gpus = "", None
    while at < len(words) and words[at].value.startswith("-"):
        word, at = words[at], at + 1
        option, given, _ = word.value.partition("=")
        if option in _SWITCHES or _SHORT_SWITCHES.fullmatch(word.value):
            continue
        if given:
            value = _rest(word, len(option) + 1)
        elif re.fullmatch(r"-[evpwmuh].+", word.value):
            option, value = word.value[:2], _rest(word, 2)
        elif at < len(words):
            value, at = words[at], at + 1
        else:
            break
        if option in ("-e", "--env"):
            _set(env, value, run.launch.env)
        elif option == "--entrypoint":
            entrypoint = value
        elif option == "--name":
            name = value.value
        elif option == "--gpus":
            gpus = _gpus(value)
    return _Options(at, env, entrypoint, name, gpus)


def _set(env: dict[str, Word], value: Word, outer: Mapping[str, Word]) -> None:
    variable, sign, _ = value.value.partition("=")
    if sign:
        env[variable] = _rest(value, len(variable) + 1)
    elif variable in outer:
        env[variable] = outer[variable]


def _is_shell(command: Sequence[Word]) -> bool:
    return bool(command) and not command[0].value.startswith("-") and command[0].value.rpartition("/")[2] in SHELLS


def _exec(run: Run) -> list[Run] | None:
    """Return the command of a ``docker exec``."""
    words = run.launch.words
    at = 2
    env: dict[str, Word] = {}
    while at < len(words) and words[at].value.startswith("-"):
        word, at = words[at], at + 1
        if word.value in ("-e", "--env") and at < len(words):
            variable, sign, _ = words[at].value.partition("=")
            if sign:
                env[variable] = _rest(words[at], len(variable) + 1)
        at += word.value in ("-e", "--env", "-w", "--workdir", "-u", "--user", "--env-file")
    if at + 1 >= len(words):
        return None
    launch = Launch(words[at + 1 :], env, run.launch.place, run.launch.incomplete)
    return [run._replace(launch=launch, container=words[at].value)]


def _rest(word: Word, start: int) -> Word:
    return Word(word.text[start:], word.place, word.unresolved)


def _gpus(word: Word) -> tuple[Word, int] | None:
    """Return how many devices ``--gpus`` gives; None for all of them."""
    value = word.value.strip("\"'")
    if re.fullmatch(r"[1-9]\d{0,2}", value):
        return word, int(value)
    found = re.search(r"device=([\w-]+(?:,[\w-]+)*)", value)
    return (word, len(found[1].split(","))) if found and not word.unresolved else None
