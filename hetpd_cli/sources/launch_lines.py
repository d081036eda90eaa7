"""Reads shell scripts and Markdown pages that launch engines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.commands import program
from hetpd_cli.sources.launch import VISIBLE, Group, Member

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hetpd_cli.deployment import Section, Stated
    from hetpd_cli.places import Place
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Launch, Word
    from hetpd_cli.sources.shell.evaluation import Run
    from hetpd_cli.sources.text import Limits, SourceText
    from hetpd_cli.sources.tree import Tree

NAMES = re.compile(
    r"\bvllm(?:\s+|\s*\\\n\s*)serve\b|\bvllm\.entrypoints\b|\bsglang\.launch_server\b|\bsglang\s+serve\b"
    r"|\bvllm-openai\b|\bsglang[_-]router\b|\btrtllm-serve\b|\bdynamo\.(?:vllm|sglang|trtllm|frontend)\b"
)
"""What a text names that may launch an engine."""

_SERVER_IMAGE = re.compile(r"\bvllm-openai\b")
"""Images that launch an engine without naming it: their entry point is the server."""

SHELL_SUFFIXES = (".sh", ".bash", ".slurm", ".sbatch")
MARKDOWN_SUFFIXES = (".md", ".mdx", ".markdown")
OTHER_SUFFIXES = (".yaml", ".yml", ".json", ".py", ".toml", ".rst", ".ipynb", ".tpl", ".j2", ".jinja")
TEMPLATE = "a template: render it first"

_SHEBANG = re.compile(r"#!.*\b(?:ba|da|z|k)?sh\b")
_OBJECT = re.compile(r"^(?:apiVersion|kind):", re.M)


def launches_engine(words: Sequence[Word]) -> bool:
    """Tell whether a command launches an engine, behind whatever starts it (numactl, mpirun, python3 -u)."""
    return engine_of(words) is not None


def engine_of(words: Sequence[Word]) -> str | None:
    """Return the engine that a command launches: ``vllm``, ``sglang``, ``trtllm``."""
    found = program.engine_of(words)
    return None if found is None else found.runtime


def launches_router(words: Sequence[Word]) -> bool:
    """Tell whether a command launches a router or a proxy in front of engines."""
    return program.router_of(words) is not None


def _names_engine(text: str) -> bool:
    return bool(NAMES.search(text) or _SERVER_IMAGE.search(text))


class ShellReader:
    """Reads scripts."""

    format = "shell script"

    def claims(self, source: SourceText) -> bool:
        """Tell whether ``source`` is a script, or a text, that names an engine's launch."""
        path, text = source.path.lower(), source.text
        if path.endswith(MARKDOWN_SUFFIXES + OTHER_SUFFIXES) or not _names_engine(text):
            return False
        return path.endswith(SHELL_SUFFIXES) or bool(_SHEBANG.match(text)) or not _OBJECT.search(text)

    def recognises(self, tree: Tree) -> bool:
        """Scripts have no tree."""
        return False

    def groups(self, source: SourceText, limits: Limits) -> list[Group]:
        """Return what the script launches; an empty list if it launches nothing."""
        from hetpd_cli.sources.embedded import whole
        from hetpd_cli.sources.shell import read_script

        script = whole(source)
        reading = read_script(script, {}, arguments=None)
        found = [
            run
            for run in in_variables(with_module(seen_through(reading.runs), source.text), source.text)
            if engine_of(run.launch.words) or launches_router(run.launch.words)
        ]
        if not any(launches_engine(run.launch.words) for run in found):
            return []
        stem = re.split(r"[/\\]", source.path)[-1].partition(".")[0]
        unresolved = TEMPLATE if is_template(source.text, found) else ""
        return [
            _group_of_sections(_joint_name(name), self.format, [(stem, runs)], reading.files, unresolved)
            for name, runs in _by_function(stem, found)
        ]


def with_module(runs: Sequence[Run], text: str) -> list[Run]:
    """Return ``runs`` with the module that a script lets a sourced file choose: the one whose engine it names.

    ``pick_module dynamo.vllm dynamo.vllm.other; python3 -m "$MODULE"`` runs Dynamo's worker for vLLM either way.
    """
    from hetpd_cli.sources.launch import Word
    from hetpd_cli.sources.shell.values import stand_for

    named = set(re.findall(r"\bdynamo\.(?:vllm|sglang|trtllm)\b", text))
    if len(named) != 1:
        return list(runs)
    module = named.pop()
    found = []
    for run in runs:
        words = list(run.launch.words)
        for number in range(1, min(len(words), 8)):
            word = words[number]
            if words[number - 1].value == "-m" and word.unresolved and word.text.text.startswith("$"):
                words[number] = Word(stand_for(module, word.text), word.place)
                run = run._replace(launch=run.launch._replace(words=tuple(words)))  # noqa: PLW2901
        found.append(run)
    return found


