"""The platform that jobs run on: sites, links and routes, from records or files.

The text form is explained in `gridtwin.sim.document`, the parts in `gridtwin.sim.parts`.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.sim.document import parse_file, parts_of, render_parts, to_toml
from gridtwin.sim.parts import Link, Pool, Route, Site, Storage, unique
from gridtwin.sim.routing import Routing, crossing
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size

__all__ = ["Link", "Platform", "Pool", "Route", "Site", "Storage"]


@dataclass(frozen=True)
class Platform:
    """Sites with distinct names, at least one, and the network between them."""

    sites: tuple[Site, ...]
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    routers: tuple[str, ...] = ()
    """Nodes of the network that are no sites: exchange points, origins of data."""
    notes: tuple[str, ...] = ()
    """Where it comes from, and what in it is estimated."""

    def __post_init__(self) -> None:
        for key in ("sites", "links", "routes", "routers", "notes"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        if not self.sites:
            raise InputError("site: a platform needs one site or more, got none")
        unique("site", self.names)
        unique("link", [link.name for link in self.links])
        for key in ("routers", "notes"):
            for k, name in enumerate(getattr(self, key)):
                if not isinstance(name, str) or not name.strip():
                    raise InputError(f"{key}[{k}]: expected a text, got {name!r}")
        self._check_network()

    @classmethod
    def single(cls, cores: int, name: str = "machine") -> Self:
        """Return a platform of one site."""
        return cls((Site(name, (Pool(cores),)),))

    @classmethod
    def observed(cls, jobs: JobTable) -> Self:
        """Return the sites that the records name, each as large as it was used at the same time.

        By recorded start and end times, else as if every job had started when it was submitted
        (`gridtwin.trace.derive.machine_size`); a table without ``site`` is one machine. Raises
        `SchemaError` where jobs have no submit time, run time or size.
        """
        frame = jobs.collect()
        if "site" not in frame.columns:
            return cls.single(machine_size(jobs))
        parts = frame.drop_nulls("site").partition_by("site", as_dict=True)
        whole = replace(jobs.provenance, machine_cores=None)
        sizes = {
            str(name): machine_size(JobTable(part.lazy(), whole))
            for (name,), part in sorted(parts.items())
        }
        return cls(tuple(Site.of(name, size) for name, size in sizes.items()))

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a platform from a TOML file, or JSON if its name ends in ``.json``.

        Raises `FormatError` naming the file and the key.
        """
        path = Path(path)
        document = parse_file(path)
        try:
            return cls.from_dict(document)
        except InputError as error:
            raise FormatError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Build a platform from a parsed document; errors name the bad key's path."""
        return cls(**parts_of(document))

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `from_dict` reads, of texts, numbers, lists and dicts."""
        return render_parts(self.sites, self.links, self.routes, self.routers, self.notes)

    def to_toml(self) -> str:
        """Return the text that `load` reads."""
        return to_toml(self.to_dict())

    def save(self, path: Path | str) -> None:
        """Write the TOML form, or JSON if the name ends in ``.json``."""
        as_json = Path(path).suffix == ".json"
        content = json.dumps(self.to_dict(), indent=1) if as_json else self.to_toml()
        with writing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")

    @property
    def names(self) -> list[str]:
        """The sites' names, in order."""
        return [site.name for site in self.sites]

    @property
    def cores(self) -> NDArray[np.int64]:
        """The sites' cores, in order."""
        return np.array([site.cores for site in self.sites], dtype=np.int64)

    def route(self, source: str, destination: str) -> tuple[str, ...]:
        """Return the links between two nodes in order, split ones as ``name:up`` or ``name:down``.

        The route as given, else the reverse of a symmetric one, else the path of least latency
        over links with `ends` (ties: fewest links, then first by name). The sites' `lan` links are
        not among them. Raises `InputError` where there is no such node or no way.
        """
        for node in (source, destination):
            if node not in self._nodes:
                raise InputError(f"there is no site or router {node!r}; add it or correct the name")
        found = self._routing.find(source, destination)
        if found is None:
            raise InputError(
                f"no way from {source!r} to {destination!r}; add a [[route]], or links whose ends "
                "join them"
            )
        return found

    @cached_property
    def _nodes(self) -> frozenset[str]:
        return frozenset(self.names) | frozenset(self.routers)

    @cached_property
    def _routing(self) -> Routing:
        return Routing(self.links, self.routes)

    def _check_network(self) -> None:
        """Raise `InputError` where a link, route or site names what is not there."""
        links = {link.name: link for link in self.links}
        if len(self._nodes) < len(self.sites) + len(self.routers):
            raise InputError("routers: a name occurs twice or is a site's; names are unique")
        for k, site in enumerate(self.sites):
            if site.lan is not None and site.lan not in links:
                raise InputError(f"site[{k}].lan: there is no link {site.lan!r}; add it")
        for k, link in enumerate(self.links):
            for node in link.ends or ():
                self._check_node(f"link[{k}].ends", node)
        pairs: set[tuple[str, str]] = set()
        for k, route in enumerate(self.routes):
            self._check_node(f"route[{k}].source", route.source)
            self._check_node(f"route[{k}].destination", route.destination)
            pair = (route.source, route.destination)
            if pair in pairs:
                raise InputError(f"route[{k}]: there is another route from {pair[0]} to {pair[1]}")
            pairs.add(pair)
            for name in route.links:
                try:
                    crossing(links, name)
                except InputError as error:
                    raise InputError(f"route[{k}].links: {error}") from error

    def _check_node(self, path: str, node: str) -> None:
        if node not in self._nodes:
            raise InputError(f"{path}: there is no site or router {node!r}; add it")
