"""Initializers: compared with NumPy, and through the command line."""

from functools import partial

import numpy as np
import pytest
from commands import LEAKY, files, rows

import nets
from experiments.initialization import claims, figures, measure
from experiments.initialization import experiment as initialization
from experiments.initialization.measure import JacobianResult, draw_start
from nets import flow, initializers

TINY = ["--features=4", "--inputs=3", "--steps=30", "--seeds=0,1"]


@pytest.fixture
def run(launched, tmp_path):
    (tmp_path / "mycells.py").write_text(LEAKY.format(keep=0.01))
    return partial(launched, initialization)


@pytest.mark.slow
def test_it_measures_the_norms_of_all_initializers(run, tmp_path):
    flags = ["--cells=lstm,elman,mycells:leaky", "--inits=linen,keras,chrono"]
    code, out, err = run(*TINY, *flags, "--results=out")
    assert (code, err) == (0, "")  # no bar where there is no terminal
    folder = tmp_path / "out"
    names = {"config.json", "metrics.jsonl", "initialization.png", "report.html"}
    assert files(folder) == names
    assert (folder / "initialization.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "<h1>How far does a cell&#39;s gradient reach at the start" in page
    assert "Left out: chrono(30) of cell 'elman': " in out
    assert page.count("Left out: ") == 1 and page.count("<img ") == 1

    drawn = {(r["cell"], r["init"]): r for r in rows(folder, "init")}
    starts = ["lstm linen", "lstm keras", "lstm chrono(30)", "elman linen"]
    starts += ["elman keras", "mycells:leaky own"]
    assert list(drawn) == [tuple(start.split()) for start in starts]
    for cell in ("lstm", "elman"):  # orthogonal gate by gate
        values = [drawn[cell, "linen"][f"singular_{name}"] for name in ("mean", "max")]
        np.testing.assert_allclose(values, 1, atol=1e-5)
    assert drawn["lstm", "keras"]["singular_max"] < 1  # orthogonal as one
    assert [drawn["lstm", init]["bias"] for init in ("linen", "keras")] == [0, 1]
    assert drawn["elman", "keras"]["bias"] is None
    assert drawn["mycells:leaky", "own"]["singular_mean"] is None
    assert all(row["known"] is None for row in drawn.values())  # of other sizes

    norms = {(r["cell"], r["init"], r["seed"]): r for r in rows(folder, "norm")}
    config = initialization.Config(features=4, inputs=3, steps=30)
    cell = nets.lstm(init=initializers.keras)
    for seed in (0, 1):
        row = norms["lstm", "keras", seed]
        params, xs = draw_start(cell, seed, config)
        jacobians = np.asarray(flow.step_jacobians(cell, params, xs), float)
        product, expected = np.eye(8), []
        for jacobian in jacobians:
            product = jacobian @ product
            expected.append(np.log10(np.linalg.svd(product, compute_uv=False)[0]))
        at = np.array(row["times"]) - 1
        assert at[-1] == 29
        np.testing.assert_allclose(
            row["log10_norms"], np.array(expected)[at], atol=1e-4
        )
        # The user's cell retains a hundredth per step: soon below float32.
        leaky = norms["mycells:leaky", "own", seed]
        np.testing.assert_allclose(leaky["log10_norms"], -2.0 * (at + 1), atol=1e-4)


@pytest.mark.slow
def test_norms_below_float32_equal_the_log_singular_values():
    config = initialization.Config(features=4, inputs=3, steps=200)
    cell = nets.elman(init=initializers.torch)
    params, xs = draw_start(cell, 0, config)
    norms = measure.make_log10_norms(cell, np.array([1, 200]))(params, xs)
    expected = flow.log_singular_values(cell, params, xs)[
        np.array([0, 199]), 0
    ] / np.log(10)
    assert expected[-1] < -40
    np.testing.assert_allclose(norms, expected, rtol=1e-4)


@pytest.mark.slow
def test_earlier_measurements_are_reported(run, tmp_path, monkeypatch):
    sizes = {"features": 4, "inputs": 3, "steps": 5}
    monkeypatch.setattr(measure, "KNOWN_FOR", sizes)
    flags = ["--cells=lstm,gru", "--inits=haiku,nnx", "--steps=5", "--results=out"]
    code, out, _ = run(*TINY, *flags)
    assert code == 0
    known = [row["known"] for row in rows(tmp_path / "out", "init")]
    assert known == [-4.9, -23.2, None, None]  # of the lstm only
    assert "Mean over seeds minus the earlier seed, in log10: haiku +" in out


def of(init, known, *last):
    norms = np.array(last)[:, None] * [0.5, 1.0]
    return JacobianResult(
        "lstm", init, np.array([50, 100]), norms, (1.0, 1.0), 1.0, known
    )


CLAIMS = [
    ([of("a", -5.0, -4.0, -6.0), of("b", -9.0, -8.0, -9.0)], "agrees with that of one"),
    ([of("b", -9.0, -8.0, -9.0), of("a", -5.0, -4.0, -6.0)], "one seed, a > b."),
    ([of("a", -5.0, -8.0, -9.0), of("b", -9.0, -4.0, -6.0)], "reversed: a and b."),
    ([of("a", -5.0, -4.0, -9.0), of("b", -9.0, -8.0, -9.0)], "undecided: a "),
    ([of("a", -5.0, -4.0, -9.0)], "seed, in log10: a -1.5."),
]


@pytest.mark.parametrize(("known", "words"), CLAIMS)
def test_the_claim_holds_for_every_seed(known, words):
    assert words in " ".join(claims.compare_with_one_seed(known))


TITLES = [
    ([of("a", None, -4.0, -6.0), of("b", None, -8.0, -9.0)], "1e-8.5 from b, of 1e-5"),
    (
        [of("a", None, -4.0, -6.0), of("b", None, -5.0, -9.0)],
        "depends as much on the seed",
    ),
    ([of("a", None, -4.0, -6.0), of("b", None, -8.0, -np.inf)], "a norm of 0 from b"),
    ([of("a", None, -4.0)], "has a norm of 1e-4.0"),
]


@pytest.mark.parametrize(("results", "words"), TITLES)
def test_the_title_holds_for_every_seed(results, words):
    assert words in claims.title(results)
    by_seed = "on the seed" in words
    assert ("on the seed" in claims.answer(results)) == by_seed
    claims.table(results).text()
    figures.draw(results, "caption")


MISTAKES = [
    ("--cells=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--cells=mycells:nothing", "has no attribute 'nothing'"),
    ("--inits=xavier", "flag --inits: unknown initializer 'xavier'"),
    ("--inits=chrono(1)", "'chrono(1)' has no number of steps above 2"),
    ("--inits=chrono", "of cell 'elman': expected a cell with a forget gate"),
    ("--steps=0", "flag --steps=0: 0 is not a positive integer"),
    ("--seeds=0,-1", "flag --seeds: expected integers from 0 to 2^32 - 1; got [0, -1]"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, "--cells=elman", flag, "--results=out")
    assert (code, out) == (2, "")
    assert err.startswith("initialization: ") and sentence in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"mycells.py", "__pycache__"}
