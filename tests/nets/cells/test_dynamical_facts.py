"""Cells from dynamical systems: how they start, and exact facts."""

import math

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from jax.flatten_util import ravel_pytree

import nets
from nets.cells.antisymmetric_rnn import antisymmetric_rnn
from nets.cells.cornn import cornn
from nets.cells.ind_rnn import ind_rnn
from nets.cells.lem import lem
from nets.cells.orthogonal_rnn import orthogonal_rnn
from nets.cells.rhn import RHNParams, RHNState, rhn
from nets.cells.slstm import slstm
from nets.cells.unicornn import unicornn
from nets.tracing.tags import with_tags

BATCH = 2


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


# How they start.


def _draws(cell, inputs=4, features=32, count=8):
    init = jax.jit(lambda key: cell.init(key, inputs, features))
    return jax.tree.map(
        lambda *leaves: np.stack(leaves),
        *(init(jax.random.key(seed)) for seed in range(count)),
    )


def _assert_uniform(draws, low, high):
    """Within the bounds, near them, and of the mean and variance of that width."""
    width, error = high - low, 4 / draws.size**0.5
    assert low <= draws.min() < low + 0.1 * width
    assert high - 0.1 * width < draws.max() <= high
    assert abs(draws.mean() - (low + high) / 2) < error * width / 12**0.5
    assert abs(draws.var() / (width**2 / 12) - 1) < error


def test_ind_rnn_starts_with_memories_of_all_lengths():
    params = _draws(ind_rnn())
    _assert_uniform(params.w_h, 0, 1)
    assert (params.b == 0).all()


@pytest.mark.parametrize("gated", [False, True])
def test_antisymmetric_rnn_starts_as_in_the_paper(gated):
    params = _draws(antisymmetric_rnn(gated=gated, sigma=2.0))
    for w, variance in [(params.w_i, 1 / 4), (params.w_h, 4 / 32)]:
        assert abs(w.mean()) < 4 * (variance / w.size) ** 0.5
        assert abs(w.var() / variance - 1) < 4 * (2 / w.size) ** 0.5
    assert (params.b == 0).all()


def test_cornn_and_lem_start_as_in_the_authors_code():
    for leaf in _draws(cornn()):
        _assert_uniform(leaf, -((4 + 64) ** -0.5), (4 + 64) ** -0.5)
    for leaf in _draws(lem()):
        _assert_uniform(leaf, -(32**-0.5), 32**-0.5)


def test_unicornn_starts_as_in_the_authors_code():
    params = _draws(unicornn())
    # torch.nn.init.kaiming_uniform_(a=8): gain sqrt(2 / 65), bound gain sqrt(3 / fan)
    bound = math.sqrt(2 / 65) * math.sqrt(3 / 4)
    _assert_uniform(params.w_i, -bound, bound)
    _assert_uniform(params.w_h, 0, 1)
    _assert_uniform(params.c, -0.1, 0.1)
    assert (params.b == 0).all()


def test_rhn_starts_by_carrying():
    cell = rhn(depth=3, transform_bias=-4.0)
    params = cell.init(jax.random.key(0), 4, 8)
    np.testing.assert_array_equal(params.b, np.tile(np.repeat([0, -4], 8), (3, 1)))
    blocks = [b for w in params.w_h for b in jnp.split(w, 2, axis=-1)]
    assert len({np.asarray(b).tobytes() for b in blocks}) == 6
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, np.eye(8), atol=1e-5)
    assert (rhn().init(jax.random.key(0), 4, 8).b[:, 8:] == -2).all()


@pytest.mark.parametrize("features", [7, 8])
def test_orthogonal_rnn_starts_by_turning_in_planes(features):
    params = _draws(orthogonal_rnn(negative=0.0), features=features, count=32)
    _assert_uniform(params.w_i, -0.01, 0.01)
    assert (params.b == 0).all()
    angles = []
    for a in params.a:
        turns = np.angle(np.linalg.eigvals(_matrix(jnp.asarray(a), negative=0.0)))
        angles += [turn for turn in turns if turn > 0]
    assert len(angles) == 32 * (features // 2)
    _assert_uniform(np.array(angles), 0, math.pi / 2)


def test_slstm_starts_with_orthogonal_blocks_and_open_forget_gates():
    params = slstm(heads=2).init(jax.random.key(0), 4, 8)
    blocks = [b for w in params.w_h for b in jnp.split(w, 4, axis=-1)]
    assert len({np.asarray(b).tobytes() for b in blocks}) == 8
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, np.eye(4), atol=1e-5)
    np.testing.assert_array_equal(params.b, np.repeat([0, 1, 0, 0], 8))
    lstm = nets.lstm().init(jax.random.key(0), 4, 8)
    one = slstm().init(jax.random.key(0), 4, 8)
    assert one.w_h.shape == (1, *lstm.w_h.shape)


