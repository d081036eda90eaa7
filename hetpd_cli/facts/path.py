"""Facts about the path between two pools: link, hosts, addresses, transports."""

from __future__ import annotations

from typing import Any

from hetpd_cli.facts.quantities import calculated
from hetpd_cli.facts.registry import Found, derived
from hetpd_cli.facts.truth import all_true, equal, negate
from hetpd_cli.facts.values import NONE, Truth, Unknown, Value
from hetpd_cli.physics.flow import line_bytes_per_s, transfer_s
from hetpd_cli.physics.kv import head_copies, request_bytes
from hetpd_cli.physics.operations import BYTES_PER_GB
from hetpd_cli.tables import cell
from hetpd_cli.versions import is_version, version_in

_UCX_IB = ("rc_verbs", "ud_verbs", "rc_mlx5", "ud_mlx5", "dc_mlx5", "gga_mlx5", "srd", "rc_gda")
_UCX_WORDS: dict[str, tuple[str, ...]] = {
    **{transport: (transport,) for transport in _UCX_IB},
    "ib": _UCX_IB,
    "rc": ("rc_mlx5", "rc_verbs"),
    "rc_v": ("rc_verbs",),
    "rc_x": ("rc_mlx5",),
    "ud": ("ud_mlx5", "ud_verbs"),
    "ud_v": ("ud_verbs",),
    "ud_x": ("ud_mlx5",),
    "dc": ("dc_mlx5",),
    "dc_x": ("dc_mlx5",),
    "gga": ("gga_mlx5",),
}
"""Words of UCX_TLS to the RDMA transports that they stand for (openucx/ucx 9466d104, src/ucp/core/ucp_context.c,
``ucp_tl_aliases``); words for other transports are left out."""


@derived("handoff", "link.kind")
def link_kind(path__link: str) -> Found | Unknown:
    """Kind of the link: rdma, efa, tcp, scale-up, pcie, host, storage."""
    found = cell("links", path__link, "kind")
    if found is None:
        return Unknown(f"the link table has no {path__link}")
    return Found(found.value, f"link table, {path__link} ({', '.join(found.source)}; {found.confidence})")


@derived("handoff", "crosses_hosts", result="boolean", lenient=("prefill.hosts", "decode.hosts", "path.link"))
def crosses_hosts(prefill__hosts: Value, decode__hosts: Value, path__link: Value) -> Value | Found:
    """Whether prefill and decode run on different machines, by their hosts or by a link that leaves the machine."""
    if isinstance(prefill__hosts, tuple) and isinstance(decode__hosts, tuple):
        if not set(prefill__hosts) & set(decode__hosts):
            return True
        if set(prefill__hosts) == set(decode__hosts) and len(prefill__hosts) == 1:
            return False
        return Unknown("which workers of the two pools meet on which of their hosts is not known")
    if isinstance(path__link, str):
        leaves = cell("links", path__link, "leaves_host")
        if leaves is not None:
            return Found(leaves.value, f"link table, {path__link} ({', '.join(leaves.source)}; {leaves.confidence})")
    return Unknown("whether the two pools share a machine is not known")


@derived("pool", "connector.side_channel.reach")
def side_channel_reach(connector__side_channel__host: str) -> str:
    """What a peer makes of the side channel's address: loopback (itself), wildcard (nothing) or routable."""
    host = connector__side_channel__host.strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return "loopback"
    if host.strip("0123456789abcdef.:"):
        return "routable"
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "routable"
    if address.is_unspecified:
        return "wildcard"
    return "loopback" if address.is_loopback else "routable"


