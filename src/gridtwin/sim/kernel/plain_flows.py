"""Rates of flows in plain Python, found anew from all flows and links: the oracle of the network.

The model is that of `gridtwin.sim.kernel.network`, flow by flow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gridtwin.sim.platform import Platform

__all__ = ["EFFICIENCY", "LATENCY", "Flow", "Way", "fill", "links_of", "way", "way_of"]

LATENCY, EFFICIENCY, _SCALE, _GAMMA = 13.01, 0.97, 20537.0, 4194304.0


@dataclass
class Way:
    """What a transfer crosses."""

    latency: float
    penalty: float
    bound: float
    use: dict[str, float]
    """Share of each link that a byte takes."""


@dataclass(eq=False)
class Flow:
    """Bytes on their way."""

    way: Way
    left: float
    """Bytes."""
    rate: float = 0.0


def fill(flows: Sequence[Flow], bandwidth: Mapping[str, float]) -> None:
    """Set the rates: raise value * penalty of all until a flow's bound or a full link stops it."""
    rest = dict(bandwidth)
    going = list(flows)
    while going:
        wish = {name: 0.0 for flow in going for name in flow.way.use}
        for flow in going:
            for name, use in flow.way.use.items():
                wish[name] += use / flow.way.penalty
        by_link = {name: max(rest[name], 0.0) / wish[name] for name in wish}
        bounds = [flow.way.bound * flow.way.penalty for flow in going]
        level = min([*by_link.values(), *bounds])
        full = {name for name, value in by_link.items() if value <= level * (1 + 1e-12)}
        stay = []
        for flow, bound in zip(going, bounds, strict=True):
            if bound > level and not full & flow.way.use.keys():
                stay.append(flow)
                continue
            value = level / flow.way.penalty
            flow.rate = EFFICIENCY * value
            for name, use in flow.way.use.items():
                rest[name] -= use * value
        going = stay


def links_of(platform: Platform) -> dict[str, tuple[float, float, bool]]:
    """Return bandwidth, latency and whether it is shared of each link and direction."""
    links = {}
    for link in platform.links:
        values = (link.bandwidth, link.latency, link.sharing != "fatpipe")
        if link.sharing == "split":
            links[f"{link.name}:up"] = links[f"{link.name}:down"] = values
        links[link.name] = values
    for site in platform.sites:
        for what in ("read", "write"):
            speed = [getattr(storage, what) for storage in site.storages]
            if speed and None not in speed:
                links[f"{site.name} {what}"] = (sum(speed) / EFFICIENCY, 0.0, True)
    return links


def _crossed(platform: Platform, source: str, destination: str) -> list[str]:
    """Return the links from a node to another, with the sites' own at both ends."""
    lan = {site.name: site.lan for site in platform.sites}
    split = {link.name for link in platform.links if link.sharing == "split"}
    names = list(platform.route(source, destination))
    for node, way_, place in ((source, ":up", 0), (destination, ":down", len(names) + 1)):
        name = lan.get(node)
        if name is not None:
            names.insert(place, name + way_ * (name in split))
    return names


def way(platform: Platform, source: str, destination: str) -> Way | None:
    """Return how data come from a node to another; None if it takes no time."""
    links = links_of(platform)
    there = [] if source == destination else _crossed(platform, source, destination)
    back = [] if source == destination else _crossed(platform, destination, source)
    if f"{source} read" in links:
        there.insert(0, f"{source} read")
    return way_of(links, there, back)


def way_of(
    links: Mapping[str, tuple[float, float, bool]], there: Iterable[str], back: Iterable[str]
) -> Way | None:
    """Return what a transfer crosses by the links there and those of the way back."""
    there = list(there)
    if not there:
        return None
    latency = sum(links[name][1] for name in there)
    penalty, bound = 1.0, min(links[name][0] for name in there)
    if latency > 0:
        penalty = latency + sum(_SCALE / links[name][0] for name in there)
        bound = min(bound, _GAMMA / (2 * latency))
    use: dict[str, float] = {}
    for path, share in ((there, 1.0), (back, 0.05)):
        for name in path:
            if links[name][2]:
                use[name] = use.get(name, 0.0) + share
    return Way(latency, penalty, bound, use)
