"""What comes of inputs that are no deployment files: two scripts that make one deployment."""

from __future__ import annotations

import json

import pytest

from hetpd_cli.checking import Plan, run
from hetpd_cli.configuration.read import parse
from hetpd_cli.configuration.rules import configured
from hetpd_cli.deployment import Stated
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.contract import report_on
from hetpd_cli.engine.fact_list import chosen, fact_groups
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.facts.values import Unknown
from hetpd_cli.findings import Finding, Report
from hetpd_cli.report import Options, facts_report, renderer
from hetpd_cli.sources.assembly import assemble
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.reader import Reading
from hetpd_cli.sources.text import Limits, SourceText
from tests.foreign import DECODE, PREFILL, readings

DTYPE = "kv-dtype-mismatch"
COMMENT = f"# hetpd: ignore[{DTYPE}] until March\n"


def checked(given: list[Reading], toml: str = "", directories: tuple[str, ...] = (".",)) -> Report:
    configuration = parse(SourceText("hetpd.toml", toml))._replace(path="hetpd.toml")
    rules = configured(catalogue(), configuration)
    return run(given, Plan(rules, rules, configuration, directories=directories)).report


def dtype(report: Report) -> Finding:
    (found,) = [one for one in report.findings if one.name == DTYPE]
    return found


def commented(source: SourceText) -> SourceText:
    return SourceText(source.path, source.text.replace("vllm serve", f"{COMMENT}vllm serve", 1))


def fact(given: list[Reading], toml: str, name: str) -> tuple[object, str, str | None]:
    checked(given, toml)
    found = Scopes(given[0].deployments[0]).of("boundary")[0].fact(name)
    return found.value, found.origin, found.note


# -- reports ----------------------------------------------------------------------------------------------------


def test_a_finding_shows_both_files() -> None:
    report = checked(readings())
    places = {spot.place.path: spot.place for spot in dtype(report).places}
    tokens = [source.text[places[source.path].start : places[source.path].end] for source in (PREFILL, DECODE)]
    assert tokens == ["bfloat16", "fp8_e4m3"]
    text = renderer("full").render(report, Options(quiet=True))
    block = next(one for one in text.split("\n\n") if DTYPE in one).splitlines()
    assert block[1:8] == [
        " --> run/prefill.sh:4:20",
        "  |",
        "4 |   --kv-cache-dtype bfloat16 \\",
        *block[4:5],
        " ::: run/decode.sh:3:20",
        "  |",
        "3 |   --kv-cache-dtype fp8_e4m3 \\",
    ]
    assert block[4].startswith("  |                    ^^^^^^^^ ")
    assert block[8].startswith("  |                    -------- ")


def test_concise_and_json_name_both_files() -> None:
    report = checked(readings())
    (line,) = [one for one in renderer("concise").render(report, Options()).splitlines() if DTYPE in one]
    assert line.startswith("run/prefill.sh:4:20: error ")
    assert line.endswith("[also run/decode.sh:3:20]")
    content = json.loads(renderer("json").render(report, Options()))
    (found,) = [one for one in content["findings"] if one["name"] == DTYPE]
    assert [(one["path"], one["line"]) for one in found["places"]] == [("run/prefill.sh", 4), ("run/decode.sh", 3)]


def test_both_inputs_are_in_the_report_with_what_they_are_joined_with() -> None:
    report = checked(readings())
    assert [(one.path, one.status, one.detail, one.joined) for one in report.inputs] == [
        ("run/prefill.sh", "checked", "", ("run/decode.sh",)),
        ("run/decode.sh", "checked", "", ("run/prefill.sh",)),
    ]
    prefill, decode = report.inputs[0].pools
    assert (prefill.place.path, decode.place.path) == ("run/prefill.sh", "run/decode.sh")
    header = renderer("full").render(report, Options()).split("\n\n")[0].splitlines()
    assert header[0] == "run/prefill.sh (script): prefill TP4 · decode TP4"
    assert header[2:] == ["run/decode.sh (script):", "    joined with run/prefill.sh"]


def test_facts_are_shown_with_the_file_that_states_them() -> None:
    groups = fact_groups(readings()[0].deployments[0])
    rows = facts_report.text([("", chosen(groups, ["kv.dtype"]))], Options(), unknown=False).splitlines()
    assert [row.split() for row in rows if "kv.dtype" in row] == [
        ["kv.dtype", "bf16", "stated", "run/prefill.sh:4:20"],
        ["kv.dtype", "fp8_e4m3", "stated", "run/decode.sh:3:20"],
    ]


def test_a_contract_is_of_the_deployment_and_the_other_half_says_with_what_it_is_joined() -> None:
    report = report_on(readings())
    assert [(one.prefill, one.decode) for one in report.contracts] == [("prefill", "decode")]
    assert [one.detail for one in report.inputs] == ["", "joined with run/prefill.sh"]


# -- suppressions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefill", "decode"), [(commented(PREFILL), DECODE), (PREFILL, commented(DECODE))], ids=["prefill", "decode"]
)
def test_a_comment_in_either_file_suppresses(prefill: SourceText, decode: SourceText) -> None:
    report = checked(readings(prefill, decode))
    assert dtype(report).suppressed == "until March"
    assert "unused-suppression" not in [one.name for one in report.findings]


@pytest.mark.parametrize("path", ["run/prefill.sh", "run/decode.sh", "run"])
def test_a_table_for_either_file_suppresses(path: str) -> None:
    toml = f'[[suppress]]\nrule = "{DTYPE}"\npath = "{path}"\nreason = "until March"\n'
    report = checked(readings(), toml)
    assert dtype(report).suppressed == "until March"
    assert "unused-suppression" not in [one.name for one in report.findings]


