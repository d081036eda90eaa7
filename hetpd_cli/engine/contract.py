"""The contract of a boundary: the versioned KV object of BP-4 and the verdict of figure 5 (arXiv 2606.29708).

**The gate.** Every state that prefill can produce has to be one that decode can go on with. Model, position state and
runtime schema have to be equal; decode has to serve every adapter that prefill serves, and to admit sequences as long
as prefill does. Where an invariant is known to differ, the state never crosses:

1. *reroute*, if a decode pool that the same prefill pool hands over to is known to agree in every invariant, and every
   change that it needs is known to be made;
2. else *recompute* on decode, if model, adapters and token range are known to agree (so decode can produce the same
   state itself) and decode's engine is known to compute prompts in a decode worker;
3. else *reject*.

A shorter context or fewer adapters on decode concern some states only, and the verdict says which; the others cross as
they would. No context is too short that holds a request of the workload.

The gate never opens again when more is stated of the pools; which of the three is advised may change, as the first two
are advised only where they are known to be possible. Where no invariant is known to differ and one is unknown:
*undecided*.

**Behind the gate** layout, block size and partition on one hand, element type, scales, rotation and wire form on the
other say whether to consume, redistribute, convert or both. Each known difference is a step, made by what the handoff
declares or by what the connectors are known to do, or known to be missing, or unknown.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.contracts import (
    INVARIANTS,
    MOMENTS,
    NO,
    PORTABLE,
    UNKNOWN,
    YES,
    Contract,
    ContractReport,
    Duty,
    Entry,
    Invariant,
    Step,
    Verdict,
)
from hetpd_cli.contracts import UNDECIDED as UNDECIDED_WORD
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.findings import shown, view
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.engine.verdicts import UNDECIDED as RULE_UNDECIDED
from hetpd_cli.engine.verdicts import VIOLATED, judge
from hetpd_cli.facts.truth import all_true, any_true, equal, negate, ordered, within
from hetpd_cli.facts.values import DERIVED, NONE, UNDECIDED, Truth, Unknown, Value
from hetpd_cli.fields import field
from hetpd_cli.findings import FactView, InputReport, Need
from hetpd_cli.tables import Cell, lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hetpd_cli.deployment import Deployment
    from hetpd_cli.facts.space import Scope
    from hetpd_cli.sources.reader import Reading

SIDES = ("prefill", "decode")

UNQUANTISED = ("fp32", "bf16", "fp16")
"""Element types whose KV has neither scales nor a rotation."""

QUANTISATION = ("kv.scales", "kv.scale_group", "kv.rotation", "kv.residual_tokens")
"""What belongs to a quantised KV beside its element type."""

PARTITION_RULES = ("HPD204", "HPD205", "HPD206")
"""Rules that say which unequal tensor parallel sizes a connector takes."""


class Compared(NamedTuple):
    """A property of both pools: its name, its field, how agreement is judged, the fact that knows why it is open."""

    name: str
    path: str
    agree: Callable[[Scope, str], Truth]
    fact: str | None = None


# -- agreement -------------------------------------------------------------------------------------------------


def _value(scope: Scope, name: str) -> Value:
    return scope.fact(name).value


def _both(scope: Scope, path: str) -> tuple[Value, Value]:
    return _value(scope, f"prefill.{path}"), _value(scope, f"decode.{path}")


def _same(scope: Scope, path: str) -> Truth:
    return equal(*_both(scope, path))


def _truth(value: Any) -> Truth:
    return value if isinstance(value, bool) else UNDECIDED


def _by_fact(name: str, path: str, fact: str) -> Compared:
    """Return a property whose agreement is a derived fact of the handoff."""
    return Compared(name, path, lambda scope, _: _truth(_value(scope, f"handoff.{fact}")), fact)


def _one_revision(scope: Scope, path: str) -> Truth:
    """Tell whether both load one revision; a short and a long form of one commit are one."""
    return True if _value(scope, "handoff.one_revision") is True else _same(scope, path)


def _admits(scope: Scope, path: str) -> Truth:
    """Tell whether decode's limit is no lower than prefill's, or no lower than a request of the workload is long."""
    prefill, decode = _both(scope, path)
    fits = ordered("<=", _value(scope, "workload.request_tokens"), decode)
    return any_true([ordered("<=", prefill, decode), fits is True])


def _one_release(scope: Scope, _path: str) -> Truth:
    """Tell whether both run one release, or two that are known not to meet; other skew decides nothing.

    That a connector does not compare releases does not make their schemas one.
    """
    refused = all_true(
        [
            _value(scope, "handoff.needs_equal_engine_version"),
            negate(_value(scope, "handoff.tolerates_release_skew")),
        ]
    )
    return any_true([_value(scope, "handoff.one_release"), False if refused is True else UNDECIDED])


def _one_connector(scope: Scope, path: str) -> Truth:
    """Tell whether both sides hand over by one connector; none is not one."""
    if NONE in _both(scope, path):
        return False
    return _truth(_value(scope, "handoff.one_connector"))


def _one_schema(scope: Scope, path: str) -> Truth:
    """Tell whether the connectors are of one version, which the engine's release says where it brings the code."""
    in_release = [_of_lifecycle(scope, side, "schema_in_release") for side in SIDES]
    same = _same(scope, path)
    return any_true([same if same is True else UNDECIDED, all_true([cell and cell.value for cell in in_release])])


