"""However a deployment is deformed, the decoder refuses exactly what the JSON Schema refuses.

What JSON Schema cannot see is left out of the comparison, and only that:

- data without the key `hetpd`: such a file is in no known format and is not decoded at all;
- scalars that YAML 1.1 and 1.2 read differently: the two sides would not be given the same data;
- numbers without a JSON form (infinite, not a number, longer than what is read as one): no schema speaks of them;
- relations within the file (unknown references, two pools of one name) and files that it names (`model.config`);
- whether a text names a version: a text that names none is unknown, not a fault.
"""

from __future__ import annotations

import math
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hetpd_cli.fields import resolve, schema
from hetpd_cli.resources import load_schema
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import raw_rules

VALIDATOR = Draft202012Validator(load_schema("deployment"))
SHAPE = {"unknown-key", "missing-key", "wrong-type", "wrong-unit", "invalid-value"}
RELATIONS = {"unknown-reference", "duplicate-key", "unreadable-file", "path-outside"}

QUANTITIES = {
    "s": ("30s", "500 ms", "1.5min", "2h", "7us"),
    "GiB": ("80GiB", "64 GB", "1.5TiB", "7B"),
    "GB/s": ("400Gbps", "50GB/s", "1.6 Tbit/s"),
    "Gbit/s": ("400Gbps", "50GB/s", "800 Mb/s"),
    "token": ("64K", "64k", "1m", "0.5M"),
    "1": ("90%", "100 %", "0%", "12.5%"),
}
ODD_TEXTS = (
    "", " ", "auto", "none", "same", "latest", "0.20", "30s", "30 s", "30  s", "s", "-30s", "400Gbps", "400Gb", "400gbps", "80G",
    "80gib", "1e3s", "64Kb", "101%", "100.5%", "1000%", "٣s", "30s\n", "30µs", "30μs", "1", "true", "nixl", "Nixl", "NixlConnector",
    "prefill", "kv_both", "bf16", "BF16", "hnd", "a: b", "# c", "<<", "[x]", "\t", "é", "\x85", "x" * 200,
)  # fmt: skip
ODD_KEYS = (
    "hetpd",
    "name",
    "nmae",
    "kv",
    "KV",
    "x",
    "",
    "<<",
    "dtype",
    "tp",
    "of",
    "from",
    "items",
    "model.id",
    "$ref",
)
ODD_SCALARS = (None, True, False, 0, 1, -1, 2, 7, 65535, 65536, 10**20, 0.0, 0.5, 1.0, 1.5, -0.5, 1e300, 4.0)

odd = st.recursive(
    st.sampled_from(ODD_SCALARS) | st.sampled_from(ODD_TEXTS) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(ODD_KEYS), inner, max_size=2),
    max_leaves=3,
)


def scalar(part: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a leaf of the schema takes."""
    if "enum" in part:
        return st.sampled_from(part["enum"])
    types = part["type"] if isinstance(part["type"], list) else [part["type"]]
    low, high = part.get("minimum", part.get("exclusiveMinimum", -1000)), part.get("maximum", 10**6)
    numbers = st.floats(low, high, exclude_min="exclusiveMinimum" in part)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from(("a", "p", "d", "0.24.0", "roce-400g", "latest")) | st.text(max_size=4),
        "number": numbers | st.integers(math.floor(low) + 1, high),
        "integer": st.integers(low, high) | st.integers(low, high).map(float),
        "boolean": st.booleans(),
    }
    return st.one_of([kinds[kind] for kind in types])


def valid(raw: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return data that a part of the schema takes, made from the schema itself."""
    part = resolve(raw)
    if "anyOf" in part:
        choices = [resolve(choice) for choice in part["anyOf"]]
        if "x-unit" in part:
            return scalar(choices[0]) | st.sampled_from(QUANTITIES[part["x-unit"]])
        return st.one_of([valid(choice) for choice in choices])
    if part["type"] == "array":
        return st.lists(valid(part["items"]), min_size=part.get("minItems", 0), max_size=3)
    if part["type"] != "object":
        return scalar(part)
    free = part.get("additionalProperties")
    if isinstance(free, dict):
        return st.dictionaries(st.sampled_from(("UCX_TLS", "api", "a.b", "7", "<<")), valid(free), max_size=2)
    required = part.get("required", [])

    def body(keys: list[str]) -> st.SearchStrategy[Any]:
        chosen = [*required, *(key for key in keys if key not in required)]
        return st.fixed_dictionaries({key: valid(part["properties"][key]) for key in chosen})

    return st.lists(st.sampled_from(sorted(part["properties"])), max_size=4, unique=True).flatmap(body)


def paths_in(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in ``data`` but itself."""
    items = list(data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ())
    return [found for key, value in items for found in ((*path, key), *paths_in(value, (*path, key)))]


def mutate(data: Any, draw: Any) -> None:
    """Change ``data`` in one place: another value, another key, a key more, a key less."""
    *way, key = draw(st.sampled_from(paths_in(data)))
    holder = data
    for step in way:
        holder = holder[step]
    kind = draw(st.sampled_from(("value", "value", "rename", "add", "remove")))
    if kind == "value":
        holder[key] = draw(odd)
    elif kind == "add" and isinstance(holder, dict):
        holder[draw(st.sampled_from(ODD_KEYS))] = draw(odd)
    elif kind == "rename" and isinstance(holder, dict):
        holder[draw(st.sampled_from(ODD_KEYS) | st.just(str(key)[:-1]))] = holder.pop(key)
    else:
        del holder[key]


@st.composite
def deployments(draw: Any, mutations: int) -> Any:
    data = draw(valid(schema()))
    for _ in range(mutations):
        if data:
            mutate(data, draw)
    return data


def problems_of(text: str) -> dict[str, str]:
    """Return the rules that the decoder reports on ``text``, each with a message."""
    return {
        problem.rule: problem.message
        for problem in read_text(SourceText("nowhere/deploy.yaml", text), Limits()).problems
    }


def agree(data: Any) -> None:
    text = yaml.safe_dump(data, sort_keys=False, width=1000)
    assert yaml.safe_load(text) == data
    problems = problems_of(text)
    assume("ambiguous-scalar" not in problems)
    assert problems.keys() <= SHAPE | RELATIONS, problems
    errors = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in VALIDATOR.iter_errors(data)]
    assert bool(SHAPE & problems.keys()) is bool(errors), f"{text}\n{errors}\n{problems}"


SETTINGS = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@SETTINGS
@given(deployments(0))
def test_what_the_schema_describes_is_decoded(data: Any) -> None:
    assert VALIDATOR.is_valid(data)
    agree(data)


@SETTINGS
@given(st.sampled_from((1, 1, 1, 2, 4)).flatmap(deployments))
def test_what_one_refuses_the_other_refuses(data: Any) -> None:
    assume("hetpd" in data)
    agree(data)


def test_both_agree_on_the_examples_of_all_rules() -> None:
    compared = 0
    for rule in raw_rules():
        for example in (row for kind in rule.get("examples", {}).values() for row in kind if "file" not in row):
            problems = problems_of(example["deployment"])
            if problems.keys() <= SHAPE | RELATIONS:
                documents = list(yaml.safe_load_all(example["deployment"]))
                shaped = not SHAPE & problems.keys()
                assert shaped is all(map(VALIDATOR.is_valid, documents)), (rule["code"], example["title"])
                compared += 1
    assert compared > 50
