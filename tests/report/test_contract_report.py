"""What is printed of a contract: differences, places, widths, harmless text; JSON that keeps its schema."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator
from test_report_hostile import HOSTILE

from hetpd_cli import contracts as words
from hetpd_cli.engine.contract import report_on
from hetpd_cli.report import Options, contract, contract_json
from hetpd_cli.report.style import width
from hetpd_cli.resources import load_schema
from hetpd_cli.sources.inputs import read, read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import ROOT, examples

SCHEMA = load_schema("contract-output")
VALIDATOR = Draft202012Validator(SCHEMA)
FILES = sorted(ROOT.glob("examples/*.yaml"))
TEXTS = [example["deployment"] for kind in ("bad", "good", "near-miss") for _, example in examples(kind)]
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def of_text(text: str, path: str = "a.yaml"):
    return report_on([read_text(SourceText(path, text), Limits())])


def of_file(name: str):
    return report_on([read(str(ROOT / "examples" / name), Limits())])


def rows(text: str, name: str) -> list[list[str]]:
    """Return mark, and what stands in the columns, of the rows of an entry."""
    found = [line for line in text.splitlines() if re.match(rf"  [x? ] {re.escape(name)}  ", line)]
    return [[line[2], *re.split(r"\s{2,}", line[4:].strip())[1:]] for line in found]


def test_differences_are_marked_and_both_places_are_there() -> None:
    text = contract.render(of_file("vllm-1p1d-mismatch.yaml"), Options(width=80))
    assert rows(text, "element type") == [["x", "fp16 @14:17", "bf16 @20:17"]]
    assert rows(text, "connector") == [["x", "nixl @15:23", "mooncake @21:23"]]
    assert rows(text, "release") == [["?", "0.24.0 @12:35", "unknown"]]
    assert rows(text, "TP") == [[" ", "4 ranks @8:21", "same"]]
    assert "  verdict: reject" in text.splitlines()
    assert "MISSING: element type fp16 -> bf16" in text


def test_verbose_shows_every_entry_with_its_origin() -> None:
    report = of_file("vllm-nixl-1p1d.yaml")
    text = contract.render(report, Options(width=120, verbose=True))
    for part in words.PARTS:
        for entry in report.contracts[0].parts[part]:
            assert len(rows(text, entry.name)) == 1, entry.name
    assert rows(text, "lease") == [[" ", "30 s (default)", "30 s (default)"]]
    assert rows(text, "adapters") == [[" ", "unknown", "unknown"]]


def test_owners_are_told_once_in_a_file() -> None:
    report = of_file("two-prefill-two-decode.yaml")
    assert contract.render(report, Options()).count("pins source") == 1
    assert contract.render(report, Options()).count("as for prefill-a -> decode-a") == 3
    assert contract.render(report, Options(verbose=True)).count("pins source") == 4


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_lines_fit_the_terminal_and_colour_changes_nothing_else(path, columns) -> None:
    report = report_on([read(str(path), Limits())])
    for verbose in (False, True):
        plain = contract.render(report, Options(width=columns, verbose=verbose, show_paths_from=str(ROOT)))
        assert all(width(line) <= columns for line in plain.splitlines())
        coloured = contract.render(report, Options(True, columns, verbose=verbose, show_paths_from=str(ROOT)))
        assert ESCAPE.sub("", coloured) == plain
        assert coloured != plain


def test_a_pipe_never_wraps() -> None:
    text = contract.render(of_file("paper-production.yaml"), Options())
    assert len([line for line in text.splitlines() if line.startswith("  settled by:")]) == 1
    assert re.search(r"\(both\), and [0-9]+ more \(--verbose\)$", text, flags=re.M)


def test_who_pays_stands_with_every_step_that_is_there() -> None:
    pools = "pools: [{name: p, role: prefill, kv: {dtype: fp16}}, {name: d, role: decode, kv: {dtype: bf16}}]\n"
    for where, (gain, cost) in words.PAYMENTS.items():
        joined = f"handoffs: [{{from: p, to: d, conversion: {{of: [dtype], where: {where}, by: bridge}}}}]\n"
        report = of_text("hetpd: 1\nmodel: m\n" + pools + joined)
        text = contract.render(report, Options())
        assert f"by bridge; runs at {where}: {gain}, but {cost}" in text
        (step,) = json.loads(contract_json.render(report, Options()))["contracts"][0]["steps"]
        assert (step["where"], step["gain"], step["cost"], step["exists"]) == (where, gain, cost, "yes")


@pytest.mark.parametrize("odd", HOSTILE)
def test_text_of_a_file_is_harmless(odd) -> None:
    word = json.dumps(odd, ensure_ascii=True)
    text = (
        f"hetpd: 1\nname: {word}\npools:\n"
        f"  - {{name: {word}, role: prefill, model: {{id: {word}}}, kv: {{rotation: {word}}}}}\n"
        f"  - {{name: d, role: decode, model: {{id: {word}, adapters: [{word}]}}}}\n"
        f"handoffs: [{{from: {word}, to: d, conversion: {{of: [dtype], by: {word}}}, wire: {{codec: {word}}}}}]\n"
    )
    report = of_text(text, f"{odd}.yaml")
    for columns in (None, 80):
        for verbose in (False, True):
            shown = contract.render(report, Options(width=columns, verbose=verbose))
            assert all(line.isprintable() for line in shown.splitlines())
            assert not re.search(r"##(?=\w*\[)|^\s*::\w", shown, flags=re.M)
    shown = contract_json.render(report, Options())
    assert shown.isascii()
    assert "##" not in shown
    VALIDATOR.validate(json.loads(shown))


def test_json_of_every_example_keeps_the_contract() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for text in TEXTS:
        VALIDATOR.validate(json.loads(contract_json.render(of_text(text), Options())))
    for path in FILES:
        content = json.loads(contract_json.render(report_on([read(str(path), Limits())]), Options()))
        VALIDATOR.validate(content)
        assert content["schema"] == contract_json.SCHEMA


def test_the_schema_knows_the_words_of_the_data() -> None:
    defs = SCHEMA["$defs"]
    assert set(defs["verdict"]["properties"]["word"]["enum"]) == set(words.WORDS)
    assert defs["verdict"]["properties"]["portable"]["items"]["enum"] == list(words.PORTABLE)
    assert defs["invariant"]["properties"]["name"]["enum"] == list(words.INVARIANTS)
    assert defs["duty"]["properties"]["moment"]["enum"] == list(words.MOMENTS)
    assert defs["step"]["properties"]["of"]["enum"] == list(words.ASPECTS)
    assert defs["truth"]["enum"] == list(words.TRUTHS)
    assert set(defs["contract"]["properties"]["object"]["required"]) == set(words.PARTS)
