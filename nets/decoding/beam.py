"""Beam search: probable sequences of a model that predicts one token at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer

from nets.decoding.sampling import as_tokens
from nets.linear import wide
from nets.types import State


class Beam(NamedTuple):
    """Sequences in order of decreasing probability.

    Attributes:
        sequences: Tokens, [*batch, width, length].
        log_probabilities: Log-probability of each sequence in nats, [*batch, width], at
            least float32 for any dtype of the logits. If there are fewer than `width`
            sequences, the remaining entries are minus infinity.
    """

    sequences: Int[Array, "*batch width length"]
    log_probabilities: Float[Array, "*batch width"]


def beam_search(
    step: Callable[[State, Array], tuple[State, Array]],
    state: State,
    token: Integer[Array, "*batch"],
    length: int,
    width: int,
) -> Beam:
    """Search for the most probable sequences, extending only the best prefixes.

        log p(y_0 ... y_t) = log p(y_0 ... y_{t-1}) + log_softmax(logits_t)[y_t]

    At each step every sequence of the beam is extended by every token, and the `width`
    most probable of all extensions are kept. A width of 1 is greedy decoding: it takes
    the most probable token at each step. A width of classes^(length - 1) is an
    exhaustive search.

    All sequences have the same length: there is no end token.

    Args:
        step: Function `state, logits = step(state, token)` of tokens [*batch], with
            logits [*batch, classes]. Arrays that all sequences of the beam share, e.g.
            the outputs of an encoder, belong in the function's closure, not in the
            state.
        state: State before the first step, a pytree of arrays [*batch, ...].
        token: Token that the first step reads. The returned tokens are int64 if this
            one is, otherwise int32, because a narrower type might not hold all of them.
        length: Number of tokens per sequence, at least 1.
        width: Number of sequences to keep, at least 1.

    Returns:
        A `Beam`.

    Raises:
        ValueError: `length` or `width` is less than 1, or `token` does not have an
            integer dtype.

    Example:
        A Markov chain that begins at 2. Its most probable first token, 0, is a bad
        start: a beam of two sequences finds a better one.

        >>> p = jnp.array([[0.4, 0.3, 0.3], [0.0, 0.1, 0.9], [0.6, 0.4, 0.0]])
        >>> step = lambda state, token: (state, jnp.log(p)[token])
        >>> for width in (1, 2):
        ...     beam = beam_search(step, (), jnp.array(2), length=2, width=width)
        ...     best, likely = beam.sequences[0], jnp.exp(beam.log_probabilities[0])
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
    token = as_tokens("token", token)
    axis = token.ndim  # of the beam
    every_step = jax.vmap(step, in_axes=axis, out_axes=axis)

    def spread(leaf):
        return jnp.repeat(jnp.expand_dims(leaf, axis), width, axis)

    def body(carry, _):
        state, tokens, scores = carry
        state, logits = every_step(state, tokens)
        # At least float32: a sum over all steps, of values that are close together.
        totals = scores[..., None] + jax.nn.log_softmax(wide(logits))
        scores, best = jax.lax.top_k(totals.reshape(*token.shape, -1), width)
        parents, tokens = jnp.divmod(best.astype(token.dtype), logits.shape[-1])
        state = jax.tree.map(lambda leaf: _pick(leaf, parents), state)
        return (state, tokens, scores), (parents, tokens)

    def trace_back(indices, history):
        parents, tokens = history
        return _pick(parents, indices), _pick(tokens, indices)

    # At first there is one sequence, the empty one; all others have probability 0.
    indices = jnp.broadcast_to(
        jnp.arange(width, dtype=token.dtype), (*token.shape, width)
    )
    state, tokens = jax.tree.map(spread, state), spread(token)
    _, logits = jax.eval_shape(every_step, state, tokens)
    dtype = jax.eval_shape(wide, logits).dtype
    scores = jnp.where(indices == 0, 0.0, -jnp.inf).astype(dtype)
    first = state, tokens, scores
    (_, _, scores), history = jax.lax.scan(body, first, length=length)
    _, tokens = jax.lax.scan(trace_back, indices, history, reverse=True)
    return Beam(jnp.moveaxis(tokens, 0, -1), scores)


def _pick(leaf: Any, indices: Int[Array, "*batch width"]) -> Array:
    """Select the entries of [*batch, width, ...] at the given indices."""
    rest = leaf.ndim - indices.ndim
    index = indices.reshape(*indices.shape, *(1,) * rest)
    return jnp.take_along_axis(leaf, index, axis=indices.ndim - 1)