def _unquantised(scope: Scope) -> Truth:
    return all_true([within(dtype, UNQUANTISED) for dtype in _both(scope, "kv.dtype")])


def _same_quantisation(scope: Scope, path: str) -> Truth:
    return any_true([_unquantised(scope), _same(scope, path)])


def _same_unless_latent(scope: Scope, path: str) -> Truth:
    """Compare what an MLA latent does not have: an order of heads."""
    return any_true([_same(scope, path), _value(scope, "handoff.latent_kv")])


def _same_in_effect(agree: Callable[[Scope, str], Truth]) -> Callable[[Scope, str], Truth]:
    """Return agreement of what attention TP is made of: where attention TP agrees, nothing else counts."""
    return lambda scope, path: True if _same_share(scope, ATTENTION_TP.path) is True else agree(scope, path)


def _same_share(scope: Scope, path: str) -> Truth:
    """Compare TP sizes: for an MLA latent, which every rank holds whole, one has to divide the other."""
    sizes = _both(scope, path)
    divisible: Truth = UNDECIDED
    if all(isinstance(size, int) and size > 0 for size in sizes):
        least, most = sorted(size for size in sizes if isinstance(size, int))
        divisible = most % least == 0
    return any_true([equal(*sizes), all_true([divisible, _value(scope, "handoff.latent_kv")])])


IDENTITY: dict[str, tuple[Compared, ...]] = {
    "model": (Compared("model", "model.id", _same), Compared("revision", "model.revision", _one_revision)),
    "adapters": (_by_fact("adapters", "model.adapters", "adapters_covered"),),
    "token range": (Compared("longest context", "engine.max_context_tokens", _admits),),
    "position state": (
        Compared("RoPE scaling", "model.position.rope_scaling", _same),
        Compared("RoPE base", "model.position.rope_theta", _same),
        Compared("tokenizer", "model.position.tokenizer", _same),
        Compared("chat template", "model.position.chat_template", _same),
    ),
    "runtime schema": (
        _by_fact("engine", "engine.name", "one_engine"),
        Compared("release", "engine.version", _one_release, "one_release"),
        Compared("connector", "connector.name", _one_connector, "one_connector"),
        Compared("connector version", "connector.version", _one_schema),
    ),
}
"""The invariants and the properties that each is made of; it agrees if all of them do."""

