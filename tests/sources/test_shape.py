"""Every field of the schema decodes, and every fault of shape is one finding at its token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from hetpd_cli.facts.values import NONE, Unknown
from hetpd_cli.fields import SECTIONS, field, object_of, resolve, schema
from hetpd_cli.rule_examples import spots
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import check_text, deployment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.deployment import Deployment, Section, Stated
    from hetpd_cli.sources.problems import Problem

UNITS = {
    "s": ("500ms", 0.5, "10GiB"),
    "GiB": ("512MiB", 0.5, "10s"),
    "GB/s": ("400Gbps", 50, "400Gb"),
    "Gbit/s": ("50GB/s", 400, "50GB"),
    "token": ("64K", 65536, "64s"),
    "1": ("90%", 0.9, "90s"),
}
"""Unit of a quantity to a text in another unit with its value, and to a text of another dimension."""


class Leaf(NamedTuple):
    """A leaf of the schema: the section that holds it, its path there, and its schema."""

    section: str
    path: str
    part: dict[str, Any]


def leaves(section: str, part: dict[str, Any], prefix: str = "") -> Iterator[Leaf]:
    """Yield every leaf below ``part``; a free mapping is a leaf of its own under the key ``any``."""
    for key, raw in part.get("properties", {}).items():
        child = resolve(raw)
        inner = object_of(child)
        if inner is not None:
            yield from leaves(section, inner, f"{prefix}{key}.")
        elif child.get("type") != "array":
            yield Leaf(section, prefix + key, child)
    if isinstance(part.get("additionalProperties"), dict):
        yield Leaf(section, f"{prefix}any", resolve(part["additionalProperties"]))


def all_leaves() -> list[Leaf]:
    top = {key: part for key, part in schema()["properties"].items() if "$ref" not in part}
    found = list(leaves("top", {"properties": top}))
    for kind, name in {**SECTIONS, "model": "model_object", "defaults": "pool_defaults"}.items():
        found += leaves(kind, resolve({"$ref": f"#/$defs/{name}"}))
    return found


LEAVES = all_leaves()
IDS = [f"{leaf.section}:{leaf.path}" for leaf in LEAVES]


def flow(path: str, value: str) -> str:
    """Return ``path`` set to ``value`` as a flow mapping without its braces."""
    key, _, rest = path.partition(".")
    if not rest:
        return f"{key}: {value}"
    sibling = "of: dtype, " if key == "conversion" and rest != "of" else ""
    return f"{key}: {{{sibling}{flow(rest, value)}}}"


def document(leaf: Leaf, value: str) -> str:
    """Return a deployment that is whole but for ``value`` at ``leaf``."""
    own = {"section": leaf.section, "key": leaf.path.partition(".")[0], "text": flow(leaf.path, value)}

    def body(section: str, **required: str) -> str:
        lines = [f"{key}: {word}" for key, word in required.items() if (section, key) != (own["section"], own["key"])]
        return ", ".join(lines + ([own["text"]] if section == own["section"] else []))

    top = body("top", hetpd="1")
    pools = f"[{{{body('pool', name='p', role='prefill')}}}, {{name: d, role: decode}}]"
    rest = {
        "pools": pools,
        **({"handoffs": f"[{{{body('handoff', **{'from': 'p', 'to': 'd'})}}}]"} if leaf.section == "handoff" else {}),
        **({"hosts": f"[{{{body('host', name='h')}}}]"} if leaf.section == "host" else {}),
        **{
            kind: f"{{{own['text']}}}"
            for kind in ("router", "store", "workload", "model", "defaults")
            if kind == leaf.section
        },
    }
    return "\n".join([*top.split(", "), *(f"{key}: {value}" for key, value in rest.items())]) + "\n"


def problems_of(text: str) -> tuple[Problem, ...]:
    return read_text(SourceText("deploy.yaml", text), Limits()).problems


def section_of(deployment: Deployment, leaf: Leaf) -> Section:
    if leaf.section in {"pool", "defaults"}:
        return deployment.pools[0].settings
    if leaf.section == "model":
        return deployment.pools[0].settings.part("model")
    if leaf.section == "handoff":
        return deployment.handoffs[0].settings
    found: Section = deployment.hosts[0].settings if leaf.section == "host" else getattr(deployment, leaf.section)
    return found


def valid(part: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return texts for a leaf, each with the value that it must decode to."""
    if part.get("x-list"):
        aspects = "dtype" if part.get("x-none") else "0.20"
        cases: list[tuple[str, Any]] = [(f"[{aspects}]", (aspects,)), (aspects, (aspects,)), ("[]", ())]
        return [*cases, ("none", NONE)] if part.get("x-none") else cases
    if part.get("enum") == [1]:
        return [("1", 1)]
    if "enum" in part:
        return [(word, _meaning(part, word)) for word in part["enum"]]
    if "x-unit" in part and "anyOf" in part:
        text, value, _ = UNITS[part["x-unit"]]
        return [(text, value), ("0.5", 0.5), ("1", 1), ("0", 0)]
    kinds = {"integer": [("7", 7), ("7.0", 7)], "number": [("0.5", 0.5), ("7", 7)], "boolean": [("true", True)]}
    found = kinds.get(str(part.get("type")))
    if found is not None:
        return found
    if part.get("x-version"):
        return [("0.20", "0.20"), ("7", "7"), ("1.0rc1", "1.0rc1"), ("latest", Unknown)]
    texts = [("word", "word"), ('"7"', "7")]
    texts += [("0.20", "0.20"), ("1.50", "1.50")] if part.get("x-text") else []
    texts += [("true", "true")] if "boolean" in part["type"] else []
    return [*texts, *([("none", NONE)] if part.get("x-none") else [])]


