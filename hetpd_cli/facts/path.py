"""Facts about the path between two pools: link, hosts, addresses, transports."""

from __future__ import annotations

from hetpd_cli.facts.registry import Found, derived
from hetpd_cli.facts.values import NONE, Unknown, Value
from hetpd_cli.tables import cell

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
    import ipaddress

    host = connector__side_channel__host.strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return "loopback"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "routable"
    if address.is_unspecified:
        return "wildcard"
    return "loopback" if address.is_loopback else "routable"


@derived("pool", "connector.side_channel.last_port", unit="port", result="integer", lenient=("hosts",))
def side_channel_last_port(connector__side_channel__port: int, parallelism__dp: int, hosts: Value) -> Value:
    """Last port of the side channel on a host: data-parallel rank r listens on the first port + r (vLLM NIXL).

    Not known where the pool runs on several hosts.
    """
    if isinstance(hosts, tuple) and len(hosts) > 1:
        return Unknown("which ranks run on which host is not known")
    return connector__side_channel__port + parallelism__dp - 1


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
