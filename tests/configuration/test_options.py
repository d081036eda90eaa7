"""Facts that the command line says: what they fill, what they leave, what is said of those without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hetpd_cli.checking import Plan, run
from hetpd_cli.configuration.options import COMMAND_LINE, Options, given
from hetpd_cli.configuration.read import ConfigurationError, parse
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText

if TYPE_CHECKING:
    from hetpd_cli.facts.space import Fact
    from hetpd_cli.findings import Report
    from hetpd_cli.sources.reader import Reading

PAIR = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl, engine: vllm, model: /models/x}
  - {name: d, role: decode, connector: nixl, engine: sglang, accelerator: a100}
"""


def checked(options: Options, text: str = PAIR, configuration: str = "") -> tuple[Report, Reading]:
    reading = read_text(SourceText("a.yaml", text), Limits())
    settings = parse(SourceText("hetpd.toml", configuration))._replace(path="hetpd.toml" if configuration else None)
    plan = Plan(catalogue(), catalogue(), settings, given=tuple(given(options)))
    return run([reading], plan).report, reading


def fact(name: str, options: Options, text: str = PAIR, configuration: str = "") -> Fact:
    _, reading = checked(options, text, configuration)
    return Scopes(reading.deployments[0]).of("boundary")[0].fact(name)


@pytest.mark.parametrize(
    ("options", "name", "value", "note"),
    [
        (Options(prefill_gpu="h100"), "prefill.accelerator", "h100", "--prefill-gpu"),
        (Options(model="Qwen/Qwen3-32B"), "decode.model.id", "Qwen/Qwen3-32B", "--model"),
        (Options(model="in-house/thing"), "decode.model.id", "in-house/thing", "--model"),
        (Options(model="Qwen/Qwen3-32B-AWQ"), "decode.model.id", "Qwen/Qwen3-32B-AWQ", "--model"),
        (Options(model="Qwen/Qwen3-32B"), "prefill.model.base", "Qwen/Qwen3-32B", "--model"),
        (Options(link="roce-400g"), "handoff.path.link", "roce-400g", "--link"),
        (Options(engine_versions=("0.24.0",)), "prefill.engine.version", "0.24.0", "--engine-version"),
        (Options(engine_versions=("0.24.0",)), "decode.engine.version", "0.24.0", "--engine-version"),
        (
            Options(engine_versions=("vllm=0.24.0", "sglang=0.5.3")),
            "decode.engine.version",
            "0.5.3",
            "--engine-version",
        ),
    ],
    ids=str,
)
def test_an_option_fills_what_nobody_states(options: Options, name: str, value: str, note: str) -> None:
    found = fact(name, options)
    assert (found.value, found.origin, found.note) == (value, "assumed", note)


def test_what_is_written_wins() -> None:
    found = fact("decode.accelerator", Options(decode_gpu="h200", prefill_gpu="h100"))
    assert (found.value, found.origin) == ("a100", "stated")
    assert fact("prefill.model.id", Options(model="Qwen/Qwen3-32B")).value == "/models/x"


IMAGES = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl, engine: {name: vllm, image: "vllm/vllm-openai:v0.24.0"}}
  - {name: d, role: decode, connector: nixl, engine: {name: vllm, image: "vllm/vllm-openai:TAG"}}
