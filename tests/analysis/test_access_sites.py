"""Sites of storage end points."""

import polars as pl
import pytest

from gridtwin.analysis.access import rse_sites
from gridtwin.core.errors import SchemaError


@pytest.mark.parametrize(
    ("rse", "site", "tape"),
    [
        ("AGLT2_DATADISK", "AGLT2", False),
        ("AGLT2", "AGLT2", False),
        ("BNL-OSG2_DATADISK", "BNL", False),
        ("BNL-OSG2_LOCALGROUPDISK", "BNL", False),
        ("CERN-PROD_DATATAPE", "CERN", True),
        ("CERN-PROD_MCTAPE", "CERN", True),
        ("RAL-LCG2-ECHO_DATADISK", "RAL", False),
        ("INFN-T1_DATADISK", "INFN-CNAF", False),
        ("SWT2_CPB_SCRATCHDISK", "SWT2_CPB", False),
        ("IN2P3-CC_DATADISK", "IN2P3-CC", False),
        ("IN2P3-UNHEARD_DATADISK", None, False),  # no site is called IN2P3
        ("NDGF-T1_DATADISK", None, False),  # the storage of several sites
        ("NOWHERE_DATADISK", None, False),
        ("_DATADISK", None, False),
    ],
)
def test_the_name_tells_site_and_kind(rse: str, site: str | None, tape: bool) -> None:
    row = rse_sites(pl.Series([rse])).row(0, named=True)
    assert (row["site"], row["tape"]) == (site, tape)
    assert row["how"] == ("unmatched" if site is None else "name")


def test_a_table_comes_before_the_name() -> None:
    table = pl.DataFrame(
        {"rse": ["AGLT2_DATADISK", "X"], "site": ["MWT2", "Y"], "rse_type": ["TAPE", None]}
    )
    names = pl.Series(["X", "AGLT2_DATADISK", "X", None, "", "BNL_DATADISK"])
    assert rse_sites(names, table).rows() == [
        ("AGLT2_DATADISK", "MWT2", True, "table"),
        ("BNL_DATADISK", "BNL", False, "name"),
        ("X", "Y", False, "table"),
    ]


def test_one_end_point_has_one_site() -> None:
    with pytest.raises(SchemaError, match="two sites or types: a"):
        rse_sites(pl.Series(["a"]), pl.DataFrame({"rse": ["a", "a"], "site": ["x", "y"]}))


def test_the_shipped_names_agree_with_the_example() -> None:
    from gridtwin.trace.examples import panda

    rses = panda.load_traces(1, scale=0.02).rses
    found = rse_sites(rses["rse"]).join(rses, on="rse", suffix="_true")
    assert found.height == rses.height
    assert (found["site"] == found["site_true"]).all()
    assert (found["tape"] == (found["rse_type"] == "TAPE")).all()
