import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim import Link, Platform, Pool, Route, Site, Storage

TWO = '[[site]]\nname = "A"\ncores = 4\n[[site]]\nname = "B"\ncores = 16\n'

WAN = "[[link]]\nname = 'wan'\nbandwidth = '10 Gbps'\n"
ROUTE = "[[route]]\nsource = 'A'\ndestination = 'B'\nlinks = ['wan']\n"
FULL = """
notes = ["made up"]
routers = ["origin"]

[[site]]
name = "A"
country = "CH"
tier = 0
lan = "lan"
properties = { kind = "unified" }
[[site.pool]]
name = "old"
cores = 8
hosts = 10
speed = "8 HS23"
memory = "16 GiB"
[[site.pool]]
cores = 64
hosts = 5
speed = "3 Gf"
[[site.storage]]
name = "disk"
capacity = "2 TB"
read = "2 GBps"
write = "8 Gbps"
files = { "raw.1" = "4 GB", raw2 = 17 }
[[site.storage]]
name = "tape"
kind = "tape"
latency = "6 h"

[[site]]
name = "B"
cores = 0

[[link]]
name = "lan"
bandwidth = "100 Gbps"
[[link]]
name = "wan"
bandwidth = "10 Gbps"
latency = "5 ms"
sharing = "split"
ends = ["A", "origin"]

[[route]]
source = "B"
destination = "A"
links = ["wan:down", "lan"]
symmetric = false
"""

_number = st.floats(0, 1e18) | st.integers(0, 10**9).map(float)
_above = st.floats(1e-9, 1e18)
_name = st.text(min_size=1, max_size=5).filter(
    lambda name: name.strip() and not name.endswith((":up", ":down"))
)
_pools = st.builds(
    Pool,
    cores=st.integers(1, 999),
    hosts=st.integers(1, 99),
    speed=st.none() | _above,
    memory=st.none() | _above,
    name=st.just("") | _name,
)
_storages = st.builds(
    Storage,
    name=_name,
    capacity=st.none() | _number,
    read=st.none() | _above,
    write=st.none() | _above,
    kind=st.sampled_from(["disk", "cache", "tape"]),
    files=st.dictionaries(_name, _number, max_size=3).map(lambda files: tuple(files.items())),
    latency=_number,
)


@st.composite
def platforms(draw):
    """Any platform: names of all kinds, sites with and without pools, every part of a network."""
    nodes = draw(st.lists(_name, min_size=3, max_size=6, unique=True))
    names, routers = nodes[:-1], nodes[-1:]
    pairs = st.permutations(nodes).map(lambda nodes: (nodes[0], nodes[1]))
    links = [
        Link(
            name,
            draw(_number),
            draw(_number),
            draw(st.sampled_from(["shared", "fatpipe", "split"])),
            draw(st.none() | pairs),
        )
        for name in draw(st.lists(_name, max_size=3, unique=True))
    ]
    known = st.sampled_from([link.name for link in links]) if links else st.nothing()
    sites = [
        Site(
            name,
            tuple(draw(st.lists(_pools, max_size=3, unique_by=lambda p: p.name or object()))),
            tuple(draw(st.lists(_storages, max_size=2, unique_by=lambda s: s.name))),
            lan=draw(st.none() | known) if links else None,
            country=draw(st.none() | _name),
            tier=draw(st.none() | st.integers(0, 3)),
            properties=tuple(draw(st.dictionaries(_name, st.text(max_size=3), max_size=2)).items()),
        )
        for name in names
    ]
    routes = [
        Route(*pair, tuple(draw(st.lists(known, max_size=3)) if links else ()), draw(st.booleans()))
        for pair in draw(st.lists(pairs, max_size=3, unique=True))
    ]
    notes = draw(st.lists(_name, max_size=2))
    return Platform(tuple(sites), tuple(links), tuple(routes), tuple(routers), tuple(notes))


