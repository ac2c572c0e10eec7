"""What nets, and less than nets, say of the next step of a piano roll."""

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
    """How often each key sounds, by Laplace's rule: never 0 and never 1."""
    steps = int(pieces.lengths.sum())
    return (pieces.rolls.sum(axis=(0, 1), dtype=float) + 1) / (steps + 2)


def floors(train: Pieces, test: Pieces) -> dict[str, float]:
    """What a step of the test pieces costs those who hear no more than a step.

        independent:  p_k = (steps in which k sounds + 1) / (steps + 2)
        markov:       p_k given whether k sounded the step before, likewise

    Returns:
        Nats a step, the sum over keys, over all steps but the first of each piece.
    """
    before, now = pairs(train)
    p = frequencies(train)
    on = ((before * now).sum(axis=0) + 1) / (before.sum(axis=0) + 2)
    off = ((1 - before) * now).sum(axis=0) + 1
    off = off / ((1 - before).sum(axis=0) + 2)
    heard, comes = pairs(test)
    said = {"independent": p[None], "markov": np.where(heard == 1, on, off)}
    return {
        name: float(-np.log(np.where(comes == 1, p, 1 - p)).sum(axis=1).mean())
        for name, p in said.items()
    }


def pairs(pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """All steps but the last of each piece, and those that follow them."""
    rolls = [
        roll[:n].astype(float)
        for roll, n in zip(pieces.rolls, pieces.lengths, strict=True)
    ]
    before = np.concatenate([roll[:-1] for roll in rolls])
    return before, np.concatenate([roll[1:] for roll in rolls])


def units(cell: nets.Cell, parameters: int) -> int:
    """With how many units a net's parameters come nearest to a number.

    Example:
        >>> units(nets.elman(), 20_000), size(nets.elman(), 78)
        (78, 19978)
    """
    most = parameters // KEYS + 1  # with more the dense layer alone is too large
    above = bisect.bisect_left(range(1, most), parameters, key=partial(size, cell)) + 1
    nearest = [features for features in (above - 1, above) if features]
    return min(nearest, key=lambda features: abs(size(cell, features) - parameters))


def size(cell: nets.Cell, features: int) -> int:
    """How many parameters the net of a cell has."""
    net = SequenceTagger(cell, features, KEYS)
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 1, KEYS)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def start(net: SequenceTagger, train: Pieces, seeds: list[int]) -> Any:
    """One net a seed, whose dense bias says how frequent each key is.

    So that no step is spent on learning it; what weights add at first is small.
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
    """What a step costs on average: -ln p(the next keys), their sum, in nats.

    Averaged over all steps but the first of each piece, as Bai et al. do, not first
    over those of a piece.

    Args:
        net: Of `model`.
        params: Of one seed.
        pieces: Rolls [pieces, time, 88] and lengths [pieces].
        dropout: A key, in training.
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
    beginning: Float[Array, "time 88"],
    key: Array,
    steps: int,
    temperature: float,
) -> Float[Array, "steps 88"]:
    """Keys drawn one step after another, each independently given all steps before.

    p_k = sigmoid(logit_k / temperature)
    """

    def hear(keys, state=None):
        state, logits = net.apply({"params": params}, keys, state)
        return state, cast(Array, logits)[-1]

    def draw(heard, key):
        state, logits = heard
        p = jax.nn.sigmoid(logits / temperature)
        keys = jax.random.bernoulli(key, p).astype(beginning.dtype)
        return hear(keys[None], state), keys

    @jax.jit
    def draw_all(key):
        keys = jax.random.split(key, steps)
        return jax.lax.scan(draw, hear(beginning), keys)[1]

    return draw_all(key)
