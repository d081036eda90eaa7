"""The page of one rule: what `hetpd explain` prints and what the documentation shows, from the rule's file.

:func:`page` makes a list of blocks of the file's content; :func:`markdown` and :func:`terminal` write these blocks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.families import FAMILIES, family_digit
from hetpd_cli.report.full import CELL_NAMES
from hetpd_cli.report.markdown_text import fence
from hetpd_cli.report.style import Style, finish, inert, prose, solid, width, wrap
from hetpd_cli.wording import number_text, unit_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.report import Options

SEVERITIES = {
    "error": "error: it breaks the handoff or its result",
    "warning": "warning: a loss that was probably not meant",
    "info": "info: worth knowing",
}
IMPACTS = {
    "refused": "refused: an error before or at the first request",
    "crash": "crash: a process ends",
    "hang": "hang: something waits that is never answered",
    "silent": "silent: wrong output without an error",
    "leak": "leak: memory is not given back",
    "slow": "slow: time or throughput is lost",
    "cost": "cost: more hardware than the work needs",
    "exposed": "exposed: reachable by those who should not reach it",
}
CONFIDENCES = {
    "certain": "certain: the condition was read in the source, or follows by arithmetic",
    "likely": "likely: the condition is established, the effect depends on what is not seen here",
    "guess": "guess: an open question of the field; it never fails a run",
}
SUBJECTS = {
    "pool": "each pool",
    "boundary": "each boundary: one prefill pool, one decode pool and their handoff",
    "pair": "each pair of pools",
    "deployment": "the deployment as a whole",
    "input": "the input itself, while it is read",
}
DECISIONS = {"placement": "compute placement", "representation": "KV representation", "ownership": "KV ownership"}
_EXAMPLES = {
    "bad": "Bad example",
    "good": "Good example",
    "near-miss": "Near miss",
}
_INDENT = 2
_MARKS = re.compile(r"([\\*\[\]|]|<(?=[A-Za-z/!?])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""What could mark up text in Markdown; an underscore within a word and a less-than before a number cannot."""

_ONE_LINE = 90
"""Characters up to which an expression stands on one line."""

_JOINTS = re.compile(r"""\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[()]|\s+(?:and|or)\s+|[^()\"'\s]+|\s+|.""")


class Block(NamedTuple):
    """A part of a page: a heading, a paragraph, an item, a term with its words, or source text with its language."""

    kind: str
    text: str
    more: str = ""


def page(raw: dict[str, Any]) -> list[Block]:
    """Return the page of the rule whose file holds ``raw``; ``severity_source`` says where its severity is set."""
    return [
        Block("title", f"{raw['code']} {raw['name']}"),
        Block("paragraph", f"{raw['title']}."),
        *_terms(raw),
        *_section("Why", raw["why"]),
        *_section("Fix", raw["fix"]),
        *_conditions(raw),
        *_section("Message", raw.get("message", "")),
        *_thresholds(raw),
        *_section("Limits", raw.get("limits", "")),
        *_evidence(raw),
        *_examples(raw),
    ]


def _section(title: str, text: str) -> Iterator[Block]:
    if text:
        yield Block("heading", title)
        yield Block("paragraph", text)


def _terms(raw: dict[str, Any]) -> Iterator[Block]:
    cell, decision = raw.get("cell"), raw.get("decision")
    digit = family_digit(raw["code"])
    family = next((family.title for family in FAMILIES if family.digit == digit), digit)
    terms = {
        "severity": SEVERITIES[raw["severity"]] + (f" ({raw['severity_source']})" if "severity_source" in raw else ""),
        "impact": IMPACTS.get(raw.get("impact", ""), ""),
        "confidence": CONFIDENCES[raw["confidence"]],
        "asked of": SUBJECTS[raw["over"]],
        "family": family,
        "cell": f"{cell}, {CELL_NAMES[cell]}" if cell else "",
        "decision": DECISIONS[decision] if decision else "",
        "practice": ", ".join(raw.get("practice", ())),
        "since": raw["since"],
    }
    for term, words in terms.items():
        if words:
            yield Block("term", term, words)


def _conditions(raw: dict[str, Any]) -> Iterator[Block]:
    if "require" not in raw:
        return
    if "when" in raw:
        yield Block("heading", "Applies when")
        yield Block("code", _expression(raw["when"]))
    yield Block("heading", "Requires")
    yield Block("code", _expression(raw["require"]))


def _expression(text: str | bool) -> str:
    """Return an expression as it is evaluated; a long one with a line for each part that `and` or `or` joins."""
    if isinstance(text, bool):
        return str(text).lower()
    line = " ".join(text.split())
    if len(line) <= _ONE_LINE:
        return line
    depth, broken = 0, ""
    for piece in _JOINTS.findall(line):
        depth += (piece == "(") - (piece == ")")
        joint = piece.strip()
        broken += f"\n{' ' * 2 * depth}{joint} " if joint in {"and", "or"} else piece
    return "\n".join(_by_commas(part) for part in broken.split("\n"))


