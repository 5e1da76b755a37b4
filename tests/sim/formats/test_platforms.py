"""Platforms of any form, recognised by their content and written in another."""

import gzip
import json
from pathlib import Path

import pytest

import gridtwin
from gridtwin.core.errors import FormatError, InputError, UnknownNameError
from gridtwin.sim import Link, Platform, Pool, Route, Site, Storage
from gridtwin.sim.formats import load_platform, save_platform

SITES = tuple(
    Site(
        name,
        (Pool(4, 2, 1e9),),
        (Storage(f"{name}_DISK", 1e12, 1e9, 1e9, files=((f"{name}.1", 5e6),)),),
        lan=f"{name}/lan",
    )
    for name in ("A", "B")
)
LANS = tuple(Link(f"{name}/lan", 1e10, 0.0, "fatpipe") for name in ("A", "B"))
GRID = Platform(SITES, (*LANS, Link("A->B", 1e9, 0.01)), (Route("A", "B", ("A->B",)),))


def bare(platform: Platform) -> object:
    """Return what all forms have in common, without labels."""
    return [
        (site.name, site.cores, site.speed, [(s.capacity, s.read, s.files) for s in site.storages])
        for site in platform.sites
    ]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("g.toml", None),
        ("g.txt", "toml"),
        ("g.json", None),
        ("g.xml", None),
        ("g.platform", "simgrid"),
        ("sites.json", "cgsim"),
        ("my_site_info.json", "cgsim"),
        ("grid.json", "cgsim"),
    ],
)
def test_what_is_written_is_recognised(tmp_path: Path, name: str, form: str | None) -> None:
    files = save_platform(GRID, tmp_path / name, form)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(p.name for p in files)
    found = load_platform(tmp_path / name)
    assert bare(found) == bare(GRID)
    (there,) = (found.route("A", "B"),)
    links = {link.name: link for link in found.links}
    assert [(links[n].bandwidth, links[n].latency) for n in there] == [(1e9, 0.01)]


def test_connections_are_looked_for_beside(tmp_path: Path) -> None:
    written = save_platform(GRID, tmp_path / "toy_site_info.json", "cgsim")
    assert [path.name for path in written] == ["toy_site_info.json", "toy_site_conn_info.json"]
    for path in written:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(load_platform(tmp_path / "toy_site_info.json.gz").links) == 3
    (tmp_path / "toy_site_conn_info.json.gz").unlink()
    alone = load_platform(tmp_path / "toy_site_info.json.gz")
    assert len(alone.links) == 2
    assert "looked for toy_site_conn_info.json" in alone.notes[-1]


def test_simulate_takes_any_of_them(tmp_path: Path, jobs: gridtwin.JobTable) -> None:
    save_platform(Platform((Site.of("A", 256, 1e9),)), tmp_path / "g.xml")
    result = gridtwin.simulate(jobs, platform=tmp_path / "g.xml")
    assert result.platform.names == ["A"]
    assert result.outcomes == {"finished": 300}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"nb_res": 1, "profiles": {}, "jobs": []}', "holds a workload of Batsim, not a platform"),
        ('{"schemaVersion": "1.5"}', "holds a workflow in WfFormat, not a platform"),
        ('{"A": 1}', "a JSON document of no known form"),
        ('{"A": ', "is no JSON document"),
        ("<html></html>", "platform"),
        ("{}", "site"),
        ("", "site"),
        ("\x00\x01", "is no TOML file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        load_platform(path)


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no such file"):
        load_platform(tmp_path / "none.toml")
    with pytest.raises(FormatError, match="cannot be read"):
        load_platform(tmp_path)
    for name, form, error, message in (
        ("g.yaml", None, InputError, r"ends in \.toml, \.json, \.xml, got \.yaml"),
        ("g.json", "toml", InputError, r"ends in \.toml"),
        ("g.xml", "json", InputError, r"ends in \.json"),
        ("g.xml", "yaml", UnknownNameError, "unknown form 'yaml'"),
    ):
        with pytest.raises(error, match=message):
            save_platform(GRID, tmp_path / name, form)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="CGSim"):
        save_platform(Platform.single(4), tmp_path / "s.json", "cgsim")
    assert not list(tmp_path.iterdir())


def test_the_public_platforms_are_recognised(data_dir: Path) -> None:
    folder = data_dir / "sites"
    found = {}
    for path in sorted([*folder.glob("*site_info*"), *folder.glob("dcsim/*platform*.xml")]):
        if "template" in path.name:
            continue
        found[path.name] = len(load_platform(path).sites)
    assert found["site_info.json"] == found["site_info_cpu.json.gz"] == 150
    assert found["mimic_new_site_info.json.gz"] == 32
    assert found["data_platform-files_sgbatch.xml"] == 5


def test_a_bare_document_of_ours_needs_no_suffix(tmp_path: Path) -> None:
    path = tmp_path / "grid.conf"
    path.write_text(json.dumps(GRID.to_dict()))
    assert load_platform(path) == GRID