def test_a_platform_is_read_from_toml(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(TWO, encoding="utf-8")
    platform = Platform.load(path)
    assert platform == Platform((Site.of("A", 4), Site.of("B", 16)))
    assert platform.names == ["A", "B"]
    assert platform.cores.tolist() == [4, 16]


def test_a_single_site():
    assert Platform.single(64) == Platform((Site.of("machine", 64),))
    assert Platform.single(np.int64(64)).to_toml() == '[[site]]\nname = "machine"\ncores = 64\n'


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5, unique=True))
def test_what_is_written_is_read_again(tmp_path_factory, names):
    platform = Platform(tuple(Site.of(name, k + 1) for k, name in enumerate(names)))
    path = tmp_path_factory.mktemp("platform") / "grid.toml"
    platform.save(path)
    assert Platform.load(path) == platform


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "site: a platform needs one site or more"),
        ("site = 3", "site: expected [[site]] tables, got 3"),
        ("site = [1, 2]", "site: expected [[site]] tables"),
        ('[[site]]\nname = "A"', "site[0].cores is missing"),
        ("[[site]]\ncores = 4", "site[0].name is missing"),
        (TWO + '[[site]]\nname = "C"\ncores = -1', "site[2].cores: expected a number from 1"),
        ('[[site]]\nname = "A"\ncores = -4', "site[0].cores: expected a number from 1"),
        ('[[site]]\nname = "A"\ncores = 99999999999999', "site[0].cores: expected a number"),
        ('[[site]]\nname = "A"\ncores = 4.5', "site[0].cores: expected a whole number, got 4.5"),
        ('[[site]]\nname = "A"\ncores = true', "site[0].cores: expected a whole number"),
        ('[[site]]\nname = "A"\ncores = "4"', "site[0].cores: expected a whole number"),
        ('[[site]]\nname = ""\ncores = 4', "site[0].name: expected the site's name"),
        ("[[site]]\nname = 7\ncores = 4", "site[0].name: expected the site's name"),
        ('[[site]]\nname = "A"\ncores = 4\ncorse = 5', "site[0].corse is no known key"),
        (TWO + "[links]", "links is no known key; did you mean 'link'?"),
        (TWO + '[[site]]\nname = "A"\ncores = 1', "site[2].name: 'A' is taken"),
        ("[[site]\n", "is no TOML file"),
        (TWO + 'speed = "3 Gq"', "site[1].speed: expected a speed in flop/s"),
        (TWO + "speed = 0", "site[1].speed: expected a finite number above 0, got 0"),
        (TWO + "sped = 1", "site[1].sped is no known key; did you mean 'speed'?"),
        (TWO + "[[site.pool]]\ncores = 1", "site[1].cores and site[1].pool are both given"),
        ("[[site]]\nname = 'A'\n[[site.pool]]\nhosts = 2", "site[0].pool[0].cores is missing"),
        (
            "[[site]]\nname = 'A'\n" + 2 * "[[site.pool]]\ncores = 1\n" + "speed = '-1f'",
            "site[0].pool[1].speed: expected a finite number above 0, got -1.0",
        ),
        (TWO + "[[site.storage]]\ncapacity = '2 TB'", "site[1].storage[0].name is missing"),
        (
            TWO + "[[site.storage]]\nname = 'd'\ncapacity = '2 tb'",
            "site[1].storage[0].capacity: expected bytes",
        ),
        (
            TWO + "[[site.storage]]\nname = 'd'\nkind = 'disc'",
            "site[1].storage[0].kind: expected one of disk, cache, tape, got 'disc'",
        ),
        (
            TWO + "[[site.storage]]\nname = 'd'\nfiles = { a = '1 s' }",
            "site[1].storage[0].files: expected bytes",
        ),
        (TWO + "[[site.storage]]\nname = 'd'\nfiles = ['a']", "site[1].storage[0].files"),
        (TWO + "properties = 3", "site[1].properties: expected a table of texts"),
        (TWO + "properties = { a = 3 }", "site[1].properties.a: expected a text, got 3"),
        (TWO + "lan = 'wan'", "site[1].lan: there is no link 'wan'"),
        (TWO + "tier = 'T1'", "site[1].tier: expected a whole number, got 'T1'"),
        (TWO + "[[link]]\nname = 'w'", "link[0].bandwidth is missing"),
        (TWO + "[[link]]\nname = 'w'\nbandwidth = '1 GB'", "link[0].bandwidth: expected bytes per"),
        (TWO + "[[link]]\nname = 'w'\nbandwidth = -1", "link[0].bandwidth: expected a finite"),
        (TWO + WAN + "sharing = 'full'", "link[0].sharing: expected one of shared, fatpipe, split"),
        (TWO + WAN + "ends = ['A']", "link[0].ends: expected two different nodes"),
        (TWO + WAN + "ends = ['A', 'C']", "link[0].ends: there is no site or router 'C'"),
        (TWO + WAN + WAN, "link[1].name: 'wan' is taken"),
        (TWO + WAN.replace("wan", "x:up"), "link[0].name: 'x:up' ends like a direction"),
        (TWO + WAN + ROUTE.replace("'wan'", "'wam'"), "route[0].links: there is no link 'wam'"),
        (TWO + WAN + ROUTE.replace("'wan'", "'wan:up'"), "only split ones have"),
        (TWO + WAN + ROUTE.replace("'B'", "'C'"), "route[0].destination: there is no site or"),
        (TWO + WAN + ROUTE.replace("'B'", "'A'"), "route[0].destination: 'A' is the source"),
        (TWO + WAN + ROUTE + ROUTE, "route[1]: there is another route from A to B"),
        (TWO + WAN + ROUTE + "symmetric = 1", "route[0].symmetric: expected true or false"),
        ("routers = ['A']\n" + TWO, "routers: a name occurs twice or is a site's"),
        ("routers = 'A'\n" + TWO, "routers: expected a list of texts"),
        ("notes = [1]\n" + TWO, "notes[0]: expected a text, got 1"),
    ],
)
def test_errors_name_the_file_and_the_path_of_the_key(tmp_path, text, message):
    path = tmp_path / "grid.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        Platform.load(path)
    assert "grid.toml" in str(caught.value)


