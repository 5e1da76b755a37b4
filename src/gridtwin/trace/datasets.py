"""Names of ATLAS datasets: their parts, one name at a time or a column at once.

The grammar is ``[scope:]project.number.physics.prodstep.datatype[.tags][_tidN_N][_subN|_disN|_derN]
[/]`` (ATLAS dataset nomenclature, ATL-COM-GEN-2007-003), or ``user.<name>.<text>`` and
``group.<name>.<text>``, whose text means nothing even where it holds an official name. All else,
file names and helper datasets among it, is "other".
"""

import re
from dataclasses import dataclass
from typing import Literal, cast

import polars as pl

__all__ = ["DAOD", "Dataset", "full_type", "is_daod", "parse", "parse_names", "short_type"]

Kind = Literal["official", "user", "group", "other"]

DAOD = "DAOD_"
"""What the data types of derived analysis data begin with; papers leave it out."""

# One grammar for Python and for Polars: neither look-around nor classes that differ by engine.
_SCOPE = r"(?:(?P<scope>[A-Za-z0-9][A-Za-z0-9_.\-]*):)?"
_TAG = r"[a-z][0-9]+"
_VERSION = rf"(?:(?:grp|repro)[0-9]+_v[0-9]+(?:_{_TAG})*|{_TAG}(?:_{_TAG})*)"
_OFFICIAL = (
    rf"{_SCOPE}(?P<project>(?:data|mc)[0-9][0-9]_[A-Za-z0-9]+|valid[0-9]+)"
    r"\.(?P<number>[0-9]{5,10}|period[A-Z][A-Za-z0-9]*)"
    r"\.(?P<physics>[A-Za-z0-9_+\-]+)"
    r"\.(?P<prodstep>deriv|merge|recon|evgen|simul|digit|PhysCont|daq)"
    rf"\.(?:(?P<raw>RAW)|(?P<datatype>[A-Z][A-Z0-9_]*)\.(?P<tags>{_VERSION}))"
    r"(?:_tid(?P<task_id>[0-9]+)_[0-9]+)?(?:_(?:sub|dis|der)[0-9]+)?(?P<slash>/?)"
)
_OWN = (
    rf"{_SCOPE}(?P<owner>(?P<kind>user|group)\.[A-Za-z0-9_\-]+)"
    r"\.[!-+\-.0-9;-~]+(?P<slash>/?)"  # printable ASCII but comma, slash and colon
)
_PARTS = ("scope", "project", "number", "physics", "prodstep", "datatype", "tags", "task_id")
# data types as papers write them, without DAOD_
_SHORT = (
    r"PHYS(?:LITE|VAL)?|(?:EXOT|SUSY|JETM|EGAM|MUON|TOPQ|FTAG|LLP|STDM|BPHY|HION|TAUP|IDTR|TRUTH"
    r"|TCAL|TRIG|L1CALO)[0-9]+|HIGG[0-9]+D[0-9]+"
)
_OFFICIAL_NAME, _OWN_NAME, _SHORT_TYPE = map(re.compile, (_OFFICIAL, _OWN, _SHORT))


@dataclass(frozen=True)
class Dataset:
    """The parts of a dataset's name; None where it has none."""

    kind: Kind
    scope: str | None = None
    """What stands before the colon, else the first field (two for users and groups)."""
    project: str | None = None
    number: str | None = None
    """Sample (simulation), run (data) or period; text, as zeros in front count."""
    physics: str | None = None
    """Short text of the sample, or stream of the data."""
    prodstep: str | None = None
    datatype: str | None = None
    tags: str | None = None
    """Configuration tags joined by ``_``; None for raw data."""
    task_id: str | None = None
    """The task that made it, from ``_tid``."""
    container: bool | None = None
    """A set of datasets rather than one; None for other names."""


