"""The comment as GitHub's own renderer shows it, and nothing in it that files put there."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options as Cmark
from hypothesis import given
from hypothesis import strategies as st
from sample_reports import DEPLOYMENT, PATH, also, at, example, finding, report
from test_report_hostile import HOSTILE, assert_inert, hostile

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.findings import InputReport, Report, Tally, Undecided
from hetpd_cli.report import Options, Repository
from hetpd_cli.report.markdown import LIMIT_BYTES, MARKER, render
from hetpd_cli.report.markdown_text import code, fence, link, plain
from hetpd_cli.report.style import inert
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
PLAIN = Options()
GITHUB_LIMIT = 65_536
MARKUP = [
    "**bold** __bold__ _em_ *em* ~~gone~~ `code` ``x",
    "[a](http://evil.example) ![a](http://evil.example/x.png) [a][b] [^1] [^1]: x",
    "<img src=x onerror=alert(1)><a href='x'>y</a><!-- hetpd --></details></summary>",
    "http://evil.example https://evil.example ftp://evil.example www.evil.example WWW.evil.example",
    "mail@evil.example mailto:mail@evil.example xmpp:mail@evil.example <http://evil.example>",
    "@octocat @org/team octocat@0123456789abcdef0123456789abcdef01234567",
    "#12 GH-12 gh-12 org/repo#12 CVE-2024-12345 GHSA-aaaa-bbbb-cccc deadbeef",
    ":smile: :+1: :100: a:100:b",
    "a|b \\|c \\\\|d ||",
    "```",
    "~~~~ ````` ```",
    "- [ ] task",
    "* x",
    "+ x",
    "1. x",
    "12) x",
    "# heading",
    "=====",
    "-----",
    "> [!WARNING]",
    "&lt;b&gt; &amp; &#60;b&#62; &copy;",
    "$x$ $$x$$ $`x`$ ${HOST} and $PORT",
    "trailing\\",
    "`",
    "\\`",
    "| --- |",
    "    indented",
    "\u00e9_x_ _\u00e9_",
]
# What GitHub's filters look for in text outside code and links, after rendering.
REFERENCES = re.compile(r"@\w|#\w|\b(?:GH|CVE|GHSA)-\w|:[\w+-]+:|\b[0-9a-f]{7,40}\b|https?:/|www\.|\$", re.IGNORECASE)


class Page(HTMLParser):
    """The tags, the text in them and the addresses of a rendered page."""

    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.free: list[str] = []
        self.codes: list[str] = []
        self.blocks: list[str] = []
        self.text = ""
        self.comments: list[str] = []
        self.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, Cmark.CMARK_OPT_UNSAFE))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs} - {"href"}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag != "br":
            self.open.append(tag)
        if tag == "code":
            (self.blocks if "pre" in self.open else self.codes).append("")
        self.text += "\n" if tag in {"br", "p", "li", "td", "th", "pre", "h3", "summary"} else ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self.open:
            self.blocks[-1] += data
        elif "code" in self.open:
            self.codes[-1] += data
        elif "span" not in self.open:
            self.free.append(data)


def page(result: Report, options: Options = PLAIN) -> Page:
    text = render(result, options)
    assert_inert(text)
    assert text.startswith(f"{MARKER}\n### hetpd: ")
    assert len(text.encode()) <= LIMIT_BYTES < GITHUB_LIMIT
    shown = Page(text)
    assert shown.comments.count(" hetpd ") == 1
    assert not any(REFERENCES.search(part) for part in shown.free), shown.free
    return shown


def heading(result: Report, options: Options = PLAIN) -> str:
    return render(result, options).split("\n")[1].removeprefix("### hetpd: ")


def rows(shown: str) -> list[str]:
    return [line for line in shown.split("\n") if line.startswith("| **")]


def test_a_row_and_details_a_finding() -> None:
    shown = page(example())
    assert (shown.tags["tr"], shown.tags["details"], shown.tags["pre"]) == (1 + 3, 3 + 1, 3)
    assert heading(example()) == "2 errors, 1 warning in 1 of 2 files"
    for spot in ("6:17", "10:17", "7:35", "13:13", "7:23"):
        assert f"{PATH}:{spot}" in shown.codes


def test_the_worst_come_first() -> None:
    spots = [at(DEPLOYMENT, token) for token in ("fp16", "bf16", "push")]
    given = zip(spots, ("info", "error", "warning"), strict=True)
    text = render(report(*(finding(spot, severity=severity) for spot, severity in given)), PLAIN)
    assert [re.match(r"\| \*\*(\w+)", row)[1] for row in rows(text)] == ["error", "warning", "info"]  # type: ignore[index]


def test_frames_are_those_of_the_terminal() -> None:
    (block,) = page(report(example().findings[0], texts={PATH: DEPLOYMENT})).blocks
    assert block.split("\n")[:4] == [
        f"  --> {PATH}:6:17",
        "   |",
        " 6 |     kv: {dtype: fp16, block_size: 16}",
        "   |                 ^^^^ KV written as fp16",
    ]


def test_notes_are_there() -> None:
    shown = page(example())
    first = example().findings[0]
    assert f"why: {first.why}" in shown.text
    assert f"fix: {first.fix}" in shown.text
    assert "impact: silent · confidence: certain · cell T4 · BP-4, BP-5" in shown.text


@pytest.mark.parametrize("quiet", [False, True])
def test_what_was_checked_unless_quiet(quiet: bool) -> None:
    shown = page(example(), PLAIN._replace(quiet=quiet))
    assert shown.tags["details"] == (3 if quiet else 4)
    assert ("HPD204 kv-layout-mismatch" in shown.codes) != quiet
    assert ("17 rules: 11 held, 3 violated, 1 undecided" in shown.text) != quiet


def test_places_are_links_where_files_can_be_looked_at() -> None:
    address = "https://github.com/o/r/blob/abc/"
    options = PLAIN._replace(repository=Repository("/top", "/top/sub", address))
    paths = {"a b(1)>.yaml": "sub/a%20b%281%29%3E.yaml", "a\udcff.yaml": "sub/a%FF.yaml", "/top/c.yaml": "c.yaml"}
    for path, quoted in paths.items():
        shown = page(report(finding(at(DEPLOYMENT, "fp16", path=path), also(DEPLOYMENT, "bf16", path=path))), options)
        assert shown.links == [f"{address}{quoted}#L6", f"{address}{quoted}#L10"]
    for path in ("<stdin>", "<command line>", "/elsewhere/a.yaml"):
        shown = page(report(finding(at(DEPLOYMENT, "fp16", path=path))), options)
        assert shown.links == []
        assert f"{path}:6:17" in shown.codes


def test_an_address_that_markdown_cannot_hold_is_no_link() -> None:
    for address in ("https://x/a b", "https://x/a>b", "javascript:alert(1)", "https://x/\n", None):
        assert link("`a`", address) == "`a`"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (report(), "no findings in 1 file"),
        (report(tally=Tally(held=3, undecided=1)), "no findings in 1 file, 1 verdict undecided"),
        (report(tally=Tally(undecided=2, not_applicable=1)), "nothing was decided, 2 verdicts undecided"),
        (report(tally=Tally(not_applicable=1)), "nothing was decided"),
        (report(tally=Tally()), "nothing was checked"),
        (report(inputs=(), tally=Tally()), "nothing was checked"),
    ],
)
def test_no_finding_is_called_what_it_is(result: Report, words: str) -> None:
    assert heading(result) == words
    assert page(result).tags["table"] == 0


def test_suppressed_findings_come_last_when_verbose() -> None:
    result = report(
        finding(at(DEPLOYMENT, "fp16"), suppressed="known"), finding(at(DEPLOYMENT, "bf16"), severity="info")
    )
    assert len(rows(render(result, PLAIN))) == 1
    _, last = rows(render(result, PLAIN._replace(verbose=True)))
    assert last.startswith("| **suppressed error**")
    assert "suppressed: known" in page(result, PLAIN._replace(verbose=True)).text
    assert heading(result) == "1 info in 1 file (1 suppressed)"


def test_inputs_that_were_not_checked_say_why() -> None:
    result = report(inputs=(InputReport(PATH, "k8s", "unresolved", "its other half is missing"),), tally=Tally())
    assert f"{PATH} (k8s): unresolved: its other half is missing" in page(result).text


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_place_of_an_example_is_found_again(path: Path) -> None:
    result = check(list(find([str(path)]).readings(Limits())), catalogue())
    shown = page(result, PLAIN._replace(repository=Repository(str(path.parents[1]), "/", "https://x.example/")))
    name = f"examples/{path.name}"
    wanted = Counter(f"{name}:{spot.place.line}:{spot.place.column}" for one in result.findings for spot in one.places)
    told = Counter(text for text in shown.codes if text in wanted)
    heads = Counter(f"{name}:{one.primary.line}:{one.primary.column}" for one in result.findings)
    assert told == wanted + heads
    assert len(shown.links) == sum(wanted.values())
    assert shown.tags["pre"] == len(result.findings)


# -- the limit of a comment ------------------------------------------------------------------------------------


def test_details_go_before_findings() -> None:
    many = [finding(at(DEPLOYMENT, "fp16"), message=f"finding {number}", why="x" * 3000) for number in range(100)]
    shown = page(report(*many))
    kept = shown.tags["pre"]
    assert 5 < kept < 20
    assert shown.tags["tr"] == 101
    assert f"the details of {100 - kept} findings left out" in shown.text


def test_findings_that_do_not_fit_are_counted() -> None:
    many = [finding(at(DEPLOYMENT, "fp16"), message=f"{number} {'x' * 900}") for number in range(200)]
    shown = page(report(*many, finding(at(DEPLOYMENT, "bf16"), severity="info", message="small")))
    kept = shown.tags["tr"] - 1
    assert 20 < kept < 100
    assert f"{201 - kept} findings left out" in shown.text


def test_a_finding_too_large_hides_no_other() -> None:
    shown = page(report(finding(at(DEPLOYMENT, "fp16"), message="x" * 90_000), finding(at(DEPLOYMENT, "bf16"))))
    assert shown.tags["tr"] == 2
    assert f"{PATH}:10:17" in shown.codes
    assert "1 finding left out" in shown.text


def test_many_inputs_and_undecided_rules_leave_room_for_findings() -> None:
    inputs = tuple(InputReport(f"{number}.yaml", "k8s", "unresolved", "é" * 200) for number in range(500))
    undecided = tuple(Undecided("HPD204", "x", None, (), (), "y" * 200, PATH) for _ in range(500))
    for verbose in (False, True):
        result = example()._replace(inputs=inputs, undecided=undecided)
        shown = page(result, PLAIN._replace(verbose=verbose))
        assert shown.tags["pre"] == 3
        assert re.search(r"and \d+ more inputs", shown.text)
        assert re.search(r"and \d+ more rules", shown.text)


def test_a_finding_at_many_places() -> None:
    spots = [also(DEPLOYMENT, "bf16", label=str(number)) for number in range(30)]
    result = report(finding(at(DEPLOYMENT, "fp16"), *spots))
    assert "and 23 more places" in page(result).text
    assert page(result, PLAIN._replace(verbose=True)).codes.count(f"{PATH}:10:17") == 30


# -- what files put there --------------------------------------------------------------------------------------


def assert_does_nothing(text: str, *, verbose: bool) -> None:
    """The page has the tags that it has for harmless text, and shows the text."""
    options = PLAIN._replace(verbose=verbose, repository=Repository("/top", "/top"))
    shown, harmless = page(hostile(text), options), page(hostile("harmless"), options)
    # Formulas are kept from GitHub by a span around each dollar.
    del shown.tags["span"]
    assert shown.tags == harmless.tags
    assert (shown.links, shown.attributes) == ([], harmless.attributes)
    assert " ".join(inert(" ".join(text.split())).split()) in " ".join(shown.text.split())


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP])
@pytest.mark.parametrize("verbose", [False, True])
def test_hostile_content_is_text(text: str, verbose: bool) -> None:
    assert_does_nothing(text, verbose=verbose)


@given(st.text(st.sampled_from("`|\\<>&[]()!*_~#-+=:@$.w1aé\n \t/") | st.characters(), min_size=1, max_size=40))
def test_any_text_is_text(text: str) -> None:
    if text.strip():
        assert_does_nothing(text, verbose=True)


@pytest.mark.parametrize("text", MARKUP)
@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("- ", ""), ("| a |\n| --- |\n| ", " |"), ("**x**: ", ""), ("<p>", "</p>")]
)
def test_plain_text_is_one_line_of_text(text: str, before: str, after: str) -> None:
    shown = Page(before + plain(text) + after)
    del shown.tags["span"]
    assert shown.tags == Page(f"{before}harmless{after}").tags
    assert " ".join(text.split()) in shown.text
    assert not any(REFERENCES.search(part) for part in shown.free)


@pytest.mark.parametrize("text", [*MARKUP, " ", "x "])
def test_code_is_one_piece_of_code(text: str) -> None:
    (shown,) = Page(f"| a |\n| --- |\n| {code(text)} |").codes
    assert shown.strip() == text.strip()


@pytest.mark.parametrize("lines", [["```"], ["~~~"], ["``````", "a"], ["", "<b>", "    x"]])
def test_a_fence_holds_its_lines(lines: list[str]) -> None:
    shown = Page(f"{fence(lines)}\n\nend")
    assert shown.blocks == ["\n".join([*lines, ""])]
    assert shown.free[-2:] == ["end", "\n"] or shown.text.endswith("end\n")
