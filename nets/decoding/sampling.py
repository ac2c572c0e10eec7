"""Sampling from a model that predicts one token at a time."""

from collections.abc import Callable

import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, Integer, Key, Num

from nets.linear import wide
from nets.types import State


def sample(
    step: Callable[[State, Array], tuple[State, Array]],
    state: State,
    token: Integer[Array, "*batch"],
    length: int,
    key: Key[Array, ""],
    temperature: int | float | Num[Array, ""] = 1.0,
) -> tuple[State, Int[Array, "*batch length"]]:
    """Draw a sequence token by token; each token is the input of the next step.

        s_t, logits_t = step(s_{t-1}, y_{t-1})
        y_t ~ softmax(logits_t / temperature)

    At temperature 1 the tokens have the probabilities of the model. Below 1, probable
    tokens become more probable. At 0, sampling is greedy: y_t = argmax logits_t.

    The tokens do not depend on `length`: with the same key, a longer sample begins with
    the shorter one.

    Args:
        step: Function `state, logits = step(state, token)` of tokens [*batch], with
            logits [*batch, classes].
        state: State before the first step, any pytree of arrays.
        token: Token that the first step reads; it is not part of the sample. The
            returned tokens are int64 if this one is, otherwise int32, because a
            narrower type might not hold all of them.
        length: Number of tokens to draw, at least 1.
        key: PRNG key, from `jax.random.key`. The entries of the batch are drawn
            independently.
        temperature: Scalar, at least 0. It may be traced, e.g. by `jax.vmap`.

    Returns:
        The state after the last step, and the tokens y_1 ... y_length. To continue the
        sequence, pass the state and the last token to a second call, with a new key.

    Raises:
        ValueError: `length` is less than 1, `temperature` is negative, or `token` does
            not have an integer dtype.

    Example:
        A Markov chain of three tokens: the next one follows with probability 0.9.

        >>> logits = jnp.log(0.05 + 0.85 * jnp.roll(jnp.eye(3), 1, axis=1))
        >>> step = lambda state, token: (state + 1, logits[token])
        >>> first, key = jnp.array(0), jax.random.key(0)
        >>> steps, tokens = sample(step, 0, first, 6, key, temperature=0)
        >>> steps.item(), tokens.tolist()
        (6, [1, 2, 0, 1, 2, 0])

    References:
        Ackley, Hinton and Sejnowski 1985, A learning algorithm for Boltzmann machines,
        https://doi.org/10.1207/s15516709cog0901_7
        Graves 2013, Generating sequences with recurrent neural networks,
        https://arxiv.org/abs/1308.0850
    """
    if length < 1:
        raise ValueError(f"expected a length of at least 1; got {length}")
    # The value of a traced temperature is unknown.
    if not isinstance(temperature, jax.core.Tracer) and not temperature >= 0:
        raise ValueError(f"expected a temperature of at least 0; got {temperature}")

    def body(carry, time):
        state, token = carry
        state, logits = step(state, token)
        drawn = _draw(jax.random.fold_in(key, time), logits, temperature)
        token = drawn.astype(token.dtype)
        return (state, token), token

    first = state, as_tokens("token", token)
    (state, _), tokens = jax.lax.scan(body, first, jnp.arange(length))
    return state, jnp.moveaxis(tokens, 0, -1)


def as_tokens(name: str, given: ArrayLike) -> Int[Array, "*batch"]:
    """Convert tokens of any integer dtype to int32, or to int64 if they are int64.

    Args:
        name: Name of the argument.
        given: Integers.

    Returns:
        Array of tokens.

    Raises:
        ValueError: `given` does not have an integer dtype.

    Example:
        >>> as_tokens("token", jnp.array([0, 255], "uint8")).dtype.name
        'int32'
    """
    tokens = jnp.asarray(given)
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise ValueError(f"expected {name} to be integers; got {tokens.dtype}")
    return tokens.astype(jnp.int64 if tokens.dtype.itemsize == 8 else jnp.int32)


def _draw(
    key: Key[Array, ""],
    logits: Float[Array, "*batch classes"],
    temperature: int | float | Num[Array, ""],
) -> Int[Array, "*batch"]:
    """Draw from softmax(logits / temperature); the argmax if temperature is 0."""
    # Uniform bfloat16 numbers are multiples of 1/128: among more than a few tokens many
    # would draw the same number, and the first of these would win.
    logits = wide(logits)
    temperature = jnp.asarray(temperature).astype(logits.dtype)
    cold = temperature == 0
    # Only differences of logits matter. Divided by a tiny temperature they are minus
    # infinity, except that of the most probable token, which is 0. So nothing becomes
    # NaN.
    ahead = logits - logits.max(axis=-1, keepdims=True)
    drawn = jax.random.categorical(key, ahead / jnp.where(cold, 1, temperature))
    return jnp.where(cold, logits.argmax(axis=-1), drawn)
