from __future__ import annotations

import subprocess
import sys

import pytest
from sample_reports import DEPLOYMENT, PATH, at, example, finding, place, report

from hetpd_cli.findings import Evidence, FactView, InputReport, Need, Tally, Undecided
from hetpd_cli.report import FORMATS, Options, renderer
from hetpd_cli.report.full import render
from hetpd_cli.report.words import fact_text, value_text

HERE = at(DEPLOYMENT, "fp16")
TEXTS = {PATH: DEPLOYMENT}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("verbose", [False, True])
def test_colour_off_means_no_escape(form: str, verbose: bool) -> None:
    assert "\x1b" not in renderer(form).render(example(), Options(width=80, verbose=verbose))


@pytest.mark.parametrize("form", ["full", "concise"])
def test_colour_changes_nothing_but_colour(form: str) -> None:
    import re

    coloured = renderer(form).render(example(), Options(colour=True, width=100))
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == renderer(form).render(example(), Options(width=100))


def test_quiet_gives_findings_only() -> None:
    text = render(example(), Options(quiet=True))
    assert text.count("HPD") == 3
    assert "coupling matrix" not in text
    assert "rules:" not in text
    for form in ("full", "concise"):
        assert renderer(form).render(report(), Options(quiet=True)) == ""


def test_nothing_wraps_off_a_terminal() -> None:
    long = "word " * 200
    text = render(report(finding(HERE, message=long, why=long, fix=long), texts=TEXTS), Options())
    assert text.count(long.strip()) == 3


def test_wrapping_breaks_at_blanks_only() -> None:
    token = "a" * 200
    result = report(finding(HERE, message=f"{token} is not {token}", fix=f"say {token} now"), texts=TEXTS)
    assert render(result, Options(width=80)).count(token) == 3


def test_paths_never_break() -> None:
    path = "/".join(["directory with blanks"] * 8) + "/deploy.yaml"
    spot = at(DEPLOYMENT, "fp16", path=path)
    needs = (Need("decode.kv.layout", "not stated", spot.place),)
    result = report(
        finding(spot),
        texts={path: DEPLOYMENT},
        inputs=(InputReport(path, "hetpd", "unresolved", "it says ${X}"),),
        undecided=(Undecided("HPD204", "kv-layout-mismatch", "T4", (), needs),),
        tally=Tally(undecided=1),
    )
    text = render(result, Options(width=60, verbose=True))
    assert text.count(f"{path}:6:17") == 2
    assert text.count(path) == 3


def test_paths_are_shown_from_a_directory() -> None:
    spot = at(DEPLOYMENT, "fp16", path="/srv/git/prod/deploy.yaml")
    outside = at(DEPLOYMENT, "fp16", path="/srv/gitter/deploy.yaml")
    for form in sorted(set(FORMATS) - {"statistics"}):  # has no paths
        for base in ("/srv/git", "/srv/git/"):
            text = renderer(form).render(
                report(finding(spot), finding(outside), texts={}), Options(show_paths_from=base)
            )
            assert "/srv/git/" not in text
            assert "/srv/gitter/deploy.yaml" in text


def test_no_findings_where_something_held() -> None:
    text = render(report(tally=Tally(held=3), rules=3), Options(colour=True))
    assert "\x1b[1;32mno findings in 1 file; 3 rules: 3 held, 0 violated, 0 undecided" in text


@pytest.mark.parametrize("form", ["full", "concise"])
def test_a_run_that_decided_nothing_does_not_look_like_a_pass(form: str) -> None:
    text = renderer(form).render(report(tally=Tally(undecided=3), rules=3), Options(colour=True))
    assert "no findings in 1 file; nothing was decided: 3 rules: 0 held, 0 violated, 3 undecided" in text
    assert "\x1b[1;32m" not in text


@pytest.mark.parametrize("status", ["unreadable", "unresolved"])
def test_a_run_that_read_not_everything_is_not_green(status: str) -> None:
    inputs = (InputReport("x.yaml", None, status, "why"), InputReport(PATH, "hetpd", "checked"))
    text = render(report(tally=Tally(held=3), rules=3, inputs=inputs), Options(colour=True))
    assert f"; 1 file {status}" in text
    assert "\x1b[1;32mno findings" not in text


def test_summary_counts() -> None:
    info = finding(HERE, severity="info")
    hidden = finding(HERE, suppressed="known, see OPS-12")
    text = render(report(info, info, hidden, texts=TEXTS, rules=2), Options())
    assert text.splitlines()[-1] == (
        "2 info in 1 file (1 suppressed); 2 rules, 6 verdicts: 3 held, 3 violated, 0 undecided"
    )


def test_suppressed_findings_show_only_when_verbose() -> None:
    result = report(finding(HERE, suppressed="known, see OPS-12"), texts=TEXTS)
    assert "OPS-12" not in render(result, Options())
    assert "= suppressed: known, see OPS-12" in render(result, Options(verbose=True))
    assert "no findings in 1 file (1 suppressed)" in render(result, Options())


def test_at_most_twenty_findings_of_a_code_in_a_file() -> None:
    findings = [finding(HERE, message=f"number {number}", code="HPD003") for number in range(37)]
    other = finding(HERE, code="HPD004", name="other")
    text = render(report(*findings, other, texts=TEXTS), Options(quiet=True))
    assert text.count("error[HPD003]") == 20
    assert "and 17 more of HPD003 in prod/deploy.yaml" in text
    assert "error[HPD004]" in text
    every = render(report(*findings, texts=TEXTS), Options(quiet=True, verbose=True))
    assert every.count("error[HPD003]") == 37
    assert "more of" not in every


