"""Bad input and wrong usage: one sentence on stderr, the right exit code, no traceback."""

import gzip
import subprocess
import sys

import pytest
import typer

import gridtwin
from gridtwin.cli import console, main, train


@pytest.fixture
def bad(tmp_path, jobs):
    """Files that are not what they should be."""
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    gridtwin.write(jobs, tmp_path / "whole.swf")
    whole = gzip.compress((tmp_path / "whole.swf").read_bytes())
    (tmp_path / "cut.swf.gz").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def is_one_sentence(done):
    lines = done.err.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("gridtwin: ") and "Traceback" not in done.err


@pytest.mark.parametrize("name", ["empty.csv", "noise.bin", "columns.csv", "cut.swf.gz", "none"])
@pytest.mark.parametrize("command", ["ingest", "check", "export", "train", "simulate", "demo"])
def test_bad_files(run, bad, name, command):
    path, out = bad / name, ("-o", bad / "out.parquet")
    args = {
        "ingest": (path, *out, "--json"),
        "check": (path, "--json"),
        "export": (path, *out),
        "train": ("trace", path, *out),
        "simulate": ("--jobs", path, *out),
        "demo": ("--data", path, *out),
    }[command]
    done = run(command, *args)
    assert done.code == 1
    assert done.out == ""
    assert is_one_sentence(done)
    assert name in done.err
    assert not (bad / "out.parquet").exists()


def test_debug_shows_the_traceback(run, bad):
    for args in (["--debug", "check"], ["check", "--debug"]):
        done = run(*args, bad / "none")
        assert done.code == 1
        assert "Traceback" in done.err


@pytest.mark.parametrize(
    "args",
    [
        ["nothing"],
        ["ingest"],
        ["ingest", "x.swf"],
        ["simulate", "--jobs", "x", "-o", "y", "--cores", "0"],
        ["simulate", "--jobs", "x", "-o", "y", "--cores", "4", "--platform", "p.toml"],
        ["sample", "m", "-o", "y", "-n", "-1"],
        ["train", "trace", "x", "-o", "y", "--seed", "one"],
        ["evaluate", "--train", "x", "-o", "y"],
        ["demo", "--samples", "0"],
        ["demo", "--wrong"],
    ],
)
def test_wrong_usage(run, args):
    done = run(*args)
    assert done.code == 2
    assert done.out == ""
    assert done.err
    assert "Traceback" not in done.err


def test_unknown_model_and_parameter(run, trace, tmp_path):
    done = run("train", "trase", trace, "-o", tmp_path / "m")
    assert done.code == 2
    assert done.err == "gridtwin: unknown model 'trase'; did you mean 'trace'?\n"
    done = run("train", "trace", trace, "-o", tmp_path / "m", "--set", "nothing=1")
    assert done.code == 2
    assert "unknown parameter of trace 'nothing'" in done.err
    done = run("train", "trace", trace, "-o", tmp_path / "m", "--set", "nothing")
    assert done.code == 2
    assert "KEY=VALUE" in done.err
    assert not (tmp_path / "m").exists()


def test_unknown_policy_and_format(run, trace, tmp_path):
    done = run("simulate", "--jobs", trace, "--policy", "eazy", "-o", tmp_path / "run")
    assert done.code == 2
    assert "'easy'" in done.err
    done = run("ingest", trace, "--format", "swff", "-o", tmp_path / "o.parquet")
    assert done.code == 2
    assert "'swf'" in done.err


def test_settings_are_toml_values_or_text():
    known = {"a": 1, "b": 1.0, "c": False, "d": (), "e": ""}
    texts = ["a=5", "b=0.5", "c=true", "d=[1, 2]", "e=plain text"]
    values = train.parse_settings(texts, "m", known)
    assert values == {"a": 5, "b": 0.5, "c": True, "d": [1, 2], "e": "plain text"}
    assert train.parse_settings(["e=1\nb=2"], "m", known) == {"e": "1\nb=2"}
    assert train.parse_settings(["b=2"], "m", known) == {"b": 2}