def in_variables(runs: Sequence[Run], text: str) -> list[Run]:
    """Return ``runs`` with the variable in whose value a command is written (``PREFILL_CMD="vllm serve .."``)."""
    found = []
    for run in runs:
        start = place_of(run.launch.words[0]).start
        begun = _ASSIGNED.search(text, max(start - _LONGEST_ASSIGNMENT, 0), start)
        found.append(run._replace(variable=begun[1]) if begun else run)
    return found


_LONGEST_ASSIGNMENT = 2000
_ASSIGNED = re.compile(r"""\b([A-Za-z_]\w*)\+?=(?:"(?:[^"\\]|\\.)*|'[^']*|\([^()]*)\Z""", re.S)


def _by_function(stem: str, runs: list[Run]) -> list[tuple[str, list[Run]]]:
    """Return the launches of each function, or branch, if several launch both roles: a script of several pairs."""
    functions: dict[str, list[Run]] = {}
    for run in runs:
        functions.setdefault(run.function or run.branch, []).append(run)
    pairs = [name for name, own in functions.items() if name and {_role(run, "") for run in own} >= set(_ROLES)]
    if len(pairs) < 2:
        return [(stem, runs)]
    rest = [run for run in runs if (run.function or run.branch) not in pairs]
    parts = [(name, functions[name]) for name in pairs]
    return [*parts, (stem, rest)] if any(launches_engine(run.launch.words) for run in rest) else parts


class MarkdownReader:
    """Reads the command lines in the code blocks of a page."""

    format = "Markdown"

    def claims(self, source: SourceText) -> bool:
        """Tell whether ``source`` is a page that names an engine's launch in a code block."""
        text = source.text
        named = source.path.lower().endswith(MARKDOWN_SUFFIXES)
        return named and ("```" in text or "~~~" in text) and _names_engine(text)

    def recognises(self, tree: Tree) -> bool:
        """Pages have no tree."""
        return False

    def groups(self, source: SourceText, limits: Limits) -> list[Group]:
        """Return what the page launches, a group for each heading below which both roles stand, or one alone."""
        from hetpd_cli.sources.markdown import blocks
        from hetpd_cli.sources.shell import read_scripts

        found = [block for block in blocks(source) if block.language in SHELL_LANGUAGES]
        readings = read_scripts((block.text for block in found), {}, arguments=None, is_own=_launches_any)
        sections: dict[tuple[str, ...], list[Run]] = {}
        files: Mapping[str, Embedded] = readings[0].files if readings else {}
        for block, reading in zip(found, readings, strict=True):
            runs = in_variables(launching(reading.runs), source.text)
            if runs:
                sections.setdefault(block.headings, []).extend(runs)
        stem = re.split(r"[/\\]", source.path)[-1].partition(".")[0]
        groups = []
        for headings, parts in _parted(sections):
            runs = [run for below in parts for run in below[1]]
            if any(launches_engine(run.launch.words) for run in runs):
                unresolved = TEMPLATE if is_template("", runs) else ""
                name = _joint_name(headings[-1] if headings else stem)
                groups.append(_group_of_sections(name, self.format, parts, files, unresolved))
        return groups


def launching(runs: Sequence[Run]) -> list[Run]:
    """Return the launches of engines and routers; a function that is only told of one is left out."""
    found = [
        run for run in seen_through(runs) if launches_engine(run.launch.words) or launches_router(run.launch.words)
    ]
    whole = {tuple(word.value for word in run.launch.words) for run in found}
    kept = []
    for run in found:
        values = tuple(word.value for word in run.launch.words)
        if any(values[start:] in whole for start in range(1, min(len(values), 4))):
            continue
        kept.append(run)
    return kept


def _launches_any(runs: Sequence[Run]) -> bool:
    return bool(launching(runs))


SHELL_LANGUAGES = frozenset({"", "bash", "sh", "shell", "zsh", "console", "shell-session", "terminal", "shellscript"})


def is_template(text: str, runs: Sequence[Run]) -> bool:
    """Tell whether a script, or a command of it, has holes that Jinja or Helm fills."""
    if re.search(r"^\s*\{%-?\s*\w", text, re.M):
        return True
    return any(_is_hole(" ".join(word.value for word in run.launch.words)) for run in runs)


def _is_hole(value: str) -> bool:
    return bool(re.search(r"\{\{-?\s*[.$A-Za-z_][^{}\"]*\}\}", value))