def _meaning(part: dict[str, Any], word: str) -> Any:
    if word == part.get("x-none"):
        return NONE
    if word == "auto" and part.get("x-auto"):
        return Unknown
    return part.get("x-aliases", {}).get(word, word)


def wrong(part: dict[str, Any]) -> list[tuple[str, str]]:
    """Return texts that a leaf does not take, each with the rule that says so."""
    cases = [("{a: 1}", "wrong-type"), ("null", "wrong-type"), ("~", "wrong-type")]
    if part.get("x-list"):
        return [*cases, ("[{a: 1}]", "wrong-type"), ("[null]", "wrong-type"), ("true", "wrong-type")]
    cases.append(("[1]", "wrong-type"))
    if part.get("enum") == [1]:
        return [*cases, ("2", "invalid-value"), ("one", "wrong-type"), ("true", "wrong-type")]
    if "enum" in part:
        return [*cases, ("no-such-word", "invalid-value"), ("7", "wrong-type"), ("true", "wrong-type")]
    if "x-unit" in part and "anyOf" in part:
        other = UNITS[part["x-unit"]][2]
        return [
            *cases, ("-1", "invalid-value"), (other, "wrong-unit"), ("many", "wrong-unit"), ('"7"', "wrong-unit"),
            ("true", "wrong-type"), (".inf", "invalid-value"), (".nan", "invalid-value"),
        ]  # fmt: skip
    if part.get("type") == "boolean":
        return [*cases, ("1", "wrong-type"), ('"true"', "wrong-type")]
    if str(part["type"]) in {"integer", "number"}:
        cases += [("word", "wrong-type"), ('"7"', "wrong-type"), ("true", "wrong-type")]
        cases += [("7.5", "wrong-type")] if part["type"] == "integer" else [(".inf", "invalid-value")]
        if "minimum" in part or "exclusiveMinimum" in part:
            cases.append(("-1", "invalid-value"))
        return [*cases, ("70000", "invalid-value")] if "maximum" in part else cases
    if part["type"] == "string":
        return [*cases, ("7", "wrong-type"), ("true", "wrong-type")]
    cases.append((".inf", "wrong-type"))
    return cases if "boolean" in part["type"] else [*cases, ("true", "wrong-type")]


def test_the_leaves_are_the_fields_of_the_schema() -> None:
    assert len(LEAVES) > 250
    assert all(field(leaf.section, leaf.path) for leaf in LEAVES if leaf.section in SECTIONS and _is_fact(leaf))


def _is_fact(leaf: Leaf) -> bool:
    return leaf.part.get("x-fact") is not False


@pytest.mark.parametrize("leaf", LEAVES, ids=IDS)
def test_a_field_decodes(leaf: Leaf) -> None:
    for text, meant in valid(leaf.part):
        source = document(leaf, text)
        found = [problem for problem in problems_of(source) if not _of_the_outside(problem, leaf)]
        assert not found, (source, found)
        if leaf.section == "top" or not _is_fact(leaf):
            continue
        stated = section_of(deployment_of(source), leaf).stated[leaf.path]
        if meant is Unknown:
            assert isinstance(stated.value, Unknown)
            assert (stated.value.candidates is None) is (text != "auto" or "enum" not in leaf.part)
        else:
            assert (stated.value, type(stated.value)) == (meant, type(meant)), source
            assert stated.written in {None, text}
            if isinstance(meant, str) and meant != text.strip('"'):
                assert stated.written == text
        assert stated.place is not None
        assert source[stated.place.start : stated.place.end] == text


def _of_the_outside(problem: Problem, leaf: Leaf) -> bool:
    """Tell whether a problem comes from what the field names: a file, a pool, the role that it gives a pool."""
    named = {"unknown-reference": {"from", "to"}, "unreadable-file": {"config"}}
    return leaf.path.rpartition(".")[2] in named.get(problem.rule, ())


