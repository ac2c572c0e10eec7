"""Information in each step: exact facts, the claims, the command from end to end."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import files, rows
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

import nets
from experiments.harness.claims import (
    INCONCLUSIVE,
    PARTLY_SUPPORTED,
    REFUTED,
    SUPPORTED,
)
from experiments.harness.training import losses
from experiments.information import claims, figures, measure
from experiments.information import experiment as information
from experiments.information.measure import (
    TRAINED,
    UNTRAINED,
    WAYS,
    Data,
    InformationResult,
)
from nets import probes
from nets.models import SequenceClassifier
from train.data import digits

TINY = [
    "--features=3",
    "--steps=2",
    "--batch_size=8",
    "--seeds=0,1",
    "--cell=elman",
    "--ridge=0.1",
]
FEW = 60  # digits of each half, so that tests are quick


@pytest.fixture
def run(launched, monkeypatch):
    halves = [digits.Digits(*(a[:FEW] for a in half)) for half in digits.load()]
    monkeypatch.setattr(digits, "load", lambda: halves)
    return partial(launched, information)


@pytest.mark.slow
def test_it_trains_and_reads_out_what_states_know(run, tmp_path, monkeypatch):
    monkeypatch.setattr(information, "POINTS", 3)
    code, out, err = run(*TINY, "--results=out")
    assert (code, err) == (0, "")
    folder = tmp_path / "out"
    figures = {"information.png", "information_rows.png"}
    assert files(folder) == {
        *("config.json", "metrics.jsonl", "checkpoints", "report.html"),
        *figures,
    }
    for name in figures:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert page.count("<img ") == 2 and "in both directions?</h1>" in page

    known = rows(folder, "known")
    assert [(row["when"], row["seed"], row["way"]) for row in known] == [
        (when, seed, way)
        for when in (UNTRAINED, TRAINED)
        for seed in (0, 1)
        for way in WAYS
    ]
    for row in known:
        assert row["times"] == [0, 4, 7]
        assert np.shape(row["rows"]) == (3, 8)
        assert np.shape(row["by_input"]) == (8,)
        assert np.less_equal(row["bits"], np.log2(10)).all()
    # Norms of the two states as one vector.
    for one, other, both in zip(known[::3], known[1::3], known[2::3], strict=True):
        norms = np.exp([one["by_state"], other["by_state"], both["by_state"]])
        assert (norms[2] >= norms[:2].max(axis=0)[None] * 0.999).all()
    assert len(rows(folder, "accuracy")) == 4
    assert rows(folder, "image")[0]["bits"] > 0.5

    # The table, made again of the rows.
    last = [r["bits"][-1] for r in known if (r["when"], r["way"]) == (TRAINED, "both")]
    expected = f"{np.mean(last):.2f} ± {np.std(last, ddof=1):.2f}"
    line = next(line for line in out.splitlines() if line.startswith("both, trained"))
    assert re.split(r"\s{2,}", line)[2] == expected
    judged = rows(folder, "claim")
    assert len(judged) == 4
    assert all(f"{v['text']}: {v['outcome']}. {v['evidence']}" in out for v in judged)


def register(read):
    """A cell whose state is all that it has read, the last in front."""

    def step(params, state, x):
        state = jnp.concatenate([x[..., None, :], state[..., :-1, :]], axis=-2)
        return state, state[..., 0, :]

    return nets.Cell(
        lambda key, inputs, features: jnp.zeros(1),
        lambda params, x: jnp.zeros((*x.shape[:-1], read, x.shape[-1])),
        step,
    )


def some(order="rows", examples=120):
    _, test = digits.load()
    images = test.images[:examples]
    return Data(
        jnp.asarray(digits.as_sequences(images, order)),
        jnp.asarray(images),
        jnp.asarray(test.labels[:examples]),
    )


@pytest.mark.slow
def test_a_perfect_memory_has_the_information_of_its_inputs():
    data = some()
    model = SequenceClassifier(register(8), 8, 10, bidirectional=True)
    params = model.init(jax.random.key(0), data.xs)["params"]
    one, other = measure.states(model, params, data.xs)
    pixels = data.images.reshape(len(data.images), -1)

    def read(state):
        r2 = probes.linear_probe_r2(state, pixels, ridge=1e-6)
        return measure.shares(r2, data.images)

    with threadpool_limits(1, "blas"):
        known = [
            jax.jit(partial(jax.lax.map, read))(s) for s in (one, other, (one, other))
        ]
        known = jax.block_until_ready(known)
    (forward, backward, both) = (np.asarray(rows) for _, rows in known)
    was_read = np.arange(8)[:, None] >= np.arange(8)[None]  # row r, at step t
    assert (forward[was_read] > 0.99).all() and (forward[~was_read] < 0.9).all()
    assert (backward[was_read.T] > 0.99).all() and (backward[~was_read.T] < 0.9).all()
    assert (both > 0.99).all()
    assert claims.spread(np.asarray(known[2][0])) < 0.01
    # The classifier reads what a register gives out: the row that was read last.
    by_input = jax.jit(lambda p: measure.by_input(model, p, data))(params)
    assert np.isfinite(by_input[0]).tolist() == [False] * 7 + [True]
    assert np.isfinite(by_input[1]).tolist() == [True] + [False] * 7


@pytest.mark.slow
def test_states_are_those_of_the_model_and_gradients_those_of_jax():
    data = some(examples=12)
    model = SequenceClassifier(nets.elman(), 4, 10, bidirectional=True)
    params = model.init(jax.random.key(0), data.xs)["params"]
    forward, backward = measure.states(model, params, data.xs)
    _, (one, other) = model.bind({"params": params}).recurrent(data.xs)
    for gradients, expected in ((forward, one), (backward, other)):
        (gradients,) = jax.tree.leaves(gradients)
        np.testing.assert_allclose(gradients, jnp.moveaxis(expected, 1, 0), atol=1e-6)

    def loss(xs):
        outputs = model.apply({"params": params}, xs)
        return losses(jnp.asarray(outputs), data.labels).sum()

    norms = jnp.linalg.norm(jax.grad(loss)(data.xs), axis=-1)  # [examples, time]
    gradients = jax.jit(lambda p: measure.by_input(model, p, data))(params)[2]
    np.testing.assert_allclose(gradients, jnp.median(jnp.log(norms), axis=0), atol=1e-4)


def test_an_lstm_is_read_out_whole():
    data = some(examples=3)
    model = SequenceClassifier(nets.lstm(), 4, 10, bidirectional=True)
    params = model.init(jax.random.key(0), data.xs)["params"]
    _, backward = measure.states(model, params, data.xs)
    assert backward.hidden.shape == backward.cell.shape == (8, 3, 4)


def test_shares_are_those_of_sklearn():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((30, 2, 3)) * [[[1.0, 2.0, 0.0], [3.0, 1.0, 1.0]]]
    read = images + rng.standard_normal(images.shape)
    read[..., 0, 2] = 0
    missed = ((images - read) ** 2).sum(axis=0)
    total = ((images - images.mean(axis=0)[None]) ** 2).sum(axis=0)
    r2 = 1 - missed / np.where(total > 0, total, np.nan)  # one is blank, of nan
    image, of_rows = measure.shares(jnp.asarray(r2.ravel()), jnp.asarray(images))
    scale_features = partial(r2_score, multioutput="variance_weighted")
    flat = images.reshape(30, -1), read.reshape(30, -1)
    np.testing.assert_allclose(image, scale_features(*flat), rtol=1e-5)
    expected = [scale_features(images[:, i], read[:, i]) for i in (0, 1)]
    np.testing.assert_allclose(of_rows, expected, rtol=1e-5)


def test_pixels_are_read_out_at_some_steps_only():
    times = information.probe_times(64)
    assert (times[0], times[-1], len(times)) == (0, 63, information.POINTS)


def known(forward, backward, both, seeds=3, by_input=((0, 1), (1, 0), (1, 1))):
    """Networks whose curves are these, but for a little noise."""
    noise = 1e-3 * np.random.default_rng(0).standard_normal((seeds, 3, 1))
    curves = np.array([forward, backward, both], float)[None] + noise
    gradients = np.array(by_input, float)[None] + noise
    return InformationResult(
        np.full(seeds, 0.9),
        *(curves, curves / 4, curves / 4),
        np.repeat(curves[..., None] / 4, 8, axis=-1),
        *(gradients, gradients),
    )


RISING, FALLING, FLAT = [1, 2, 2.5, 3], [3, 2.5, 2, 1], [3, 2.9, 2.9, 3]
UNEVEN = known(FLAT, FLAT, FLAT, by_input=((1, 1), (1, 0), (0, 2)))
CLAIMS = [  # forward, backward, both, more evenly than one
    (known(RISING, FALLING, FLAT), [SUPPORTED, SUPPORTED, SUPPORTED, SUPPORTED]),
    (known(FALLING, RISING, FLAT), [REFUTED, REFUTED, SUPPORTED, SUPPORTED]),
    (known(RISING, FALLING, RISING), [SUPPORTED, SUPPORTED, REFUTED, SUPPORTED]),
    (
        known([2, 4, 1, 3], FALLING, FLAT),
        [PARTLY_SUPPORTED, SUPPORTED, SUPPORTED, SUPPORTED],
    ),
    (
        known(RISING, FALLING, FLAT, seeds=1),
        [INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE],
    ),
]


@pytest.mark.parametrize(("made", "expected"), CLAIMS)
def test_the_claims(made, expected):
    judged = claims.evaluate_claims({TRAINED: made, UNTRAINED: made})
    assert [claim.outcome for claim in judged] == expected
    assert all(claim.evidence.endswith(".") for claim in judged)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (UNEVEN, UNEVEN, REFUTED),
        (known(FLAT, FLAT, FLAT), UNEVEN, PARTLY_SUPPORTED),
    ],
)
def test_inputs_count_evenly_before_and_after(before, after, expected):
    claim = claims.more_even({UNTRAINED: before, TRAINED: after})
    assert claim.outcome == expected


def test_findings_are_differences_of_seeds():
    before = known([1, 2], [2, 1], [1, 1])
    after = known([1, 3], [3.5, 1], [1, 1])
    learned = claims.learned({UNTRAINED: before, TRAINED: after})
    assert "by +1.25 [+1.25, +1.25] bits of the label, and by +31 [" in learned
    lost = claims.forgotten(known([0, 3, 2], [3, 1, 0], FLAT[:3]))
    assert "contains 12 [12, 12] % of the image's variance less" in lost


TITLES = [
    (known(RISING, FALLING, FLAT), "both together 2.9 to 3.0 at every step"),
    (
        known(RISING, FALLING, [0, 1, 2, 3]),
        "and 3.0 at the last; backward, 3.0 and 1.0",
    ),
    (known(FLAT, FALLING, FLAT), "depends on the seed"),
]


@pytest.mark.parametrize(("made", "words"), TITLES)
def test_the_title_claims_what_holds_for_every_seed(made, words):
    title = figures.title(made)
    assert words in title
    assert ("at every step" in title) == ("at every step" in words)


MISTAKES = [
    ("--cell=lsmt", "unknown cell 'lsmt'; expected one of elman, irnn, "),
    ("--order=columns", "flag --order: expected one of pixels, rows"),
    ("--ridge=0", "flag --ridge=0: 0.0 is not a number of at least 1e-06"),
    ("--seeds=0,-1", "flag --seeds: expected integers from 0 to 2^32 - 1; got [0, -1]"),
    ("--batch_size=61", "--batch_size: expected at most 60, the training digits; got"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*TINY, flag, "--results=out")
    assert (code, out) == (2, "")
    assert err.startswith("information: ") and sentence in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
