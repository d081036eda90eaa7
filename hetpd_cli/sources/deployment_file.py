"""Reads hetpd's own deployment file."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from hetpd_cli.deployment import CLOSED, DECODE, OPEN, PREFILL, Deployment, Handoff, Host, Pool, Section, Stated
from hetpd_cli.facts.values import DEFAULT
from hetpd_cli.fields import file_defaults, resolve, schema
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.reader import Reading
from hetpd_cli.sources.shape import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.places import Place
    from hetpd_cli.sources.text import Limits, SourceText
    from hetpd_cli.sources.tree import Node, Tree

STAMP = "hetpd"
"""The key that marks a deployment file."""

SITES = "location.sites"
"""The field of a pool that the sites of its hosts go to."""

_STAMPED = re.compile(r"""(?:^|[{,])[ \t]*["']?hetpd["']?[ \t]*:""", re.M)
_REPORT = re.compile(r"""\s*\{\s*(?:"type": "run", )?"schema": \d+,\s*"hetpd": \"""")
"""How hetpd's own reports in JSON begin. As YAML they may be broken: it takes no surrogates, and no JSON Lines."""


class DeploymentFileReader:
    """The reader of hetpd's own format. Its scope is open: what is absent is unknown."""

    format = "hetpd"

    def claims(self, source: SourceText) -> bool:
        """Tell whether a line or a bracket of ``source`` begins with the key ``hetpd``, and it is no report."""
        return _STAMPED.search(source.text) is not None and _REPORT.match(source.text) is None

    def recognises(self, tree: Tree) -> bool:
        """Tell whether a document of ``tree`` has the key ``hetpd`` at its top."""
        return any(_is_ours(document) for document in tree.documents)

    def read(self, source: SourceText, tree: Tree, limits: Limits) -> Reading:
        """Return the deployments of all documents that carry the stamp."""
        problems = list(tree.problems)
        texts = [source]
        deployments = []
        for document in tree.documents:
            if not _is_ours(document):
                continue
            built = _Document(source, limits)
            deployments.append(built.deployment(document))
            problems += built.problems
            texts += built.texts
        return Reading(source.path, self.format, "checked", "", tuple(deployments), tuple(problems), tuple(texts))


def _is_ours(document: Node) -> bool:
    """Tell whether a document has the stamp; hetpd's own reports have its version there, and a schema beside it."""
    stamp = document.get(STAMP) if document.kind == "mapping" else None
    return stamp is not None and (isinstance(stamp.value, int) or document.get("schema") is None)


def _part(name: str) -> dict[str, Any]:
    return resolve({"$ref": f"#/$defs/{name}"})


class _Document:
    """One document on its way to a deployment."""

    def __init__(self, source: SourceText, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.decoder = Decoder()
        self.texts: list[SourceText] = []

    @property
    def problems(self) -> list[Problem]:
        return self.decoder.problems

    def deployment(self, root: Node) -> Deployment:
        top = self.decoder.section(root, schema(), "workload", "")
        model = self._model(top.part("model"), root.get("model"))
        defaults = top.part("defaults")
        self._read_default_model(root.get("defaults"), defaults)
        pools = self._pools(root, defaults, model)
        hosts = self._hosts(root)
        self._references(pools, hosts)
        _place_pools(pools, hosts)
        handoffs = self._handoffs(root, pools)
        if root.get("pools") is not None and not pools:
            self._refuse_empty(root)
        return Deployment(
            path=self.source.path,
            name=_text(root.get("name")),
            pools=pools,
            handoffs=handoffs,
            hosts=hosts,
            workload=self._singleton(root, top, "workload"),
            router=self._singleton(root, top, "router"),
            store=self._singleton(root, top, "store"),
        )

    def _singleton(self, root: Node, top: Section, key: str) -> Section:
        node = root.get(key)
        section = top.part(key)
        section.kind = key
        section.place = node.place if node is not None else None
        if node is not None:
            section.declared.add("")
        return section

    # -- model -----------------------------------------------------------------------------------------------

    def _model(self, model: Section, node: Node | None) -> Section:
        """Return ``model`` with what its ``config.json`` says laid below what is stated inline."""
        config = node.get("config") if node is not None and node.kind == "mapping" else None
        if config is None or config.kind != "scalar" or not isinstance(config.value, str):
            return model
        from hetpd_cli.sources.model_config import read_model_config

        found = read_model_config(config, self.source.path, self.limits)
        self.problems.extend(found.problems)
        self.texts += found.texts
        return model.over(found.section)

    def _read_default_model(self, node: Node | None, defaults: Section) -> None:
        """Lay what the `config.json` of the pools' defaults says below what they state."""
        model = node.get("model") if node is not None and node.kind == "mapping" else None
        for path, stated in self._model(defaults.part("model"), model).stated.items():
            defaults.stated.setdefault(f"model.{path}", stated)

    # -- pools -----------------------------------------------------------------------------------------------

    def _pools(self, root: Node, defaults: Section, model: Section) -> tuple[Pool, ...]:
        node = root.get("pools")
        if node is None:
            return ()
        pools: list[Pool] = []
        for index, item in enumerate(
            self._bounded(self.decoder.list_of(node, "pools"), self.limits.max_pools, "pools")
        ):
            if item.kind != "mapping":
                self.decoder.wrong_type(item, f"pools[{index}]", "a mapping")
                continue
            pool = self._pool(item, index, defaults, model)
            twin = next((other for other in pools if other.name == pool.name), None)
            if twin is not None:
                self._twin(pool.place, twin.place, f"two pools are called {pool.name}")
                continue
            pools.append(pool)
        return tuple(pools)

    def _pool(self, item: Node, index: int, defaults: Section, model: Section) -> Pool:
        name_node = item.get("name") if item.kind == "mapping" else None
        name = _text(name_node) or f"pools[{index}]"
        own = self.decoder.section(item, _part("pool"), "pool", f"pools[{index}]")
        pool_model = self._model(own.part("model"), item.get("model") if item.kind == "mapping" else None)
        settings = own.over(_inherited(own, defaults))
        unstated = settings.stated.pop("unstated", None)
        settings.scope = CLOSED if unstated is not None and unstated.value == "default" else OPEN
        shares = not any(path.startswith("model.") for path in settings.stated)
        for path, stated in {**model.stated, **pool_model.stated}.items():
            settings.stated.setdefault(f"model.{path}", stated)
        if not shares:
            self._forget_other_model(settings, model, own.over(defaults))
        if settings.scope == OPEN:
            _fill_in(settings)
        settings.declared |= {f"model.{path}" for path in model.declared} | {"model"}
        role = own.text("role")
        place = name_node.place if name_node is not None and name_node.kind == "scalar" else _first(item)
        return Pool(name, role, place, settings, shares)

    def _forget_other_model(self, settings: Section, model: Section, own: Section) -> None:
        """Drop geometry of the deployment's model from a pool that serves another one."""
        if own.value("model.id") in (None, model.value("id")):
            return
        for path, stated in model.stated.items():
            if settings.stated.get(f"model.{path}") is stated:
                del settings.stated[f"model.{path}"]

    # -- hosts and handoffs ----------------------------------------------------------------------------------

    def _hosts(self, root: Node) -> tuple[Host, ...]:
        node = root.get("hosts")
        if node is None:
            return ()
        hosts: list[Host] = []
        for index, item in enumerate(self.decoder.list_of(node, "hosts")):
            section = self.decoder.section(item, _part("host"), "host", f"hosts[{index}]")
            name = section.text("name")
            twin = next((host for host in hosts if host.name == name), None)
            if twin is not None:
                self._twin(_first(item), twin.place, f"two hosts are called {name}", "give each host its own name")
                continue
            hosts.append(Host(section.text("name") or f"hosts[{index}]", _first(item), section))
        return tuple(hosts)

    def _references(self, pools: tuple[Pool, ...], hosts: tuple[Host, ...]) -> None:
        if not hosts:
            return
        known = [host.name for host in hosts]
        for pool in pools:
            stated = pool.settings.stated.get("hosts")
            if stated is None or stated.place is None or not isinstance(stated.value, tuple):
                continue
            for name in stated.value:
                if name not in known:
                    self._unknown_reference(
                        stated.place, f"pool {pool.name} runs on {name}, which is no host", str(name), known
                    )

    def _handoffs(self, root: Node, pools: tuple[Pool, ...]) -> tuple[Handoff, ...]:
        node = root.get("handoffs")
        if node is None:
            return self._default_handoffs(pools)
        handoffs: list[Handoff] = []
        listed = self._bounded(self.decoder.list_of(node, "handoffs"), self.limits.max_boundaries, "handoffs")
        for index, item in enumerate(listed):
            where = f"handoffs[{index}]"
            section = self.decoder.section(item, _part("handoff"), "handoff", where)
            if item.kind != "mapping":
                continue
            prefill = self._end(item.get("from"), pools, f"{where}.from", DECODE)
            decode = self._end(item.get("to"), pools, f"{where}.to", PREFILL)
            if prefill is None or decode is None:
                continue
            twin = next((one for one in handoffs if (one.prefill, one.decode) == (prefill, decode)), None)
            if twin is not None and twin.settings.place is not None:
                message = f"two handoffs join {prefill} and {decode}"
                self._twin(_first(item), twin.settings.place, message, "say in one handoff what belongs to the pair")
                continue
            handoffs.append(Handoff(prefill, decode, section, explicit=True))
        return tuple(handoffs)

    def _default_handoffs(self, pools: tuple[Pool, ...]) -> tuple[Handoff, ...]:
        """Return every pair of a prefill and a decode pool of one model, up to the limit."""
        most = self.limits.max_boundaries
        handoffs = tuple(islice(_default_handoffs(pools), most + 1))
        if len(handoffs) > most:
            self._too_many(pools[0].place, f"the pools make more than the {most} boundaries that are checked")
        return handoffs[:most]

    def _bounded(self, items: list[Node], most: int, where: str) -> list[Node]:
        """Return at most ``most`` of ``items``."""
        if len(items) > most:
            self._too_many(
                _first(items[most]), f"{where} has {len(items)} items, more than the {most} that are checked"
            )
        return items[:most]

    def _too_many(self, place: Place, message: str) -> None:
        spot = LabelledPlace(place, "one too many", primary=True)
        self.problems.append(Problem("too-many-pools", message, (spot,)))

    def _end(self, node: Node | None, pools: tuple[Pool, ...], where: str, wrong_role: str) -> str | None:
        name = _text(node)
        if node is None or name is None:
            return None
        pool = next((pool for pool in pools if pool.name == name), None)
        if pool is None:
            self._unknown_reference(
                node.place, f"{where} is {name}, which is no pool", name, [pool.name for pool in pools]
            )
            return None
        if pool.role == wrong_role:
            message = f"{where} is {name}, whose role is {wrong_role}"
            places = (
                LabelledPlace(node.place, f"a {wrong_role} pool here", primary=True),
                LabelledPlace(pool.place, "the pool"),
            )
            self.problems.append(Problem("unknown-reference", message, places, "a handoff goes from prefill to decode"))
            return None
        return name

    # -- problems --------------------------------------------------------------------------------------------

    def _unknown_reference(self, place: Place, message: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        guess = nearest(name, names)
        message += did_you_mean(guess)
        fix = f"write `{guess}`" if guess else f"declared: {', '.join(names[:8])}" if names else ""
        self.problems.append(
            Problem("unknown-reference", message, (LabelledPlace(place, "not declared", primary=True),), fix)
        )

    def _twin(self, place: Place, first: Place, message: str, fix: str = "give each pool its own name") -> None:
        places = (LabelledPlace(first, "first here"), LabelledPlace(place, "again here", primary=True))
        self.problems.append(Problem("duplicate-key", message, places, fix))

    def _refuse_empty(self, root: Node) -> None:
        node = root.get("pools")
        if node is not None and node.kind == "sequence" and not node.items:
            place = LabelledPlace(node.place, "no pool", primary=True)
            self.problems.append(
                Problem("invalid-value", "pools is empty", (place,), "add a prefill and a decode pool")
            )


def _inherited(own: Section, defaults: Section) -> Section:
    """Return the defaults that fit a pool: nothing of another engine or connector, nothing a replaced word implies."""
    dropped: set[str] = set()
    for section in ("engine", "connector"):
        name = f"{section}.name"
        ours, theirs = own.stated.get(name), defaults.stated.get(name)
        if ours is None or theirs is None:
            continue
        for path, stated in defaults.stated.items():
            implied = stated.place == theirs.place
            if path.startswith(f"{section}.") and (implied or ours.value != theirs.value):
                dropped.add(path)
    fitting = Section(defaults.kind, defaults.place)
    fitting.stated = {path: stated for path, stated in defaults.stated.items() if path not in dropped}
    fitting.declared = defaults.declared
    return fitting


def _fill_in(settings: Section) -> None:
    """State what the file means by not stating it, in the mappings that it declares."""
    for path, value in file_defaults("pool").items():
        if path.rpartition(".")[0] in settings.declared:
            stated = Stated(value, None, None, DEFAULT, "of the deployment file")
            settings.stated.setdefault(path, stated)


def _place_pools(pools: tuple[Pool, ...], hosts: tuple[Host, ...]) -> None:
    """State the sites of each pool whose hosts all state theirs, at the place of the first host's."""
    sites = {host.name: host.settings.stated["site"] for host in hosts if host.settings.text("site") is not None}
    for pool in pools:
        named = pool.settings.value("hosts")
        if SITES in pool.settings.stated or not isinstance(named, tuple) or not named:
            continue
        found = [sites.get(str(name)) for name in named]
        known = [site for site in found if site is not None]
        if len(known) == len(found):
            names = tuple(dict.fromkeys(str(site.value) for site in known))
            note = f"site of {', '.join(map(str, named))}"
            pool.settings.declared.add(SITES.partition(".")[0])
            pool.settings.stated[SITES] = Stated(names, known[0].place, None, known[0].origin, note)


def _default_handoffs(pools: tuple[Pool, ...]) -> Iterable[Handoff]:
    """Yield every pair of a prefill and a decode pool of one model."""
    for prefill in pools:
        for decode in pools:
            if prefill.role == PREFILL and decode.role == DECODE and _one_model(prefill, decode):
                yield Handoff(prefill.name, decode.name, Section("handoff", None), explicit=False)


def _one_model(prefill: Pool, decode: Pool) -> bool:
    return prefill.settings.value("model.id") == decode.settings.value("model.id") or (
        prefill.settings.value("model.id") is None or decode.settings.value("model.id") is None
    )


def _text(node: Node | None) -> str | None:
    return node.source if node is not None and node.kind == "scalar" and node.source else None


def _first(node: Node) -> Place:
    """Return a one-line place for ``node``."""
    if node.kind == "mapping" and node.entries:
        return node.entries[0].key.place
    return node.place