# Exact facts.


def _state_jacobian(cell, params, xs, first):
    """d s_T / d s_0, the state as one vector."""
    vector, unravel = ravel_pytree(first)

    @jax.jit
    def run(vector):
        return ravel_pytree(nets.unroll(cell, params, xs, unravel(vector))[0])[0]

    return np.asarray(jax.jacobian(run)(vector))


def test_unicornn_preserves_volume(x64):
    cell = unicornn()
    params, xs, first = example(cell, time=20, dtype=jnp.float64)
    jacobian = _state_jacobian(cell, params, xs, first)
    assert jacobian.shape == (2 * FEATURES, 2 * FEATURES)
    assert np.linalg.det(jacobian) == pytest.approx(1, abs=1e-9)
    assert abs(jacobian - np.eye(len(jacobian))).max() > 0.5
    y, z = (slice(0, FEATURES), slice(FEATURES, None))
    for rows, columns in [(y, y), (y, z), (z, y), (z, z)]:
        block = jacobian[rows, columns]
        np.testing.assert_array_equal(block, np.diag(np.diag(block)))  # independent


def test_antisymmetric_eigenvalues_lie_on_one_line(x64):
    """By its Jacobian where tanh' = 1: x = 0, h = 0, b = 0."""
    step_size, diffusion = 0.125, 0.25
    cell = antisymmetric_rnn(step_size, diffusion)
    params, xs, first = example(cell, time=1, dtype=jnp.float64)
    params = params._replace(b=jnp.zeros_like(params.b))
    zeros = jax.tree.map(jnp.zeros_like, (xs, first))
    jacobian = _state_jacobian(cell, params, *zeros)
    matrix = (jacobian - np.eye(FEATURES)) / step_size
    eigenvalues = np.linalg.eigvals(matrix)
    np.testing.assert_allclose(eigenvalues.real, -diffusion, atol=1e-12)
    assert abs(eigenvalues.imag).max() > 0.1
    w = params.w_h.T
    expected = w - w.T - diffusion * jnp.eye(FEATURES)
    np.testing.assert_allclose(matrix, expected, atol=1e-12)


def test_antisymmetric_rnn_names_the_form_of_its_parameters():
    plain, gated = antisymmetric_rnn(), antisymmetric_rnn(gated=True)
    for cell, other in [(plain, gated), (gated, plain)]:
        params = cases.draw_params(other)
        with pytest.raises(ValueError, match="got those of gated="):
            cell.initial_state(params, jnp.zeros(INPUTS))


def _matrix(a, negative=0.5):
    """W_h, which the cell does not give away, from a step of unit vectors."""
    cell = orthogonal_rnn(activation=lambda z, b: z, negative=negative)
    n = len(a)
    params = cell.init(jax.random.key(0), 1, n)._replace(a=a)
    state = cell.initial_state(params, jnp.zeros((n, 1), a.dtype))
    state = state._replace(hidden=jnp.eye(n, dtype=a.dtype))
    return cell.step(params, state, jnp.zeros((n, 1), a.dtype))[1].T


@pytest.mark.slow
@pytest.mark.parametrize("dtype, atol", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("negative", [0.0, 0.5, 1.0])
def test_the_matrix_stays_orthogonal_as_it_is_trained(negative, dtype, atol, x64):
    cell = orthogonal_rnn(negative=negative)
    params = cell.init(jax.random.key(0), INPUTS, 8)
    params = jax.tree.map(lambda p: p.astype(dtype), params)
    xs = cases.normal(TIME, 4, INPUTS).astype(dtype)
    grad = jax.jit(jax.grad(lambda p: cases.total(*nets.unroll(cell, p, xs))))
    matrices = []
    for _ in range(3):
        w = np.asarray(_matrix(params.a, negative))
        np.testing.assert_allclose(w.T @ w, np.eye(8), atol=atol)
        assert np.linalg.det(w) == pytest.approx((-1) ** round(8 * negative), abs=1e-4)
        matrices.append(w)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, grad(params))
    assert abs(matrices[0] - matrices[1]).max() > 1e-3
    assert abs(matrices[1] - matrices[2]).max() > 1e-3


def test_an_orthogonal_linear_rnn_keeps_every_gradients_size(x64):
    cell = orthogonal_rnn(activation=lambda z, b: z)
    params, xs, first = example(cell, time=50, dtype=jnp.float64)
    sizes = np.linalg.svd(_state_jacobian(cell, params, xs, first))[1]
    np.testing.assert_allclose(sizes, 1, atol=1e-11)
    # modrelu with b = 0 is the identity, so the cell starts as a linear one.
    cell = orthogonal_rnn()
    start = cell.init(jax.random.key(0), INPUTS, FEATURES)
    start = jax.tree.map(lambda p: p.astype(jnp.float64), start)
    sizes = np.linalg.svd(_state_jacobian(cell, start, xs, first))[1]
    np.testing.assert_allclose(sizes, 1, atol=1e-11)


