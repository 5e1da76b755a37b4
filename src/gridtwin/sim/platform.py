"""The sites that jobs run on, and their TOML form.

```toml
[[site]]
name = "CERN"
cores = 4096
```
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size

__all__ = ["Platform", "Site"]

_MOST_CORES = 2**40


@dataclass(frozen=True)
class Site:
    """One queue before a number of equal cores."""

    name: str
    cores: int

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(f"name: expected the site's name, a text, got {self.name!r}")
        if isinstance(self.cores, bool) or not isinstance(self.cores, int | np.integer):
            raise InputError(f"cores: expected a whole number, got {self.cores!r}")
        if not 1 <= self.cores <= _MOST_CORES:
            raise InputError(f"cores: expected a number from 1 to 2^40, got {self.cores}")
        object.__setattr__(self, "cores", int(self.cores))


@dataclass(frozen=True)
class Platform:
    """Sites with distinct names, at least one."""

    sites: tuple[Site, ...]

    def __post_init__(self) -> None:
        if not self.sites:
            raise InputError("site: a platform needs one site or more, got none")
        seen: set[str] = set()
        for k, site in enumerate(self.sites):
            if site.name in seen:
                raise InputError(f"site[{k}].name: {site.name!r} is taken; names are unique")
            seen.add(site.name)

    @classmethod
    def single(cls, cores: int, name: str = "machine") -> Self:
        """Return a platform of one site."""
        return cls((Site(name, cores),))

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
        return cls(tuple(Site(name, size) for name, size in sizes.items()))

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a platform from a TOML file; raise `FormatError` naming the file and the key."""
        path = Path(path)
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise FormatError(f"{path}: there is no such file; expected a platform TOML") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise FormatError(f"{path} is no TOML file ({error}); write [[site]] tables") from error
        try:
            return cls.from_toml(document)
        except InputError as error:
            raise FormatError(f"{path}: {error}") from error

    @classmethod
    def from_toml(cls, document: dict[str, Any]) -> Self:
        """Build a platform from a parsed TOML document; errors name the bad key's path."""
        _only(document, ("site",), "")
        tables = document.get("site", [])
        if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
            raise InputError(f"site: expected [[site]] tables, got {tables!r}")
        return cls(tuple(_site(table, f"site[{k}]") for k, table in enumerate(tables)))

    def to_toml(self) -> str:
        """Return the text that `load` reads."""
        return "\n".join(
            f"[[site]]\nname = {_quoted(site.name)}\ncores = {site.cores}\n" for site in self.sites
        )

    def save(self, path: Path | str) -> None:
        """Write the TOML form."""
        with writing(path) as temporary:
            temporary.write_text(self.to_toml(), encoding="utf-8")

    @property
    def names(self) -> list[str]:
        """The sites' names, in order."""
        return [site.name for site in self.sites]

    @property
    def cores(self) -> NDArray[np.int64]:
        """The sites' cores, in order."""
        return np.array([site.cores for site in self.sites], dtype=np.int64)


def _site(table: dict[str, Any], path: str) -> Site:
    _only(table, ("name", "cores"), f"{path}.")
    for key in ("name", "cores"):
        if key not in table:
            raise InputError(f"{path}.{key} is missing; a site needs name and cores")
    try:
        return Site(table["name"], table["cores"])
    except InputError as error:
        raise InputError(f"{path}.{error}") from error


def _only(table: dict[str, Any], known: tuple[str, ...], path: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(f"{path}{key} is no known key; known here: {', '.join(known)}")


def _quoted(text: str) -> str:
    """Return a TOML basic string."""
    escaped = {'"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(escaped.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
        + '"'
    )
