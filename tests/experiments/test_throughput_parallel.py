"""Throughput in parallel over time: the jobs, their contenders, and what is shown."""

from functools import partial

import numpy as np
import pytest
from commands import rows

from experiments.throughput import experiment as throughput
from experiments.throughput import ratios
from experiments.throughput.config import Config, complete
from experiments.throughput.parallel import figures, measure
from experiments.throughput.rows import Row
from experiments.throughput.workers import contenders, programs
from experiments.throughput.workers.contenders import NEWTON, OURS
from experiments.throughput.workers.jobs import FORWARD, TRAIN, Job, Refused


@pytest.fixture
def run(launched, undrawn):
    return partial(launched, throughput)


@pytest.mark.slow
def test_solvers_are_timed_next_to_the_loop(run, tmp_path):
    done = run(
        "--what=parallel",
        "--layers=elman",
        "--sizes=1x6x1x2",
        "--programs=train",
        "--rounds=1",
        "--seconds=1e-9",
        "--results=out",
    )
    assert done.returncode == 0, done.stderr
    logged = {row["contender"]: row for row in rows(tmp_path / "out", "time")}
    solvers = {"ours, newton", "ours, quasi"}
    assert set(logged) == {"ours", "ours, backward"} | solvers
    for name, row in logged.items():
        assert not row["error"] and row["difference"] < 1e-4
        assert row["state"] == 2 and row["exponent"] < 0
        assert (name in solvers) == (row["iterations"] is not None)
    assert "Compared with the loop, at best: newton " in done.stdout


def test_jobs_are_named_that_no_time_is_left_for(run):
    done = run("--what=parallel", "--layers=gru", "--minutes=0")
    assert done.returncode == 0, done.stderr
    assert "Not run within 0 minutes: gru 1x256x1x1 forward default, " in done.stdout


def test_a_solver_that_does_not_converge_is_refused(monkeypatch):
    monkeypatch.setattr(contenders, "MOST_ITERATIONS", 1)
    made = programs.prepare(Job("elman", 1, 6, 1, 2, FORWARD), [NEWTON], 1)[NEWTON]
    assert not isinstance(made, str) and made.numbers is not None
    with pytest.raises(Refused, match="does not converge in 1 iterations"):
        made.numbers()


def test_published_sizes_come_first_on_a_gpu():
    config = complete(Config(what="parallel"))
    jobs = measure.plan(config, "gpu")
    assert jobs[0] == Job("gru", 16, 1000, 1, 1, FORWARD)
    first = [job for job in jobs if (job.layer, job.features) == ("gru", 1)]
    assert jobs[: len(first)] == first
    assert {job.time for job in first} <= {1000, 3000, *measure.PUBLISHED[FORWARD]}
    assert {job.features for job in jobs} == {1, 2, 4, 8, 16, 32, 64}
    assert len(set(jobs)) == len(jobs)
    assert config.minutes == 5 and complete(Config(what="gpu")).minutes == 8


def test_small_sizes_are_timed_on_a_cpu():
    jobs = measure.plan(complete(Config(what="parallel")), "cpu")
    assert max(job.time * job.batch * job.features**2 for job in jobs) < 5e6
    assert [job.layer for job in jobs] == ["gru"] * 8 + ["min_gru"] * 8


def made_rows(program=FORWARD, features=1):
    """Rows of a GRU: the loop is slower from 10,000 steps."""
    return [
        Row(Job("gru", 16, steps, features, features, program), name, np.array([s]))
        for steps, loop, newton in (
            (1000, 1.0, 2.0),
            (10_000, 10.0, 5.0),
            (100_000, 100.0, 5.0),
        )
        for name, s in ((OURS, loop), (NEWTON, newton))
    ]


def test_crossovers_and_published_ratios():
    made = made_rows()
    (line,) = figures.crossovers(made).rows
    assert line == ["gru, 1 unit, 16 sequences, forward", "10,000"]
    assert figures.answer(made) == (
        "Compared with the loop, at best: newton 20 times as fast (forward, gru, 1 "
        "unit, 16 sequences, T = 100,000)."
    )
    (sentence,) = figures.published(made)
    assert "T = 1,000 forward 0.5 (18)" in sentence
    assert "T = 100,000 forward 20 (1122)" in sentence
    assert not figures.published(made_rows(features=2))
    (line,) = figures.crossovers(made[:2]).rows
    assert line[1] == "over 1,000"


def test_a_panel_has_the_published_ratios():
    plot = figures.draw(made_rows() + made_rows(TRAIN, 2), "")
    labels = [
        {line.get_label() for line in axis.lines} & {"published, V100", NEWTON}
        for axis in plot.figure.axes
    ]
    published = "published, V100"
    assert labels == [{published, NEWTON}, set(), {published}, {NEWTON}]


def test_a_crossover_is_where_a_contender_stays_faster():
    times = {
        1: {OURS: 2.0, "x": 1.0},
        2: {OURS: 1.0, "x": 2.0},
        3: {OURS: 3.0, "x": 1.0},
    }
    assert ratios.crossover(times, "x") == 3
    assert ratios.crossover({1: {OURS: 1.0}}, "x") is None