NUMBERS = (
    _by_fact("element type", "kv.dtype", "one_kv_dtype"),
    Compared("scales", "kv.scales", _same_quantisation),
    Compared("scale group", "kv.scale_group", _same_quantisation),
    Compared("rotation", "kv.rotation", _same_quantisation),
    Compared("residual tokens", "kv.residual_tokens", _same_quantisation),
)
"""The numerical representation."""

LAYOUT = Compared("layout", "kv.layout", _same_unless_latent)
BLOCK_SIZE = Compared("block size", "kv.block_size", _same)
ATTENTION_TP = Compared("attention TP", "parallelism.attention_tp", _same_share)
PARTITION = (
    ATTENTION_TP,
    Compared("PP", "parallelism.pp", _same),
    Compared("prefill CP", "parallelism.cp", _same),
    Compared("decode CP", "parallelism.dcp", _same),
)
SPACE = (LAYOUT, BLOCK_SIZE, *PARTITION)
"""How the state lies in memory and over ranks."""

SHOWN_ONLY = (
    Compared("TP", "parallelism.tp", _same_in_effect(_same_share)),
    Compared("DP attention", "parallelism.dp_attention", _same_in_effect(_same)),
)
"""What attention TP is made of."""

WIRE = (("wire form", "handoff.wire.form"), ("wire dtype", "handoff.wire.dtype"), ("wire codec", "handoff.wire.codec"))
RESIDENCY = (
    ("staging", "handoff.path.staging"),
    ("link", "handoff.path.link"),
    ("store", "store.name"),
    ("store tiers", "store.tiers"),
)


# -- the object ------------------------------------------------------------------------------------------------


def _word(truth: Any) -> str:
    return {True: YES, False: NO}.get(truth, UNKNOWN) if isinstance(truth, bool) else UNKNOWN


def _view(scope: Scope, side: str, path: str) -> FactView:
    """Return a side's fact as shown; an unquantised KV is known to have no scales though nobody says so."""
    fact = scope.fact(f"{side}.{path}")
    dtype = scope.fact(f"{side}.kv.dtype")
    if path in QUANTISATION and fact.unknown and dtype.value in UNQUANTISED:
        note = f"{shown(dtype)} has none"
        return FactView(f"{side}.{path}", None, fact.unit, DERIVED, None, None, note, fact.owner.name)
    return view(f"{side}.{path}", fact)


def _entry(scope: Scope, compared: Compared) -> Entry:
    values = tuple(_view(scope, side, compared.path) for side in SIDES)
    return Entry(compared.name, values, _word(compared.agree(scope, compared.path)))


def _single(scope: Scope, name: str, fact: str) -> Entry:
    return Entry(name, (view(fact, scope.fact(fact)),), None)


def _parts(scope: Scope) -> dict[str, tuple[Entry, ...]]:
    identity = [compared for group in IDENTITY.values() for compared in group]
    mode = Compared("mode", "connector.mode", _same)
    buffer = Compared("buffer", "connector.buffer_device", _same)
    return {
        "identity": tuple(_entry(scope, compared) for compared in identity),
        "representation": (
            *(_entry(scope, compared) for compared in (*NUMBERS, LAYOUT, BLOCK_SIZE, *SHOWN_ONLY, *PARTITION)),
            *(_single(scope, *wire) for wire in WIRE),
        ),
        "residency": (_entry(scope, buffer), *(_single(scope, *one) for one in RESIDENCY)),
        "lifecycle": (_entry(scope, mode), *(_entry(scope, bound) for bound in _bounds(scope))),
    }


def _bounds(scope: Scope) -> list[Compared]:
    """Return the settings that bound how long blocks are held, of the lifecycle of either side."""
    cells = [_of_lifecycle(scope, side, "bounded_by") for side in SIDES]
    paths = dict.fromkeys(path for cell in cells if cell for path in _words(cell))
    return [Compared(path.rpartition(".")[2].removesuffix("_s").replace("_", " "), path, _same) for path in paths]


