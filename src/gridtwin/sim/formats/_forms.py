"""Which simulator's file a file is, by its content."""

from pathlib import Path
from typing import Any, Literal

from gridtwin.core.errors import FormatError
from gridtwin.sim.formats._json import load

__all__ = ["PLATFORMS", "WORDS", "Form", "connections_beside", "form_of"]

Form = Literal[
    "gridtwin",
    "gridtwin_json",
    "simgrid",
    "cgsim_config",
    "cgsim_sites",
    "cgsim_queues",
    "batsim",
    "wfformat",
    "other",
]

PLATFORMS = "gridtwin's TOML or JSON, SimGrid's XML, or CGSim's config or sites JSON"
WORDS: dict[Form, str] = {
    "gridtwin": "gridtwin's own text",
    "gridtwin_json": "a platform in gridtwin's own form",
    "simgrid": "a platform of SimGrid",
    "cgsim_config": "a config of CGSim",
    "cgsim_sites": "the sites of CGSim",
    "cgsim_queues": "the sites of an older CGSim",
    "batsim": "a workload of Batsim",
    "wfformat": "a workflow in WfFormat",
    "other": "a JSON document of no known form",
}

_SITES: dict[str, Form] = {"CPUInfo": "cgsim_sites", "RSE": "cgsim_queues"}
"""What each site of a sites JSON has."""
_OURS = ("site", "link", "route", "routers", "notes")


def form_of(path: Path) -> Form:
    """Return what a file is; text that is neither XML nor JSON is taken for gridtwin's TOML.

    Raises `FormatError` for what cannot be read. Memory: a JSON document as a whole.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except FileNotFoundError as error:
        raise FormatError(f"{path}: there is no such file; expected {PLATFORMS}") from error
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error}; expected {PLATFORMS}") from error
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "simgrid"
    if text.startswith(b"{") or head.startswith(b"\x1f\x8b"):
        return _of_document(load(path))
    return "gridtwin"


def connections_beside(path: Path) -> Path:
    """Return where the connections of a sites JSON of CGSim are: another name beside it.

    ``site_info`` in the name becomes ``site_conn_info``, else ``sites`` ``connections``; else
    ``_connections`` is put behind the stem. What is there may end in ``.gz`` or not.
    """
    stem, dot, end = path.name.partition(".")
    for word, other in (("site_info", "site_conn_info"), ("sites", "connections")):
        if word in stem:
            stem = stem.replace(word, other)
            break
    else:
        stem += "_connections"
    end = end.removesuffix(".gz")
    plain = path.with_name(stem + dot + end)
    packed = path.with_name(plain.name + ".gz")
    return packed if packed.is_file() and not plain.is_file() else plain


def _of_document(value: Any) -> Form:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        return "other"
    if "Sites_Information" in value:
        return "cgsim_config"
    if "nb_res" in value and "profiles" in value:
        return "batsim"
    if "schemaVersion" in value or "workflow" in value:
        return "wfformat"
    for key, form in _SITES.items():
        if value and all(isinstance(part, dict) and key in part for part in value.values()):
            return form
    return "gridtwin_json" if not value or set(value) & set(_OURS) else "other"