"""


def test_the_release_that_an_image_says_is_written() -> None:
    options, text = Options(engine_versions=("0.24.0",)), IMAGES.replace("TAG", "v0.25.0")
    report, _ = checked(options, text)
    assert {"HPD503", "HPD905"} <= {one.code for one in report.findings}
    told = next(one for one in report.findings if one.code == "HPD905")
    assert [place.place.line for place in told.places] == [1, 3]
    assert fact("decode.engine.version", options, text).value == "0.25.0"


def test_an_image_without_a_release_leaves_it_to_the_option() -> None:
    found = fact("decode.engine.version", Options(engine_versions=("0.24.0",)), IMAGES.replace("TAG", "latest"))
    assert (found.value, found.origin) == ("0.24.0", "assumed")


def test_an_option_is_of_one_role_and_one_engine() -> None:
    assert fact("prefill.accelerator", Options(decode_gpu="h200")).unknown
    assert fact("decode.engine.version", Options(engine_versions=("vllm=0.24.0",))).unknown


@pytest.mark.parametrize("model", ["/models/x", "./x", "~/x", "s3://bucket/x", "pvc://claim/x"])
def test_the_model_gives_its_geometry_to_a_checkpoint_that_is_a_path(model: str) -> None:
    layers = fact("prefill.model.layers", Options(model="Qwen/Qwen3-32B"), PAIR.replace("/models/x", model))
    assert (layers.value, layers.origin) == (64, "looked up")


@pytest.mark.parametrize("model", ["in-house/thing", "meta-llama/Llama-3.1-8B-Instruct"])
def test_the_model_gives_nothing_to_a_checkpoint_with_a_name(model: str) -> None:
    text = PAIR.replace("/models/x", model)
    assert fact("prefill.model.base", Options(model="Qwen/Qwen3-32B"), text).value == model


def test_geometry_that_is_stated_is_not_looked_up() -> None:
    text = PAIR.replace("/models/x", "{id: /models/x, layers: 3}")
    assert fact("prefill.model.layers", Options(model="Qwen/Qwen3-32B"), text).value == 3


@pytest.mark.parametrize(
    ("options", "second"),
    [
        (Options(decode_gpu="h200"), "a100"),
        (Options(engine_versions=("tensorrt-llm=1.0",)), None),
    ],
)
def test_an_option_without_effect_is_said(options: Options, second: str | None) -> None:
    report, _ = checked(options)
    (found,) = [one for one in report.findings if one.name == "unused-assumption"]
    line = report.texts[COMMAND_LINE]
    places = [spot.place for spot in found.places]
    assert line[found.primary.start : found.primary.end] == line
    assert [PAIR[place.start : place.end] for place in places[1:]] == ([second] if second else [])


def test_each_option_has_its_place() -> None:
    report, _ = checked(Options(decode_gpu="h200", engine_versions=("vllm=0.24.0", "tensorrt-llm=1.0")))
    line = report.texts[COMMAND_LINE]
    unused = [one.primary for one in report.findings if one.name == "unused-assumption"]
    assert [line[place.start : place.end] for place in unused] == [
        "--decode-gpu h200",
        "--engine-version tensorrt-llm=1.0",
    ]


def test_nothing_is_said_where_there_is_no_deployment() -> None:
    report, _ = checked(Options(decode_gpu="h200"), "kind: Deployment\n")
    assert report.findings == ()


def test_the_option_goes_before_an_assumption_and_the_assumption_is_not_blamed() -> None:
    table = '[[assume]]\npool = "p"\nfact = "accelerator"\nvalue = "h200"\nreason = "we know"\n'
    assert fact("prefill.accelerator", Options(prefill_gpu="h100"), configuration=table).value == "h100"
    report, _ = checked(Options(prefill_gpu="h100"), configuration=table)
    assert "unused-assumption" not in [one.name for one in report.findings]


@pytest.mark.parametrize(
    ("options", "guess"),
    [
        (Options(prefill_gpu="h10"), "h100"),
        (Options(decode_gpu="carrier-pigeon"), None),
        (Options(link="roce-400"), "roce-400g"),
        (Options(model="Qwen/Qwn3-32B"), "Qwen/Qwen3-32B"),
        (Options(model=""), None),
        (Options(engine_versions=("latest",)), None),
        (Options(engine_versions=("24",)), None),
        (Options(engine_versions=("vlm=0.24.0",)), "vllm"),
        (Options(engine_versions=("vllm=",)), None),
    ],
)
def test_a_word_that_nobody_knows_is_refused(options: Options, guess: str | None) -> None:
    with pytest.raises(ConfigurationError) as raised:
        checked(options)
    (fault,) = raised.value.faults
    assert fault.startswith("--")
    assert fault.partition("did you mean ")[2].rstrip("?") == (guess or "")
