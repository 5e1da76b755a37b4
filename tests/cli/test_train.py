"""Training in steps from the command line: checkpoints and progress."""

import io

import pytest
import torch
from rich.console import Console

import gridtwin
from gridtwin.cli import train

NET = ("--set", "steps=20", "--set", "batch=50")


def test_a_killed_training_goes_on_from_its_checkpoint(run, trace, tmp_path):
    def kill(*progress):
        raise KeyboardInterrupt

    whole = gridtwin.models.get("tvae")(steps=110, batch=50).fit(gridtwin.read(trace))
    with pytest.raises(KeyboardInterrupt):  # at step 100
        gridtwin.models.get("tvae")(steps=110, batch=50).fit(
            gridtwin.read(trace), checkpoint=tmp_path / "c", every=60, report=kill
        )
    args = ("train", "tvae", trace, "-o", tmp_path / "m", "--set", "steps=110", "--set", "batch=50")
    done = run(*args, "--checkpoint", tmp_path / "c", "--every", 60)
    assert done.code == 0, done.err
    assert done.err == ""  # no bar where there is no terminal
    again = gridtwin.models.load(tmp_path / "m").net_.state_dict()
    assert all(again[key].equal(weights) for key, weights in whole.net_.state_dict().items())
    assert torch.load(tmp_path / "c" / "checkpoint.pt", weights_only=True)["step"] == 110


def test_another_training_does_not_go_on_from_it(run, trace, tmp_path):
    args = ("train", "tvae", trace, "-o", tmp_path / "m", *NET, "--checkpoint", tmp_path / "c")
    assert run(*args).code == 0
    done = run(*args, "--seed", 1)
    assert done.code == 1
    assert "other parameters" in done.err


def test_a_model_that_is_trained_in_one_go_has_no_checkpoints(run, trace, tmp_path):
    done = run("train", "cart", trace, "-o", tmp_path / "m", "--checkpoint", tmp_path / "c")
    assert done.code == 1
    assert "cart is trained in one go" in done.err
    assert "leave out --checkpoint" in done.err
    assert not (tmp_path / "m").exists()


def test_steps_between_checkpoints_need_a_folder(run, trace, tmp_path):
    done = run("train", "tvae", trace, "-o", tmp_path / "m", *NET, "--every", 7)
    assert done.code == 2
    assert "--checkpoint" in done.err
    done = run("train", "tvae", trace, "-o", tmp_path / "m", "--checkpoint", "c", "--every", 0)
    assert done.code == 2


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_tells_steps_and_losses(terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    with train.progress("tvae", console) as report:
        report(100, 400, {"user [x]": 1.23456, "run_time": 0.5})
    text = out.getvalue()
    assert ("100/400" in text) == terminal
    assert ("user [x] 1.23, run_time 0.5" in text) == terminal


def test_there_is_no_progress_without_a_terminal():
    with train.progress("tvae") as report:
        assert report is None