@pytest.mark.parametrize(
    "setting", ["a=x", "a=", "a=2.5", "a=true", "b=nan", "b=inf", "b='2'", "c=1", "e=3", "a=1\nb=2"]
)
def test_settings_of_another_kind_than_the_default(setting):
    known = {"a": 1, "b": 1.0, "c": False, "d": (), "e": ""}
    with pytest.raises(typer.BadParameter, match=f"^{setting[0]}: expected a? ?[a-z ]+, such as"):
        train.parse_settings([setting], "m", known)


def test_a_folder_that_is_no_model(run, tmp_path):
    done = run("sample", tmp_path, "-o", tmp_path / "s.parquet")
    assert done.code == 1
    assert is_one_sentence(done)
    assert "gridtwin train" in done.err


@pytest.mark.parametrize("command", ["train", "evaluate", "simulate", "report", "demo"])
def test_a_file_where_a_folder_should_be_written(run, trace, tmp_path, command):
    (tmp_path / "file").write_text("mine")
    args = {
        "train": ("trace", trace),
        "evaluate": ("--train", trace, "--synthetic", trace),
        "simulate": ("--jobs", trace),
        "report": ("--train", trace, "--synthetic", trace),
        "demo": ("--data", trace),
    }[command]
    done = run(command, *args, "-o", tmp_path / "file")
    assert done.code == 2
    assert "is a file" in done.err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_where_a_file_should_be_written(run, trace, tmp_path):
    (tmp_path / "o.csv").mkdir()
    done = run("export", trace, "-o", tmp_path / "o.csv")
    assert done.code == 1
    assert is_one_sentence(done)
    assert "o.csv is a folder; give the name of a file" in done.err


def test_report_checks_the_policy_before_the_long_work(run, trace, tmp_path):
    args = ("--train", trace, "--synthetic", trace, "-o", tmp_path / "r", "--policy", "eazy")
    done = run("report", *args)
    assert done.code == 2
    assert is_one_sentence(done)
    assert not (tmp_path / "r").exists()


def test_an_output_of_unknown_format(run, trace, tmp_path):
    done = run("export", trace, "-o", tmp_path / "out.xyz")
    assert done.code == 1
    assert is_one_sentence(done)


def test_an_output_that_cannot_be_written(run, trace, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("export", trace, "-o", tmp_path / "file" / "out.csv")
    assert done.code == 1
    assert is_one_sentence(done)


def test_an_unexpected_error_is_one_sentence_too(run, monkeypatch, trace):
    def fail(*_, **__):
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr("gridtwin.trace.check.check", fail)
    done = run("check", trace)
    assert done.code == 1
    assert is_one_sentence(done)
    assert "unexpected ZeroDivisionError: oh no; run again with --debug" in done.err


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["-h"], ["demo", "--help"]])
def test_help_and_version(run, args):
    done = run(*args)
    assert done.code == 0
    assert done.err == ""
    assert gridtwin.__version__ in done.out or "Usage" in done.out


def test_python_m_gridtwin_and_the_arguments_of_the_process():
    script = [sys.executable, "-m", "gridtwin", "check", "nowhere.parquet"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("gridtwin: no file 'nowhere.parquet'")
    assert len(done.stderr.splitlines()) == 1


def test_warnings_are_one_line_on_stderr():
    code = (
        "import warnings, gridtwin.cli, gridtwin.trace.check as c\n"
        "c.check = lambda *a, **k: (warnings.warn('a thing', stacklevel=1), [])[1]\n"
        "import gridtwin; gridtwin.read = lambda p: gridtwin.examples.load('lublin', n=5)\n"
        "gridtwin.cli.main(['check', 'x', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "gridtwin: warning: a thing\n"
    assert done.stdout.startswith("{")


def test_main_needs_no_arguments_of_ours(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gridtwin", "--version"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    assert capsys.readouterr().out == f"gridtwin {gridtwin.__version__}\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        (1234567.8, "1,234,568"),
        ([0.5, 2.0], "0.5 to 2"),
        ("some text", "some text"),
    ],
)
def test_cells_of_a_table(value, text):
    assert console.number(value) == text
