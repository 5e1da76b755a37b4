"""Find models, readers, metrics and policies by name.

Two ways of registering, one way of asking:

- by file name (models, readers): each file of a package is one entry, imported when asked for;
  packages in it hold what entries share;
- by decorator (metrics, policies): the modules of a package are imported once and register.

Other distributions plug in through an entry-point group.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from gridtwin.core.errors import UnknownNameError

__all__ = ["Registry"]


class Registry:
    """Names of one kind of thing, each resolved when first asked for.

    Parameters
    ----------
    kind
        What an entry is, for messages: ``"model"``, ``"reader"``…
    package
        The package whose modules are the entries, or register them.
    group
        The entry-point group through which other distributions add entries.
    pick
        Turns an entry's module into the entry (by file name). ``None``: the modules of the
        package register their entries themselves, with `add`.
    skip
        Modules of the package that are no entries.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        group: str,
        *,
        pick: Callable[[Any], Any] | None = None,
        skip: frozenset[str] = frozenset(),
    ) -> None:
        self.kind, self.package, self.group = kind, package, group
        self._pick, self._skip = pick, skip
        self._entries: dict[str, Any] = {}
        self._imported = False

    def add(self, name: str, entry: Any) -> None:  # noqa: ANN401 - any kind of entry
        """Register `entry` under `name`; a name can be taken once."""
        if name in self._entries and self._entries[name] is not entry:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry

    def names(self) -> list[str]:
        """All names, sorted; heavy libraries are not imported to list file-name entries."""
        if self._pick is None:
            self._import_modules()
        found = set(self._entries) | _plugged_in(self.group, *sys.path)
        if self._pick is not None:
            found |= set(self._modules())
        return sorted(found)

    def get(self, name: str) -> Any:  # noqa: ANN401 - any kind of entry
        """Return the entry of that name, or raise `UnknownNameError` with the nearest name."""
        if name in self._entries:
            return self._entries[name]
        if self._pick is None:
            self._import_modules()
        elif name in self._modules():
            self._entries[name] = self._pick(importlib.import_module(f"{self.package}.{name}"))
        if name not in self._entries:
            for point in entry_points(group=self.group, name=name):
                loaded = point.load()  # which may register the name already
                if isinstance(loaded, ModuleType) and self._pick:
                    loaded = self._pick(loaded)
                self._entries.setdefault(name, loaded)
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self.names())
        return self._entries[name]

    def _modules(self) -> list[str]:
        path = importlib.import_module(self.package).__path__
        return [
            m.name
            for m in pkgutil.iter_modules(path)
            if not (m.name.startswith("_") or m.name in self._skip or (m.ispkg and self._pick))
        ]

    def _import_modules(self) -> None:
        if not self._imported:
            self._imported = True
            for name in self._modules():
                importlib.import_module(f"{self.package}.{name}")


@cache
def _plugged_in(group: str, *_path: str) -> frozenset[str]:
    """Return the names of a group's entry points, read once for a search path.

    Reading them opens a file of every distribution that is installed.
    """
    return frozenset(entry_points(group=group).names)
