"""Deltas in every way of running a cell, and instruments in layers of cells."""

from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, FEATURES, INPUTS, TIME, example
from flax import nnx
from tolerances import assert_close_float64

import nets
import nets.linen
import nets.nnx
from nets.flow import by_cell, per_cell, state_gradients, zero_perturbations
from nets.flow.layers import in_every_cell
from nets.recurrent import batch_first
from nets.recurrent.per_cell import like_states

LENGTHS = (0, 3, TIME)
KEY = jax.random.key(3)
run = jax.jit(
    nets.unroll,
    static_argnames=("cell", "reverse", "remat", "truncate", "all_states", "parallel"),
)


def at(tree, t):
    return jax.tree.map(lambda a: a[t], tree)


def deltas_like(layer, params, xs, state=None, **options):
    return cases.draw(zero_perturbations(layer, params, xs, state, **options), seed=9)


@partial(jax.jit, static_argnums=(0, 5))
def by_hand(name, params, xs, state, perturbations, reverse=False):
    """One step after the other, each state moved before it is read."""
    case: Any = CASES[name]
    states, ys = {}, {}
    for t in range(len(xs))[:: -1 if reverse else 1]:
        state, _ = case.cell.step(params, state, xs[t])
        state = jax.tree.map(jnp.add, state, at(perturbations, t))
        states[t], ys[t] = state, case.read(params, state, xs[t])
    order = range(len(xs))
    states = jax.tree.map(lambda *s: jnp.stack(s), *(states[t] for t in order))
    return states, jnp.stack([ys[t] for t in order])


@cases.both_ways
@pytest.mark.parametrize("name", [*cases.CORE, "lru"])
def test_each_moves_its_state_and_all_that_follows(name, reverse, x64):
    case = CASES[name]
    params, xs, state = example(case.cell, 2)
    perturbations = deltas_like(case.cell, params, xs, state)
    result = run(
        case.cell,
        params,
        xs,
        state,
        perturbations=perturbations,
        reverse=reverse,
        all_states=True,
    )
    assert_close_float64(
        result, by_hand(name, params, xs, state, perturbations, reverse)
    )


@pytest.mark.parametrize(
    "options", [{"remat": True}, {"truncate": 2}, {"remat": True, "truncate": 2}]
)
@cases.both_ways
def test_remat_and_truncation_run_with_the_same_deltas(options, reverse, x64):
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    perturbations = deltas_like(cell, params, xs, state)
    plain = run(cell, params, xs, state, perturbations=perturbations, reverse=reverse)
    other = run(
        cell, params, xs, state, perturbations=perturbations, reverse=reverse, **options
    )
    assert_close_float64(other, plain)


def test_remat_gives_the_same_state_gradients(x64):
    cell = nets.lstm()
    params, xs, state = example(cell, 2)
    plain = state_gradients(cell, params, xs, cases.total, state)
    assert_close_float64(
        state_gradients(cell, params, xs, cases.total, state, remat=True), plain
    )


@cases.both_ways
def test_truncation_stops_the_gradient_at_its_borders(reverse, x64):
    """A loss of the end: nothing in front of the last border."""
    cell = nets.lstm()
    params, xs, state = example(cell, 2, time=6)

    def end(state, ys):
        return cases.total(state, [])

    _, whole = state_gradients(cell, params, xs, end, state, reverse=reverse)
    _, cut = state_gradients(cell, params, xs, end, state, reverse=reverse, truncate=4)
    # Steps 0 to 3 in the order of reading are one chunk, 4 and 5 the last.
    for one, other in zip(jax.tree.leaves(cut), jax.tree.leaves(whole), strict=True):
        one, other = (g[::-1] if reverse else g for g in (one, other))
        assert_close_float64(one[4:], other[4:])
        assert (one[:4] == 0).all() and (other[:4] != 0).any()


def test_with_noise_the_noisy_step_is_moved(x64):
    cell = nets.zoneout(nets.lstm(), hidden=0.3, cell=0.3)
    params, xs, state = example(cell, 2)
    plain = run(cell, params, xs, state, key=KEY, all_states=True)
    zeros = zero_perturbations(cell, params, xs, state)
    assert_close_float64(
        run(cell, params, xs, state, key=KEY, all_states=True, perturbations=zeros),
        plain,
    )
    last = jax.tree.map(lambda z: z.at[-1].set(0.25), zeros)
    states, ys = run(
        cell, params, xs, state, key=KEY, all_states=True, perturbations=last
    )
    assert_close_float64(states, jax.tree.map(lambda s: s.at[-1].add(0.25), plain[0]))
    assert_close_float64(ys, plain[1].at[-1].add(0.25))
    assert any(cases.differ(plain, run(cell, params, xs, state, all_states=True)))


