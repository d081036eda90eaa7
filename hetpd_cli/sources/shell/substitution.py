"""What ``$(..)`` gives where that follows from the script alone: echo, printf, seq, cat of a here-document."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from hetpd_cli.sources.embedded import Embedded
from hetpd_cli.sources.shell.scan import closing, raw_words
from hetpd_cli.sources.shell.values import Part, stand_for

if TYPE_CHECKING:
    from hetpd_cli.sources.launch import Word
    from hetpd_cli.sources.shell.expansion import Expander

_HERE_DOCUMENT = re.compile(
    r"\s*cat\s*<<(?P<dash>-?)\s*(?P<quote>['\"]?)(?P<word>\w+)(?P=quote)[ \t]*\n(?P<body>.*)", re.S
)
_MOST_NUMBERS = 256


def output(expander: Expander, source: Embedded, start: int, end: int) -> list[Part] | None:
    """Return what the command ``source.text[start:end]`` prints, without line ends at the end; None if unknown."""
    text = source.text
    document = _HERE_DOCUMENT.match(text, start, end)
    if document:
        return _document(expander, source, document)
    spans = raw_words(text, start, end, expander.budget)
    if not spans or len(spans) > 256:
        return None
    program = text[slice(*spans[0])]
    if program not in ("echo", "printf", "seq", "basename", "dirname"):
        return None
    if any(_has_operator(expander, text, *span) for span in spans):
        return None
    if "\n" in text[start:end].strip() and any(
        "\n" in text[one[1] : other[0]].replace("\\\n", "") for one, other in pairwise(spans)
    ):
        return None
    words: list[Word] = []
    for begin, stop in spans[1:]:
        fields, incomplete = expander.words(source, begin, stop)
        if incomplete or any(field.several for field in fields):
            return None
        words += [field.word for field in fields]
    return _printed(program, words, source[start:end])


def _has_operator(expander: Expander, text: str, at: int, end: int) -> bool:
    """Tell whether a word has characters outside of quotes and expansions that end it for the shell."""
    while at < end:
        if text[at] in "|;&<>()":
            return True
        if text[at] in "'\"":
            close = closing(text, at + 1, end, '"', expander.budget) if text[at] == '"' else text.find("'", at + 1, end)
            at = close if close >= 0 else at
        elif text[at] == "$" and text[at + 1 : at + 2] in ("(", "{"):
            close = closing(text, at + 2, end, ")" if text[at + 1] == "(" else "}", expander.budget)
            at = close if close >= 0 else at
        elif text[at] == "\\":
            at += 1
        at += 1
    return False


def _printed(program: str, words: list[Word], written: Embedded) -> list[Part] | None:
    if program == "echo":
        while words and words[0].value in ("-n", "-e", "-E"):
            if words.pop(0).value == "-e" and any("\\" in word.value for word in words):
                return None
        parts: list[Part] = []
        for number, word in enumerate(words):
            if number:
                parts.append(Part(stand_for(" ", written)))
            parts.append(Part(word.text, word.unresolved))
        return parts
    if any(word.unresolved for word in words) or not words:
        return None
    if program == "printf":
        form = words[0].value
        if form in ("%s", "%s\\n") and len(words) == 2:
            return [Part(words[1].text)]
        return [Part(words[0].text)] if len(words) == 1 and not set("%\\") & set(form) else None
    if program == "seq":
        return _numbers([word.value for word in words], written)
    text = words[0].text
    if len(words) > 1 or not text.text.strip("/"):
        return None
    slash = text.text.rstrip("/").rfind("/")
    if program == "basename":
        return [Part(text[slash + 1 : len(text.text.rstrip("/"))])]
    return [Part(text[:slash])] if slash > 0 else None


def _numbers(words: list[str], written: Embedded) -> list[Part] | None:
    if len(words) > 3 or not all(re.fullmatch(r"-?\d{1,9}", word) for word in words):
        return None
    numbers = [int(word) for word in words]
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) == 3 else 1
    if step == 0:
        return None
    found = range(first, numbers[-1] + (1 if step > 0 else -1), step)[:_MOST_NUMBERS]
    return [Part(stand_for("\n".join(map(str, found)), written))]


def _document(expander: Expander, source: Embedded, document: re.Match[str]) -> list[Part] | None:
    begin, end = document.span("body")
    close = re.compile(rf"^[\t]*{re.escape(document['word'])}[ \t]*$", re.M).search(source.text, begin, end)
    if close is None or source.text[close.end() : end].strip():
        return None
    stop = close.start()
    while stop > begin and source.text[stop - 1] == "\n":
        stop -= 1
    if document["dash"]:
        return None
    return here_document(expander, source, begin, stop, expand=not document["quote"])


def here_document(expander: Expander, source: Embedded, start: int, end: int, *, expand: bool) -> list[Part]:
    """Return the text of a here-document."""
    if not expand:
        return [Part(source[start:end])]
    text = source.text
    parts: list[Part] = []
    # A double quote is a character there.
    while start < end:
        quote = text.find('"', start, end)
        stop = end if quote < 0 else quote
        parts += [part for part in expander.parts(source, start, stop, quoted=True) if part is not None]
        if quote >= 0:
            parts.append(Part(source[quote : quote + 1]))
        start = stop + 1
    return [part._replace(quoted=False) for part in parts]
