"""Streaming gives the jobs that reading at once gives, in pieces, from files and folders."""

import random
import shutil

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.executor import Executor
from gridtwin.core.files import writing
from gridtwin.trace import JobTable
from gridtwin.trace.readers import panda_json, read, readers
from gridtwin.trace.readers._blocks import read_tables
from gridtwin.trace.readers._text import LINE, RAW, read_table
from gridtwin.trace.sources import finish, ingest
from gridtwin.trace.writers import write

from .test_readers import FILES, HEADER, owner


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("GRIDTWIN_KEY", "a key for tests")


def write_text(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_streaming_a_sample_is_reading_it(path, tmp_path):
    at_once = read(path, rejects=tmp_path / "a.csv")
    streamed = ingest(path, tmp_path / "o.parquet", rejects=tmp_path / "b.csv")
    assert_frame_equal(streamed.collect(), at_once.collect())
    one, other = at_once.provenance.to_json(), streamed.provenance.to_json()
    assert sorted(one.pop("notes")) == sorted(other.pop("notes"))
    assert one == other
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert_frame_equal(read(tmp_path / "o.parquet").collect(), at_once.collect())
    without = ingest(path, tmp_path / "p.parquet")
    assert_frame_equal(without.collect(), at_once.collect())


@pytest.mark.parametrize("name", [n for n in readers.names() if hasattr(readers.get(n), "batches")])
def test_pieces_together_are_the_whole(name):
    reader = readers.get(name)
    for path in (path for path in FILES if owner(path) == name):
        whole = reader.scan(path).frame.collect().drop(LINE, RAW)
        pieces = [scan.frame.collect() for scan in reader.batches(path, raw=True)]
        assert_frame_equal(pl.concat(pieces).drop(LINE, RAW), whole)
        assert pieces[0][LINE].to_list() == sorted(pieces[0][LINE])
        assert pieces[0][RAW].null_count() == 0


def odd_csv(rng):
    """Return a CSV with quotes, line breaks in fields, and rows of the wrong length."""
    cells = ["x", "1", '"q,1"', '"two\nlines"', "", '"', "é", "NULL", " 5", "nan", '"a""b"', "\0"]
    text = "a,b,c\n"
    for _ in range(rng.randint(0, 30)):
        width = rng.choice((2, 3, 3, 3, 3, 4)) if rng.random() < 0.5 else 3
        odd = rng.random() < 0.4
        row = [rng.choice(cells if odd else cells[:2]) for _ in range(width)]
        text += ",".join(row) + rng.choice(["\n"] * 8 + ["\r\n", "\n\n"])
    text = text.rstrip("\n") if rng.random() < 0.3 else text
    text = "\n \n" + text if rng.random() < 0.1 else text
    return "\ufeff" + text if rng.random() < 0.2 else text


def test_blocks_of_any_size_give_the_rows_of_the_whole_text(tmp_path):
    rng = random.Random(5)
    path = tmp_path / "x.csv"
    for _ in range(60):
        write_text(path, odd_csv(rng))
        whole = read_table(path, needs="abc").frame
        for raw in (True, False):
            size = rng.choice((5, 20, 50, 1000))
            found = pl.concat(t.frame for t in read_tables(path, needs="abc", raw=raw, size=size))
            drop = [] if raw else [LINE, RAW]
            assert_frame_equal(found.drop(drop), whole.drop(drop))


def test_numbers_read_by_the_parser_are_those_of_the_careful_way(tmp_path):
    words = ["1", "1.0", "-1", "1e3", "+5", " 5", "5 ", "", "nan", "inf", "x", "9" * 30, "0x1"]
    for word in words:
        text = f"{HEADER}a,10,{word},1,u\nb,11,5,{word},u\n"
        path = write_text(tmp_path / "x.csv", text)
        at_once, streamed = read(path), ingest(path, tmp_path / "o.parquet")
        assert_frame_equal(streamed.collect(), at_once.collect())
        assert streamed.provenance.dropped == at_once.provenance.dropped


def test_order_and_duplicates_hold_over_files_and_buckets(tmp_path, monkeypatch):
    monkeypatch.setattr(finish, "_BUCKET", 100)
    rng = random.Random(1)
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(4):
        rows = [f"j{rng.randrange(900)},{rng.randrange(500)},5,1,d{day}\n" for _ in range(400)]
        write_text(folder / f"{day}.csv", HEADER + "".join(rows) + "k,1,-5,1,u\n")
    at_once = read(folder, rejects=tmp_path / "a.csv")
    streamed = ingest(folder, tmp_path / "o.parquet", rejects=tmp_path / "b.csv")
    assert_frame_equal(streamed.collect(), at_once.collect())
    assert streamed.provenance.dropped == at_once.provenance.dropped
    assert streamed.provenance.sha256 == at_once.provenance.sha256
    one, other = (pl.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert_frame_equal(one, other, check_row_order=False)
    parts = ingest(folder, tmp_path / "parts", executor=Executor("processes", 2))
    assert sorted(p.name for p in (tmp_path / "parts").glob("*.parquet"))[0] == "00000-0.parquet"
    assert parts.provenance.dropped == at_once.provenance.dropped
    assert_frame_equal(parts.collect(), at_once.collect())
    kept = [read(p).provenance for p in sorted((tmp_path / "parts").glob("*.parquet"))]
    assert sum(p.rows_read for p in kept) == len(at_once)
    assert_frame_equal(read(tmp_path / "parts").collect(), at_once.collect())


def test_files_without_times_or_ids_among_others(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_text(folder / "1.csv", "job_id,submit_time,user\na,,u\nb,,u\n")
    write_text(folder / "2.csv", "job_id,submit_time,user\n,5,u\n,6,u\n")
    at_once, streamed = read(folder), ingest(folder, tmp_path / "o.parquet")
    assert streamed.provenance.dropped == at_once.provenance.dropped == {"no submit time": 2}
    assert streamed.collect()["job_id"].to_list() == ["row2.1", "row2.2"]
    alone = ingest(folder / "1.csv", tmp_path / "p.parquet")
    assert alone.columns == ["job_id", "user"]
    assert "No row has a submit time: the table has none." in alone.provenance.notes


def test_what_the_first_piece_lacks_may_come_later(tmp_path, monkeypatch):
    import functools

    from gridtwin.trace.readers import canonical_csv

    small = functools.partial(read_tables, size=20)
    monkeypatch.setattr(canonical_csv, "read_tables", small)
    rows = "".join(f",,{i},1,u\n" for i in range(20)) + "a,7,5,1,u\n"
    path = write_text(tmp_path / "x.csv", HEADER + rows)
    jobs = ingest(path, tmp_path / "o.parquet")
    assert jobs.collect()["job_id"].to_list() == ["a"]
    assert jobs.provenance.dropped == {"no submit time": 20}
    assert jobs.provenance.rows_read == 21


def test_any_number_of_workers_writes_the_same_bytes(tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(3):
        rows = "".join(f"j{i % 7},{i},5,1,user{i}\n" for i in range(day, 20, day + 1))
        write_text(folder / f"{day}.csv", HEADER + rows)
    written = []
    for executor in (None, Executor("processes", 1), Executor("processes", 3)):
        ingest(folder, tmp_path / "o.parquet", executor=executor)
        ingest(folder, tmp_path / "parts", executor=executor)
        outputs = [tmp_path / "o.parquet", *sorted((tmp_path / "parts").iterdir())]
        written.append([path.read_bytes() for path in outputs])
        shutil.rmtree(tmp_path / "parts")
    assert len(written[0]) == 7
    assert written[0] == written[1] == written[2]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    jobs = write_text(folder / "jobs.parquet", b"")
    write(JobTable(pl.DataFrame({"job_id": ["a"], "submit_time": [1.0]}).lazy()), jobs)
    return jobs


def test_what_is_read_is_not_overwritten(source, tmp_path, monkeypatch):
    before = {path.name: path.read_bytes() for path in source.parent.iterdir()}
    soft, hard = tmp_path / "soft.parquet", tmp_path / "hard.parquet"
    soft.symlink_to(source)
    hard.hardlink_to(source)
    monkeypatch.chdir(source.parent)
    spare = tmp_path / "o.parquet"
    for read_from, to, rejects in (
        (source, source, None),
        ("jobs.parquet", source, None),
        (source, soft, None),
        (soft, source, None),
        (source, hard, None),
        ([source, hard], hard, None),
        (source.parent, source, None),
        (source, spare, soft),
    ):
        with pytest.raises(InputError, match="would overwrite what is read"):
            ingest(read_from, to, rejects=rejects)
    with pytest.raises(InputError, match="which is read: the next time"):
        ingest(".", source.parent / "new.parquet")
    with pytest.raises(InputError, match="which is read: the next time"):
        ingest(source.parent, spare, rejects="rejects.csv")
    with pytest.raises(InputError, match="cannot be the output and the list of rejects"):
        ingest(source, spare, rejects=tmp_path / "in" / ".." / "o.parquet")
    assert {path.name: path.read_bytes() for path in source.parent.iterdir()} == before
    assert len(ingest(source.parent, source.parent / "parts")) == 1
    assert len(ingest(source.parent, spare, rejects=tmp_path / "r.csv")) == 1


def test_a_manifest_does_not_overwrite_what_is_read(tmp_path):
    text = '[{"pandaid": 1, "jobstatus": "finished", "creationtime": "2025-01-01T00:00:01"}]'
    path = write_text(tmp_path / "jobs.parquet.json", text)
    with pytest.raises(InputError, match="would overwrite what is read"):
        ingest(path, tmp_path / "jobs.parquet")
    assert path.read_text() == text


def test_failures_leave_nothing_behind(tmp_path):
    path = write_text(tmp_path / "x.csv", f"{HEADER}a,10,5,1\nb,11\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(FormatError, match="none of its 2 lines is a record"):
        ingest(path, tmp_path / "out" / "o.parquet")
    cut = write_text(tmp_path / "x.json", '[{"pandaid": 1, "jobstatus": "finished"}, {"pan')
    with pytest.raises(FormatError, match="damaged JSON near line 1"):
        ingest(cut, tmp_path / "out" / "o.parquet")
    with pytest.raises(InputError, match=r"end it in \.parquet"):
        ingest(path, tmp_path / "out" / "o.csv")
    with pytest.raises(InputError, match="not an empty folder"):
        ingest(path, tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_header_alone_is_an_empty_table(tmp_path):
    jobs = ingest(write_text(tmp_path / "x.csv", HEADER), tmp_path / "o.parquet")
    assert (len(jobs), jobs.provenance.rows_read) == (0, 0)
    assert len(read(tmp_path / "o.parquet")) == 0


def test_json_in_its_three_forms(tmp_path):
    record = '{"pandaid": %d, "jobstatus": "finished", "creationtime": "2025-01-01T00:00:0%d"}'
    records = [record % (i, i) for i in range(1, 4)]
    forms = {
        "list": "[\n" + ",\n".join(records) + "\n]",
        "object": '{"selectionsummary": [{"a": 1}], "jobs": [' + ",".join(records) + '], "z": 1}',
        "lines": "\n".join([*records, ""]),
        "one": records[0],
        "empty": '{"jobs": []}',
    }
    found = {}
    for name, text in forms.items():
        path = write_text(tmp_path / f"{name}.json", text)
        found[name] = read(path)
        assert found[name].provenance.format == "panda_json"
    assert found["list"].collect()["job_id"].to_list() == ["1", "2", "3"]
    assert_frame_equal(found["list"].collect(), found["object"].collect())
    assert_frame_equal(found["list"].collect(), found["lines"].collect())
    assert len(found["one"]) == 1
    assert found["empty"].provenance.rows_read == 0


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_json_cut_off_is_refused_and_damaged_lines_are_counted(cut, tmp_path):
    good = '{"pandaid": 1, "jobstatus": "finished", "creationtime": "2025-01-01T00:00:01"}'
    whole = f'{{"jobs": [{good}, {good}]}}'
    with pytest.raises(FormatError):
        read(write_text(tmp_path / "x.json", whole[: len(whole) - cut]))
    lines = good + "\n" + good[: max(1, len(good) - cut)] + "\n" + good.replace("1,", "2,") + "\n"
    jobs = read(write_text(tmp_path / "y.json", lines), rejects=tmp_path / "r.csv")
    assert jobs.provenance.dropped == {"malformed line": 1}
    assert pl.read_csv(tmp_path / "r.csv")["line"].to_list() == [2]


def test_json_values_are_read_as_the_text_they_are(tmp_path):
    text = (
        '[{"PandaID": 6500000000000000001, "jobstatus": "finished", "inputfilebytes": 1e3,'
        ' "corecount": true, "currentpriority": "12", "produsername": "\\ud800x",'
        ' "files_info": {"a": 5}, "creationtime": "2025-01-01 00:00:00", "minramcount": NaN},'
        ' 5, {"pandaid": null}]'
    )
    jobs = read(write_text(tmp_path / "x.json", text))
    row = jobs.collect().row(0, named=True)
    assert row["job_id"] == "6500000000000000001"
    assert (row["input_bytes"], row["cores_req"], row["priority"]) == (1000, 1, 12)
    assert jobs.provenance.dropped == {"malformed line": 1, "no submit time": 1}
    deep = '[{"pandaid": ' + "[" * 200_000
    with pytest.raises(FormatError, match="nested"):
        read(write_text(tmp_path / "y.json", deep))


def test_queue_and_wall_time_serve_where_times_are_missing(tmp_path):
    text = '[{"pandaid": 1, "jobstatus": "finished", "queuetime": 60, "walltime": "x"}]'
    assert read(write_text(tmp_path / "x.json", text)).collect()["wait_time"].to_list() == [60]
    text = text.replace('"queuetime"', '"starttime": null, "queuetime"')
    assert "wait_time" not in read(write_text(tmp_path / "x.json", text)).columns
    assert panda_json.sniff(tmp_path / "x.json", text)


def test_rejects_of_parquet_name_line_and_row(tmp_path, jobs):
    frame = jobs.collect().with_columns(
        run_time=pl.when(pl.col("job_id") == "1007").then(-1.0).otherwise("run_time")
    )
    write(JobTable(frame.lazy()), tmp_path / "x.parquet")
    read(tmp_path / "x.parquet", rejects=tmp_path / "r.csv")
    told = pl.read_csv(tmp_path / "r.csv")
    assert told["line"].to_list() == [8]
    assert '"run_time":-1.0' in told["row"][0]


def test_errors_of_writing_name_the_file_that_was_asked_for(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")

    def fail(path):
        with writing(path) as temporary:
            temporary.unlink()

    with pytest.raises(FileNotFoundError) as caught:
        fail(tmp_path / "o.parquet")
    assert caught.value.filename == str(tmp_path / "o.parquet")
