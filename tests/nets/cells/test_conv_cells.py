"""Convolutional cells: against Keras, Linen and NumPy, and in every combinator."""

import itertools
from functools import partial
from typing import Any

import cases
import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from cases import FEATURES, INPUTS, example
from flax import nnx
from peers import swap
from side_by_side import optimized_jit
from tolerances import assert_close_to_peers as assert_close

import nets
import nets.linen
import nets.nnx
from nets import flow, initializers, interop
from nets.cells import ConvGRUParams, ConvLSTMParams
from nets.models import SequenceClassifier
from nets.recurrent import batch_first

TIME, BATCH = 3, 2
KEY = jax.random.key(3)


def images(*space, batch=(BATCH,), time=TIME, inputs=INPUTS, seed=1):
    return cases.normal(time, *batch, *space, inputs, seed=seed, scale=1.0)


def outputs_and_grads(run, *args, jit: Any = optimized_jit):
    """(final state, outputs), and the gradients by all arguments."""

    def loss(*args):
        out = run(*args)
        return cases.total(*out), out

    numbers = tuple(range(len(args)))
    with jax.numpy_rank_promotion("allow"):  # peers broadcast freely
        return jit(jax.grad(loss, argnums=numbers, has_aux=True))(*args)


FORMS = {
    "1-D": ((3,), (5,), {}),
    "1-D valid, strides": ((3,), (6,), {"padding": "valid", "strides": 2}),
    "2-D": ((3, 3), (4, 5), {}),
    "2-D strides": ((3, 2), (5, 4), {"strides": (2, 1)}),
    "2-D valid, dilation": ((2, 2), (4, 5), {"padding": "valid", "dilation": (2, 1)}),
}


def keras_layer(size, space, options, **more):
    kinds = keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D
    known = {"padding": "same"} | options
    known["dilation_rate"] = known.pop("dilation", 1)
    layer: Any = kinds[len(size) - 1](FEATURES, size, **known, **more)
    with jax.numpy_rank_promotion("allow"):
        layer.build((BATCH, TIME, *space, INPUTS))
    return layer


@pytest.mark.peers
@pytest.mark.parametrize("size, space, options", FORMS.values(), ids=FORMS)
def test_equal_to_keras(size, space, options):
    """Through `nets.interop`, which is differentiated too."""
    cell = nets.conv_lstm(size, **options)
    weights = interop.to_keras(cases.draw_params(cell))

    def ours(weights, xs):
        params = interop.params_from_keras(weights, ConvLSTMParams)
        return nets.unroll(cell, params, xs)

    def theirs(weights, xs):
        states = {"return_sequences": True, "return_state": True}
        layer = keras_layer(size, space, options, **states)
        fixed = [v.value for v in layer.non_trainable_variables]
        (ys, *end), _ = layer.stateless_call(weights, fixed, xs.swapaxes(0, 1))
        return nets.cells.ConvLSTMState(*end), ys.swapaxes(0, 1)

    xs = images(*space)
    one = outputs_and_grads(ours, weights, xs)
    assert_close(one, outputs_and_grads(theirs, weights, xs, jit=jax.jit))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(one))


@pytest.mark.peers
def test_equal_to_linen():
    size, space = (3, 2), (4, 3)
    cell = nets.conv_lstm(size)
    params, xs, _ = example(cell, BATCH)
    xs = images(*space)

    def theirs(params, xs):
        w_i, w_h, b = params
        b = b.at[FEATURES : 2 * FEATURES].add(-1.0)  # Linen adds 1 in each step
        w_i, w_h, b = (swap(a, "ifgo", "igfo") for a in (w_i, w_h, b))
        hidden = {"kernel": w_h, "bias": jnp.zeros_like(b)}
        variables = {"params": {"ih": {"kernel": w_i, "bias": b}, "hh": hidden}}
        step = nn.ConvLSTMCell(FEATURES, size).apply
        zeros = jnp.zeros((BATCH, *space, FEATURES))
        (c, h), ys = jax.lax.scan(partial(step, variables), (zeros, zeros), xs)
        return nets.cells.ConvLSTMState(hidden=h, cell=c), ys

    assert_close(
        outputs_and_grads(partial(nets.unroll, cell), params, xs),
        outputs_and_grads(theirs, params, xs, jit=jax.jit),
    )


