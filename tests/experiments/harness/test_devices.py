"""Devices of a command: flags, meshes, several processes on one machine."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from experiments import gradient_flow
from experiments.harness import allocator, devices, process, processes
from experiments.harness.cli import LaunchFlags

ROOT = pathlib.Path(process.__file__).parents[2]
TINY = (
    *("--cells=elman", "--order=rows", "--probes=none", "--features=3", "--seeds=0,1"),
    *("--batch_size=4", "--devices=1"),
)


@pytest.mark.parametrize(
    ("members", "count", "divide", "expected"),
    [
        (1, 8, False, (1, 1)),
        (1, 8, True, (1, 8)),
        (3, 2, False, (2, 1)),
        (16, 2, True, (2, 1)),
        (5, 4, False, (3, 1)),
        (3, 16, True, (3, 4)),
    ],
)
def test_devices_with_the_least_work_are_used(members, count, divide, expected):
    assert devices.shape(members, 64, count, divide=divide) == expected


def test_a_batch_that_cannot_be_divided_stays_on_one_device():
    assert devices.shape(1, 7, 4, divide=True) == (1, 1)


def test_one_device_needs_no_mesh():
    assert devices.mesh(1, 64) is None


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"coordinator": "here"}, "--coordinator: expected HOST:PORT; got 'here'"),
        ({"coordinator": "here:70000"}, "expected HOST:PORT"),
        ({"coordinator": "here:80"}, "--num_processes: expected the number"),
        (
            {"coordinator": "here:80", "num_processes": 2, "process_id": 2},
            "--process_id: expected 0 to 1, below --num_processes; got 2",
        ),
        ({"num_processes": 2}, "--num_processes: expected --coordinator=HOST:PORT"),
        ({"coordinator": "auto", "process_id": 0}, "--process_id: expected --coord"),
    ],
)
def test_flags_of_processes_that_do_not_agree_are_refused(flags, why):
    with pytest.raises(process.UsageError, match=why):
        processes.parse(LaunchFlags(**flags))


def test_a_port_in_use_is_refused():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        flags = LaunchFlags(coordinator=f"here:{port}", num_processes=2, process_id=0)
        with pytest.raises(process.UsageError, match=f"port {port} of this machine is"):
            processes.parse(flags)


def test_a_command_that_does_not_train_refuses_devices():
    with pytest.raises(process.UsageError, match="flag --devices: this command does"):
        devices.start(LaunchFlags(devices=2), trains=False)


def test_an_error_of_another_process_is_recognized(monkeypatch):
    error = ValueError("UNKNOWN: Gloo all-reduce failed: Connection reset by peer")
    assert not processes.lost(error)
    monkeypatch.setattr(processes, "_stage", "run")
    assert "another process ended" in processes.lost(error)
    assert not processes.lost(ValueError("shapes differ"))


@pytest.mark.parametrize("tunables", [None, "glibc.malloc.arena_max=2"])
def test_the_allocator_is_set_unless_the_user_sets_it(monkeypatch, tunables):
    calls = []
    library = SimpleNamespace(
        gnu_get_libc_version=None, mallopt=lambda *pair: calls.append(pair)
    )
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: library)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if tunables:
        monkeypatch.setenv("GLIBC_TUNABLES", tunables)
    allocator.keep_memory()
    assert calls == ([] if tunables else [(-8, 1), (-4, 0), (-1, 2**31 - 1)])


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: SimpleNamespace())
    assert allocator.keep_memory() is None


def test_the_first_step_is_reported_once(monkeypatch, capsys):
    process.report_start()
    assert not capsys.readouterr().err  # not a command
    monkeypatch.setattr(process, "_began", True)
    monkeypatch.setattr(process, "_reported", False)
    process.report_start()
    process.report_start()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("first step after ")


def start(folder, name, *flags, steps=2, index=None, port=0):
    """A training; process `index` of two if it is given."""
    several = f"--coordinator=localhost:{port}", "--num_processes=2"
    flags = (*TINY, f"--steps={steps}", f"--results={name}", *flags)
    if index is not None:
        flags += (*several, f"--process_id={index}")
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.gradient_flow", *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*children):
    try:
        return [
            (child.communicate(timeout=300), child.returncode) for child in children
        ]
    finally:
        for child in children:
            child.kill()


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def numbers(folder):
    """All numbers of metrics.jsonl."""
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    leaves = [leaf for row in rows for leaf in jax.tree.leaves(row)]
    return np.array([leaf for leaf in leaves if not isinstance(leaf, str)], float)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="gloo")
def test_two_processes_agree_with_one(launched, tmp_path):
    port = free_port()
    pair = [start(tmp_path, "two", index=i, port=port) for i in (0, 1)]
    (((out, err), code), ((_, other), other_code)) = ended(*pair)
    assert (code, other_code) == (0, 0), err + other
    assert out.endswith("Results: two\n")
    code, _, err = launched(gradient_flow, *TINY, "--steps=2", "--results=one")
    assert code == 0, err
    np.testing.assert_allclose(
        numbers(tmp_path / "two"), numbers(tmp_path / "one"), rtol=1e-5, atol=1e-5
    )
    written = json.loads((tmp_path / "two" / "config.json").read_text())
    assert (written["devices"], written["processes"]) == (2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    same = [{p.name for p in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert same[0] == same[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="other signals")
@pytest.mark.parametrize("dead", [0, 1])
def test_a_process_that_dies_ends_the_other(tmp_path, dead):
    port = free_port()
    pair = [start(tmp_path, "out", steps=1_000_000, index=i, port=port) for i in (0, 1)]
    rows = tmp_path / "out.unfinished" / "metrics.jsonl"
    for _ in range(2000):
        if rows.exists() and '"training"' in rows.read_text():
            break
        assert pair[0].poll() is None
        time.sleep(0.1)
    pair[dead].send_signal(signal.SIGKILL)
    ((_, err), code) = ended(*pair)[1 - dead]
    assert code == 1
    assert "the run failed: another process ended, or cannot be reached" in err
    assert rows.exists()


def test_config_names_devices_and_processes():
    from experiments.harness import machine

    there = machine.environment()
    assert (there["devices"], there["processes"]) == (len(jax.devices()), 1)
