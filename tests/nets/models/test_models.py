"""Whole networks: what they read, and what they count."""

from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME

import nets
import nets.linen
from nets.models import SequenceClassifier
from nets.recurrent import time_first

CLASSES = 4
LENGTHS = (0, 3, TIME, 1)
both_kinds = pytest.mark.parametrize(
    "bidirectional", [False, True], ids=["forward", "bidirectional"]
)


def classifier(bidirectional, cell=None) -> tuple[Any, Any, jax.Array]:
    """A model, variables none of which is zero, and xs [batch, time, inputs]."""
    model = SequenceClassifier(cell or nets.lstm(), FEATURES, CLASSES, bidirectional)
    xs = cases.normal(len(LENGTHS), TIME, INPUTS, scale=1.0)
    variables = jax.eval_shape(model.init, jax.random.key(0), xs)
    return model, cases.draw(variables, seed=1), xs


@both_kinds
def test_a_padded_batch_equals_its_rows(bidirectional):
    model, variables, xs = classifier(bidirectional)
    apply = jax.jit(model.apply)
    hidden = cases.fill_padding(xs.swapaxes(0, 1), LENGTHS, np.nan).swapaxes(0, 1)
    logits = apply(variables, hidden, jnp.array(LENGTHS))
    assert logits.shape == (len(LENGTHS), CLASSES)
    for row, length in enumerate(LENGTHS[1:], start=1):
        alone = apply(variables, xs[row, :length])
        chex.assert_trees_all_close(logits[row], alone, rtol=1e-5, atol=1e-6)


@both_kinds
def test_an_empty_sequence_is_worth_the_bias(bidirectional):
    model, variables, xs = classifier(bidirectional)
    logits = model.apply(variables, xs, jnp.array(LENGTHS))
    np.testing.assert_array_equal(logits[0], variables["params"]["dense"]["bias"])


@both_kinds
def test_gradients_do_not_see_padding(bidirectional):
    model, variables, xs = classifier(bidirectional)
    hidden = cases.fill_padding(xs.swapaxes(0, 1), LENGTHS, np.nan).swapaxes(0, 1)

    def padded(variables):
        return jnp.sin(model.apply(variables, hidden, jnp.array(LENGTHS))).sum()

    def cut(variables):
        rows = [model.apply(variables, xs[r, :n]) for r, n in enumerate(LENGTHS) if n]
        empty = variables["params"]["dense"]["bias"]
        return jnp.sin(jnp.stack([*rows, empty])).sum()

    chex.assert_trees_all_close(
        jax.jit(jax.grad(padded))(variables),
        jax.jit(jax.grad(cut))(variables),
        rtol=1e-5,
        atol=1e-6,
    )


def test_it_uses_the_last_output():
    model, variables, xs = classifier(bidirectional=False)
    params = variables["params"]
    _, ys = cases.run(nets.lstm(), params["recurrent"]["cell"], time_first(xs))
    dense = params["dense"]
    logits = ys[-1] @ dense["kernel"] + jnp.broadcast_to(dense["bias"], (4, CLASSES))
    np.testing.assert_allclose(model.apply(variables, xs), logits, rtol=1e-5, atol=1e-6)


def test_both_directions_return_their_last_outputs():
    """The forward cell at the end, the backward one at the start."""
    model, variables, xs = classifier(bidirectional=True)
    params = variables["params"]
    layer = nets.bidirectional(nets.lstm())
    state, _ = layer.apply(params["recurrent"]["cells"], time_first(xs))
    ends = jnp.concatenate([state.forward.hidden, state.backward.hidden], axis=-1)
    dense = params["dense"]
    logits = ends @ dense["kernel"] + jnp.broadcast_to(dense["bias"], (4, CLASSES))
    np.testing.assert_allclose(model.apply(variables, xs), logits, rtol=1e-5, atol=1e-6)


GATES = {"elman": 1, "lstm": 4, "gru": 3}


@both_kinds
@pytest.mark.parametrize("name, gates", GATES.items(), ids=GATES)
def test_the_number_of_parameters(name, gates, bidirectional):
    cell = nets.CELLS[name]()
    _, variables, _ = classifier(bidirectional, cell)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    directions = 2 if bidirectional else 1
    recurrent = gates * (INPUTS + FEATURES + 1) * FEATURES
    recurrent += FEATURES if name == "gru" else 0  # b_hn
    dense = (directions * FEATURES + 1) * CLASSES
    assert count == directions * recurrent + dense


def test_names_of_the_parameters():
    _, variables, _ = classifier(bidirectional=False)
    params = variables["params"]
    assert set(params) == {"recurrent", "dense"}
    assert isinstance(params["recurrent"]["cell"], nets.cells.LSTMParams)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@both_kinds
def test_read_equals_the_call(bidirectional, lengths):
    model, variables, xs = classifier(bidirectional)
    known = None if lengths is None else jnp.array(lengths)
    layer: Any = nets.linen.Recurrent(nets.lstm(), FEATURES)
    if bidirectional:
        layer = nets.linen.Bidirectional(nets.lstm(), FEATURES, merge=None)
    recurrent = {"params": variables["params"]["recurrent"]}
    _, ys = layer.apply(recurrent, xs, None, known)
    np.testing.assert_allclose(
        model.apply(variables, ys, known, method="read"),
        model.apply(variables, xs, known),
        rtol=1e-6,
    )


@both_kinds
def test_several_batch_axes(bidirectional):
    model, variables, xs = classifier(bidirectional)
    lengths = jnp.array(LENGTHS)
    flat = model.apply(variables, xs, lengths)
    square = model.apply(
        variables, xs.reshape(2, 2, TIME, INPUTS), lengths.reshape(2, 2)
    )
    np.testing.assert_allclose(square.reshape(4, CLASSES), flat, rtol=1e-5, atol=1e-6)
