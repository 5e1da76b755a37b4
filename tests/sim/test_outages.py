import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.outages import Outage, load, merge, read_osg, save

HEAD = "facility,site,resource_group,resource,class,severity,start_time,end_time,services\n"
RESOURCES = "resource_group,resource,services,active,disable\n"


def osg(tmp_path, *rows):
    """Write a list of downtimes: group, resource, severity, start, end, services."""
    path = tmp_path / "osg.csv"
    lines = [f'F,S,{g},{r},SCHEDULED,{sev},"{a}","{b}",{s}' for g, r, sev, a, b, s in rows]
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def row(group="G", resource="r", severity="Outage", start=1, end=2, services="CE", zone="+0000"):
    """Return a downtime from one hour to another of 1 January 1970."""
    hours = [f"Jan 1, 1970 {h:02d}:00 {zone}" if isinstance(h, int) else h for h in (start, end)]
    return group, resource, severity, *hours, services


def lost(outages, site, time):
    """Return the smallest factor at an instant."""
    factors = [o.factor for o in outages if o.site == site and o.start <= time < o.end]
    return min(factors, default=1.0)


spans = st.builds(
    lambda site, start, length, factor: Outage(site, start, start + length, factor),
    st.sampled_from("AB"),
    st.integers(0, 20),
    st.integers(1, 9) | st.just(math.inf),
    st.sampled_from([0.0, 0.25, 0.5]),
)


@given(st.lists(spans, max_size=12))
def test_merged_outages_say_the_same_without_overlap(outages):
    merged = merge(outages)
    for site in "AB":
        for time in np.arange(0, 32, 0.5):
            assert lost(merged, site, time) == lost(outages, site, time)
        own = [o for o in merged if o.site == site]
        for before, after in pairwise(own):
            assert before.end <= after.start
            assert before.end < after.start or before.factor != after.factor
    assert merge(merged) == merged


def test_neighbours_of_one_factor_become_one():
    assert merge([Outage("A", 5, 9), Outage("A", 0, 5)]) == (Outage("A", 0, 9),)


@given(st.lists(spans, max_size=4), st.sampled_from(["c.toml", "c.json"]))
def test_a_calendar_is_read_again(tmp_path_factory, outages, name):
    path = tmp_path_factory.mktemp("calendar") / name
    shifted = [Outage(o.site, o.start + 1.7e9, o.end + 1.7e9, o.factor) for o in outages]
    for calendar in (outages, shifted):
        save(path, calendar)
        assert load(path) == tuple(calendar)


def test_times_may_be_dates(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        "[[outage]]\nsite = 'A'\nstart = 1970-01-02T00:00:00\nend = 1970-01-02T02:00:00+01:00\n"
    )
    assert load(path) == (Outage("A", 86400.0, 90000.0),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected [[outage]] tables and nothing else"),
        ("outage = 3", "expected [[outage]] tables"),
        ("outage = [3]", "outage[0]: expected a table"),
        ("[[outage]]\nsite = 'A'", "outage[0].start is missing"),
        ("[[outage]]\nsite = 'A'\nstart = 2\nend = 1", "outage[0].end: expected a time after"),
        (
            "[[outage]]\nsite = 'A'\nstart = 2\nfactor = 1",
            "outage[0].factor: expected 0 to below 1",
        ),
        ("[[outage]]\nsite = 'A'\nstart = 'soon'", "outage[0].start: expected a number or a date"),
        ("[[outage]]\nsite = ''\nstart = 2", "outage[0].site: expected the site's name"),
        ("[[outage]]\nsite = 'A'\nstart = 2\nstop = 3", "outage[0].stop is no known key"),
        ("[[outage]]\nsite = 'A'\nstart = inf", "outage[0].start: expected a finite time"),
    ],
)
def test_errors_name_the_key(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=re.escape(message)):
        load(path)


def test_rows_of_osgs_list_are_outages_or_counted(tmp_path):
    found = read_osg(
        osg(
            tmp_path,
            row("AGLT2", start=1, end=3),
            row("bnl-atlas", start=3, end=5, zone="+0100"),
            row("BNL-ATLAS", start=4, end=6, severity="Severe"),
            row("elsewhere"),
            row("G", services="Squid"),
            row("G", severity="No Significant Outage Expected"),
            row("G", severity="Odd"),
            row("G", start=5, end=5),
            row("G", start="soon"),
            row("mine", services="SRMv2|CE"),
            row("AGLT2", start="Jan 2, 1970 00:00 +0000", end="Jan 2, 1999 00:00 +0000"),
        ),
        sites=["AGLT2", "BNL", "M"],
        names={"mine": "M"},
        longest=86400.0,
    )
    assert found.outages == (
        Outage("AGLT2", 3600.0, 3 * 3600.0),
        Outage("AGLT2", 86400.0, 2 * 86400.0),
        Outage("BNL", 2 * 3600.0, 4 * 3600.0),
        Outage("BNL", 4 * 3600.0, 6 * 3600.0, 0.25),
        Outage("M", 3600.0, 7200.0),
    )
    assert (found.rows, found.shortened) == (11, 1)
    assert found.skipped == {
        "site not in the platform": 1,
        "no compute service": 1,
        "no significant outage": 1,
        "unknown severity": 1,
        "ends when it starts, or before": 1,
        "time not readable": 1,
    }


def test_each_compute_service_is_a_share_of_its_site(tmp_path):
    resources = tmp_path / "resources.csv"
    listed = ("G,a,CE,True,", "G,b,CE|Squid,True,", "G,c,Squid,True,", "G,d,CE,False,")
    resources.write_text(RESOURCES + "\n".join(listed) + "\n", encoding="utf-8")
    rows = (row(resource="a", start=1, end=4), row(resource="b", start=3, end=5, severity="Severe"))
    found = read_osg(osg(tmp_path, *rows, row(resource="a", start=2, end=3)), resources=resources)
    assert found.outages == (
        Outage("G", 3600.0, 10800.0, 0.5),
        Outage("G", 10800.0, 14400.0, 0.125),
        Outage("G", 14400.0, 18000.0, 0.625),
    )


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(InputError, match="give a CSV of OSG's topology"):
        read_osg(path)
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(FormatError, match="lacks the columns resource_group"):
        read_osg(path)
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="is no readable CSV"):
        read_osg(path)


@pytest.mark.parametrize("shares", [False, True])
def test_osgs_own_list(data_dir, shares):
    folder = data_dir / "sites"
    found = read_osg(
        folder / "osg_downtimes.csv.gz",
        resources=folder / "osg_resources.csv" if shares else None,
    )
    assert found.rows == 3812
    assert found.skipped["no compute service"] == 2231
    assert "time not readable" not in found.skipped
    assert "unknown severity" not in found.skipped
    assert found.shortened > 0
    # where several services share a site, their long downtimes may follow each other
    assert len({o.site for o in found.outages} & {"AGLT2", "MWT2", "BNL", "SWT2_CPB"}) == 4
    assert merge(found.outages) == found.outages
    assert {o.factor for o in found.outages} >= {0.0, 0.25, 0.5}
