"""SimGrid's elements and attributes: what is known, what is refused, what its texts mean."""

import re
from pathlib import Path
from typing import NoReturn

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.formats._xml import Element
from gridtwin.sim.units import Kind, quantity

__all__ = ["OURS", "Reading", "radical"]

OURS = "gridtwin."
"""Begins the properties that say what SimGrid has no attribute for."""

_SYNONYMS = {
    "AS": "zone",
    "ASroute": "zoneRoute",
    "bypassASroute": "bypassZoneRoute",
}
_ROUTE, _ZONE_ROUTE = "src dst symmetrical", "src dst gw_src gw_dst symmetrical"
_KNOWN = {
    "platform": "version",
    "config": "id",
    "zone": "id routing",
    "host": "id speed core pstate coordinates",
    "disk": "id read_bw write_bw",
    "prop": "id value",
    "router": "id coordinates",
    "link": "id bandwidth latency sharing_policy",
    "link_ctn": "id direction",
    "host_link": "id up down",
    "backbone": "id bandwidth latency",
    "cluster": "id prefix suffix radical speed core bw lat sharing_policy topology "
    "topo_parameters bb_bw bb_lat bb_sharing_policy router_id limiter_link loopback_bw "
    "loopback_lat",
    "cabinet": "id prefix suffix radical speed bw lat",
    "route": _ROUTE,
    "bypassRoute": "src dst",
    "zoneRoute": _ZONE_ROUTE,
    "bypassZoneRoute": "src dst gw_src gw_dst",
}
_NO_PROFILES = "a platform does not change in time; take the attribute out"
_REFUSED = {
    ("host", "speed_file"): _NO_PROFILES,
    ("host", "state_file"): _NO_PROFILES,
    ("host", "availability_file"): _NO_PROFILES,
    ("link", "bandwidth_file"): _NO_PROFILES,
    ("link", "latency_file"): _NO_PROFILES,
    ("link", "state_file"): _NO_PROFILES,
}
_REFUSED_TAGS = {
    "trace": "a platform does not change in time",
    "trace_connect": "a platform does not change in time",
    "peer": "its latencies come from coordinates; give hosts and links",
    "actor": "it belongs to a deployment, not to a platform",
    "process": "it belongs to a deployment, not to a platform",
    "include": "SimGrid dropped it; put the other file's text here",
    "storage": "SimGrid dropped it; give the host a <disk>",
    "storage_type": "SimGrid dropped it; give the host a <disk>",
    "mount": "SimGrid dropped it; give the host a <disk>",
}
_LONG = {"yotta": "Y", "zetta": "Z", "exa": "E", "peta": "P", "tera": "T", "giga": "G"}
_LONG |= {"mega": "M", "kilo": "k", "": ""}
_UNITS = {f"{long}flops": f"{short}f" for long, short in _LONG.items()} | {"m": "min"}
_TEXT = re.compile(r"\s*([-+0-9.eE]+?)\s*([A-Za-z]*)\s*")
_WHOLE = re.compile(r"\s*[0-9]{1,15}\s*")


class Reading:
    """Takes attributes from elements; every error names the file, the line and the element."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fail(self, element: Element, message: str) -> NoReturn:
        """Raise `FormatError`."""
        name = element.attributes.get("id")
        shown = f"<{element.tag} id={name!r}>" if name is not None else f"<{element.tag}>"
        raise FormatError(f"{self.path}: line {element.line}: {shown}: {message}")

    def tag(self, element: Element) -> str:
        """Return the element's tag as SimGrid 4 spells it, after a look at its attributes."""
        tag = _SYNONYMS.get(element.tag, element.tag)
        if tag not in _KNOWN:
            why = _REFUSED_TAGS.get(tag, f"no known element; known: {', '.join(sorted(_KNOWN))}")
            self.fail(element, f"cannot be represented: {why}")
        known = _KNOWN[tag].split()
        for key, value in element.attributes.items():
            if key not in known and not ((tag, key) in _REFUSED and not value):
                why = _REFUSED.get((tag, key), f"known here: {', '.join(known)}")
                self.fail(element, f"{key}={value!r} cannot be represented: {why}")
        return tag

    def text(self, element: Element, key: str, default: str | None = None) -> str:
        """Return an attribute, else the default; without one it must be there, not blank."""
        value = element.attributes.get(key, "")
        if default is not None:
            return value or default
        if not value.strip():
            self.fail(element, f"{key} is missing; give it")
        return value

    def number(self, element: Element, key: str, kind: Kind, default: str | None = None) -> float:
        """Return an attribute in flop/s, bytes/s, bytes or seconds."""
        return self.quantity(element, key, self.text(element, key, default), kind)

    def quantity(self, element: Element, key: str, text: str, kind: Kind) -> float:
        """Return a text in flop/s, bytes/s, bytes or seconds."""
        found = _TEXT.fullmatch(text)
        if found is not None:
            number, unit = found.groups()
            text = number + _UNITS.get(unit, unit)
        try:
            value = quantity(text, kind)
        except InputError as error:
            self.fail(element, f"{key}: {error}")
        if value < 0:
            self.fail(element, f"{key}: expected 0 or more, got {text!r}")
        return value

    def whole(self, element: Element, key: str, default: str) -> int:
        """Return an attribute that is a whole number of 0 or more."""
        text = self.text(element, key, default)
        if not _WHOLE.fullmatch(text):
            self.fail(element, f"{key}: expected a whole number, got {text[:40]!r}")
        return int(text)

    def choice(self, element: Element, key: str, known: dict[str, str]) -> str:
        """Return what an attribute's text stands for; the first of `known` where it is absent."""
        text = self.text(element, key, next(iter(known)))
        if text not in known:
            self.fail(
                element,
                f"{key}={text!r} cannot be represented; known here: {', '.join(known)}",
            )
        return known[text]

    def properties(self, element: Element) -> dict[str, str]:
        """Return the <prop> children."""
        found: dict[str, str] = {}
        for child in element.children:
            if child.tag == "prop":
                self.tag(child)
                # of two with one name SimGrid, too, takes the first
                found.setdefault(self.text(child, "id"), self.text(child, "value", ""))
        return found


def radical(reading: Reading, element: Element) -> list[range]:
    """Return the numbers of a cluster's hosts, as ranges: ``1-4,6`` is 1 to 4 and 6."""
    ranges = []
    for part in reading.text(element, "radical").split(","):
        ends = part.strip().split("-")
        if len(ends) > 2 or not all(re.fullmatch(r"[0-9]{1,15}", end) for end in ends):
            reading.fail(element, f"radical: expected such as '0-9' or '1-4,6', got {part[:40]!r}")
        ranges.append(range(int(ends[0]), int(ends[-1]) + 1))
    if not any(len(numbers) for numbers in ranges):
        reading.fail(element, "radical: it names no host")
    return ranges
