"""Padding given by a mask: at the left, in gaps, anywhere."""

from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import INPUTS, TIME, both_ways
from tolerances import assert_close

import nets
import nets.linen
import nets.nnx
from nets.recurrent import BidirectionalParams, BidirectionalState, batch_first

MASK = np.array(
    [
        [1, 1, 1, 1, 1],  # full
        [1, 1, 1, 0, 0],  # right padding
        [0, 0, 1, 1, 1],  # left padding
        [0, 1, 0, 0, 1],  # gaps
        [0, 0, 0, 0, 0],  # nothing
    ],
    bool,
).T
ROWS = MASK.shape[1]
LAYERS = {
    "elman": nets.as_layer(nets.elman()),
    "lstm": nets.as_layer(nets.lstm()),
    "lstm back": nets.as_layer(nets.lstm(), reverse=True),
    "gru back": nets.as_layer(nets.gru(), reverse=True),
    "fast weights": nets.as_layer(cases.FAST_WEIGHTS),
    "bidirectional": nets.bidirectional(nets.gru(), nets.lstm()),
    "stack": nets.stack(
        nets.bidirectional(nets.elman()), nets.gru(), nets.gru(), residual=True
    ),
}


def fill(xs: Any, value: float) -> jax.Array:
    return jnp.where(jnp.asarray(MASK)[..., None], xs, value)


def draw_layer(
    layer: nets.recurrent.RecurrentLayer, batch: int
) -> tuple[Any, jax.Array, Any]:
    """Parameters, inputs and first states."""
    like = jax.eval_shape(lambda key: layer.init(key, INPUTS, 3), jax.random.key(0))
    params = cases.draw(like)
    xs = cases.normal(TIME, batch, INPUTS, seed=1, scale=1.0).astype(jnp.float32)
    state, _ = jax.eval_shape(layer.apply, params, xs)
    return params, xs, cases.draw(state, 2)


def masked(layer, params, xs, state):
    def loss(params, xs, state):
        out = layer.apply(params, xs, state, mask=MASK)
        return cases.total(*out), out

    grads, out = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(
        params, xs, state
    )
    return out, grads


def row_by_row(layer, params, xs, state):
    """Each row's real steps alone, with nothing around them."""

    def loss(params, xs, state):
        ends, outputs = [], []
        for row in range(ROWS):
            (steps,) = np.nonzero(MASK[:, row])
            first = jax.tree.map(lambda s, row=row: s[row], state)
            end, ys = layer.apply(params, xs[steps, row], first)
            ends.append(end)
            outputs.append(jnp.zeros((TIME, ys.shape[-1])).at[steps].set(ys))
        out = jax.tree.map(lambda *rows: jnp.stack(rows), *ends), jnp.stack(outputs, 1)
        return cases.total(*out), out

    grads, out = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(
        params, xs, state
    )
    return out, grads


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_mask_leaves_each_sequences_real_steps(layer):
    """Outputs, states and gradients, with NaN in the padding."""
    params, xs, state = draw_layer(layer, ROWS)
    got = masked(layer, params, fill(xs, np.nan), state)
    # Gradients of up to 4, which are summed in another order.
    rows = row_by_row(layer, params, xs, state)
    chex.assert_trees_all_close(got, rows, rtol=1e-5, atol=5e-6)
    (ends, ys), _ = got
    assert (np.asarray(ys)[~MASK] == 0).all() and (np.asarray(ys)[MASK] != 0).all()
    nothing = jax.tree.map(lambda s: s[-1], ends)
    chex.assert_trees_all_equal(nothing, jax.tree.map(lambda s: s[-1], state))


@both_ways
def test_a_mask_of_lengths_is_lengths(reverse):
    cell = nets.lstm()
    params, xs, first = cases.example(cell, 3)
    lengths = jnp.array([0, 3, TIME])
    run = partial(nets.unroll, cell, params, xs, first, reverse=reverse)
    real = jnp.arange(TIME)[:, None] < lengths[None]
    chex.assert_trees_all_equal(run(mask=real), run(lengths=lengths))


def test_a_mask_of_the_leading_axes():
    cell = nets.gru()
    params, xs, first = cases.example(cell, 2, 3)
    mask = jnp.asarray(MASK[:, 2:4])
    whole = jnp.broadcast_to(mask[..., None], (TIME, 2, 3))
    run = partial(nets.unroll, cell, params, xs, first)
    chex.assert_trees_all_equal(run(mask=mask), run(mask=whole))
    one = jnp.asarray(MASK[:, 2])
    end, ys = run(mask=one)
    assert_close((end, ys[2:]), nets.unroll(cell, params, xs[2:], first))


