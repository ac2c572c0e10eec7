"""Shards as jobs of submitit, on this machine."""

import re
import sys

import pytest
from commands import TINY

submitit = pytest.importorskip("submitit", reason="pip install -e '.[slurm]'")

from experiments import submit  # noqa: E402
from experiments.harness.rows import read_rows  # noqa: E402
from experiments.submit import experiment  # noqa: E402
from experiments.submit.jobs import ShardJob  # noqa: E402

# The first time it saves at SIGTERM, and the second time it ends. It outlives SIGUSR2,
# which SLURM sends to all processes of a job.
SCRIPT = """
import os, pathlib, signal, sys, time
os.kill(os.getpid(), signal.SIGUSR2)
saved, folder = map(pathlib.Path, sys.argv[1:])
def stop(*_):
    saved.write_text("half")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
if not saved.exists():
    time.sleep(60)
folder.mkdir()
"""


@pytest.mark.slow
def test_a_job_that_runs_out_of_time_saves_and_is_queued_again(tmp_path):
    folder = tmp_path / "shard_0_of_2"
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "saved"), str(folder)]
    executor = submitit.LocalExecutor(tmp_path / "logs", max_num_timeout=2)
    executor.update_parameters(timeout_min=10 / 60, signal_delay_s=8)
    job = executor.submit(ShardJob(command, folder))
    assert job.result() == str(folder)
    assert folder.is_dir() and (tmp_path / "saved").read_text() == "half"
    assert "this job is timed-out" in job.stderr()


@pytest.mark.slow
def test_a_shard_that_fails_is_named(tmp_path):
    executor = submitit.LocalExecutor(tmp_path / "logs")
    command = [sys.executable, "-c", "raise SystemExit(2)"]
    job = executor.submit(ShardJob(command, tmp_path / "shard_1_of_2"))
    assert "shard_1_of_2 failed with exit code 2" in str(job.exception())


@pytest.mark.slow
def test_shards_that_are_not_complete_are_submitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study" / "shard_0_of_2").mkdir(parents=True)
    flags = [f"--{flag}" for flag in TINY["gradient_flow"].split(";")]
    flags.append("--seeds=5,3")
    config = submit.Config(shards=2, cluster="local")
    (job,) = experiment.submit(config, "gradient_flow", flags, tmp_path / "study")
    done = tmp_path / "study" / "shard_1_of_2"
    assert job.result() == str(done), job.stderr()
    assert {row["seed"] for row in read_rows(done) if "seed" in row} == {3}
    assert "Results: " in job.stdout()


def test_a_study_that_is_complete_is_not_submitted(launched, tmp_path):
    for index in range(2):
        (tmp_path / "study" / f"shard_{index}_of_2").mkdir(parents=True)
    command = "--shards=2", "--results=study", "--", "gradient_flow", "--seeds=0,1"
    code, out, _ = launched(submit, *command, keeps_results=False)
    assert code == 0 and out == (
        "All 2 shards are complete. Join them: python -m experiments.merge study\n"
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--"], "expected COMMAND... .*; got none"),
        (["--", "gradient_flo"], "after --; got 'gradient_flo'; did you mean gradi"),
        (["--", "gradient_flow", "--steps=a"], "--steps=a: no integer"),
        (["--", "gradient_flow", "--shard=0/2"], "got --results or --shard"),
        (["--", "gradient_flow", "--results=a"], "got --results or --shard"),
        (["--", "spectra"], "spectra has no members to divide"),
        (["--shards=9", "--", "gates"], "expected at most 5 shards"),
        (["--parameters=x", "--", "gates", "--seeds=0,1"], "expected NAME=VALUE"),
        (["--parameters=x=1", "--", "gates", "--seeds=0,1"], "submitit refuses"),
        (["--cluster=slurm", "--", "gates", "--seeds=0,1"], "Could not detect .srun"),
    ],
)
def test_mistakes_are_answered_before_a_job_waits(flags, sentence, launched, tmp_path):
    cluster = [] if "--cluster=slurm" in flags else ["--cluster=local"]
    given = [*cluster, "--results=study", *flags]
    if not any(flag.startswith("--shards") for flag in flags):
        given.insert(0, "--shards=2")
    done = launched(submit, *given, keeps_results=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert re.search(sentence, done.stderr), done.stderr
    assert not list(tmp_path.glob("study/shard*"))