def _words(cell: Cell) -> list[str]:
    return [str(word) for word in cell.value] if isinstance(cell.value, tuple) else [str(cell.value)]


# -- lifecycle -------------------------------------------------------------------------------------------------


def _of_lifecycle(scope: Scope, side: str, name: str) -> Cell | None:
    """Return what the table says about the lifecycle of one side's connector."""
    names = ("engine.name", "connector.name", "connector.mode", "engine.version")
    engine, connector, mode, version = (
        value if isinstance(value, str) else None for value in (_value(scope, f"{side}.{path}") for path in names)
    )
    return lifecycle(engine, connector, mode, version, name) if engine else None


def _duties(scope: Scope) -> tuple[Duty, ...]:
    """Return who is responsible at each moment; what the two sides' lifecycles do not say alike is not known."""
    return tuple(_duty(scope, moment) for moment in MOMENTS)


def _duty(scope: Scope, moment: str) -> Duty:
    prefill, decode = (_of_lifecycle(scope, side, moment) for side in SIDES)
    known = [_value(scope, f"handoff.{name}") for name in ("one_engine", "one_connector")]
    if False in known or _same(scope, "connector.mode") is False:
        return Duty(moment, None, "the two sides follow different lifecycles")
    if prefill is None or decode is None:
        return Duty(moment, None, _unknown_lifecycle(scope, "prefill" if prefill is None else "decode"))
    if prefill.value != decode.value:
        return Duty(moment, None, "the two sides follow different lifecycles")
    who, what = _words(prefill)
    return Duty(moment, who, what, prefill.source, prefill.confidence)


def _unknown_lifecycle(scope: Scope, side: str) -> str:
    named = {"connector": "connector.name", "engine": "engine.name", "release": "engine.version"}
    values = {name: scope.fact(f"{side}.{path}") for name, path in named.items()}
    for name, fact in values.items():
        if fact.unknown:
            return f"the {name} of {side} is not known"
    connector, engine, release = (shown(fact) for fact in values.values())
    mode = scope.fact(f"{side}.connector.mode")
    if mode.unknown and any(lifecycle(engine, connector, one, release, MOMENTS[0]) for one in ("pull", "push")):
        return f"the mode of {side}'s connector is not known"
    in_mode = "" if mode.unknown else f" ({shown(mode)})"
    return f"nobody has written down the lifecycle of {connector}{in_mode} on {engine} {release}"


# -- the gate --------------------------------------------------------------------------------------------------


def _needs(scope: Scope, names: Iterable[str]) -> tuple[Need, ...]:
    """Return what is unknown behind facts, each once: fields as they are, derived facts by their leaves."""
    prefixes = {subject: prefix for prefix, subject in scope.subjects.items()}
    needs: dict[str, Need] = {}
    for name in names:
        fact = scope.fact(name)
        stateable = field(fact.owner.kind, fact.path) is not None
        for leaf in [fact] if stateable else fact.leaves():
            if isinstance(leaf.value, Unknown):
                known = f"{prefixes.get(leaf.owner, leaf.owner.name)}.{leaf.path}"
                needs.setdefault(known, Need(known, leaf.value.reason, leaf.place, leaf.owner.name))
    return tuple(needs.values())


def _open_needs(scope: Scope, group: Iterable[Compared]) -> tuple[Need, ...]:
    """Return what would settle the undecided properties of ``group``."""
    undecided = [one.path for one in group if _word(one.agree(scope, one.path)) == UNKNOWN]
    return _needs(scope, [f"{side}.{path}" for path in undecided for side in SIDES])


def _text(scope: Scope, side: str, path: str) -> str:
    return shown(scope.fact(f"{side}.{path}"))


