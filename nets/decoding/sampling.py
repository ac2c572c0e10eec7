"""Sampling: a model that says one symbol after another, by its own probabilities."""

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
    """One to many: each symbol is drawn, and is what the next step is given.

        s_t, logits_t = step(s_{t-1}, y_{t-1})
        y_t ~ softmax(logits_t / temperature)

    At temperature 1 these are the model's own probabilities. Below it the likely
    symbols become likelier; at 0 it is always the likeliest, argmax logits_t.

    The symbols do not depend on how many follow: with the same key a longer sample
    begins like a shorter one.

    Args:
        step: `state, logits = step(state, token)` of tokens [*batch], with logits
            [*batch, classes].
        state: Before the first step, any tree of arrays.
        token: The symbol that the first step is given; it is no part of the sample.
            Symbols are int32, or int64 if it is: a smaller type might not hold all.
        length: How many symbols to draw, at least 1.
        key: A key of `jax.random.key`; each place of the batch draws for itself.
        temperature: One number, at least 0; it may be traced, and so be mapped over.

    Returns:
        The state after the last step, and the symbols y_1 ... y_length. To go on, give
        both the state and the last symbol to another call, with another key.

    Raises:
        ValueError: `length` is below 1, or `temperature` below 0, or `token` is not of
            integers.

    Example:
        A chain that goes from each of three symbols to the next, nine times in ten.

        >>> logits = jnp.log(0.05 + 0.85 * jnp.roll(jnp.eye(3), 1, axis=1))
        >>> step = lambda state, token: (state + 1, logits[token])
        >>> start, key = jnp.array(0), jax.random.key(0)
        >>> steps, tokens = sample(step, 0, start, 6, key, temperature=0)
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
    # Of a traced temperature nothing is known yet.
    if not isinstance(temperature, jax.core.Tracer) and not temperature >= 0:
        raise ValueError(f"expected a temperature of at least 0; got {temperature}")

    def body(carry, time):
        state, token = carry
        state, logits = step(state, token)
        drawn = _draw(jax.random.fold_in(key, time), logits, temperature)
        token = drawn.astype(token.dtype)
        return (state, token), token

    first = state, as_symbols("token", token)
    (state, _), tokens = jax.lax.scan(body, first, jnp.arange(length))
    return state, jnp.moveaxis(tokens, 0, -1)


def as_symbols(name: str, given: ArrayLike) -> Int[Array, "*batch"]:
    """Symbols as int32, or int64 if they are, whatever type of integer they have.

    Args:
        name: Name of the argument.
        given: Integers.

    Returns:
        An array of them.

    Raises:
        ValueError: They are not integers.

    Example:
        >>> as_symbols("start", jnp.array([0, 255], "uint8")).dtype.name
        'int32'
    """
    symbols = jnp.asarray(given)
    if not jnp.issubdtype(symbols.dtype, jnp.integer):
        raise ValueError(f"expected {name} to be integers; got {symbols.dtype}")
    return symbols.astype(jnp.int64 if symbols.dtype.itemsize == 8 else jnp.int32)


def _draw(
    key: Key[Array, ""],
    logits: Float[Array, "*batch classes"],
    temperature: int | float | Num[Array, ""],
) -> Int[Array, "*batch"]:
    """A symbol by softmax(logits / temperature); the likeliest if that is 0."""
    # Uniform numbers of bfloat16 are multiples of 1/128: among more than a few symbols
    # many would draw the same one, and the first would win.
    logits = wide(logits)
    temperature = jnp.asarray(temperature).astype(logits.dtype)
    cold = temperature == 0
    # Only differences count. Divided by little they are minus infinity, but for the
    # likeliest's, which is 0: nothing overflows to what is no number.
    ahead = logits - logits.max(axis=-1, keepdims=True)
    drawn = jax.random.categorical(key, ahead / jnp.where(cold, 1, temperature))
    return jnp.where(cold, logits.argmax(axis=-1), drawn)
