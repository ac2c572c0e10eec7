"""Layers on top of each other, merges of two directions, and a first state learned."""

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import INPUTS, TIME, example
from flax import nnx
from tolerances import assert_close

import nets
import nets.linen
import nets.nnx
from nets.recurrent import batch_first

KEY = jax.random.key(3)
XS = cases.normal(TIME, 4, INPUTS, scale=1.0).astype(jnp.float32)
DEEP = nets.stack(nets.bidirectional(nets.lstm()), nets.gru(), nets.gru())


def draw_layer(layer, features=3):
    like = jax.eval_shape(lambda key: layer.init(key, INPUTS, features), KEY)
    return cases.draw(like)


def test_a_stack_is_one_layer_after_another():
    params = draw_layer(DEEP)
    states, ys = DEEP.apply(params, XS)
    first, below = nets.bidirectional(nets.lstm()).apply(params[0], XS)
    second, middle = nets.unroll(nets.gru(), params[1], below)
    third, top = nets.unroll(nets.gru(), params[2], middle)
    chex.assert_trees_all_equal((states, ys), ((first, second, third), top))
    assert params[1].w_i.shape == (6, 9)


def test_given_states_reach_their_layers():
    one_way = nets.stack(nets.lstm(), nets.gru())
    params = draw_layer(one_way)
    states, _ = one_way.apply(params, XS)
    _, second = one_way.apply(params, XS, states)
    _, whole = one_way.apply(params, jnp.concatenate([XS, XS]))
    assert_close(second, whole[TIME:])


def test_residual_connections_where_they_fit():
    layer = nets.stack(nets.gru(), nets.gru(), residual=True)
    params = draw_layer(layer)
    _, below = nets.unroll(nets.gru(), params[0], XS)  # 2 features, then 3
    _, above = nets.unroll(nets.gru(), params[1], below)
    assert_close(layer.apply(params, XS)[1], below + above)
    square = draw_layer(layer, INPUTS)
    _, first = nets.unroll(nets.gru(), square[0], XS)
    _, second = nets.unroll(nets.gru(), square[1], XS + first)
    assert_close(layer.apply(square, XS)[1], XS + first + second)


def test_dropout_is_between_layers():
    echo = nets.linear_cell(  # returns its input
        lambda key, inputs, features: (),
        lambda params, x: jnp.zeros_like(x),
        lambda params, state, xs: (jnp.zeros_like(xs), xs),
        lambda params, state, x: state,
    )
    layer = nets.stack(echo, echo, dropout_rate=0.25)
    xs = jnp.ones((TIME, 40, 20))
    params = layer.init(KEY, 20, 20)
    states, ys = layer.apply(params, xs, key=KEY)
    assert (states[0] == 1).all()  # nothing is dropped in front of the first
    np.testing.assert_allclose(sorted(set(np.unique(ys))), [0, 4 / 3], rtol=1e-6)
    assert abs((ys == 0).mean() - 0.25) < 4 * (0.25 * 0.75 / ys.size) ** 0.5
    assert (ys[0] != ys[1]).any()  # drawn at every step
    chex.assert_trees_all_equal(layer.apply(params, xs, key=KEY), (states, ys))
    assert (layer.apply(params, xs)[1] == 1).all()


@pytest.mark.slow
def test_options_reach_every_layer():
    layer = nets.stack(nets.lstm(), nets.bidirectional(nets.gru()))
    params = draw_layer(layer)
    lengths = jnp.array([0, 2, 3, TIME])
    plain = layer.apply(params, XS, lengths=lengths)
    assert_close(layer.apply(params, XS, lengths=lengths, remat=True), plain)
    assert_close(layer.apply(params, XS, lengths=lengths, truncate=2), plain)
    states, _ = layer.apply(params, XS, lengths=lengths, all_states=True)
    assert states[0].cell.shape == (TIME, 4, 3)
    assert states[1].backward.hidden.shape == (TIME, 4, 3)
    linear = nets.stack(*[AVERAGE] * 2)
    weights = linear.init(KEY, 2, 2)
    assert_close(linear.apply(weights, XS, parallel=True), linear.apply(weights, XS))


AVERAGE = nets.linear_cell(
    lambda key, inputs, features: jnp.full(inputs, 0.5),
    lambda w, x: jnp.zeros_like(x),
    lambda w, state, xs: (jnp.broadcast_to(w, xs.shape), xs),
    lambda w, state, x: state,
)


def test_stacks_of_stacks():
    inner = nets.stack(nets.lstm(), nets.gru())
    layer = nets.stack(inner, nets.elman())
    params = draw_layer(layer)
    flat = nets.stack(nets.lstm(), nets.gru(), nets.elman())
    _, ys = flat.apply((*params[0], params[1]), XS)
    assert_close(layer.apply(params, XS)[1], ys)


def test_equal_calls_return_equal_stacks():
    assert nets.stack(nets.lstm(), nets.gru()) == nets.stack(nets.lstm(), nets.gru())
    assert nets.stack(nets.lstm()) != nets.stack(nets.lstm(), residual=True)


def test_a_wrong_number_of_layers():
    with pytest.raises(ValueError, match="at least one layer to stack; got none"):
        nets.stack()
    params = draw_layer(DEEP)
    with pytest.raises(ValueError, match=r"parameters of 3 layers.*got 2"):
        DEEP.apply(params[:2], XS)
    with pytest.raises(ValueError, match=r"states of 3 layers.*got 1"):
        DEEP.apply(params, XS, (None,))