def test_a_table_for_another_file_does_not() -> None:
    toml = f'[[suppress]]\nrule = "{DTYPE}"\npath = "run/other.sh"\nreason = "until March"\n'
    assert dtype(checked(readings(), toml)).suppressed is None


def test_a_comment_without_effect_is_reported_once_though_both_readings_have_its_text() -> None:
    prefill = SourceText(PREFILL.path, f"echo  {COMMENT}{PREFILL.text}")
    report = checked(readings(prefill))
    assert dtype(report).suppressed is None
    assert [(one.name, one.primary.path) for one in report.findings if one.code > "HPD9"] == [
        ("unused-suppression", "run/prefill.sh")
    ]


def test_a_comment_for_a_rule_that_is_open_is_not_unused_in_either_file() -> None:
    given = readings(PREFILL, commented(DECODE))
    given[0].deployments[0].pools[0].settings.stated["kv.dtype"] = Stated(Unknown("$KV is not set"), None)
    report = checked(given)
    assert DTYPE in [one.name for one in report.undecided]
    assert "unused-suppression" not in [one.name for one in report.findings]


def test_a_comment_in_a_manifest_and_in_a_script_within_it() -> None:
    quoted = "spec:\n  args:\n    - |\n      " + commented(PREFILL).text.replace("\n", "\n      ")
    report = checked(readings(SourceText("run/prefill.yaml", quoted)))
    assert dtype(report).suppressed == "until March"


# -- assumptions and images -------------------------------------------------------------------------------------


def table(path: str = "*", pool: str = "*") -> str:
    return f'[[assume]]\npath = "{path}"\npool = "{pool}"\nfact = "accelerator"\nvalue = "h200"\nreason = "ours"\n'


@pytest.mark.parametrize(
    ("toml", "assumed"),
    [
        (table(), {"prefill", "decode"}),
        (table(pool="dec*"), {"decode"}),
        (table("run/decode.sh"), {"decode"}),
        (table("run"), {"prefill", "decode"}),
        (table("run/prefill.sh"), {"prefill", "decode"}),
        (table("run/prefill.sh", "prefill"), {"prefill"}),
    ],
)
def test_an_assumption_is_of_pools_by_name_and_of_files_by_path(toml: str, assumed: set[str]) -> None:
    for side in ("prefill", "decode"):
        value, origin, note = fact(readings(), toml, f"{side}.accelerator")
        if side in assumed:
            assert (value, origin, note) == ("h200", "assumed", "ours (hetpd.toml:1)")
        else:
            assert origin == "unknown"


def test_an_assumption_goes_before_the_default_of_a_complete_command_line() -> None:
    toml = '[[assume]]\nfact = "connector.lease_s"\nvalue = 90\nreason = "ours"\n'
    assert fact(readings(), toml, "prefill.connector.lease_s")[:2] == (90, "assumed")


def test_an_assumption_about_a_file_of_which_nothing_is_open_is_unused() -> None:
    toml = '[[assume]]\npath = "run/decode.sh"\nfact = "kv.block_size"\nvalue = 32\nreason = "ours"\n'
    (found,) = [one for one in checked(readings(), toml).findings if one.name == "unused-assumption"]
    assert {spot.place.path for spot in found.places} == {"hetpd.toml", "run/decode.sh"}


def test_an_image_gives_engine_and_version() -> None:
    image = {
        "engine.image": ("registry/serving:v0.24.0-cu12", "vllm serve"),
        "engine.version": (Unknown("the tag is no version"), "vllm serve"),
    }
    given = readings(more=image)
    for pool in given[0].deployments[0].pools:
        del pool.settings.stated["engine.name"]
    toml = '[images]\n"registry/serving:{version}-*" = {engine = "vllm"}\n'
    assert fact(given, toml, "decode.engine.name")[:2] == ("vllm", "assumed")
    assert fact(given, toml, "decode.engine.version")[:2] == ("0.24.0", "assumed")


NIXL = """--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_%s"}'"""


@pytest.mark.parametrize(
    ("engines", "boundaries"),
    [
        (("vllm m", "vllm m", "sglang m", "sglang m"), [("prefill", "decode"), ("prefill-2", "decode-2")]),
        (("vllm m", "vllm m", "vllm n", "vllm n"), [("prefill", "decode"), ("prefill-2", "decode-2")]),
        (("vllm m", "vllm m", "vllm n", "vllm m"), 4),
        (("vllm m", "sglang m"), [("prefill", "decode")]),
    ],
)
def test_engines_and_models_with_both_roles_each_are_deployments_of_their_own(engines, boundaries) -> None:
    lines = []
    for number, word in enumerate(engines):
        engine, model = word.split()
        prefill = number % 2 == 0
        if engine == "vllm":
            lines.append(f"vllm serve {model} " + NIXL % ("producer" if prefill else "consumer"))
        else:
            mode = "prefill" if prefill else "decode"
            lines.append(f"python3 -m sglang.launch_server --model-path {model} --disaggregation-mode {mode}")
    source = SourceText("run.sh", "#!/bin/bash\n" + " &\n".join(lines) + "\n")
    (reading,) = assemble([read_text(source, Limits())], Limits())
    found = [(one.prefill, one.decode) for deployment in reading.deployments for one in deployment.handoffs]
    assert found == boundaries or len(found) == boundaries
