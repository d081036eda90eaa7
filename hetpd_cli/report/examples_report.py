"""What became of the examples of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.report.style import Style, finish, inert, prose, wrap
from hetpd_cli.report.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.report import Options
    from hetpd_cli.rule_examples import Failure, Tested


def tested(result: Tested, options: Options) -> str:
    """Return a line for a rule file, and a few for each example that fails."""
    style = Style(options.colour)
    if result.error is not None:
        return finish([f"{style('error', 'FAIL')}  {prose(str(result.error))}"])
    count = plural(len(result.examples), "example")
    head = f"{style('strong', inert(result.code))} {inert(result.name)}"
    if not result.failures:
        return finish([f"{style('good', 'ok  ')}  {head}: {count}"])
    lines = [f"{style('error', 'FAIL')}  {head}: {len(result.failures)} of {count} failed"]
    for failure in result.failures:
        lines += _failure(result, failure, options)
    return finish(lines)


def _failure(result: Tested, failure: Failure, options: Options) -> Iterator[str]:
    example = failure.example
    line = result.lines.get(example.key)
    place = inert(result.path) + (f":{line}" if line else "")
    yield f"      {place}: {example.kind} example, {prose(example.title)}"
    yield from (
        " " * 8 * (not index) + text for index, text in enumerate(wrap(prose(failure.what), options.width, 8, 8))
    )
    if failure.expected:
        yield f"          expected {_places(failure.expected)}"
    if failure.found:
        yield f"          found    {_places(failure.found)}"


def _places(places: tuple[str, ...]) -> str:
    return ", ".join(map(inert, places))


def summary(good: int, bad: int, options: Options) -> str:
    """Return the last line."""
    style = Style(options.colour)
    if bad:
        return finish([style("error", f"{bad} of {plural(good + bad, 'rule')} failed")])
    return finish([style("good", f"{plural(good, 'rule')}: all examples do what they are there for")])