def test_many_inputs_that_are_not_pd_are_cut_short() -> None:
    inputs = tuple(InputReport(f"{number}.yaml", None, "not-pd", "no roles") for number in range(1000))
    text = render(report(inputs=inputs), Options())
    assert text.count("not-pd: ") == 10
    assert "and 990 more not-pd" in text


def test_findings_come_in_the_order_of_their_places() -> None:
    later, earlier = finding(at(DEPLOYMENT, "push")), finding(HERE)
    for form in FORMATS:
        text = renderer(form).render(report(later, earlier, texts=TEXTS), Options())
        assert text == renderer(form).render(report(earlier, later, texts=TEXTS), Options())


def test_boundaries_show_when_there_are_several() -> None:
    one, two = finding(HERE, boundaries=("a -> b",)), finding(HERE, boundaries=("a -> b", "a -> c"))
    assert "= boundaries" not in render(report(one, texts=TEXTS), Options())
    assert "= boundaries: a -> b, a -> c" in render(report(two, texts=TEXTS), Options())
    many = finding(HERE, boundaries=tuple(f"a -> {number}" for number in range(30)))
    assert "a -> 7 and 22 more" in render(report(many, texts=TEXTS), Options())


def test_impact_and_confidence() -> None:
    known = finding(HERE, impact="hang", cell="T6", practice=("BP-8", "BP-9"))
    assert "= impact: hang · confidence: certain · cell T6 · BP-8, BP-9\n" in render(report(known), Options())
    unknown = finding(HERE, impact=None, confidence="likely")
    assert "= confidence: likely\n" in render(report(unknown), Options())


def test_evidence_in_short_and_in_full() -> None:
    evidence = (Evidence("paper", "section 4", "says so"), Evidence("issue", "#1", "seen", "vllm >=0.24"))
    result = report(finding(HERE, evidence=evidence), texts=TEXTS)
    assert "= evidence: paper, section 4 (and 1 more: --verbose)" in render(result, Options())
    verbose = render(result, Options(verbose=True))
    assert "= evidence: paper: says so (section 4)" in verbose
    assert "= evidence: issue of vllm >=0.24: seen (#1)" in verbose


WRITTEN = place(DEPLOYMENT, "fp16")


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (FactView("a.b", 30, "s", "default", note="of vllm 0.24.0"), "a.b is 30 s (default of vllm 0.24.0)"),
        (FactView("a.b", 30, "s", "default", note="default of vllm"), "a.b is 30 s (default of vllm)"),
        (FactView("a.b", 1, "token", "assumed"), "a.b is 1 token (assumed)"),
        (FactView("a.b", "x", None, "looked up", note="models.yaml"), "a.b is x (looked up: models.yaml)"),
        (FactView("a.b", 8, "rank", "derived", WRITTEN), "a.b is 8 ranks (derived)"),
        (FactView("a.b", "fp8_e4m3", None, "stated", WRITTEN, "fp8"), "a.b is fp8_e4m3 (written fp8)"),
        (FactView("a.b", None, None, "stated"), "a.b is none"),
    ],
)
def test_facts_that_the_frames_do_not_show(fact: FactView, text: str) -> None:
    assert fact_text(fact) == text
    assert f"= because: {text}\n" in render(report(finding(HERE, facts=(fact,)), texts=TEXTS), Options())


def test_facts_that_the_frames_show_are_not_repeated() -> None:
    stated = FactView("prefill.kv.dtype", "fp16", None, "stated", WRITTEN)
    assert "because" not in render(report(finding(HERE, facts=(stated,)), texts=TEXTS), Options())


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (16, "token", "16 tokens"),
        (34359738368, "B", "32 GiB"),
        (512, "B", "512 B"),
        (1 / 3, "s", "0.333333 s"),
        (5600, "port", "5600"),
        (0.9, "1", "0.9"),
        (False, None, "false"),
        ("", None, '""'),
        (["a", 1, True], None, "[a, 1, true]"),
        (float("inf"), "B", "inf B"),
        (float("nan"), "s", "nan s"),
        pytest.param(1 << 20_000, "B", "about 2^20000 B", id="huge"),
    ],
)
def test_values(value: object, unit: str | None, text: str) -> None:
    assert value_text(value, unit) == text  # type: ignore[arg-type]


def test_undecided_rules_are_listed_when_verbose() -> None:
    assert "HPD204" not in render(example(), Options())
    assert (
        "  HPD204 kv-layout-mismatch: needs prefill.kv.layout (not stated in an open file, "
        "prod/deploy.yaml:4:11), decode.kv.layout (not stated in an open file)"
    ) in render(example(), Options(verbose=True))


def test_only_five_settling_facts() -> None:
    settling = tuple((f"fact{number}", 9 - number) for number in range(9))
    text = render(report(settling=settling, tally=Tally(undecided=9)), Options())
    assert "settles most: fact0 (9), fact1 (8), fact2 (7), fact3 (6), fact4 (5)\n" in text


def test_rendering_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.path[:0] = ['tests/report']\n"
        "from sample_reports import example\n"
        "from hetpd_cli.report import Options, renderer\n"
        "for form in ('full', 'concise'): renderer(form).render(example(), Options(width=80))\n"
        "heavy = {'rich', 'jsonschema', 'dataclasses', 'inspect', 'yaml', 'numpy', 'json'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
