"""Finds and reads the configuration: ``hetpd.toml``, or ``[tool.hetpd]`` of ``pyproject.toml``.

Every fault is reported, each with its line and the nearest right key; with a fault nothing is checked at all. What a
rule or a fact is called is not looked at here: :mod:`hetpd_cli.configuration.rules` and ``assume`` do that.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from hetpd_cli.configuration.settings import Assumption, Configuration, Image, RuleSettings, Suppression
from hetpd_cli.findings import SEVERITIES
from hetpd_cli.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hetpd_cli.configuration.toml_places import KeyPlaces, Path
    from hetpd_cli.sources.text import SourceText

OWN_FILE = "hetpd.toml"
SHARED_FILE = "pyproject.toml"
LARGEST = 2**63
"""Numbers at and above it are refused, and so are their negatives."""

_MAX_KEY_PARTS = 64

MAX_BYTES = 2**18
"""Size of the largest configuration that is read."""

SUBJECTS = ("pool", "handoff", "workload", "router", "store")
KEYS = {
    "": (
        "select", "ignore", "fail-on", "baseline", "rule-folders", "table-folders",
        "rules", "assume", "images", "suppress",
    ),
    "assume": ("path", "pool", "handoff", "fact", "value", "reason"),
    "suppress": ("rule", "path", "pool", "handoff", "fact", "until", "reason"),
    "images": ("engine", "version"),
}  # fmt: skip
"""The keys of each kind of table; a test holds them to ``schemas/configuration.schema.json``."""


class ConfigurationError(ValueError):
    """A configuration that cannot be used; ``faults`` holds a line of text for each fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


# -- finding ---------------------------------------------------------------------------------------------------


def find(paths: Iterable[str]) -> str | None:
    """Return the configuration nearest above all of ``paths``; what is not a path counts as the current folder."""
    folders = [os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path)) for path in paths]  # noqa: PTH100, PTH112, PTH120 (paths stay text)
    try:
        folder = os.path.commonpath(folders or [os.getcwd()])  # noqa: PTH109
    except ValueError:
        return None
    while True:
        for name in (OWN_FILE, SHARED_FILE):
            candidate = os.path.join(folder, name)  # noqa: PTH118
            if os.path.isfile(candidate) and (name == OWN_FILE or _speaks_of_us(candidate)):  # noqa: PTH113
                return os.path.relpath(candidate) if _below_here(candidate) else candidate
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder:
            return None
        folder = above


def _below_here(path: str) -> bool:
    return path.startswith(os.path.join(os.getcwd(), ""))  # noqa: PTH109, PTH118


