"""When recurrences are solved in parallel: networks, claims, and published systems."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.harness.intervals import bootstrap
from experiments.parallel import claims, figures, records, trials
from experiments.parallel import experiment as parallel
from experiments.parallel.config import Config
from experiments.parallel.measure import joined
from experiments.parallel.published import figures as published_figures
from experiments.parallel.published import flows, measure
from experiments.parallel.published.records import (
    Fact,
    Lengths,
    Observed,
    Published,
    Threshold,
)
from experiments.parallel.records import Measured, Solved, Trajectory

TINY = [
    "--parts=cells",
    "--cells=elman",
    "--inits=own,torch",
    "--gains=1,2",
    "--features=3",
    "--steps=2",
    "--batch_size=8",
    "--length=8",
    "--max_iterations=8",
    "--seeds=0,1",
]


@pytest.fixture
def run(launched, small_data):
    return partial(launched, parallel)


@pytest.mark.slow
def test_cells_are_measured_before_during_and_after_training(run, tmp_path):
    done = run(*TINY, "--results=out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    names = {"config.json", "metrics.jsonl", "report.html", "checkpoints"}
    assert files(out) == names | {"parallel.png", "cells.png"}
    measured = rows(out, "trajectory")
    assert len(measured) == 3 * 3 * 2  # stages; two gains and a scheme; seeds
    assert {row["stage"] for row in measured} == set(records.STAGES)
    assert {(row["init"], row["gain"]) for row in measured} == {
        ("orthogonal", 1.0),
        ("orthogonal", 2.0),
        ("torch", 1.0),
    }
    assert len({row["exponent"] for row in measured}) == len(measured)
    for row in measured:  # after as many iterations as steps, the solution is exact
        assert row["newton_converged"] and row["newton_iterations"] <= 8
        assert row["newton_error"] < 1e-4
    assert len(rows(out, "accuracy")) == 6
    assert "predicts whether Newton's method converges on" in done.stdout


@pytest.mark.slow
def test_flossing_reaches_its_target(run, tmp_path):
    flags = "--parts=flossing", "--flossed=elman", "--targets=-1,0", "--steps=60"
    weight = "--flossing_weight=10", "--learning_rate=0.03", "--features=4"
    done = run(*TINY, *flags, *weight, "--seeds=0", "--results=out")
    assert done.returncode == 0, done.stderr
    last = {
        row["target"]: row["exponent"]
        for row in rows(tmp_path / "out", "trajectory")
        if row["stage"] == "after"
    }
    assert last[-1.0] < last[0.0] - 0.3
    assert (tmp_path / "out" / "flossing.png").exists()


def test_flossing_decomposes_one_matrix_at_a_time():
    """Otherwise `train.fit` refuses to train on as many devices as threads."""
    config = Config(parts=["flossing"], flossed=["elman"], features=3, inits=["own"])
    (trial,) = trials.trials(config)
    batch = jnp.zeros((4, 6, 1)), jnp.zeros(4, int)

    def loss(key):
        params = trial.model.init(key, batch[0])["params"]
        return trials.loss_of(trial, 1.0)(params, batch, key, target=0.5)

    text = jax.jit(loss).lower(jax.random.key(0)).as_text()
    sizes = set(re.findall(r'lapack_sgeqrf_ffi\(.*num_batch_dims = "(\d)"', text))
    assert sizes == {"0"}


MISTAKES = [
    ("--parts=cell", "flag --parts"),
    ("--cells=none", "unknown cell 'none'"),
    ("--inits=none", "flag --inits: "),
    ("--length=1", "flag --length=1"),
    ("--batch_size=1000", "--batch_size: expected at most"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    done = run(*TINY, flag)
    assert done.returncode == 2
    assert done.stderr.startswith("parallel: ") and sentence in done.stderr
    assert done.stderr.count("\n") == 1 and not list(tmp_path.glob("results/*/*"))


def test_a_cell_without_recurrent_weights_has_no_gains():
    config = Config(parts=["cells"], cells=["orthogonal_rnn"], inits=["own"])
    (trial,) = trials.trials(config)
    assert [member.settings["gain"] for member in trial.members] == [1.0] * 3


def test_a_sequence_ends_with_its_last_digit():
    xs, labels = jnp.arange(20.0).reshape(5, 4, 1), jnp.arange(5)
    long, last = joined((xs, labels), 6, 2)
    assert long[:, :, 0].tolist() == [[2, 3, 4, 5, 6, 7], [10, 11, 12, 13, 14, 15]]
    assert last.tolist() == [1, 3]


def trajectory(exponent, iterations, converged=True, seed=0, cell="gru", **more):
    nothing = np.zeros(())
    end = Solved(np.asarray(iterations), nothing, converged, nothing)
    decay = np.asarray(more.pop("decay", -exponent))
    measured = Measured(np.asarray(exponent), decay, end, end)
    settings = {"init": "own", "gain": 1.0} | more
    return Trajectory(cell, seed, settings, "after", 0.5, measured)


def many(iterations):
    """Trajectories of 20 networks with exponents from -1 to 0.9."""
    exponents = np.arange(-10, 10) / 10 + 0.05
    return [
        trajectory(e, iterations(e), bool(e < 0), seed)
        for seed, e in enumerate(exponents)
    ]


def test_the_sign_decides_where_all_are_right():
    made = many(lambda e: 9)
    claim = claims.sign_decides(made)
    assert claim.outcome == SUPPORTED and claim.cases[0].name.endswith("20 of 20 right")
    flipped = [
        trajectory(-row.exponent, 9, row.solved().converged, row.seed) for row in made
    ]
    assert claims.sign_decides(flipped).outcome == REFUTED


def test_a_product_is_constant_if_iterations_are_inverse_to_the_exponent():
    inverse = claims.product_is_constant(many(lambda e: 5 / abs(e)), "newton")
    assert inverse.outcome == SUPPORTED
    assert records.variation(records.stable(many(lambda e: 5 / abs(e)))) < 1e-9
    assert claims.product_is_constant(many(lambda e: 5), "newton").outcome == REFUTED


def test_vanishing_gradients_are_parallel_if_ranks_agree():
    agree = claims.vanishing_is_parallel(many(lambda e: 5 / abs(e)))
    assert agree.outcome == SUPPORTED
    opposite = [row for row in many(lambda e: 5 * abs(e)) if row.exponent < 0]
    assert claims.vanishing_is_parallel(opposite).outcome == REFUTED


def test_the_bootstrap_draws_whole_groups():
    groups = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    bounds = bootstrap(lambda values: float(np.mean(values)), groups)
    assert bounds.mean == 1.0 and 0 <= bounds.low < 1 < bounds.high <= 2
    assert bounds == bootstrap(lambda values: float(np.mean(values)), groups)
    alone = bootstrap(lambda values: float(np.mean(values)), groups[:1])
    assert (alone.low, alone.high) == (-np.inf, np.inf)


def test_facts_agree_within_their_tolerance():
    near = Fact("a", "iterations", 3, 5, 2)
    assert near.outcome == SUPPORTED
    assert near._replace(measured=6).outcome == REFUTED
    assert near._replace(measured=-9, bound=True).outcome == SUPPORTED


def made_facts():
    """Facts as they are published."""
    observed = [
        Observed(system, system.iterations[1], system.exponents[1], True)
        for system in flows.SYSTEMS
    ]
    exponents = np.array([[-0.2, -0.2], [0.2, 0.2]])
    networks = Threshold(
        np.array([1.1, 1.3]), 100, exponents, np.full((2, 2), 9), exponents < 0, 1.2
    )
    steps = np.array([64, 256, 1024])
    lengths = Lengths(steps, np.full((3, 2), 4.0), np.full(3, 30.0))
    return Published(observed, networks, lengths)


def test_facts_as_published_are_reproduced():
    facts = made_facts()
    assert facts.threshold.right == 1.0
    assert {fact.outcome for fact in facts.facts()} == {SUPPORTED}
    plot = published_figures.draw(facts)
    assert plot.finding == "22 of 22 published facts are reproduced"


def test_figures_show_solvers_that_do_not_converge():
    made = many(lambda e: 5 / abs(e))
    for plot in (figures.draw_cells(made, ""), figures.draw_axes(made, "")):
        crosses = [
            np.size(line.get_xdata())
            for axis in plot.figure.axes
            for line in axis.lines
            if line.get_marker() == "x"
        ]
        solvers = 1 if plot.figure.axes[1:] == [] else 2
        assert sum(crosses) == 10 * solvers


def test_observers_follow_published_systems():
    """All nine systems, against their equations in NumPy for one of them."""
    lorenz = next(i for i, s in enumerate(flows.SYSTEMS) if s.name == "Lorenz")
    with jax.enable_x64(True):
        params = flows.observer(lorenz, jnp.array([0.5, -1.0, 2.0]))
        z, x = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.5, 2.5, 2.0])
        after = flows.observer_cell().step(params, z, x)[0]
    r = np.array([1.0, 2.5, 3.0])  # the second coordinate is read
    velocity = [
        10 * (r[1] - r[0]),
        28 * r[0] - r[0] * r[2] - r[1],
        r[0] * r[1] - 8 / 3 * r[2],
    ]
    gain = np.array([0.5, -1.0, 2.0])
    expected = r + 0.01 * (velocity + gain * (gain @ (np.asarray(x) - r)))
    np.testing.assert_allclose(after, expected, rtol=1e-12)


def test_two_wells_follow_the_gradient_of_their_density():
    with jax.enable_x64(True):
        state = np.array([0.3, -0.7])
        after = flows.two_wells_cell().step(None, jnp.asarray(state), jnp.zeros(2))[0]

    def log_density(s):
        parts = [
            share
            / np.sqrt(np.prod(variance))
            * np.exp(-(((s - mean) ** 2) / variance).sum() / 2)
            for share, mean, variance in (
                (0.49, np.array([-1.4, 0.0]), np.array([0.45, 0.45])),
                (0.51, np.array([1.6, 0.0]), np.array([0.54, 0.45])),
            )
        ]
        return np.log(sum(parts))

    small = 1e-6
    slope = [
        (log_density(state + small * unit) - log_density(state - small * unit))
        / (2 * small)
        for unit in np.eye(2)
    ]
    np.testing.assert_allclose(after, state + 0.01 * np.array(slope), rtol=1e-8)


@pytest.mark.slow
def test_published_facts_are_measured(run, tmp_path, monkeypatch):
    sizes = {"STEPS": 64, "UNITS": 5, "NETWORK_STEPS": 20, "GAINS": (0.1, 3.0)}
    sizes |= {"LENGTHS": (16, 64), "WELL_STEPS": 64, "CONTRACTING": 1, "NETWORKS": 1}
    sizes |= {"NEAR": (0.5, 3.0), "MANY": 1, "LONG": 10}
    for name, value in sizes.items():
        monkeypatch.setattr(measure, name, value)
    done = run("--parts=published", "--results=out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    facts = {(row["name"], row["quantity"]): row for row in rows(out, "fact")}
    assert len(facts) == 2 * len(flows.SYSTEMS) + 4
    few = [row["measured"] for key, row in facts.items() if key[1] == "iterations"]
    assert max(few) < 32  # of 64 steps
    assert len(rows(out, "threshold")) == 2 and len(rows(out, "length")) == 2
    lengths = rows(out, "length")
    assert lengths[-1]["wells"] < 64
