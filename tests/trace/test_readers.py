"""What every reader must do, whatever its format; and the checks that all share."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from gridtwin.core.errors import FormatError, InputError, UnknownNameError
from gridtwin.trace import TraceSchema
from gridtwin.trace.readers import REJECT, read, readers, sniff

SAMPLES = Path(__file__).resolve().parents[1] / "data"
FILES = sorted(
    path
    for path in SAMPLES.iterdir()
    if path.suffix in (".swf", ".csv", ".txt", ".parquet", ".json")
    and "." in path.stem
    and not path.stem.endswith(".csv")
)
HEADER = "job_id,submit_time,run_time,cores_req,user\n"


def owner(path):
    return path.name.split(".")[0]


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def balanced(jobs):
    return jobs.provenance.rows_read == len(jobs) + sum(jobs.provenance.dropped.values())


@pytest.mark.parametrize("name", readers.names())
def test_every_reader_has_a_sample(name):
    assert any(owner(path) == name for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_its_own_reader_claims_a_file(path):
    assert sniff(path) == owner(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_sample_is_read_whole(path):
    jobs = read(path)
    frame = jobs.collect()
    schema = TraceSchema.canonical()
    assert balanced(jobs)
    assert len(frame) >= 15
    assert frame["job_id"].is_unique().all()
    assert dict(frame.schema) == {name: schema[name].polars for name in frame.columns}
    if "submit_time" in frame.columns:
        assert frame["submit_time"].is_sorted()
    assert not any(frame[name].null_count() == len(frame) for name in frame.columns)
    assert set(frame.get_column("status", default=pl.Series([]))) <= {
        *("finished", "failed", "cancelled", "closed", "running", "queued", None)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_scan_has_a_row_for_each_record_line(path):
    scan = readers.get(owner(path)).scan(path)
    names = scan.frame.collect_schema().names()
    assert REJECT in names
    assert all(name in TraceSchema.canonical() or name.startswith("_") for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_gzip_and_the_format_name_change_nothing(path, tmp_path, monkeypatch):
    monkeypatch.setenv("GRIDTWIN_KEY", "the same for both")
    if path.suffix == ".parquet":
        pytest.skip("Parquet is packed already")
    packed = write(tmp_path / f"{path.name}.gz", gzip.compress(path.read_bytes()))
    assert read(packed, owner(path)).collect().equals(read(path).collect())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_truncated_gzip_is_an_error(path, tmp_path):
    data = gzip.compress(path.read_bytes())
    for keep in (12, len(data) // 2, len(data) - 3):
        cut = write(tmp_path / "cut.gz", data[:keep])
        with pytest.raises(FormatError, match="truncated or damaged"):
            read(cut)


@pytest.mark.parametrize("name", readers.names())
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\x7fELF\0\0\1\2", b"a,b\n1,2\n", b"word\n"])
def test_files_that_hold_no_jobs_are_refused(name, content, tmp_path):
    path = write(tmp_path / "file", content)
    for format_ in ("auto", name):
        with pytest.raises(FormatError, match="file"):
            read(path, format_)


def test_names_of_formats_and_files_are_checked(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'panda'"):
        read(tmp_path / "x", "pandas")
    with pytest.raises(InputError, match="no file"):
        read(tmp_path / "x")
    with pytest.raises(InputError, match="has no files"):
        read(tmp_path)
    with pytest.raises(InputError, match="at least one"):
        read([])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("pods.csv", "name,cpu_milli,num_gpu,pod_phase\np,1,1,Running\n", "pods"),
        ("nodes.csv", "sn,cpu_milli,memory_mib,gpu,model\nn,1,1,0,\n", "nodes of a GPU cluster"),
        ("c.swf.machines", "0\tseth\t120\t2\t1\t1048576\n", "machines"),
        ("site.json", '{"BNL": {"GFLOPS": 10}}', "JSON"),
        ("platform.xml", "<?xml version='1.0'?><platform/>", "XML"),
        ("error.html", "<!DOCTYPE html><html>", "web page"),
        ("jobs.csv.xz", b"\xfd7zXZ\0", "xz"),
        ("jobs.zip", b"PK\x03\x04\0", "zip"),
    ],
)
def test_known_files_of_other_kinds_are_refused_with_a_reason(name, content, why, tmp_path):
    with pytest.raises(FormatError, match=why):
        read(write(tmp_path / name, content))


def test_an_unknown_table_is_refused_with_its_columns_and_the_known_formats(tmp_path):
    path = write(tmp_path / "x.csv", "colour,taste\nred,sour\n")
    with pytest.raises(FormatError, match=r"colour, taste.*known formats: .*swf"):
        read(path)


def test_two_claims_are_an_error(tmp_path):
    path = write(tmp_path / "x.csv", "pandaid,computingsite,u_id,interval,run_time\n1,a,1,1,1\n")
    with pytest.raises(FormatError, match="could be dirlab or panda; say which"):
        read(path)
    assert len(read(path, "panda")) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b,,5,1,u", "no submit time"),
        ("b,11,-5,1,u", "negative run time"),
        ("b,11,five,1,u", "not a number: run_time"),
        ("b,11,inf,1,u", "not a number: run_time"),
        ("b,11,5,-1,u", "negative cores req"),
        ("b,11,5,1.5,u", "not a whole number: cores_req"),
        ("b,11,5,1e300,u", "too large: cores_req"),
        ("b,11,1e300,1,u", "too large: run_time"),
        ("b,1670000000000,5,1,u", "time out of range: submit_time"),
        ("b,-7,5,1,u", "time out of range: submit_time"),
        ("a,11,5,1,u", "duplicate job_id"),
        ("b,11,5,1", "malformed line"),
        ("b,11,5,1,u,more", "malformed line"),
        ('b,11,5,1,"u', "malformed line"),
        ('b,11,5,1,"u"v', "malformed line"),
        ("b,11,5,1,\0u", "malformed line"),
    ],
)
def test_a_bad_row_is_counted_and_written(row, reason, tmp_path):
    path = write(tmp_path / "x.csv", f"{HEADER}a,10,5,1,u\n{row}\nc,12,5,1,w\n")
    jobs = read(path, rejects=tmp_path / "rejects.csv")
    assert jobs.provenance.dropped == {reason: 1}
    assert balanced(jobs)
    assert jobs.collect()["job_id"].to_list() == ["a", "c"]
    rejects = pl.read_csv(tmp_path / "rejects.csv")
    assert rejects.rows() == [(str(path), 3, reason, row)]


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ("10,20,15", "end before start"),
        ("10,5,15", "start before submit"),
        ("10,,5", "end before submit"),
    ],
)
def test_times_must_follow_each_other(times, reason, tmp_path):
    text = f"job_id,submit_time,start_time,end_time\na,1,2,3\nb,{times}\n"
    jobs = read(write(tmp_path / "x.csv", text))
    assert jobs.provenance.dropped == {reason: 1}


def test_of_equal_ids_the_first_good_row_is_kept(tmp_path):
    text = f"{HEADER}a,10,-5,1,bad\na,11,5,1,first\na,9,5,1,second\n"
    jobs = read(write(tmp_path / "x.csv", text))
    assert jobs.collect()["user"].to_list() == ["first"]
    assert jobs.provenance.dropped == {"duplicate job_id": 1, "negative run time": 1}


def test_unknown_values_are_null_not_rejected(tmp_path):
    jobs = read(write(tmp_path / "x.csv", f"{HEADER}a,10,,,\nb,11,5,1,u\n,12,,,\n"))
    assert jobs.provenance.dropped == {}
    assert jobs.collect()["run_time"].to_list() == [None, 5.0, None]
    assert jobs.collect()["job_id"].to_list() == ["a", "b", "row3"]


def test_rows_out_of_order_are_sorted_and_noted(tmp_path):
    jobs = read(write(tmp_path / "x.csv", f"{HEADER}a,12,1,1,u\nb,11,1,1,u\nc,13,1,1,u\n"))
    assert jobs.collect()["job_id"].to_list() == ["b", "a", "c"]
    assert any("sorted" in note for note in jobs.provenance.notes)


def test_a_header_alone_is_an_empty_trace(tmp_path):
    jobs = read(write(tmp_path / "x.csv", HEADER))
    assert (len(jobs), jobs.provenance.rows_read) == (0, 0)


def test_a_file_in_another_format_than_said_is_refused(tmp_path):
    path = write(tmp_path / "x.csv", f"{HEADER}a,10,5,1,u\n")
    with pytest.raises(FormatError, match="none of its 2 lines is a record"):
        read(path, "swf")
    with pytest.raises(FormatError, match="lacks the columns"):
        read(path, "lumos")


def test_quoted_fields_may_hold_separators_quotes_and_line_breaks(tmp_path):
    text = HEADER + 'a,10,5,1,"x,y"\nb,11,5,1,"say ""hi"""\r\nc,12,5,1,"two\nlines"\nd,13,5,1,z\n'
    jobs = read(write(tmp_path / "x.csv", text))
    assert jobs.collect()["user"].to_list() == ["x,y", 'say "hi"', "two\nlines", "z"]
    assert jobs.provenance.rows_read == 4


