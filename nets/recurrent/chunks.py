"""Scan in chunks of steps, which checkpoints or truncates the backward pass."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from nets.recurrent.scanning import scan
from nets.types import State


def scan_in_chunks(
    body: Callable[[State, Any], tuple[State, Any]],
    state: State,
    inputs: PyTree,
    reverse: bool,
    remat: bool,
    truncate: int | None,
) -> tuple[State, Any]:
    """`jax.lax.scan` over chunks of steps; the chunk that is read last may be shorter.

    With `remat` the backward pass keeps the states between chunks and the values inside
    one chunk. Memory is minimal if both numbers are sqrt(time).

    Args:
        body: `state, out = body(state, x)`, the body of a `jax.lax.scan`.
        state: Initial state.
        inputs: Arrays [time, ...] of at least one step.
        reverse: Read from the last step to the first.
        remat: Recompute the values inside a chunk in the backward pass.
        truncate: Number of steps in a chunk, after each of which the gradient by the
            state is stopped. None stops no gradient, in chunks of about sqrt(time).

    Returns:
        The last state, and the outputs [time, ...].

    Example:
        >>> body = lambda s, x: (s + x, s)
        >>> state, out = scan_in_chunks(body, 0.0, jnp.ones(5), False, True, None)
        >>> float(state), out.tolist()
        (5.0, [0.0, 1.0, 2.0, 3.0, 4.0])
    """
    time = jax.tree.leaves(inputs)[0].shape[0]
    chunk = truncate or root(time)
    count, rest = divmod(time, chunk)

    def run(state, part, first):
        if truncate:  # between chunks, but not before the first chunk
            state = jax.tree.map(
                lambda s: jnp.where(first, s, jax.lax.stop_gradient(s)), state
            )
        return scan(body, state, part, reverse=reverse)

    if remat:
        run = jax.checkpoint(run, prevent_cse=False)

    cut = rest if reverse else count * chunk
    head = jax.tree.map(lambda x: x[:cut], inputs)
    tail = jax.tree.map(lambda x: x[cut:], inputs)
    last, most = (head, tail) if reverse else (tail, head)
    most = jax.tree.map(lambda x: x.reshape(count, chunk, *x.shape[1:]), most)
    index = jnp.arange(count)
    firsts = index == (count - 1 if reverse else 0)
    state, out = jax.lax.scan(
        lambda state, part: run(state, *part), state, (most, firsts), reverse=reverse
    )
    out = jax.tree.map(lambda y: y.reshape(count * chunk, *y.shape[2:]), out)
    if not rest:
        return state, out
    state, more = run(state, last, jnp.asarray(count == 0))
    parts = (more, out) if reverse else (out, more)
    return state, jax.tree.map(lambda *ys: jnp.concatenate(ys), *parts)


def root(time: int) -> int:
    """About sqrt(time): a divisor of time if there is one nearby.

    Otherwise the remainder is a second scan, whose inputs and outputs are copied.

    Args:
        time: Number of steps.

    Returns:
        Number of steps in a chunk.

    Example:
        >>> root(100), root(1000)
        (10, 25)
    """
    root = max(1, math.isqrt(time))
    near = [n for n in range(root // 2 + 1, root + 1) if time % n == 0]
    return max(near, default=root)
