"""Facts about the path between two pools: link, hosts, addresses, transports."""

from __future__ import annotations

from hetpd_cli.facts.registry import Found, derived
from hetpd_cli.facts.values import NONE, Unknown, Value
from hetpd_cli.tables import cell

_RDMA_TRANSPORTS = frozenset(
    {
        "all",
        "rc",
        "rc_v",
        "rc_x",
        "rc_verbs",
        "rc_mlx5",
        "dc",
        "dc_x",
        "dc_mlx5",
        "ud",
        "ud_v",
        "ud_x",
        "ud_verbs",
        "ud_mlx5",
        "ib",
        "srd",
        "gga",
    }
)
"""Words of UCX_TLS that admit a transport over an RDMA NIC (UCX's list of transports and aliases)."""


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
        return set(prefill__hosts) != set(decode__hosts) or len(prefill__hosts) > 1
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


@derived("pool", "connector.side_channel.last_port", unit="port", result="integer")
def side_channel_last_port(connector__side_channel__port: int, parallelism__dp: int) -> int:
    """Last port of the side channel: data-parallel rank r listens on the first port + r (vLLM NIXL)."""
    return connector__side_channel__port + parallelism__dp - 1


@derived("pool", "connector.ucx_rdma", result="boolean", lenient=("connector.env.UCX_TLS", "env.UCX_TLS"))
def ucx_rdma(connector__env__UCX_TLS: Value, env__UCX_TLS: Value) -> Value:  # noqa: N803
    """Whether UCX_TLS admits a transport over an RDMA NIC."""
    text = connector__env__UCX_TLS if isinstance(connector__env__UCX_TLS, str) else env__UCX_TLS
    if text is NONE or not isinstance(text, str):
        return Unknown("UCX_TLS is not stated")
    words = [word.strip() for word in text.lower().split(",")]
    if words and words[0].startswith("^"):
        excluded = {words[0][1:], *words[1:]}
        return not {"ib"} <= excluded and not {"rc", "dc", "ud"} <= excluded
    return any(word in _RDMA_TRANSPORTS for word in words)