def test_a_lone_quote_costs_one_line_not_the_rest(tmp_path):
    rows = [f"j{i},{i},5,1,u{i}\n" for i in range(3000)]
    rows[7] = 'j7,7,5,1,"u7\n'
    rows[100] = 'j100,100,5,1,"u,""100"\n'
    jobs = read(write(tmp_path / "x.csv", HEADER + "".join(rows)))
    assert jobs.provenance.rows_read == 3000
    assert jobs.provenance.dropped == {"malformed line": 1}


def test_a_file_of_nothing_but_quotes_does_not_hang(tmp_path):
    rows = "".join(f'j{i},{i},5,1,"u"""\n' for i in range(20_000))
    jobs = read(write(tmp_path / "x.csv", HEADER + "a,0,5,1,u\n" + rows))
    assert (
        jobs.provenance.rows_read
        == 20_001
        == len(jobs) + jobs.provenance.dropped.get("malformed line", 0)
    )


def test_encodings_and_line_ends(tmp_path):
    text = f"{HEADER}a,10,5,1,Zoë\nb,11,5,1,u\n"
    want = ["Zoë", "u"]
    for data in (
        text.encode(),
        text.encode("utf-8-sig"),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        text.rstrip("\n").encode(),
        text.replace("\n", "\n\n").encode(),
    ):
        jobs = read(write(tmp_path / "x.csv", data))
        assert jobs.collect()["user"].to_list() == want
        assert jobs.provenance.rows_read == 2
    jobs = read(write(tmp_path / "x.csv", text.encode("latin-1")))
    assert jobs.collect()["user"].to_list() == want
    assert any("Latin-1" in note for note in jobs.provenance.notes)


