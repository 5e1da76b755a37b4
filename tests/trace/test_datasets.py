"""Names of datasets: the table of readings, round trips, and both readers agree."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtwin.trace import datasets, tables

PARTS = ("kind", "scope", "project", "number", "physics", "prodstep", "datatype", "tags", "task_id")
TABLE = tables.dataset_names().to_dicts()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: (row["name"] or "empty")[:40])
def test_shipped_readings(row):
    found = datasets.parse(row["name"])
    assert {part: getattr(found, part) for part in PARTS} == {part: row[part] for part in PARTS}
    assert found.container == {"True": True, "False": False, None: None}[row["container"]]


def test_the_table_has_all_36():
    assert len(TABLE) == 36


def text(alphabet, least=1, most=12):
    return st.text(alphabet, min_size=least, max_size=most)


DIGITS, LOWER = "0123456789", "abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
TAGS = st.lists(st.builds("{}{}".format, text(LOWER, most=1), text(DIGITS, most=5)), min_size=1)


@st.composite
def official(draw):
    """Return the parts of an official name, and the name."""
    data = draw(st.booleans())
    energy = draw(st.sampled_from(["13TeV", "13p6TeV", "hi", "5TeV"]))
    year = draw(text(DIGITS, 2, 2))
    project = (
        f"data{year}_{energy}" if data else draw(st.sampled_from([f"mc{year}_{energy}", "valid2"]))
    )
    period = st.builds("period{}".format, text(UPPER, 1, 1))
    number = draw(st.one_of(text(DIGITS, 8, 8), period) if data else text(DIGITS, 5, 10))
    physics = draw(text(LOWER + UPPER + DIGITS + "_+-"))
    prodstep = draw(st.sampled_from(["deriv", "merge", "recon", "evgen", "simul", "PhysCont"]))
    datatype = draw(st.sampled_from(["DAOD_PHYS", "DAOD_HIGG2D1", "AOD", "EVNT", "RAW"]))
    tags = "_".join(draw(TAGS)) if datatype != "RAW" else None
    task = draw(st.one_of(st.none(), text(DIGITS, 8, 8)))
    helper = draw(st.sampled_from(["", "_sub0612", "_dis7", "_der1700000001"]))
    slash = draw(st.sampled_from(["", "/"]))
    scope = draw(st.sampled_from(["", f"{project}:"]))
    fields = [project, number, physics, prodstep, datatype, *([tags] if tags else [])]
    name = scope + ".".join(fields) + (f"_tid{task}_00" if task else "") + helper + slash
    contained = bool(slash) or prodstep == "PhysCont" or number.startswith("period")
    parts = ("official", project, project, number, physics, prodstep, datatype, tags, task)
    return datasets.Dataset(*parts, container=contained), name


@given(official())
def test_official_names_come_back_part_by_part(case):
    parts, name = case
    assert datasets.parse(name) == parts


@given(
    kind=st.sampled_from(["user", "group"]),
    owner=text(LOWER + DIGITS + "_-"),
    free=text(LOWER + UPPER + DIGITS + "._-+", most=60),
    scoped=st.booleans(),
    slash=st.sampled_from(["", "/"]),
)
def test_own_names_keep_their_scope_and_nothing_else(kind, owner, free, scoped, slash):
    scope = f"{kind}.{owner}"
    name = f"{scope}:{scope}.{free}{slash}" if scoped else f"{scope}.{free}{slash}"
    assert datasets.parse(name) == datasets.Dataset(kind, scope=scope, container=bool(slash))


@given(
    st.lists(
        st.one_of(
            st.none(),
            official().map(lambda case: case[1]),
            st.text(max_size=30),
            st.tuples(
                st.sampled_from([row["name"] or "" for row in TABLE]), st.text(max_size=2)
            ).map("".join),
        ),
        max_size=12,
    )
)
def test_a_column_is_read_as_each_name_is(names):
    table = datasets.parse_names(pl.Series("d", names, dtype=pl.String))
    assert table.height == len(names)
    for name, row in zip(names, table.iter_rows(named=True), strict=True):
        assert row == {part: getattr(datasets.parse(name), part) for part in row}


@pytest.mark.parametrize("short", ["PHYS", "PHYSLITE", "EXOT7", "HIGG2D1", "EGAM1", "LLP1"])
def test_both_forms_of_a_derived_type(short):
    full = f"DAOD_{short}"
    assert datasets.full_type(short) == datasets.full_type(full) == full
    assert datasets.short_type(full) == datasets.short_type(short) == short


@pytest.mark.parametrize("other", ["AOD", "EVNT", "HITS", "RAW", "DESDM_RPVLL"])
def test_other_types_have_one_form(other):
    assert datasets.full_type(other) == datasets.short_type(other) == other


def test_derived_data_are_known_in_both_forms_and_in_lists():
    yes = ["DAOD_PHYS", "PHYS", "HIGG4D2", "AOD,DAOD_EXOT4", "DAOD_NEW", "EXOT4,AOD"]
    no = ["AOD", "PHYSICS", "DAOD_", "EVNT,HITS", "log", ""]
    frame = pl.DataFrame({"datatype": [*yes, *no]})
    found = frame.select(datasets.is_daod("datatype")).to_series().to_list()
    assert found == [True] * len(yes) + [False] * len(no)
