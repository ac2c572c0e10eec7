"""Ranks that are lost off the axes, and small exponents that are none of it."""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import flow
from nets.flow.ranks import LOST, triangle
from nets.flow.udt import UDT, log_norm, log_sigmas

# A cell whose inputs are its Jacobians, row by row.
GIVEN = nets.Cell(
    lambda key, inputs, features: (),
    lambda params, x: jnp.zeros(x.shape[:-1], x.dtype),
    lambda params, state, x: ((x @ state[..., None])[..., 0],) * 2,
    spatial_dims=1,
)
spectrum = jax.jit(
    lambda cell, params, xs, **how: (
        flow.lyapunov_spectrum(cell, params, xs, **how).exponents
    ),
    static_argnums=0,
    static_argnames=("count", "warmup"),
)
sigmas = jax.jit(partial(flow.log_singular_values, count=None), static_argnums=0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def rotations(*shape, seed=0):
    return np.linalg.qr(normal(*shape, seed=seed))[0]


def relu():
    cell = nets.elman(activation=jax.nn.relu)
    params = cell.init(jax.random.key(0), 3, 16)
    return cell, jax.tree.map(np.asarray, params), normal(6, 3)


def slstm():
    cell = nets.slstm()
    like = jax.eval_shape(lambda: cell.init(jax.random.key(0), 3, 4))
    draw = np.random.default_rng(2)
    params = jax.tree.map(lambda a: draw.standard_normal(a.shape) / 2, like)
    return cell, params, draw.standard_normal((100, 3))


def reservoir():
    rng = np.random.default_rng(1)
    w = rng.standard_normal((20, 20)) * (rng.random((20, 20)) < 0.12)
    w *= 0.95 / np.abs(np.linalg.eigvals(w)).max()
    w_i: Any = rng.uniform(-0.5, 0.5, (1, 20))
    params = nets.cells.ElmanParams(w_i, cast(Any, w), cast(Any, np.zeros(20)))
    return nets.elman(), params, rng.uniform(-1, 1, (60, 1))


def products(matrices):
    return GIVEN, (), matrices


def low_rank():
    """Jacobians of rank 4 of 6, each with a range and a kernel of its own."""
    return products(normal(30, 6, 4) @ normal(30, 4, 6, seed=1))


def nilpotent():
    """A delay line in other coordinates: nothing is left after six steps."""
    mixed = (np.eye(6) + np.eye(6, k=-1)) @ (np.eye(6) + np.eye(6, k=1))
    back = np.linalg.inv(mixed).round()  # of whole numbers, so that nothing is rounded
    return products(np.broadcast_to(mixed @ np.eye(6, k=1) @ back, (30, 6, 6)))


def twins():
    """A column that is another's, in each step."""
    return products(normal(30, 6, 6)[..., [0, 1, 2, 3, 4, 1]])


LOSING = {f.__name__: f for f in (relu, slstm, reservoir, low_rank, nilpotent, twins)}
# Of the product of all Jacobians, by arithmetic of many digits or by construction.
RANKS = {"relu": 7, "slstm": 12, "reservoir": 10}
RANKS |= {"low_rank": 4, "nilpotent": 0, "twins": 5}
SEVERAL = "reservoir", "nilpotent"  # which lose it over several steps


def in_both(make):
    """The cell, with parameters and inputs in float32 and the same in float64."""
    cell, params, xs = make()
    dtypes = jnp.float32, jnp.float64
    return cell, [
        jax.tree.map(lambda a, dtype=dtype: jnp.asarray(a, dtype), (params, xs))
        for dtype in dtypes
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rank"), RANKS.items())
def test_both_dtypes_lose_the_same_directions(name, rank, x64):
    """And as many are known as the product's rank.

    Where it is lost over several steps, the columns carry errors along, and one more
    direction may look as if it had only shrunk; of the delay line in float32 two, on a
    processor without AVX-512. In some steps of an sLSTM directions shrink below the
    resolution of float32: their exponents are too high. But for the second direction,
    both are so for each of eight other starting columns.
    """
    cell, runs = in_both(LOSING[name])
    for measure in (spectrum, lambda *run: sigmas(*run)[-1] / len(run[2])):
        narrow, wide = (np.asarray(measure(cell, *run)) for run in runs)
        if measure is spectrum and name == "relu":  # of six steps, by other columns
            narrow = np.where(np.isfinite(narrow), wide, narrow)
        for result in (narrow, wide):
            assert np.isneginf(result).any() and not np.isnan(result).any()
            rounded = name == "nilpotent" and measure is spectrum and result is narrow
            more = (name in SEVERAL) + rounded
            assert 0 <= np.isfinite(result).sum() - rank <= more
        atol = 1 if name == "slstm" else 0.4
        np.testing.assert_allclose(narrow[:rank], wide[:rank], atol=atol)
    if name == "reservoir":  # what it loses over several steps is known only later
        return
    whole = np.asarray(flow.step_jacobians(cell, *runs[1]))[:6][::-1]
    whole = np.linalg.multi_dot([np.eye(whole.shape[-1]), *whole])
    rank = np.linalg.matrix_rank(whole, tol=1e-14)
    assert np.isfinite(sigmas(cell, *runs[0])[5]).sum() <= rank


def test_what_is_lost_stays_lost():
    matrices = normal(20, 4, 4)
    matrices[5] = normal(4, 3, seed=1) @ normal(3, 4, seed=2)
    result = sigmas(*products(jnp.asarray(matrices, jnp.float32)))
    np.testing.assert_array_equal(np.isneginf(result[:, 3]), np.arange(20) >= 5)
    assert np.isfinite(result[:, :3]).all()


@pytest.mark.parametrize("count", [None, 1, 2])
def test_the_slowest_direction_is_lost_and_the_next_takes_its_place(count):
    """Rates 0, -1, -2 in other coordinates; the first is lost for a step, in the end.

    The columns have turned to their directions by then, so that the first of them is
    all that is annihilated, and the others must not pay for it.
    """
    turn = rotations(3, 3)
    gains = np.exp(np.tile([0.0, -1.0, -2.0], (60, 1)))
    gains[52, 0] = 0
    matrices = jnp.asarray(turn @ (gains[..., None] * turn.T), jnp.float32)
    result = spectrum(*products(matrices), count=count)
    right = [-1, -2, -np.inf] if count is None else [-np.inf, -1]
    right = sorted(right[:count], reverse=True)
    np.testing.assert_allclose(result, right, atol=0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_forget_gate_of_e_to_minus_20_is_no_rounding(dtype, x64):
    """Gates of constants: the state's c decays by sigmoid(b), and h is forgotten."""
    biases = np.array([5.0, 0.0, -20.0])
    b = jnp.asarray(np.concatenate([np.zeros(3), biases, np.zeros(6)]), dtype)
    params = nets.cells.LSTMParams(
        jnp.zeros((1, 12), dtype), jnp.zeros((3, 12), dtype), b
    )
    run = nets.lstm(), params, jnp.zeros((40, 1), dtype)
    right = -np.log1p(np.exp(-biases))
    result = sigmas(*run)[-1]
    assert np.isneginf(result[3:]).all()
    # h' = tanh(c') / 2 has slope 1/2: each column is (1/2, 1) f^T.
    np.testing.assert_allclose(result[:3], 40 * right + np.log(1.25) / 2, rtol=1e-5)
    gates = np.tile(np.diag(np.exp(right)), (100, 1, 1))
    result = spectrum(*products(jnp.asarray(gates, dtype)), warmup=50)
    np.testing.assert_allclose(result, right, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_small_column_is_known_in_the_first_step(steps):
    """J = [[1, 0], [1, e^-20]]: its columns are far apart, its rows are not."""
    matrices = np.tile([[1.0, 0.0], [1.0, np.exp(-20.0)]], (steps, 1, 1))
    result = sigmas(*products(jnp.asarray(matrices, jnp.float32)))
    right = np.log(np.linalg.svd(matrices[0])[1])
    np.testing.assert_allclose(result[0], right, rtol=1e-5)
    if steps > 1:  # which float32 rounds to 0 once it is turned
        assert np.isneginf(result[-1, 1])


@pytest.mark.parametrize("spread", [1.0, 10.0])
def test_what_is_far_apart_along_the_axes_is_kept(spread):
    """Rows of any sizes, in any order, of well-conditioned matrices."""
    size = np.exp(-spread * np.random.default_rng(3).random((40, 6, 1)))
    matrices = size * rotations(40, 6, 6)
    result = spectrum(*products(jnp.asarray(matrices, jnp.float32)))
    assert np.isfinite(result).all()
    exact = np.log(size).sum() / 40
    np.testing.assert_allclose(result.sum(), exact, atol=0.1)


def test_one_that_is_nan_changes_no_other():
    """In transport, in the exponents, and in their gradients."""
    matrices = jnp.asarray(normal(20, 3, 5, 5), jnp.float32)
    matrices = matrices.at[3, 0].set(matrices[3, 0].at[:, 1].set(0))  # one loses rank
    broken = matrices.at[10, 2].set(jnp.nan)
    for measure in (lambda xs: sigmas(GIVEN, (), xs)[-1], partial(spectrum, GIVEN, ())):
        intact, with_nan = measure(matrices), measure(broken)
        np.testing.assert_array_equal(intact[:2], with_nan[:2])
        assert np.isnan(with_nan[2]).all()


def test_lost_directions_have_no_gradient():
    matrices = normal(20, 4, 4)
    matrices[5, :, 2] = matrices[5, :, 1]

    def kept(gain):
        xs = jnp.asarray(matrices, jnp.float32) * gain
        result = flow.lyapunov_spectrum(GIVEN, (), xs).exponents
        return jnp.where(jnp.isneginf(result), 0, result).sum(), result

    slope, result = jax.jit(jax.grad(kept, has_aux=True))(jnp.float32(1))
    assert np.isneginf(result).sum() == 1
    np.testing.assert_allclose(slope, 3, rtol=1e-4)  # ln gain for each of three


def test_directions_lost_in_the_warmup_still_count():
    matrices = normal(40, 4, 4)
    matrices[5] = 0
    run = products(jnp.asarray(matrices, jnp.float32))
    assert np.isneginf(spectrum(*run)).all()
    assert np.isneginf(spectrum(*run, warmup=5)).all()
    assert np.isfinite(spectrum(*run, warmup=6)).all()


def test_columns_that_depend_on_others_come_last():
    """m_0 = 2 m_1 to rounding, and m_2 is free: two are kept, in any order."""
    columns = normal(5, 3)
    columns[:, 0] = 2 * columns[:, 1]
    moved = jnp.asarray(columns, jnp.float32)
    rows = jnp.linalg.norm(moved, axis=-1)
    result = jax.jit(triangle)(moved, rows, None, jnp.arange(3), jnp.zeros(3, int))
    assert result.order.tolist() == [0, 2, 1]
    assert (result.doubts == LOST).tolist() == [False, False, True]
    np.testing.assert_allclose(
        result.q @ result.upper, moved[:, result.order], atol=1e-5
    )


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_largest_alone_is_the_first_of_all(size):
    k = jnp.asarray([[-900.0, 3, -2000, 2, -5][:size], [-jnp.inf] * size])
    w = jnp.asarray(normal(2, size, size), jnp.float32)
    product = UDT(jnp.broadcast_to(jnp.eye(size), w.shape), k, w)
    largest, every = jax.jit(lambda p: (log_norm(p), log_sigmas(p)))(product)
    np.testing.assert_allclose(largest, every[:, :1], rtol=1e-6)


def test_transport_keeps_a_few_steps():
    """Not 2 n^2 numbers a step: 260 MB here."""
    cell = nets.lstm()
    params = cell.init(jax.random.key(0), 4, 64)

    def norms(params):
        return flow.log_singular_values(cell, params, jnp.zeros((2000, 1, 4)))

    result = jax.jit(norms).lower(params).compile().memory_analysis()
    assert result is not None and result.temp_size_in_bytes < 30e6
