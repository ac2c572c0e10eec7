"""Gradients by the inputs, and attributions that add up."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from side_by_side import optimized_jit

import nets
from nets.flow import input_saliency, integrated_gradients

LENGTHS = (0, 3, TIME)
LAYERS = {
    "lstm": nets.lstm(),
    "fast weights": cases.FAST_WEIGHTS,
    "stack": nets.stack(nets.bidirectional(nets.gru()), nets.elman()),
}
each_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)


def of_layer(layer, *batch):
    """Parameters and inputs, and the layer as a function of them."""
    like = jax.eval_shape(lambda: layer.init(jax.random.key(0), INPUTS, FEATURES))
    if isinstance(layer, nets.Cell):
        layer = nets.as_layer(layer)
    return cases.draw(like), cases.normal(TIME, *batch, INPUTS, seed=1), layer.apply


def squares(state, ys):
    """A loss of each sequence, [batch]."""
    return (ys**2).sum(axis=(0, -1)) + ys[-1].sum(axis=-1)


def loss(state, ys):
    return squares(state, ys).sum()


@each_layer
def test_attributions_of_each_sequence_add_up(layer, x64):
    params, xs, apply = of_layer(layer, 2)
    baseline = 0.1 * cases.normal(INPUTS, seed=2)
    result = jax.jit(partial(integrated_gradients, layer, loss=loss))
    run = jax.jit(lambda params, xs: squares(*apply(params, xs)))
    there = run(params, xs)
    for start in (None, baseline):
        zero = jnp.broadcast_to(0.0 if start is None else start, xs.shape)
        parts = result(params, xs, baseline=start)
        assert parts.shape == xs.shape
        np.testing.assert_allclose(
            parts.sum(axis=(0, 2)),
            there - run(params, zero),
            rtol=0,
            atol=1e-10,
        )


def summing():
    """A cell that adds up its inputs."""

    def step(params, state, x):
        state = state + x
        return state, state

    return nets.Cell(
        lambda key, inputs, features: (), lambda params, x: jnp.zeros(x.shape), step
    )


@pytest.mark.parametrize("points", [1, 4])
def test_attributions_of_a_square_by_hand(points, x64):
    """L = (sum x)^2, whose gradient on the way is linear: one point is exact."""
    xs = jnp.array([1.0, -2.0, 4.0])[:, None]
    start = jnp.array([0.5, 0.0, 1.0])[:, None]
    parts = integrated_gradients(
        summing(),
        (),
        xs,
        lambda state, ys: (state**2).sum(),
        baseline=start,
        points=points,
    )
    expected = np.array([0.5, -2.0, 3.0]) * (3.0 + 1.5)
    np.testing.assert_allclose(parts[:, 0], expected, rtol=1e-14)


def test_saliency_of_a_square_by_hand():
    xs = jnp.array([1.0, -2.0, 4.0])[:, None]
    value, saliency = input_saliency(
        summing(), (), xs, lambda state, ys: (ys[1] ** 2).sum()
    )
    assert value == 1.0
    np.testing.assert_array_equal(saliency[:, 0], [-2.0, -2.0, 0.0])


@each_layer
def test_saliency_equals_finite_differences(layer, x64):
    params, xs, apply = of_layer(layer, 2)
    value, saliency = jax.jit(partial(input_saliency, layer, loss=loss))(params, xs)
    plain = jax.jit(lambda xs: loss(*apply(params, xs)))
    np.testing.assert_allclose(value, plain(xs), rtol=1e-12)
    for t in (0, TIME - 1):
        way = jnp.zeros_like(xs).at[t].set(cases.normal(2, INPUTS, seed=t))
        slope = (plain(xs + 1e-5 * way) - plain(xs - 1e-5 * way)) / 2e-5
        np.testing.assert_allclose((saliency * way).sum(), slope, rtol=1e-7)


@pytest.mark.peers
def test_saliency_equals_torch(x64):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    torch.manual_seed(0)
    module = torch.nn.LSTM(INPUTS, FEATURES, dtype=torch.float64)
    inputs = torch.randn(TIME, 2, INPUTS, dtype=torch.float64, requires_grad=True)
    ys, _ = module(inputs)
    (ys[-1] ** 2).sum().backward()
    w_ih, w_hh, b_ih, b_hh = (
        jnp.asarray(weight.detach().numpy()) for weight in module.all_weights[0]
    )
    by = partial(input_saliency, nets.lstm(), loss=lambda _, ys: (ys[-1] ** 2).sum())
    value, saliency = optimized_jit(by)(
        nets.cells.LSTMParams(w_ih.T, w_hh.T, b_ih + b_hh),
        jnp.asarray(inputs.detach().numpy()),
    )
    assert inputs.grad is not None
    np.testing.assert_allclose(value, (ys[-1] ** 2).sum().item(), rtol=1e-12)
    np.testing.assert_allclose(saliency, inputs.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("layer", [LAYERS["fast weights"], LAYERS["stack"]])
@pytest.mark.parametrize("instrument", ["saliency", "integrated"])
def test_padding_has_none_and_is_not_seen(layer, instrument):
    def measure(xs, lengths=None):
        options = {} if lengths is None else {"lengths": jnp.array(lengths)}
        if instrument == "saliency":
            return input_saliency(layer, params, xs, loss, **options)[1]
        return integrated_gradients(layer, params, xs, loss, points=2, **options)

    def loss(state, ys):  # counts zeros of the padding too
        return cases.total((), ys)

    params, xs, _ = of_layer(layer, len(LENGTHS))
    measured = jax.jit(measure, static_argnames="lengths")
    padded = measured(cases.fill_padding(xs, LENGTHS, np.nan), LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert (padded[length:, row] == 0).all()
    assert (padded[:3, 1] != 0).all()
    alone = measured(xs[:3, 1])
    chex.assert_trees_all_close(padded[:3, 1], alone, rtol=1e-5, atol=1e-6)


def test_a_mask_hides_as_lengths_do():
    params, xs, _ = of_layer(nets.lstm(), 2)
    lengths = jnp.array([3, TIME])
    mask = jnp.arange(TIME)[:, None] < lengths[None]
    by = jax.jit(partial(integrated_gradients, nets.lstm(), loss=loss, points=2))
    chex.assert_trees_all_close(
        by(params, xs, mask=mask), by(params, xs, lengths=lengths)
    )


def test_reverse_and_a_first_state():
    params, xs, first = example(nets.gru(), 2)
    by = partial(input_saliency, nets.gru(), params, loss=cases.total)
    by = jax.jit(by, static_argnames="reverse")
    _, there = by(xs[::-1], state=first)
    _, back = by(xs, state=first, reverse=True)
    chex.assert_trees_all_close(back[::-1], there, rtol=1e-5, atol=1e-6)
    _, other = by(xs, reverse=True)
    assert not jnp.allclose(other, back, atol=1e-3)


@pytest.mark.parametrize("layer", [LAYERS["fast weights"], LAYERS["stack"]])
def test_vmap_over_seeds(layer):
    _, xs, _ = of_layer(layer, 2)

    @jax.jit
    def one(key):
        params = layer.init(key, INPUTS, FEATURES)
        return (
            input_saliency(layer, params, xs, loss),
            integrated_gradients(layer, params, xs, loss, points=2),
        )

    keys = jax.random.split(jax.random.key(0), 2)
    chex.assert_trees_all_close(
        jax.tree.map(lambda a: a[1], jax.vmap(one)(keys)),
        one(keys[1]),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_tree_of_inputs_with_integers():
    """s' = gate s + x, where a gate is a whole number: it stays what it is."""

    def step(params, state, inputs):
        state = inputs["gate"] * state + inputs["x"]
        return state, state

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, inputs: jnp.zeros(inputs["x"].shape),
        step,
    )
    xs = {"gate": jnp.array([7, 2, 3])[:, None], "x": jnp.full((3, 1), 2.0)}

    def end(state, ys):
        return state.sum()

    _, saliency = input_saliency(cell, (), xs, end)
    parts = integrated_gradients(cell, (), xs, end)
    np.testing.assert_array_equal(saliency["x"][:, 0], [6, 3, 1])
    np.testing.assert_allclose(parts["x"][:, 0], [12, 6, 2], rtol=1e-6)
    assert not saliency["gate"].any() and not parts["gate"].any()


def test_bfloat16_stays():
    params, xs, _ = example(nets.lstm(), 2, dtype=jnp.bfloat16)
    parts = integrated_gradients(nets.lstm(), params, xs, cases.total, points=2)
    assert parts.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 0}, "points to be an integer, at least 1; got 0"),
        ({"baseline": jnp.ones(3)}, r"broadcasts to .* \[5, 2, 2\]; got \[3\]"),
        ({"baseline": {"x": jnp.ones(2)}}, "of the structure of the inputs"),
        ({"loss": lambda state, ys: ys}, "expected a loss of one number"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    params, xs, _ = of_layer(nets.lstm(), 2)
    with pytest.raises(ValueError, match=message):
        integrated_gradients(nets.lstm(), params, xs, **{"loss": loss, **options})


def test_tokens_are_refused():
    with pytest.raises(ValueError, match="embed tokens first"):
        input_saliency(summing(), (), jnp.ones((3, 2), int), loss)
