"""Reading hetpd.toml: what is found, what it says, and what every fault says."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hetpd_cli.configuration.read import KEYS, ConfigurationError, find, load
from hetpd_cli.resources import load_schema

FULL = """
select = ["HPD2", "connector-mismatch"]
ignore = "HPD203"
fail-on = "warning"
baseline = "baseline.json"
rule-folders = ["our-rules"]
table-folders = []

[rules.kv-dtype-mismatch]
severity = "warning"

[rules.HPD103]
noise = 1.2

[[assume]]
path = "deploy/*"
pool = "decode-*"
fact = "engine.version"
value = "0.24.0"
reason = "what ops run"

[[assume]]
fact = "handoff.path.link"
value = "roce-400g"
reason = "the only network we have"

[images]
"registry.example.com/vllm:{version}-*" = "vllm"
"registry.example.com/sg@sha256:*" = {engine = "sglang", version = "0.5.14"}

[[suppress]]
rule = "HPD302"
fact = "handoff.path.link"
until = 2026-12-31
reason = "the NICs come in January"
"""


def written(folder: Path, text: str, name: str = "hetpd.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def faults(folder: Path, text: str, name: str = "hetpd.toml") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(written(folder, text, name))
    return [fault.removeprefix(f"{folder}/{name}") for fault in caught.value.faults]


def test_everything_that_can_be_said(tmp_path) -> None:
    found = load(written(tmp_path, FULL))
    assert found.select == ("HPD2", "connector-mismatch")
    assert found.ignore == ("HPD203",)
    assert (found.fail_on, found.baseline, found.rule_folders) == ("warning", "baseline.json", ("our-rules",))
    assert found.rules["kv-dtype-mismatch"].severity == "warning"
    assert found.rules["HPD103"].parameters == {"noise": 1.2}
    first, second = found.assume
    assert (first.subject, first.of, first.fact, first.value) == ("pool", "decode-*", "engine.version", "0.24.0")
    assert (second.subject, second.of, second.fact, second.path) == ("handoff", "*", "path.link", "*")
    assert [(one.pattern, one.engine, one.version) for one in found.images] == [
        ("registry.example.com/vllm:{version}-*", "vllm", None),
        ("registry.example.com/sg@sha256:*", "sglang", "0.5.14"),
    ]
    assert found.suppress[0].until == date(2026, 12, 31)
    assert [one.place.line for one in (*found.assume, *found.images, *found.suppress)] == [15, 22, 28, 29, 31]


def test_the_table_of_a_pyproject(tmp_path) -> None:
    path = written(tmp_path, '[project]\nname = "x"\n[tool.hetpd]\nfail-on = "never"\n', "pyproject.toml")
    assert load(path).fail_on == "never"
    assert faults(tmp_path, "[tool.hetpd]\nfail_on = 1\n", "pyproject.toml") == [
        ":2: fail_on is no key of the configuration, did you mean fail-on?"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("selct = []\n", ":1: selct is no key of the configuration, did you mean select?"),
        ("\n[rules.HPD201]\nseverity = 'fatal'\n", ":3: rules.HPD201.severity is 'fatal', not error, warning, info"),
        ("[rules.HPD201]\nseverity = 'eror'\n", ":2: rules.HPD201.severity is 'eror', did you mean error?"),
        ("[rules.HPD103]\nnoise = 'x'\n", ":2: rules.HPD103.noise is 'x' where a positive number is expected"),
        ("[rules.HPD103]\nnoise = -1\n", ":2: rules.HPD103.noise is -1 where a positive number is expected"),
        ("[rules.HPD103]\nnoise = 0\n", ":2: rules.HPD103.noise is 0 where a positive number is expected"),
        ("[rules.HPD103]\nnoise = nan\n", ":2: rules.HPD103.noise is not a finite number of up to 64 bits"),
        ("[rules.HPD103]\nnoise = inf\n", ":2: rules.HPD103.noise is not a finite number of up to 64 bits"),
        (f"select = 0x{'f' * 5000}\n", ":1: select is not a finite number of up to 64 bits"),
        (
            "[[suppress]]\nrule = 'x'\nreason = 'r'\npool = 'a'\nhandoff = 'b'\n",
            ":4: suppress[1] names a pool and a handoff: one of the two is enough",
        ),
        ("rules = 3\n", ":1: rules is 3 where a table is expected"),
        ("select = 3\n", ":1: select is 3 where a list of texts is expected"),
        ("select = [1]\n", ":1: select is [1] where a list of texts is expected"),
        ("baseline = ''\n", ":1: baseline is '' where text is expected"),
        ("fail-on = 'errors'\n", ":1: fail-on is 'errors', did you mean error?"),
        ("[assume]\nfact = 'x'\n", ":1: assume is {'fact': 'x'} where tables are expected: write [[assume]]"),
        ("[[assume]]\nfact = 'kv.dtype'\nvalue = 'bf16'\n", ":1: assume[1] has no reason"),
        (
            "[[assume]]\nfact='a'\nvalue=1\nreason='r'\npols='x'\n",
            ":5: pols is no key of assume[1], did you mean pool?",
        ),
        ("[[assume]]\nfact='store.name'\nvalue=1\nreason='r'\npool='x'\n", ":5: name is no fact of a pool"),
        ("[[assume]]\nfact='store.name'\nvalue=1\nreason='r'\nhandoff='x'\n", ":5: name is no fact of a handoff"),
        (
            "[[suppress]]\nrule = 'HPD201'\nreason = 'r'\nuntil = 'soon'\n",
            ":4: until is 'soon' where a date is expected, such as 2026-12-31",
        ),
        ("[[suppress]]\nreason = 'r'\n[[suppress]]\nrule = 'x'\n", ":1: suppress[1] has no rule"),
        ("[images]\n'x' = 3\n", ":2: images.x is 3 where a table is expected"),
        ("[images]\n'x' = {version = '1'}\n", ":2: images.x has no engine"),
        (
            "[images]\n'x:{version}' = {engine = 'vllm', version = '1'}\n",
            ":2: the version stands in the pattern and is given too",
        ),
        ("[images]\n'{version}{version}' = 'vllm'\n", ":2: {version} stands twice in the pattern"),
    ],
)
def test_a_fault_names_its_line_and_the_nearest_key(tmp_path, text, expected) -> None:
    assert expected in faults(tmp_path, text)


def test_every_fault_is_told_in_the_order_of_the_file(tmp_path) -> None:
    found = faults(tmp_path, "selct = []\nignore = 3\n[[assume]]\nfact = 'x'\n")
    assert [fault.split(":")[1] for fault in found] == ["1", "2", "3", "3"]


def test_what_is_no_toml_is_said_with_its_line(tmp_path) -> None:
    (fault,) = faults(tmp_path, "select = [\n\n")
    assert "not TOML" in fault
    assert "end of document" in fault


def test_a_text_that_looks_like_keys_moves_no_line(tmp_path) -> None:
    text = 'baseline = """\nselct = 1\n"""\nselct = []\n'
    assert faults(tmp_path, text) == [":4: selct is no key of the configuration, did you mean select?"]


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"a" * (2**20 + 1), b"", b"\x00", b"[" * 5000, b"a." * 50_000 + b"a = 1", b"a = " + b"9" * 5000],
    ids=["utf", "large", "empty", "nul", "deep", "parts", "digits"],
)
def test_hostile_files_raise_one_thing_only(tmp_path, content) -> None:
    path = tmp_path / "hetpd.toml"
    path.write_bytes(content)
    try:
        load(str(path))
    except ConfigurationError as error:
        assert error.faults


def test_a_folder_and_a_missing_file_are_faults(tmp_path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(ConfigurationError):
            load(str(path))


# -- finding ---------------------------------------------------------------------------------------------------


def test_the_nearest_above_the_inputs_is_found(tmp_path, monkeypatch) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "deploy.yaml").touch()
    assert find([str(inner / "deploy.yaml")]) is None or not find([str(inner / "deploy.yaml")]).startswith(
        str(tmp_path)
    )
    (tmp_path / "pyproject.toml").write_text("[tool.hetpd]\n", encoding="utf-8")
    assert find([str(inner / "deploy.yaml")]) == str(tmp_path / "pyproject.toml")
    (tmp_path / "a" / "hetpd.toml").touch()
    assert find([str(inner)]) == str(tmp_path / "a" / "hetpd.toml")
    (inner / "pyproject.toml").write_text("[tool.other]\n# no tool.hetpd here\n", encoding="utf-8")
    assert find([str(inner)]) == str(tmp_path / "a" / "hetpd.toml")
    monkeypatch.chdir(tmp_path)
    assert find(["a/b/deploy.yaml", "-"]) == "pyproject.toml"


def test_its_own_file_comes_before_the_shared_one(tmp_path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.hetpd]\n", encoding="utf-8")
    (tmp_path / "hetpd.toml").touch()
    assert find([str(tmp_path)]) == str(tmp_path / "hetpd.toml")


# -- the published schema --------------------------------------------------------------------------------------


def test_the_schema_knows_the_same_keys() -> None:
    schema = load_schema("configuration")
    assert set(schema["properties"]) == set(KEYS[""])
    for name in ("assume", "suppress"):
        assert set(schema["properties"][name]["items"]["properties"]) == set(KEYS[name])
    table = schema["properties"]["images"]["additionalProperties"]["anyOf"][1]
    assert set(table["properties"]) == set(KEYS["images"])


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        "",
        "select = 3",
        "selct = []",
        "fail-on = 'x'",
        "baseline = ' '",
        "rules = 3",
        "[rules.x]\nseverity = 3",
        "[rules.x]\nlimit = true",
        "[rules.x]\nlimit = 3",
        "[rules.x]\nlimit = -3",
        "[[suppress]]\nrule='a'\nreason='r'\npool='x'\nhandoff='y'",
        "[[assume]]",
        "[[assume]]\nfact='a'\nvalue=[]\nreason='r'",
        "[[assume]]\nfact='a'\nvalue=1\nreason=''",
        "[[suppress]]\nrule='a'\nreason='r'",
        "[[suppress]]\nrule='a'\nreason='r'\nx=1",
        "[images]\na=3",
        "[images]\na={}",
        "[images]\na='vllm'",
    ],
)
def test_reader_and_schema_accept_the_same(tmp_path, text) -> None:
    data = tomllib.loads(text)
    by_schema = not list(Draft202012Validator(load_schema("configuration")).iter_errors(_plain(data)))
    try:
        load(written(tmp_path, text))
        by_reader = True
    except ConfigurationError:
        by_reader = False
    assert by_reader == by_schema


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | datetime) else value