def test_cornn_without_input_comes_to_rest(x64):
    cell = cornn()
    params, _, first = example(cell, BATCH, dtype=jnp.float64)
    params = jax.tree.map(jnp.zeros_like, params)
    state, ys = cases.run(cell, params, jnp.zeros((2000, BATCH, INPUTS)), first)
    assert abs(ys[0]).max() > 0.1
    assert max(abs(leaf).max() for leaf in state) < 1e-12


def test_lem_with_time_steps_near_0_holds_its_state(x64):
    cell = lem()
    params, xs, first = example(cell, BATCH, dtype=jnp.float64)
    params = params._replace(b=params.b.at[: 2 * FEATURES].set(-100.0))
    state, _ = cases.run(cell, params, xs, first)
    chex.assert_trees_all_close(state, first, atol=1e-12)


def test_lem_with_time_steps_of_1_forgets_at_once(x64):
    cell = lem()
    params, xs, first = example(cell, dtype=jnp.float64)
    params = params._replace(
        b=params.b.at[: 2 * FEATURES].set(100.0), w_h=jnp.zeros_like(params.w_h)
    )
    assert abs(_state_jacobian(cell, params, xs[:1], first)).max() < 1e-12


def test_an_ind_rnn_remembers_by_powers_of_its_own_weight(x64):
    cell = ind_rnn()
    params, xs, first = example(cell, time=6, dtype=jnp.float64)
    params = jax.tree.map(abs, params)  # all units are active
    xs, first = jax.tree.map(lambda a: 1 + abs(a), (xs, first))
    jacobian = _state_jacobian(cell, params, xs, first)
    np.testing.assert_allclose(jacobian, np.diag(params.w_h**6), atol=1e-14)


def test_an_ind_rnn_is_an_elman_with_a_diagonal_matrix():
    params, xs, first = example(ind_rnn(jnp.tanh), BATCH)
    elman = nets.cells.ElmanParams(params.w_i, jnp.diag(params.w_h), params.b)
    ours = cases.run(ind_rnn(jnp.tanh), params, xs, first)
    theirs = cases.run(nets.elman(), elman, xs, nets.cells.ElmanState(first.hidden))
    chex.assert_trees_all_close(ours[1], theirs[1], rtol=1e-6)


def test_rhn_of_depth_1_by_hand():
    params = RHNParams(
        w_i=jnp.array([[1.0, -1.0]]),
        w_h=jnp.array([[[0.5, 2.0]]]),
        b=jnp.array([[0.25, -2.0]]),
    )
    state, y = rhn(1).step(params, RHNState(jnp.array([0.5])), jnp.array([3.0]))
    n, t = math.tanh(3 + 0.25 + 0.25), 1 / (1 + math.exp(3 - 1 + 2))
    assert y.tolist() == pytest.approx([n * t + 0.5 * (1 - t)], rel=1e-6)
    assert (state.hidden == y).all()


def test_rhn_needs_a_layer():
    with pytest.raises(ValueError, match="depth >= 1; got 0"):
        rhn(depth=0)


@pytest.mark.parametrize("heads", [1, 3])
def test_slstm_is_the_recurrence_without_its_stabilizer(heads, x64):
    cell = slstm(heads=heads)
    params, xs, _ = example(cell, BATCH, time=9, dtype=jnp.float64)
    size = FEATURES // heads
    w_i, w_h, b = map(np.asarray, params)
    h = c = n = np.zeros((BATCH, FEATURES))
    expected = []
    for x in np.asarray(xs):
        gates = x @ w_i + b
        for k in range(heads):
            own = h[:, k * size : (k + 1) * size] @ w_h[k]
            for gate in range(4):
                start = gate * FEATURES + k * size
                gates[:, start : start + size] += own[
                    :, gate * size : (gate + 1) * size
                ]
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = _sigmoid(f) * c + np.exp(i) * np.tanh(g)
        n = _sigmoid(f) * n + np.exp(i)
        h = _sigmoid(o) * c / n
        expected.append(h)
    state, ys = cases.run(cell, params, xs)
    np.testing.assert_allclose(ys, expected, rtol=1e-10)
    scale = np.exp(state.stabilizer)
    np.testing.assert_allclose(state.cell * scale, c, rtol=1e-10)
    np.testing.assert_allclose(state.normalizer * scale, n, rtol=1e-10)


