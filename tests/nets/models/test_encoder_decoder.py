"""The encoder-decoder: by hand, step by step, and blind to padding."""

import functools
from typing import cast

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets.models import EncoderDecoder
from nets.recurrent import batch_first, time_first

SYMBOLS, CLASSES, FEATURES, SIZE = 7, 4, 5, 3
SOURCES = jax.random.randint(jax.random.key(0), (3, 6), 0, SYMBOLS)
LENGTHS = jnp.array([6, 2, 4])
TARGETS = jax.random.randint(jax.random.key(1), (3, 4), 0, CLASSES)
ARGS = SOURCES, LENGTHS, TARGETS

each_kind = pytest.mark.parametrize(
    ("cell", "bidirectional", "attention"),
    [
        (nets.lstm(), True, True),
        (nets.gru(), False, True),
        (nets.elman(), True, False),
        (nets.lstm(), False, False),
        (nets.projected_lstm(projection=2), True, True),
    ],
    ids=["lstm", "gru one way", "elman plain", "lstm one way plain", "projected"],
)


@functools.cache
def model_of(cell, bidirectional=True, attention=True):
    sizes = FEATURES, SYMBOLS, CLASSES, SIZE
    model = EncoderDecoder(cell, *sizes, bidirectional, attention)
    variables = jax.jit(model.init)(jax.random.key(2), *ARGS)
    return model, variables, jax.jit(model.apply, static_argnames="method")


@pytest.mark.slow
@each_kind
def test_padding_changes_no_number(cell, bidirectional, attention):
    _, variables, apply = model_of(cell, bidirectional, attention)
    logits = apply(variables, *ARGS)
    more = jnp.pad(SOURCES, ((0, 0), (0, 3)), constant_values=5)
    chex.assert_trees_all_close(
        apply(variables, more, LENGTHS, TARGETS), logits, atol=1e-5
    )
    cut = SOURCES[1:2, :2], None, TARGETS[1:2]
    chex.assert_trees_all_close(apply(variables, *cut), logits[1:2], atol=1e-5)
    shorter = apply(variables, SOURCES, LENGTHS - 1, TARGETS)
    assert np.abs(shorter - logits).max(axis=(1, 2)).min() > 1e-4  # all is read


@pytest.mark.slow
@each_kind
def test_steps_equal_teacher_forcing(cell, bidirectional, attention):
    model, variables, apply = model_of(cell, bidirectional, attention)
    logits = apply(variables, *ARGS)
    state, memory = apply(variables, SOURCES, LENGTHS, method="encode")
    assert (memory is None) != attention
    symbol = jnp.full(3, model.start_token)
    for t in range(TARGETS.shape[1]):
        state, step_logits = apply(
            variables, memory, state, symbol, method="decode_step"
        )
        chex.assert_trees_all_close(step_logits, logits[:, t], atol=1e-5)
        symbol = TARGETS[:, t]


@pytest.mark.slow
@pytest.mark.parametrize("attention", [True, False])
def test_each_symbol_depends_on_the_symbols_before_it(attention):
    _, variables, apply = model_of(nets.gru(), attention=attention)
    before = apply(variables, *ARGS)
    changed = TARGETS.at[:, 1].set((TARGETS[:, 1] + 1) % CLASSES)
    after = apply(variables, SOURCES, LENGTHS, changed)
    differs = np.abs(after - before).max(axis=2) > 0
    assert differs.tolist() == [[False, False, True, True]] * 3


def by_hand(model, variables):
    """The outputs of encoder and decoder of the GRU that reads one way."""
    params = variables["params"]
    vectors = params["embed_source"]["embedding"][SOURCES]
    state, outputs = nets.unroll(
        model.cell, params["encoder"]["cell"], time_first(vectors), lengths=LENGTHS
    )
    symbols = jnp.concatenate([jnp.full((3, 1), CLASSES), TARGETS[:, :-1]], axis=1)
    vectors = params["embed_target"]["embedding"][symbols]
    _, hidden = nets.unroll(
        model.cell, params["decoder"]["cell"], time_first(vectors), state
    )
    return np.asarray(batch_first(outputs)), np.asarray(batch_first(hidden))


