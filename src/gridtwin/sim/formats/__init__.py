"""Platforms, jobs and results in the file formats of other simulators, a module each.

`load_platform` and `save_platform` know the platforms of all of them;
`gridtwin.sim.formats.scenario` reads jobs and platform together.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from gridtwin.sim.platform import Platform

__all__ = ["PlatformForm", "load_platform", "save_platform"]

PlatformForm = Literal["toml", "json", "simgrid", "cgsim"]
"""Forms that platforms are written in."""


def load_platform(path: Path | str) -> "Platform":
    """Read a platform: gridtwin's TOML or JSON, SimGrid's XML, CGSim's config or sites JSON.

    The content says which it is. Beside a sites JSON, the connections JSON is looked for under the
    name of `connections_beside`; without it the platform has no links between its sites, which its
    notes say. Raises `FormatError` for what is none of these, naming what it is if that is known.
    """
    from dataclasses import replace

    from gridtwin.core.errors import FormatError
    from gridtwin.sim.formats import _forms, _json, cgsim, simgrid
    from gridtwin.sim.platform import Platform

    path = Path(path)
    form = _forms.form_of(path)
    if form == "simgrid":
        return simgrid.read_platform(path)
    if form == "cgsim_config":
        return cgsim.read_platform(path)
    if form == "cgsim_sites":
        connections = _forms.connections_beside(path)
        if connections.is_file():
            return cgsim.read_platform(path, connections)
        platform = cgsim.read_platform(path)
        note = f"There are no connections beside {path.name} (looked for {connections.name})."
        return replace(platform, notes=(*platform.notes, note))
    if form == "cgsim_queues":
        platform = cgsim.read_platform(path)
        note = "These sites have no connections; with ATLAS's links, build them with `from_atlas`."
        return replace(platform, notes=(*platform.notes, note))
    if form == "gridtwin_json":
        with _json.naming(path):
            return Platform.from_dict(_json.load(path))
    if form == "gridtwin":
        return Platform.load(path)
    raise FormatError(
        f"{path} holds {_forms.WORDS[form]}, not a platform; expected {_forms.PLATFORMS}"
    )


def save_platform(
    platform: "Platform", path: Path | str, form: PlatformForm | None = None
) -> tuple[Path, ...]:
    """Write a platform; return the files written.

    `form` None: by the name's end, ``.toml``, ``.json`` (gridtwin's own) or ``.xml`` (SimGrid's).
    CGSim's connections are written beside its sites, where `load_platform` looks for them. Raises
    `InputError` naming what the form has no place for, or if the name says nothing.
    """
    from gridtwin.core.errors import InputError, UnknownNameError
    from gridtwin.sim.formats import _forms, cgsim, simgrid

    path = Path(path)
    ends: dict[str, PlatformForm] = {".toml": "toml", ".json": "json", ".xml": "simgrid"}
    if form is None:
        form = ends.get(path.suffix)
    if form is None:
        raise InputError(
            f"{path}: expected a name that ends in {', '.join(ends)}, got {path.suffix or 'none'}; "
            f"rename it or give the form: {', '.join(get_args(PlatformForm))}"
        )
    if form not in get_args(PlatformForm):
        raise UnknownNameError("form", form, get_args(PlatformForm))
    own = {"toml": ".toml", "json": ".json"}.get(form)
    if own is not None and (path.suffix == ".json") != (own == ".json"):
        raise InputError(f"{path}: expected a name that ends in {own}; rename it")
    if form == "cgsim":
        connections = _forms.connections_beside(path)
        cgsim.write_platform(platform, path, connections)
        return path, connections
    if form == "simgrid":
        simgrid.write_platform(platform, path)
    else:
        platform.save(path)
    return (path,)
