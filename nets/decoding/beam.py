"""Beam search: likely sequences out of a model that says one symbol after another."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer

from nets.decoding.sampling import as_symbols
from nets.linear import wide
from nets.types import State


class Beam(NamedTuple):
    """Sequences, the most probable first.

    Attributes:
        sequences: Symbols, [*batch, width, length].
        log_probabilities: Sum over each sequence, in nats, [*batch, width], float32 at
            the least, whatever the logits are; minus infinity beside what is no
            sequence, where there are fewer than `width`.
    """

    sequences: Int[Array, "*batch width length"]
    log_probabilities: Float[Array, "*batch width"]


def beam_search(
    step: Callable[[State, Array], tuple[State, Array]],
    state: State,
    start: Integer[Array, "*batch"],
    length: int,
    width: int,
) -> Beam:
    """The most probable sequences, of those that begin like the best so far.

        log p(y_0 ... y_t) = log p(y_0 ... y_{t-1}) + log_softmax(logits_t)[y_t]

    At each step every sequence of the beam goes on with every symbol, and the `width`
    best of all these stay. A beam of 1 is greedy: it takes the likeliest symbol each
    time. A beam of classes^(length - 1) misses nothing.

    All sequences have the same length: no symbol ends one early.

    Args:
        step: `state, logits = step(state, symbol)` of symbols [*batch], with logits
            [*batch, classes]. What all sequences of the beam share, as the encoder's
            outputs, belongs into the function rather than into the state.
        state: Before the first step, a tree of arrays [*batch, ...].
        start: The symbol that the first step is given. Symbols are int32, or int64 if
            it is: a smaller type might not hold all of them.
        length: How many symbols to write, at least 1.
        width: How many sequences to keep, at least 1.

    Returns:
        A `Beam`.

    Raises:
        ValueError: `length` or `width` is too small, or `start` is not of integers.

    Example:
        A Markov chain that begins at 2. Its likeliest first step, to 0, is no good
        start: two sequences see further than one.

        >>> p = jnp.array([[0.4, 0.3, 0.3], [0.0, 0.1, 0.9], [0.6, 0.4, 0.0]])
        >>> step = lambda state, symbol: (state, jnp.log(p)[symbol])
        >>> for width in (1, 2):
        ...     found = beam_search(step, (), jnp.array(2), length=2, width=width)
        ...     best, likely = found.sequences[0], jnp.exp(found.log_probabilities[0])
        ...     print(best.tolist(), f"{likely:.2f}")
        [0, 0] 0.24
        [1, 2] 0.36

    References:
        Graves 2012, Sequence transduction with recurrent neural networks,
        https://arxiv.org/abs/1211.3711
        Sutskever, Vinyals and Le 2014, Sequence to sequence learning with neural
        networks, https://arxiv.org/abs/1409.3215
    """
    if length < 1 or width < 1:
        raise ValueError(
            f"expected a length and a width of at least 1; got {length} and {width}"
        )
    start = as_symbols("start", start)
    axis = start.ndim  # of the beam
    every_step = jax.vmap(step, in_axes=axis, out_axes=axis)

    def spread(leaf):
        return jnp.repeat(jnp.expand_dims(leaf, axis), width, axis)

    def body(carry, _):
        state, symbols, scores = carry
        state, logits = every_step(state, symbols)
        # A sum over all steps, of numbers that are near each other.
        totals = scores[..., None] + jax.nn.log_softmax(wide(logits))
        scores, best = jax.lax.top_k(totals.reshape(*start.shape, -1), width)
        parents, symbols = jnp.divmod(best.astype(start.dtype), logits.shape[-1])
        state = jax.tree.map(lambda leaf: _pick(leaf, parents), state)
        return (state, symbols, scores), (parents, symbols)

    def trace_back(places, written):
        parents, symbols = written
        return _pick(parents, places), _pick(symbols, places)

    # At first there is one sequence, of nothing: the others are impossible.
    places = jnp.broadcast_to(
        jnp.arange(width, dtype=start.dtype), (*start.shape, width)
    )
    state, symbols = jax.tree.map(spread, state), spread(start)
    _, logits = jax.eval_shape(every_step, state, symbols)
    dtype = jax.eval_shape(wide, logits).dtype
    scores = jnp.where(places == 0, 0.0, -jnp.inf).astype(dtype)
    first = state, symbols, scores
    (_, _, scores), written = jax.lax.scan(body, first, length=length)
    _, symbols = jax.lax.scan(trace_back, places, written, reverse=True)
    return Beam(jnp.moveaxis(symbols, 0, -1), scores)


def _pick(leaf: Any, places: Int[Array, "*batch width"]) -> Array:
    """The entries of [*batch, width, ...] that stand at the places."""
    rest = leaf.ndim - places.ndim
    index = places.reshape(*places.shape, *(1,) * rest)
    return jnp.take_along_axis(leaf, index, axis=places.ndim - 1)
