"""The gates of an LSTM, through the command line and compared with exact facts."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows

import nets
from experiments.gates import claims
from experiments.gates import experiment as gates
from experiments.gates.claims import answer, evaluate_claims
from experiments.gates.figures import title
from experiments.gates.measure import LEARNED, ForgetGateResult, clamped
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from nets import flow

TINY = ["--features=4", "--steps=2", "--seeds=0,1", "--order=rows"]


@pytest.fixture
def run(launched):
    return partial(launched, gates)


@pytest.mark.slow
def test_it_clamps_and_measures(run, tmp_path):
    code, out, err = run(*TINY, "--biases=-1,2", "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    assert files(folder) == {
        *("config.json", "metrics.jsonl", "checkpoints", "report.html", "gates.png")
    }
    clamps = rows(folder, "clamp")
    assert [(row["bias"], row["seed"]) for row in clamps] == [
        (bias, seed) for bias in (None, -1, 2) for seed in (0, 1)
    ]
    for row in clamps[2:]:  # along the cell state it is exact
        exact = -np.log(1 / (1 + np.exp(-row["bias"])))
        for when in ("before", "after"):
            assert row[f"highway_{when}"] == pytest.approx(exact, abs=1e-4)
            assert abs(row[f"decay_{when}"] - exact) > 1e-3  # the whole is not
    assert len({row["test_accuracy"] for row in clamps}) > 1
    for row in rows(folder, "gate"):
        assert len(row["mean"]) == 8 and all(0 < mean < 1 for mean in row["mean"])
    assert {row["gate"] for row in rows(folder, "gate")} == {
        *("input", "forget", "output")
    }
    for row in rows(folder, "exact"):
        assert row["relative_error"] < 1e-12
    judged = rows(folder, "claim")
    assert len(judged) == 5 and judged[0]["outcome"] == SUPPORTED
    assert all(row["evidence"] in out for row in judged)


@pytest.mark.slow
def test_a_clamped_gate_is_sigmoid_of_its_bias():
    cell = clamped(nets.lstm(), 2.0)
    params = cell.init(jax.random.key(0), 3, 4)
    xs = jax.random.normal(jax.random.key(1), (5, 2, 3))
    gates = flow.gates(cell, params, xs)
    np.testing.assert_allclose(gates["forget"].mean, 1 / (1 + np.exp(-2)), rtol=1e-6)
    free = flow.gates(nets.lstm(), params, xs)
    assert np.abs(free["forget"].mean - gates["forget"].mean).max() > 0.01
    # All else is as it was: without weights, and with a bias of 2, both are the same.
    columns = jnp.arange(16) // 4 == 1
    same = nets.cells.LSTMParams(
        w_i=jnp.where(columns[None], 0, params.w_i),
        w_h=jnp.where(columns[None], 0, params.w_h),
        b=jnp.where(columns, 2.0, params.b),
    )
    _, ours = nets.unroll(cell, params, xs)
    _, theirs = nets.unroll(nets.lstm(), same, xs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def of(bias, accuracy, off=0.0, whole=0.0):
    exact = np.log1p(np.exp(-(bias or 0)))
    spread = np.array([-1e-5, 0, 1e-5])
    along, all_of_it = exact + off + spread, exact + whole + spread
    name = LEARNED if bias is None else f"b = {bias}"
    ours = all_of_it, all_of_it, along, along
    return ForgetGateResult(name, bias, np.array(accuracy) + 10 * spread, *ours)


CASES = [
    (
        [of(None, 0.9), of(-5, 0.3), of(5, 0.8)],
        [SUPPORTED, SUPPORTED, INCONCLUSIVE, SUPPORTED, SUPPORTED],
    ),
    (
        [of(None, 0.7), of(-5, 0.9, 1, -4), of(5, 0.8)],
        [PARTLY_SUPPORTED, PARTLY_SUPPORTED, PARTLY_SUPPORTED, REFUTED, REFUTED],
    ),
    ([of(None, 0.7), of(-5, 0.9, 1, 2), of(5, 0.8, 1, 1)], [REFUTED] * 5),
    (
        [of(None, 0.9), of(-5, 0.3, 0, -4), of(5, 0.8, 0, -1)],
        [SUPPORTED, REFUTED, *[SUPPORTED] * 3],
    ),
]


@pytest.mark.parametrize(("results", "outcomes"), CASES)
def test_the_claims(results, outcomes):
    assert [claim.outcome for claim in evaluate_claims(results)] == outcomes
    words = {
        SUPPORTED: "decays as",
        PARTLY_SUPPORTED: "for some b",
        REFUTED: "does not decay",
    }
    assert all(words[outcome] in title(results) for outcome in outcomes[:2])
    predicts = "does not predict" if outcomes[1] == REFUTED else "predicts"
    assert predicts in answer(evaluate_claims(results))
    assert "-5" in claims.table(results).text()


def test_where_the_gradient_reaches_further_is_named():
    results = [of(None, 0.7), of(-5, 0.9, 0, -4), of(5, 0.8)]
    cases = evaluate_claims(results)[2].cases
    assert [case.name for case in cases if case.outcome == SUPPORTED] == [
        "b = -5 untrained",
        "b = -5 trained",
    ]
    claim = evaluate_claims([of(None, 0.7), of(5, 0.8, 0, 1)])[2]
    assert not any(case.outcome == SUPPORTED for case in claim.cases)


MISTAKES = [
    ("--biases=big", "flag --biases: expected numbers separated by commas; got 'big'"),
    ("--biases=20", "flag --biases: expected numbers from -15 to 15"),
    ("--biases=5,5.0000001", "flag --biases: expected distinct numbers"),
    ("--digit=899", "flag --digit: expected a number from 0 to 898; got 899"),
    ("--order=columns", "flag --order: expected one of pixels, rows"),
    ("--batch_size=899", "flag --batch_size: expected at most 898"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
