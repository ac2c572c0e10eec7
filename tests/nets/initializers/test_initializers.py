"""Initializers: the distributions of their sources, and exact facts."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax import nnx
from scipy import stats

import nets
from nets import initializers
from nets.initializers import INITIALIZERS

WIDTH_IN, WIDTH, SEEDS = 24, 32, 16
GATES = {"elman": "n", "lstm": "ifgo", "gru": "rzn"}


class Drawn(NamedTuple):
    """Weights of many seeds; b has a row a bias vector: a gate's, then b_hn if any."""

    w_i: np.ndarray  # [seeds, inputs, gates * features]
    w_h: np.ndarray  # [seeds, features, gates * features]
    b: np.ndarray  # [seeds, biases, features]


# How other libraries draw: seed -> (w_i, w_h, b, b_hn), gates in our order, the bias as
# one, with all that is added to it in each step.


def _order(array, theirs, ours):
    """The gates of the last axis in our order."""
    parts = np.split(np.asarray(array), len(theirs), axis=-1)
    return np.concatenate([parts[theirs.index(gate)] for gate in ours], axis=-1)


def _ours(name, init, seed):
    make = partial(nets.gru, False) if init is initializers.haiku else nets.gru
    make = {"elman": nets.elman, "lstm": nets.lstm, "gru": make}[name]
    params = make(init=init).init(jax.random.key(seed), WIDTH_IN, WIDTH)
    return params.w_i, params.w_h, params.b, getattr(params, "b_hn", None)