def convolve(x, kernel):
    """Of one image [*space, inputs], padded by zeros to keep its size."""
    size, space = kernel.shape[:-2], x.shape[:-1]
    padded = np.pad(x, [*(((k - 1) // 2, k // 2) for k in size), (0, 0)])
    y = np.zeros((*space, kernel.shape[-1]))
    for place in itertools.product(*map(range, space)):
        cut = tuple(slice(p, p + k) for p, k in zip(place, size, strict=True))
        y[place] = np.tensordot(padded[cut], kernel, axes=len(size) + 1)
    return y


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("reset_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("size, around", [((3,), (2,)), ((2, 3), (3, 2))], ids=str)
def test_the_gru_of_the_paper(size, around, reset_after, x64):
    cell = nets.conv_gru(size, around, reset_after=reset_after)
    params, xs, first = example(cell)
    state, ys = nets.unroll(cell, params, xs, first)
    w_i, w_h, b, *b_hn = map(np.asarray, jax.tree.leaves(params))
    assert (w_i.shape[:-2], w_h.shape[:-2]) == (size, around)
    w_r, w_z, w_n = np.split(w_i, 3, axis=-1)
    u_r, u_z, u_n = np.split(w_h, 3, axis=-1)
    b_r, b_z, b_n = np.split(b, 3)
    h = np.asarray(first.hidden)
    for x, y in zip(np.asarray(xs), ys, strict=True):
        r = sigmoid(convolve(x, w_r) + convolve(h, u_r) + b_r)
        z = sigmoid(convolve(x, w_z) + convolve(h, u_z) + b_z)
        after = r * (convolve(h, u_n) + b_hn[0]) if reset_after else 0
        seen = after if reset_after else convolve(r * h, u_n)
        n = np.tanh(convolve(x, w_n) + seen + b_n)
        h = (1 - z) * n + z * h
        np.testing.assert_allclose(y, h, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(state.hidden, ys[-1])


ONE_PLACE = {
    "lstm": (nets.conv_lstm((1, 1)), nets.lstm()),
    "gru": (nets.conv_gru((1, 1)), nets.gru(reset_after=False)),
    "gru after": (nets.conv_gru((1, 1), reset_after=True), nets.gru()),
}


@pytest.mark.parametrize("cell, dense", ONE_PLACE.values(), ids=ONE_PLACE)
def test_a_kernel_of_one_place_is_a_dense_cell(cell, dense):
    """On an image of one place; and at every place of a larger one."""
    params, xs, _ = example(dense, 4)
    kernels: Any = type(cell.init(KEY, INPUTS, FEATURES))(
        params.w_i[None, None], params.w_h[None, None], *params[2:]
    )
    state, ys = nets.unroll(dense, params, xs)
    for maps in (xs[..., None, None, :], xs.reshape(-1, 1, 2, 2, INPUTS)):
        end, maps = nets.unroll(cell, kernels, maps)
        for one, other in [*zip(end, state, strict=True), (maps, ys)]:
            np.testing.assert_allclose(
                one.reshape(other.shape), other, rtol=1e-6, atol=1e-6
            )


def test_each_dense_draw_is_a_draw_of_kernels():
    """At one place both cells start alike: same key, same numbers."""
    for cell, dense in ONE_PLACE.values():
        one = jax.tree.leaves(cell.init(KEY, INPUTS, FEATURES))
        other = jax.tree.leaves(dense.init(KEY, INPUTS, FEATURES))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.ravel(), b.ravel())


REACH = {
    "lstm": (nets.conv_lstm((3, 3)), 1),
    "gru after": (nets.conv_gru((3, 3), reset_after=True), 1),
    "gru before": (nets.conv_gru((3, 3)), 2),
}


@pytest.mark.parametrize("cell, growth", REACH.values(), ids=REACH)
def test_the_receptive_field_of_a_place(cell, growth, x64):
    """x reaches 1 further in its own step, and h as far again in each later one."""
    params = cases.draw_params(cell)
    xs = images(11, 11, batch=())
    middle = 5
    _, before = cases.run(cell, params, xs)
    _, after = cases.run(cell, params, xs.at[0, middle, middle].add(1.0))
    distance = np.abs(np.arange(11) - middle)
    distance = np.maximum(distance[:, None], distance)
    for t, changed in enumerate((before != after).any(axis=-1)):
        np.testing.assert_array_equal(changed, distance <= 1 + t * growth)


def test_gradients_reach_as_far(x64):
    """dL/ds_t of a loss at one place is zero where that place does not look."""
    cell = nets.conv_lstm((3, 3))
    params, xs = cases.draw_params(cell), images(9, 9, batch=())
    _, gradients = flow.state_gradients(
        cell, params, xs, lambda state, ys: ys[-1, 4, 4].sum()
    )
    distance = np.abs(np.arange(9) - 4)
    distance = np.maximum(distance[:, None], distance)
    for t in range(TIME):
        seen = (gradients.hidden[t] != 0).any(axis=-1)
        np.testing.assert_array_equal(seen, distance <= TIME - 1 - t)


def test_log_norms_take_an_image_as_one_vector():
    cell = nets.conv_lstm((2, 2))
    params, xs, first = example(cell, BATCH)
    _, gradients = flow.state_gradients(cell, params, xs, cases.total, first)
    flat = [np.asarray(g).reshape(len(xs), BATCH, -1) for g in gradients]
    norms = np.linalg.norm(np.concatenate(flat, axis=-1), axis=-1)
    result = flow.log_norms(gradients)
    assert result.shape == (len(xs), BATCH)
    np.testing.assert_allclose(result, np.log(norms), rtol=1e-5, atol=1e-5)


def test_it_starts_as_in_keras():
    """But for the bound of w_i, which has Keras's fan-out a place."""
    size = 3, 3
    ours = nets.conv_lstm(size, init=initializers.keras).init(KEY, INPUTS, FEATURES)
    theirs = keras_layer(size, (4, 4), {})
    theirs = ConvLSTMParams(*(jnp.asarray(w.value) for w in theirs.weights))
    outputs, inputs = 4 * FEATURES, 9 * INPUTS
    for params, fan in [(ours, inputs + outputs), (theirs, inputs + 9 * outputs)]:
        rows = np.asarray(params.w_h).reshape(-1, outputs)
        gram = rows.T @ rows if len(rows) > outputs else rows @ rows.T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
        largest = np.abs(params.w_i).max() / np.sqrt(6 / fan)
        assert 0.9 < largest <= 1
    np.testing.assert_array_equal(ours.b, theirs.b)


@pytest.mark.parametrize("size", [(3,), (2, 3)], ids=str)
def test_the_identity_keeps_an_image_as_it_is(size):
    cell = nets.conv_lstm((1,) * len(size), size, init=initializers.irnn)
    w_h = cell.init(KEY, INPUTS, FEATURES).w_h
    x = images(*(5, 6)[: len(size)], batch=(), time=1, inputs=FEATURES)
    for gate in jnp.split(w_h, 4, axis=-1):
        kept = nets.conv(nets.convolutional.ConvParams(gate, None), x, padding="same")
        np.testing.assert_array_equal(kept, x)


def test_gates_start_orthogonal_and_forget_slowly():
    params = nets.conv_lstm().init(KEY, INPUTS, FEATURES)
    for gate in jnp.split(params.w_h, 4, axis=-1):
        columns = gate.reshape(-1, FEATURES)
        np.testing.assert_allclose(columns.T @ columns, np.eye(FEATURES), atol=1e-5)
    forget = jnp.repeat(jnp.array([0.0, 1, 0, 0]), FEATURES)
    np.testing.assert_array_equal(params.b, forget)
    params = nets.conv_lstm(forget_bias=3.0).init(KEY, INPUTS, FEATURES)
    np.testing.assert_array_equal(params.b, 3 * forget)
    slow = nets.conv_gru(init=initializers.chrono(50)).init(KEY, INPUTS, FEATURES)
    assert (slow.b.reshape(3, -1)[1] > 0).all()


LINE = nets.conv_lstm((3,))
LAYERS = {
    "stack": nets.stack(LINE, nets.conv_gru((3,))),
    "bidirectional": nets.bidirectional(LINE),
    "stack of both, and dense": nets.stack(
        nets.bidirectional(LINE, nets.conv_gru((3,))), LINE, nets.lstm(), residual=True
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_padding_cannot_be_seen_in_layers(layer):
    lengths = 0, 2, TIME
    assert layer.spatial_dims == 1
    like = jax.eval_shape(lambda: layer.init(KEY, INPUTS, FEATURES))
    params, xs = cases.draw(like), images(4, batch=(3,)).astype(jnp.float32)
    padded = cases.fill_padding(xs, lengths, np.nan)
    apply = jax.jit(layer.apply)
    states, ys = apply(params, padded, lengths=jnp.array(lengths))
    for row, length in enumerate(lengths):
        end, cut = apply(params, xs[:length, row])
        assert_close(
            (jax.tree.map(lambda s, r=row: s[r], states), ys[:length, row]), (end, cut)
        )
        assert not ys[length:, row].any()


def test_a_stack_finds_its_widths_whatever_the_kernels():
    valid = nets.conv_gru((5, 5), strides=2, padding="valid")
    layer = nets.stack(nets.bidirectional(valid), valid)
    params = jax.eval_shape(lambda: layer.init(KEY, INPUTS, FEATURES))
    assert params[1].w_i.shape == (5, 5, 2 * FEATURES, 3 * FEATURES)
    xs = jnp.ones((1, 15, 17, INPUTS))
    states, ys = jax.eval_shape(layer.apply, params, xs)
    assert ys.shape == (1, 1, 2, FEATURES) and states[1].hidden.shape == (1, 2, 3)


def flax_modules(kind, cells, layer, params, xs):
    """Outputs of the layer as a module, in either of Flax's APIs."""
    name = {"Recurrent": "cell", "Bidirectional": "cells", "Stack": "layers"}[kind]
    module: Any = getattr(nets.linen, kind)(cells, FEATURES)
    drawn = jax.eval_shape(module.init, KEY, xs)["params"][name]
    chex.assert_trees_all_equal_shapes_and_dtypes(drawn, params)
    other: Any = getattr(nets.nnx, kind)(cells, INPUTS, FEATURES, rngs=nnx.Rngs(0))
    other.params.set_value(params)
    return [partial(module.apply, {"params": {name: params}}), other]


PLANE = nets.conv_lstm((2, 2))
MODULES = {
    "Recurrent": (PLANE, nets.as_layer(PLANE)),
    "Bidirectional": (PLANE, nets.bidirectional(PLANE)),
    "Stack": ((PLANE, nets.lstm()), nets.stack(PLANE, nets.lstm())),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODULES)
def test_flax_has_the_batch_first(kind):
    cells, layer = MODULES[kind]
    params = cases.draw(jax.eval_shape(lambda: layer.init(KEY, INPUTS, FEATURES)))
    xs = images(3, 2, batch=(2, 2)).astype(jnp.float32)
    xs_first = jnp.moveaxis(xs, 0, 2)
    lengths = jnp.array([[0, 1], [2, TIME]])
    mask = jnp.array(np.arange(TIME) < np.asarray(lengths)[..., None])
    state, ys = layer.apply(params, xs, lengths=lengths, all_states=True)
    expected = batch_first((state, ys), batch_axes=2)
    for apply in flax_modules(kind, cells, layer, params, xs_first):
        assert_close(apply(xs_first, lengths=lengths, all_states=True), expected)
        assert_close(apply(xs_first, mask=mask)[1], expected[1])
        with pytest.raises(ValueError, match=r"mask \[\*batch, time\] for .*space = 2"):
            apply(xs_first, mask=jnp.ones((2, 2, 1), bool))
        with pytest.raises(ValueError, match=r"inputs \[\*batch, time, \*space, input"):
            apply(xs_first[0, 0, 0])


NOISY = {
    "input_dropout": nets.input_dropout(PLANE, 0.5),
    "recurrent_dropout": nets.recurrent_dropout(PLANE, 0.5),
    "recurrent_dropout gru": nets.recurrent_dropout(nets.conv_gru((2, 2)), 0.5),
    "drop_connect": nets.drop_connect(PLANE, 0.5),
    "zoneout": nets.zoneout(PLANE, hidden=0.3, cell=0.5),
    "learned": nets.learned_state(nets.zoneout(PLANE, hidden=0.3)),
}


@pytest.mark.parametrize("cell", NOISY.values(), ids=NOISY)
def test_noise_leaves_space_where_it_is(cell):
    assert cell.spatial_dims == 2
    params, xs, _ = example(cell, BATCH)
    lengths = jnp.array([2, len(xs)])
    state, ys = nets.unroll(cell, params, xs, lengths=lengths, key=KEY)
    plain, calm = nets.unroll(cell, params, xs, lengths=lengths)
    chex.assert_trees_all_equal_shapes_and_dtypes((state, ys), (plain, calm))
    assert (ys[0] != calm[0]).any() or (ys[1] != calm[1]).any()


@pytest.mark.parametrize("padding, space", [("same", (4, 3)), ("valid", (3, 2))])
def test_a_learned_state_is_the_same_at_every_place(padding, space):
    cell = nets.learned_state(nets.conv_lstm((2, 2), padding=padding))
    params = cell.init(KEY, INPUTS, FEATURES)
    assert params.state.hidden.shape == (1, 1, FEATURES)
    params = params._replace(state=cases.draw(params.state))
    state = cell.initial_state(params, jnp.ones((BATCH, 4, 3, INPUTS)))
    assert state.cell.shape == (BATCH, *space, FEATURES)
    wanted = jnp.broadcast_to(params.state.cell[None], state.cell.shape)
    np.testing.assert_array_equal(state.cell, wanted)


PARAMS = PLANE.init(KEY, INPUTS, FEATURES)
XS = jnp.ones((TIME, BATCH, 3, 2, INPUTS))
BEFORE, AFTER = nets.conv_gru(), nets.conv_gru(reset_after=True)
ERRORS = {
    "one size": (
        lambda: nets.conv_lstm(kernel_size=3),
        "expected kernel_size to be a tuple of positive integers, one for each spatial "
        "axis, such as (3, 3) for images or (3,) for sequences; got 3",
    ),
    "recurrent size": (
        lambda: nets.conv_gru((3, 3), (3,)),
        "expected recurrent_kernel_size to be an integer of at least 1, or 2 of them",
    ),
    "strides": (
        lambda: nets.conv_gru((3, 3), strides=(2,)),
        "expected strides to be an integer of at least 1, or 2 of them, one for each",
    ),
    "channels": (
        lambda: nets.unroll(PLANE, PARAMS, jnp.ones((TIME, BATCH, 3, 2, 7))),
        "expected an input [*batch, *space, inputs] with the axes of a 2x2 kernel and "
        "inputs = 2, to match the parameters; got one of shape [2, 3, 2, 7]",
    ),
    "axes": (
        lambda: PLANE.initial_state(PARAMS, jnp.ones((3, INPUTS))),
        "with the axes of a 2x2 kernel and inputs = 2, to match the parameters; "
        "got one of shape [3, 2]",
    ),
    "smaller than the kernel": (
        lambda: nets.unroll(
            nets.conv_lstm((2, 2), padding="valid"), PARAMS, XS[..., :1, :]
        ),
        "expected an input at least as large as the kernel: the padded input is 3x1, "
        "the kernel spans 2x2; pad more, or make the kernel smaller",
    ),
    "padding": (
        lambda: nets.unroll(nets.conv_lstm((2, 2), padding="some"), PARAMS, XS),
        "expected a padding of valid, same,",
    ),
    "state of another size": (
        lambda: nets.unroll(
            PLANE, PARAMS, XS, PLANE.initial_state(PARAMS, XS[0, :, :2])
        ),
        "expected the initial state.hidden to be float32[2, 3, 2, 3], as parameters "
        "and inputs require; got float32[2, 2, 2, 3]",
    ),
    "lengths of rows": (
        lambda: nets.unroll(PLANE, PARAMS, XS, lengths=jnp.ones((BATCH, 3), int)),
        "expected lengths of the shape of the inputs' batch axes: inputs [time, "
        "*batch, *space, inputs] have shape [3, 2, 3, 2, 2], lengths have [2, 3]",
    ),
    "mask of rows": (
        lambda: nets.unroll(PLANE, PARAMS, XS, mask=jnp.ones((TIME, BATCH, 3), bool)),
        "expected a mask [time, *batch]: inputs [time, *batch, *space, inputs] have",
    ),
    "the form": (
        lambda: AFTER.initial_state(BEFORE.init(KEY, INPUTS, FEATURES), XS[0]),
        "expected parameters of conv_gru(reset_after=True); got those of "
        "reset_after=False: only reset_after=True has b_hn",
    ),
    "a classifier": (
        lambda: SequenceClassifier(PLANE, 3, 4).init(KEY, jnp.ones((2, 3, 3, 2, 2))),
        "expected a cell that reads vectors; got one that reads images "
        "(spatial_dims = 2): run it as nets.linen.Recurrent, and pool its outputs "
        "over space",
    ),
    "two sizes, to keras": (
        lambda: interop.to_keras(nets.conv_lstm((2, 2), (3, 3)).init(KEY, 2, 3)),
        '"w_h": expected shape (X, Y, H, 4H), where H = 3 and X = 2 and Y = 2; '
        "got (3, 3, 3, 12)",
    ),
    "dense weights, from keras": (
        lambda: interop.params_from_keras(
            [np.ones((2, 12)), np.ones((3, 12))], ConvLSTMParams
        ),
        '"kernel": expected shape (X, I, 4H); got (2, 12)',
    ),
    "a gru, to keras": (
        lambda: interop.to_keras(ConvGRUParams(*PARAMS, b_hn=None)),
        "expected parameters that Keras has",
    ),
}


@pytest.mark.parametrize("call, message", ERRORS.values(), ids=ERRORS)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