@pytest.mark.slow
def test_without_attention_it_is_two_cells_and_a_dense_layer():
    model, variables, apply = model_of(nets.gru(), False, False)
    params = variables["params"]
    _, hidden = by_hand(model, variables)
    expected = hidden @ params["dense"]["kernel"] + params["dense"]["bias"][None, None]
    chex.assert_trees_all_close(apply(variables, *ARGS), expected, atol=1e-5)
    assert "bridge" not in params and "look_back" not in params


@pytest.mark.slow
def test_attention_is_a_softmax_over_what_was_read():
    model, variables, apply = model_of(nets.gru(), False, True)
    params = jax.tree.map(np.asarray, variables["params"])
    outputs, hidden = by_hand(model, variables)
    weights = np.zeros((3, 4, 6))
    logits = np.zeros((3, 4, CLASSES))
    for i, t in np.ndindex(3, 4):
        h, seen = hidden[i, t], outputs[i, : LENGTHS[i]]
        scores = np.exp(seen @ (h @ params["look_back"]["score"]["kernel"]))
        weights[i, t, : LENGTHS[i]] = scores / scores.sum()
        context = weights[i, t, : LENGTHS[i]] @ seen
        both = np.concatenate([context, h]) @ params["look_back"]["combine"]["kernel"]
        logits[i, t] = np.tanh(both) @ params["dense"]["kernel"]
        logits[i, t] += params["dense"]["bias"]
    chex.assert_trees_all_close(apply(variables, *ARGS), logits, atol=1e-5)
    result = apply(variables, *ARGS, method="attention_weights")
    chex.assert_trees_all_close(result, weights, atol=1e-5)
    padding = np.arange(6) >= np.asarray(LENGTHS)[:, None]
    assert (np.asarray(result).transpose(0, 2, 1)[padding] == 0).all()


@pytest.mark.slow
def test_the_bridge_joins_the_ends_of_both_directions():
    _, variables, apply = model_of(nets.lstm(), True, False)
    params = variables["params"]
    vectors = time_first(params["embed_source"]["embedding"][SOURCES])
    ends, _ = nets.bidirectional(nets.lstm()).apply(
        params["encoder"]["cells"], vectors, lengths=LENGTHS
    )
    state, _ = apply(variables, SOURCES, LENGTHS, method="encode")
    for i, name in enumerate(["hidden", "cell"]):
        dense = params["bridge"][f"dense_{i}"]
        both = [getattr(end, name) for end in ends]
        expected = jnp.concatenate(both, axis=-1) @ dense["kernel"]
        expected += jnp.broadcast_to(dense["bias"], expected.shape)
        chex.assert_trees_all_close(getattr(state, name), expected, atol=1e-5)


@pytest.mark.slow
def test_batch_axes_are_as_many_as_wanted():
    _, variables, apply = model_of(nets.gru())
    flat = apply(variables, *ARGS)
    folded = apply(variables, *(a.reshape(3, 1, *a.shape[1:]) for a in ARGS))
    chex.assert_trees_all_close(folded[:, 0], flat, atol=1e-6)
    one = apply(variables, SOURCES[1], LENGTHS[1], TARGETS[1])
    chex.assert_trees_all_close(one, flat[1], atol=1e-6)


def test_a_source_of_no_symbols_is_no_reason_for_nan():
    model, variables, _ = model_of(nets.gru())

    def total(params):
        lengths = jnp.array([0, 2, 4])
        logits = model.apply({"params": params}, SOURCES, lengths, TARGETS)
        return cast(jax.Array, logits).sum()

    value, gradient = jax.jit(jax.value_and_grad(total))(variables["params"])
    chex.assert_tree_all_finite((value, gradient))


@pytest.mark.slow
def test_a_model_without_attention_and_a_cell_of_images_are_refused():
    _, variables, apply = model_of(nets.elman(), True, False)
    with pytest.raises(ValueError, match="expected a model with attention=True"):
        apply(variables, *ARGS, method="attention_weights")
    images = EncoderDecoder(nets.conv_lstm(), FEATURES, SYMBOLS, CLASSES)
    with pytest.raises(ValueError, match="a cell that reads vectors"):
        jax.eval_shape(images.init, jax.random.key(0), *ARGS)
