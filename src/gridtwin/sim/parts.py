"""What a platform is made of: pools of hosts, storages, sites, links and routes.

All quantities are in flop/s per core, bytes, bytes per second and seconds. Each part checks its own
values; that names exist and are unique is checked by the `gridtwin.sim.platform.Platform`.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np

from gridtwin.core.errors import InputError

__all__ = ["Link", "Pool", "Route", "Sharing", "Site", "Storage", "StorageKind"]

Sharing = Literal["shared", "fatpipe", "split"]
StorageKind = Literal["disk", "cache", "tape"]

_MOST = 2**40


@dataclass(frozen=True)
class Pool:
    """Equal hosts of a site; a job books cores of the pool and may span hosts."""

    cores: int
    """Of one host."""
    hosts: int = 1
    speed: float | None = None
    """flop/s per core; None: jobs take as long as their records say."""
    memory: float | None = None
    """Bytes of one host; None: not limited."""
    name: str = ""
    """Distinct in the site, which gives ``pool<k>`` where there is none."""

    def __post_init__(self) -> None:
        _set(self, "cores", _whole("cores", self.cores))
        _set(self, "hosts", _whole("hosts", self.hosts))
        if self.cores * self.hosts > _MOST:
            raise InputError(f"cores: {self.cores} on each of {self.hosts} hosts, above 2^40")
        _set(self, "speed", _number("speed", self.speed, above=0.0, optional=True))
        _set(self, "memory", _number("memory", self.memory, above=0.0, optional=True))
        _text("name", self.name, empty=True)


@dataclass(frozen=True)
class Storage:
    """A storage element of a site and the complete files that it holds at the start."""

    name: str
    capacity: float | None = None
    """Bytes; None: not limited."""
    read: float | None = None
    """Bytes per second; None: not limited. So is `write`."""
    write: float | None = None
    kind: StorageKind = "disk"
    """``cache``: files may be dropped for others; ``tape``: `latency` before the first byte."""
    files: tuple[tuple[str, float], ...] = ()
    """Name and bytes."""
    latency: float = 0.0

    def __post_init__(self) -> None:
        _text("name", self.name)
        _set(self, "capacity", _number("capacity", self.capacity, optional=True))
        _set(self, "read", _number("read", self.read, above=0.0, optional=True))
        _set(self, "write", _number("write", self.write, above=0.0, optional=True))
        _one_of("kind", self.kind, get_args(StorageKind))
        files = []
        for name, size in self.files:
            _text("files", name)
            files.append((name, _number(f"files.{name}", size)))
        if len({name for name, _ in files}) < len(files):
            raise InputError("files: a name occurs twice; list each file once")
        _set(self, "files", tuple(files))
        _set(self, "latency", _number("latency", self.latency))


@dataclass(frozen=True)
class Link:
    """A network link."""

    name: str
    bandwidth: float
    """Bytes per second; 0 lets nothing through."""
    latency: float = 0.0
    sharing: Sharing = "shared"
    """``shared``: its flows, of both directions, share the bandwidth; ``fatpipe``: each flow has
    it all; ``split``: each direction has it, as ``name:up`` and ``name:down``."""
    ends: tuple[str, str] | None = None
    """The two nodes it joins, for routing by shortest path; ``up`` is from the first."""

    def __post_init__(self) -> None:
        _text("name", self.name)
        if self.name.endswith((":up", ":down")):
            raise InputError(
                f"name: {self.name!r} ends like a direction of a split link; choose another name"
            )
        _set(self, "bandwidth", _number("bandwidth", self.bandwidth))
        _set(self, "latency", _number("latency", self.latency))
        _one_of("sharing", self.sharing, get_args(Sharing))
        if self.ends is not None:
            ends = _texts("ends", self.ends)
            if len(ends) != 2 or ends[0] == ends[1]:
                raise InputError(f"ends: expected two different nodes, got {list(ends)}")
            _set(self, "ends", ends)


@dataclass(frozen=True)
class Route:
    """The links from one node to another; a node is a site or a router.

    A split link is crossed ``name:up`` or ``name:down``; its bare name is up this way and down
    the other.
    """

    source: str
    destination: str
    links: tuple[str, ...]
    symmetric: bool = True
    """Whether the way back is the same links in reverse, unless it has a route of its own."""

    def __post_init__(self) -> None:
        _text("source", self.source)
        _text("destination", self.destination)
        _set(self, "links", _texts("links", self.links))
        if not isinstance(self.symmetric, bool):
            raise InputError(f"symmetric: expected true or false, got {self.symmetric!r}")
        if self.source == self.destination:
            raise InputError(f"destination: {self.source!r} is the source; expected another node")


@dataclass(frozen=True)
class Site:
    """Pools and storages behind one queue; without pools it runs nothing but may hold data."""

    name: str
    pools: tuple[Pool, ...] = ()
    storages: tuple[Storage, ...] = ()
    lan: str | None = None
    """A link that every transfer into or out of the site crosses, beside those of the route."""
    country: str | None = None
    tier: int | None = None
    properties: tuple[tuple[str, str], ...] = ()
    """What a format says of the site and the simulation does not use."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(f"name: expected the site's name, a text, got {self.name!r}")
        pools = _parts("pools", self.pools, Pool)
        pools = tuple(replace(p, name=p.name or f"pool{k}") for k, p in enumerate(pools))
        _set(self, "pools", pools)
        _set(self, "storages", _parts("storages", self.storages, Storage))
        unique("pool", [pool.name for pool in self.pools])
        unique("storage", [storage.name for storage in self.storages])
        for key, value in (("lan", self.lan), ("country", self.country)):
            if value is not None:
                _text(key, value)
        if self.tier is not None:
            _set(self, "tier", _whole("tier", self.tier, least=0))
        for key, value in self.properties:
            _text("properties", key)
            _text(f"properties.{key}", value, empty=True)
        if len(dict(self.properties)) < len(self.properties):
            raise InputError("properties: a key occurs twice; give each once")
        _set(self, "properties", tuple((key, value) for key, value in self.properties))

    @classmethod
    def of(cls, name: str, cores: int, speed: float | None = None) -> Self:
        """Return a site of one pool; without pools for 0 cores."""
        size = _whole("cores", cores, least=0)
        return cls(name, (Pool(size, speed=speed),) if size else ())

    @property
    def cores(self) -> int:
        """The cores of all hosts together."""
        return sum(pool.hosts * pool.cores for pool in self.pools)

    @property
    def speed(self) -> float | None:
        """The mean speed of its cores, flop/s; None where a pool has none or there is no pool."""
        total = 0.0
        for pool in self.pools:
            if pool.speed is None:
                return None
            total += pool.hosts * pool.cores * pool.speed
        return total / self.cores if self.pools else None