def _linen(name, seed):
    kinds = {"elman": nn.SimpleCell, "lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}
    cell, x = kinds[name](WIDTH), jnp.zeros(WIDTH_IN)
    carry = (jnp.zeros(WIDTH),) * 2 if name == "lstm" else jnp.zeros(WIDTH)
    tree = cell.init(jax.random.key(seed), carry, x)["params"]
    if name == "elman":
        return tree["i"]["kernel"], tree["h"]["kernel"], tree["i"]["bias"], None
    gates = GATES[name]
    w_i = np.concatenate([tree[f"i{g}"]["kernel"] for g in gates], axis=-1)
    w_h = np.concatenate([tree[f"h{g}"]["kernel"] for g in gates], axis=-1)
    side = "h" if name == "lstm" else "i"
    b = np.concatenate([tree[f"{side}{g}"]["bias"] for g in gates])
    return w_i, w_h, b, tree["hn"]["bias"] if name == "gru" else None


def _nnx(name, seed):
    kinds: Any = {
        "elman": nnx.SimpleCell,
        "lstm": nnx.OptimizedLSTMCell,
        "gru": nnx.GRUCell,
    }
    cell = kinds[name](WIDTH_IN, WIDTH, rngs=nnx.Rngs(seed))
    biased = cell.dense_h if name == "lstm" else cell.dense_i
    b_hn = np.zeros(WIDTH) if name == "gru" else None
    return cell.dense_i.kernel[...], cell.dense_h.kernel[...], biased.bias[...], b_hn


def _keras(name, seed):
    keras.utils.set_random_seed(seed)
    kinds: Any = {
        "elman": keras.layers.SimpleRNN,
        "lstm": keras.layers.LSTM,
        "gru": keras.layers.GRU,
    }
    layer = kinds[name](WIDTH)
    layer.build((None, None, WIDTH_IN))
    w_i, w_h, b = (np.asarray(jnp.asarray(w.value)) for w in layer.weights)
    if name != "gru":
        return w_i, w_h, b, None
    (b_i, b_h), order = b, partial(_order, theirs="zrn", ours="rzn")
    b = order(b_i) + np.where(np.arange(3 * WIDTH) < 2 * WIDTH, order(b_h), 0)
    return order(w_i), order(w_h), b, order(b_h)[2 * WIDTH :]


def _torch(name, seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    kinds = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    layer = kinds[name](WIDTH_IN, WIDTH)
    w_i, w_h, b_i, b_h = (w.detach().numpy().T for w in layer.all_weights[0])
    if name != "gru":
        return w_i, w_h, b_i + b_h, None
    b = np.concatenate([b_i[: 2 * WIDTH] + b_h[: 2 * WIDTH], b_i[2 * WIDTH :]])
    return w_i, w_h, b, b_h[2 * WIDTH :]


def _haiku(name, seed):
    kinds: Any = {"elman": hk.VanillaRNN, "lstm": hk.LSTM, "gru": hk.GRU}

    def step():
        core = kinds[name](WIDTH)
        return core(jnp.zeros(WIDTH_IN), core.initial_state(None))

    tree: Any = hk.transform(step).init(jax.random.key(seed))
    if name == "elman":
        i, h = tree["vanilla_rnn/linear"], tree["vanilla_rnn/linear_1"]
        return i["w"], h["w"], i["b"] + h["b"], None
    if name == "lstm":
        order = partial(_order, theirs="igfo", ours="ifgo")
        w_i, w_h = np.split(order(tree["lstm/linear"]["w"]), [WIDTH_IN])
        forget = np.repeat([0.0, 1.0, 0.0, 0.0], WIDTH)
        return w_i, w_h, order(tree["lstm/linear"]["b"]) + forget, None
    order = partial(_order, theirs="zrn", ours="rzn")
    return *(order(tree["gru"][w]) for w in ("w_i", "w_h", "b")), None


def _equinox(name, seed):
    kinds: Any = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}
    cell = kinds[name](WIDTH_IN, WIDTH, key=jax.random.key(seed))
    b_hn = cell.bias_n if name == "gru" else None
    return cell.weight_ih.T, cell.weight_hh.T, cell.bias, b_hn


SOURCES = {
    "linen": _linen,
    "nnx": _nnx,
    "keras": _keras,
    "torch": _torch,
    "haiku": _haiku,
    "equinox": _equinox,
}
PAIRS = [
    (init, name)
    for init in SOURCES
    for name in GATES
    if (init, name) != ("equinox", "elman")  # Equinox has none
]


def _draws(draw, first):
    """`Drawn`, of SEEDS seeds from `first` on."""
    rows = []
    for seed in range(first, first + SEEDS):
        w_i, w_h, b, b_hn = draw(seed=seed)
        b = [*np.split(np.asarray(b), w_i.shape[-1] // WIDTH)]
        rows.append((w_i, w_h, b if b_hn is None else [*b, b_hn]))
    return Drawn(
        *(np.stack([np.asarray(a) for a in part]) for part in zip(*rows, strict=True))
    )


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def drawn(request):
    """The name of the initializer, and what we and the source draw."""
    init, name = request.param
    theirs = partial(SOURCES[init], name)
    with jax.numpy_rank_promotion("allow"):
        its = _draws(theirs, first=0)
    return init, _draws(partial(_ours, name, INITIALIZERS[init]), first=100), its


def _spectra(w_h):
    """Singular values of each gate's own matrix, [seeds, gates, features]."""
    blocks = np.stack(np.split(w_h, w_h.shape[-1] // WIDTH, axis=-1), axis=1)
    return np.linalg.svd(blocks, compute_uv=False)


def _p_value(mine, its):
    """Of both being of one distribution, by Kolmogorov and Smirnov's test."""
    result: Any = stats.ks_2samp(mine, its)
    return result.pvalue


def test_recurrent_matrices_have_the_sources_singular_values(drawn):
    _, mine, its = drawn
    my, their = _spectra(mine.w_h), _spectra(its.w_h)
    # Of 16 matrices or more, each mean strays by less than 0.005 at one sigma, and each
    # maximum's by less than 0.02.
    assert abs(my.mean() - their.mean()) < 0.02
    assert abs(my.max(-1).mean() - their.max(-1).mean()) < 0.08
    whole, their_whole = (
        np.linalg.svd(w, compute_uv=False) for w in (mine.w_h, its.w_h)
    )
    assert abs(whole.max(-1).mean() - their_whole.max(-1).mean()) < 0.08
    assert abs(whole.min(-1).mean() - their_whole.min(-1).mean()) < 0.08


@pytest.mark.parametrize("part", ["w_i", "w_h"])
def test_weights_are_distributed_as_the_sources(drawn, part):
    """Of 12,000 numbers or more."""
    _, mine, its = drawn
    my, their = getattr(mine, part).ravel(), getattr(its, part).ravel()
    assert my.size == their.size >= 12_000
    assert abs(my.std() / their.std() - 1) < 0.03
    assert abs(my.mean()) < 0.03 * my.std()
    assert abs(stats.kurtosis(my) - stats.kurtosis(their)) < 0.2
    assert _p_value(my, their) > 1e-3
    if part == "w_i" or drawn[0] in ("torch", "haiku", "equinox"):  # bounded densities
        np.testing.assert_allclose(
            [my.min(), my.max()], [their.min(), their.max()], 0.03
        )


def test_biases_are_distributed_as_the_sources(drawn):
    """Gate by gate, of 512 numbers each."""
    init, mine, its = drawn
    if init == "haiku":  # its GRU has no b_hn
        assert mine.b.shape == its.b.shape
    for my, their in zip(*(np.moveaxis(d.b, 1, 0) for d in (mine, its)), strict=True):
        if their.std() == 0:
            np.testing.assert_array_equal(my, their)
            continue
        assert abs(my.mean() - their.mean()) < 0.3 * their.std()
        assert abs(my.std() / their.std() - 1) < 0.15
        np.testing.assert_allclose(
            [my.min(), my.max()], [their.min(), their.max()], 0.2
        )
        assert _p_value(my.ravel(), their.ravel()) > 1e-3


# The table of how initializers compare: H = 128, I = 32.
TABLE = {
    "linen": (1.000, 1.000, -18.6),
    "nnx": (0.436, 0.855, -23.2),
    "keras": (0.435, 0.872, -7.2),
    "torch": (0.488, 1.122, -19.7),
    "equinox": (0.490, 1.139, -19.5),
    "haiku": (0.668, 1.579, -4.9),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_singular_values_of_an_lstms_gates(name):
    """The table is of one seed: the largest of 4 gates strays by 0.02 at one sigma."""
    mean, largest, _ = TABLE[name]
    draws = [
        INITIALIZERS[name](jax.random.key(s), 32, 128, "ifgo").w_h for s in range(3)
    ]
    blocks = np.stack([np.split(np.asarray(w), 4, axis=-1) for w in draws])
    spectra = np.linalg.svd(blocks, compute_uv=False)
    np.testing.assert_allclose(spectra.mean(), mean, atol=0.005)
    np.testing.assert_allclose(spectra.max((1, 2)).mean(), largest, atol=0.05)


@jax.jit
def _log10_norm(params, xs):
    """log10 of the spectral norm of J = d(h, c)_T / d(h, c)_0, by a randomised SVD.

    Q spans the range of J applied to 16 directions at random, and |Q^T J| is |J| but
    for what lies outside, as little as the singular values after the 16th.
    """
    zeros = jnp.zeros(2 * params.w_h.shape[0])

    def last(first):
        state, _ = nets.unroll(
            nets.lstm(), params, xs, nets.cells.LSTMState(*jnp.split(first, 2))
        )
        return jnp.concatenate(state)

    _, push = jax.linearize(last, zeros)
    _, pull = jax.vjp(last, zeros)
    directions = jax.random.normal(jax.random.key(2), (16, len(zeros)))
    q, _ = jnp.linalg.qr(jax.vmap(push)(directions).T)
    (rows,) = jax.vmap(pull)(q.T)
    return jnp.log10(jnp.linalg.norm(rows, 2))


@pytest.mark.slow
def test_the_initializer_decides_how_far_an_lstms_gradient_reaches(x64):
    """float64 reaches down to 1e-308; the table's norms, of one seed, to 1e-23."""
    norms = {}
    for name in TABLE:
        runs = []
        for seed in range(2):
            params = INITIALIZERS[name](jax.random.key(seed), 32, 128, "ifgo")
            params = nets.cells.LSTMParams(
                params.w_i, params.w_h, params.b_i + params.b_h
            )
            xs = jax.random.normal(jax.random.key(10 + seed), (100, 32))
            runs.append(float(_log10_norm(params, xs)))
        norms[name] = np.mean(runs)
        assert abs(norms[name] - TABLE[name][2]) < 2, (name, runs)
    order = sorted(norms, key=lambda name: -norms[name])
    assert order[:3] == ["haiku", "keras", "linen"]
    assert set(order[3:5]) == {"torch", "equinox"} and order[5] == "nnx"
