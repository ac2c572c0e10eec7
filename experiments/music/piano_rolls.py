"""Models of the next step of a piano roll: recurrent networks, and two baselines."""

import bisect
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

import nets
from experiments.harness import training
from nets.models import SequenceTagger
from train.data.chorales import KEYS, Pieces


def frequencies(pieces: Pieces) -> Float[np.ndarray, " 88"]:
    """Frequency of each key with Laplace's rule, which never gives 0 or 1."""
    steps = int(pieces.lengths.sum())
    return (pieces.rolls.sum(axis=(0, 1), dtype=float) + 1) / (steps + 2)


def floors(train: Pieces, test: Pieces) -> dict[str, float]:
    """Losses of two baselines on the test pieces.

        independent:  p_k = (steps in which k sounds + 1) / (steps + 2)
        markov:       the same, given whether k sounded at the step before

    Returns:
        Nats per step (the sum over keys), the mean over all steps but the first of each
        piece.
    """
    before, now = pairs(train)
    p = frequencies(train)
    on = ((before * now).sum(axis=0) + 1) / (before.sum(axis=0) + 2)
    off = ((1 - before) * now).sum(axis=0) + 1
    off = off / ((1 - before).sum(axis=0) + 2)
    previous, target = pairs(test)
    predictions = {"independent": p[None], "markov": np.where(previous == 1, on, off)}
    return {
        name: float(-np.log(np.where(target == 1, p, 1 - p)).sum(axis=1).mean())
        for name, p in predictions.items()
    }


def pairs(pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """All steps but the last of each piece, and the step that follows each of them."""
    rolls = [
        roll[:n].astype(float)
        for roll, n in zip(pieces.rolls, pieces.lengths, strict=True)
    ]
    before = np.concatenate([roll[:-1] for roll in rolls])
    return before, np.concatenate([roll[1:] for roll in rolls])


def units(cell: nets.Cell, parameters: int) -> int:
    """Number of units that brings a network closest to a number of parameters.

    Example:
        >>> units(nets.elman(), 20_000), size(nets.elman(), 78)
        (78, 19978)
    """
    most = parameters // KEYS + 1  # with more, the dense layer alone is too large
    above = bisect.bisect_left(range(1, most), parameters, key=partial(size, cell)) + 1
    nearest = [features for features in (above - 1, above) if features]
    return min(nearest, key=lambda features: abs(size(cell, features) - parameters))


def size(cell: nets.Cell, features: int) -> int:
    """Number of parameters of a cell's network."""
    net = SequenceTagger(cell, features, KEYS)
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 1, KEYS)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def start(net: SequenceTagger, train: Pieces, seeds: list[int]) -> Any:
    """Initial parameters, one network per seed, whose bias predicts key frequencies.

    No training step is then spent on learning the frequencies.
    """
    params = training.start(net, jnp.asarray(train.rolls[:1, :1]), seeds)
    p = frequencies(train)
    dense = params["dense"]
    bias = jnp.asarray(np.log(p / (1 - p)), dense["bias"].dtype)
    bias = jnp.broadcast_to(bias, dense["bias"].shape)
    return {**params, "dense": {**dense, "bias": bias}}


def mean_nll(
    net: SequenceTagger, params: Any, pieces: Any, dropout: Array | None = None
) -> Array:
    """Mean over steps of -ln p(next keys), summed over keys, in nats.

    The mean is over all steps but the first of each piece, pooled over the pieces as in
    Bai et al., not over means of pieces.

    Args:
        net: Network that predicts the next step.
        params: Parameters of one seed.
        pieces: Rolls [pieces, time, 88] and lengths [pieces].
        dropout: Random key of dropout in training, else None.
    """
    rolls, lengths = pieces
    xs, following = rolls[:, :-1], rolls[:, 1:]
    rngs = None if dropout is None else {"dropout": dropout}
    _, logits = net.apply({"params": params}, xs, lengths=lengths - 1, rngs=rngs)
    costs = optax.sigmoid_binary_cross_entropy(cast(Array, logits), following)
    real = jnp.arange(xs.shape[1])[None] < lengths[:, None] - 1
    return jnp.where(real, costs.sum(axis=-1), 0).sum() / real.sum()


def sample(
    net: SequenceTagger,
    params: Any,
    prompt: Float[Array, "time 88"],
    key: Array,
    steps: int,
    temperature: float,
) -> Float[Array, "steps 88"]:
    """Sample step by step; keys are independent given all steps before.

    p_k = sigmoid(logit_k / temperature)
    """

    def predict(keys, state=None):
        state, logits = net.apply({"params": params}, keys, state)
        return state, cast(Array, logits)[-1]

    def draw(prediction, key):
        state, logits = prediction
        p = jax.nn.sigmoid(logits / temperature)
        keys = jax.random.bernoulli(key, p).astype(prompt.dtype)
        return predict(keys[None], state), keys

    @jax.jit
    def draw_all(key):
        keys = jax.random.split(key, steps)
        return jax.lax.scan(draw, predict(prompt), keys)[1]

    return draw_all(key)