@cases.both_ways
def test_in_padding_nothing_is_moved(reverse, x64):
    cell = nets.gru()
    params, xs, state = example(cell, 3)
    perturbations = deltas_like(cell, params, xs, state)
    filled = cases.fill_padding(xs, LENGTHS, np.nan)
    end, ys = run(
        cell,
        params,
        filled,
        state,
        perturbations=perturbations,
        reverse=reverse,
        lengths=jnp.array(LENGTHS),
    )
    for row, n in enumerate(LENGTHS):
        assert (ys[n:, row] == 0).all()
        cut = jax.tree.map(lambda d, n=n, r=row: d[:n, r], perturbations)
        alone = nets.unroll(
            cell,
            params,
            xs[:n, row],
            at(state, row),
            perturbations=cut,
            reverse=reverse,
        )
        assert_close_float64((at(end, row), ys[:n, row]), alone)


LAYERS = {
    "bidirectional": nets.bidirectional(nets.lstm(), nets.gru()),
    "stack": nets.stack(nets.bidirectional(nets.gru()), nets.lstm(), residual=True),
}


def draw_layer(layer):
    like = jax.eval_shape(lambda key: layer.init(key, INPUTS, FEATURES), KEY)
    return cases.draw(like, dtype=jnp.float64)


def test_in_layers_they_reach_their_cells(x64):
    layer = LAYERS["stack"]
    params, xs = draw_layer(layer), cases.normal(TIME, 2, INPUTS)
    perturbations = deltas_like(layer, params, xs)
    (below, above), ys = jax.jit(layer.apply)(params, xs, perturbations=perturbations)
    low, moves = params[0], perturbations[0]
    forward, y_f = run(nets.gru(), low[0], xs, perturbations=moves.forward)
    backward, y_b = run(
        nets.gru(), low[1], xs, perturbations=moves.backward, reverse=True
    )
    middle = jnp.concatenate([y_f, y_b], axis=-1)
    top, expected = run(nets.lstm(), params[1], middle, perturbations=perturbations[1])
    assert_close_float64(((*below, above), ys), ((forward, backward, top), expected))


def whole_gradient(layer, params, xs, **options):
    """By a random way through all states at once, as a finite difference."""
    zeros = zero_perturbations(layer, params, xs, **options)
    way = cases.draw(zeros, seed=9)

    @jax.jit
    def loss(size):
        perturbations = jax.tree.map(lambda w: size * w, way)
        return cases.total(
            *layer.apply(params, xs, perturbations=perturbations, **options)
        )

    return way, (loss(1e-5) - loss(-1e-5)) / 2e-5


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_state_gradients_of_layers_are_finite_differences(layer, x64):
    params, xs = draw_layer(layer), cases.normal(TIME, 3, INPUTS)
    options = {"lengths": jnp.array(LENGTHS)}
    way, slope = whole_gradient(layer, params, xs, **options)
    _, g = jax.jit(partial(state_gradients, layer, loss=cases.total))(
        params, xs, **options
    )
    pairs = zip(jax.tree.leaves(g), jax.tree.leaves(way), strict=True)
    np.testing.assert_allclose(sum((a * w).sum() for a, w in pairs), slope, rtol=1e-7)


def test_a_lower_layers_gradient_goes_through_the_upper_one(x64):
    """By hand: the lower layer's outputs get dL/dx of the upper one."""
    layer = nets.stack(nets.gru(), nets.lstm())
    params, xs = draw_layer(layer), cases.normal(TIME, 2, INPUTS)

    def loss(state, ys):
        return jnp.sin(ys).sum()

    _, (low, high) = state_gradients(layer, params, xs, loss)
    _, middle = nets.unroll(nets.gru(), params[0], xs)
    upper = partial(nets.unroll, nets.lstm(), params[1])
    pulled = jax.grad(lambda middle: loss(*upper(middle)))(middle)
    _, expected = state_gradients(
        nets.gru(), params[0], xs, lambda state, ys: (ys * pulled).sum()
    )
    assert_close_float64(low, expected)
    assert_close_float64(high, state_gradients(nets.lstm(), params[1], middle, loss)[1])