def unique(what: str, names: list[str]) -> None:
    """Raise `InputError`, naming the place in a list of parts, if a name occurs twice."""
    seen: set[str] = set()
    for k, name in enumerate(names):
        if name in seen:
            raise InputError(f"{what}[{k}].name: {name!r} is taken; names are unique")
        seen.add(name)


def _set(part: object, key: str, value: object) -> None:
    object.__setattr__(part, key, value)


def _text(key: str, value: object, *, empty: bool = False) -> None:
    if not isinstance(value, str) or not (empty or value.strip()):
        raise InputError(f"{key}: expected a text, got {value!r}")


def _texts(key: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, tuple | list):
        raise InputError(f"{key}: expected a list of names, got {values!r}")
    for value in values:
        _text(key, value)
    return tuple(values)


def _one_of(key: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{key}: expected one of {', '.join(known)}, got {value!r}")


def _whole(key: str, value: Any, *, least: int = 1) -> int:  # noqa: ANN401 - checked here
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{key}: expected a whole number, got {value!r}")
    if not least <= value <= _MOST:
        raise InputError(f"{key}: expected a number from {least} to 2^40, got {value}")
    return int(value)


def _number(
    key: str,
    value: Any,  # noqa: ANN401 - checked here
    *,
    above: float | None = None,
    optional: bool = False,
) -> float | None:
    """Return a finite float above `above`, or of 0 or more."""
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputError(f"{key}: expected a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (above is not None and number <= above):
        least = "0 or more" if above is None else f"above {above:g}"
        raise InputError(f"{key}: expected a finite number {least}, got {value!r}")
    return number


def _parts(key: str, values: object, kind: type) -> tuple[Any, ...]:
    if not isinstance(values, tuple | list) or not all(isinstance(v, kind) for v in values):
        raise InputError(f"{key}: expected a tuple of {kind.__name__}, got {values!r}")
    return tuple(values)
