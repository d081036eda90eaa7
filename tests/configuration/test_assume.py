"""Assumptions and images: what they fill, what they leave, and how a finding shows them."""

from __future__ import annotations

import pytest

from hetpd_cli.checking import Plan, run
from hetpd_cli.configuration.assume import image_version
from hetpd_cli.configuration.read import ConfigurationError, parse
from hetpd_cli.configuration.rules import configured
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText

PAIR = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl, kv: {dtype: bf16}}
  - {name: d, role: decode, connector: nixl, engine: {image: "example.com/vllm:v0.24.0-cu12"}}
"""


def toml(**keys: object) -> str:
    keys = {"reason": "we know"} | keys
    return "[[assume]]\n" + "\n".join(
        f"{key} = {value if key == 'value' else repr(value)}" for key, value in keys.items()
    )


def checked(text: str, configuration: str, directories=(".",)):
    setting = parse(SourceText("hetpd.toml", configuration))._replace(path="hetpd.toml")
    rules = configured(catalogue(), setting)
    reading = read_text(SourceText("deploy/a.yaml", text), Limits())
    return run([reading], Plan(rules, rules, setting, directories=directories)).report, reading


def fact(configuration: str, name: str, text: str = PAIR):
    _, reading = checked(text, configuration)
    return Scopes(reading.deployments[0]).of("boundary")[0].fact(name)


@pytest.mark.parametrize(
    ("keys", "name", "value"),
    [
        ({"fact": "kv.dtype", "value": '"fp16"'}, "decode.kv.dtype", "fp16"),
        ({"fact": "kv.dtype", "value": '"half"'}, "decode.kv.dtype", "fp16"),
        ({"fact": "kv.dtype", "value": '"fp16"', "pool": "d*"}, "decode.kv.dtype", "fp16"),
        ({"fact": "pool.kv.block_size", "value": "16"}, "decode.kv.block_size", 16),
        ({"fact": "connector.lease_s", "value": '"1min"'}, "decode.connector.lease_s", 60),
        ({"fact": "model.adapters", "value": '["a"]'}, "decode.model.adapters", ("a",)),
        ({"fact": "host_network", "value": "true"}, "decode.host_network", True),
        ({"fact": "env.UCX_TLS", "value": '"rc"'}, "decode.env.UCX_TLS", "rc"),
        ({"fact": "handoff.path.link", "value": '"roce-400g"'}, "handoff.path.link", "roce-400g"),
        ({"fact": "path.link", "value": '"roce-400g"', "handoff": "p -> *"}, "handoff.path.link", "roce-400g"),
        ({"fact": "handoff.path", "value": '"roce-400g"'}, "handoff.path.link", "roce-400g"),
        ({"fact": "workload.rate_per_s", "value": "2"}, "workload.rate_per_s", 2),
        ({"fact": "handoff.crosses_hosts", "value": "true"}, "handoff.crosses_hosts", True),
        ({"fact": "engine", "value": '{name = "vllm", version = "0.24.0"}'}, "decode.engine.version", "0.24.0"),
    ],
    ids=str,
)
def test_an_assumption_fills_what_nobody_states(keys, name, value) -> None:
    found = fact(toml(**keys), name)
    assert (found.value, found.origin, found.note) == (value, "assumed", "we know (hetpd.toml:1)")
    assert found.place is None if name.startswith("decode") else found.place.path == "hetpd.toml"


def test_what_is_written_wins() -> None:
    configuration = toml(fact="kv.dtype", value='"fp16"')
    assert (fact(configuration, "prefill.kv.dtype").value, fact(configuration, "prefill.kv.dtype").origin) == (
        "bf16",
        "stated",
    )


def test_an_assumption_comes_before_the_default_and_before_what_cannot_be_read() -> None:
    text = PAIR.replace(
        "kv: {dtype: bf16}", "unstated: default, engine: {name: vllm, version: 0.24.0}, kv: {dtype: nonsense}"
    )
    assert fact(toml(fact="connector.lease_s", value="20"), "prefill.connector.lease_s", text).value == 20
    assert fact(toml(fact="kv.dtype", value='"fp16"'), "prefill.kv.dtype", text).value == "fp16"
    assert fact("", "prefill.connector.lease_s", text).value == 30


def test_a_finding_shows_what_was_assumed_at_the_pool() -> None:
    report, _ = checked(PAIR, toml(fact="kv.dtype", value='"fp16"', pool="d"))
    (found,) = [one for one in report.findings if one.code == "HPD201"]
    assert [(spot.place.line, spot.label) for spot in found.places] == [
        (3, "KV written as bf16"),
        (4, "kv.dtype assumed to be fp16"),
    ]
    (view,) = [one for one in found.facts if one.name == "decode.kv.dtype"]
    assert (view.origin, view.note) == ("assumed", "we know (hetpd.toml:1)")


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ({"pool": "x*"}, ["hetpd.toml:1"]),
        ({"path": "other"}, ["hetpd.toml:1"]),
        ({"pool": "p"}, ["hetpd.toml:1", "deploy/a.yaml:3"]),
    ],
)
def test_an_assumption_without_effect_is_a_finding(keys, places) -> None:
    report, _ = checked(PAIR, toml(fact="kv.dtype", value='"bf16"', **keys))
    (found,) = [one for one in report.findings if one.code == "HPD905"]
    assert [f"{spot.place.path}:{spot.place.line}" for spot in found.places] == places
    report, _ = checked(PAIR, toml(fact="kv.dtype", value='"bf16"', **keys), directories=())
    assert [one.code for one in report.findings] == []


def test_without_any_deployment_nothing_is_said_of_assumptions() -> None:
    report, _ = checked("a: 1\n", toml(fact="kv.dtype", value='"bf16"'))
    assert report.findings == ()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"fact": "kv.dtpye", "value": "1"}, "hetpd.toml:1: kv.dtpye is no fact of a pool, did you mean kv.dtype?"),
        (
            {"fact": "kv.dtype", "value": '"fp17"'},
            "pool.kv.dtype is 'fp17', which is not known there, did you mean fp16?",
        ),
        ({"fact": "kv.block_size", "value": '"many"'}, "pool.kv.block_size is 'many' where a whole number is expected"),
        ({"fact": "handoff.crosses_hosts", "value": "1"}, "handoff.crosses_hosts is 1 where a boolean is expected"),
        ({"fact": "handoff.latent_kv", "value": '"yes"'}, "handoff.latent_kv is 'yes' where a boolean is expected"),
        ({"fact": "kv", "value": "1"}, "pool.kv is '1' where a mapping is expected"),
    ],
    ids=str,
)
def test_an_assumption_that_cannot_be_is_refused(keys, message) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(PAIR, toml(**keys))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"fact": "engine.version", "value": "0.30"},
            'pool.engine.version is the number 0.3 where text is expected: write "0.3"',
        ),
        ({"fact": "engine", "value": '{name = "vllm", version = 0.30}'}, "pool.engine.version is the number 0.3"),
    ],
)
def test_a_version_is_text(keys, message) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(PAIR, toml(**keys))
    assert message in str(caught.value)


def test_a_finding_may_rest_on_assumptions_alone() -> None:
    facts = {"rate_per_s": "1.8", "measured.requests_per_s": "1.62", "arrival": '"poisson"'}
    configuration = "".join(toml(fact=f"workload.{fact}", value=value) + "\n" for fact, value in facts.items())
    report, _ = checked(PAIR, configuration)
    (found,) = [one for one in report.findings if one.code == "HPD103"]
    assert {spot.place.path for spot in found.places} == {"hetpd.toml"}


def test_a_second_assumption_about_a_fact_is_without_effect() -> None:
    one = toml(fact="kv.dtype", value='"bf16"', pool="d")
    report, _ = checked(PAIR, f"{one}\n{one}\n")
    (found,) = [one for one in report.findings if one.code == "HPD905"]
    assert (found.primary.line, "another one" in found.message) == (6, True)


def test_a_misspelt_id_is_found_in_an_assumption_too() -> None:
    report, _ = checked(PAIR, toml(fact="accelerator", value='"meatx-c600"'))
    assert [one.primary.path for one in report.findings if one.code == "HPD021"] == ["hetpd.toml"]


# -- images ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "pattern", "version"),
    [
        ("a/vllm:v0.24.0-cu12", "a/vllm:{version}-cu12", "0.24.0"),
        ("a/vllm:0.24.0", "a/vllm:{version}", "0.24.0"),
        ("a/vllm:prod", "a/vllm:prod", ""),
        ("a/vllm@sha256:abc", "a/vllm@sha256:*", ""),
        ("b/vllm:0.24.0", "*/vllm:{version}", "0.24.0"),
        ("a/vllm:0.24.0", "b/vllm:{version}", None),
        ("a/vllm:", "a/vllm:{version}", None),
        ("axvllm", "a.vllm", None),
    ],
)
def test_an_image_is_matched_whole(image, pattern, version) -> None:
    assert image_version(image, pattern) == version


def test_a_hostile_pattern_takes_no_time() -> None:
    assert image_version("a" * 5_000, "*a" * 20 + "*b") is None
    assert image_version("a" * 5_000 + "b", "*a" * 20 + "*b") == ""


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean vllm"):
        checked(PAIR, '[images]\n"*" = "vlm"\n')


def test_an_image_that_nothing_has_is_a_finding() -> None:
    report, _ = checked(PAIR, '[images]\n"example.com/wllm:*" = "vllm"\n')
    assert [one.code for one in report.findings] == ["HPD905"]
    report, _ = checked(PAIR, '[images]\n"example.com/wllm:*" = "vllm"\n', directories=("deploy",))
    assert report.findings == ()


def test_an_image_states_engine_and_version() -> None:
    configuration = '[images]\n"example.com/vllm:{version}-cu12" = "vllm"\n'
    name, version = (fact(configuration, f"decode.engine.{part}") for part in ("name", "version"))
    assert (name.value, name.origin, version.value) == ("vllm", "assumed", "0.24.0")
    assert version.note == "image example.com/vllm:{version}-cu12 (hetpd.toml:2)"
    assert fact(configuration, "prefill.engine.name").unknown


def test_the_first_pattern_that_matches_counts_and_what_is_stated_stays() -> None:
    configuration = '[images]\n"*:v0.24.0-*" = {engine = "vllm", version = "0.24.1"}\n"*" = "sglang"\n'
    assert fact(configuration, "decode.engine.version").value == "0.24.1"
    stated = PAIR.replace("engine: {image:", "engine: {name: vllm-ascend, image:")
    assert fact(configuration, "decode.engine.name", stated).value == "vllm-ascend"


# -- severities and thresholds ---------------------------------------------------------------------------------


def test_a_severity_and_a_threshold_are_set_for_one_rule() -> None:
    text = PAIR.replace("connector: nixl, engine", "connector: mooncake, engine") + (
        "workload: {rate_per_s: 1.8, arrival: poisson, measured: {requests_per_s: 1.62}}\n"
    )
    plain, _ = checked(text, "")
    assert {one.code: one.severity for one in plain.findings} == {"HPD501": "error", "HPD103": "error"}
    changed, _ = checked(text, '[rules.connector-mismatch]\nseverity = "info"\n[rules.HPD103]\nnoise = 1.2\n')
    assert {one.code: one.severity for one in changed.findings} == {"HPD501": "info"}


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        (
            "[rules.kv-dtype-mismach]\nseverity = 'info'\n",
            "hetpd.toml:1: kv-dtype-mismach names no rule, did you mean kv-dtype-mismatch?",
        ),
        (
            "[rules.HPD103]\nnoize = 1\n",
            "hetpd.toml:1: noize is no threshold of offered-load-above-served, did you mean noise?",
        ),
        ("[rules.HPD201]\nlimit = 1\n", "hetpd.toml:1: limit is no threshold of kv-dtype-mismatch; it has none"),
    ],
)
def test_what_cannot_be_set_is_refused(configuration, message) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(PAIR, configuration)
    assert message in str(caught.value)
