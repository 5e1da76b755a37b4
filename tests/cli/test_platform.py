from gridtwin.sim import Platform, outages

QUEUES = '{"BNL": {"RSE": {"BNL_DISK": "2"}, "GFLOPS": 64000}}'
DOWNTIMES = """resource_group,resource,severity,start_time,end_time,services
BNL-ATLAS,a,Outage,"Jan 1, 2024 00:00 +0000","Jan 3, 2024 00:00 +0000",CE
Elsewhere,b,Outage,"Jan 1, 2024 00:00 +0000","Jan 3, 2024 00:00 +0000",CE
"""


def test_build_a_grid(run, tmp_path):
    done = run("platform", "build", "--sites", 5, "--speed", "3 Gf", "-o", tmp_path / "g.toml")
    assert done.code == 0, done.err
    assert "note: a synthetic grid like WLCG: 5 sites" in done.err
    assert done.out.startswith("5 sites, ")
    platform = Platform.load(tmp_path / "g.toml")
    assert {site.speed for site in platform.sites} == {3e9}


def test_build_from_records(run, trace, tmp_path):
    done = run("platform", "build", "--jobs", trace, "-o", tmp_path / "g.json", "--json")
    assert done.code == 0, done.err
    assert done.json["sites"] == 1
    assert done.json["notes"][0].startswith("cores: those in use")
    assert Platform.load(tmp_path / "g.json").sites[0].speed is None


def test_build_from_queues(run, tmp_path):
    (tmp_path / "q.json").write_text(QUEUES, encoding="utf-8")
    for speed in ((), ("--speed", "8 HS23")):
        args = ("--queues", tmp_path / "q.json", *speed, "-o", tmp_path / "g.toml")
        done = run("platform", "build", *args)
        assert done.code == 0, done.err
        assert "1 sites, 4 cores, 1 storages" in done.out
    assert Platform.load(tmp_path / "g.toml").sites[0].speed == 2e9


def test_wrong_options_of_build(run, tmp_path):
    to = ("-o", tmp_path / "g.toml")
    assert run("platform", "build", "--sites", 5, "--queues", "q", *to).code == 2
    assert run("platform", "build", "--links", "l", *to).code == 2
    done = run("platform", "build", "--speed", "fast", *to)
    assert (done.code, "--speed: expected a speed" in done.err) == (1, True)
    assert not (tmp_path / "g.toml").exists()


def test_outages(run, tmp_path):
    source = tmp_path / "d.csv"
    source.write_text(DOWNTIMES, encoding="utf-8")
    run("platform", "build", "--sites", 5, "-o", tmp_path / "g.toml")
    args = (
        source,
        "--platform",
        tmp_path / "g.toml",
        "-o",
        tmp_path / "o.toml",
        "--longest",
        "1 d",
    )
    done = run("platform", "outages", *args)
    assert done.code == 0, done.err
    assert "1 of 2 rows skipped: site not in the platform" in done.err
    assert outages.load(tmp_path / "o.toml") == (outages.Outage("BNL", 1704067200, 1704153600),)
    done = run("platform", "outages", *args, "--json")
    assert done.json["shortened"] == 1
    assert done.json["skipped"] == {"site not in the platform": 1}


def test_convert_between_forms(run, tmp_path):
    run("platform", "build", "--sites", 3, "--speed", "3 Gf", "-o", tmp_path / "g.toml")
    done = run("platform", "convert", tmp_path / "g.toml", "-o", tmp_path / "g.xml")
    assert done.code == 0, done.err
    assert done.out.startswith("3 sites, ")
    done = run("platform", "convert", tmp_path / "g.xml", "-o", tmp_path / "h.json", "--json")
    assert done.json["sites"] == 3
    first, last = (Platform.load(tmp_path / name) for name in ("g.toml", "h.json"))
    assert last.names == first.names
    assert last.cores.tolist() == first.cores.tolist()


def test_what_cannot_be_converted_is_said(run, tmp_path):
    (tmp_path / "q.json").write_text(QUEUES, encoding="utf-8")
    source = tmp_path / "q.json"
    for options, code, message in (
        (("-o", tmp_path / "x.yaml"), 1, "rename it or give the form"),
        (("-o", tmp_path / "x.xml", "--to", "yaml"), 2, "unknown form 'yaml'"),
    ):
        done = run("platform", "convert", source, *options)
        assert (done.code, message in done.err) == (code, True)
    done = run("platform", "convert", tmp_path / "none.xml", "-o", tmp_path / "x.toml")
    assert (done.code, "there is no such file" in done.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["q.json"]