def _against(scope: Scope, compared: Compared) -> str:
    prefill, decode = (_text(scope, side, compared.path) for side in SIDES)
    if compared.agree is _admits:
        return f"prefill makes states of up to {prefill}, decode admits {decode}"
    if compared.path == "model.adapters":
        return f"prefill serves the adapters {prefill}, decode {decode}"
    return f"{compared.name} {prefill} against {decode}"


def _invariant(scope: Scope, name: str) -> Invariant:
    group = IDENTITY[name]
    truths = [compared.agree(scope, compared.path) for compared in group]
    agree = _word(all_true(truths))
    if agree == YES:
        return Invariant(name, agree)
    decisive = [one for one, truth in zip(group, truths, strict=True) if _word(truth) == agree]
    if agree == NO:
        return Invariant(name, agree, "; ".join(_against(scope, one) for one in decisive))
    stuck = [one for one in decisive if not _needs(scope, [f"{side}.{one.path}" for side in SIDES])]
    doubts = "; ".join(f"{_against(scope, one)}: {_doubt(scope, one)}" for one in stuck)
    return Invariant(name, agree, doubts, _open_needs(scope, [one for one in group if not stuck or _may_differ(one)]))


def _doubt(scope: Scope, compared: Compared) -> str:
    """Say why two known values are not known to agree."""
    value = _value(scope, f"handoff.{compared.fact}") if compared.fact else None
    return value.reason if isinstance(value, Unknown) else "not known to be one schema"


def _may_differ(compared: Compared) -> bool:
    """Tell whether stating a property can close the gate: then it settles an invariant that nothing else settles."""
    return compared.agree is not _one_schema


def gate(scope: Scope) -> tuple[Invariant, ...]:
    """Return every invariant of a boundary."""
    return tuple(_invariant(scope, name) for name in INVARIANTS)


def _agreed(invariants: tuple[Invariant, ...], names: Iterable[str] = INVARIANTS) -> bool:
    return all(one.agree == YES for one in invariants if one.name in names)


# -- differences and what bridges them -------------------------------------------------------------------------


def _wire_as_produced(scope: Scope) -> Truth:
    """Tell whether the wire carries what prefill holds.

    A form, element type or codec that is stated counts; else nothing changes the numbers unless something converts.
    """
    form, dtype, codec = (_value(scope, name) for _, name in WIRE)
    if form == "converted" or (isinstance(codec, str) and codec):
        return False
    as_written = equal(dtype, _value(scope, "prefill.kv.dtype"))
    if as_written is False:
        return False
    untouched = any_true([equal(form, "same"), negate(_value(scope, "handoff.converts_dtype"))])
    return any_true([untouched, as_written if not isinstance(dtype, Unknown) else UNDECIDED])


def _same_numbers(scope: Scope) -> Truth:
    return all_true([*(one.agree(scope, one.path) for one in NUMBERS), _wire_as_produced(scope)])


def _same_space(scope: Scope) -> Truth:
    return all_true(one.agree(scope, one.path) for one in SPACE)


def _portable(scope: Scope) -> tuple[str, ...]:
    """Return the cells of figure 5 that are possible."""
    numbers, space = (
        (truth,) if isinstance(truth, bool) else (True, False) for truth in (_same_numbers(scope), _same_space(scope))
    )
    cells = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}
    return tuple(PORTABLE[cells[pair]] for pair in product(numbers, space))


_BY_CONNECTOR = (("layout", LAYOUT, "layouts_agree"), ("block_size", BLOCK_SIZE, "takes_blocks"))
"""Aspects that a reader of vLLM NIXL adapts to by itself, each with the fact that says whether it does."""


