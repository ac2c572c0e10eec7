"""The Jacobian of every step, against other ways to differentiate."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, each_cell, example
from jax.flatten_util import ravel_pytree
from tolerances import assert_equal_float64

import nets
from nets.flow import state_gradients, step_jacobians
from nets.recurrent.state_vectors import as_state, as_vector

LENGTHS = (0, 3, TIME)
jacobians = jax.jit(step_jacobians, static_argnames=("cell", "reverse"))


def real_parts(state):
    """Complex entries as a pair of all real parts and all imaginary ones."""
    return [
        part
        for leaf in jax.tree.leaves(state)
        for part in ((leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,))
    ]


def vector(state):
    return ravel_pytree(real_parts(state))[0]


def back(flat, like):
    """The state of a vector, one sequence's."""
    parts = iter(ravel_pytree(real_parts(like))[1](flat))

    def leaf(a):
        return next(parts) + 1j * next(parts) if jnp.iscomplexobj(a) else next(parts)

    return jax.tree.map(leaf, like)


def by_reverse_mode(cell, params, xs, state):
    """One sequence: every step's Jacobian by jacrev, along the run."""
    result = []
    for x in xs:

        def step(flat, x=x, state=state):
            return vector(cell.step(params, back(flat, state), x)[0])

        result.append(jax.jacrev(step)(vector(state)))
        state, _ = cell.step(params, state, x)
    return jnp.stack(result)


@cases.each_kind
def test_jacobians_are_those_of_reverse_mode(cell, x64):
    params, xs, state = example(cell, time=2)
    result = jacobians(cell, params, xs, state)
    slow = jax.jit(partial(by_reverse_mode, cell))
    assert_equal_float64(result, slow(params, xs, state))
    assert result.dtype == jnp.float64


@cases.each_core
def test_jacobians_are_finite_differences(cell, x64):
    params, xs, state = example(cell, time=2)
    result, small = jacobians(cell, params, xs, state)[0], 1e-6
    flat = vector(state)
    step = jax.jit(lambda v: vector(cell.step(params, back(v, state), xs[0])[0]))
    rows = [
        (step(flat + small * e) - step(flat - small * e)) / (2 * small)
        for e in jnp.eye(len(flat))
    ]
    np.testing.assert_allclose(result, np.stack(rows, axis=1), atol=1e-8)


@pytest.mark.parametrize("name", ["lstm", "fast weights", "lru", "conv_gru"])
def test_batch_axes(name, x64):
    """None, one and two: a batch is a vmap."""
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2, 3, time=3)
    two = jacobians(cell, params, xs, state)
    one = jacobians(
        cell,
        params,
        xs.reshape(3, 6, *xs.shape[3:]),
        jax.tree.map(lambda s: s.reshape(6, *s.shape[2:]), state),
    )
    assert_equal_float64(two.reshape(one.shape), one)
    mapped = jax.vmap(partial(jacobians, cell, params), in_axes=(1, 0), out_axes=1)
    alone = mapped(xs[:, 1], jax.tree.map(lambda s: s[1], state))
    assert_equal_float64(two[:, 1], alone)


@pytest.mark.parametrize("name", ["lstm", "fast weights", "conv_lstm"])
def test_padding_is_the_identity_and_is_not_seen(name, x64):
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, len(LENGTHS))
    filled = cases.fill_padding(xs, LENGTHS, np.nan)
    result = jacobians(cell, params, filled, state, lengths=jnp.array(LENGTHS))
    plain = jacobians(cell, params, xs, state)
    eye = np.eye(result.shape[-1])
    for row, length in enumerate(LENGTHS):
        assert_equal_float64(result[:length, row], plain[:length, row])
        assert_equal_float64(
            result[length:, row], np.broadcast_to(eye, result[length:, row].shape)
        )


def test_a_mask_leaves_out_steps_in_between(x64):
    cell = nets.gru()
    params, xs, state = example(cell, 2)
    mask = np.ones((TIME, 2), bool)
    mask[[0, 2], 0] = False
    filled = jnp.where(mask[..., None], xs, np.nan)
    result = jacobians(cell, params, filled, state, mask=mask)
    first = jax.tree.map(lambda s: s[0], state)
    assert_equal_float64(
        result[mask[:, 0], 0], jacobians(cell, params, xs[mask[:, 0], 0], first)
    )
    assert_equal_float64(result[0, 0], np.eye(FEATURES))


def test_reverse_is_the_flip(x64):
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    flipped = jacobians(cell, params, xs[::-1], state)[::-1]
    assert_equal_float64(jacobians(cell, params, xs, state, reverse=True), flipped)


