"""A new release of an engine: ``python -m hetpd_cli.releases vllm 0.34.0`` lists what has to be read again.

Rules and tables hold for the releases that somebody has read. This lists every piece of evidence and every row whose
range ends at the newest release known before it, with where to look. ``--widen FILE...`` lets the ranges in these files
(all files without a name) take in the new release; do that for what you have read, and for nothing else. What has been
widened is no longer listed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.engine.catalogue import load_rule, rule_files
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.resources import rules_dir, table_path
from hetpd_cli.versions import is_version, version_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TABLES = ("capabilities", "engines", "lifecycles")
_UPPER = re.compile(r"<([0-9]+(?:\.[0-9]+)*)$")


class Range(NamedTuple):
    """A range of releases in a file: who it is of, and where what it rests on is to be read."""

    path: Path
    engine: str
    spec: str
    at: str


def ranges(folder: Path | None = None) -> Iterator[Range]:
    """Yield every range of releases of the rules in ``folder`` (the built-in ones) and of the tables."""
    for path in rule_files(folder or rules_dir()):
        for row in load_rule(path)["evidence"]:
            engine, _, spec = str(row.get("of", "")).partition(" ")
            if engine:
                yield Range(path, engine, spec, row["at"])
    for name in TABLES:
        path = table_path(name)
        for row in load_rule(path)["rows"]:
            sources = {source for cell in row.values() if isinstance(cell, dict) for source in cell.get("source", ())}
            at = f"{row.get('connector') or 'any connector'}: {', '.join(sorted(sources))}"
            yield Range(path, row["engine"], row["versions"], at)


def ending(every: Iterable[Range], engine: str, version: str) -> list[Range]:
    """Return the ranges of ``engine`` that end at the newest release known before ``version``.

    That is the highest upper bound of those that do not take it in: what is wide enough already counts for nothing, and
    evidence that other evidence of the same rule goes on from ended there for good.
    """
    ours = [one for one in every if one.engine == engine]
    begins = {(one.path, one.spec.partition(",")[0].removeprefix(">=")) for one in ours if not _of_table(one)}
    found = []
    for one in ours:
        upper = _upper(one.spec)
        if upper and (one.path, upper) not in begins and not version_in(version, one.spec):
            found.append((one, _numbers(upper)))
    newest = max((upper for _, upper in found if upper <= _padded(version)), default=None)
    return [one for one, upper in found if upper == newest]


def _of_table(one: Range) -> bool:
    return one.path.parent.name == "data"


def gap(found: Sequence[Range], version: str) -> str:
    """Say what else is taken in where the ranges end before an earlier release than ``version``; else nothing."""
    upper = next((_upper(one.spec) for one in found), None)
    if upper is None or _cut(version, upper) == _numbers(upper):
        return ""
    return f"widening takes in everything from {upper} up to {version}, not just {version}"


def widened(spec: str, version: str) -> str:
    """Return ``spec`` with an upper bound just above ``version``: `>=0.24,<0.34` takes in 0.34.1 as `>=0.24,<0.35`."""
    upper = _upper(spec) or ""
    parts = _cut(version, upper)
    bound = ".".join(map(str, (*parts[:-1], parts[-1] + 1)))
    return f"{spec.removesuffix(upper)}{bound}"


def widen(found: Iterable[Range], version: str) -> list[Path]:
    """Write the wider ranges into the files and return these."""
    files: dict[Path, str] = {}
    for one in found:
        text = files.get(one.path) or one.path.read_text(encoding="utf-8")
        old, new = re.escape(one.spec), widened(one.spec, version)
        if _of_table(one):
            row = rf"(- engine: \"?{re.escape(one.engine)}\"?\n(?:(?!  - ).*\n)*?    versions: \"?){old}(?=\"?\n)"
        else:
            row = rf"(of: \"?{re.escape(one.engine)} ){old}(?=\"?[,}}\n])"
        files[one.path] = re.sub(row, rf"\g<1>{new}", text)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


def _upper(spec: str) -> str | None:
    match = _UPPER.search(spec)
    return match[1] if match else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _padded(version: str) -> tuple[int, ...]:
    return (*_numbers(version), 0, 0, 0)


def _cut(version: str, upper: str) -> tuple[int, ...]:
    """Return as many numbers of ``version`` as ``upper`` has."""
    return _padded(version)[: upper.count(".") + 1]


def main(arguments: Sequence[str]) -> int:
    """List, and widen where that is asked. Returns 2 for wrong usage."""
    words = [word for word in arguments if not word.startswith("--")]
    flags = {word for word in arguments if word.startswith("--")}
    widening = "--widen" in flags
    if len(words) < 2 or not is_version(words[1]) or flags - {"--widen"} or (len(words) > 2 and not widening):
        return _refused("usage: python -m hetpd_cli.releases ENGINE VERSION [--widen [FILE...]]")
    engine, version, *files = words
    every = list(ranges())
    known = sorted({one.engine for one in every} - {"*"})
    if engine not in known:
        return _refused(
            f"nothing is known of {engine}{did_you_mean(nearest(engine, known))}; known: {', '.join(known)}"
        )
    found = ending(every, engine, version)
    if widening:
        return _widen(found, engine, version, files)
    for one in found:
        sys.stdout.write(f"{one.path}: {one.engine} {one.spec}: {one.at}\n")
    at = f", at {_upper(found[0].spec)}" if found else ""
    sys.stdout.write(f"{len(found)} ranges end before {engine} {version}{at}\n")
    if gap(found, version):
        sys.stdout.write(f"{gap(found, version)}\n")
    return 0


def _widen(found: list[Range], engine: str, version: str, files: Sequence[str]) -> int:
    """Widen the ranges of ``files``, all without any. Nothing is written where one of them has none."""
    ours = {str(one.path.resolve()) for one in found}
    for name in files:
        if not Path(name).is_file():
            return _refused(f"{name}: no such file")
        if str(Path(name).resolve()) not in ours:
            return _refused(f"{name} has no range of {engine} that ends before {version} at the newest known release")
    if not files and gap(found, version):
        return _refused(f"{gap(found, version)}: name the files for which that is right")
    chosen = [one for one in found if not files or str(one.path.resolve()) in {str(Path(f).resolve()) for f in files}]
    for path in widen(chosen, version):
        sys.stdout.write(f"widened {path}\n")
    if gap(chosen, version):
        sys.stdout.write(f"{gap(chosen, version)}\n")
    return 0


def _refused(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
