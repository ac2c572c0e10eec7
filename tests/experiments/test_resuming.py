"""Commands that are killed or stopped, and resumed."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import kills
import pytest
import test_events
from commands import rows

from experiments import export, gradient_flow
from experiments.harness import signals
from experiments.harness.runs import Run, new_run

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
STEPS = "--steps=60"


@pytest.fixture
def stopped_after(monkeypatch):
    """`with stopped_after(count):` stops a run after it has logged so many rows."""

    @contextlib.contextmanager
    def stopped_after(count):
        log, rest = Run.log, iter(range(count))

        def log_or_stop(run, **row):
            if next(rest, None) is None:
                raise KeyboardInterrupt
            log(run, **row)

        with monkeypatch.context() as patch:
            patch.setattr(Run, "log", log_or_stop)
            yield

    return stopped_after


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_a_command_that_was_stopped_gives_the_same(launched, stopped_after, tmp_path):
    """Stopped after several of its rows, one after another."""
    flags = [*kills.flags(cells="gru"), STEPS, "--tensorboard=true"]
    assert launched(gradient_flow, *flags, "--results=whole").returncode == 0
    count = len((tmp_path / "whole" / "metrics.jsonl").read_text().splitlines())
    for at in [0, *sorted(random.Random(0).sample(range(1, count), 4))]:
        new = not (tmp_path / "out.unfinished").exists()
        with stopped_after(at):
            done = launched(gradient_flow, *flags, "--results=out", "--resume")
        code, out, err = done
        assert code == 130
        assert ("No run to resume in out: a new run begins." in out) == new
        command = err.splitlines()[-1]
        if at:
            assert command.startswith("python -m ")
            assert command.endswith(" --results=out --resume")
    code, _, err = launched(gradient_flow, *flags, "--results=out", "--resume")
    assert code == 0, err
    kills.assert_same(tmp_path / "whole", tmp_path / "out")
    for model in ("gru-0", "gru-1"):
        one, two = (
            [event[:2] for event in test_events.read(tmp_path / name / model)]
            for name in ("whole/tensorboard", "out/tensorboard")
        )
        assert one and one == two


def interrupted(launched, stopped_after, *flags):
    with stopped_after(7):
        given = *kills.flags(), STEPS, *flags, "--results=out"
        assert launched(gradient_flow, *given).returncode == 130


@pytest.mark.slow
def test_other_flags_are_refused_and_named(launched, stopped_after, tmp_path):
    interrupted(launched, stopped_after)
    metrics = tmp_path / "out.unfinished" / "metrics.jsonl"
    before = metrics.read_bytes()
    for flag, now, difference in (
        ("features", "8", "--features=3 (now 8)"),
        ("seeds", "0,1,2", "--seeds=0,1 (now 0,1,2)"),
        ("seeds", "1,0", "--seeds=0,1 (now 1,0)"),
        ("learning_rate", "0.5", "--learning_rate=0.003 (now 0.5)"),
    ):
        flags = *kills.flags(**{flag: now}), STEPS, "--results=out", "--resume"
        code, _, err = launched(gradient_flow, *flags)
        assert code == 2 and err.count("\n") == 1
        assert f"belongs to a run with other flags: {difference}; give the same" in err
        assert metrics.read_bytes() == before


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_a_second_run_in_the_folder_is_refused(launched, stopped_after, tmp_path):
    interrupted(launched, stopped_after)
    config = json.loads((tmp_path / "out.unfinished" / "config.json").read_text())
    with pytest.raises(KeyboardInterrupt), new_run("out", config, resume=True):
        for more in ([], ["--resume"]):
            flags = *kills.flags(), STEPS, "--results=out", *more
            code, _, err = launched(gradient_flow, *flags)
            assert code == 2 and "another run writes to it" in err
        raise KeyboardInterrupt
    flags = *kills.flags(), STEPS, "--results=out", "--resume"
    assert launched(gradient_flow, *flags).returncode == 0


@pytest.mark.slow
def test_a_signal_during_training_is_answered_by_the_command_that_resumes(
    launched, monkeypatch, tmp_path
):
    monkeypatch.setattr(signals, "_requested", int(signal.SIGTERM))
    flags = *kills.flags(), STEPS, "--results=out"
    code, _, err = launched(gradient_flow, *flags)
    assert code == 128 + signal.SIGTERM
    first, second = err.splitlines()
    assert first.endswith(
        ": terminated (what was logged is in out.unfinished); to resume:"
    )
    assert second.startswith("python -m ") and second.endswith(" --resume")
    index = tmp_path / "out.unfinished" / "checkpoints" / "index.json"
    assert list(json.loads(index.read_text())["elman"]["states"]) == ["20"]


@POSIX
@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_a_full_disk_is_one_sentence(launched, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    flags = *kills.flags(cells="elman"), STEPS, "--results=out"
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        code, _, err = launched(gradient_flow, *flags)
    assert code == 1 and "No space left on device" in err
    assert err.splitlines()[1:] == [err.splitlines()[-1]]
    assert err.splitlines()[-1].endswith(" --results=out --resume")
    assert rows(tmp_path / "out.unfinished", "training")
    assert launched(gradient_flow, *flags, "--resume").returncode == 0
    assert launched(gradient_flow, *flags[:-1], "--results=whole").returncode == 0
    kills.assert_same(tmp_path / "whole", tmp_path / "out")


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
sys.argv[0] = "experiments.gradient_flow"
runpy.run_module("experiments.gradient_flow", run_name="__main__", alter_sys=True)
"""