@derived(
    "pool",
    "connector.side_channel.last_port",
    unit="port",
    result="integer",
    lenient=("hosts", "engine.version", "parallelism.tp"),
)
def side_channel_last_port(
    connector__side_channel__port: int,
    parallelism__dp: int,
    hosts: Value,
    engine__version: Value,
    parallelism__tp: Value,
) -> Value:
    """Last port of the side channel on a host: data-parallel rank r listens on the first port + r (vLLM NIXL).

    In 0.11.0 each tensor-parallel rank has a port of its own. Not known where the pool runs on several hosts. Source:
    vLLM 0.11.0, 0.11.1 to 0.33 NIXL connector, side_channel_port.
    """
    if isinstance(hosts, tuple) and len(hosts) > 1:
        return Unknown("which ranks run on which host is not known")
    ranks = parallelism__dp
    if isinstance(engine__version, str) and is_version(engine__version) and version_in(engine__version, "<0.11.1"):
        if not isinstance(parallelism__tp, int):
            return Unknown("how many ranks listen is not known")
        ranks *= parallelism__tp
    return connector__side_channel__port + ranks - 1


@derived("pool", "engine_spans_hosts", result="boolean", lenient=("hosts", "workers"))
def engine_spans_hosts(
    hosts: Value,
    workers: Value,
    parallelism__tp: int,
    parallelism__pp: int,
    parallelism__dp: int,
) -> Truth:
    """Whether the ranks of one engine run on several machines: the pool has more hosts than engines.

    Each data-parallel rank of each worker is an engine of its own. Where neither machines nor workers are stated, or
    the machines are not more than the engines, each is taken to stay on one.
    """
    if parallelism__tp * parallelism__pp == 1 or (isinstance(hosts, tuple) and len(hosts) == 1):
        return False
    if not isinstance(hosts, tuple) or not isinstance(workers, int):
        return _open_unless_silent(hosts, workers)
    return len(hosts) > workers * parallelism__dp


def _open_unless_silent(hosts: Value, workers: Value) -> Truth:
    """Return no where a pool says nothing of its machines, else that half of it is not enough."""
    if isinstance(hosts, Unknown) and isinstance(workers, Unknown):
        return False
    return Unknown("how the workers lie on the machines is not known")


_LISTENING = ("connector.side_channel.port", "connector.bootstrap.port")


@derived(
    "pool",
    "connector.workers_share_port",
    result="boolean",
    lenient=("workers", "hosts", "host_network", *_LISTENING),
)
def workers_share_port(
    connector__name: str,
    role: str,
    workers: Value,
    hosts: Value,
    host_network: Value,
    connector__side_channel__port: Value,
    connector__bootstrap__port: Value,
) -> Truth:
    """Whether two workers of the pool listen on one port of one machine: they outnumber machines and use their network.

    Every worker of vLLM's NIXL connector listens on its side channel, those of its Mooncake connector on the bootstrap
    port of prefill. Where neither machines nor workers are stated, the workers are taken to be apart. Source: vLLM
    0.11 to 0.33.
    """
    port = connector__side_channel__port if connector__name == "nixl" else connector__bootstrap__port
    if not (connector__name == "nixl" or role == "prefill") or host_network is False or workers == 1:
        return False
    if not isinstance(hosts, tuple) or not isinstance(workers, int):
        return _open_unless_silent(hosts, workers)
    if len(hosts) >= workers:
        return False
    if host_network is not True:
        return Unknown("whether the workers share the network of a machine is not known")
    return True if isinstance(port, int) else Unknown("the port is not known")


@derived(
    "pool",
    "connector.engine_id_repeated",
    result="boolean",
    lenient=("hosts", "parallelism.dp", "engine.version", "workers"),
)
def engine_id_repeated(
    connector__engine_id_drawn: bool, engine__version: Value, workers: Value, parallelism__dp: Value, hosts: Value
) -> Truth:
    """Whether two engines of the pool have one id, as it is set and not drawn by each (vLLM).

    Several data-parallel ranks append their number to the id: up to 0.23 that within their machine, from 0.24 on that
    within the whole. Source: vLLM 0.11 to 0.33 v1/engine/core.py, run_engine_core.
    """
    if connector__engine_id_drawn:
        return False
    if not isinstance(workers, int) or not isinstance(parallelism__dp, int):
        return Unknown("how many engines the pool has is not known")
    if parallelism__dp == 1:
        return workers > 1
    if not isinstance(engine__version, str) or not is_version(engine__version):
        return Unknown("which number the ranks append is not known")
    if workers > 1:
        return True if version_in(engine__version, "<0.24") else Unknown("whether ranks span the workers is not known")
    if version_in(engine__version, ">=0.24") or (isinstance(hosts, tuple) and len(hosts) == 1):
        return False
    if not isinstance(hosts, tuple) or len(hosts) > parallelism__dp:
        return Unknown("how the ranks lie on the machines is not known")
    return True


