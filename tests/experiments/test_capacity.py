"""Memory of a training: exact on a CPU, and the same program as `train.fit` runs."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

import train
from experiments import capacity
from experiments.capacity import claims, experiment, measure
from experiments.capacity.measure import Memory, Setting
from experiments.harness.training import loss_of
from train import calls

TINY = ["--cells=gru", "--features=6", "--inputs=2", "--members=2", "--batch_size=4"]
TINY += ["--examples=8", "--classes=3"]
CONFIG = capacity.Config(
    cells=["gru"], inputs=2, classes=3, members=2, examples=8, chips=["1x1"]
)
SMALL = Setting("gru", 1, 1, 4, 6, 8)
HAS_LIBTPU = importlib.util.find_spec("libtpu") is not None


def temporary(**changes):
    setting = SMALL._replace(**changes)
    return measure.measure(setting, CONFIG, jax.devices(), None).temporary


@pytest.fixture
def run(launched):
    return partial(launched, capacity)


@pytest.mark.slow
def test_it_tabulates_memory_and_finds_the_longest_sequences(run, tmp_path):
    flags = ["--time=64,128", "--batch_size=8", "--chips=1x1", "--results=out"]
    code, out, err = run(*TINY, *flags)
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert files(folder) >= {"capacity.png", "report.html", "metrics.jsonl"}
    short, long = rows(folder, "memory")
    assert (short["time"], long["time"]) == (64, 128) and short["fits"]
    for row in (short, long):
        parts = row["temporary"] + row["arguments"] + row["outputs"]
        assert row["bytes"] == parts
    # Data of twice the length: 8 examples of 2 features in float32.
    assert long["arguments"] - short["arguments"] == 8 * 64 * 2 * 4
    (longest,) = rows(folder, "longest")
    most = measure.rounded_down(measure.MOST_TIME)
    assert longest["time"] == most or longest["bytes"] > 0.9 * longest["limit"]
    assert longest["bytes"] <= longest["limit"]
    assert f"have at most {longest['time']:,} steps (GRU)" in out
    (claim,) = rows(folder, "claim")
    assert claim["outcome"] == "supported", claim
    assert "<h1>How much memory does a training need per chip?" in (
        folder / "report.html"
    ).read_text(encoding="utf-8")


@pytest.mark.slow
def test_memory_is_linear_in_time_and_in_the_batch():
    by_time = [temporary(time=time) for time in (64, 128, 192)]
    assert np.diff(by_time, 2) == 0
    saved, outputs = measure.saved_bytes(SMALL, CONFIG)
    # x, and h, r, z, n and W_hn h of 6 units: see the equations of the cell. They are
    # factors of its derivative, or factors follow from them.
    assert (saved, outputs) == (4 * (5 * 6 + 2), 4 * 6)
    growth = (by_time[1] - by_time[0]) / 64 / 4  # per example, of one member at a time
    assert saved <= growth <= 3 * saved + 2 * outputs
    by_batch = [temporary(batch_size=size, time=64) for size in (2, 4, 6)]
    assert abs(np.diff(by_batch, 2)) < 0.01 * by_batch[0]


def test_the_program_is_that_of_a_training(monkeypatch):
    """`train.fit` compiles a program of the same size."""
    sizes = []
    compiled = calls.compiled

    def recorded(*arguments):
        program: Any = compiled(*arguments)
        sizes.append(program.memory_analysis())
        return program

    monkeypatch.setattr(calls, "compiled", recorded)
    model = measure.classifier(SMALL, CONFIG)
    xs = jnp.ones((8, 8, 2))
    keys = jax.random.split(jax.random.key(0), 2)
    params = jax.vmap(lambda key: model.init(key, xs)["params"])(keys)
    optimizer = train.make_optimizer("adam", measure.LEARNING_RATE, measure.CLIP_NORM)
    train.fit(
        loss_of(model),
        optimizer,
        params,
        (xs, jnp.zeros(8, int)),
        [0, 1],
        steps=measure.STEPS_PER_CALL,
        batch_size=4,
    )
    planned = measure.measure(SMALL, CONFIG, jax.devices(), None)
    assert planned.temporary == sizes[0].temp_size_in_bytes
    assert planned.arguments == sizes[0].argument_size_in_bytes
    assert planned.outputs == sizes[0].output_size_in_bytes


@pytest.mark.slow
def test_chips_share_members_and_examples(tmp_path):
    flags = ["--time=64", "--chips=1x1,2x1,1x2,2x2", f"--results={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.capacity", *TINY, *flags],
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "4", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bytes = {
        (row["study"], row["data"]): row["temporary"]
        for row in rows(tmp_path / "out", "memory")
    }
    # A CPU keeps the activations of one member at a time, on each device.
    for (_, data), size in bytes.items():
        assert 0.8 < data * size / bytes[1, 1] < 1.1, bytes


def test_claims_compare_growth_and_shares():
    def line(chips, temporaries, saved=100):
        memories = [
            Memory(SMALL._replace(study=chips, time=8 * (i + 1)), size, 1, 2, 10**6)
            for i, size in enumerate(temporaries)
        ]
        return claims.Line(memories, 2 // chips, saved, 10, memories[-1])

    alone, good, bad = line(1, [0, 7000]), line(2, [0, 3500]), line(2, [0, 12000])
    assert alone.growth == good.growth == 7000 / 8 / (2 * 4)
    growth, share = claims.evaluate_claims([alone, good])
    assert growth.outcome == share.outcome == "supported"
    growth, share = claims.evaluate_claims([alone, bad])
    assert growth.outcome == "partly supported" and share.outcome == "refuted"
    (growth,) = claims.evaluate_claims([line(1, [0, 7000], saved=200)])
    assert growth.outcome == "refuted"
    assert claims.evaluate_claims([line(1, [7000])]) == []
    unknown = line(1, [0, 7000])._replace(longest=None)
    assert "need up to" in claims.answer([unknown], 2, "cpu")
    assert claims.table([unknown]).rows[0][-1] == "-"


def test_a_message_of_the_compiler_is_read():
    message = (
        "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the "
        "total memory required for HLO temporaries\n (160.12G) exceeds available HBM "
        "(15.75G). HLO module: jit_run."
    )
    available = measure._bytes(r"available \w+ \((.*?)\)", message)
    needed = measure._bytes(r"total memory required .*?\((.*?)\)", message)
    assert (available, needed) == (15.75 * 2**30, int(160.12 * 2**30))
    assert measure._bytes(r"available \w+ \((.*?)\)", "another message") is None


MISTAKES = [
    ("--chips=2", "flag --chips: expected STUDYxDATA, such as 2x1; got '2'"),
    ("--chips=9x99", "flag --chips: 9x99 are 891 chips; there "),
    ("--topology=v5e:2x2", "flag --topology=v5e:2x2: expected --platform=tpu with it"),
    ("--examples=3", "flag --batch_size: expected at most 3, the --examples; got 4"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_a_batch_that_the_chips_do_not_divide_is_refused():
    config = capacity.Config(batch_size=[3])
    with pytest.raises(Exception, match=r"1x2 does not divide the 3 examples"):
        experiment.check(config, [(1, 2)])


def test_without_libtpu_the_command_that_installs_it_is_named(run, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "libtpu" else find_spec(name, *rest),
    )
    code, _, err = run(*TINY, "--platform=tpu", "--results=out")
    assert code == 2 and err.count("\n") == 1
    assert err.endswith("which is not installed; run: pip install libtpu\n")


@pytest.mark.slow
@pytest.mark.skipif(
    not HAS_LIBTPU,
    reason="programs for TPUs are compiled by libtpu: pip install libtpu",
)
def test_programs_for_tpus_compile_without_a_tpu(tmp_path):
    flags = ["--time=8", "--chips=1x1,2x2", "--platform=tpu", "--topology=v5e:2x2"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.capacity", *TINY, *flags, "--results=out"],
        cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    log = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    memories = [row for row in map(json.loads, log) if row["kind"] == "memory"]
    assert [row["limit"] for row in memories] == [15.75 * 2**30] * 2
    assert memories[1]["arguments"] < memories[0]["arguments"]