def parse(name: str | None) -> Dataset:
    """Return the parts of a dataset's name; what is no such name has the kind "other".

    Examples
    --------
    >>> parse("data18_13TeV.00348885.physics_Main.deriv.DAOD_EXOT7.f937_m1972_p4309").datatype
    'DAOD_EXOT7'
    """
    name = name or ""
    if found := _OFFICIAL_NAME.fullmatch(name):
        part = found.groupdict()
        if not _fits(part["project"], part["number"]):
            return Dataset("other")
        container = bool(
            part["slash"] or part["prodstep"] == "PhysCont" or part["number"].startswith("period")
        )
        values = {key: part[key] for key in _PARTS}
        values["scope"] = part["scope"] or part["project"]
        values["datatype"] = part["raw"] or part["datatype"]
        return Dataset("official", **values, container=container)
    if found := _OWN_NAME.fullmatch(name):
        part = found.groupdict()
        scope = part["scope"] or part["owner"]
        return Dataset(cast(Kind, part["kind"]), scope=scope, container=bool(part["slash"]))
    return Dataset("other")


def parse_names(names: pl.Series) -> pl.DataFrame:
    """Return the parts of a column of names, as `parse` gives them, in a column each.

    Columns: project, number, physics, prodstep, datatype, tags, scope, kind, task_id, container;
    one row for each name. Each distinct name is read once.
    """
    text = names.cast(pl.String).alias("name")
    once = (
        text.unique()
        .to_frame()
        .with_columns(
            pl.col("name").str.extract_groups(f"^(?:{_OFFICIAL})$").alias("o"),
            pl.col("name").str.extract_groups(f"^(?:{_OWN})$").alias("u"),
        )
    )
    field = pl.col("o").struct.field
    period = field("number").str.starts_with("period")
    official = field("project").is_not_null() & (~period | field("project").str.starts_with("data"))
    owned = pl.col("u").struct.field
    own = ~official.fill_null(value=False) & owned("kind").is_not_null()
    container = (field("slash") == "/") | (field("prodstep") == "PhysCont") | period
    parts: dict[str, pl.Expr]
    parts = {name: pl.when(official).then(field(name)) for name in _PARTS}
    parts["datatype"] = pl.when(official).then(pl.coalesce(field("raw"), field("datatype")))
    parts["scope"] = (
        pl.when(official)
        .then(pl.coalesce(field("scope"), field("project")))
        .when(own)
        .then(pl.coalesce(owned("scope"), owned("owner")))
    )
    parts["kind"] = (
        pl.when(official).then(pl.lit("official")).when(own).then(owned("kind"))
    ).fill_null("other")
    parts["container"] = pl.when(official).then(container).when(own).then(owned("slash") == "/")
    order = ("project", "number", "physics", "prodstep", "datatype", "tags", "scope", "kind")
    found = once.select("name", *(parts[n].alias(n) for n in (*order, "task_id", "container")))
    joined = text.to_frame().join(found, on="name", how="left", nulls_equal=True)
    return joined.drop("name")


def short_type(datatype: str) -> str:
    """Return a data type as papers write it: ``DAOD_PHYS`` becomes ``PHYS``."""
    return datatype.removeprefix(DAOD)


def full_type(datatype: str) -> str:
    """Return a data type as datasets carry it: ``PHYS`` becomes ``DAOD_PHYS``, ``AOD`` stays."""
    return DAOD + datatype if _SHORT_TYPE.fullmatch(datatype) else datatype


def is_daod(column: str) -> pl.Expr:
    """Tell whether data types are derived analysis data, written with ``DAOD_`` or without.

    A joined list of types (``DAOD_PHYS,AOD``) is, if one of them is.
    """
    return pl.col(column).str.contains(rf"(?:^|,)(?:{DAOD}[A-Z0-9]|(?:{_SHORT})(?:,|$))")


def _fits(project: str, number: str) -> bool:
    """Tell whether the number can be one of the project: only data have periods."""
    return not number.startswith("period") or project.startswith("data")
