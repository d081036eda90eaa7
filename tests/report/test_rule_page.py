"""The page of a rule: everything of its file is on it, as text and as Markdown, and nothing of it marks up anything."""

from __future__ import annotations

import re

import pytest

from hetpd_cli.report import Options
from hetpd_cli.report.rule_page import CONFIDENCES, IMPACTS, SEVERITIES, SUBJECTS, markdown, page, terminal
from hetpd_cli.report.style import width
from hetpd_cli.resources import load_schema
from tests.support import raw_rules

RULES = raw_rules()
IDS = [rule["name"] for rule in RULES]


def squeezed(text: str) -> str:
    return re.sub(r"[\s\\]+", "", text)


@pytest.mark.parametrize("raw", RULES, ids=IDS)
@pytest.mark.parametrize("form", ["text", "markdown"])
def test_all_of_a_rule_is_on_its_page(raw, form) -> None:
    text = markdown(page(raw)) if form == "markdown" else terminal(page(raw), Options())
    plain = squeezed(text)
    words = [raw[key] for key in ("code", "name", "title", "why", "fix", "since")]
    words += [str(raw.get(key, "")) for key in ("limits", "message", "when", "require", "cell")]
    words += [row[key] for row in raw["evidence"] for key in ("at", "says")]
    words += [row.get("of", "").replace(" *", " in any version") for row in raw["evidence"]]
    words += [entry["source"] for entry in raw.get("parameters", {}).values()]
    words += raw.get("practice", [])
    for word in words:
        assert squeezed(word.lower() if word in {"True", "False"} else word) in plain, word
    for examples in raw.get("examples", {}).values():
        for example in examples:
            assert squeezed(example["title"]) in plain
            for line in example["deployment"].splitlines():
                if line.isprintable():
                    assert line in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("raw", RULES, ids=IDS)
def test_prose_fits_the_terminal(raw) -> None:
    blocks = page(raw)
    sources = [line for block in blocks if block.kind in {"code", "source"} for line in block.text.split("\n")]
    for columns in (60, 100):
        for line in terminal(blocks, Options(width=columns)).splitlines():
            longest = max(map(width, line.split()), default=0)
            assert width(line) <= columns or line.strip() in map(str.strip, sources) or longest > columns // 2, line


def test_colour_is_added_and_nothing_else() -> None:
    blocks = page(RULES[-1])
    coloured = terminal(blocks, Options(colour=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == terminal(blocks, Options())


def test_every_word_of_the_schema_has_words_on_the_page() -> None:
    properties = load_schema("rule")["properties"]
    for key, words in (("severity", SEVERITIES), ("impact", IMPACTS), ("confidence", CONFIDENCES), ("over", SUBJECTS)):
        assert list(words) == properties[key]["enum"]


HOSTILE = "\x1b[31m<script>x</script> [a](javascript:b) ![i](u) *b* _c_ | `d` ##[error]e \u202ef"


def test_the_text_of_a_rule_marks_up_nothing() -> None:
    raw = {
        "code": "ACME101", "name": "a-name", "title": HOSTILE, "severity": "error", "impact": "hang",
        "confidence": "guess", "over": "pool", "require": f"'{HOSTILE}\n```\n# x' == pool.name", "message": HOSTILE,
        "why": HOSTILE + "\n\n# heading\n\n- item", "fix": HOSTILE, "limits": HOSTILE, "since": "1.0.0",
        "evidence": [{"kind": "paper", "at": HOSTILE, "says": HOSTILE}],
        "examples": {"bad": [{"title": HOSTILE, "deployment": "```\n</code>\n````\n\x1b]0;x\x07", "at": ["1:`|"]}]},
        "parameters": {"x": {"value": 1, "unit": "s", "source": HOSTILE}},
    }  # fmt: skip
    written = markdown(page(raw))
    assert all(line.isprintable() for line in written.split("\n"))
    outside = re.sub(r"^(`{3,}).*?^\1$", "", written, flags=re.M | re.S)
    assert not re.search(r"(?<!\\)<[a-z/!]|(?<!\\)[\[\]]|(?<!\\)\*", outside)
    assert "\n# heading" not in outside
    assert [line for line in outside.split("\n") if line.startswith("# ")] == ["# ACME101 a-name"]
    rows = [line for line in outside.split("\n") if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
    shown = terminal(page(raw), Options(width=80))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert "##[" not in shown


def test_long_expressions_are_broken_where_parts_are_joined() -> None:
    parts = [f'first.connector.name == "a and b {index}"' for index in range(4)]
    raw = next(rule for rule in RULES if rule["over"] == "pair")
    blocks = page({**raw, "require": f"({parts[0]} or {parts[1]}) and {parts[2]}\n and {parts[3]}"})
    code = [block.text for block in blocks if block.kind == "code"][-1]
    assert code.split("\n") == [f"({parts[0]}", f"  or {parts[1]})", f"and {parts[2]}", f"and {parts[3]}"]


def test_the_name_of_an_examples_file_is_said_and_its_language_known() -> None:
    example = {"title": "a b", "deployment": "x\n"}
    for file, shown, language in (("s.sh", ", s.sh", "sh"), ("r.md", ", r.md", "md"), ("d.yaml", ", d.yaml", "yaml")):
        raw = {**RULES[-1], "examples": {"good": [{**example, "file": file}]}}
        assert markdown(page(raw)).endswith(f"## Good example{shown}: a b\n\n```{language}\nx\n```\n")
    assert markdown(page({**RULES[-1], "examples": {"good": [example]}})).endswith(
        "## Good example: a b\n\n```yaml\nx\n```\n"
    )
