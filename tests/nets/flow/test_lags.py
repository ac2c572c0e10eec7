"""The loss of each step by each state before it."""

from functools import partial
from typing import Any

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from tolerances import assert_equal_float64

import nets
from nets.flow import lag_matrix, state_gradients, zero_perturbations

LENGTHS = (0, 3, TIME)


def losses(ys):
    return jnp.sin(ys).sum(axis=-1)


lags = jax.jit(partial(lag_matrix, losses=losses), static_argnames=("cell", "reverse"))


def whole(layer, params, xs, state=None, **options):
    """dL_t/ds_u of one sequence's or a batch's summed losses, a tree [t, u, ...]."""
    options["perturbations"] = zero_perturbations(layer, params, xs, state, **options)

    def each(perturbations):
        _, ys = layer.apply(
            params, xs, state, **{**options, "perturbations": perturbations}
        )
        return losses(ys).reshape(TIME, -1).sum(axis=1)

    return jax.jit(jax.jacobian(each))(options["perturbations"])


def by_lag(tensor, back=False):
    """ln of the norms of [t, u, batch, ...], at [t, k, batch]."""
    squares = sum(
        (np.abs(leaf) ** 2).reshape(TIME, TIME, leaf.shape[2], -1).sum(axis=-1)
        for leaf in jax.tree.leaves(tensor)
    )
    with np.errstate(divide="ignore"):
        norms = np.log(squares) / 2
    result = np.full(norms.shape, -np.inf)
    for t in range(TIME):
        for k in range(TIME):
            u = t + k if back else t - k
            if 0 <= u < TIME:
                result[t, k] = norms[t, u]
    return result


@cases.both_ways
@pytest.mark.parametrize("name", [*cases.CORE, "lru"])
def test_it_is_the_whole_jacobian_put_in_order(name, reverse, x64):
    cell = cases.CASES[name].cell
    params, xs, state = example(cell, 2)
    result = lags(cell, params, xs, state=state, reverse=reverse)
    tensor = whole(nets.as_layer(cell, reverse), params, xs, state)
    assert_equal_float64(result, by_lag(tensor, reverse))
    for t in range(TIME):
        reachable = TIME - t if reverse else t + 1
        assert jnp.isneginf(result[t, reachable:]).all()
        assert jnp.isfinite(result[t, :reachable]).all()


def test_over_all_steps_they_sum_to_the_state_gradients(x64):
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    tensor = whole(nets.as_layer(cell), params, xs, state)
    _, gradients = state_gradients(
        cell, params, xs, lambda state, ys: losses(ys).sum(), state
    )
    assert_equal_float64(jax.tree.map(lambda leaf: leaf.sum(axis=0), tensor), gradients)


def test_lag_zero_is_the_steps_own_output_alone(x64):
    params, xs, state = example(nets.lstm(), 2)
    _, ys = nets.unroll(nets.lstm(), params, xs, state)
    own = np.log(np.linalg.norm(np.cos(ys), axis=-1))
    assert_equal_float64(lags(nets.lstm(), params, xs, state=state)[:, 0], own)


def test_a_known_decay(x64):
    """s' = s / 2 + x, y = s: every lag halves."""
    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: jnp.zeros(x.shape, x.dtype),
        lambda params, state, x: (0.5 * state + x,) * 2,
    )
    result = lag_matrix(cell, (), jnp.ones((4, 1)), lambda ys: ys[:, 0])
    t, k = np.indices((4, 4))
    assert_equal_float64(result, np.where(k <= t, -k * np.log(2), -np.inf))


def draw_layer(layer):
    like = jax.eval_shape(lambda k: layer.init(k, INPUTS, FEATURES), jax.random.key(0))
    return cases.draw(like, dtype=jnp.float64)


@pytest.mark.slow
def test_layers_by_their_cells_names(x64):
    layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm())
    params, xs = draw_layer(layer), cases.normal(TIME, 2, INPUTS)
    result = lag_matrix(layer, params, xs, losses)
    assert list(result) == ["0.forward", "0.backward", "1"]
    (forward, backward), above = whole(layer, params, xs)
    assert_equal_float64(result["0.forward"], by_lag(forward))
    assert_equal_float64(result["0.backward"], by_lag(backward, back=True))
    assert_equal_float64(result["1"], by_lag(above))


@cases.both_ways
def test_padding_has_no_lags(reverse, x64):
    cell = nets.gru()
    params, xs, state = example(cell, 3)
    filled = cases.fill_padding(xs, LENGTHS, np.nan)
    lengths = jnp.array(LENGTHS)
    result = lags(cell, params, filled, state=state, reverse=reverse, lengths=lengths)
    layer = nets.as_layer(cell, reverse)
    assert_equal_float64(
        result, by_lag(whole(layer, params, xs, state, lengths=lengths), reverse)
    )
    assert jnp.isneginf(result[:, :, 0]).all() and jnp.isneginf(result[3:, :, 1]).all()
    assert jnp.isfinite(result[:, 0, 2]).all()


def test_without_a_batch_and_without_jit(x64):
    params, xs, state = example(nets.gru(), 1)
    alone = lag_matrix(
        nets.gru(), params, xs[:, 0], losses, jax.tree.map(lambda s: s[0], state)
    )
    assert isinstance(alone, jax.Array) and alone.shape == (TIME, TIME)
    assert_equal_float64(alone, lags(nets.gru(), params, xs, state=state)[..., 0])


def test_images(x64):
    cell = nets.conv_gru(kernel_size=(2,))
    params, xs, state = example(cell, 2)
    result = jax.jit(
        lambda: lag_matrix(
            cell, params, xs, lambda ys: jnp.sin(ys).sum(axis=(-2, -1)), state
        )
    )()
    assert_equal_float64(result, by_lag(whole(nets.as_layer(cell), params, xs, state)))


def test_refusals():
    params, xs, _ = example(nets.gru(), 2)
    with pytest.raises(ValueError, match=rf"\[time, \*batch\] of {TIME} steps"):
        lag_matrix(nets.gru(), params, xs, lambda ys: ys[-1].sum(axis=-1))
    layer = nets.stack(nets.gru())
    with pytest.raises(ValueError, match="no `reverse` for a layer"):
        lag_matrix(layer, (params,), xs, losses, reverse=True)


def test_a_state_of_one_number_a_sequence():
    """s' = s / 2 + x: each lag halves what is left."""
    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: jnp.zeros(x.shape[:-1]),
        lambda params, s, x: (0.5 * s + x[..., 0],) * 2,
    )
    lags: Any = lag_matrix(cell, (), jnp.ones((4, 3, 1)), lambda ys: ys)
    halves = np.log(0.5) * np.arange(4)
    np.testing.assert_allclose(lags[3], np.stack([halves] * 3, axis=1), rtol=1e-6)