def test_reverse_with_padding_begins_at_each_sequences_end(x64):
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    lengths = jnp.array([2, 4])
    result = jacobians(cell, params, xs, state, lengths=lengths, reverse=True)
    first = jax.tree.map(lambda s: s[0], state)
    assert_equal_float64(
        result[:2, 0], jacobians(cell, params, xs[:2, 0], first, reverse=True)
    )
    assert_equal_float64(
        result[2:, 0], np.broadcast_to(np.eye(2 * FEATURES), (3, 6, 6))
    )


def test_jit_changes_nothing():
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    chex.assert_trees_all_close(
        jacobians(cell, params, xs, state),
        step_jacobians(cell, params, xs, state),
        rtol=1e-5,
        atol=1e-6,
    )


def test_vmap_over_seeds(x64):
    cell = nets.lstm()
    runs = [example(cell, 2, seed=seed) for seed in (0, 10)]
    params = jax.tree.map(lambda *ps: jnp.stack(ps), *[run.params for run in runs])
    xs = runs[0].xs
    result = jax.vmap(lambda p: jacobians(cell, p, xs))(params)
    assert_equal_float64(
        result, jnp.stack([jacobians(cell, run.params, xs) for run in runs])
    )


def test_no_steps_no_jacobians():
    cell = nets.lstm()
    params, _, _ = example(cell)
    assert step_jacobians(cell, params, jnp.zeros((0, 5, INPUTS))).shape == (0, 5, 6, 6)


@pytest.mark.slow
def test_every_cell_of_a_layer_sees_its_own_inputs(x64):
    both = nets.bidirectional(nets.lstm(), nets.gru())
    layer = nets.stack(both, nets.elman(), residual=True)
    params = cases.draw(
        jax.eval_shape(lambda k: layer.init(k, INPUTS, FEATURES), jax.random.key(0)),
        dtype=jnp.float64,
    )
    xs, lengths = cases.normal(TIME, 3, INPUTS), jnp.array(LENGTHS)
    below, above = jacobians(layer, params, xs, lengths=lengths)
    low = params[0]
    assert_equal_float64(
        below.forward, jacobians(nets.lstm(), low.forward, xs, lengths=lengths)
    )
    assert_equal_float64(
        below.backward,
        jacobians(nets.gru(), low.backward, xs, lengths=lengths, reverse=True),
    )
    _, ys = both.apply(low, xs, lengths=lengths)
    assert_equal_float64(above, jacobians(nets.elman(), params[1], ys, lengths=lengths))


def test_a_layer_as_a_whole_is_not_reversed():
    layer = nets.stack(nets.gru(), nets.gru())
    params = layer.init(jax.random.key(0), INPUTS, FEATURES)
    with pytest.raises(ValueError, match="no `reverse` for a layer"):
        step_jacobians(layer, params, jnp.ones((TIME, INPUTS)), reverse=True)


def test_one_cell_as_a_layer_may_be_reversed(x64):
    cell = nets.gru()
    params, xs, state = example(cell)
    result = jacobians(nets.as_layer(cell, True), params, xs, state)
    assert_equal_float64(result, jacobians(cell, params, xs, state, reverse=True))
    again = jacobians(nets.as_layer(cell), params, xs, state, reverse=True)
    assert_equal_float64(result, again)


def test_a_counter_is_no_coordinate():
    def step(params, state, x):
        h, count = state
        return (0.5 * h + x * count, count + 1), h

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: (jnp.zeros(x.shape), jnp.ones(x.shape, int)),
        step,
    )
    result = step_jacobians(cell, (), jnp.ones((4, 3, 2)))
    np.testing.assert_array_equal(
        result, np.broadcast_to(0.5 * np.eye(2), (4, 3, 2, 2))
    )


def test_inputs_may_be_tokens(x64):
    """Integers [time, *batch], which the cell looks up."""
    elman = nets.elman()
    params, _, _ = example(elman)
    table = cases.normal(7, INPUTS)
    cell = nets.Cell(
        elman.init,
        lambda params, x: nets.cells.ElmanState(jnp.zeros((*x.shape, FEATURES))),
        lambda params, state, x: elman.step(params, state, table[x]),
    )
    tokens = jnp.array([[0, 3], [6, 6], [1, 2]])
    result = jacobians(cell, params, tokens, lengths=jnp.array([3, 1]))
    plain = jacobians(elman, params, table[tokens], lengths=jnp.array([3, 1]))
    assert_equal_float64(result, plain)