def test_both_faces_of_flax():
    layers = nets.bidirectional(nets.lstm()), nets.gru()
    layer = nets.stack(*layers, dropout_rate=0.5)
    params, xs = draw_layer(layer), batch_first(XS)
    state, ys = layer.apply(params, XS)
    module = nets.linen.Stack(layers, 3, dropout_rate=0.5)
    variables = {"params": {"layers": params}}
    assert_close(module.apply(variables, xs), (state, batch_first(ys)))
    _, noise = module.apply(variables, xs, rngs={"dropout": KEY})
    assert (noise != batch_first(ys)).any()
    in_nnx = nets.nnx.Stack(layers, INPUTS, 3, dropout_rate=0.5, rngs=nnx.Rngs(0))
    in_nnx.params.set_value(params)
    assert_close(in_nnx(xs), (state, batch_first(ys)))
    expected = layer.apply(params, XS, key=KEY)[1]
    assert_close(in_nnx(xs, key=KEY)[1], batch_first(expected))
    drawn = module.init(jax.random.key(0), xs)["params"]["layers"]
    chex.assert_trees_all_equal_shapes_and_dtypes(drawn, params)


MERGES = {
    "sum": ("sum", lambda f, b: f + b),
    "mean": ("mean", lambda f, b: (f + b) / 2),
    "mul": ("mul", lambda f, b: f * b),
    "concat": ("concat", lambda f, b: np.concatenate([f, b], -1)),
}


@pytest.mark.parametrize("merge, by_hand", MERGES.values(), ids=MERGES)
def test_merges_of_two_directions(merge, by_hand):
    layer = nets.bidirectional(nets.gru(), merge=merge)
    params = draw_layer(layer)
    lengths = jnp.array([0, 2, 3, TIME])
    both = nets.bidirectional(nets.gru(), merge=None)
    _, (forward, backward) = both.apply(params, XS, lengths=lengths)
    _, ys = layer.apply(params, XS, lengths=lengths)
    assert_close(ys, by_hand(np.asarray(forward), np.asarray(backward)))
    assert (ys[:, 0] == 0).all()


LEARNED = nets.learned_state(nets.lstm())


def test_a_learned_state_begins_every_sequence():
    params, xs, _ = example(LEARNED, 4)
    first = jax.tree.map(lambda s: jnp.broadcast_to(s[None], (4, 3)), params.state)
    chex.assert_trees_all_equal(
        nets.unroll(LEARNED, params, xs),
        nets.unroll(nets.lstm(), params.cell, xs, first),
    )
    begun = LEARNED.init(KEY, INPUTS, 3)
    assert (begun.state.hidden == 0).all() and begun.state.cell.shape == (3,)


def test_a_learned_state_has_the_sum_of_its_copies_gradients():
    params, xs, _ = example(LEARNED, 4)
    first = LEARNED.initial_state(params, xs[0])

    def ends(params, state):
        return cases.total(*nets.unroll(LEARNED, params, xs, state))

    gradient = jax.grad(ends)(params, None).state
    copies = jax.grad(ends, argnums=1)(params, first)
    assert_close(gradient, jax.tree.map(lambda g: g.sum(axis=0), copies))


@pytest.mark.parametrize("batch", [(), (2, 3)], ids=str)
def test_a_learned_state_over_any_batch(batch):
    params, xs, _ = example(LEARNED, *batch)
    state = LEARNED.initial_state(params, xs[0])
    assert state.cell.shape == (*batch, 3)
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    state = LEARNED.initial_state(half, xs[0].astype(jnp.bfloat16))
    assert (state.hidden.dtype, state.cell.dtype) == (jnp.bfloat16, jnp.float32)


def test_a_learned_state_in_a_two_directional_stack_and_in_parallel():
    layer = nets.stack(nets.bidirectional(LEARNED), nets.gru())
    params = draw_layer(layer)
    assert params[0].backward.state.cell.shape == (3,)
    assert layer.apply(params, XS)[1].shape == (TIME, 4, 3)
    cell = nets.learned_state(AVERAGE)
    weights = cell.init(KEY, 2, 2)._replace(state=jnp.ones(2))
    assert_close(
        nets.unroll(cell, weights, XS, parallel=True), nets.unroll(cell, weights, XS)
    )


def test_a_layer_that_returns_a_pair_can_only_be_the_top():
    both = nets.bidirectional(nets.gru(), merge=None)
    top = nets.stack(nets.gru(), both, residual=True)
    _, ys = top.apply(draw_layer(top), XS)
    assert isinstance(ys, tuple) and len(ys) == 2
    with pytest.raises(ValueError, match="one array for the next to read; got tuple"):
        nets.stack(both, nets.gru()).init(KEY, INPUTS, 3)


@pytest.mark.parametrize("layer", [DEEP, nets.bidirectional(nets.gru())])
def test_layers_of_several_cells_are_not_reversed(layer):
    with pytest.raises(ValueError, match="expected no `reverse` for a layer"):
        layer.apply(draw_layer(layer), XS, reverse=True)


def test_errors_of_flax_modules_name_their_axes():
    module = nets.linen.Recurrent(nets.gru(), 3)
    xs = batch_first(XS)
    variables = module.init(KEY, xs)
    message = r"mask \[\*batch, time\].*shape \[4, 5, 2\]; got \[5, 4\]"
    with pytest.raises(ValueError, match=message):
        module.apply(variables, xs, mask=jnp.ones((5, 4), bool))


@pytest.mark.parametrize("r_min, r_max", [(0.9, 0.5), (1.0, 1.0), (-0.1, 0.5)])
def test_an_lru_has_a_ring(r_min, r_max):
    with pytest.raises(ValueError, match="0 <= r_min < r_max <= 1"):
        nets.lru(r_min=r_min, r_max=r_max)
    with pytest.raises(ValueError, match="0 < step_min <= step_max"):
        nets.s5(step_min=0.2, step_max=0.1)