@pytest.mark.parametrize("leaf", LEAVES, ids=IDS)
def test_a_wrong_value_is_one_finding_at_the_token(leaf: Leaf) -> None:
    for text, rule in wrong(leaf.part):
        source = document(leaf, text)
        found = [problem for problem in problems_of(source) if not _of_the_outside(problem, leaf)]
        assert [problem.rule for problem in found] == [rule], (source, found)
        (spot,) = found[0].places
        shown = source[spot.place.start : spot.place.end]
        key = leaf.path.rpartition(".")[2]
        expected = {"{a: 1}": "a", "[1]": "[", "[{a: 1}]": "a", "[null]": "null"}.get(text, text)
        assert shown == expected, (key, source)
        if leaf.section not in {"top"} and _is_fact(leaf):
            assert isinstance(section_of(deployment_of(source), leaf).stated[leaf.path].value, Unknown)


OBJECTS = sorted({leaf.path.rpartition(".")[0] for leaf in LEAVES if leaf.section == "pool"} - {""})


@pytest.mark.parametrize("path", OBJECTS)
def test_an_object_takes_no_list_and_no_null(path: str) -> None:
    for text in ("[a]", "null"):
        source = f"hetpd: 1\npools: [{{name: p, role: prefill, {flow(path, text)}}}]\n"
        assert [problem.rule for problem in problems_of(source)] == ["wrong-type"], source


# -- shorthands, aliases, words for nothing --------------------------------------------------------------------


def pool(text: str) -> dict[str, Stated]:
    return deployment_of(f"hetpd: 1\npools: [{{name: p, role: prefill, {text}}}]\n").pools[0].settings.stated


def handoff(text: str) -> dict[str, Stated]:
    source = f"hetpd: 1\npools: [{{name: p, role: prefill}}, {{name: d, role: decode}}]\nhandoffs: [{{from: p, to: d, {text}}}]\n"
    return deployment_of(source).handoffs[0].settings.stated


@pytest.mark.parametrize(
    ("stated", "path", "value"),
    [
        (pool("connector: nixl"), "connector.name", "nixl"),
        (pool("connector: none"), "connector.name", NONE),
        (pool("engine: vllm"), "engine.name", "vllm"),
        (pool("engine: trtllm"), "engine.name", "tensorrt-llm"),
        (pool("model: Qwen/Qwen3-32B"), "model.id", "Qwen/Qwen3-32B"),
        (handoff("path: roce-400g"), "path.link", "roce-400g"),
        (handoff("wire: same"), "wire.form", "same"),
        (handoff("conversion: none"), "conversion.of", NONE),
        (handoff("conversion: {of: layout}"), "conversion.of", ("layout",)),
        (handoff("conversion: {of: [dtype, layout]}"), "conversion.of", ("dtype", "layout")),
    ],
)  # fmt: skip
def test_shorthands(stated: dict[str, Stated], path: str, value: object) -> None:
    assert stated[path].value == value


def test_a_shorthand_takes_its_own_words_only() -> None:
    for text in ("connector: nixel", "engine: vlm", "connector: 7", "connector: [nixl]"):
        (found,) = problems_of(f"hetpd: 1\npools: [{{name: p, role: prefill, {text}}}]\n")
        assert found.rule in {"invalid-value", "wrong-type"}
    (found,) = check_text("hetpd: 1\npools: [{name: p, role: prefill, connector: NixlConector}]\n").findings
    assert (found.code, found.fix) == ("HPD017", "write `NixlConnector`")


@pytest.mark.parametrize(
    ("text", "path", "value", "written"),
    [
        ("connector: NixlConnector", "connector.name", "nixl", "NixlConnector"),
        ("connector: {name: MoRIIOConnector}", "connector.name", "moriio", "MoRIIOConnector"),
        ("kv: {dtype: bfloat16}", "kv.dtype", "bf16", "bfloat16"),
        ("kv: {dtype: bf16}", "kv.dtype", "bf16", None),
        ("kv: {layout: LBHNC}", "kv.layout", "HND", "LBHNC"),
        ("connector: {mode: read}", "connector.mode", "pull", "read"),
        ("connector: {lease_s: 500ms}", "connector.lease_s", 0.5, "500ms"),
        ("memory: {kv_capacity_gib: 80GB}", "memory.kv_capacity_gib", 80e9 / 2**30, "80GB"),
        ("workers: 2.0", "workers", 2, None),
        ("engine: {version: 0.20}", "engine.version", "0.20", None),
        ("engine: {version: 1.10}", "engine.version", "1.10", None),
        ("engine: {version: 0.24.0rc1}", "engine.version", "0.24.0rc1", None),
        ("accelerator: 0x10", "accelerator", "0x10", None),
        ("env: {UCX_TLS: 'rc,cuda', N: 0.10, ON: true}", "env.N", "0.10", None),
        ("env: {UCX_TLS: 'rc,cuda', N: 0.10, ON: true}", "env.ON", "true", None),
        ("env: {a.b: x}", "env.a.b", "x", None),
        ("ports: {api: 8000, any word: 1}", "ports.any word", 1, None),
        ("hosts: node-1", "hosts", ("node-1",), None),
        ("hosts: [1, 0.20]", "hosts", ("1", "0.20"), None),
    ],
)  # fmt: skip
def test_values_keep_what_was_written(text: str, path: str, value: object, written: str | None) -> None:
    stated = pool(text)[path]
    assert (stated.value, stated.written) == (value, written)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("connector: NixlPushConnector", "push"),
        ("connector: {name: NixlPullConnector}", "pull"),
        ("connector: {name: NixlPushConnector, mode: pull}", "pull"),
        ("connector: {mode: pull, name: NixlPushConnector}", "pull"),
    ],
)
def test_a_class_name_implies_the_mode_unless_it_is_stated(text: str, mode: str) -> None:
    assert pool(text)["connector.mode"].value == mode