def _steps(scope: Scope) -> tuple[Step, ...]:
    """Return a step for everything that is known to differ."""
    steps = []
    numbers = [one for one in NUMBERS if one.agree(scope, one.path) is False]
    if numbers or _wire_as_produced(scope) is False:
        change = ", ".join(_change(scope, one) for one in numbers) or _wire_change(scope)
        steps.append(_step(scope, "dtype", change, _value(scope, "handoff.converts_dtype"), None))
    for aspect, compared, own in _BY_CONNECTOR:
        if compared.agree(scope, compared.path) is False:
            by_connector = _value(scope, f"handoff.{own}")
            copes = negate(_value(scope, f"handoff.needs_equal_{aspect}"))
            exists = any_true([_value(scope, f"handoff.converts_{aspect}"), by_connector, copes])
            side = "decode" if by_connector is True else None
            steps.append(_step(scope, aspect, _change(scope, compared), exists, side))
    split = [one for one in PARTITION if one.agree(scope, one.path) is False]
    if split:
        exists = any_true(["partition" in _declared(scope), _redistributes(scope, split)])
        change = ", ".join(_change(scope, one) for one in split)
        steps.append(_step(scope, "partition", change, exists, _payer(scope)))
    return tuple(steps)


def _change(scope: Scope, compared: Compared) -> str:
    prefill, decode = (_text(scope, side, compared.path) for side in SIDES)
    return f"{compared.name} {prefill} -> {decode}"


def _wire_change(scope: Scope) -> str:
    said = [f"{name} {shown(scope.fact(fact))}" for name, fact in WIRE if not scope.fact(fact).unknown]
    return ", ".join(said)


def _declared(scope: Scope) -> tuple[Any, ...]:
    of = _value(scope, "handoff.conversion.of")
    return of if isinstance(of, tuple) else ()


def _redistributes(scope: Scope, split: list[Compared]) -> Truth:
    """Tell whether the connectors send each rank its share; known for unequal TP only, by the rules on it.

    The rules speak of what is refused, so they count where the connectors' demands are known.
    """
    if any(one.path != "parallelism.attention_tp" for one in split):
        return UNDECIDED
    outcomes = [judge(rule, scope).outcome for rule in catalogue() if rule.code in PARTITION_RULES]
    if VIOLATED in outcomes:
        return False
    if RULE_UNDECIDED in outcomes or isinstance(_value(scope, "handoff.needs_divisible_tp"), Unknown):
        return UNDECIDED
    return True


def _payer(scope: Scope) -> str | None:
    prefill, decode = (_of_lifecycle(scope, side, "redistributes") for side in SIDES)
    return str(prefill.value) if prefill and decode and prefill.value == decode.value else None


def _step(scope: Scope, aspect: str, change: str, truth: Any, own_side: str | None) -> Step:
    """Return the step; what the handoff declares comes before what the connectors do."""
    exists = _word(truth)
    if exists != YES:
        return Step(aspect, change, exists, _absence(scope, aspect, exists))
    if aspect not in _declared(scope):
        return Step(aspect, change, exists, "by the connectors", own_side)
    where, by = (_value(scope, f"handoff.conversion.{name}") for name in ("where", "by"))
    known = [one if isinstance(one, str) else None for one in (where, by)]
    return Step(aspect, change, exists, "declared in handoff.conversion", *known)


def _absence(scope: Scope, aspect: str, exists: str) -> str:
    if exists == UNKNOWN:
        needs = _needs(scope, ["handoff.conversion.of"])
        return "nothing is declared, and what the connectors do is not known" if needs else "not known"
    declared = scope.fact("handoff.conversion.of")
    of = "" if declared.unknown else f"; handoff.conversion says {shown(declared)}"
    return f"the connectors do not change the {aspect.replace('_', ' ')}{of}"


# -- verdicts --------------------------------------------------------------------------------------------------


RECOMPUTABLE = ("model", "adapters", "token range")
"""Invariants in which decode has to agree to produce the same state itself."""


