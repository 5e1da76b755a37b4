"""How nets are trained: budgets, checkpoints, broken losses, seeds."""

import os
import signal
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.core.errors import FormatError, InputError, TrainingError
from gridtwin.trace import JobTable
from gridtwin.trace.writers import write

TVAE = gridtwin.models.get("tvae")


class StopError(Exception):
    """Ends a training from outside."""


def weights(model):
    return {key: value.numpy() for key, value in model.net_.state_dict().items()}


def test_a_training_that_was_broken_off_ends_with_the_same_weights(jobs, tmp_path):
    whole = TVAE(steps=250).fit(jobs)

    def report(step, steps, losses):
        if step == 200:
            raise StopError

    with pytest.raises(StopError):
        TVAE(steps=250).fit(jobs, checkpoint=tmp_path, every=90, report=report)
    again = TVAE(steps=250).fit(jobs, checkpoint=tmp_path, every=90)
    for key, value in weights(whole).items():
        np.testing.assert_array_equal(weights(again)[key], value)
    assert_frame_equal(whole.sample(seed=1).collect(), again.sample(seed=1).collect())


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(jobs, tmp_path):
    write(jobs, tmp_path / "jobs.parquet")
    checkpoint = tmp_path / "half"
    code = f"""
import gridtwin
jobs = gridtwin.read({str(tmp_path / "jobs.parquet")!r})
gridtwin.models.get("tvae")(steps=600).fit(
    jobs,
    checkpoint={str(checkpoint)!r},
    every=20,
    report=lambda step, *_: print(step, flush=True),
)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "100\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (checkpoint / "checkpoint.pt").is_file()
    jobs = gridtwin.read(tmp_path / "jobs.parquet")
    steps = []
    again = TVAE(steps=600).fit(
        jobs, checkpoint=checkpoint, report=lambda step, *_: steps.append(step)
    )
    assert steps[0] > 0
    assert steps[-1] == 600
    for key, value in weights(TVAE(steps=600).fit(jobs)).items():
        np.testing.assert_array_equal(weights(again)[key], value)


def test_a_finished_training_is_not_repeated(jobs, tmp_path):
    TVAE(steps=5).fit(jobs, checkpoint=tmp_path)
    steps = []
    TVAE(steps=5).fit(jobs, checkpoint=tmp_path, report=lambda step, *_: steps.append(step))
    assert not steps


def test_a_checkpoint_of_something_else_is_refused(jobs, tmp_path):
    TVAE(steps=5).fit(jobs, checkpoint=tmp_path)
    with pytest.raises(InputError, match="give another folder"):
        TVAE(steps=5, seed=1).fit(jobs, checkpoint=tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is not a checkpoint"):
        TVAE(steps=5).fit(jobs, checkpoint=tmp_path)


def test_a_loss_that_is_no_number_names_its_column(jobs):
    class Broken(TVAE):
        def _losses(self, rows):
            losses = dict(super()._losses(rows))
            losses["run_time"] = losses["run_time"] / 0.0
            return losses

    with pytest.raises(TrainingError, match="'run_time' is no number at step 0"):
        Broken(steps=5).fit(jobs)


def test_budgets_are_in_steps(jobs):
    n = len(jobs)
    assert TVAE(batch=n)._steps(n) == 300
    assert TVAE(batch=n, steps=7)._steps(n) == 7
    assert TVAE(budget="fast")._steps(10**9) == TVAE.fast_steps
    for wrong in ({"budget": "huge"}, {"steps": -1}, {"batch": 0}, {"learning_rate": 0.0}):
        with pytest.raises(InputError, match=rf"{next(iter(wrong))}(=| is )"):
            TVAE(**wrong).fit(jobs)


def test_torch_is_left_as_it_was(jobs):
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    TVAE(steps=3).fit(jobs).sample()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_weights_of_another_shape_are_refused(jobs, tmp_path):
    TVAE(steps=1).fit(jobs).save(tmp_path)
    with np.load(tmp_path / "weights.npz") as file:
        arrays = {key: file[key] for key in file.files if key != "net.sigma"}
    np.savez(tmp_path / "weights.npz", **arrays)
    with pytest.raises(FormatError, match="do not fit"):
        gridtwin.models.load(tmp_path)


def test_constant_columns_train_nothing():
    frame = pl.DataFrame({"job_id": ["a", "b"], "run_time": [3.0, 3.0]})
    model = TVAE().fit(JobTable.from_frame(frame))
    assert model.trained_ == {"steps": 0}
    assert model.sample(4).collect()["run_time"].to_list() == [3.0] * 4


def test_one_bucket_of_rare_names_is_not_one_name():
    frame = pl.DataFrame({"job_id": list("abcd"), "user": ["u", "v", "w", "x"]})
    sample = gridtwin.models.get("tvae")().fit(JobTable.from_frame(frame)).sample(200, seed=0)
    assert sample.collect()["user"].n_unique() == 4


@pytest.mark.slow
def test_processes_that_train_together_have_the_same_weights(jobs, tmp_path):
    write(jobs, tmp_path / "jobs.parquet")
    script = tmp_path / "train.py"
    script.write_text(f"""
import os
import gridtwin
jobs = gridtwin.read({str(tmp_path / "jobs.parquet")!r})
model = gridtwin.models.get("tvae")(steps=20, batch=50).fit(jobs)
total = sum(float(t.double().abs().sum()) for t in model.net_.state_dict().values())
model.save({str(tmp_path)!r} + "/model")
print("weights", total, os.environ["WORLD_SIZE"], flush=True)
""")
    launch = ["-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [sys.executable, *launch, str(script)], capture_output=True, text=True, check=True
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("weights")]
    assert len(said) == 2
    assert len(set(said)) == 1
    assert len(gridtwin.models.load(tmp_path / "model").sample(5)) == 5