def _group_of_sections(
    name: str,
    form: str,
    sections: Sequence[tuple[str, list[Run]]],
    files: Mapping[str, Embedded],
    unresolved: str,
) -> Group:
    from hetpd_cli.sources.several_nodes import joined

    members: list[Member] = []
    others: list[Launch] = []
    counts: dict[str, int] = {}
    processes: list[Member] = []
    for hint, runs in sections:
        for run in runs:
            engine = engine_of(run.launch.words)
            if engine is None:
                others.append(run.launch)
            elif not joined(members, run.launch):
                members.append(_member(run, engine, hint, files, counts))
                if run.image is None and not run.container:
                    processes.append(members[-1])
    if form == ShellReader.format:
        _on_one_host(processes)
    place = members[0].place
    return Group(name, form, place, tuple(members), others=tuple(others), unresolved=unresolved)


def _on_one_host(processes: Sequence[Member]) -> None:
    """State that processes share a host if a script parts the devices of one among them.

    A script alone does not tell: it may be run on each node, and start what is due there.
    """
    from hetpd_cli.deployment import Stated
    from hetpd_cli.facts.values import DERIVED

    words = [devices(member.launches[0].env) for member in processes]
    numbers = [set(found[0].value.replace(" ", "").split(",")) for found in words if found is not None]
    apart = sum(map(len, numbers)) == len(set().union(*numbers))
    if len(numbers) < 2 or len(numbers) != len(processes) or not apart or _spans_nodes(processes):
        return
    for member in processes:
        section = member.settings
        section.stated["hosts"] = Stated(("the script's host",), None, None, DERIVED, "the script parts its devices")
        section.stated["host_network"] = Stated(True, None, None, DERIVED, "a process of the script")


def _spans_nodes(processes: Sequence[Member]) -> bool:
    words = {word.value.partition("=")[0].replace("_", "-") for one in processes for word in one.launches[0].words}
    return bool(words & {"--nnodes", "--node-rank", "--data-parallel-address", "--dist-init-addr", "srun", "mpirun"})


def _member(run: Run, engine: str, hint: str, files: Mapping[str, Embedded], counts: dict[str, int]) -> Member:
    role = _role_by_name(run, hint)
    base = _role_by_flags(run.launch.words) or (str(role.value) if role else engine)
    counts[base] = counts.get(base, 0) + 1
    name = base if counts[base] == 1 and base in _ROLES else f"{base}-{counts[base]}"
    settings = _settings(run, engine)
    return Member(name, run.launch.place, role, "name" if role else "", settings, (run.launch,), files)


_ROLES = ("prefill", "decode")
_ROLE_WORDS = {
    "prefill": re.compile(
        r"(?i:prefill(?:er|ing|s)?(?![a-z])|producer)|(?<![A-Za-z0-9])P(?:[ _-]?(?i:node|instance)|\d(?![A-Za-z0-9]))"
    ),
    "decode": re.compile(
        r"(?i:decod(?:e|er|es)(?![a-z])|(?:^|[^a-z ])[ ]*decoding(?![a-z])|"
        r"decoding[ _-]*(?:node|instance|server|worker|side|pool|engine|machine|phase|stage)|consumer)"
        r"|(?<![A-Za-z0-9])D(?:[ _-]?(?i:node|instance)|\d(?![A-Za-z0-9]))"
    ),
}


_NO_ROLE = re.compile(
    r"(?i)(?:chunked|disagg\w*)[ _-]*prefill\w*|prefill\w*[ /_&+-]*(?:and )?decod\w*"
    r"|(?:specul\w+|spec|suffix|parallel|guided|structured|constrained|lookahead|greedy|beam|assisted|video|image|audio|token)"
    r"[ _-]*decod\w*"
)
"""What names a technique, or both roles at once."""
_ENCODER = re.compile(r"(?i)encoder|prefill\w*[ /_&+-]*(?:and )?decod\w*")
_GIVES_OR_TAKES = re.compile(r"(?i)producer|consumer")


def role_in(text: str) -> str | None:
    """Return the role that a text names, if it names one only."""
    if _ENCODER.search(text):
        # The producer is an encoder, the consumer of what it makes does both.
        text = _GIVES_OR_TAKES.sub("", text)
    text = _NO_ROLE.sub("", text)
    found = [role for role in _ROLES if _ROLE_WORDS[role].search(text)]
    return found[0] if len(found) == 1 else None


def _role_by_name(run: Run, hint: str) -> Stated | None:
    from hetpd_cli.deployment import Stated

    for text in _texts(run, hint):
        role = role_in(text)
        if role:
            return Stated(role, run.launch.place, written=text.strip() if text.strip() != role else None)
    return None


