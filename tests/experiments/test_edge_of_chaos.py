"""The edge of chaos, run through its command line and against what is exact."""

from functools import partial

import numpy as np
import pytest
from commands import files, rows
from scipy import integrate

from experiments.edge_of_chaos import experiment as edge_of_chaos
from experiments.edge_of_chaos.mean_field import mean_field, stationary_variance
from experiments.edge_of_chaos.measure import CHAOS, chaos_onset, draw_weights

TINY = ["--features=20", "--gains=0.5,0.6,3", "--spectra=0.5,3", "--seeds=0,3"]


@pytest.fixture
def run(launched):
    return partial(launched, edge_of_chaos)


@pytest.mark.slow
def test_it_measures_networks_against_theory(run, tmp_path):
    done = run(*TINY, "--results=out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    names = {"config.json", "metrics.jsonl", "edge_of_chaos.png", "report.html"}
    assert files(out) == names
    assert (out / "edge_of_chaos.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "report.html").read_text()
    assert "<h1>At which gain of its weights does a random network" in page
    assert "Chaos begins at " in page and "the exponent is ln rho(W) to within" in page
    assert done.stdout.splitlines()[-1] == "Results: out"

    measured = rows(out, "exponent")
    assert len(measured) == 3 * 2  # gains, seeds
    for row in measured:
        w = row["gain"] * np.asarray(draw_weights(row["seed"], 20))
        rho = max(abs(np.linalg.eigvals(w)))
        assert row["log_rho"] == pytest.approx(np.log(rho), abs=1e-5)
        if rho < 1:
            assert row["exponent"] == pytest.approx(np.log(rho), abs=4e-3)
    assert sum(row["log_rho"] < 0 for row in measured) >= 4
    assert len({row["exponent"] for row in measured}) == 6
    curve = {(r["gain"], r["seed"]): r["exponent"] for r in measured}
    for row in rows(out, "spectrum"):
        exponents = row["exponents"]
        assert len(exponents) == 20 and exponents == sorted(exponents, reverse=True)
        assert exponents[0] == pytest.approx(curve[row["gain"], 0], abs=0.02)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_large_gains_are_chaotic_and_chaos_begins_between(run, tmp_path):
    # The whole spectrum is that of the first size: a small one, as it is not read here.
    flags = "--features=2,100", "--gains=0.8,4", "--spectra=0.8", "--seeds=0,1"
    done = run(*flags, "--steps=400", "--warmup=100", "--results=out")
    assert done.returncode == 0, done.stderr
    theory = {
        row["gain"]: row["exponent"] for row in rows(tmp_path / "out", "mean_field")
    }
    for row in rows(tmp_path / "out", "exponent"):
        if row["gain"] == 4 and row["units"] == 100:
            assert row["exponent"] == pytest.approx(theory[4], abs=0.15)
            assert row["exponent"] > 0.2
    onsets = [
        row["gain"] for row in rows(tmp_path / "out", "onset") if row["units"] == 100
    ]
    assert len(onsets) == 2 and all(0.8 < gain < 4 for gain in onsets)


@pytest.mark.parametrize("gain", [0.3, 0.5, 0.9, 1.0])
def test_below_1_the_mean_field_is_that_of_a_linear_network(gain):
    assert stationary_variance(gain) == 0
    assert mean_field(gain) == pytest.approx(np.log(gain), abs=1e-12)


@pytest.mark.parametrize("gain", [1.001, 1.2, 2.0, 5.0, 50.0])
def test_above_1_the_mean_field_solves_its_equations(gain):
    q = stationary_variance(gain)

    def mean(function):  # an adaptive rule, which finds the narrow peak
        def density(z):
            return function(q**0.5 * z) * np.exp(-z * z / 2) / (2 * np.pi) ** 0.5

        peak = [0, *(k / q**0.5 for k in (-3, -1, 1, 3) if abs(k) < 9 * q**0.5)]
        options = {"epsabs": 1e-13, "epsrel": 1e-13, "limit": 500}
        return integrate.quad(density, -9, 9, points=peak, **options)[0]

    assert q > 0
    assert gain**2 * mean(lambda x: np.tanh(x) ** 2) == pytest.approx(q, rel=1e-10)
    slope = mean(lambda x: (1 - np.tanh(x) ** 2) ** 2)
    exponent = np.log(gain**2 * slope) / 2
    assert mean_field(gain) == pytest.approx(exponent, abs=1e-8)
    assert exponent > 0


def test_chaos_begins_where_it_stays():
    def onset(*exponents):
        return chaos_onset([1.0, 2.0, 3.0, 4.0], np.array(exponents))

    low, high = CHAOS - 0.1, CHAOS + 0.1
    assert onset(low, high, low, high) == pytest.approx(3.5)
    assert onset(low, low, low, high + 0.2) == pytest.approx(3.25)
    assert np.isnan(onset(high, high, high, high))
    assert np.isnan(onset(low, high, high, low))


@pytest.mark.slow
def test_the_report_names_networks_without_chaos(run, tmp_path):
    done = run(*TINY, "--gains=0.5,0.6", "--steps=40", "--warmup=10", "--results=out")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "no measured gain in 2 of 2 networks of 20 units" in page


MISTAKES = [
    ("--gains=0.5", "--gains: expected two or more, ascending; got [0.5]"),
    ("--gains=2,1", "--gains: expected two or more, ascending"),
    ("--gains=0,1", "--gains and --spectra: expected gains above 0, up to 50"),
    ("--gains=1,nan", "flag --gains: expected finite numbers; got nan"),
    ("--gains=a", "--gains: expected numbers separated by commas"),
    ("--spectra=51", "--gains and --spectra: expected gains above 0, up to 50"),
    ("--features=0", "--features: expected 1 or more; got [0]"),
    ("--features=20,20", "20 is given twice"),
    ("--warmup=1500", "--warmup: expected fewer than the 1500 steps; got 1500"),
    ("--steps=1", "flag --steps=1: "),
    ("--seeds=-1", "--seeds: expected integers from 0 to 2^32 - 1; got [-1]"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    done = run(*TINY, flag)
    assert done.returncode == 2
    assert done.stderr.startswith("edge_of_chaos: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("results/*/*"))
