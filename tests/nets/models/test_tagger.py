"""A label at every step: what the model reads, and what each label knows."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets.models import SequenceTagger
from nets.recurrent import batch_first, time_first

SYMBOLS, CLASSES, FEATURES, TIME = 5, 3, 4, 6
TOKENS = jax.random.randint(jax.random.key(0), (2, TIME), 0, SYMBOLS)
WAYS = {
    "forward": {},
    "backward": {"reverse": True},
    "both": {"bidirectional": True},
}
every_way = pytest.mark.parametrize("way", WAYS)


def tagger(way, cell=None) -> tuple[Any, Any]:
    model = SequenceTagger(
        cell or nets.gru(), FEATURES, CLASSES, vocabulary=SYMBOLS, **WAYS[way]
    )
    return model, model.init(jax.random.key(1), TOKENS)


@every_way
def test_it_is_an_embedding_a_layer_and_a_dense_layer(way):
    model, variables = tagger(way)
    params = variables["params"]
    vectors = time_first(params["embed"]["embedding"][TOKENS])
    if way == "both":
        layer = nets.bidirectional(nets.gru())
        _, ys = layer.apply(params["recurrent"]["cells"], vectors)
    else:
        own = params["recurrent"]["cell"]
        _, ys = nets.unroll(nets.gru(), own, vectors, reverse=way == "backward")
    dense = params["dense"]
    expected = batch_first(ys) @ dense["kernel"] + dense["bias"][None, None]
    _, logits = model.apply(variables, TOKENS)
    chex.assert_trees_all_close(logits, expected, rtol=1e-5)


@every_way
def test_each_label_depends_on_the_inputs_of_its_directions(way):
    model, variables = tagger(way)
    _, before = model.apply(variables, TOKENS)
    changed = TOKENS.at[:, 3].set((TOKENS[:, 3] + 1) % SYMBOLS)
    _, after = model.apply(variables, changed)
    differs = np.abs(after - before).max(axis=(0, 2)) > 0
    knows = {"forward": [0, 0, 0, 1, 1, 1], "backward": [1, 1, 1, 1, 0, 0]}
    assert differs.tolist() == knows.get(way, [1] * TIME)


@every_way
def test_padding_changes_no_number(way):
    model, variables = tagger(way)
    _, padded = model.apply(variables, TOKENS, lengths=jnp.array([4, 6]))
    _, cut = model.apply(variables, TOKENS[:1, :4])
    chex.assert_trees_all_close(padded[:1, :4], cut, rtol=1e-5)


def test_it_continues_from_a_state():
    model, variables = tagger("forward", nets.lstm())
    _, whole = model.apply(variables, TOKENS)
    state, first = model.apply(variables, TOKENS[:, :2])
    _, rest = model.apply(variables, TOKENS[:, 2:], state)
    chex.assert_trees_all_close(jnp.concatenate([first, rest], 1), whole, rtol=1e-5)


def test_numbers_need_no_vocabulary():
    xs = jnp.ones((2, TIME, 7))
    model = SequenceTagger(nets.elman(), FEATURES, CLASSES)
    (_, logits), variables = model.init_with_output(jax.random.key(0), xs)
    assert logits.shape == (2, TIME, CLASSES)
    assert set(variables["params"]) == {"recurrent", "dense"}


def test_it_reads_one_way_back_or_both():
    model = SequenceTagger(nets.gru(), 2, 2, bidirectional=True, reverse=True)
    with pytest.raises(ValueError, match="expected bidirectional or reverse; got both"):
        model.init(jax.random.key(0), jnp.ones((1, 3, 2)))


def test_cells_of_images_are_refused():
    model = SequenceTagger(nets.conv_lstm(), 2, 2)
    with pytest.raises(ValueError, match="a cell that reads vectors"):
        model.init(jax.random.key(0), jnp.ones((1, 3, 4, 4, 2)))