@derived(
    "pool",
    "connector.ucx_rdma",
    result="boolean",
    lenient=("connector.env.UCX_TLS", "env.UCX_TLS", "connector.backends"),
)
def ucx_rdma(connector__env__UCX_TLS: Value, env__UCX_TLS: Value, connector__backends: Value) -> Value:  # noqa: N803
    """Whether UCX_TLS leaves UCX a transport over an RDMA NIC; true where the backends are stated without UCX,
    or the variable is known not to be set.

    A list names what is allowed, or with a leading `^` what is not; `all` counts only alone; a leading backslash asks
    for the transport of exactly that name; `:aux` marks words that carry no data. Names are case-sensitive.
    """
    if isinstance(connector__backends, tuple) and "UCX" not in connector__backends:
        return True
    text = connector__env__UCX_TLS if isinstance(connector__env__UCX_TLS, str) else env__UCX_TLS
    if connector__env__UCX_TLS is NONE and env__UCX_TLS is NONE:
        return True
    if not isinstance(text, str) or not text.strip():
        return Unknown("UCX_TLS is not stated")
    if text.strip() == "all":
        return True
    words = [word.strip().removeprefix("\\") for word in text.strip().removeprefix("^").split(",")]
    named = {transport for word in words for transport in _UCX_WORDS.get(word, ())}
    return bool(set(_UCX_IB) - named) if text.strip().startswith("^") else bool(named)


_UCX_LOCAL: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("posix", "sysv", "xpmem", "knem", "cma", "rocm_ipc", "ze_ipc")},
    "mm": ("posix", "sysv", "xpmem"),
    "sm": ("posix", "sysv", "xpmem", "knem", "cma"),
    "shm": ("posix", "sysv", "xpmem", "knem", "cma"),
    "rocm": ("rocm_ipc",),
    "ze": ("ze_ipc",),
}
_UCX_REACHING: dict[str, tuple[str, ...]] = {
    **{word: tuple(name.partition("_")[0] for name in names) for word, names in _UCX_WORDS.items()},
    "tcp": ("tcp",),
    "cuda_ipc": ("cuda_ipc",),
    "cuda": ("cuda_ipc",),
}
_UCX_STAYING = ("self", "cuda_copy", "gdr_copy", "rocm_copy", "rocm_gdr", "ze_copy", "ze_gdr")
"""Words of UCX_TLS to transports within a machine, to those that may leave it (cuda_ipc over NVLink too),
and words for what moves bytes within a process (openucx/ucx src/ucp/core/ucp_context.c, ``ucp_tl_aliases``)."""
_UCX_FAR = frozenset(name.partition("_")[0] for names in _UCX_WORDS.values() for name in names) | {"tcp", "cuda_ipc"}
_UCX_NEAR = frozenset(name for names in _UCX_LOCAL.values() for name in names)
_AUXILIARY = ":aux"


def _ucx_transports(own: Value, of_pool: Value, backends: Value) -> frozenset[str] | None:
    """Return the transports to another process that one side's UCX_TLS admits; None where that is not known."""
    if isinstance(backends, tuple) and backends != ("UCX",):
        return None
    if own is NONE and of_pool is NONE:
        return _UCX_FAR | _UCX_NEAR
    text = own if isinstance(own, str) else of_pool
    if not isinstance(text, str) or not text.strip():
        return None
    text = text.strip()
    if text == "all":
        return _UCX_FAR | _UCX_NEAR
    words = [word.strip().removeprefix("\\") for word in text.removeprefix("^").split(",")]
    words = [word for word in words if not word.endswith(_AUXILIARY)]
    table = {**_UCX_LOCAL, **_UCX_REACHING}
    if any(word not in table and word not in _UCX_STAYING for word in words):
        return None
    named = frozenset(transport for word in words for transport in table.get(word, ()))
    return (_UCX_FAR | _UCX_NEAR) - named if text.startswith("^") else named