def _undecided_needs(scope: Scope, invariants: tuple[Invariant, ...]) -> tuple[Need, ...]:
    """Return what would settle the gate, and of numbers and space what is open; scales wait for the element type.

    Where an invariant stays unknown whatever is stated, only what may close the gate settles anything.
    """
    needs = [need for one in invariants for need in one.needs]
    if any(one.agree == UNKNOWN and one.reason for one in invariants):
        return tuple({need.fact: need for need in needs}.values())
    if _word(_same_numbers(scope)) == UNKNOWN:
        needs += _open_needs(scope, NUMBERS[:1]) or _open_needs(scope, NUMBERS)
        if _word(_wire_as_produced(scope)) == UNKNOWN:
            needs += _needs(scope, ["handoff.conversion.of"])
    if _word(_same_space(scope)) == UNKNOWN:
        needs += _open_needs(scope, SPACE)
    return tuple({need.fact: need for need in needs}.values())


PARTIAL = ("token range", "adapters")
"""Invariants in which two pools differ for some states only."""


class Found(NamedTuple):
    """What is found of one boundary before its verdict, which takes the other boundaries too."""

    scope: Scope
    invariants: tuple[Invariant, ...]
    steps: tuple[Step, ...]

    @property
    def prefill(self) -> str:
        """Name of the prefill pool."""
        return self.scope.subjects["prefill"].name

    @property
    def decode(self) -> str:
        """Name of the decode pool."""
        return self.scope.subjects["decode"].name


class Reroute(NamedTuple):
    """Decode pools that can take what one boundary does not: whether everything else that differs is bridged there."""

    bridged: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def _reroute(found: Found, siblings: Iterable[Found]) -> Reroute:
    """Return where the states go that ``found`` does not take.

    Adapters that decode lacks may be spread over several of the pools, each of which agrees in all the rest.
    """
    names: dict[str, list[str]] = {"bridged": [], "unknown": [], "missing": []}
    lacking = _lacking_adapters(found)
    spread: dict[str, set[str]] = {}
    for one in siblings:
        part = lacking & _entries(one.scope, "decode")
        if part and _agreed(one.invariants, [name for name in INVARIANTS if name != "adapters"]):
            spread[one.decode] = part
        elif not _agreed(one.invariants):
            continue
        bridged = len(_portable(one.scope)) == 1 and all(step.exists == YES for step in one.steps)
        missing = any(step.missing for step in one.steps)
        names["missing" if missing else "bridged" if bridged else "unknown"].append(one.decode)
    reached = set().union(*(spread.get(name, set()) for name in names["bridged"]))
    bridged_names = names["bridged"] if lacking <= reached else []
    return Reroute(tuple(bridged_names), tuple(names["unknown"]), tuple(names["missing"]))


def _lacking_adapters(found: Found) -> set[str]:
    """Return the adapters of prefill that decode is known to lack."""
    if any(one.name == "adapters" and one.agree == NO for one in found.invariants):
        return _entries(found.scope, "prefill") - _entries(found.scope, "decode")
    return set()


def _entries(scope: Scope, side: str) -> set[str]:
    value = _value(scope, f"{side}.model.adapters")
    return set(map(str, value)) if isinstance(value, tuple) else set()


def _reasons(reroute: Reroute) -> tuple[str, ...]:
    said = {
        "agrees in every invariant that counts here": reroute.bridged,
        "agrees too, but what bridges the rest is not known": reroute.unknown,
        "agrees too, but a needed step is missing": reroute.missing,
    }
    return tuple(f"{text}: {', '.join(names)}" for text, names in said.items() if names)


def _concerned(found: Found) -> str | None:
    """Return the states that a closed gate concerns, None if all."""
    differing = [one.name for one in found.invariants if one.agree == NO]
    if not set(differing) <= set(PARTIAL):
        return None
    said = {
        "token range": f"above {_text(found.scope, 'decode', 'engine.max_context_tokens')}",
        "adapters": f"of {', '.join(sorted(_lacking_adapters(found)))}",
    }
    return f"states {' or '.join(said[name] for name in PARTIAL if name in differing)}"


