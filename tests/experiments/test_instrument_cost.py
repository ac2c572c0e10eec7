"""The cost of the instruments is measured; its size is not tested."""

from functools import partial

import numpy as np
import pytest
from commands import rows

from experiments.harness.claims import INCONCLUSIVE, REFUTED, SUPPORTED
from experiments.instrument_cost import claims, figures
from experiments.instrument_cost import experiment as instrument_cost
from experiments.instrument_cost.measure import Growth, InstrumentCost, StepCosts


@pytest.fixture
def run(launched):
    return partial(launched, instrument_cost)


TINY = [
    "--cells=elman",
    "--inputs=2",
    "--features=3",
    "--batch_size=2",
    "--time=5",
    "--repeats=3",
    "--spectrum_features=2",
    "--spectrum_time=3",
    "--product_features=2",
    "--product_time=2",
]


@pytest.mark.slow
def test_it_reports_ratios_and_memory_of_one_run(run, tmp_path):
    code, out, err = run(*TINY, "--results=out")
    assert (code, err) == (0, "")
    (step,) = rows(tmp_path / "out", "training step")
    assert len(step["plain"]) == len(step["alone"]) == len(step["recorded"]) == 3
    ratio = min(step["recorded"]) / min(step["plain"])
    np.testing.assert_allclose(step["ratio"], ratio)
    assert f"{ratio:.2f}" in out
    assert 0 < step["plain_bytes"] <= step["recorded_bytes"]
    costs = rows(tmp_path / "out", "instrument")
    assert [(c["instrument"], c["time"], c["features"]) for c in costs] == [
        ("lyapunov_spectrum", 1, 2),
        ("lyapunov_spectrum", 3, 2),
        ("lyapunov_spectrum", 3, 1),
        ("log_singular_values", 1, 2),
        ("log_singular_values", 2, 2),
        ("log_singular_values", 2, 1),
    ]
    assert all(min(cost["seconds"]) > 0 and cost["bytes"] > 0 for cost in costs)
    assert costs[1]["jacobian_bytes"] == 3 * 2 * 2 * 4
    assert (tmp_path / "out" / "instrument_memory.png").exists()
    assert (tmp_path / "out" / "report.html").exists()


def step(recorded):
    """A cell whose plain step takes a second, with some noise."""
    noise = np.array([1.0, 1.01, 0.99])
    return StepCosts("gru", noise, 0.5 * noise, recorded * noise[::-1], 10, 10, 20)


def grown(time_power, features_power, share=0.1):
    """An instrument whose costs are powers of its size."""

    def cost(time, features):
        seconds = time**time_power * features**features_power
        size = int(share * 4 * time * features**2)
        return InstrumentCost("lyapunov_spectrum", features, time, seconds, size)

    times, features = (200, 400, 800), (16, 32, 64)
    costs = [cost(t, 64) for t in times], [cost(800, n) for n in features]
    return Growth(
        *(
            [c._replace(seconds=np.array([c.seconds, 2.0 * c.seconds])) for c in row]
            for row in costs
        )
    )


def test_exponents_are_slopes_of_the_least_times():
    exponents = grown(1, 2.5).exponents()
    assert list(exponents) == [
        "seconds by time",
        "bytes by time",
        "seconds by features",
        "bytes by features",
    ]
    np.testing.assert_allclose(list(exponents.values()), [1, 1, 2.5, 2], atol=1e-3)
    row = claims.growth_table([grown(1, 2.5)]).rows[0]
    assert row[-4:] == ["1.00", "2.50", "1.00", "2.00"]


@pytest.mark.parametrize(
    ("recorded", "outcome"), [(1.05, SUPPORTED), (1.15, INCONCLUSIVE), (1.5, REFUTED)]
)
def test_time_is_claimed_by_an_interval_of_ratios(recorded, outcome):
    claim, *_ = claims.evaluate_claims([step(recorded)], [])
    assert [case.outcome for case in claim.cases] == [SUPPORTED, outcome]


@pytest.mark.parametrize(("share", "outcome"), [(0.1, SUPPORTED), (1.2, REFUTED)])
def test_memory_is_claimed_below_that_of_all_jacobians(share, outcome):
    _, claim = claims.evaluate_claims([step(1.0)], [grown(1, 2, share)])
    assert claim.outcome == outcome
    assert claim.cases[0].value == f"{share:.3g}"


def test_costs_of_tiny_sizes_decide_nothing():
    """Starting a program takes longer than its work, and its buffers are larger."""
    slow = step(1.5)
    fast = slow._replace(
        plain=slow.plain / 1e4, alone=slow.alone / 1e4, recorded=slow.recorded / 1e4
    )
    tiny = InstrumentCost("lyapunov_spectrum", 2, 3, np.array([2e-5] * 3), 4000)
    time, memory = claims.evaluate_claims([fast], [Growth([tiny], [tiny])])
    assert time.outcome == memory.outcome == INCONCLUSIVE
    assert claims.milliseconds(fast.plain) == "0.099, 0.1"


def test_figures_show_every_size_next_to_the_jacobians():
    plots = figures.draw([grown(1, 2)])
    memory = plots["instrument_memory.png"].figure
    by_steps, by_units = memory.axes
    units = np.asarray(by_units.lines[0].get_xdata())
    assert units.tolist() == [16, 32, 64]
    instrument, jacobians = (np.asarray(line.get_ydata()) for line in by_steps.lines)
    assert instrument.shape == jacobians.shape == (3,)
    np.testing.assert_allclose(instrument, 0.1 * jacobians, rtol=1e-4)


def test_a_mistake_is_one_sentence(run, tmp_path):
    code, _, err = run("--cells=lsmt")
    assert code == 2
    assert err.startswith("instrument_cost: unknown cell 'lsmt'")
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("results/*/*"))
