"""Throughput on a GPU: the jobs, and what a machine without a GPU reports."""

from functools import partial

import numpy as np
import pytest
from commands import rows

from experiments.throughput import experiment as throughput
from experiments.throughput import ratios
from experiments.throughput.config import Config, complete
from experiments.throughput.gpu import measure
from experiments.throughput.rows import Row
from experiments.throughput.workers import programs
from experiments.throughput.workers.jobs import Job

TINY = [
    "--what=gpu",
    "--layers=elman",
    "--sizes=2x3x2x4",
    "--programs=train",
    "--peers=torch",
    "--rounds=1",
    "--seconds=1e-9",
]


@pytest.fixture
def run(launched, undrawn):
    return partial(launched, throughput)


@pytest.mark.slow
def test_a_cpu_times_the_rest_and_names_what_needs_a_gpu(run, tmp_path):
    done = run(*TINY, "--results=out")
    assert done.returncode == 0, done.stderr
    logged = rows(tmp_path / "out", "time")
    timed = {(row["contender"], row["precision"]) for row in logged if row["seconds"]}
    every = {"ours", "matrix products"}
    if measure.has_torch(Config()):
        every |= {"torch"}
    assert {(name, "bfloat16") for name in every} <= timed
    assert {(name, "highest") for name in (*every, "lax.scan, unroll=4")} <= timed
    compared = [row["difference"] for row in logged if row["precision"] == "highest"]
    assert max(filter(None, compared)) < 1e-5
    assert (
        "ours, CUDA graph was not timed (elman 2x3x2x4 train and 2 more): a CUDA graph "
        "needs a GPU of NVIDIA; the device is a cpu." in done.stdout
    )
    assert "deviate" not in done.stdout


def test_jobs_are_named_that_no_time_is_left_for(run):
    done = run(*TINY, "--minutes=0", "--results=out")
    assert done.returncode == 0, done.stderr
    assert "Not run within 0 minutes: elman 2x3x2x4 train default, " in done.stdout
    assert "elman 2x3x2x4 train bfloat16." in done.stdout


def test_cudnn_is_refused_where_it_does_not_apply():
    lstm = Job("lstm", 2, 3, 2, 4, "train")
    refused = {
        job: programs.prepare(job, ["cudnn"], 1)["cudnn"]
        for job in (
            lstm,
            lstm._replace(layer="gru"),
            lstm._replace(precision="bfloat16"),
        )
    }
    assert list(refused.values()) == [
        "cuDNN needs a GPU of NVIDIA; the device is a cpu",
        "jax.experimental.rnn has the LSTM only, not gru",
        "jax.experimental.rnn has float32 only, not bfloat16",
    ]


def test_train_steps_of_the_lstm_are_the_first_jobs():
    jobs = measure.plan(complete(Config(what="gpu")))
    assert [job.layer for job in jobs[:4]] == ["lstm"] * 4
    assert {job.program for job in jobs[:-12]} == {"train"}
    assert len(set(jobs)) == len(jobs)
    assert max(job.time for job in jobs) == 65_536


def test_ratios_are_the_times_of_contenders_divided_by_ours():
    job = Job("lstm", 2, 3, 2, 4, "train")
    group = {
        name: Row(job, name, np.array(seconds))
        for name, seconds in {
            "ours": [2.0, 4.0],
            "torch": [5.0, 3.0],
            "nnx": [],
        }.items()
    }
    assert ratios.ratio(group, "torch") == 1.5
    assert ratios.ratio(group, "nnx") is None
    (line,) = ratios.table(list(group.values())).rows
    assert line == ["lstm 2x3x2x4 train", "2e+03, 4e+03", "3e+03, 5e+03 (1.50)"]