def _slstm_kernel(params, state, x, least):
    """NX-AI/xlstm, xlstm/blocks/slstm/src/cuda/slstm_pointwise.cu, of one head.

    With least = 1, the normalizer of NX-AI/flashrnn, flashrnn/vanilla/slstm.py.
    """
    y, c, n, m = state
    w_i, (w_h,), b = params
    iraw, fraw, zraw, oraw = np.split(x @ w_i + y @ w_h + b, 4, axis=-1)
    logfplusm = m + np.log(_sigmoid(fraw))
    m = np.where(n == 0, iraw, np.maximum(iraw, logfplusm))
    igate = np.minimum(1, np.exp(iraw - m))
    fgate = np.minimum(1, np.exp(logfplusm - m))
    c = fgate * c + igate * np.tanh(zraw)
    n = np.maximum(fgate * n + igate, least)
    return (_sigmoid(oraw) * c / n, c, n, m), fgate


@pytest.mark.parametrize("begun", [False, True], ids=["from zeros", "begun"])
def test_slstm_is_the_published_kernels(begun, x64):
    """From zeros the clamp of n is idle; from n below 1, it is not taken."""
    cell = slstm()
    params, xs, first = example(cell, BATCH, time=9, dtype=jnp.float64)
    if begun:  # a unit without memory in a state with memory, and others with little
        n = jnp.abs(first.normalizer).at[:, 0].set(0.0)
        first = first._replace(normalizer=0.1 * n, stabilizer=first.stabilizer + 5)
    else:
        first = cell.initial_state(params, xs[0])
    state, ys = cases.run(cell, params, xs, first)
    first, params, xs = jax.tree.map(np.asarray, (first, params, xs))
    for least in (0.0, 1.0):
        end, expected = first, []
        for x in xs:
            end, _ = _slstm_kernel(params, end, x, least)
            expected.append(end[0])
        clamped = begun and least == 1
        assert np.allclose(ys, expected, rtol=1e-10, atol=0) != clamped
        assert np.allclose(np.stack(state), end, rtol=1e-10, atol=0) != clamped
    assert begun or (state.normalizer >= 1).all()


def test_slstm_forget_gate_is_at_most_1_at_the_first_step(x64):
    """A gate of the published kernel; the exponential alone would be above 1."""
    cell = slstm()
    params, xs, _ = example(cell, BATCH, dtype=jnp.float64)
    params = params._replace(b=params.b.at[:FEATURES].add(-3.0))
    first = cell.initial_state(params, xs[0])
    forget = with_tags(cell.step)(params, first, xs[0])[1][1]
    assert forget[0].name == "forget"
    params, first, x = jax.tree.map(np.asarray, (params, first, xs[0]))
    np.testing.assert_allclose(forget[1], _slstm_kernel(params, first, x, 0.0)[1])
    assert (forget[1] == 1).any()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("f", [-200.0, 200.0])
@pytest.mark.parametrize("i", [-200.0, 200.0])
def test_slstm_stays_finite(i, f, dtype):
    """A unit with i = i, one with i = -i, one that changes from step to step."""
    cell = slstm()
    params, xs, _ = example(cell, BATCH, time=12)
    swing = 200.0 * (-1.0) ** jnp.arange(12)
    xs = xs.at[..., 0].set(swing[:, None])
    w_i = jnp.clip(params.w_i, -0.5, 0.5).at[0].set(0.0).at[0, 2].set(1.0)
    b = params.b.at[:FEATURES].set(jnp.array([i, -i, 0.0]))
    b = b.at[FEATURES : 2 * FEATURES].set(f)
    params = jax.tree.map(lambda p: p.astype(dtype), params._replace(w_i=w_i, b=b))
    xs = xs.astype(dtype)
    first = cell.initial_state(params, xs[0])
    (state, ys), grads = cases.run_and_grad(cell, params, xs, first)
    chex.assert_tree_all_finite(((state, ys), grads[:2]))
    assert abs(ys).max() <= 1 and (state.normalizer >= 1).all()


def test_heads_are_the_blocks_of_one_matrix():
    cell, (heads, size) = slstm(heads=2), (2, 2)
    params = cases.draw(
        jax.eval_shape(lambda: cell.init(jax.random.key(0), INPUTS, heads * size))
    )
    dense = np.zeros((heads, size, 4, heads, size), np.float32)
    for k in range(heads):
        dense[k, :, :, k] = params.w_h[k].reshape(size, 4, size)
    whole = params._replace(w_h=jnp.asarray(dense.reshape(1, heads * size, -1)))
    xs = cases.normal(TIME, BATCH, INPUTS)
    chex.assert_trees_all_close(
        cases.run(cell, params, xs), cases.run(slstm(), whole, xs), rtol=1e-5
    )


@pytest.mark.parametrize("heads", [2, 0])
def test_heads_must_divide_the_features(heads):
    with pytest.raises(ValueError, match=f"divisible by heads; got 3 and {heads}"):
        slstm(heads=heads).init(jax.random.key(0), INPUTS, 3)
