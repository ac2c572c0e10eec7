"""Spectra of cells and initializers: compared with NumPy, and through the command."""

from functools import partial

import numpy as np
import pytest
from commands import LEAKY, files, rows

import nets
from experiments.harness import starts
from experiments.spectra import claims, figures
from experiments.spectra import experiment as spectra
from experiments.spectra.measure import SpectrumResult, draw_start
from nets import flow, initializers

TINY = ["--features=4", "--inputs=3", "--steps=30", "--warmup=10", "--seeds=0,1"]


@pytest.fixture
def run(launched, tmp_path):
    (tmp_path / "mycells.py").write_text(LEAKY.format(keep=0.9))
    return partial(launched, spectra)


def measured(seed):
    """Jacobians and standard errors of a GRU initialized as in Keras, of TINY sizes."""
    config = spectra.Config(features=4, inputs=3, steps=30, warmup=10)
    cell = nets.gru(init=initializers.keras)
    params, xs = draw_start(cell, seed, config)
    jacobians = flow.step_jacobians(cell, params, xs)[10:]
    errors = flow.lyapunov_spectrum(cell, params, xs, warmup=10).errors
    return np.asarray(jacobians, float), np.asarray(errors)


@pytest.mark.slow
def test_it_finds_the_spectra_of_all_starts(run, tmp_path):
    flags = ["--cells=elman,gru,mycells:leaky", "--inits=own,keras,chrono"]
    code, out, err = run(*TINY, *flags, "--results=out")
    assert (code, err) == (0, "")  # no bar where there is no terminal
    folder = tmp_path / "out"
    names = {"config.json", "metrics.jsonl", "spectra.png", "report.html"}
    assert files(folder) == names
    assert (folder / "spectra.png").read_bytes().startswith(b"\x89PNG")
    spectra_rows = {
        (r["cell"], r["init"], r["seed"]): r for r in rows(folder, "spectrum")
    }
    starts = ["elman orthogonal", "elman keras", "gru orthogonal", "gru keras"]
    starts += ["gru chrono(30)", "mycells:leaky own"]
    assert list(spectra_rows) == [(*s.split(), seed) for s in starts for seed in (0, 1)]

    refused = "Left out: chrono(30) of cell 'elman': expected a cell with a forget gate"
    assert out.splitlines()[-2].startswith(refused)
    page = (folder / "report.html").read_text()
    assert "<h1>Which cells keep a difference of the state" in page
    assert page.count("Left out: ") == 1 and page.count("<img ") == 1

    for seed in (0, 1):
        row = spectra_rows["gru", "keras", seed]
        jacobians, errors = measured(seed)
        total = np.linalg.slogdet(jacobians).logabsdet.mean()
        np.testing.assert_allclose(sum(row["exponents"]), total, rtol=1e-4)
        of_mean = np.sqrt((errors**2).sum(axis=0)) / 2  # over two sequences
        np.testing.assert_allclose(row["errors"], of_mean, rtol=1e-2)
        sigmas = []
        for sequence in range(2):
            product = np.linalg.multi_dot(jacobians[::-1, sequence])
            sigmas.append(np.log(np.linalg.svd(product, compute_uv=False)) / 20)
        np.testing.assert_allclose(
            row["log_singular_values"], np.mean(sigmas, axis=0), atol=1e-4
        )
        assert row["exponents"] == sorted(row["exponents"], reverse=True)
        # The state of the user's cell shrinks by 0.9 in every direction.
        leaky = spectra_rows["mycells:leaky", "own", seed]
        np.testing.assert_allclose(leaky["exponents"], np.log(0.9), atol=1e-5)
        np.testing.assert_allclose(leaky["log_singular_values"], np.log(0.9), atol=1e-5)
    line = next(line for line in out.splitlines() if line.startswith("mycells:leaky"))
    assert " ".join(line.split()[2:]) == (
        "4 -0.1054 ± 0.0000 0.0000 0 -0.105 ± 0.000 0 6.6"
    )


def test_all_is_every_cell_of_vectors():
    names = starts.every(["gru", "all", "mycells:leaky"])
    assert names[0] == "gru" and names[-1] == "mycells:leaky"
    assert set(names[:-1]) == set(nets.CELLS) - {"conv_lstm", "conv_gru"}


def of(cell, init, *largest):
    exponents = np.array(largest)[:, None] - [0.0, 1.0]
    return SpectrumResult(cell, init, exponents, np.zeros_like(exponents), exponents)


CLAIMS = [
    # The largest exponent closest to zero, for every seed.
    ([("lstm", "keras", -0.1, -0.2), ("gru", "own", -0.3, -0.4)], "of lstm (keras): "),
    (
        [("lstm", "keras", -0.1, -0.35), ("gru", "own", -0.3, -0.4)],
        "depends on the seed",
    ),
    ([("gru", "own", 0.3, 0.4), ("lstm", "own", -0.1, -0.2)], "lstm: -0.1500 nats"),
    (
        [("gru", "own", 1e-6, -1e-6), ("lstm", "own", -0.1, -0.2)],
        "largest exponent is 0.000 for gru",
    ),
    ([("gru", "own", np.nan, 0.0), ("lstm", "own", -0.1, -0.2)], "depends on the seed"),
    (
        [("gru", "own", -np.inf, -0.3), ("lstm", "own", -0.1, -0.2)],
        "lstm: -0.1500 nats",
    ),
]


@pytest.mark.parametrize(("results", "claim"), CLAIMS)
def test_findings_hold_for_every_seed(results, claim):
    results = [of(*setting) for setting in results]
    assert claim in claims.closest_to_zero(results)
    undecided = "depends on the seed" in claim
    assert ("seeds do not decide" in claims.answer(results)) == undecided
    claims.table(results).text()
    figures.draw(results, "caption")


def test_the_initializer_matters_if_seeds_do_not_overlap():
    results = [of("gru", "keras", -0.5, -0.6), of("gru", "chrono(9)", -0.1, -0.05)]
    assert "gru: its slowest direction halves in 1.3 steps from keras, in 9.2 " in (
        claims.widest_range(results) or ""
    )
    results[1] = of("gru", "chrono(9)", -0.55, -0.05)
    assert claims.widest_range(results) is None


MISTAKES = [
    ("--cells=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--cells=mycells:nothing", "has no attribute 'nothing'"),
    ("--cells=conv_lstm", "it reads images (spatial_dims = 2)"),
    ("--inits=xavier", "flag --inits: unknown initializer 'xavier'"),
    ("--inits=chrono", "of cell 'elman': expected a cell with a forget gate"),
    ("--warmup=30", "flag --warmup: expected at most 29, below --steps; got 30"),
    ("--warmup=-1", "flag --warmup=-1: -1 is not a non-negative integer"),
    ("--seeds=0,-1", "flag --seeds: expected integers from 0 to 2^32 - 1; got [0, -1]"),
    ("--features=0", "flag --features=0: 0 is not a positive integer"),
    ("--batch_size=0", "flag --batch_size=0: 0 is not a positive integer"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, "--cells=elman", flag, "--results=out")
    assert (code, out) == (2, "")
    assert err.startswith("spectra: ") and sentence in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"mycells.py", "__pycache__"}
