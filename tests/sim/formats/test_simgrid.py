"""SimGrid's platform XML: what is read, what is refused and where, and the way back."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.formats.simgrid import read_platform, write_platform
from gridtwin.sim.parts import Link, Pool, Route, Site, Storage
from gridtwin.sim.platform import Platform

HEAD = "<?xml version='1.0'?>\n<platform version='4.1'>\n"


def read(folder: Path, body: str, **options: str) -> Platform:
    path = folder / "platform.xml"
    path.write_text(f"{HEAD}{body}\n</platform>", encoding="utf-8")
    return read_platform(path, **options)  # type: ignore[arg-type]


TWO = """<zone id="grid" routing="Full">
<zone id="A" routing="Floyd">
 <host id="a1" speed="2Gf" core="4"><prop id="ram" value="8GiB"/></host>
 <host id="a2" speed="2Gf" core="4"><prop id="ram" value="8GiB"/></host>
 <host id="a3" speed="500Mf"/>
 <router id="agw"/>
 <link id="lan" bandwidth="8Gbps" latency="10us"/>
 <route src="a1" dst="agw"><link_ctn id="lan"/></route>
 <route src="a2" dst="agw"><link_ctn id="lan"/></route>
 <route src="agw" dst="a3"><link_ctn id="lan"/></route>
</zone>
<zone id="B" routing="None"><prop id="owner" value="us"/>
 <host id="store" speed="1Gf" core="2"><prop id="type" value="storage"/>
  <disk id="d" read_bw="1GBps" write_bw="4Gbps"><prop id="size" value="2TB"/>
   <prop id="mount" value="/"/></disk></host>
</zone>
<link id="wan" bandwidth="1KiBps" latency="5ms" sharing_policy="SPLITDUPLEX"/>
<zoneRoute src="A" dst="B" gw_src="agw" gw_dst="store">
 <link_ctn id="wan" direction="UP"/></zoneRoute>
