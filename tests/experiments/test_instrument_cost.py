"""The cost of the instruments is measured; its size is not tested."""

from functools import partial

import numpy as np
import pytest
from commands import rows

from experiments.instrument_cost import experiment as instrument_cost


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
    "--spectrum_features=4",
    "--spectrum_time=20",
]


@pytest.mark.slow
def test_it_reports_ratios_of_one_run(run, tmp_path):
    code, out, err = run(*TINY, "--results=out")
    assert (code, err) == (0, "")
    (step,), (spectrum,) = (
        rows(tmp_path / "out", kind) for kind in ("training step", "spectrum")
    )
    assert len(step["plain"]) == len(step["recorded"]) == 3
    ratio = min(step["recorded"]) / min(step["plain"])
    np.testing.assert_allclose(step["ratio"], ratio)
    assert f"{ratio:.2f}" in out
    assert min(spectrum["seconds"]) > 0
    assert (tmp_path / "out" / "report.html").exists()


def test_a_mistake_is_one_sentence(run, tmp_path):
    code, _, err = run("--cells=lsmt")
    assert code == 2
    assert err.startswith("instrument_cost: unknown cell 'lsmt'")
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("results/*/*"))