def _texts(run: Run, hint: str) -> Iterator[str]:
    """Yield what may name the role of a launch, the surest first."""
    yield run.container
    yield re.split(r"[/\\]", run.log)[-1]
    yield run.function
    yield run.variable
    yield from run.comment.split("\n")
    yield from run.before
    if re.search(r"(?i)start|launch|run|serv", run.said):
        yield run.said
    yield hint


def _role_by_flags(words: Sequence[Word]) -> str | None:
    """Return the role that the flags of an engine give it, for its name only: flags are read elsewhere."""
    for number, word in enumerate(words):
        flag, _, value = word.value.partition("=")
        value = value or (words[number + 1].value if number + 1 < len(words) else "")
        if flag in ("--disaggregation-mode", "--disaggregation_mode") and value in _ROLES:
            return value
        if flag in ("--is-prefill-worker", "--is-decode-worker"):
            return flag.split("-")[3]
        if "kv_role" in word.value:
            found = re.search(r"kv_role\W+kv_(producer|consumer)", word.value)
            if found:
                return "prefill" if found[1] == "producer" else "decode"
    return None


def _settings(run: Run, engine: str) -> Section:
    """Return what stands around a launch: the devices that it sees, and its image."""
    from hetpd_cli.deployment import CLOSED, Section, Stated
    from hetpd_cli.sources.several_nodes import DEVICES, in_all

    section = Section("pool", run.launch.place, CLOSED)
    found = devices(run.launch.env)
    if found is not None:
        word, count = found
        section.stated["devices_per_worker"] = Stated(count, place_of(word), written=word.value)
    elif run.gpus is not None:
        section.stated["devices_per_worker"] = Stated(run.gpus[1], place_of(run.gpus[0]), written=run.gpus[0].value)
    if DEVICES in section.stated:
        section.stated[DEVICES] = in_all(section.stated[DEVICES], run.launch, engine)
    if run.image is not None and not run.image.unresolved:
        section.stated["engine.image"] = Stated(run.image.value, place_of(run.image))
        section.declared.add("engine")
    return section


def devices(env: Mapping[str, Word]) -> tuple[Word, int] | None:
    """Return the variable that says which devices are seen, and how many these are."""
    for name in VISIBLE:
        word = env.get(name)
        if word is None or word.unresolved:
            continue
        value = word.value.strip()
        if (
            re.fullmatch(r"(?:[\w.-]+)(?:\s*,\s*[\w.-]+)*", value)
            and value != "-1"
            and value.lower() not in ("all", "none", "void")
        ):
            return word, len(value.split(","))
    return None


def place_of(word: Word) -> Place:
    """Return where the characters of a word stand, or the word if it has none."""
    return word.text.place() if word.text.text else word.place


_ROLE_IN_NAME = re.compile(r"(?i)[_-]?(?:prefill(?:er)?|decode(?:r)?|producer|consumer)(?![a-z])[_-]?")


def _joint_name(name: str) -> str:
    """Return a name without the role in it, so that two halves have one name."""
    return (_ROLE_IN_NAME.sub("-", name).strip("-_ ") or name) if role_in(name) else name


def _parted(
    sections: Mapping[tuple[str, ...], list[Run]],
) -> Iterator[tuple[tuple[str, ...], list[tuple[str, list[Run]]]]]:
    """Yield the groups of a page: below the lowest heading that has both roles; what is left by its own heading."""
    left = dict(sections)
    depth = max((len(headings) for headings in left), default=0)
    for level in range(depth, -1, -1):
        for head in dict.fromkeys(headings[:level] for headings in left if len(headings) >= level):
            below = [headings for headings in left if headings[:level] == head]
            roles = {_role(run, headings[-1] if headings else "") for headings in below for run in left[headings]}
            if {"prefill", "decode"} <= roles:
                yield head, [(headings[-1] if headings else "", left.pop(headings)) for headings in below]
    for headings, runs in left.items():
        yield headings, [(headings[-1] if headings else "", runs)]


def _role(run: Run, hint: str) -> str | None:
    if not launches_engine(run.launch.words):
        return None
    stated = _role_by_name(run, hint)
    return _role_by_flags(run.launch.words) or (str(stated.value) if stated else None)


def seen_through(runs: Sequence[Run], depth: int = 0) -> list[Run]:
    """Return the commands with those in their place that ssh, docker, srun and the like start."""
    from hetpd_cli.sources.wrappers import inner_runs

    found: list[Run] = []
    for run in runs:
        inner = inner_runs(run) if depth < 4 and not program.only_speaks(run.launch.words) else None
        found.extend([run] if inner is None else seen_through(inner, depth + 1))
    return found