def _speaks_of_us(path: str) -> bool:
    """Tell whether a ``pyproject.toml`` has our table; one that is broken does if it seems to."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            text = file.read(MAX_BYTES + 1).decode("utf-8", "replace")
    except OSError:
        return False
    if "hetpd" not in text or len(text) > MAX_BYTES:
        return False
    try:
        tool = _parsed(text).get("tool")
    except (ValueError, RecursionError):
        return re.search(r"^\s*\[+\s*tool\s*\.\s*hetpd\b", text, re.M) is not None
    return isinstance(tool, dict) and "hetpd" in tool


def table_of(data: bytes) -> object:
    """Return our table in a ``pyproject.toml``, None without one; of one that is broken, all of it."""
    try:
        tool = _parsed(data.decode()).get("tool")
    except (ValueError, RecursionError):
        return data
    return tool.get("hetpd") if isinstance(tool, dict) else None


# -- reading ---------------------------------------------------------------------------------------------------


def load(path: str) -> Configuration:
    """Read the configuration ``path``. Raises ConfigurationError with every fault of it."""
    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.text import Limits, read_source

    source = read_source(path, Limits(max_bytes=MAX_BYTES))
    if isinstance(source, Problem):
        raise ConfigurationError([source.message])
    return parse(source)


def parse(source: SourceText) -> Configuration:
    """Return what the text of a configuration says. Raises ConfigurationError with every fault of it."""
    path = source.path
    try:
        data: Any = _parsed(source.text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([f"{path}: not TOML: {error}"]) from None
    from hetpd_cli.configuration.toml_places import KeyPlaces

    prefix = ("tool", "hetpd") if os.path.basename(path) == SHARED_FILE else ()  # noqa: PTH119
    for key in prefix:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    reader = _Reader(path, KeyPlaces(source), prefix)
    reader.check_numbers(data, ())
    if reader.faults:
        raise ConfigurationError([text for _, text in sorted(reader.faults)])
    configuration = reader.configuration(data)
    if reader.faults:
        raise ConfigurationError([text for _, text in sorted(reader.faults)])
    return configuration._replace(path=path, text=source.text)


def _parsed(text: str) -> dict[str, Any]:
    """Return the content of a TOML text. Raises ValueError or RecursionError where it is none or is hostile."""
    import tomllib

    for number, line in enumerate(text.splitlines(), start=1):
        if line.partition("=")[0].count(".") > _MAX_KEY_PARTS:  # the parser takes minutes for thousands of them
            raise ValueError(f"a key with more than {_MAX_KEY_PARTS} parts (at line {number})")
    return tomllib.loads(text)


class _Reader:
    """One configuration on its way from TOML to settings; collects faults instead of stopping at the first."""

    def __init__(self, path: str, places: KeyPlaces, prefix: Path) -> None:
        self.path = path
        self.places = places
        self.prefix = prefix
        self.faults: list[tuple[int, str]] = []

    def configuration(self, data: Any) -> Configuration:
        top = self.table(data, (), KEYS[""])
        return Configuration(
            select=self.texts(top, ("select",)),
            ignore=self.texts(top, ("ignore",)),
            fail_on=self.word(top, ("fail-on",), (*SEVERITIES, "never")),
            baseline=self.text(top, ("baseline",)),
            rule_folders=self.texts(top, ("rule-folders",)),
            table_folders=self.texts(top, ("table-folders",)),
            rules=self.rules(top.get("rules", {})),
            assume=tuple(self.assumption(*item) for item in self.items(top, "assume")),
            images=self.images(top.get("images", {})),
            suppress=tuple(self.suppression(*item) for item in self.items(top, "suppress")),
        )

    def rules(self, data: Any) -> dict[str, RuleSettings]:
        found = {}
        for name, raw in self.table(data, ("rules",), None).items():
            path: Path = ("rules", name)
            settings = self.table(raw, path, None)
            severity = self.word(settings, (*path, "severity"), SEVERITIES)
            numbers = {}
            for key, value in settings.items():
                if key == "severity":
                    continue
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST:
                    self.fault(
                        (*path, key), f"rules.{name}.{key} is {_shown(value)} where a positive number is expected"
                    )
                else:
                    numbers[key] = value
            found[name] = RuleSettings(self.place(path), severity, numbers)
        return found

    def assumption(self, data: dict[str, Any], path: Path) -> Assumption:
        subject, of, fact = self.subject(data, path)
        self.demand(data, path, ("fact", "value", "reason"))
        return Assumption(
            self.text(data, (*path, "path")) or "*",
            subject, of, fact,
            data.get("value"),
            self.text(data, (*path, "reason")) or "",
            self.place(path),
        )  # fmt: skip

    def suppression(self, data: dict[str, Any], path: Path) -> Suppression:
        self.demand(data, path, ("rule", "reason"))
        if "pool" in data and "handoff" in data:
            self.fault((*path, "pool"), f"{_dotted(path)} names a pool and a handoff: one of the two is enough")
        from datetime import date

        until = data.get("until")
        if until is not None and type(until) is not date:
            self.fault((*path, "until"), f"until is {_shown(until)} where a date is expected, such as 2026-12-31")
            until = None
        return Suppression(
            self.text(data, (*path, "rule")) or "",
            self.text(data, (*path, "path")) or "*",
            self.text(data, (*path, "pool")) or "*",
            self.text(data, (*path, "handoff")) or "*",
            self.text(data, (*path, "fact")) or "*",
            until,
            self.text(data, (*path, "reason")) or "",
            self.place(path),
        )

    def subject(self, data: dict[str, Any], path: Path) -> tuple[str, str, str]:
        """Return what kind of thing a fact belongs to, the glob of its name, and the fact's path within it."""
        fact = self.text(data, (*path, "fact")) or ""
        pool, handoff = self.text(data, (*path, "pool")), self.text(data, (*path, "handoff"))
        head, _, rest = fact.partition(".")
        if head in SUBJECTS and rest:
            subject, fact = head, rest
        else:
            subject = "handoff" if handoff is not None else "pool"
        if pool is not None and subject != "pool":
            self.fault((*path, "pool"), f"{fact} is no fact of a pool")
        if handoff is not None and subject != "handoff":
            self.fault((*path, "handoff"), f"{fact} is no fact of a handoff")
        return subject, (handoff if subject == "handoff" else pool) or "*", fact

    def images(self, data: Any) -> tuple[Image, ...]:
        found = []
        for pattern, value in self.table(data, ("images",), None).items():
            path: Path = ("images", pattern)
            settings = self.table({"engine": value} if isinstance(value, str) else value, path, KEYS["images"])
            self.demand(settings, path, ("engine",))
            version = self.text(settings, (*path, "version"))
            if version is not None and "{version}" in pattern:
                self.fault((*path, "version"), "the version stands in the pattern and is given too")
            if pattern.count("{version}") > 1:
                self.fault(path, "{version} stands twice in the pattern")
            found.append(Image(pattern, self.text(settings, (*path, "engine")) or "", version, self.place(path)))
        return tuple(found)

    def check_numbers(self, data: Any, path: Path) -> None:
        """Report every number that is not finite or beyond 64 bits."""
        if isinstance(data, dict):
            for key, value in data.items():
                self.check_numbers(value, (*path, key))
        elif isinstance(data, list):
            for index, value in enumerate(data):
                self.check_numbers(value, (*path, index))
        elif isinstance(data, int | float) and not -LARGEST < data < LARGEST:
            self.fault(path, f"{_dotted(path)} is not a finite number of up to 64 bits")

    # -- shapes ----------------------------------------------------------------------------------------------

    def place(self, path: Path) -> Any:
        return self.places.of((*self.prefix, *path))

    def fault(self, path: Path, message: str) -> None:
        place = self.place(path)
        fault = (place.line, f"{self.path}:{place.line}: {message}")
        if fault not in self.faults:
            self.faults.append(fault)

    def table(self, data: Any, path: Path, keys: tuple[str, ...] | None) -> dict[str, Any]:
        """Return ``data`` as a table, with unknown keys reported and left out; ``keys`` of None admits all."""
        if not isinstance(data, dict):
            self.fault(path, f"{_dotted(path)} is {_shown(data)} where a table is expected")
            return {}
        if keys is None:
            return data
        for key in data.keys() - set(keys):
            guess = nearest(key, keys)
            known = "" if guess else f"; known there: {', '.join(keys)}"
            where = _dotted(path) or "the configuration"
            self.fault((*path, key), f"{key} is no key of {where}{did_you_mean(guess)}{known}")
        return {key: value for key, value in data.items() if key in keys}

    def items(self, top: dict[str, Any], key: str) -> list[tuple[dict[str, Any], Path]]:
        data = top.get(key, [])
        if not isinstance(data, list):
            self.fault((key,), f"{key} is {_shown(data)} where tables are expected: write [[{key}]]")
            return []
        return [(self.table(item, (key, index), KEYS[key]), (key, index)) for index, item in enumerate(data)]

    def text(self, data: dict[str, Any], path: Path) -> str | None:
        value = data.get(str(path[-1]))
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.fault(path, f"{_dotted(path)} is {_shown(value)} where text is expected")
        return None

    def word(self, data: dict[str, Any], path: Path, known: tuple[str, ...]) -> str | None:
        value = self.text(data, path)
        if value is None or value in known:
            return value
        guess = did_you_mean(nearest(value, known))
        self.fault(path, f"{_dotted(path)} is {value!r}{guess or ', not ' + ', '.join(known)}")
        return None

    def texts(self, data: dict[str, Any], path: Path) -> tuple[str, ...]:
        value = data.get(str(path[-1]), [])
        value = [value] if isinstance(value, str) else value
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.fault(path, f"{_dotted(path)} is {_shown(value)} where a list of texts is expected")
        return ()

    def demand(self, data: dict[str, Any], path: Path, keys: tuple[str, ...]) -> None:
        for key in keys:
            if key not in data:
                self.fault(path, f"{_dotted(path)} has no {key}")


def _dotted(path: Path) -> str:
    """Return the name of a key for people: `suppress[2].until`, items counted from 1."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