</zone>"""


def test_hosts_with_the_same_way_out_are_one_site(tmp_path: Path) -> None:
    platform = read(tmp_path, TWO)
    assert platform.names == ["A", "store"]
    a, store = platform.sites
    assert a.pools == (
        Pool(4, 2, 2e9, 8 * 2**30, "pool0"),
        Pool(1, 1, 5e8, None, "pool1"),
    )
    assert store.pools == ()
    assert store.storages == (Storage("d", 2e12, 1e9, 5e8),)
    assert dict(store.properties) == {
        "owner": "us",
        "zone": "B",
        "store.speed": "1Gf",
        "store.core": "2",
    }
    assert platform.links == (
        Link("lan", 1e9, 10 * 1e-6),
        Link("wan", 1024, 5 * 1e-3, "split"),
    )
    assert platform.routers == ("agw",)
    assert platform.route("A", "store") == ("lan", "wan:up")
    assert platform.route("store", "A") == ("wan:down", "lan")
    assert platform.route("agw", "store") == ("wan:up",)


def test_hosts_with_ways_of_their_own_are_sites_of_their_own(tmp_path: Path) -> None:
    body = TWO.replace("<link id=", "<link id='x' bandwidth='1Bps'/><link id=", 1).replace(
        '<route src="a2" dst="agw"><link_ctn id="lan"/>',
        '<route src="a2" dst="agw"><link_ctn id="x"/>',
    )
    platform = read(tmp_path, body)
    assert platform.names == ["A", "a2", "store"]
    assert platform.route("a2", "A") == ("x", "lan")


def test_shortest_way_is_by_number_of_links_and_crosses_zones(tmp_path: Path) -> None:
    zones = "".join(
        f'<zone id="{z}" routing="Full"><host id="{z}h" speed="1f"/><router id="{z}1"/>'
        f'<router id="{z}2"/><link id="{z}12" bandwidth="1Bps"/><link id="{z}l" bandwidth="1Bps"/>'
        f'<route src="{z}1" dst="{z}2"><link_ctn id="{z}12"/></route>'
        f'<route src="{z}h" dst="{z}1"><link_ctn id="{z}l"/></route></zone>'
        for z in "PQR"
    )
    for routing in ("Floyd", "Dijkstra", "DijkstraCache"):
        body = f"""<zone id="top" routing="{routing}">{zones}
        <link id="pq" bandwidth="1Bps"/><link id="qr" bandwidth="1Bps"/>
        <zoneRoute src="P" dst="Q" gw_src="P1" gw_dst="Q1"><link_ctn id="pq"/></zoneRoute>
        <zoneRoute src="Q" dst="R" gw_src="Q2" gw_dst="R1"><link_ctn id="qr"/></zoneRoute></zone>"""
        platform = read(tmp_path, body)
        assert platform.route("Ph", "Rh") == ("Pl", "pq", "Q12", "qr", "Rl")
        assert platform.route("Rh", "Ph") == ("Rl", "qr", "Q12", "pq", "Pl")


def test_cluster_is_a_site_or_each_host_is(tmp_path: Path) -> None:
    body = """<zone id="top" routing="Full">
    <cluster id="c" prefix="n" suffix=".x" radical="0-2,7" speed="1Gf,2Gf" core="8" bw="1GBps"
     lat="1us" bb_bw="3GBps" bb_lat="2us"><prop id="ram" value="1GB"/></cluster>
    <zone id="S" routing="Full"><host id="s" speed="1f"/></zone>
    <link id="wan" bandwidth="1GBps"/>
    <zoneRoute src="c" dst="S" gw_src="nc_router.x" gw_dst="s"><link_ctn id="wan"/></zoneRoute>
    </zone>"""
    platform = read(tmp_path, body)
    assert platform.names == ["c", "s"]
    assert platform.sites[0].pools == (Pool(8, 4, 1e9, 1e9, "pool0"),)
    assert dict(platform.sites[0].properties)["n0-2,7.x.speeds"] == "1Gf,2Gf"
    assert platform.routers == ()
    assert platform.route("s", "c") == ("wan", "c_backbone", "c_links:down", "c_link")
    links = {link.name: link for link in platform.links}
    assert links["c_link"] == Link("c_link", 1e9, 1e-6, "fatpipe")
    assert links["c_links"] == Link("c_links", 4e9, 0.0, "split")
    assert any("each of its 4 hosts" in note for note in platform.notes)
    each = read(tmp_path, body, clusters="hosts")
    assert each.names == ["n0.x", "n1.x", "n2.x", "n7.x", "s"]
    assert each.route("n7.x", "n0.x") == ("c_link_7:up", "c_backbone", "c_link_0:down")
    with pytest.raises(InputError, match="expected 'site' or 'hosts'"):
        read_platform(tmp_path / "platform.xml", clusters="both")  # type: ignore[arg-type]


def test_host_links_backbones_and_halves_of_split_links(tmp_path: Path) -> None:
    body = """<zone id="top" routing="Full"><zone id="c" routing="Cluster">
    <host id="h1" speed="1f"/><host id="h2" speed="1f"/><router id="r"/>
    <link id="own" bandwidth="1Bps" sharing_policy="SPLITDUPLEX"/>
    <backbone id="bone" bandwidth="2Bps" latency="1s"/>
    <host_link id="h1" up="own_UP" down="own_DOWN"/>
    <host_link id="h2" up="own_UP" down="own_DOWN"/>
    <cabinet id="cab" prefix="p" suffix="" radical="1-2" speed="1f" bw="1Bps" lat="0"/></zone>
    <zone id="S" routing="Full"><host id="s" speed="1f"/></zone><link id="w" bandwidth="1Bps"/>
    <zoneRoute src="c" dst="S" gw_src="r" gw_dst="s"><link_ctn id="w"/></zoneRoute></zone>"""
    platform = read(tmp_path, body)
    assert platform.names == ["h1", "p1-2", "s"]
    assert platform.route("h1", "s") == ("own:up", "bone", "w")
    assert platform.route("s", "h1") == ("w", "bone", "own:down")
    assert [site.cores for site in platform.sites] == [2, 2, 1]
    each = read(tmp_path, body, clusters="hosts")
    assert each.names == ["c", "p1", "p2", "s"]
    assert each.route("c", "p2") == ("own:up", "bone", "link_p2:down")


def test_bypass_and_one_way_routes(tmp_path: Path) -> None:
    body = """<zone id="z" routing="Full"><host id="a" speed="1f"/><host id="b" speed="1f"/>
    <link id="l" bandwidth="1Bps"/><link id="m" bandwidth="1Bps"/>
    <route src="a" dst="b"><link_ctn id="l"/></route>
    <bypassRoute src="b" dst="a"><link_ctn id="m"/></bypassRoute></zone>"""
    platform = read(tmp_path, body)
    assert platform.route("a", "b") == ("l",)
    assert platform.route("b", "a") == ("m",)
    alone = body.replace('dst="b">', 'dst="b" symmetrical="NO">').split("<bypass")[0] + "</zone>"
    platform = read(tmp_path, alone)
    with pytest.raises(InputError, match="no way from 'b' to 'a'"):
        platform.route("b", "a")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '<host id="a3"',
            '<host speed_file="x" id="a3"',
            r"line 7: <host id='a3'>: speed_file='x'",
        ),
        ('<host id="a3"', '<host state_file="x" id="a3"', "does not change in time"),
        ('<router id="agw"/>', '<peer id="p"/>', "line 8: <peer id='p'>: cannot be represented"),
        ('routing="Floyd"', 'routing="Vivaldi"', "routing='Vivaldi' cannot be represented"),
        ("SPLITDUPLEX", "WIFI", "line 19: <link id='wan'>: sharing_policy='WIFI'"),
        ('speed="500Mf"', 'speed="{s}"', "line 7: .*speed: expected a speed"),
        ('speed="500Mf"', 'speed="1e999f"', "too large"),
        ('speed="500Mf"', 'speed="0f"', "line 7: .*speed: expected a finite number above 0"),
        ('core="4"', 'core="99999999999999999999"', "core: expected a whole number"),
        ('core="4"', 'core="999999999999999"', "2\\^40"),
        ('value="8GiB"', 'value="lots"', "ram: expected bytes"),
        ('value="storage"', 'value="toaster"', "'toaster' is unknown; known: worker"),
        ('<link_ctn id="wan" direction="UP"/>', '<link_ctn id="wan"/>', "expected UP or DOWN"),
        ('<link_ctn id="lan"/>', '<link_ctn id="lan" direction="UP"/>', "expected NONE"),
        ('<link_ctn id="lan"/>', '<link_ctn id="moon"/>', "there is no link 'moon'"),
        ('src="agw" dst="a3"', 'src="agw" dst="a9"', "there is no 'a9' in the zone 'A'"),
        ('src="agw" dst="a3"', 'src="agw" dst="a1"', "is given in line 10"),
        ('gw_src="agw"', 'gw_src="store"', "gw_src: there is no host or router 'store'"),
        ('id="a3"', 'id="a1"', "'a1' is taken"),
        ('<link id="wan"', '<link id="lan"', "there is a link 'lan' already"),
        ("version='4.1'", "version='3'", "line 2: <platform>: version='3'"),
        ("version='4.1'", "wersion='4.1'", "wersion"),
        ("platform", "plat", "<plat>: cannot be represented: no known element"),
        ("<zone ", "<zone colour='red' ", "colour='red' cannot be represented"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "platform.xml"
    text = f"{HEAD}{TWO}</platform>"
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_platform(path)


BOMB = """<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no XML"),
        ("hello", "no XML"),
        ("<platform", "line 1: no XML"),
        (f"{BOMB}<platform version='4'/>", "entit"),
        ("<!DOCTYPE p [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><platform version='4'/>", "entit"),
        ("<!DOCTYPE p SYSTEM 'x.dtd'>\n<platform version='&v;'/>", "line 2: entity &v;"),
        ("<zone>" * 99, "nested 65 deep"),
        ("<platform version='4'/>", "0 outermost zones"),
        ("<platform version='4'><zone id='z' routing='Full'/></platform>", "it has no host"),
        ("<?xml version='1.0' encoding='klingon'?><platform version='4'/>", "no XML"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "platform.xml"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_platform(path)
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(FormatError):
        read_platform(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_platform(tmp_path / "none.xml")


def test_more_hosts_than_can_be_sites_are_refused(tmp_path: Path) -> None:
    body = "<cluster id='c' prefix='n' suffix='' radical='0-{}' speed='1f' bw='1Bps' lat='0'/>"
    assert read(tmp_path, body.format(999_999_999)).sites[0].cores == 10**9
    with pytest.raises(FormatError, match="expected at most 1000"):
        read(tmp_path, body.format(5000), clusters="hosts")
    with pytest.raises(FormatError, match="100000 hosts"):
        read(tmp_path, body.format(99_999), clusters="hosts")


def test_all_of_a_platform_comes_back(tmp_path: Path) -> None:
    platform = Platform(
        (
            Site(
                "A & <B>",
                (Pool(8, 3, 1.1e10, 6.4e10), Pool(2, 1, None, None, "own")),
                (
                    Storage("d", 1e12, 1e9, None, files=(("f 1", 10.0), ("f2", 0.1))),
                    Storage("t", 5.0, 3.0, 4.0, "tape", latency=60.5),
                    Storage("c", None, 3.0, 4.0, "cache"),
                ),
                lan="both",
                country="CH",
                tier=1,
                properties=(("k", "v\n"),),
            ),
            Site("C", (Pool(1),), lan="half"),
            Site("D"),
        ),
        (
            Link("both", 1e9, 1e-5),
            Link("half", 3e9, 0.1, "split"),
            Link("fat", 5.0, 0.0, "fatpipe"),
            Link("two", 7.0, 0.01, "split"),
        ),
        (
            Route("A & <B>", "C", ("two", "fat")),
            Route("C", "D", (), symmetric=False),
            Route("D", "hub", ("two:down",)),
            Route("hub", "D", ("fat",)),
        ),
        ("hub",),
        ("made up",),
    )
    path = tmp_path / "p.xml"
    write_platform(platform, path)
    again = read_platform(path)
    assert again.sites == platform.sites
    assert again.links == platform.links
    assert again.routers == platform.routers
    assert again.notes == platform.notes
    assert ways(again) == ways(platform)
    write_platform(again, tmp_path / "q.xml")
    assert (tmp_path / "q.xml").read_bytes() == path.read_bytes()


def test_names_that_clash_in_simgrid_are_kept_apart_or_refused(tmp_path: Path) -> None:
    sites = (Site.of("A", 1, 1.0), Site.of("A_gateway", 1, 1.0), Site.of("A_pool0_0", 1, 1.0))
    platform = Platform(sites, routers=("grid", "A_gateway_zone"))
    write_platform(platform, tmp_path / "p.xml")
    assert read_platform(tmp_path / "p.xml").sites == sites
    for bad, message in (
        (Platform((Site("a\x00b"),)), "XML cannot hold"),
        (Platform((Site("a", properties=(("gridtwin.x", ""),)),)), "is taken"),
        (Platform((Site("a"),), (Link("l", 1, 0, "split"), Link("l_UP", 1))), "rename one"),
        (Platform((Site("a", (Pool(1, 10**7),)),)), "10000000 hosts"),
    ):
        with pytest.raises(InputError, match=message):
            write_platform(bad, tmp_path / "q.xml")
    assert not (tmp_path / "q.xml").exists()


def ways(platform: Platform) -> dict[tuple[str, str], list[Link | str]]:
    """Return what a transfer crosses, site links included, for each pair that has a way."""
    links = {link.name: link for link in platform.links}
    lans = {site.name: site.lan for site in platform.sites}
    found: dict[tuple[str, str], list[Link | str]] = {}
    nodes = [*platform.names, *platform.routers]
    for a in nodes:
        for b in nodes:
            try:
                path = [*platform.route(a, b)]
            except InputError:
                continue
            if a == b:
                continue
            names = [lans.get(a), *path, lans.get(b)]
            found[a, b] = [
                x
                for n in names
                if n is not None
                for x in (n, links[n.removesuffix(":up").removesuffix(":down")])
            ]
    return found


names = st.text("abcXY _-.:&<é\"'", min_size=1, max_size=6).filter(
    lambda t: bool(t.strip()) and not t.endswith((":up", ":down"))
)
positive = st.floats(1e-3, 1e18)


@st.composite
def platforms(draw: st.DrawFn) -> Platform:
    nodes = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    cut = draw(st.integers(1, len(nodes)))
    link_names = draw(st.lists(names, max_size=5, unique=True))
    links = tuple(
        Link(
            name,
            draw(st.floats(0, 1e15)),
            draw(st.floats(0, 10)),
            draw(st.sampled_from(["shared", "fatpipe", "split"])),
            draw(st.none() | st.permutations(nodes).map(lambda p: tuple(p[:2])))
            if len(nodes) > 1
            else None,
        )
        for name in link_names
    )
    sites = []
    for name in nodes[:cut]:
        pool_names = draw(st.lists(names, max_size=3, unique=True))
        pools = tuple(
            Pool(
                draw(st.integers(1, 64)),
                draw(st.integers(1, 4)),
                draw(st.none() | positive),
                draw(st.none() | positive),
                pool,
            )
            for pool in pool_names
        )
        stores = tuple(
            Storage(
                store,
                draw(st.none() | positive),
                draw(st.none() | positive),
                draw(st.none() | positive),
                draw(st.sampled_from(["disk", "cache", "tape"])),
                latency=draw(st.floats(0, 100)),
            )
            for store in draw(st.lists(names, max_size=2, unique=True))
        )
        lan = draw(st.sampled_from([None, *link_names]))
        sites.append(Site(name, pools, stores, lan))
    pairs = draw(
        st.lists(st.permutations(nodes).map(lambda p: (p[0], p[1])), max_size=5, unique=True)
        if len(nodes) > 1
        else st.just([])
    )
    routes = tuple(
        Route(
            a,
            b,
            tuple(draw(st.lists(st.sampled_from(link_names), max_size=3)) if link_names else ()),
            draw(st.booleans()),
        )
        for a, b in pairs
    )
    return Platform(tuple(sites), links, routes, tuple(nodes[cut:]))


@settings(max_examples=150, deadline=None)
@given(platform=platforms())
def test_any_platform_comes_back(
    tmp_path_factory: pytest.TempPathFactory, platform: Platform
) -> None:
    path = tmp_path_factory.mktemp("simgrid") / "p.xml"
    write_platform(platform, path)
    again = read_platform(path)

    # disks and tapes hang on one host, caches on another
    def sorted_storages(site: Site) -> list[Storage]:
        return sorted(site.storages, key=lambda s: (s.kind == "cache", s.name))

    assert again.names == platform.names
    for mine, other in zip(platform.sites, again.sites, strict=True):
        assert other.pools == mine.pools
        assert sorted_storages(other) == sorted_storages(mine)
        assert other.lan == mine.lan
    assert again.routers == platform.routers
    assert {link.name for link in again.links} == {link.name for link in platform.links}
    bare = {name: _bare(way) for name, way in ways(platform).items()}
    assert {name: _bare(way) for name, way in ways(again).items()} == bare


def _bare(way: list[Link | str]) -> list[object]:
    return [x if isinstance(x, str) else (x.name, x.bandwidth, x.latency, x.sharing) for x in way]


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 2000), cut=st.integers(0, 30), put=st.text(max_size=8))
def test_damaged_files_raise_format_errors_only(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, put: str
) -> None:
    path = tmp_path_factory.mktemp("simgrid") / "p.xml"
    text = f"{HEAD}{TWO}</platform>"
    at %= len(text)
    path.write_text(text[:at] + put + text[at + cut :], encoding="utf-8", errors="replace")
    with suppress(FormatError):
        assert read_platform(path).cores.sum() >= 0


def test_real_platforms_are_read(data_dir: Path, tmp_path: Path) -> None:
    files = sorted((data_dir / "sites" / "dcsim").glob("*.xml"))
    assert len(files) == 19
    for path in files:
        if "template" in path.name:
            with pytest.raises(FormatError, match=r"line 10: .*speed: .*\{cpu-speed\}"):
                read_platform(path)
            continue
        platform = read_platform(path)
        assert not any(
            site.pools and "scheduler" in str(site.properties) and len(site.pools) > 2
            for site in platform.sites
        )
        storages = [site for site in platform.sites if site.storages]
        workers = [site for site in platform.sites if site.pools]
        for store in storages:
            for worker in workers:
                if store is not worker and "reduced_full" not in path.name:
                    assert platform.route(store.name, worker.name)
        write_platform(platform, tmp_path / "again.xml")
        again = read_platform(tmp_path / "again.xml")
        assert again == platform or ways(again) == ways(platform)
        assert again.cores.tolist() == platform.cores.tolist()
