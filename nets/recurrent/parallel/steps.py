"""All steps of a recurrence at once, given the states before them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr
from jaxtyping import Array, Float

from nets.recurrent.linear_step import first_of
from nets.recurrent.parallel.structure import is_elementwise, parts_of
from nets.recurrent.state_vectors import as_state, as_vector
from nets.tracing.programs import program_of, run_program
from nets.types import State


class Steps(NamedTuple):
    """A step as a program that runs for all steps at once.

    Attributes:
        program: Jaxpr of the constants, the state and the input; its outputs are the
            new state and the output.
        states: Number of arrays in the state.
        tree: Structure of the new state and the output.
        batch_axes: Number of batch axes.
        block: Number of coordinates of the state that a block of the Jacobian couples:
            all n for a dense Jacobian, 1 for a diagonal one.
    """

    program: Jaxpr
    states: int
    tree: Any
    batch_axes: int
    block: int

    def one(self, consts, state, x) -> tuple[list[Any], list[Any]]:
        """New state and output of one step."""
        results = run_program(self.program, *consts, *state, *x)
        return results[: self.states], results[self.states :]

    def all(self, consts, before, xs) -> tuple[list[Any], list[Any]]:
        """New states and outputs of all steps, from the states before them."""
        return jax.vmap(lambda s, x: self.one(consts, s, x))(before, xs)

    def vectors(self, consts, before, xs) -> Callable[..., Any]:
        """New states as a function of the states before them, both as vectors.

        Args:
            consts: Constants of the program.
            before: States before each step, [time, *batch, ...], or their shapes. Only
                their integers are used.
            xs: Inputs of each step.

        Returns:
            A function of vectors [time, *batch, n].
        """
        return lambda v: self.vector(self.all(consts, as_state(v, before), xs)[0])

    def vector(self, states) -> Float[Array, "time *batch n"]:
        """States of all steps as vectors."""
        return as_vector(states, 1 + self.batch_axes)


def steps_of(
    body: Callable[..., Any], state: State, inputs: Any, batch_axes: int
) -> tuple[Steps, list[Any]]:
    """Trace the body of a scan.

    Args:
        body: `state, out = body(state, x)`.
        state: Initial state, [*batch, ...].
        inputs: Arrays [time, ...].
        batch_axes: Number of batch axes.

    Returns:
        The steps, and the arrays that the body reads besides state and input.

    Raises:
        TypeError: The new state is not like the state.

    Example:
        >>> w = jnp.ones(3)
        >>> body = lambda s, x: (jnp.tanh(w * s + x), x)
        >>> steps, consts = steps_of(body, jnp.zeros(3), jnp.ones((5, 3)), 0)
        >>> steps.block, len(consts)
        (1, 1)
    """
    program, consts, shapes, _ = program_of(body, state, first_of(inputs))
    like = jax.tree.map(lambda s: (jnp.shape(s), jnp.result_type(s)), state)
    if jax.tree.map(lambda s: (s.shape, s.dtype), shapes[0]) != like:
        # `jax.lax.scan` has a message for a state that changes its type.
        jax.eval_shape(lambda s, xs: jax.lax.scan(body, s, xs), state, inputs)
    leaves = jax.tree.leaves(state)
    vector = jax.eval_shape(lambda s: as_vector(s, batch_axes), leaves)
    block = vector.shape[-1]
    if is_elementwise(program, len(consts), len(leaves)):
        block = len(parts_of(leaves))
    tree = jax.tree.structure(shapes)
    return Steps(program, len(leaves), tree, batch_axes, block), consts


def before_each(first: Any, states: Any) -> Any:
    """States before each step, from the first state and the states after each step.

    Args:
        first: State before the first step.
        states: States after each step, [time, ...].

    Returns:
        Arrays [time, ...].

    Example:
        >>> before_each(jnp.array(1), jnp.array([2, 3, 4])).tolist()
        [1, 2, 3]
    """
    return jax.tree.map(lambda f, s: jnp.concatenate([f[None], s[:-1]]), first, states)


def in_windows(
    run: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    inputs: Any,
    window: int | None,
) -> tuple[Any, Any]:
    """Apply a function to one window of time after another.

    Args:
        run: `carry, out = run(carry, part)`, for a part of the inputs.
        carry: Its first argument in the first window.
        inputs: A tree of arrays [time, ...].
        window: Number of steps in a window; the last window may be shorter. None for
            one window.

    Returns:
        The last carry, and the outputs [time, ...].

    Example:
        >>> in_windows(lambda s, x: (s + x.sum(), x + s), 0.0, jnp.arange(5.0), 2)[1]
        Array([ 0.,  1.,  3.,  4., 10.], dtype=float32)
    """
    time = jax.tree.leaves(inputs)[0].shape[0]
    window = min(window or time, time)
    count, rest = divmod(time, window)
    if count == 1 and not rest:
        return run(carry, inputs)
    whole = time - rest
    most = jax.tree.map(
        lambda a: a[:whole].reshape(count, window, *a.shape[1:]), inputs
    )
    carry, out = jax.lax.scan(run, carry, most)
    out = jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), out)
    if not rest:
        return carry, out
    carry, last = run(carry, jax.tree.map(lambda a: a[whole:], inputs))
    return carry, jax.tree.map(lambda *parts: jnp.concatenate(parts), out, last)