def test_inputs_may_be_a_tree():
    def step(params, state, inputs):
        state = inputs["gate"] * state + inputs["x"]
        return state, state

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, inputs: jnp.zeros(inputs["x"].shape),
        step,
    )
    gates = jnp.array([2.0, 3.0, 5.0])[:, None]
    result = step_jacobians(cell, (), {"gate": gates, "x": jnp.ones((3, 1))})
    np.testing.assert_array_equal(result[:, 0, 0], gates[:, 0])


def rows(gradients):
    """dL/d of a state as real vectors: JAX's is dL/da - i dL/db by z = a + ib."""
    return as_vector(jax.tree.map(jnp.conj, gradients), 2)


def of_the_end(state, ys):
    return jnp.stack([jnp.sin(part).sum() for part in real_parts(state)]).sum()


@pytest.mark.parametrize("name", ["lstm", "fast weights", "lru"])
@cases.both_ways
def test_they_carry_the_gradient_of_a_loss_of_the_end(name, reverse, x64):
    """g_{t-1} = J_t^T g_t, exactly."""
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, len(LENGTHS))
    options = {"reverse": reverse, "lengths": jnp.array(LENGTHS)}
    g = rows(state_gradients(cell, params, xs, of_the_end, state, **options)[1])
    j = jacobians(cell, params, xs, state, **options)
    carried = jnp.einsum("tbij,tbi->tbj", j, g)
    before = carried[:-1] if reverse else carried[1:]
    after = g[1:] if reverse else g[:-1]
    for row, length in enumerate(LENGTHS):
        real = slice(0, max(length - 1, 0))
        assert_equal_float64(before[real, row], after[real, row])
        assert not length or bool((g[:length, row] != 0).any())


@pytest.mark.parametrize("name", ["lstm", "elman"])
def test_with_outputs_each_step_adds_its_own_share(name, x64):
    """g_{t-1} = J_t^T g_t + dL/ds_{t-1} by y_{t-1} = h_{t-1} alone."""
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2)
    _, ys = nets.unroll(cell, params, xs, state)
    g = rows(state_gradients(cell, params, xs, cases.total, state)[1])
    j = jacobians(cell, params, xs, state)
    own = jnp.zeros_like(g[1:]).at[..., :FEATURES].set(jnp.cos(ys[:-1]))
    assert_equal_float64(g[:-1], jnp.einsum("tbij,tbi->tbj", j[1:], g[1:]) + own)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_low_precision_is_measured_in_float32(dtype):
    cell = nets.lstm()
    params, xs, state = example(cell, 2, dtype=dtype)
    result = jacobians(cell, params, xs, state)
    assert result.dtype == jnp.float32
    wide = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs, state))
    close = 0.05 if dtype == "bfloat16" else 1e-5
    np.testing.assert_allclose(result, jacobians(cell, *wide), atol=close)


@each_cell
def test_vectors_and_states_are_the_same(cell):
    x = jax.ShapeDtypeStruct((2, *cases.PLACES[cell.spatial_dims], INPUTS), jnp.float32)
    params = cases.draw_params(cell)
    state = cases.draw(jax.eval_shape(cell.initial_state, params, x))
    there_and_back = jax.jit(lambda state: as_state(as_vector(state, 1), state))
    chex.assert_trees_all_equal(there_and_back(state), state)


def test_a_state_of_integers_alone_has_no_jacobian():
    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: jnp.zeros(x.shape, int),
        lambda params, state, x: (state + 1, x),
    )
    with pytest.raises(ValueError, match="real numbers in it"):
        step_jacobians(cell, (), jnp.ones((3, 2)))


@pytest.mark.slow
def test_a_step_with_a_custom_backward_pass(x64):
    """A `custom_vjp` cannot be differentiated forward: then row by row."""
    cell = nets.lstm()
    params, xs, state = example(cell, 2, time=3)

    @jax.custom_vjp
    def own(params, state, x):
        return cell.step(params, state, x)

    def forward(*args):
        return jax.vjp(cell.step, *args)

    own.defvjp(forward, lambda pull, upstream: pull(upstream))
    hidden = cell._replace(step=own)
    assert_equal_float64(
        step_jacobians(hidden, params, xs, state),
        step_jacobians(cell, params, xs, state),
    )
    assert_equal_float64(
        nets.flow.lyapunov_spectrum(hidden, params, xs, state, count=2).exponents,
        nets.flow.lyapunov_spectrum(cell, params, xs, state, count=2).exponents,
    )
