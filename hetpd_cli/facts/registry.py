"""The functions that derive facts, and where engine defaults come from.

A derived fact is a plain function whose parameters name the facts it receives: ``parallelism__tp`` is
``parallelism.tp``. Of a handoff, ``prefill__kv__dtype`` is a fact of the prefill pool and ``conversion__of`` one of
the handoff itself. A parameter named in ``lenient`` may arrive unknown; for all others the framework tries the
candidates, or makes the result unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hetpd_cli.facts.values import LOOKED_UP, Unknown, Value
from hetpd_cli.fields import field

if TYPE_CHECKING:
    from collections.abc import Callable

    from hetpd_cli.facts.space import Subject

Function = TypeVar("Function", bound="Callable[..., Any]")


class Found(NamedTuple):
    """A value with an origin of its own, for functions that look something up."""

    value: Value
    note: str
    origin: str = LOOKED_UP


class Derivation(NamedTuple):
    """A derived fact. ``inputs`` are paths in the order of the function's parameters.

    A fact of a handoff may also look at the other decode pools of its prefill pool: the function receives the facts
    ``of_siblings`` of each of them after its inputs, known or not.
    """

    kind: str
    path: str
    unit: str | None
    inputs: tuple[str, ...]
    lenient: frozenset[str]
    function: Callable[..., Any]
    description: str
    result: str
    of_siblings: tuple[str, ...] = ()


class Default(NamedTuple):
    """A documented default of an engine, with its source."""

    value: Value
    note: str


class DerivedDefault(NamedTuple):
    """A default that hangs on device, model or other settings.

    The function receives the facts ``inputs``, known or not, and returns the default, or what it can be as candidates.
    Knowing more of the inputs never adds a candidate.
    """

    inputs: tuple[str, ...]
    function: Callable[..., Any]


_DERIVATIONS: dict[tuple[str, str], Derivation] = {}
_DEFAULTS: dict[str, DerivedDefault] = {}
_loaded = False


def derived(
    kind: str, path: str, *, unit: str | None = None, result: str = "text", lenient: tuple[str, ...] = ()
) -> Callable[[Function], Function]:
    """Register the decorated function as the fact ``path`` of a ``kind`` of subject (pool, handoff).

    ``result`` is the kind of value (text, number, integer, boolean, list).
    """

    def register(function: Function) -> Function:
        code = function.__code__
        inputs = tuple(name.replace("__", ".") for name in code.co_varnames[: code.co_argcount])
        description = (function.__doc__ or "").partition("\n\n")[0]
        add(Derivation(kind, path, unit, inputs, frozenset(lenient), function, description, result))
        return function

    return register


def default_of(path: str, *inputs: str) -> Callable[[Function], Function]:
    """Register the decorated function as what a pool's engine takes for ``path`` where nobody sets it.

    It is asked where the table of defaults has no row. It returns a :class:`Default`, candidates as a tuple, or None.
    Its parameters name the facts that it receives, unless ``inputs`` does.
    """

    def register(function: Function) -> Function:
        code = function.__code__
        named = tuple(name.replace("__", ".") for name in code.co_varnames[: code.co_argcount])
        _DEFAULTS[path] = DerivedDefault(inputs or named, function)
        return function

    return register


def derived_default(path: str) -> DerivedDefault | None:
    """Return the function that says what an engine takes for ``path`` where nobody sets it."""
    load()
    return _DEFAULTS.get(path)


def add(derivation: Derivation) -> None:
    """Register ``derivation``; a second one for its fact is an error."""
    key = (derivation.kind, derivation.path)
    if key in _DERIVATIONS:
        raise ValueError(f"two derivations of {derivation.kind}.{derivation.path}")
    _DERIVATIONS[key] = derivation


def load() -> None:
    """Import the modules that register derived facts."""
    global _loaded  # noqa: PLW0603
    if not _loaded:
        from hetpd_cli.facts import (  # noqa: F401
            ascend,
            backends,
            capacity,
            defaults,
            identity,
            launch,
            mooncake,
            moriio,
            nixl,
            nixl_agreement,
            nixl_heads,
            ownership,
            path,
            placement,
            representation,
            startup,
            stores,
            workload,
        )

        _loaded = True


def derivation(kind: str, path: str) -> Derivation | None:
    """Return the derivation of a fact, or None if it can only be stated."""
    load()
    return _DERIVATIONS.get((kind, path))


def derivations(kind: str) -> dict[str, Derivation]:
    """Return all derived facts of a kind of subject, by path."""
    load()
    return {path: found for (owner, path), found in _DERIVATIONS.items() if owner == kind}


def plain(value: Any) -> Value:
    """Return the value of a derivation's result without its origin."""
    found: Value = value.value if isinstance(value, Found) else value
    return found


