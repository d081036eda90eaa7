"""What a fact can be: a value, known to be none, or unknown."""

from __future__ import annotations

from typing import Final

Scalar = str | int | float | bool
Known = Scalar | tuple[Scalar, ...]

STATED: Final = "stated"
ASSUMED: Final = "assumed"
DEFAULT: Final = "default"
LOOKED_UP: Final = "looked up"
DERIVED: Final = "derived"
UNKNOWN: Final = "unknown"

ORIGINS: Final = (STATED, ASSUMED, DEFAULT, LOOKED_UP, DERIVED, UNKNOWN)


class Nothing:
    """Type of :data:`NONE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "none"


NONE: Final = Nothing()
"""Known to have none: the scales of a bf16 KV."""


class Unknown:
    """A value that nobody knows.

    ``candidates`` are its possible values where they are known. ``identity`` names the unknown: two unknowns of
    one identity are the same value, whatever it is. ``left`` tells that the engine decides, because the field says so
    or the pool's scope is closed.
    """

    __slots__ = ("candidates", "identity", "left", "reason")

    def __init__(
        self,
        reason: str,
        candidates: tuple[Known | Nothing, ...] | None = None,
        identity: str | None = None,
        *,
        left: bool = False,
    ) -> None:
        self.reason = reason
        self.left = left
        self.candidates = candidates
        self.identity = identity

    def __repr__(self) -> str:
        return f"Unknown({self.reason!r}, {self.candidates!r}, {self.identity!r})"


Value = Known | Nothing | Unknown
Truth = bool | Unknown

UNDECIDED: Final = Unknown("not decided")
"""The third truth value."""