@given(platforms(), st.sampled_from(["grid.toml", "grid.json"]))
def test_any_platform_is_read_again(tmp_path_factory, platform, name):
    path = tmp_path_factory.mktemp("platform") / name
    platform.save(path)
    assert Platform.load(path) == platform


def test_units_pools_storages_and_links_are_read(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(FULL, encoding="utf-8")
    platform = Platform.load(path)
    a, b = platform.sites
    assert a.pools == (
        Pool(8, 10, 2e9, 16 * 2.0**30, "old"),
        Pool(64, 5, 3e9, None, "pool1"),
    )
    assert a.cores == 400
    assert a.speed == pytest.approx((80 * 2e9 + 320 * 3e9) / 400)
    assert a.storages[0].files == (("raw.1", 4e9), ("raw2", 17.0))
    assert a.storages[1] == Storage("tape", kind="tape", latency=21600.0)
    assert a.storages[0].write == 1e9
    assert b == Site.of("B", 0)
    assert b.speed is None
    assert platform.links[1] == Link("wan", 1.25e9, 0.005, "split", ("A", "origin"))
    assert platform.routes == (Route("B", "A", ("wan:down", "lan"), symmetric=False),)
    assert platform.notes == ("made up",)
    assert platform.route("B", "A") == ("wan:down", "lan")
    assert platform.route("A", "origin") == ("wan:up",)


def test_json_is_checked_like_toml(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text('{"site": [{"name": "A", "cores": 2, "speed": "x"}]}', encoding="utf-8")
    with pytest.raises(FormatError, match=r"grid.json: site\[0\].speed: expected a speed"):
        Platform.load(path)
    for text in ("[1]", "{", "[" * 100_000):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FormatError, match=r"grid.json (holds a list|is no JSON file)"):
            Platform.load(path)


def test_parts_check_what_they_are_given():
    with pytest.raises(InputError, match="cores: 1099511627776 on each of 2 hosts"):
        Pool(2**40, 2)
    with pytest.raises(InputError, match="memory: expected a number, got 'much'"):
        Pool(1, memory="much")
    with pytest.raises(InputError, match=r"storage\[1\].name: 'd' is taken"):
        Site("A", storages=(Storage("d"), Storage("d")))
    with pytest.raises(InputError, match=r"pool\[1\].name: 'pool1' is taken"):
        Site("A", (Pool(1, name="pool1"), Pool(1)))
    with pytest.raises(InputError, match="files: a name occurs twice"):
        Storage("d", files=(("a", 1.0), ("a", 1.0)))
    with pytest.raises(InputError, match="pools: expected a tuple of Pool"):
        Site("A", 64)
    with pytest.raises(InputError, match="links: expected a list of names, got 'wan'"):
        Route("A", "B", "wan")
    with pytest.raises(InputError, match="ends: expected two different nodes"):
        Link("wan", 1.0, ends=("A", "A"))


def test_a_binary_and_a_missing_file_are_refused(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is no TOML file"):
        Platform.load(path)
    with pytest.raises(FormatError, match="there is no such file"):
        Platform.load(tmp_path / "none.toml")


def test_a_machine_without_cores_is_refused():
    with pytest.raises(InputError, match="cores: expected"):
        Platform.single(0)


def test_the_platforms_of_the_guide_are_read():
    page = Path(__file__).parents[2] / "docs" / "howto" / "platforms.md"
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    platforms = [Platform.from_dict(tomllib.loads(block)) for block in blocks[:2]]
    assert platforms[1].route("B", "A") == ("B-up", "A-up:down")