def _closed(scope: Scope, invariants: tuple[Invariant, ...], reroute: Reroute) -> Verdict:
    reasons = tuple(f"{one.name}: {one.reason}" for one in invariants if one.agree == NO) + _reasons(reroute)
    if reroute.bridged:
        return Verdict("reroute", reasons, reroute.bridged)
    computes = _of_lifecycle(scope, "decode", "decode_computes_prefill")
    lacking = [one for one in invariants if one.name in RECOMPUTABLE and one.agree != YES]
    if lacking:
        said = ", ".join(f"{one.name} {'differs' if one.agree == NO else 'not known'}" for one in lacking)
        needs = tuple(need for one in lacking for need in one.needs)
        return Verdict("reject", (*reasons, f"no recompute on decode: {said}"), needs=needs)
    if computes is None or computes.value is not True:
        known = "computes no prompts" if computes else "is not known to compute prompts"
        return Verdict("reject", (*reasons, f"no recompute on decode: a decode worker {known} in this engine"))
    return Verdict("recompute", (*reasons, "decode agrees in model, adapters and token range"))


def _verdict(found: Found, siblings: Iterable[Found]) -> Verdict:
    scope, invariants = found.scope, found.invariants
    portable = _portable(scope)
    unknown = [one for one in invariants if one.agree == UNKNOWN]
    open_word = portable[0] if not unknown and len(portable) == 1 else UNDECIDED_WORD
    if any(one.agree == NO for one in invariants):
        concerned = _concerned(found)
        closed = _closed(scope, invariants, _reroute(found, siblings))
        return closed._replace(portable=portable, concerns=concerned, others=open_word if concerned else None)
    if open_word != UNDECIDED_WORD:
        return Verdict(open_word, (), (), portable)
    reasons = tuple(f"{one.name}: {one.reason}" for one in unknown if one.reason)
    return Verdict(UNDECIDED_WORD, reasons, (), portable, _undecided_needs(scope, invariants))


def contracts(deployment: Deployment) -> tuple[Contract, ...]:
    """Return the contract of every boundary of ``deployment``."""
    found = [Found(scope, gate(scope), _steps(scope)) for scope in Scopes(deployment).boundaries]
    of_prefill: dict[str, list[Found]] = {}
    for one in found:
        of_prefill.setdefault(one.prefill, []).append(one)
    return tuple(_contract(deployment, one, of_prefill[one.prefill]) for one in found)


def _contract(deployment: Deployment, found: Found, siblings: Iterable[Found]) -> Contract:
    return Contract(
        path=deployment.path,
        deployment=deployment.name,
        prefill=found.prefill,
        decode=found.decode,
        place=found.scope.subjects["handoff"].place,
        verdict=_verdict(found, siblings),
        invariants=found.invariants,
        steps=found.steps,
        parts=_parts(found.scope),
        duties=_duties(found.scope),
    )


def report_on(readings: Sequence[Reading]) -> ContractReport:
    """Return the contract of every boundary that ``readings`` declare."""
    inputs: list[InputReport] = []
    found: list[Contract] = []
    for reading in readings:
        ours = [contract for deployment in reading.deployments for contract in contracts(deployment)]
        found += ours
        labels = tuple(f"{contract.prefill} -> {contract.decode}" for contract in ours)
        inputs.append(InputReport(reading.path, reading.format, reading.status, _detail(reading, labels), labels))
    return ContractReport(tuple(inputs), tuple(found))


def _detail(reading: Reading, labels: tuple[str, ...]) -> str:
    said = [reading.detail] if reading.detail else []
    if reading.problems and reading.status != "unreadable":
        said.append(f"faults of the input: {len(reading.problems)} (hetpd check names them)")
    if reading.joined and not reading.deployments:
        said.append(f"joined with {', '.join(reading.joined)}")
    elif reading.status == "checked" and not labels:
        said.append("no boundary")
    return "; ".join(said)
