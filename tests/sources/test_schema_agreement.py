"""The decoder accepts what the JSON Schema accepts, and nothing else.

Left out is what a schema cannot see: names that refer to something, twins, duplicate keys, scalars that YAML 1.1 and
1.2 read differently, and files that are read beside this one.
"""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hetpd_cli.fields import resolve, schema
from hetpd_cli.resources import load_schema
from tests.support import check_text

UNSEEN = {"unknown-reference", "duplicate-key", "ambiguous-scalar", "path-outside", "unreadable-file"}
VALIDATOR = Draft202012Validator(load_schema("deployment"))
JUNK = (None, True, -1, 0, 3.5, "x", "30GiB", "400Gbps", "10s", [], {}, [1], {"a": 1}, "", "90%", 1e99, "auto", "none")


@st.composite
def values(draw: Any, part: dict[str, Any]) -> Any:
    """Draw a value that fits a part of the schema."""
    part = resolve(part)
    if "enum" in part:
        return draw(st.sampled_from(part["enum"]))
    if part.get("type") == "object" or "properties" in part:
        return draw(objects(part))
    if part.get("type") == "array":
        return draw(st.lists(values(part["items"]), min_size=1, max_size=2))
    if "anyOf" in part:
        chosen = resolve(draw(st.sampled_from(part["anyOf"])))
        if "pattern" in chosen:
            return draw(st.sampled_from(part["examples"]))
        bounds = {key: part[key] for key in ("minimum", "maximum") if key in part}
        return draw(values({**bounds, **chosen}))
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    kind = draw(st.sampled_from(kinds))
    if kind == "integer":
        least = part.get("minimum", 0)
        return draw(st.integers(least, least + 9))
    return draw(
        {
            "number": st.sampled_from([1, 0.5]),
            "boolean": st.booleans(),
            "string": st.sampled_from(part.get("examples", ["abc", "x y"])),
        }[kind]
    )


@st.composite
def objects(draw: Any, part: dict[str, Any]) -> dict[str, Any]:
    drawn = {}
    for key, child in part.get("properties", {}).items():
        if key in part.get("required", ()) or draw(st.integers(0, 3)) == 0:
            drawn[key] = draw(values(child))
    if isinstance(part.get("additionalProperties"), dict) and draw(st.booleans()):
        drawn["KEY"] = draw(values(part["additionalProperties"]))
    return drawn


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Return every container with each of its keys."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [spot for key in keys for spot in spots(value[key])]


@st.composite
def deployments(draw: Any) -> Any:
    """Draw a deployment that fits the schema, with up to two faults."""
    data = copy.deepcopy({"hetpd": 1, **draw(values(schema()))})
    for _ in range(draw(st.integers(0, 2))):
        container, key = draw(st.sampled_from(spots(data)))
        kind = draw(st.sampled_from(["junk", "junk", "rename", "remove"]))
        if kind == "junk":
            container[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        elif isinstance(container, dict):
            value = container.pop(key)
            if kind == "rename":
                container[f"{key}x"] = value
    return data


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(deployments())
def test_decoder_and_schema_accept_the_same_files(data) -> None:
    if "hetpd" not in data:
        return
    report = check_text(yaml.safe_dump(data, sort_keys=False))
    faults = [found.message for found in report.findings if found.code < "HPD1" and found.name not in UNSEEN]
    assert VALIDATOR.is_valid(data) == (faults == []), faults