_TLS = tuple(
    f"{side}.{path}"
    for side in ("prefill", "decode")
    for path in ("connector.env.UCX_TLS", "env.UCX_TLS", "connector.backends")
)


@derived("handoff", "ucx_transport_shared", result="boolean", lenient=(*_TLS, "crosses_hosts"))
def ucx_transport_shared(
    prefill__connector__env__UCX_TLS: Value,  # noqa: N803
    prefill__env__UCX_TLS: Value,  # noqa: N803
    prefill__connector__backends: Value,
    decode__connector__env__UCX_TLS: Value,  # noqa: N803
    decode__env__UCX_TLS: Value,  # noqa: N803
    decode__connector__backends: Value,
    crosses_hosts: Value,
) -> Truth:
    """Whether UCX_TLS of the two sides admit a transport in common that reaches from one to the other.

    A word that is not in the table may stand for any transport, so such a list excludes nothing; the variants of one
    RDMA transport (rc_verbs, rc_mlx5) are taken to meet.
    """
    ours = _ucx_transports(prefill__connector__env__UCX_TLS, prefill__env__UCX_TLS, prefill__connector__backends)
    theirs = _ucx_transports(decode__connector__env__UCX_TLS, decode__env__UCX_TLS, decode__connector__backends)
    if ours is None or theirs is None:
        return Unknown("what UCX_TLS of a side admits is not known")
    if ours & theirs & _UCX_FAR:
        return True
    if not ours & theirs:
        return False
    return negate(crosses_hosts)


@derived("handoff", "crosses_sites", result="boolean")
def crosses_sites(prefill__location__sites: tuple[str, ...], decode__location__sites: tuple[str, ...]) -> Truth:
    """Whether prefill and decode stand in different datacentres: yes without a common site, no if both have one."""
    if not set(prefill__location__sites) & set(decode__location__sites):
        return True
    if set(prefill__location__sites) == set(decode__location__sites) and len(set(prefill__location__sites)) == 1:
        return False
    return Unknown("which workers of the two pools meet at which of their sites is not known")


@derived("handoff", "keeps_short_prompts", result="boolean")
def keeps_short_prompts(length_threshold_tokens: float) -> bool:
    """Whether a length threshold keeps short prompts off this handoff; a threshold of 0 says that there is none."""
    return length_threshold_tokens > 0


@derived(
    "handoff",
    "raw_on_wire",
    result="boolean",
    lenient=("carries", "converts_dtype", "wire.form", "wire.dtype", "wire.codec"),
)
def raw_on_wire(
    carries: Value, converts_dtype: Value, wire__form: Value, wire__dtype: Value, wire__codec: Value
) -> Truth:
    """Whether KV crosses as the raw buffers that prefill wrote: nothing is known to narrow it on the way."""
    if carries in {"objects", NONE} or converts_dtype is True or wire__form == "converted":
        return False
    if isinstance(wire__dtype, str) or isinstance(wire__codec, str):
        return False
    return all_true([equal(carries, "bytes"), negate(converts_dtype)])


@derived(
    "handoff",
    "kv_bytes_per_request",
    unit="B",
    result="number",
    lenient=("latent_kv", "prefill.model.attention.kv_heads", "decode.parallelism.attention_tp"),
)
def kv_bytes_per_request(
    workload__uncached_tokens: float,
    prefill__kv__bytes_per_token: float,
    raw_on_wire: bool,
    latent_kv: Value,
    prefill__model__attention__kv_heads: Value,
    decode__parallelism__attention_tp: Value,
) -> Any:
    """KV of a mean request that has to cross: uncached prompt tokens, bytes per token, copies of each head on decode.

    A lower bound: what prefill has cached crosses too where decode lacks it, and a latent counts once.
    """
    if not raw_on_wire:
        return Unknown("how large the KV is on the wire is not known")
    if latent_kv is True:
        return calculated(request_bytes, workload__uncached_tokens, prefill__kv__bytes_per_token)
    sizes = (decode__parallelism__attention_tp, prefill__model__attention__kv_heads)
    if latent_kv is not False or not all(isinstance(size, int) for size in sizes):
        return Unknown("how many copies of a KV head cross is not known")

    def moved(tokens: float, per_token: float, tp: int, kv_heads: int) -> Any:
        return request_bytes(tokens, per_token, head_copies(tp, kv_heads))

    return calculated(moved, workload__uncached_tokens, prefill__kv__bytes_per_token, *sizes)


