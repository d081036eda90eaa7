"""What reading one command needs and gathers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import Stated
from hetpd_cli.facts.values import Unknown
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.sources.commands.values import Settings
from hetpd_cli.sources.commands.words import (
    Arguments,
    Given,
    Named,
    Value,
    plainly_named,
    read_words,
    structure,
)
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.tree import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hetpd_cli.places import Place
    from hetpd_cli.sources.commands.program import Program
    from hetpd_cli.sources.commands.table import Fields
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Word
    from hetpd_cli.sources.text import Limits
    from hetpd_cli.sources.tree import Node
    from hetpd_cli.tables.arguments import ArgumentSet

_RUNTIME_IMAGE = re.compile(
    r"(?:vllm|sglang|tensorrtllm)-runtime(?:-[a-z0-9]+)*:v?"
    r"(?P<release>\d+\.\d+(?:\.\d+)*(?:\.post\d+)?)(?P<rest>$|[-_@].*)"
)
_UNRELEASED = re.compile(r"dev|rc|alpha|beta|nightly|preview")


class Context:
    """One command on its way to settings.

    ``incomplete`` says why arguments may be missing. ``wrapper_version`` is Dynamo's, read from the tag of its images.
    """

    def __init__(
        self,
        program: Program,
        fields: Fields,
        env: Mapping[str, Word],
        files: Mapping[str, Embedded],
        limits: Limits,
        version: str | None,
        image: str | None,
    ) -> None:
        self.program = program
        self.fields = fields
        self.env = env
        self.files = files
        self.limits = limits
        self.image = image or ""
        self.wrapper_version, released = _wrapper(program, self.image)
        self.settings = Settings("pool", program.place)
        self.problems: list[Problem] = []
        self.incomplete = ""
        self.role: Stated | None = None
        self.mode: Stated | None = None
        self.ranks: Stated | None = None
        self.known = _argument_set(program, released if program.wrapper else version)
        self.arguments = read_words(program.words, self._names(), program.takes_model)
        self.incomplete = self.arguments.incomplete

    def take_mode(self, value: Value, modes: Mapping[str, str], word: str | None = None) -> None:
        """State the stage that the engine is told to run by ``value``, or by ``word`` for it: that is its role too."""
        role = modes.get(value.source if word is None else word)
        if value.unresolved:
            self.role = self.mode = Stated(Unknown(value.unresolved), value.place)
        elif role is not None:
            self.role = self.mode = Stated(role, value.place, value.source)

    def _names(self) -> Callable[[str], Named]:
        def named(word: str) -> Named:
            match = self.known.match(word) if self.known is not None else None
            if match is None:
                found = plainly_named(word)
                return self._usual(found._replace(name=self.fields.short.get(found.name, found.name)))
            name = self.fields.short.get(match.argument.name, match.argument.name)
            return Named(name, match.end, match.value_start, match.argument.takes, match.off, match.keys, match.appends)

        return named

    def _usual(self, found: Named) -> Named:
        """Return an argument that no table knows with the number of words that it takes as far as the fields tell."""
        if found.takes or found.keys:
            return found
        if found.name in self.fields.switches:
            return found._replace(takes="0")
        if found.name in self.fields.many:
            return found._replace(takes="*")
        return found._replace(takes="1") if found.name in self.fields.values else found

    # -- arguments ---------------------------------------------------------------------------------------------

    def put_first(self, given: list[Given]) -> None:
        """Put arguments of a file before those of the command, which win."""
        self.arguments = Arguments((*given, *self.arguments.given), self.arguments.positionals, self.incomplete)

    def value(self, name: str) -> tuple[Given, Value] | None:
        """Return the argument ``name`` that is in force with its first value; None where it is not given."""
        given = self.arguments.last(name)
        return (given, given.values[0]) if given is not None and given.values else None

    def apply(self) -> None:
        """State what the arguments say that need no more than decoding."""
        for given in self.arguments.given:
            path = self.fields.values.get(given.name)
            if path is not None and given.values:
                self.settings.state(path, given.values[0], given.spelled, self.fields.left.get(given.name, ()))
            elif given.name in self.fields.switches:
                path, value = self.fields.switches[given.name]
                self.settings.known(path, value is not given.negated, given.place, given.spelled)

    def json(self, name: str) -> tuple[Given, Node] | None:
        """Return the object given to ``name``; an unknown one is a problem if it is broken."""
        found = self.value(name)
        if found is None:
            return None
        given, value = found
        node = structure(value, self.limits)
        return (given, node) if node is not None and node.kind == "mapping" else None

    # -- files -------------------------------------------------------------------------------------------------

    def file(self, value: Value) -> Node | None:
        """Return the mapping in the file that an argument names; what is not here may say anything."""
        if value.unresolved:
            self.incomplete = self.incomplete or value.unresolved
            return None
        text = self._file_text(value.source)
        if text is None:
            self.incomplete = self.incomplete or f"the file {value.source} is not here"
            return None
        tree = parse(text, self.limits)
        self.problems += tree.problems
        if not tree.documents or tree.documents[0].kind != "mapping":
            self.incomplete = self.incomplete or f"the file {value.source} holds no settings"
            return None
        return tree.documents[0]

    def settings_file(self, path: str) -> Node | None:
        """Return the mapping in a file that is not needed to know the arguments; None if it is not here."""
        text = self._file_text(path)
        documents = parse(text, self.limits).documents if text is not None else ()
        return documents[0] if documents and documents[0].kind == "mapping" else None

    def _file_text(self, path: str) -> Embedded | None:
        if path in self.files:
            return self.files[path]
        clean = path.removeprefix("./")
        ends = [known for known in self.files if known.endswith("/" + clean) or known == clean]
        if len(ends) == 1:
            return self.files[ends[0]]
        return None

    # -- problems ----------------------------------------------------------------------------------------------

    def problem(self, rule: str, message: str, place: Place, label: str, fix: str = "") -> None:
        """Report a fault of the command."""
        self.problems.append(Problem(rule, message, (LabelledPlace(place, label, primary=True),), fix))


def _wrapper(program: Program, image: str) -> tuple[str | None, str | None]:
    """Return Dynamo's version as the tag of its image tells it, and again if the image holds that release itself."""
    match = _RUNTIME_IMAGE.search(image) if program.wrapper else None
    if match is None:
        return None, None
    return match["release"], None if _UNRELEASED.search(match["rest"]) else match["release"]


def _argument_set(program: Program, version: str | None) -> ArgumentSet | None:
    """Return the arguments of a release; of Dynamo its packages are numbered ``.postN`` where its images are not."""
    from hetpd_cli.tables.arguments import argument_set, releases

    if version is not None and program.wrapper:
        known = releases(program.name)
        version = next((one for one in known if one == version or one.startswith(f"{version}.post")), version)
    return argument_set(program.name, version)


def given_by_file(node: Node, fields: Fields) -> list[Given]:
    """Return the entries of a file of arguments (``tensor-parallel-size: 4``) as arguments."""
    found = []
    for entry in node.entries:
        if entry.key.kind != "scalar":
            continue
        name = entry.key.source.replace("_", "-")
        name = fields.short.get(name, name)
        value = entry.value
        if value.value is False:
            continue
        values: tuple[Value, ...] = ()
        if value.kind == "sequence":
            values = tuple(Value(item.place, None, item) for item in value.items)
        elif value.value is not True:
            values = (Value(value.place, None, value),)
        found.append(Given(name, entry.key.source, entry.key.place, values, of_file=True))
    return found
