"""A site of equal-routed SimGrid hosts: which of them compute, which store, what else is said."""

from gridtwin.core.errors import InputError
from gridtwin.sim.formats._simgrid_document import Document, Host
from gridtwin.sim.formats._simgrid_elements import OURS
from gridtwin.sim.formats._xml import Element
from gridtwin.sim.parts import Pool, Site, Storage, StorageKind

__all__ = ["to_site"]

_ROLES = (
    *("worker", "cache", "storage", "scheduler", "executor", "fileregistry", "networkmonitor"),
)
"""Of a host, as DCSim names them in the property ``type``; a host without it computes."""
_NOTHING = ("1f", "1")
"""Speed and cores of a host that says nothing by them."""


def to_site(document: Document, name: str, hosts: list[Host], lan: str | None) -> Site:
    """Return the site of these hosts; raise `FormatError` naming the element that is wrong."""
    zone = document.where[hosts[0].name].name
    ours = document.properties[zone]
    rest = {key: value for key, value in ours.items() if not key.startswith(OURS)}
    if name != zone:
        rest.setdefault("zone", zone)
    pools: dict[tuple[object, ...], list[Host]] = {}
    storages: list[Storage] = []
    disks = [disk.attributes.get("id", "/") for host in hosts for disk in host.disks]
    for host in hosts:
        roles = _roles(document, host)
        if "worker" in roles:
            pools.setdefault(_kind(document, host), []).append(host)
        for disk in host.disks:
            own = disk.attributes.get("id", "/")
            shown = own if disks.count(own) == 1 else f"{host.name}/{own}"
            storages.append(_storage(document, disk, shown, "cache" in roles, rest))
        _unused(document, host, roles, rest)
    tier = ours.get(f"{OURS}tier", "")
    made = tuple(_pool(document, members) for members in pools.values())
    try:
        return Site(
            name,
            made,
            tuple(storages),
            lan,
            country=ours.get(f"{OURS}country"),
            tier=int(tier) if tier.isdecimal() and len(tier) < 9 else None,
            properties=tuple(rest.items()),
        )
    except InputError as error:
        document.reading.fail(hosts[0].element, f"site {name!r}: {error}")


def _roles(document: Document, host: Host) -> list[str]:
    text = host.properties.get("type")
    if text is None:
        return ["worker"]
    roles = [role.strip() for role in text.split(",") if role.strip()]
    for role in roles:
        if role not in _ROLES:
            document.reading.fail(
                host.element, f"property type: {role!r} is unknown; known: {', '.join(_ROLES)}"
            )
    return roles


def _kind(document: Document, host: Host) -> tuple[object, ...]:
    """Return what hosts of one pool have in common."""
    own = host.properties
    return host.cores, host.speed, own.get("ram"), own.get(f"{OURS}pool")


def _pool(document: Document, hosts: list[Host]) -> Pool:
    first = hosts[0]
    reading = document.reading
    ram = first.properties.get("ram")
    memory = None if ram is None else reading.quantity(first.element, "ram", ram, "bytes")
    recorded = first.properties.get(f"{OURS}speed") == "recorded"
    try:
        return Pool(
            first.cores,
            sum(host.count for host in hosts),
            None if recorded else first.speed,
            memory,
            first.properties.get(f"{OURS}pool", ""),
        )
    except InputError as error:
        reading.fail(first.element, str(error))


def _storage(
    document: Document, disk: Element, name: str, cache: bool, rest: dict[str, str]
) -> Storage:
    """Return the storage of a <disk>; what else is said of it goes to `rest`."""
    reading = document.reading
    kind: StorageKind = "cache" if cache else "disk"
    rates: dict[str, float | None] = {
        key: reading.number(disk, f"{key}_bw", "bandwidth") for key in ("read", "write")
    }
    capacity, latency, files = None, 0.0, []
    for key, value in reading.properties(disk).items():
        if key == "size":
            capacity = reading.quantity(disk, key, value, "bytes")
        elif key == f"{OURS}kind":
            kind = value  # type: ignore[assignment]
        elif key == f"{OURS}latency":
            latency = reading.quantity(disk, key, value, "time")
        elif key in (f"{OURS}read", f"{OURS}write"):
            rates[key.removeprefix(OURS)] = None
        elif key.startswith(f"{OURS}file."):
            size = reading.quantity(disk, key, value, "bytes")
            files.append((key.removeprefix(f"{OURS}file."), size))
        elif (key, value) != ("mount", "/"):
            rest[f"{name}.{key}"] = value
    try:
        return Storage(name, capacity, rates["read"], rates["write"], kind, tuple(files), latency)
    except InputError as error:
        reading.fail(disk, str(error))


def _unused(document: Document, host: Host, roles: list[str], rest: dict[str, str]) -> None:
    """Keep what is said of a host and says nothing of its pool or storages."""
    own = {k: v for k, v in host.properties.items() if not k.startswith(OURS) and k != "type"}
    used = {"worker"} | ({"cache", "storage"} if host.disks else set())
    if set(roles) - used:
        own["type"] = host.properties["type"]
    if "worker" in roles:
        own.pop("ram", None)
    else:
        given = host.element.attributes
        if (given.get("speed"), given.get("core", "1")) != _NOTHING:
            own |= {"speed": given.get("speed", ""), "core": given.get("core", "1")}
    for key, value in own.items():
        rest[f"{host.name}.{key}"] = value