def test_a_version_that_names_none_is_unknown_and_no_finding() -> None:
    for version in ("latest", "nightly-abc", "sha256:1234"):
        source = f"hetpd: 1\npools: [{{name: p, role: prefill, engine: {{name: vllm, version: '{version}'}}}}]\n"
        assert not problems_of(source)
        assert isinstance(deployment_of(source).pools[0].settings.value("engine.version"), Unknown)


# -- the bar: every fault in one run ---------------------------------------------------------------------------

TEN_FAULTS = """\
hetpd: 1
modle: Qwen/Qwen3-32B
pools:
  - name: prefill
    rol: prefill
    acelerator: h200
    workers: two
    parallelism: {tp: 0}
    kv: {dtyp: bf16, block_size: 16}
    connector: {name: NixlConector, lease_s: 30GiB}
  - name: decode
    role: decode
    kv: {dtype: bf16, layout: hnd, layout: HND}
"""


def test_ten_faults_of_shape_are_ten_findings_of_one_run() -> None:
    report = check_text(TEN_FAULTS)
    found = [
        (
            finding.code,
            finding.primary.line,
            finding.primary.column,
            spots(finding, {"deploy.yaml": TEN_FAULTS})[0].partition(":")[2],
        )
        for finding in report.findings
    ]
    assert found == [
        ("HPD013", 2, 1, "modle"),
        ("HPD014", 4, 5, "name"),
        ("HPD013", 5, 5, "rol"),
        ("HPD013", 6, 5, "acelerator"),
        ("HPD015", 7, 14, "two"),
        ("HPD017", 8, 23, "0"),
        ("HPD013", 9, 10, "dtyp"),
        ("HPD017", 10, 23, "NixlConector"),
        ("HPD016", 10, 46, "30GiB"),
        ("HPD017", 13, 31, "hnd"),
        ("HPD012", 13, 36, "layout"),
    ]
    words = {finding.primary.line: finding.fix for finding in report.findings if finding.fix.startswith("write `")}
    assert words == {
        2: "write `model`",
        5: "write `role`",
        6: "write `accelerator`",
        9: "write `dtype`",
        10: "write `NixlConnector`",
        13: "write `HND`",
    }
    assert spots(report.findings[-1], {"deploy.yaml": TEN_FAULTS}) == ["13:layout", "13:layout"]


def test_a_key_in_the_wrong_place_is_told_where_it_belongs() -> None:
    (found,) = problems_of("hetpd: 1\npools: [{name: p, role: prefill, block_size: 16}]\n")
    assert (found.rule, found.fix) == ("unknown-key", "it belongs at `kv.block_size`")


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("hetpd: 1\n", ["missing-key"]),
        ("hetpd: 1\npools: []\n", ["invalid-value"]),
        ("hetpd: 1\npools: {}\n", ["wrong-type"]),
        ("hetpd: 1\npools:\n", ["wrong-type"]),
        ("hetpd: 1\npools: [p]\n", ["wrong-type"]),
        ("hetpd: 1\npools: [{}]\n", ["missing-key", "missing-key"]),
        ("hetpd:\npools: [{name: p, role: prefill}]\n", ["wrong-type"]),
        ("hetpd: 1\npools: [{name: p, role: prefill}]\nhandoffs: [{}]\n", ["missing-key", "missing-key"]),
        ("hetpd: 1\npools: [{name: p, role: prefill}]\nhosts: [{}]\n", ["missing-key"]),
        ("hetpd: 1\npools: [{name: p, role: prefill}]\nhandoffs: {}\nhosts: 1\nrouter: x\n", ["wrong-type"] * 3),
    ],
)
def test_documents_out_of_shape(text: str, rules: list[str]) -> None:
    assert sorted(problem.rule for problem in problems_of(text)) == rules
