import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from gridtwin.core.errors import InputError
from gridtwin.sim import Link, Platform, Route, Site

A, B, C = (Site.of(name, 1) for name in "ABC")


def test_a_given_route_goes_before_its_reverse_and_before_the_shortest_path():
    links = (
        Link("direct", 1.0, 0.1, ends=("A", "B")),
        Link("x", 1.0, 5.0),
        Link("y", 1.0, 5.0),
        Link("z", 1.0, 5.0),
    )
    there, back = Route("A", "B", ("x", "y")), Route("B", "A", ("z",))
    assert Platform((A, B), links).route("A", "B") == ("direct",)
    assert Platform((A, B), links, (there,)).route("A", "B") == ("x", "y")
    assert Platform((A, B), links, (there,)).route("B", "A") == ("y", "x")
    assert Platform((A, B), links, (there, back)).route("B", "A") == ("z",)
    one_way = Route("A", "B", ("x", "y"), symmetric=False)
    assert Platform((A, B), links, (one_way,)).route("B", "A") == ("direct",)


def test_split_links_are_crossed_in_a_direction():
    links = (
        Link("s", 1.0, sharing="split"),
        Link("t", 1.0),
        Link("near", 1.0, 1.0, sharing="split", ends=("C", "A")),
    )
    route = Route("A", "B", ("s", "t", "s:down"))
    platform = Platform((A, B, C), links, (route,))
    assert platform.route("A", "B") == ("s:up", "t", "s:down")
    assert platform.route("B", "A") == ("s:up", "t", "s:down")
    platform = Platform((A, B, C), links, (Route("A", "B", ("s:down", "t")),))
    assert platform.route("B", "A") == ("t", "s:up")
    assert platform.route("C", "A") == ("near:up",)
    assert platform.route("A", "C") == ("near:down",)


def test_ties_go_to_fewer_links_and_then_to_the_first_name():
    links = (
        Link("long1", 1.0, 1.0, ends=("A", "r")),
        Link("long2", 1.0, 1.0, ends=("r", "B")),
        Link("b", 1.0, 2.0, ends=("A", "B")),
        Link("a", 1.0, 2.0, ends=("B", "A")),
    )
    platform = Platform((A, B), links, routers=("r",))
    assert platform.route("A", "B") == ("a",)
    assert Platform((A, B), links[:3], routers=("r",)).route("B", "A") == ("b",)
    assert Platform((A, B), links[:2], routers=("r",)).route("B", "A") == ("long2", "long1")


def test_no_way_and_no_node_are_said():
    platform = Platform((A, B), (Link("w", 1.0, ends=("A", "r")),), routers=("r",))
    assert platform.route("A", "A") == ()
    with pytest.raises(InputError, match=r"no way from 'A' to 'B'; add a \[\[route\]\]"):
        platform.route("A", "B")
    with pytest.raises(InputError, match="there is no site or router 'D'"):
        platform.route("A", "D")


@given(
    st.integers(2, 7),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 9)), max_size=14),
)
def test_the_shortest_path_is_as_short_as_scipys(n, edges):
    edges = [(a % n, b % n, d) for a, b, d in edges if a % n != b % n]
    sites = tuple(Site.of(str(k), 1) for k in range(n))
    links = tuple(Link(f"l{k}", 1.0, d, ends=(str(a), str(b))) for k, (a, b, d) in enumerate(edges))
    cost = np.full((n, n), np.inf)
    for a, b, d in edges:  # an explicit zero would be no edge to SciPy
        cost[a, b] = cost[b, a] = min(cost[a, b], d + 1e-6)
    graph = csr_array(np.where(np.isfinite(cost), cost, 0.0))
    expected = dijkstra(graph, directed=False)
    platform = Platform(sites, links)
    ends = {link.name: link.ends for link in links}
    latency = {link.name: link.latency for link in links}
    for a in range(n):
        for b in range(n):
            if not np.isfinite(expected[a, b]):
                with pytest.raises(InputError, match="no way"):
                    platform.route(str(a), str(b))
                continue
            route = platform.route(str(a), str(b))
            assert sum(latency[name] for name in route) == np.floor(expected[a, b])
            at = str(a)
            for name in route:
                assert at in ends[name]
                at = ends[name][1] if ends[name][0] == at else ends[name][0]
            assert at == str(b)


def test_all_pairs_of_three_hundred_sites():
    names = [f"s{k}" for k in range(300)]
    links = tuple(Link(name, 1.0, 1.0 + k % 7, ends=(name, "hub")) for k, name in enumerate(names))
    platform = Platform(tuple(Site.of(name, 1) for name in names), links, routers=("hub",))
    assert all(platform.route(a, b) == (a, b) for a in names for b in names if a != b)