_RATE_INPUTS = ("measured.rate_gb_per_s", "path.link", "path.rate_gbit_per_s", "path.nics_per_worker")


@derived("handoff", "usable_gb_per_s", unit="GB/s", result="number", lenient=_RATE_INPUTS)
def usable_gb_per_s(
    measured__rate_gb_per_s: Value, path__link: Value, path__rate_gbit_per_s: Value, path__nics_per_worker: Value
) -> Any:
    """What the path of one worker carries at best: measured, else its NICs times the rate of one.

    The rate of one NIC is the best measured one of the link table, else the line rate: a bound that many small
    pieces, staging or congestion stay below.
    """
    if not isinstance(measured__rate_gb_per_s, Unknown):
        return measured__rate_gb_per_s
    if not isinstance(path__nics_per_worker, int):
        return Unknown("how many NICs a worker uses is not known")
    if isinstance(path__rate_gbit_per_s, int | float):
        one: Any = calculated(_line_gb_per_s, path__rate_gbit_per_s)
        note = "line rate as stated"
    elif isinstance(path__link, str):
        one, note = _rate_of_link(path__link)
    else:
        return Unknown("neither link nor rate of the path is known")
    total = one if isinstance(one, Unknown) else calculated(lambda rate, nics: rate * nics, one, path__nics_per_worker)
    return total if isinstance(total, Unknown) else Found(total, note)


def _line_gb_per_s(gbit_per_s: float) -> Any:
    return line_bytes_per_s(gbit_per_s) / BYTES_PER_GB


def _rate_of_link(link: str) -> tuple[Any, str]:
    """Return what one NIC of a link carries, and where that stands."""
    found = cell("links", link, "effective_gb_per_s")
    if found is not None:
        return found.value, f"link table, {link}, best measured rate ({', '.join(found.source)}; {found.confidence})"
    found = cell("links", link, "line_rate_gbit_per_s")
    if found is None:
        return Unknown(f"the link table has no rate for {link}"), ""
    line = calculated(_line_gb_per_s, found.value)
    return line, f"link table, {link}, line rate ({', '.join(found.source)}; {found.confidence})"


@derived("handoff", "usable_pool_gb_per_s", unit="GB/s", result="number")
def usable_pool_gb_per_s(usable_gb_per_s: float, prefill__workers: int) -> Any:
    """What the paths of all workers of the prefill pool carry at best."""
    return calculated(lambda rate, workers: rate * workers, usable_gb_per_s, prefill__workers)


FIXED_TRANSFER_S = 0.0005
"""Fixed cost of a KV transfer where none is stated: the low end of 0.5 to 2 ms (link table, base latency)."""


@derived(
    "handoff",
    "transfer_s",
    unit="s",
    result="number",
    lenient=("measured.transfer_s", "kv_bytes_per_request", "usable_gb_per_s", "path.base_latency_s"),
)
def transfer_time(
    measured__transfer_s: Value, kv_bytes_per_request: Value, usable_gb_per_s: Value, path__base_latency_s: Value
) -> Any:
    """Time to move the KV of a mean request: measured, else fixed cost and bytes over what the path carries at best.

    An estimate is of a transfer that has the path to itself, so a lower bound.
    """
    if not isinstance(measured__transfer_s, Unknown):
        return measured__transfer_s
    if not isinstance(kv_bytes_per_request, int | float) or not isinstance(usable_gb_per_s, int | float):
        return Unknown("not known without the KV of a request and the rate of its path")
    base = path__base_latency_s if isinstance(path__base_latency_s, int | float) else FIXED_TRANSFER_S
    return calculated(
        lambda size, rate: transfer_s(size, rate * BYTES_PER_GB, base), kv_bytes_per_request, usable_gb_per_s
    )