def test_a_column_twice_in_the_header_is_refused(tmp_path):
    path = write(tmp_path / "x.csv", "job_id,user,user\na,b,c\n")
    with pytest.raises(FormatError, match="more than once"):
        read(path)


def test_a_folder_is_read_as_one_trace(tmp_path):
    write(tmp_path / "1.csv", f"{HEADER}a,30,5,1,u\nb,31,-5,1,u\n")
    write(tmp_path / "2.csv", f"{HEADER}a,10,5,1,u\nc,11,5,1,u\n")
    write(tmp_path / "2.csv.json", "{}")
    write(tmp_path / ".hidden", "x")
    jobs = read(tmp_path, rejects=tmp_path / "out" / "r.csv")
    assert jobs.collect()["job_id"].to_list() == ["c", "a"]
    assert jobs.provenance.dropped == {"duplicate job_id": 1, "negative run time": 1}
    assert balanced(jobs)
    names = pl.read_csv(tmp_path / "out" / "r.csv")["file"].to_list()
    assert names == [str(tmp_path / "1.csv"), str(tmp_path / "2.csv")]
    both = read([tmp_path / "1.csv", tmp_path / "2.csv"])
    assert (
        both.provenance.sha256
        == jobs.provenance.sha256
        != read(tmp_path / "1.csv").provenance.sha256
    )


def test_files_of_two_formats_are_refused():
    with pytest.raises(FormatError, match="different formats"):
        read([SAMPLES / "swf.cluster.swf", SAMPLES / "dirlab.real.csv"])


def test_columns_that_are_no_fields_are_named(tmp_path):
    jobs = read(write(tmp_path / "x.csv", "job_id,submit_time,colour\na,1,red\n"))
    assert any("colour" in note for note in jobs.provenance.notes)