BEHIND_DEFAULTS = ("engine.name", "engine.version", "connector.name")
"""Facts by which the documented default of a field is looked up."""

BEHIND_IDENTITIES = (*BEHIND_DEFAULTS, "engine.image", "accelerator", "model.id")
"""Facts that any default may depend on, known or not; none of them has a default itself."""

ENGINE_SECTIONS = ("kv", "engine", "parallelism", "precision", "speculative", "memory", "connector")
"""Mappings of a pool whose fields are settings of the engine: what is not set there, the engine decides."""

_BEHIND_SECTIONS = ("kv.", "engine.", "precision.", "env.")
"""Settings that a default may depend on: two silent pools are equal only if these are stated alike."""

_CONNECTOR = "connector.name"
"""A setting that other defaults are looked up by, and that has one itself."""

_DRAWN_AT_START = "connector.engine_id"
"""A setting that the engine draws by lot."""


def left_to_engine(subject: Subject, path: str) -> bool:
    """Tell whether the engine decides on ``path`` where nobody sets it."""
    if subject.kind != "pool" or path.partition(".")[0] not in ENGINE_SECTIONS or path in BEHIND_IDENTITIES:
        return False
    known = field("pool", path)
    return known is not None and known.change in {"free", "costly"} and path != _DRAWN_AT_START


def has_default(subject: Subject, path: str) -> bool:
    """Tell whether silence on ``path`` means what the engine decides: of what it is told, and of its connector."""
    return left_to_engine(subject, path) or (subject.kind == "pool" and path == _CONNECTOR)


def drawn_at_start(subject: Subject, path: str) -> bool:
    """Tell whether the engine draws ``path`` by lot where nobody sets it: two draws are never known to be equal."""
    return subject.kind == "pool" and path == _DRAWN_AT_START


def default(subject: Subject, path: str) -> Default | None:
    """Return the documented default of ``path`` for the subject's engine, connector and version."""
    from hetpd_cli.tables import engine_default

    if path == _CONNECTOR:
        return None
    engine, version, connector = (subject.fact(name).value for name in BEHIND_DEFAULTS)
    if not isinstance(engine, str):
        return None
    release = version if isinstance(version, str) else None
    return engine_default(engine, release, connector if isinstance(connector, str) else None, path)


def default_identity(subject: Subject, path: str) -> str | None:
    """Return what names the default of ``path``: equal names mean equal defaults.

    None unless engine, version or image, device, model and connector are all known, or unknown with an identity. Every
    setting that a default may depend on is part of the name.
    """
    if path == _CONNECTOR:
        return None
    parts = [f"default of {path}"]
    for name in BEHIND_IDENTITIES:
        value = subject.fact(name).value
        if not isinstance(value, Unknown):
            parts.append(f"{name}={value!r}")
        elif value.identity is not None:
            parts.append(f"{name}={value.identity}")
        elif name != "engine.image":
            return None
    for name, stated in sorted(subject.section.stated.items()):
        if name.startswith(_BEHIND_SECTIONS) and name not in BEHIND_IDENTITIES and name != path:
            parts.append(f"{name}={stated.value!r}")
    return "; ".join(parts)
