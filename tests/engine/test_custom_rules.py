"""Rules of a user: loaded like built-in ones, refused with file, line and key, and unable to do anything."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from hetpd_cli.engine import custom_rules
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.custom_rules import CustomRuleError, load_custom_rules, read_rule
from hetpd_cli.rule_examples import report_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAULTY = "hetpd: 1\npools:\n  - {name: p, role: prefill, workers: 3}\n  - {name: d, role: decode, workers: 2}\n"
RULE: dict[str, Any] = {
    "code": "ACME101", "name": "odd-workers", "title": "An odd number of workers", "severity": "warning", "impact": "cost",
    "confidence": "certain", "over": "pool", "require": "divides(2, pool.workers)",
    "message": "{pool} has {pool.workers}", "labels": {"pool.workers": "{value}"}, "why": "It is odd.", "fix": "add one",
    "evidence": [{"kind": "arithmetic", "at": "counting", "says": "odd"}], "since": "1.0.0",
    "examples": {
        "bad": [{"title": "three", "deployment": FAULTY, "at": ["3:3"]}],
        "good": [{"title": "two", "deployment": FAULTY.replace("3", "2")}],
        "near-miss": [{"title": "nobody says", "deployment": FAULTY.replace(", workers: 3", "")}],
    },
}  # fmt: skip

WHOLE: dict[str, Any] = {
    "over": "deployment",
    "require": "sum_of(pools.workers) == 2",
    "message": "odd",
    "labels": None,
}


def text_of(**changes: Any) -> str:
    """Return the file of the rule above with some keys changed; None takes a key away."""
    rule = {**copy.deepcopy(RULE), **changes}
    return yaml.safe_dump({key: value for key, value in rule.items() if value is not None}, sort_keys=False)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[str], CustomRuleError]:
    """Return a function that loads one text as a rule and returns the error."""

    def load(text: str) -> CustomRuleError:
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(CustomRuleError) as caught:
            load_custom_rules(tmp_path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000 + len(str(tmp_path))
        return caught.value

    return load


# -- what is accepted ------------------------------------------------------------------------------------------


def test_rules_are_found_at_any_depth_under_any_name_in_order_of_their_codes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "z.yaml").write_text(text_of())
    (tmp_path / "a" / "b" / "any name.yml").write_text(text_of(code="AC0002", name="another"))
    (tmp_path / ".git" / "hidden.yaml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    assert [rule.code for rule in load_custom_rules(tmp_path)] == ["AC0002", "ACME101"]
    assert load_custom_rules(tmp_path / ".git" / "..")[1].reads == ["pool.workers"]


def test_a_custom_rule_fires_beside_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text_of())
    report = report_on(FAULTY, (*catalogue(), *load_custom_rules(tmp_path)))
    assert [(found.code, found.message, found.primary.line) for found in report.findings] == [
        ("ACME101", "p has 3 workers", 3)
    ]


def test_an_empty_folder_holds_no_rules(tmp_path: Path) -> None:
    assert load_custom_rules(tmp_path) == []
    with pytest.raises(CustomRuleError, match="no such folder"):
        load_custom_rules(tmp_path / "missing")


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"titel": "x y z"}, "titel", "did you mean title?"),
        ({"why": None}, "why", "is missing"),
        ({"severity": "eror"}, "severity", "did you mean error?"),
        ({"over": "boundry"}, "over", "did you mean boundary?"),
        ({"over": "input"}, "over", "readers"),
        ({"code": "acme101"}, "code", "two to eight capitals, then three or four digits"),
        ({"code": "ACME1"}, "code", "two to eight capitals, then three or four digits"),
        ({"name": "Odd Workers"}, "name", "joined by hyphens"),
        ({"practice": ["BP-1", "BP-12"]}, "practice.1", "BP-1 to BP-9"),
        ({"evidence": [{**RULE["evidence"][0], "of": "vllm"}]}, "evidence.0.of", "vllm *"),
        ({"code": "HPD901"}, "code", "prefix of your own"),
        ({"code": "HPD201"}, "code", "prefix of your own"),
        ({"name": "kv-dtype-mismatch"}, "name", "built-in"),
        ({"require": "pool.worker == 2"}, "require", "did you mean pool.workers?"),
        ({"require": "divides(2, pool.workers"}, "require", "no expression: '(' was never closed"),
        ({"require": "min(pool.hosts, 1) == 1"}, "require", "pool.hosts is a list where a number is expected"),
        ({"require": "pool.workers"}, "require", "true or false is expected"),
        ({"when": "pool.kv.dtype"}, "when", "true or false is expected"),
        ({"when": "dividez(2, pool.workers)"}, "when", "did you mean divides?"),
        ({"require": "prefill.workers == 2"}, "require", "prefill"),
        ({"require": "pool.workers < s(3)"}, "require", "s"),
        ({"message": "{pool.workrs} of them"}, "message", "did you mean pool.workers?"),
        ({"message": "{pol} has some"}, "message", "did you mean pool?"),
        ({"fix": "give {decode} one"}, "fix", "{decode} names nothing"),
        ({"message": "{sum_of(pool.workers)} of them"}, "message", "{sum_of(pool.workers)} is never filled"),
        ({"message": "{pool.workers!r} is it"}, "message", "{pool.workers!r} is never filled"),
        ({"message": "{{pool.workers}} is it"}, "message", "never filled"),
        ({"message": "odd } is it"}, "message", "} is never filled"),
        ({"fix": "write {workers: 2}"}, "fix", "{workers: 2} is never filled"),
        ({"labels": {"pool.workers": "{Value}"}}, "labels.pool.workers", "{Value} is never filled"),
        ({**WHOLE, "labels": {"pools.workers": "here"}}, "labels.pools.workers", "this one is of many"),
        ({**WHOLE, "message": "{pools.workers} of them"}, "message", "{pools.workers} is of many"),
        ({**WHOLE, "message": "{pools} have them"}, "message", "{pools} is of many"),
        ({"labels": {"pool.wokers": "here"}}, "labels", "did you mean pool.workers?"),
        ({"parameters": {"most": {"value": float("nan"), "unit": "1", "source": "none"}}}, "parameters.most", "finite"),
        ({"parameters": {"most": {"value": "many", "unit": "1", "source": "none"}}}, "parameters.most.value", "number"),
        ({"examples": {**RULE["examples"], "bad": [{"title": "x y", "deployment": "a"}]}}, "examples.bad.0.at", "is missing"),
        ({"title": 5}, "title", "string"),
        ({"since": "soon"}, "since", "three numbers"),
    ],
)  # fmt: skip
def test_a_fault_names_file_line_and_key(refused, changes, key, said) -> None:
    text = text_of(**changes)
    error = refused(text)
    assert error.key == key
    assert said in error.what
    top = key.partition(".")[0]
    written = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(f"{top}:")]
    if written and "." not in key:
        assert error.line == written[0]
        assert f"a.yaml:{written[0]}: {key}: " in str(error)
    assert (error.line is None) is (not written)


def test_two_rules_may_not_share_a_code_or_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text_of())
    for changes, key in (({"name": "other"}, "code"), ({"code": "ACME102"}, "name")):
        (tmp_path / "b.yaml").write_text(text_of(**changes))
        with pytest.raises(CustomRuleError) as caught:
            load_custom_rules(tmp_path)
        assert (caught.value.key, caught.value.path) == (key, str(tmp_path / "b.yaml"))
        assert str(tmp_path / "a.yaml") in caught.value.what


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: [\n", 3, ""),
        ("a: 1\nb: !!python/object/apply:os.system ['touch /tmp/x']\n", 2, "tags"),
        ("code: !!str ACME101\n", 1, "tags"),
        ("a: !x 1\n", 1, "tags"),
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("a: 1\nb: *x\n", 2, "anchors"),
        ("a: 1\n---\nb: 1\n", 2, "one document"),
        ("a: 1\nb: 2\na: 3\n", 3, "line 1"),
        ("x: {<<: {a: 1}}\ncode: 1\n", None, ""),
        ("- 1\n", None, "mapping"),
        ("", None, "mapping"),
        ("just text", None, "mapping"),
        ("? [a]\n: 1\n", None, ""),
        ("a: " + "[" * 60 + "]" * 60, 1, "nest"),
        ("a: " + "{a: " * 60 + "1" + "}" * 60, 1, "nest"),
        ("a: " + "[" * 100_000, 1, "nest"),
        ("a: [" + "1, " * 20_000 + "1]", 1, "more than"),
        ("a: " + "9" * 5000, None, ""),
        ("a: \x07", None, "no readable YAML"),
        ("# " + "x" * 300_000, None, "MiB"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_plain_yaml(refused, text, line, said) -> None:
    begun = time.perf_counter()
    error = refused(text)
    assert time.perf_counter() - begun < 5
    assert said in error.what
    if line is not None:
        assert error.line == line


def test_an_alias_bomb_is_never_expanded(refused) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    assert refused(bomb).line == 1


def test_only_regular_files_of_readable_text_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"code: \xff\n")
    with pytest.raises(CustomRuleError, match="UTF-8"):
        load_custom_rules(tmp_path)
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "a.yaml").symlink_to("/dev/zero")
    with pytest.raises(CustomRuleError, match="device"):
        load_custom_rules(tmp_path)


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_rules, "MOST_FILES", 2)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text("")
    with pytest.raises(CustomRuleError, match="more than 2 files"):
        load_custom_rules(tmp_path)


# -- nothing in a rule runs anything ---------------------------------------------------------------------------

HOSTILE = [
    "pool.__class__",
    "pool.workers.__class__ == 1",
    "().__class__.__bases__[0].__subclasses__()",
    "__import__('os').system('true')",
    "open('/etc/passwd')",
    "eval('1')",
    "(lambda: 1)()",
    "[x for x in pool.hosts]",
    "pool.hosts[0] == 'a'",
    "f'{pool.workers}' == ''",
    "(a := 1) == 1",
    "2 ** 99999999 == 1",
    "1 << 99999999 == 1",
    "divides(*pool.hosts)",
    "divides(part=1, whole=2)",
    "pool.workers if pool.workers else 1",
    "await pool.workers",
    "pool.workers == ...",
    "pool.workers == b'x'",
    "pool.workers == 1j",
    "'a' @ 'b'",
    "1 // 2 == 0",
    "pool.workers is none",
    "print(1)",
    "min.__call__(1, 2)",
]


@pytest.mark.parametrize("expression", HOSTILE)
@pytest.mark.parametrize("key", ["when", "require"])
def test_an_expression_is_of_the_language_only(refused, key, expression) -> None:
    assert refused(text_of(**{key: expression})).key == key


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 300 + "true" + ")" * 300,
        "not " * 900 + "true",
        "-" * 3000 + "1 == 1",
        "1" + "+1" * 1900 + " == 2",
        "true and " * 10_000 + "true",
        "pool.workers" + ".a" * 1900,
        "divides(" * 500 + "1" + ", 1)" * 500,
        "9" * 3900 + " == 1",
        "\x00",
    ],
)
def test_a_huge_expression_is_refused_or_evaluates(tmp_path: Path, expression) -> None:
    """Whatever the interpreter makes of it: an error about its key, or a rule that can be asked."""
    (tmp_path / "a.yaml").write_text(text_of(require=expression))
    begun = time.perf_counter()
    try:
        rules = load_custom_rules(tmp_path)
    except CustomRuleError as error:
        assert error.key in {"require", ""}
    else:
        assert report_on(FAULTY, rules).rules == 1
    assert time.perf_counter() - begun < 5


def test_text_times_a_number_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text_of(require="'x' * 99999999999 == 'x'"))
    try:
        rules = load_custom_rules(tmp_path)
    except CustomRuleError as error:
        assert error.key == "require"
    else:
        assert report_on(FAULTY, rules).tally.violated == 0


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("{pool.__class__} is it", None),
        ("{pool.workers.__class__} is it", None),
        ("{pool.workers!r} is it", None),
        ("{pool.workers:>99999999} is it", None),
        ("{0.__class__} is it", None),
        ("{pool[__class__]} is it", None),
        ("{{pool.workers}} is it", None),
        ("%(pool)s $pool is it", "%(pool)s $pool is it"),
    ],
)
def test_a_message_is_filled_by_name_and_never_formatted(tmp_path: Path, message, shown) -> None:
    (tmp_path / "a.yaml").write_text(text_of(message=message))
    if shown is None:
        with pytest.raises(CustomRuleError) as caught:
            load_custom_rules(tmp_path)
        assert caught.value.key == "message"
        return
    assert [found.message for found in report_on(FAULTY, load_custom_rules(tmp_path)).findings] == [shown]


def test_the_content_of_a_file_is_data(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text_of())
    file = read_rule(path)
    assert file.raw == RULE
    assert file.lines["code"] == 1
    assert file.lines["examples.bad.0.at"] > file.lines["examples.bad"] > file.lines["examples"]