def modules(layer_name):
    """A pure layer, and the same in Linen and in NNX, given its parameters."""
    rngs = nnx.Rngs(0)
    if layer_name == "reversed cell":
        pure = nets.as_layer(nets.lstm(), True)
        linen = nets.linen.Recurrent(nets.lstm(), FEATURES, reverse=True)
        held = nets.nnx.Recurrent(
            nets.lstm(), INPUTS, FEATURES, reverse=True, rngs=rngs
        )
        return pure, linen, "cell", held
    if layer_name == "image cell":
        cell = nets.conv_gru(kernel_size=(2,))
        linen = nets.linen.Recurrent(cell, FEATURES)
        held = nets.nnx.Recurrent(cell, INPUTS, FEATURES, rngs=rngs)
        return nets.as_layer(cell), linen, "cell", held
    if layer_name == "bidirectional":
        pure = nets.bidirectional(nets.gru())
        linen = nets.linen.Bidirectional(nets.gru(), FEATURES)
        held = nets.nnx.Bidirectional(nets.gru(), INPUTS, FEATURES, rngs=rngs)
        return pure, linen, "cells", held
    layers = nets.bidirectional(nets.gru()), nets.lstm()
    linen = nets.linen.Stack(layers, FEATURES)
    held = nets.nnx.Stack(layers, INPUTS, FEATURES, rngs=rngs)
    return nets.stack(*layers), linen, "layers", held


@pytest.mark.parametrize(
    "name", ["reversed cell", "image cell", "bidirectional", "stack"]
)
def test_in_flax_they_have_the_batch_first(name, x64):
    layer, linen, key, held = modules(name)
    params = draw_layer(layer)
    xs = cases.normal(TIME, 2, *((4,) if layer.spatial_dims else ()), INPUTS)
    perturbations = deltas_like(layer, params, xs)
    states, ys = jax.jit(partial(layer.apply, all_states=True))(
        params, xs, perturbations=perturbations
    )
    expected = batch_first(states, 1), batch_first(ys, 1)
    held.params.set_value(params)
    how = {"perturbations": batch_first(perturbations, 1), "all_states": True}
    turned = batch_first(xs, 1)
    assert_close_float64(
        linen.apply({"params": {key: params}}, turned, **how), expected
    )
    assert_close_float64(held(turned, **how), expected)


def test_deltas_of_wrong_shapes():
    cell = nets.lstm()
    params, xs, _ = example(cell, 2)
    zeros = zero_perturbations(cell, params, xs)
    wrong = [
        jax.tree.map(lambda z: z[:-1], zeros),
        jax.tree.map(lambda z: z[:, :1], zeros),
        zeros._replace(cell=zeros.cell[..., :1]),
        zeros.hidden,
    ]
    for perturbations in wrong:
        with pytest.raises(
            ValueError, match="perturbations like the states of all steps"
        ):
            nets.unroll(cell, params, xs, perturbations=perturbations)
    layer = nets.stack(cell, cell)
    both = (params, cases.draw(jax.eval_shape(lambda k: cell.init(k, 3, 3), KEY)))
    with pytest.raises(ValueError, match=r"perturbations of 2 layers.*got 1"):
        layer.apply(both, xs, perturbations=(zeros,))


def test_deltas_are_not_for_parallel_runs():
    params, xs, _ = example(nets.lru(), 2)
    zeros = zero_perturbations(nets.lru(), params, xs)
    with pytest.raises(ValueError, match="without truncate and perturbations"):
        nets.unroll(nets.lru(), params, xs, perturbations=zeros, parallel=True)
    with pytest.raises(ValueError, match="without truncate and perturbations"):
        state_gradients(nets.lru(), params, xs, cases.total, parallel=True)


def test_zeros_for_a_counter_are_floats():
    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: (jnp.zeros(x.shape), jnp.zeros(x.shape, int)),
        lambda params, state, x: ((0.5 * state[0] + x, state[1] + 1), state[0]),
    )
    h, count = zero_perturbations(cell, (), jnp.ones((4, 3, 1)))
    assert h.shape == count.shape == (4, 3, 1) and count.dtype == jnp.float32
    moved = nets.unroll(cell, (), jnp.ones((4, 3, 1)), perturbations=(h, count + 7))
    chex.assert_trees_all_equal(moved, nets.unroll(cell, (), jnp.ones((4, 3, 1))))


DEEP = nets.stack(nets.stack(nets.gru(), nets.bidirectional(nets.lstm())), nets.elman())


