"""Rules of a user: YAML files below a folder, judged as strictly as the built-in ones and by people we do not know.

Nothing in such a file can run anything. The YAML is read as events first: tags and anchors are refused, nesting and the
number of nodes bounded before any value is made. Expressions are of the rules' own language; texts are filled by name,
never formatted.
"""

from __future__ import annotations

import os
import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetpd_cli.engine.catalogue import INPUT, PLACEHOLDER, Rule, catalogue, compile_rule
from hetpd_cli.engine.expressions import COLLECTIONS
from hetpd_cli.families import BUILT_IN
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.sources.plain_yaml import LONGEST_TEXT, PlainFile, PlainLimits, PlainYamlError, read_plain, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jsonschema import ValidationError

SUFFIXES = (".yaml", ".yml")
MOST_FILES = 2_000
LIMITS = PlainLimits(max_bytes=256 * 1024, max_nodes=10_000, max_depth=24)
LONGEST_EXPRESSION = 4_000
"""Characters of an expression; what does not fit belongs into a derived fact."""

_EXPRESSIONS = ("when", "require")
_WHOLE = "a rule over the deployment points by itself at every fact that decides it, and names no single one"


class CustomRuleError(ValueError):
    """A file that is no rule. The message names the file, the line where it is known, the key and what is wrong."""

    def __init__(self, path: str, line: int | None, key: str, what: str) -> None:
        place = path if line is None else f"{path}:{line}"
        super().__init__(": ".join(part for part in (place, key, what) if part))
        self.path = path
        self.line = line
        self.key = key
        self.what = what


class RuleFile(PlainFile):
    """A rule file as read: its content, and the line of each key by dotted path (``examples.bad.0.at``)."""

    def error(self, key: str, what: str) -> CustomRuleError:
        """Return the error about ``key`` of this file, at the line of the nearest key above it that is written."""
        return CustomRuleError(self.path, self.line(key), key, what)


def load_custom_rules(folder: Path) -> list[Rule]:
    """Return the rules of every YAML file below ``folder``, in order of their codes.

    Raises CustomRuleError for a file that is no rule, for a code or name that two rules have, and for one of a
    built-in rule.
    """
    taken = built_in_words()
    rules = []
    for path in custom_rule_files(folder):
        file = read_rule(path)
        rule = compiled_rule(file)
        refuse_clash(file, rule, taken)
        rules.append(rule)
    return sorted(rules, key=lambda rule: rule.code)


def built_in_words() -> dict[str, str]:
    """Return the codes and names of the built-in rules, each with whose it is."""
    return {word: "a built-in rule" for rule in catalogue() for word in (rule.code, rule.name)}


def refuse_clash(file: RuleFile, rule: Rule, taken: dict[str, str]) -> None:
    """Add the code and name of ``rule`` to ``taken``. Raises CustomRuleError for one that is in it, or HPD's own."""
    if rule.code.startswith(BUILT_IN):
        raise file.error("code", f"{rule.code} is a code of the built-in rules: take a prefix of your own")
    for key, word in (("code", rule.code), ("name", rule.name)):
        if word in taken:
            raise file.error(key, f"{word} is already taken by {taken[word]}")
        taken[word] = file.path


def custom_rule_files(folder: Path) -> list[Path]:
    """Return the YAML files below ``folder`` at any depth, by name; hidden folders and links to folders are left out.

    A file stands for itself. Raises CustomRuleError where ``folder`` is none or holds too many.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise CustomRuleError(str(folder), None, "", "no such folder of rules")
    found: list[Path] = []
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(inner, name) for name in sorted(names) if name.lower().endswith(SUFFIXES)]
        if len(found) > MOST_FILES:
            raise CustomRuleError(str(folder), None, "", f"more than {MOST_FILES} files")
    return sorted(found, key=lambda path: (path.name, str(path)))


def compiled_rule(file: RuleFile) -> Rule:
    """Return the rule of ``file``. Raises CustomRuleError where it does not match the schema or does not compile."""
    check_schema(file)
    raw = file.raw
    if raw["over"] == INPUT and not raw["code"].startswith(BUILT_IN):
        raise file.error("over", "the readers find faults of an input: a rule of your own is over something else")
    if raw["over"] != INPUT:
        _check_texts(file)
    for name, entry in raw.get("parameters", {}).items():
        if not isfinite(entry["value"]):
            raise file.error(f"parameters.{name}", "a threshold is a finite number")
    try:
        rule = Rule(compile_rule(raw))
        _check_conditions(raw)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        key = next((key for key in _EXPRESSIONS if not _compiles(file, key)), "")
        raise file.error(key or _faulty_text(file, error), short(str(error))) from None
    rule.file = file.path
    return rule


def _compiles(file: RuleFile, key: str) -> bool:
    """Tell whether an expression compiles, to say which one does not."""
    alone = {**file.raw, "message": "m", "fix": "f", "labels": {}, "when": True, "require": "true"}
    alone[key] = file.raw.get(key, "true")
    try:
        compile_rule(alone)
        _check_conditions(alone)
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return False
    return True


def _check_conditions(raw: dict[str, Any]) -> None:
    """Raise ExpressionError for an expression that is never true or false. A user's rule says what it means."""
    from hetpd_cli.engine.parse import Context, refuse_what_is_no_condition

    if raw["over"] != INPUT:
        parameters = {name: (entry["value"], entry["unit"]) for name, entry in raw.get("parameters", {}).items()}
        for key in _EXPRESSIONS:
            refuse_what_is_no_condition(str(raw.get(key, "true")).replace("\n", " "), Context(raw["over"], parameters))


