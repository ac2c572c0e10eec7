"""The Flax modules give the numbers of the pure functions, in either API."""

from functools import partial
from typing import Any

import cases
import chex
import flax.linen as nn
import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from flax import nnx
from tolerances import assert_equal_to_rounding as assert_close

import nets
import nets.linen
import nets.nnx
from nets.recurrent import (
    BidirectionalParams,
    BidirectionalState,
    batch_first,
    time_first,
)

LENGTHS = (0, 3, TIME)


def linen_apply(cell, both=False, reverse=False):
    if both:
        module, name = nets.linen.Bidirectional(cell, FEATURES), "cells"
    else:
        module, name = nets.linen.Recurrent(cell, FEATURES, reverse=reverse), "cell"

    def apply(params, xs, state=None, lengths=None):
        return module.apply({"params": {name: params}}, xs, state, lengths)

    return apply


def in_order(state, params):
    """The arrays of a tree of parameters, in the order of an NNX state of them."""
    by_name = {
        jax.tree_util.keystr(path, simple=True): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    names = ["".join(map(str, path[1:])) for path, _ in nnx.to_flat_state(state)]
    return [by_name[name] for name in names]


def nnx_apply(cell, both=False, reverse=False):
    if both:
        module = nets.nnx.Bidirectional(cell, INPUTS, FEATURES, rngs=nnx.Rngs(0))
    else:
        module = nets.nnx.Recurrent(
            cell, INPUTS, FEATURES, reverse=reverse, rngs=nnx.Rngs(0)
        )
    graph, like = nnx.split(module)

    def apply(params, xs, state=None, lengths=None):
        held = jax.tree.unflatten(jax.tree.structure(like), in_order(like, params))
        return nnx.merge(graph, held)(xs, state, lengths)

    return apply


def pure_apply(cell, both=False, reverse=False):
    def apply(params, xs, state=None, lengths=None):
        run = nets.bidirectional(cell).apply if both else partial(nets.unroll, cell)
        run = run if both else partial(run, reverse=reverse)
        end, ys = run(params, time_first(xs), state, lengths=lengths)
        return end, batch_first(ys)

    return apply


def out_and_grads(apply, *args, **kwargs):
    def loss(*args):
        out = apply(*args, **kwargs)
        return cases.total(*out), out

    wanted = tuple(range(len(args)))
    return jax.jit(jax.grad(loss, argnums=wanted, has_aux=True))(*args)


@pytest.mark.parametrize(
    "cell, kind, lengths",
    [
        (nets.lstm(), "forward", None),
        (nets.gru(), "forward", LENGTHS),
        (nets.lstm(), "reverse", LENGTHS),
        (nets.lstm(), "bidirectional", LENGTHS),
        (nets.gru(), "bidirectional", None),
        (cases.FAST_WEIGHTS, "reverse", None),
        (cases.FAST_WEIGHTS, "bidirectional", LENGTHS),
    ],
)
def test_modules_equal_the_pure_functions(cell, kind, lengths):
    """Outputs, states, and gradients by parameters, inputs and the given state."""
    both, reverse = kind == "bidirectional", kind == "reverse"
    params, xs, state = example(cell, len(LENGTHS))
    if both:
        other = example(cell, len(LENGTHS), seed=7)
        params = BidirectionalParams(params, other.params)
        state = BidirectionalState(state, other.state)
    xs = batch_first(xs)
    known = None if lengths is None else jnp.array(lengths)
    pure, linen, in_nnx = (
        out_and_grads(make(cell, both, reverse), params, xs, state, lengths=known)
        for make in (pure_apply, linen_apply, nnx_apply)
    )
    assert pure[1][1].shape == (3, TIME, FEATURES * (2 if both else 1))
    assert_close(linen, pure)
    assert_close(in_nnx, pure)


@pytest.mark.parametrize("make", [linen_apply, nnx_apply], ids=["linen", "nnx"])
@pytest.mark.parametrize("batch", [(), (2, 3)], ids=str)
def test_any_number_of_batch_axes_comes_before_time(make, batch):
    cell = nets.lstm()
    params, xs, _ = example(cell, *batch)
    state, ys = jax.jit(make(cell))(params, batch_first(xs))
    end, outputs = cases.run(cell, params, xs)
    assert ys.shape == (*batch, TIME, FEATURES)
    assert_close((state, ys), (end, jnp.moveaxis(outputs, 0, -2)))


@pytest.mark.parametrize("make", [linen_apply, nnx_apply], ids=["linen", "nnx"])
def test_padding_is_not_seen_over_two_batch_axes(make):
    cell = nets.gru()
    params, xs, _ = example(cell, 2, 3)
    lengths = jnp.array([[0, 1, 2], [3, 4, 5]])
    padded = batch_first(cases.fill_padding(xs, lengths, np.nan))
    state, ys = make(cell)(params, padded, None, lengths)
    end, outputs = cases.run(cell, params, xs, lengths=lengths)
    assert_close((state, ys), (end, batch_first(outputs)))


def test_linen_parameters_are_the_cells_own():
    xs = jnp.ones((4, TIME, INPUTS))
    variables = nets.linen.Recurrent(nets.lstm(), FEATURES).init(jax.random.key(0), xs)
    like = nets.lstm().init(jax.random.key(1), INPUTS, FEATURES)
    assert set(variables) == {"params"} and set(variables["params"]) == {"cell"}
    chex.assert_trees_all_equal_shapes_and_dtypes(variables["params"]["cell"], like)

    layer = nets.linen.Bidirectional(nets.lstm(), FEATURES, nets.gru())
    variables = layer.init(jax.random.key(0), xs)
    assert set(variables["params"]) == {"cells"}
    cells = variables["params"]["cells"]
    assert isinstance(cells, BidirectionalParams)
    chex.assert_trees_all_equal_shapes_and_dtypes(cells.forward, like)
    assert isinstance(cells.backward, nets.cells.GRUParams)


def test_nnx_parameters_are_the_cells_own():
    rngs = nnx.Rngs(params=3)
    layer = nets.nnx.Recurrent(nets.lstm(), INPUTS, FEATURES, rngs=rngs)
    like = nets.lstm().init(nnx.Rngs(params=3).params(), INPUTS, FEATURES)
    chex.assert_trees_all_equal(layer.params.get_value(), like)
    assert len(jax.tree.leaves(nnx.state(layer, nnx.Param))) == 3


@pytest.mark.parametrize("both", [False, True], ids=["recurrent", "bidirectional"])
def test_nnx_jit_and_grad(both):
    """nnx's own transforms give the pure gradient."""
    cell = nets.gru()
    kind = nets.nnx.Bidirectional if both else nets.nnx.Recurrent
    layer = kind(cell, INPUTS, FEATURES, rngs=nnx.Rngs(0))
    xs = batch_first(example(cell, 4).xs)

    @nnx.jit
    def gradient(layer, xs):
        return nnx.grad(lambda layer: cases.total(*layer(xs)))(layer)

    params = layer.params.get_value()
    _, (_, ys) = out_and_grads(pure_apply(cell, both), params, xs)
    grads, _ = out_and_grads(pure_apply(cell, both), params, xs)
    assert_close(nnx.jit(lambda layer, xs: layer(xs)[1])(layer, xs), ys)
    result = gradient(layer, xs)["weights"]
    assert_close(jax.tree.leaves(result), in_order(nnx.state(layer), grads[0]))


def test_merge_and_a_second_cell_reach_both_apis():
    cells = nets.lstm(), nets.gru()
    xs = batch_first(example(cells[0], 4).xs)
    linen = nets.linen.Bidirectional(cells[0], FEATURES, backward=cells[1], merge=None)
    in_nnx = nets.nnx.Bidirectional(
        cells[0],
        INPUTS,
        FEATURES,
        backward=cells[1],
        merge=None,
        rngs=nnx.Rngs(0),
    )
    params = in_nnx.params.get_value()
    state, ys = in_nnx(xs)
    assert isinstance(ys, tuple) and isinstance(state.backward, nets.cells.GRUState)
    assert_close(linen.apply({"params": {"cells": params}}, xs), (state, ys))
    assert_close(ys[0], linen_apply(cells[0])(params.forward, xs)[1])


def test_a_linen_layer_is_a_part_of_a_network():
    """Equal cells make equal modules, so that one is traced once."""

    class Network(nn.Module):
        @nn.compact
        def __call__(self, xs):
            for _ in range(2):
                _, xs = nets.linen.Recurrent(nets.elman(), FEATURES)(xs)
            return xs

    xs = jnp.ones((4, TIME, INPUTS))
    ys, variables = Network().init_with_output(jax.random.key(0), xs)
    params: Any = variables["params"]
    assert ys.shape == (4, TIME, FEATURES)
    assert params["Recurrent_1"]["cell"].w_i.shape == (FEATURES, FEATURES)
    assert nets.linen.Recurrent(nets.gru(), 3) == nets.linen.Recurrent(
        nets.gru(True), 3
    )


@pytest.mark.parametrize("both", [False, True], ids=["recurrent", "bidirectional"])
def test_parameters_survive_flax_serialization(both):
    kind = nets.linen.Bidirectional if both else nets.linen.Recurrent
    layer = kind(nets.gru(), FEATURES)
    xs = jnp.ones((4, TIME, INPUTS))
    variables, blank = (layer.init(jax.random.key(seed), xs) for seed in (0, 1))
    stored = flax.serialization.to_state_dict(variables)
    chex.assert_trees_all_equal(
        flax.serialization.from_state_dict(blank, stored), variables
    )
    data = flax.serialization.to_bytes(variables)
    chex.assert_trees_all_equal(flax.serialization.from_bytes(blank, data), variables)