def test_the_states_of_padded_steps_are_those_that_wait():
    cell = nets.lstm()
    params, xs, first = cases.example(cell, ROWS)
    states, _ = nets.unroll(cell, params, xs, first, mask=MASK, all_states=True)
    for t in range(TIME):
        end, _ = nets.unroll(cell, params, xs[: t + 1], first, mask=MASK[: t + 1])
        assert_close(jax.tree.map(lambda s, t=t: s[t], states), end)


ERRORS = {
    "both": (
        {"mask": MASK, "lengths": jnp.ones(ROWS, int)},
        "expected lengths or a mask; got both",
    ),
    "integers": ({"mask": MASK.astype(int)}, "expected a mask of booleans; got int"),
    "no time": (
        {"mask": MASK[0]},
        r"a mask \[time, \*batch\]: inputs .*shape \[5, 5, 2\], the mask has \[5\]",
    ),
    "another time": ({"mask": MASK[:4]}, r"the mask has \[4, 5\]"),
    "batch in front": ({"mask": MASK[:, :4].T}, r"the mask has \[4, 5\]"),
    "features too": ({"mask": np.ones((5, 5, 2), bool)}, r"mask has \[5, 5, 2\]"),
}


@pytest.mark.parametrize("options, message", ERRORS.values(), ids=ERRORS)
def test_wrong_masks(options, message):
    cell = nets.gru()
    params, xs, _ = cases.example(cell, ROWS)
    if "no time" in message or options["mask"].ndim == 1:
        xs = xs[:4]  # else [5] would be a mask of time alone
        message = message.replace(r"\[5, 5, 2\]", r"\[4, 5, 2\]")
    with pytest.raises(ValueError, match=message):
        nets.unroll(cell, params, xs, **options)


def linen(kind, *args, name, **kwargs):
    def apply(params, xs, **options):
        module = kind(*args, features=3, **kwargs)
        return module.apply({"params": {name: params}}, xs, **options)

    return apply


FACES = {
    "recurrent": (
        nets.as_layer(nets.lstm()),
        linen(nets.linen.Recurrent, nets.lstm(), name="cell"),
        lambda rngs: nets.nnx.Recurrent(nets.lstm(), INPUTS, 3, rngs=rngs),
    ),
    "bidirectional": (
        nets.bidirectional(nets.gru()),
        linen(nets.linen.Bidirectional, nets.gru(), name="cells"),
        lambda rngs: nets.nnx.Bidirectional(nets.gru(), INPUTS, 3, rngs=rngs),
    ),
    "stack": (
        nets.stack(nets.gru(), nets.lstm(), residual=True),
        linen(
            nets.linen.Stack, (nets.gru(), nets.lstm()), name="layers", residual=True
        ),
        lambda rngs: nets.nnx.Stack(
            (nets.gru(), nets.lstm()), INPUTS, 3, residual=True, rngs=rngs
        ),
    ),
}


@pytest.mark.parametrize("all_states", [False, True], ids=["final", "all states"])
@pytest.mark.parametrize("layer, in_linen, in_nnx", FACES.values(), ids=FACES)
def test_both_faces_of_flax_take_masks(layer, in_linen, in_nnx, all_states):
    params, xs, _ = draw_layer(layer, ROWS)
    state, ys = layer.apply(params, xs, mask=MASK, all_states=all_states)
    if all_states:
        state = batch_first(state, 1)
    options = {"mask": MASK.T, "all_states": all_states}
    xs = batch_first(fill(xs, np.nan))
    assert_close(in_linen(params, xs, **options), (state, batch_first(ys)))
    module = in_nnx(nets.nnx.nnx.Rngs(0))
    module.params.set_value(params)
    assert_close(module(xs, **options), (state, batch_first(ys)))


def test_both_directions_wait_at_the_same_steps():
    """The backward cell begins at each sequence's last real step."""
    layer = nets.bidirectional(nets.lstm(), merge=None)
    params, xs, _ = draw_layer(layer, ROWS)
    state, (forward, backward) = layer.apply(params, xs, mask=MASK)
    row, steps = 3, [1, 4]
    assert isinstance(state, BidirectionalState)
    assert isinstance(params, BidirectionalParams)
    _, alone = nets.unroll(
        nets.lstm(), params.backward, xs[jnp.array(steps), row], reverse=True
    )
    assert_close(backward[jnp.array(steps), row], alone)
    assert (forward[jnp.array([0, 2, 3]), row] == 0).all()
