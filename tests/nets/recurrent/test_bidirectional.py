"""One cell from the left, one from the right, and how they meet."""

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example

import nets
from nets import bidirectional
from nets.recurrent import BidirectionalParams, BidirectionalState

LENGTHS = (0, 3, TIME)


def pair(cell, *batch, backward=None):
    """Parameters and first states of both directions, and the inputs of both."""
    forward = example(cell, *batch)
    other = example(backward or cell, *batch, seed=10)
    return (
        BidirectionalParams(forward.params, other.params),
        forward.xs,
        BidirectionalState(forward.state, other.state),
    )


@cases.each_core
def test_it_is_two_unrolls(cell):
    params, xs, first = pair(cell, 4)
    state, ys = jax.jit(bidirectional(cell).apply)(params, xs, first)
    ends, outputs = zip(
        cases.run(cell, params.forward, xs, first.forward),
        cases.run(cell, params.backward, xs, first.backward, reverse=True),
        strict=True,
    )
    expected = BidirectionalState(*ends), jnp.concatenate(outputs, axis=-1)
    chex.assert_trees_all_close((state, ys), expected, rtol=1e-6)


def test_outputs_are_aligned_in_time():
    """A mark at t is seen from t onwards by one, and up to t by the other."""
    params, xs, first = pair(nets.gru())
    apply, t = bidirectional(nets.gru(), merge=None).apply, 2
    _, before = apply(params, xs, first)
    _, after = apply(params, xs.at[t].add(1.0), first)
    seen = [
        np.asarray((a != b).any(axis=-1)) for a, b in zip(before, after, strict=True)
    ]
    np.testing.assert_array_equal(seen, [np.arange(TIME) >= t, np.arange(TIME) <= t])


@cases.each_core
def test_the_backward_state_is_the_one_after_the_first_input(cell):
    params, xs, first = pair(cell)
    state, y = first.backward, None
    for x in xs[::-1]:
        state, y = cell.step(params.backward, state, x)
    end, (_, backward) = bidirectional(cell, merge=None).apply(params, xs, first)
    chex.assert_trees_all_close((end.backward, backward[0]), (state, y), rtol=1e-5)


def test_forward_comes_first_in_the_features():
    params, xs, first = pair(nets.elman())
    _, joined = bidirectional(nets.elman()).apply(params, xs, first)
    _, (forward, backward) = bidirectional(nets.elman(), merge=None).apply(
        params, xs, first
    )
    chex.assert_trees_all_equal(joined[:, :FEATURES], forward)
    chex.assert_trees_all_equal(joined[:, FEATURES:], backward)
    assert (forward != backward).all()


@pytest.mark.parametrize("fill", [np.nan, np.inf], ids=str)
@cases.each_core
def test_padding_is_respected_in_both_directions(cell, fill):
    params, xs, first = pair(cell, len(LENGTHS))
    apply = jax.jit(bidirectional(cell).apply)
    padded = cases.fill_padding(xs, LENGTHS, fill)
    state, ys = apply(params, padded, first, lengths=jnp.array(LENGTHS))
    for row, length in enumerate(LENGTHS):
        begin, end = (
            jax.tree.map(lambda s, r=row: s[r], tree) for tree in (first, state)
        )
        alone = apply(params, xs[:length, row], begin)
        chex.assert_trees_all_close((end, ys[:length, row]), alone, rtol=1e-5)
        assert (ys[length:, row] == 0).all()


@pytest.mark.slow
def test_gradients_do_not_see_padding():
    params, xs, first = pair(nets.lstm(), len(LENGTHS))
    layer = bidirectional(nets.lstm())

    def padded(params, xs):
        return cases.total(*layer.apply(params, xs, first, lengths=jnp.array(LENGTHS)))

    def cut(params, xs):
        rows = [
            cases.total(
                *layer.apply(
                    params, xs[:n, row], jax.tree.map(lambda s, r=row: s[r], first)
                )
            )
            for row, n in enumerate(LENGTHS)
        ]
        return jnp.stack(rows).sum()

    hidden = cases.fill_padding(xs, LENGTHS, np.nan)
    chex.assert_trees_all_close(
        jax.jit(jax.grad(padded, argnums=(0, 1)))(params, hidden),
        jax.jit(jax.grad(cut, argnums=(0, 1)))(params, xs),
        rtol=1e-5,
        atol=1e-6,
    )


def test_two_different_cells():
    cells = nets.lstm(), nets.gru()
    params, xs, first = pair(cells[0], backward=cells[1])
    state, (forward, backward) = bidirectional(*cells, merge=None).apply(
        params, xs, first
    )
    chex.assert_trees_all_close(
        ((state.forward, forward), (state.backward, backward)),
        (
            cases.run(cells[0], params.forward, xs, first.forward),
            cases.run(cells[1], params.backward, xs, first.backward, reverse=True),
        ),
        rtol=1e-6,
    )


def test_a_users_merge():
    params, xs, first = pair(nets.gru())
    _, ys = bidirectional(nets.gru(), merge=jnp.add).apply(params, xs, first)
    _, both = bidirectional(nets.gru(), merge=None).apply(params, xs, first)
    chex.assert_trees_all_equal(ys, both[0] + both[1])


def test_each_direction_has_separate_parameters():
    params = bidirectional(nets.lstm(), nets.gru()).init(
        jax.random.key(0), INPUTS, FEATURES
    )
    assert isinstance(params.forward, nets.cells.LSTMParams)
    assert isinstance(params.backward, nets.cells.GRUParams)
    twins = bidirectional(nets.elman()).init(jax.random.key(0), INPUTS, FEATURES)
    assert (twins.forward.w_i != twins.backward.w_i).any()
    assert (twins.forward.w_h != twins.backward.w_h).any()


def test_equal_calls_return_equal_layers():
    layer = bidirectional(nets.lstm())
    same = bidirectional(nets.lstm(None)), bidirectional(nets.lstm(), merge="concat")
    assert all(one == layer and hash(one) == hash(layer) for one in same)
    assert layer != bidirectional(nets.lstm(), merge=None)
    assert layer != bidirectional(nets.lstm(), nets.gru())


def test_an_unknown_merge_is_refused():
    with pytest.raises(ValueError, match="'sum', 'mean', 'mul', None or a function"):
        bidirectional(nets.lstm(), merge="add")