def test_per_cell_yields_each_cell_with_its_inputs():
    params = DEEP.init(KEY, INPUTS, FEATURES)
    xs = cases.normal(TIME, 2, INPUTS).astype(jnp.float32)
    runs = list(per_cell(DEEP, params, xs))
    cells = [nets.gru(), nets.lstm(), nets.lstm(), nets.elman()]
    assert [run.cell for run in runs] == cells
    assert [run.options["reverse"] for run in runs] == [False, False, True, False]
    _, first = nets.unroll(nets.gru(), params[0][0], xs)
    _, second = nets.bidirectional(nets.lstm()).apply(params[0][1], first)
    owns = [params[0][0], *params[0][1], params[1]]
    inputs = [xs, first, first, second]
    for run, own, seen in zip(runs, owns, inputs, strict=True):
        chex.assert_trees_all_equal((run.params, run.xs), (own, seen))
    states, _ = DEEP.apply(params, xs)
    ends = [nets.unroll(*run[:4], **run.options)[0] for run in runs]
    chex.assert_trees_all_equal(like_states(DEEP, ends), states)


def test_residual_and_padding_reach_the_inputs_of_each_cell():
    layer = nets.stack(nets.gru(), nets.gru(), residual=True)
    params = layer.init(KEY, FEATURES, FEATURES)
    xs, lengths = jnp.ones((TIME, 2, FEATURES)), jnp.array([2, TIME])
    below, above = per_cell(layer, params, xs, lengths=lengths)
    assert not below.xs[2:, 0].any() and below.xs[:, 1].all()
    _, ys = nets.unroll(nets.gru(), params[0], xs, lengths=lengths)
    chex.assert_trees_all_equal(above.xs, below.xs + ys)
    with pytest.raises(ValueError, match="no `reverse` for a layer"):
        list(per_cell(layer, params, xs, reverse=True))


def test_cells_are_mapped_in_place():
    held = DEEP.map_cells(nets.flow.highway)
    cells = [run.cell for run in per_cell(held, DEEP.init(KEY, 2, 3), jnp.ones((4, 2)))]
    names = nets.gru(), nets.lstm(), nets.lstm(), nets.elman()
    assert cells == [nets.flow.highway(cell) for cell in names]
    assert DEEP.map_cells(lambda cell: cell) == DEEP
    assert hash(DEEP.map_cells(lambda cell: cell)) == hash(DEEP)


def test_names_of_cells():
    params, xs = DEEP.init(KEY, INPUTS, FEATURES), jnp.ones((TIME, 2, INPUTS))
    states, _ = DEEP.apply(params, xs)
    result = by_cell(DEEP, states)
    assert list(result) == ["0.0", "0.1.forward", "0.1.backward", "1"]
    assert result["0.0"] is states[0][0] and result["1"] is states[1]
    assert isinstance(result["0.1.forward"], nets.cells.LSTMState)
    numbers = jax.tree.map(lambda s: s.sum(), states)
    assert by_cell(DEEP, numbers)["1"].hidden.shape == ()
    assert by_cell(nets.gru(), "anything") == {"": "anything"}
    both = nets.bidirectional(nets.gru())
    state = nets.recurrent.BidirectionalState(1, 2)
    assert by_cell(both, state) == {"forward": 1, "backward": 2}


def test_an_instrument_in_every_cell():
    """Its options reach it; padding and states too."""
    seen = []

    @in_every_cell
    def instrument(cell, params, xs, state=None, *, reverse=False, power=1, **options):
        seen.append((cell, reverse, power, state is None, *options))
        return xs.shape[-1] ** power

    params, xs = DEEP.init(KEY, INPUTS, FEATURES), jnp.ones((TIME, 2, INPUTS))
    result = instrument(DEEP, params, xs, power=2, lengths=jnp.array([3, TIME]))
    assert result == ((4, nets.recurrent.BidirectionalState(9, 9)), 36)
    assert [(cell, back) for cell, back, *_ in seen] == [
        (nets.gru(), False),
        (nets.lstm(), False),
        (nets.lstm(), True),
        (nets.elman(), False),
    ]
    assert all(rest == [2, True, "lengths"] for _, _, *rest in seen)
    states, _ = DEEP.apply(params, xs)
    seen.clear()
    instrument(DEEP, params, xs, states)
    assert not any(call[3] for call in seen)
    assert instrument(nets.gru(), params[0][0], xs) == INPUTS