def _by_commas(line: str) -> str:
    """Return a long call with a line for each operand; one with text in it stays, for the sake of its commas."""
    if len(line) <= _ONE_LINE or '"' in line or "'" in line:
        return line
    indent = len(line) - len(line.lstrip()) + 2 * _INDENT
    return line.replace(", ", ",\n" + " " * indent)


def _thresholds(raw: dict[str, Any]) -> Iterator[Block]:
    parameters = raw.get("parameters", {})
    if parameters:
        yield Block("heading", "Thresholds")
    for name, entry in parameters.items():
        value = number_text(entry["value"]) + unit_text(entry["value"], entry["unit"])
        yield Block("term", f"param.{name}", f"{value} ({entry['source']})")


def _evidence(raw: dict[str, Any]) -> Iterator[Block]:
    yield Block("heading", "Evidence")
    for row in raw["evidence"]:
        product, _, versions = str(row.get("of", "")).partition(" ")
        of = f", {product} {'in any version' if versions == '*' else versions}" if product else ""
        yield Block("item", f"{row['kind']}{of}, {row['at']}: {row['says']}")


def _examples(raw: dict[str, Any]) -> Iterator[Block]:
    for kind, title in _EXAMPLES.items():
        for example in raw.get("examples", {}).get(kind, ()):
            file = example.get("file", "")
            yield Block("heading", f"{title}{file and f', {file}'}: {example['title']}")
            language = "sh" if file.endswith((".sh", ".bash")) else "md" if file.endswith(".md") else "yaml"
            yield Block("source", example["deployment"].rstrip("\n"), language)
            if "at" in example:
                places = [place.partition(":") for place in example["at"]]
                said = "; ".join(f"line {line}, `{text}`" for line, _, text in places)
                yield Block("paragraph", f"Reported at {said}.")


# -- Markdown --------------------------------------------------------------------------------------------------


def markdown(blocks: list[Block]) -> str:
    """Return a page as Markdown. Text of a rule's file is written so that it can mark up nothing."""
    parts: list[str] = []
    for before, block in zip([None, *blocks], blocks, strict=False):
        if block.kind == "term" and (before is None or before.kind != "term"):
            parts += ["", "| | |", "| --- | --- |"]
        elif block.kind not in {"term", "item"} or (before is not None and before.kind != block.kind):
            parts.append("")
        parts.append(_markdown(block))
    return "\n".join(parts).strip("\n") + "\n"


def _markdown(block: Block) -> str:
    if block.kind in {"code", "source"}:
        return fence([inert(line) for line in block.text.split("\n")], block.more or "text")
    text = _plain_markdown(block.text)
    if block.kind == "term":
        return f"| {text} | {_plain_markdown(block.more)} |"
    return {"title": "# ", "heading": "## ", "item": "- "}.get(block.kind, "") + text


def _plain_markdown(text: str) -> str:
    """Return text with its marks escaped; pairs of backticks keep what stands between them."""
    pieces = prose(text).split("`")
    if len(pieces) % 2 == 0:
        return _MARKS.sub(r"\\\1", "'".join(pieces))
    # A table's cell ends at a bar, in code too.
    return "`".join(
        piece.replace("|", "\\|") if index % 2 else _MARKS.sub(r"\\\1", piece) for index, piece in enumerate(pieces)
    )


# -- the terminal ----------------------------------------------------------------------------------------------


def terminal(blocks: list[Block], options: Options) -> str:
    """Return a page as text for a terminal: wrapped where there is one, source text as it is."""
    style = Style(options.colour)
    column = max((width(block.text) for block in blocks if block.kind == "term"), default=0) + _INDENT
    lines: list[str] = []
    for before, block in zip([None, *blocks], blocks, strict=False):
        if before is not None and _apart(before, block):
            lines.append("")
        lines += _terminal(block, style, options.width, column)
    return finish(lines)


def _apart(before: Block, block: Block) -> bool:
    """Tell whether an empty line stands between two blocks."""
    return (
        block.kind in {"heading", "title"}
        or before.kind in {"title", "paragraph"}
        or (before.kind, block.kind) == ("source", "paragraph")
    )


def _terminal(block: Block, style: Style, columns: int | None, column: int) -> list[str]:
    if block.kind == "title":
        return [style("strong", prose(block.text))]
    if block.kind == "heading":
        return [style("strong", line) for line in wrap(prose(block.text), columns, 0, 0)]
    if block.kind in {"code", "source"}:
        return [" " * 2 * _INDENT + inert(line) for line in block.text.split("\n")]
    if block.kind == "term":
        lead = " " * _INDENT + prose(block.text).ljust(column)
        first, *rest = wrap(prose(block.more), columns, width(lead), width(lead))
        return [style("faint", lead) + first, *rest]
    lead = " " * _INDENT + ("- " if block.kind == "item" else "")
    first, *rest = wrap(_with_solid_code(prose(block.text)), columns, width(lead), width(lead))
    return [lead + first, *rest]


def _with_solid_code(text: str) -> str:
    """Keep what stands between backticks on one line, as a short token."""
    pieces = text.split("`")
    return "`".join(solid(piece) if index % 2 and len(piece) <= 40 else piece for index, piece in enumerate(pieces))
