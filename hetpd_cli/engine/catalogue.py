"""The catalogue of rules: YAML for people, compiled to one JSON file for what runs."""

from __future__ import annotations

import json
import re
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetpd_cli.engine.expressions import compile_tree, reads, with_parameters
from hetpd_cli.findings import Evidence
from hetpd_cli.resources import compiled, rules_dir, schema_path
from hetpd_cli.wording import number_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


INPUT = "input"
COMPILER = (Path(__file__), Path(__file__).parent / "parse.py")
PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_.]+)?)\}")
"""A name in a message: a fact, or the prefix of a pool for its name."""


PACKED = "texts"
"""Key of a stored rule under which lies what only its findings need, as JSON within JSON: most rules find nothing."""

JUDGED_BY = ("code", "name", "severity", "over", "cell", "covers", "reads", "requires", "when", "require")
"""What a verdict needs of a rule."""


class Rule:
    """A rule as it runs: metadata plus two evaluable expressions."""

    def __init__(self, compiled_rule: dict[str, Any]) -> None:
        self._stored = compiled_rule
        self.code: str = compiled_rule["code"]
        self.name: str = compiled_rule["name"]
        self.severity: str = compiled_rule["severity"]
        self.over: str = compiled_rule["over"]
        self.cell: str | None = compiled_rule.get("cell")
        self.covers: dict[str, list[str]] | None = compiled_rule.get("covers")
        self.file: str | None = None
        """The file of a rule that is not built in."""
        self.reads: list[str] = compiled_rule.get("reads", [])
        """The facts that the rule reads, each once, in order: the edges of the constraint graph."""

    @cached_property
    def data(self) -> dict[str, Any]:
        """Everything that the rule's file says but its examples; texts are unpacked when they are first asked for."""
        packed = self._stored.get(PACKED)
        return self._stored if packed is None else {**self._stored, **json.loads(packed)}

    @property
    def requires(self) -> list[str]:
        """The facts that the requirement reads."""
        names: list[str] = self._stored["requires"]
        return names

    @cached_property
    def when(self) -> Callable[[Any], Any]:
        """The condition under which the rule applies."""
        return compile_tree(self._stored["when"])

    @cached_property
    def require(self) -> Callable[[Any], Any]:
        """What must be true where the rule applies."""
        return compile_tree(self._stored["require"])

    def configured(self, severity: str | None, parameters: Mapping[str, float], where: str) -> Rule:
        """Return this rule with another severity and other thresholds, in the units that it gives them.

        ``where`` is the place of the configuration that sets them: it is the source of what it sets.
        """
        data = {key: value for key, value in self.data.items() if key != PACKED}
        if severity is not None:
            data |= {"severity": severity, "severity_source": f"{where}; the rule has {self.severity}"}
        if parameters:
            data["parameters"] = {**data["parameters"]}
            for name, value in parameters.items():
                entry = data["parameters"][name]
                source = f"{where}; the rule has {number_text(entry['value'])}"
                data["parameters"][name] = {**entry, "value": value, "source": source}
            for key in ("when", "require"):
                data[key] = with_parameters(data[key], parameters)
        rule = Rule(data)
        rule.file = self.file
        return rule

    @cached_property
    def evidence(self) -> tuple[Evidence, ...]:
        """Why the rule is right."""
        return tuple(Evidence(row["kind"], row["at"], row["says"], row.get("of")) for row in self.data["evidence"])


def rule_files(folder: Path) -> list[Path]:
    """Return the rule files below ``folder``, in order of their codes."""
    return sorted(folder.glob("*/*.yaml"), key=lambda path: path.name)


def compile_rule(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the rule of one YAML file as it is stored, expressions parsed and checked.

    Raises ExpressionError where an expression or a name in a text is wrong.
    """
    from hetpd_cli.engine.parse import Context, parse_expression

    rule = {key: value for key, value in raw.items() if key != "examples"}
    rule["covers"] = coverage(raw["evidence"])
    if raw["over"] == INPUT:
        return rule
    parameters = {name: (entry["value"], entry["unit"]) for name, entry in raw.get("parameters", {}).items()}
    context = Context(raw["over"], parameters)
    rule["when"] = parse_expression(str(raw.get("when", "true")).replace("\n", " "), context)
    rule["require"] = parse_expression(str(raw["require"]).replace("\n", " "), context)
    rule["requires"] = list(dict.fromkeys(reads(rule["require"])))
    rule["reads"] = list(dict.fromkeys((*reads(rule["when"]), *reads(rule["require"]))))
    for text in (raw["message"], raw["fix"], *raw.get("labels", {}).values()):
        for name in PLACEHOLDER.findall(text):
            if "." in name:
                parse_expression(name, context)
    for name in raw.get("labels", {}):
        parse_expression(name, context)
    return rule


def coverage(evidence: Iterable[dict[str, Any]]) -> dict[str, list[str]] | None:
    """Return the version ranges per engine that the evidence covers; None if none of it speaks of an engine."""
    ranges: dict[str, list[str]] = {}
    for row in evidence:
        if "of" not in row:
            continue
        product, _, spec = str(row["of"]).partition(" ")
        specs = ranges.setdefault(product, [])
        if spec.strip() not in specs:
            specs.append(spec.strip())
    return ranges or None


def load_rule(path: Path) -> dict[str, Any]:
    """Return the content of a rule file."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open("rb") as file:
        raw: dict[str, Any] = yaml.load(file, Loader=loader)  # noqa: S506
    return raw


def compile_catalogue(folder: Path) -> list[dict[str, Any]]:
    """Return all rules below ``folder``, compiled."""
    return [compile_rule(load_rule(path)) for path in rule_files(folder)]


def packed(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a compiled rule with its texts packed."""
    judged = {key: rule[key] for key in JUDGED_BY if key in rule}
    rest = {key: value for key, value in rule.items() if key not in judged}
    return {**judged, PACKED: json.dumps(rest, separators=(",", ":"))}


def compile_builtin() -> list[dict[str, Any]]:
    """Return the built-in rules as they are stored, compiled anew where a source is newer."""
    found: list[dict[str, Any]] = compiled(
        "catalogue", catalogue_sources, lambda: [packed(rule) for rule in compile_catalogue(rules_dir())]
    )
    return found


def catalogue_sources() -> list[Path]:
    """Return the files that the compiled catalogue is made from."""
    return [*rule_files(rules_dir()), schema_path("deployment"), *COMPILER]


@cache
def catalogue() -> tuple[Rule, ...]:
    """Return the built-in rules."""
    return tuple(Rule(rule) for rule in compile_builtin())
