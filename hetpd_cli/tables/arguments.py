"""What arguments each program takes, by release: computed from the released packages (docs/evidence.md).

One JSON file a program in ``data/arguments/``. Only releases that were read are known exactly; for any other release
the nearest known one stands in, and the set says so. Nothing here judges: an argument that is in no table may belong
to a plugin or to a release that nobody has read.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.resources import PACKAGE
from hetpd_cli.versions import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = PACKAGE / "tables" / "data" / "arguments"
PROGRAMS = (
    "vllm",
    "sglang",
    "trtllm",
    "dynamo.vllm",
    "dynamo.sglang",
    "dynamo.trtllm",
    "dynamo.frontend",
    "sglang_router",
)
ALIASES = {"vllm-ascend": "vllm"}
"""Programs that take the arguments of another one. vllm-ascend is a plugin of vLLM of the same release."""

_NUMBER = re.compile(r"v?(\d+(?:\.\d+)*)(.*)\Z", re.S)
_STAGE = re.compile(r"[.-]?(post|rc)(\d+)\Z")
_NEGATIVE_NUMBER = re.compile(r"-\d+\Z|-\d*\.\d+\Z")


class Argument(NamedTuple):
    """An argument of a program.

    ``name`` is its first long spelling without dashes (``tensor-parallel-size``). ``kind`` says what its value is:
    ``switch`` (none), ``text``, ``integer``, ``number`` or ``json`` (an object, which may be given key by key);
    ``takes`` how many words: ``0``, ``1``, ``?``, ``*``, ``+`` or a count. ``choices`` are the values that the program
    accepts, None where it does not restrict them or they are not known. ``default`` is the default of the command
    line as a scalar, None where there is none, or where it is computed (``default_known`` tells these apart); what is
    in force in the end may be another value. ``negations`` are the spellings that turn a switch off.
    ``deprecated`` says what stands instead, or that it is deprecated. ``suffixes``: an integer may be written as
    ``32k`` (thousands), ``32K`` (1024), and vLLM's ``--max-model-len`` as ``auto`` too. ``repeats``: given twice, both
    count. ``frontend``: of vLLM's API server; programs that take over the engine's arguments do not have it.
    """

    name: str
    spellings: tuple[str, ...]
    kind: str
    takes: str
    choices: tuple[str, ...] | None = None
    default: str | int | float | bool | None = None
    default_known: bool = False
    negations: tuple[str, ...] = ()
    deprecated: str = ""
    suffixes: bool = False
    repeats: bool = False
    frontend: bool = False

    @property
    def negation(self) -> str | None:
        """The first spelling that turns the switch off."""
        return self.negations[0] if self.negations else None


class Match(NamedTuple):
    """What a word of a command line is: an argument, and where its parts stand in the word.

    ``spelling`` is the spelling in the table, ``word[:end]`` the spelling as written, without the keys and the value.
    ``value_start`` is where a value within the word begins (``--a=1``, ``-O3``), None where it has none. ``keys`` are
    the keys of a dotted argument (``--kv-transfer-config.kv_role``), ``appends`` that it ends in ``+``: an item of a
    list. ``off`` says that the spelling turns a switch off, ``abbreviated`` that it is an unambiguous prefix.
    """

    argument: Argument
    spelling: str
    end: int
    value_start: int | None = None
    keys: tuple[str, ...] = ()
    appends: bool = False
    off: bool = False
    abbreviated: bool = False


class ArgumentSet:
    """The arguments of ``program`` at ``version``; of all known releases together where ``version`` is None.

    ``exact`` says that the table knows this very release; else ``nearest`` is the known one that stands in (None for
    the union). ``underscores``: ``--a_b`` is ``--a-b``. ``abbreviations``: an unambiguous prefix is accepted.
    ``dotted``: an object can be given key by key. ``positional`` names what a word without dashes is (``model``).
    ``engine`` is the set of the engine whose arguments the program takes in addition. ``passes_on`` says that it hands
    on arguments that it does not know itself, so that none is unknown to it.
    """

    def __init__(
        self, table: Mapping[str, Any], version: str | None, index: int | None, exact: bool, frontend: bool
    ) -> None:
        self.program: str = table["program"]
        self.version = version
        self.exact = exact
        self.nearest: str | None = None if exact or index is None else table["releases"][index]
        parser = _parser(table, index)
        self.underscores: bool = parser.get("underscores", False)
        self.abbreviations: bool = parser.get("abbreviations", False)
        self.dotted: bool = parser.get("dotted", False)
        self.passes_on: bool = parser.get("passes_on", False)
        self.positional: str | None = parser.get("positional")
        every = _arguments(table, index)
        self.arguments = every if frontend else {name: one for name, one in every.items() if not one.frontend}
        self._spellings = {spelling: one for one in self.arguments.values() for spelling in _all_spellings(one)}
        self.engine = self._engine(table, index)

    def _engine(self, table: Mapping[str, Any], index: int | None) -> ArgumentSet | None:
        program = _parser(table, index).get("engine")
        if program is None:
            return None
        pinned = table.get("engine_releases", {})
        version = None if index is None else pinned.get(table["releases"][index])
        return _argument_set(program, version, False)

    def names(self) -> list[str]:
        """Return all spellings, those of the engine included."""
        own = list(self._spellings)
        return own if self.engine is None else list(dict.fromkeys([*own, *self.engine.names()]))

    def find(self, word: str) -> Argument | None:
        """Return the argument that a word of a command line names, or None."""
        found = self.match(word)
        return found.argument if found else None

    def match(self, word: str) -> Match | None:
        """Return what a word of a command line is, or None where it names no argument or no single one.

        The program's own parser decides: exact spellings go before abbreviations, its own before the engine's.
        """
        if len(word) < 2 or word[0] != "-" or word == "--" or _NEGATIVE_NUMBER.match(word):
            return None
        sets = [self] if self.engine is None else [self, self.engine]
        for find in (ArgumentSet._exact, ArgumentSet._abbreviated):
            for one in sets:
                found = find(one, word)
                if found:
                    return found
        return None

    def takes(self, word: str) -> bool:
        """Tell whether a word names an argument in full, of the program or of its engine."""
        return self._exact(word) is not None or (self.engine is not None and self.engine.takes(word))

    def _exact(self, word: str) -> Match | None:
        key, equals, _ = word.partition("=")
        value_start = len(key) + 1 if equals else None
        found = self._spellings.get(self._plain(key))
        if found:
            return self._matched(found, self._plain(key), len(key), value_start)
        base, dot, rest = key.partition(".")
        found = self._spellings.get(self._plain(base)) if dot and self.dotted else None
        if found and found.kind == "json":
            appends = rest.endswith("+")
            keys = tuple((rest[:-1] if appends else rest).split("."))
            return Match(found, self._plain(base), len(base), value_start, keys, appends)
        return self._attached(word)

    def _attached(self, word: str) -> Match | None:
        """Return the argument of one letter to which its value is attached: ``-O3``, ``-O=3``, ``-n2``."""
        letter = word[:2]
        found = self._spellings.get(letter)
        if letter == "-O":
            found = self._spellings.get("--optimization-level", found)
        if letter == "--" or found is None:
            return None
        value_start = None if len(word) == 2 else 3 if word[2] == "=" else 2
        return Match(found, letter if letter in found.spellings else f"--{found.name}", 2, value_start)

    def _abbreviated(self, word: str) -> Match | None:
        if not self.abbreviations:
            return None
        key, equals, _ = word.partition("=")
        base, dot, rest = key.partition(".") if self.dotted else (key, "", "")
        prefix = self._plain(base)
        fits = [spelling for spelling in self._spellings if spelling.startswith(prefix)]
        if len(fits) != 1 or prefix == "--":
            return None
        found = self._spellings[fits[0]]
        value_start = len(key) + 1 if equals else None
        if not dot:
            return self._matched(found, fits[0], len(key), value_start)._replace(abbreviated=True)
        keys = tuple(rest.removesuffix("+").split("."))
        appends = rest.endswith("+")
        return Match(found, fits[0], len(base), value_start, keys, appends, abbreviated=True)

    def _matched(self, found: Argument, spelling: str, end: int, value_start: int | None) -> Match:
        return Match(found, spelling, end, value_start, off=spelling in found.negations)

    def _plain(self, key: str) -> str:
        """Return a spelling as the table writes it: underscores before a dot are dashes where the parser says so."""
        if not self.underscores or not key.startswith("--"):
            return key
        base, dot, rest = key.partition(".")
        return base.replace("_", "-") + dot + rest


def _parser(table: Mapping[str, Any], index: int | None) -> dict[str, Any]:
    """Return what is known of the parser of a release; of the newest where ``index`` is None."""
    names = table["releases"] if index is None else table["releases"][: index + 1]
    found: dict[str, Any] = next(table["parsers"][name] for name in reversed(names) if name in table["parsers"])
    return found


def _all_spellings(one: Argument) -> tuple[str, ...]:
    return (*one.spellings, *one.negations)


def argument_set(program: str, version: str | None) -> ArgumentSet | None:
    """Return what ``program`` takes at ``version`` (of all releases together where it is None); None if unknown.

    A text that names no release, such as ``latest``, counts as None.
    """
    name = ALIASES.get(program, program)
    return _argument_set(name, version, True) if name in PROGRAMS else None


@cache
def _argument_set(program: str, version: str | None, frontend: bool) -> ArgumentSet | None:
    table = _table(program)
    if table is None:
        return None
    key = None if version is None else version_key(version)
    if key is None:
        return ArgumentSet(table, version, None, False, frontend)
    known = [version_key(release) for release in table["releases"]]
    before = [index for index, release in enumerate(known) if release is not None and release <= key]
    index = before[-1] if before else 0
    return ArgumentSet(table, version, index, known[index] == key, frontend)


def releases(program: str) -> tuple[str, ...]:
    """Return the releases of ``program`` that the table knows, oldest first."""
    table = _table(ALIASES.get(program, program))
    return tuple(table["releases"]) if table else ()


def ever(program: str, spelling: str) -> bool:
    """Tell whether any known release of ``program`` takes ``spelling``, written in full."""
    found = argument_set(program, None)
    return found is not None and found.takes(spelling)


def releases_of(program: str, spelling: str) -> tuple[str, ...]:
    """Return the known releases of ``program`` that take ``spelling`` (written in full), oldest first."""
    sets = ((release, argument_set(program, release)) for release in releases(program))
    return tuple(release for release, found in sets if found is not None and found.takes(spelling))


@cache
def _table(program: str) -> dict[str, Any] | None:
    path = FOLDER / f"{program}.json"
    if program not in PROGRAMS or not path.is_file():
        return None
    with path.open("rb") as file:
        content: dict[str, Any] = json.load(file)
    return content


def version_key(version: str) -> tuple[tuple[int, ...], int, int] | None:
    """Return what orders releases: the numbers without trailing zeros, then candidates before, post-releases after.

    A local part (``+cu129``) makes no other release. None for what is no version.
    """
    match = _NUMBER.match(version.partition("+")[0])
    if match is None or len(version) > LONGEST:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    if not match[2]:
        return tuple(numbers), 0, 0
    stage = _STAGE.match(match[2])
    if stage is None:
        return tuple(numbers), -2, 0
    return tuple(numbers), 1 if stage[1] == "post" else -1, int(stage[2])


def _arguments(table: Mapping[str, Any], index: int | None) -> dict[str, Argument]:
    """Return the arguments by name; of all releases together, newest first, where ``index`` is None."""
    order = {release: number for number, release in enumerate(table["releases"])}
    found: dict[str, Argument] = {}
    for row in table["arguments"]:
        if index is None or any(order[first] <= index <= order[last] for first, last in row["in"]):
            one = _argument(row)
            found[one.name] = _joint(found[one.name], one) if one.name in found else one
    return found


def _argument(row: Mapping[str, Any]) -> Argument:
    return Argument(
        row["name"],
        tuple(row["spellings"]) if "spellings" in row else (f"--{row['name']}",),
        row.get("kind", "text"),
        row.get("takes", "1"),
        tuple(row["choices"]) if "choices" in row else None,
        row.get("default"),
        "computed" not in row,
        tuple(row.get("negations", ())),
        row.get("deprecated", ""),
        row.get("suffixes", False),
        row.get("repeats", False),
        row.get("frontend", False),
    )


def _joint(newer: Argument, older: Argument) -> Argument:
    """Return an argument of two releases as one: all spellings and choices; a default where both have the same."""
    same = newer.default_known and older.default_known and newer.default == older.default
    choices = None
    if newer.choices is not None and older.choices is not None:
        choices = _union(newer.choices, older.choices)
    return newer._replace(
        spellings=_union(newer.spellings, older.spellings),
        negations=_union(newer.negations, older.negations),
        choices=choices,
        default=newer.default if same else None,
        default_known=same,
        deprecated=newer.deprecated if older.deprecated else "",
    )


def _union(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*first, *second]))


# What a transfer configuration of vLLM holds.

OPEN = frozenset(
    {
        "FlexKVConnectorV1",
        "HiSparseConnector",
        "LMCacheConnector",
        "LMCacheConnectorV1",
        "LMCacheMPConnector",
        "OffloadingConnector",
        "PyNcclConnector",
    }
)
"""Connectors that hand their extra configuration on to code that is not read here."""


@cache
def _transfer() -> dict[str, Any]:
    with (FOLDER / "transfer.json").open("rb") as file:
        content: dict[str, Any] = json.load(file)
    return content


def transfer_config_keys(version: str | None) -> dict[str, str]:
    """Return the keys of ``--kv-transfer-config`` at a release of vLLM with their kinds; of all where it is None."""
    keys = _transfer()["keys"]
    if version is None or version_key(version) is None:
        return {key: kind for known in keys.values() for key, kind in known.items()}
    found: dict[str, str] = _in_force(keys, version)
    return dict(found)


def connector_classes(version: str | None, program: str = "vllm") -> frozenset[str]:
    """Return the connectors that a release knows by name without a module path; those of all where it is None.

    ``vllm-ascend`` adds its own ones to those of vLLM of the same release.
    """
    found: set[str] = set()
    for name in dict.fromkeys(("vllm", program)):
        known = _transfer()["connectors"].get(name, {})
        if version is None or version_key(version) is None:
            found.update(one for names in known.values() for one in names)
        elif known:
            found.update(_in_force(known, version))
    return frozenset(found)


def extra_config_keys(connector: str) -> frozenset[str] | None:
    """Return the keys of ``kv_connector_extra_config`` that a connector of vLLM reads at any known release.

    None where they are not known, or the connector hands them on.
    """
    known = _transfer()["extra"].get(connector)
    return None if known is None or connector in OPEN else frozenset(known)


def _in_force(changing: Mapping[str, Any], version: str) -> Any:
    """Return what holds at a release, of what is stored at the releases at which it changes."""
    key = version_key(version)
    before = [one for one in changing if key is None or (version_key(one) or key) <= key]
    return changing[before[-1] if before else next(iter(changing))]
