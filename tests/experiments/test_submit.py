"""Shards as jobs of submitit, on this machine."""

import sys

import pytest

submitit = pytest.importorskip("submitit", reason="pip install -e '.[slurm]'")

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
