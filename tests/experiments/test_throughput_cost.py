"""Cost of a train step: the axes, the exponents, and the crossover of given times."""

from functools import partial

import numpy as np
import pytest
from commands import rows

from experiments.throughput import experiment as throughput
from experiments.throughput.config import Config, complete
from experiments.throughput.cost import figures, measure
from experiments.throughput.cost.measure import Point
from experiments.throughput.rows import Row
from experiments.throughput.workers.jobs import Job


@pytest.fixture
def run(launched, undrawn):
    return partial(launched, throughput)


@pytest.mark.slow
def test_every_axis_is_measured_and_remat_needs_less_memory(run, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "cores", lambda: 1)
    factors = {"time": (1, 16, 64), "features": (1,), "batch": (1,)}
    monkeypatch.setattr(measure, "FACTORS", factors)
    done = run(
        "--what=cost",
        "--cells=elman",
        "--time=4",
        "--features=1",
        "--batch_size=1",
        "--most_steps=100",
        "--rounds=1",
        "--seconds=1e-9",
        "--results=out",
    )
    assert done.returncode == 0, done.stderr
    logged = rows(tmp_path / "out", "cost")
    assert {row["axis"] for row in logged} == set(measure.TITLES)
    assert not [row["error"] for row in logged if row["error"]]
    assert {len(row["seconds"]) for row in logged} == {1}
    longest = {r["contender"]: r["bytes"] for r in logged if r["time"] == 256}
    assert longest["ours, remat"] < longest["ours"]
    assert "A train step grows in time as steps^" in done.stdout
    assert "At T = 256, remat of the elman takes" in done.stdout
    assert "lax.associative_scan is " in done.stdout


def measured(axis, label, values, power, contender="ours"):
    """Points whose time is a power of the value, and whose memory is its square."""
    return [
        (
            Point(axis, value, Job(label, 1, 1, 1, 1, "train"), []),
            Row(
                Job(label, 1, 1, 1, 1, "train"),
                contender,
                np.array([3.0 * value**power]),
                bytes=5.0 * value**2,
            ),
        )
        for value in values
    ]


def test_exponents_are_fitted_to_the_larger_half():
    made = measured("time", "gru", [1, 2, 4], 0) + measured(
        "time", "gru", [8, 16, 32], 1
    )
    made += measured("time", "gru", [8, 16, 32], 0.5, "ours, remat")
    plain, remat = measure.curves(made)
    assert (plain.label, remat.label) == ("gru", "gru remat")
    assert np.allclose(plain.powers(), (1, 2))
    assert np.allclose(remat.powers(), (0.5, 2))
    assert figures.answer([plain, remat]) == (
        "A train step grows in time as steps^1.00, in memory as steps^2.00."
    )
    assert figures.table([plain]).rows == [
        [
            "steps T, gru",
            "1 to 32",
            "3e+03 to 9.6e+04",
            "1.00",
            "5e-06 to 0.00512",
            "2.00",
        ]
    ]


def test_the_crossover_is_where_the_scan_stays_faster():
    steps = [100, 400, 1600, 6400]
    loop = measured("scan", "min_gru", steps, 1)
    scan = measured("scan", "min_gru", steps, 0.5, "ours, parallel")
    assert measure.crossover(loop + scan) == 100
    slower = [(p, r._replace(seconds=r.seconds * 30)) for p, r in scan]
    assert measure.crossover(loop + slower) == 1600
    assert measure.crossover(loop + slower[:3]) is None


def test_axes_are_varied_one_at_a_time_up_to_the_longest_scan(monkeypatch):
    monkeypatch.setattr(measure, "cores", lambda: 4)
    points = list(measure.points(complete(Config(what="cost", cells=["gru"]))))
    base = Job("gru", 64, 64, 64, 64, "train")
    by_axis = {axis: [p for p in points if p.axis == axis] for axis in measure.TITLES}
    assert [p.value for p in by_axis["time"]] == [16, 64, 256, 1024, 4096]
    assert {p.job._replace(batch=64) for p in by_axis["batch"]} == {base}
    assert [p.entries[0].worker for p in by_axis["devices"]] == [
        "JAX with 1 device",
        "JAX with 2 devices",
        "JAX with 4 devices",
    ]
    assert [p.value for p in by_axis["scan"]][-2:] == [25_600, 65_536]