@POSIX
@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_a_limit_on_files_loses_no_row(launched, tmp_path):
    """Of 2 kB it stops a row; of 150 kB a checkpoint."""
    flags = [*kills.flags(cells="gru", features="32"), STEPS, "--devices=1"]
    assert launched(gradient_flow, *flags, "--results=whole").returncode == 0
    expected = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    # The programs of the whole run are read from the cache; none is written to it.
    environment = {
        **os.environ,
        "PYTHONPATH": str(kills.ROOT),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e9",
    }
    for limit in (2_000, 150_000):
        results = f"--results={limit}"
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(limit), *flags, results],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1 and "File too large" in done.stderr
        assert done.stderr.count("\n") == 2, done.stderr
        logged = tmp_path / f"{limit}.unfinished" / "metrics.jsonl"
        lines = logged.read_text().splitlines()
        complete = lines if limit > 2_000 else lines[:-1]
        assert complete and complete == expected[: len(complete)]
        done = launched(gradient_flow, *flags, results, "--resume")
        assert done.returncode == 0, done.stderr
        kills.assert_same(tmp_path / "whole", tmp_path / str(limit))


@POSIX
@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_gives_the_same(launched, tmp_path):
    """Two kills, one inside a write; tests/experiments/kills.py kills 20 times."""
    flags = "--steps=400", "--devices=1"
    count = 0
    for moment in (kills.INSIDE, random.Random(1).uniform(0, 2)):
        count += kills.kill(kills.start(tmp_path, *flags, "--resume"), tmp_path, moment)
    assert count >= 1
    for results in (["--results=whole"], ["--results=out", "--resume"]):
        if not (tmp_path / results[0].removeprefix("--results=")).exists():
            done = launched(gradient_flow, *kills.flags(), *flags, *results)
            assert done.returncode == 0, done.stderr
    kills.assert_same(tmp_path / "whole", tmp_path / "out")
    again = *kills.flags(), *flags, "--results=out", "--resume"
    done = launched(gradient_flow, *again)
    assert (done.returncode, done.stdout) == (0, "Results: out (complete already)\n")
    done = launched(gradient_flow, *again, "--features=7")
    assert done.returncode == 2 and "belongs to a run with other flags" in done.stderr


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_training_between_two_steps(name, tmp_path):
    child = kills.start(tmp_path, "--steps=1000000", checkpoint_every="0")
    metrics = tmp_path / "out.unfinished" / "metrics.jsonl"
    for _ in range(2400):
        if metrics.exists() and '"training"' in metrics.read_text():
            break
        assert child.poll() is None
        time.sleep(0.05)
    number = getattr(signal, name)
    child.send_signal(number)
    child.send_signal(number)  # as `timeout` does
    _, err = child.communicate(timeout=120)
    assert child.returncode == 128 + number
    word = signals.SIGNALS[name]
    pattern = rf"gradient_flow: {word} \(.*\); to resume:\npython -m .* --resume\n"
    pattern = rf"first step after .* s\n{pattern}"
    assert re.fullmatch(pattern, err)
    index = json.loads((tmp_path / "out.unfinished/checkpoints/index.json").read_text())
    (step,) = index["elman"]["states"]
    assert rows(tmp_path / "out.unfinished", "training")[-1]["step"] == int(step)


def test_resume_is_a_flag_of_every_command_that_keeps_results(launched):
    assert "--resume" in launched(gradient_flow, "--help").stdout
    assert "--resume" not in launched(export, "--help", keeps_results=False).stdout
    code, _, err = launched(gradient_flow, "--resume")
    assert code == 2 and "name the run to resume with --results" in err