def _faulty_text(file: RuleFile, error: Exception) -> str:
    """Return the key of the text that names what ``error`` is about."""
    word = str(error).partition(" ")[0].rstrip(":,")
    for name in file.raw.get("labels", {}):
        if word in name:
            return "labels"
    return next((key for key in ("message", "fix") if f"{{{word}}}" in str(file.raw[key])), "labels")


def _check_texts(file: RuleFile) -> None:
    """Refuse expressions that are too long, and names in texts that nothing would fill."""
    from hetpd_cli.engine.parse import PREFIXES

    for key in _EXPRESSIONS:
        if len(str(file.raw.get(key, ""))) > LONGEST_EXPRESSION:
            raise file.error(key, f"longer than {LONGEST_EXPRESSION} characters")
    prefixes = PREFIXES[file.raw["over"]]
    texts = {"message": file.raw["message"], "fix": file.raw["fix"]}
    texts |= {f"labels.{name}": text for name, text in file.raw.get("labels", {}).items()}
    for key, text in texts.items():
        names = [*prefixes, "value"] if key.startswith("labels.") else list(prefixes)
        for name in PLACEHOLDER.findall(text):
            if name.partition(".")[0] in COLLECTIONS:
                raise file.error(key, f"{{{name}}} is of many: {_WHOLE}")
            if "." not in name and name not in names:
                raise file.error(key, f"{{{name}}} names nothing{did_you_mean(nearest(name, names))}")
        left = PLACEHOLDER.sub("", text)
        brace = re.search(r"\{[^{}]*\}?|\}", left.replace("{{", "") if key == "fix" else left)
        if brace:
            raise file.error(key, f"{short(brace[0])} is never filled: braces hold the name of a fact, or of a pool")
        if key.startswith("labels.") and key.split(".")[1] in COLLECTIONS:
            raise file.error(key, f"labels are for one fact, this one is of many: {_WHOLE}")


# -- bytes to content ------------------------------------------------------------------------------------------


def read_rule(path: Path) -> RuleFile:
    """Return the content of one file. Raises CustomRuleError where it cannot be read safely."""
    shown = str(path)
    try:
        return RuleFile(*read_plain(shown, LIMITS, "a rule file"))
    except PlainYamlError as error:
        raise CustomRuleError(shown, error.line, error.key, error.what) from None


# -- the schema ------------------------------------------------------------------------------------------------


def check_schema(file: RuleFile) -> None:
    """Judge a file against ``schemas/rule.schema.json``. Raises CustomRuleError at the first fault."""
    from jsonschema import Draft202012Validator

    from hetpd_cli.resources import load_schema

    errors = sorted(
        Draft202012Validator(load_schema("rule")).iter_errors(file.raw),
        key=lambda error: (error.validator != "additionalProperties", len(error.absolute_path), str(error.json_path)),
    )
    if errors:
        key, what = _fault(errors[0])
        raise file.error(key, what)


def _fault(error: ValidationError) -> tuple[str, str]:
    """Return the key that a fault is about and what is wrong, with the nearest valid key or value."""
    path = [str(step) for step in error.absolute_path]
    key = ".".join(path)
    say = _FAULTS.get(str(error.validator))
    if say is not None:
        return say(error, path)
    if error.validator == "not":
        return key or "over", "a rule over the input has no expressions: the readers find such faults"
    return key, short(error.message)


def _unknown_key(error: ValidationError, path: list[str]) -> tuple[str, str]:
    schema: Any = error.schema
    instance: Any = error.instance
    known: Sequence[str] = list(schema.get("properties", ()))
    extra = next(str(key) for key in instance if key not in known)
    return ".".join([*path, short(extra)]), f"is no key of a rule{did_you_mean(nearest(extra, known))}"


def _missing_key(error: ValidationError, path: list[str]) -> tuple[str, str]:
    instance: Any = error.instance
    wanted: Any = error.validator_value
    missing = next(str(key) for key in wanted if key not in instance)
    return ".".join([*path, missing]), "is missing"


def _no_choice(error: ValidationError, path: list[str]) -> tuple[str, str]:
    values: Any = error.validator_value
    choices = [str(choice) for choice in values]
    guess = nearest(str(error.instance)[:LONGEST_TEXT], choices)
    return ".".join(path), f"{short(repr(error.instance))} is none of {', '.join(choices)}{did_you_mean(guess)}"


def _no_pattern(error: ValidationError, path: list[str]) -> tuple[str, str]:
    wanted = next((words for key, words in _PATTERNS.items() if key in path[-2:]), "of the right form")
    return ".".join(path), f"{short(repr(error.instance))} is not {wanted}"


_PATTERNS = {
    "code": "a code: two to eight capitals, then three or four digits, such as ACME101",
    "name": "a name: words in small letters and digits, joined by hyphens",
    "of": "a product and its releases, such as 'vllm >=0.24,<0.34' or 'vllm *'",
    "practice": "a practice, BP-1 to BP-9",
    "since": "a version of three numbers, such as 1.0.0",
}
"""Key to what the schema's pattern asks for, in words."""

_FAULTS: dict[str, Callable[[ValidationError, list[str]], tuple[str, str]]] = {
    "additionalProperties": _unknown_key,
    "required": _missing_key,
    "enum": _no_choice,
    "pattern": _no_pattern,
}
