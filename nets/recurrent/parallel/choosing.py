"""The rule of `nets.unroll(parallel="auto")`.

A loop takes T steps. A solver takes a number of iterations that depends on the largest
Lyapunov exponent: few where differences of the state shrink fast, up to T where they
grow. The rule compares seconds that a model of the device predicts.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from nets.recurrent.parallel.options import LARGEST, ParallelSolver
from nets.recurrent.parallel.steps import Steps, steps_of
from nets.recurrent.state_vectors import as_state, as_vector
from nets.types import Cell, State

# Fitted to `python -m experiments.throughput --what=parallel` on an NVIDIA H200: a GRU
# of 1, 8 and 32 units, 16 sequences of 1,000 to 100,000 steps. On 7 sizes that they
# were not fitted to (16 and 64 units, 300,000 steps), the rule chose the faster of the
# loop and Newton each time. Iterations are fitted to Elman, GRU and LSTM at 7 gains.
STEP = 3e-6  # seconds of a step of the loop: launches of its kernels
LEVEL = 1e-5  # seconds of a level of the associative scan: launches of its kernels
BYTES = 1e11  # bytes of Jacobians that an iteration processes in a second
DIAGONAL = 0.5  # time of an iteration with the diagonal, per time of one with all
NEWTON = 0.3  # iterations of Newton's method: 2 + NEWTON / exponent^2
QUASI = 10.0  # iterations with the diagonal: 2 + QUASI / -exponent
LEAST = {"newton": 2, "quasi": 10}  # iterations at the best, from which a method pays
STEPS = 128  # steps from which the exponent is estimated


class Sizes(NamedTuple):
    """Sizes of a recurrence.

    Attributes:
        time: Number of steps.
        batch: Number of sequences.
        state: Number n of coordinates of the state.
        block: Size of the blocks of the Jacobian.
    """

    time: int
    batch: int
    state: int
    block: int


def has_launches() -> bool:
    """True on an accelerator, where each step of a loop launches kernels.

    Returns:
        False on a processor, where a loop does the least work and nearly always wins.

    Example:
        >>> has_launches() == (jax.default_backend() != "cpu")
        True
    """
    return jax.default_backend() != "cpu"


def associative_if_linear(
    parallel: bool | ParallelSolver, cell: Cell, plain: bool
) -> bool | ParallelSolver:
    """Replace "auto" by the associative scan, or the loop, of a linear cell.

    Args:
        parallel: As in `nets.unroll`.
        cell: Any `Cell`.
        plain: True without noise, perturbations and untied parameters.

    Returns:
        True or False for "auto" and a cell that is linear in its state, or `parallel`.

    Example:
        >>> import nets
        >>> auto = ParallelSolver("auto")
        >>> associative_if_linear(auto, nets.lru(), True) == has_launches()
        True
    """
    auto = isinstance(parallel, ParallelSolver) and parallel.method == "auto"
    return has_launches() if auto and plain and cell.linear is not None else parallel


def sizes_of(steps: Steps, first: list[Array], xs: list[Array]) -> Sizes | None:
    """Sizes of a recurrence.

    Args:
        steps: The steps.
        first: State before the first step.
        xs: Inputs, [time, ...].

    Returns:
        The sizes; None if the batch is symbolic.
    """
    *batch, n = jax.eval_shape(lambda s: as_vector(s, steps.batch_axes), first).shape
    time = xs[0].shape[0]
    if not all(isinstance(size, int) for size in batch):
        return None
    return Sizes(time, math.prod(batch), n, steps.block)


def loop_seconds(sizes: Sizes) -> float:
    """Predicted seconds of the loop.

    Args:
        sizes: Sizes of the recurrence.

    Returns:
        Seconds on an accelerator.

    Example:
        >>> loop_seconds(Sizes(1000, 1, 8, 8))
        0.003
    """
    return STEP * sizes.time


def iteration_seconds(method: str, sizes: Sizes) -> float:
    """Predicted seconds of an iteration of a solver.

    Args:
        method: "newton" or "quasi".
        sizes: Sizes of the recurrence.

    Returns:
        Seconds on an accelerator; infinity if the Jacobians do not fit into memory.

    Example:
        >>> sizes = Sizes(1024, 1, 8, 8)
        >>> iteration_seconds("newton", sizes) < loop_seconds(sizes)
        True
    """
    time, batch, n, block = sizes
    quasi = method == "quasi"
    if 4 * time * batch * n * (1 if quasi else block) > LARGEST:
        return math.inf
    # The diagonal is that of all columns, which are not kept.
    columns = 4 * time * batch * n * block / BYTES * (DIAGONAL if quasi else 1)
    return LEVEL * math.log2(max(2, time)) + columns


def candidates(sizes: Sizes) -> list[str]:
    """Solvers that are faster than the loop if they converge fast.

    Args:
        sizes: Sizes of the recurrence.

    Returns:
        Names of methods; none on a processor.

    Example:
        >>> candidates(Sizes(8, 1, 8, 8))
        []
    """
    if not has_launches():
        return []
    # If the Jacobian is diagonal, both methods are the same.
    methods = ("newton",) if sizes.block == 1 else ("newton", "quasi")
    limit = loop_seconds(sizes)
    return [m for m in methods if LEAST[m] * iteration_seconds(m, sizes) < limit]


def most_iterations(method: str, sizes: Sizes) -> int:
    """Number of iterations that take as long as the loop.

    After that many iterations a solver gives up, so the wrong choice at most doubles
    the time.

    Args:
        method: A candidate.
        sizes: Sizes of the recurrence.

    Returns:
        A number from 1 to the number of steps.

    Example:
        >>> most_iterations("newton", Sizes(100_000, 1, 1, 1))
        1763
    """
    ratio = loop_seconds(sizes) / iteration_seconds(method, sizes)
    return max(1, min(sizes.time, int(ratio)))


def any_candidate(
    body: Callable[..., Any], state: State, inputs: PyTree, batch_axes: int
) -> bool:
    """Check for a solver that may be faster than the loop.

    Args:
        body: `state, out = body(state, x)`, the body of a scan.
        state: Initial state.
        inputs: Arrays [time, ...].
        batch_axes: Number of batch axes.

    Returns:
        True if there is one. Integers in the state need a loop.

    Example:
        >>> any_candidate(lambda s, x: (s + x,) * 2, jnp.zeros(2), jnp.ones((9, 2)), 0)
        False
    """
    leaves, xs = jax.tree.leaves(state), jax.tree.leaves(inputs)
    real = all(jnp.issubdtype(s.dtype, jnp.inexact) for s in leaves)
    if not has_launches() or not real:
        return False
    steps, _ = steps_of(body, state, inputs, batch_axes)
    sizes = sizes_of(steps, leaves, xs)
    return sizes is not None and bool(candidates(sizes))


def choice(
    exponent: Float[Array, ""], methods: list[str], sizes: Sizes
) -> Int[Array, ""]:
    """The fastest method at an exponent.

    Args:
        exponent: Largest Lyapunov exponent.
        methods: The candidates.
        sizes: Sizes of the recurrence.

    Returns:
        0 for the loop, 1 for the first candidate, and so on.

    Example:
        >>> sizes = Sizes(100_000, 1, 1, 1)
        >>> [choice(jnp.array(e), ["newton"], sizes).item() for e in (-1.0, 0.1)]
        [1, 0]
    """
    rate = jnp.maximum(-exponent, 1e-6)
    iterations = {"newton": 2 + NEWTON / rate**2, "quasi": 2 + QUASI / rate}
    seconds = [
        iterations[method] * iteration_seconds(method, sizes) for method in methods
    ]
    return jnp.argmin(jnp.stack([jnp.asarray(loop_seconds(sizes)), *seconds]))


def largest_exponent(
    steps: Steps, consts: list[Array], first: list[Array], xs: list[Array]
) -> Float[Array, ""]:
    """Growth of a difference of the state over the first steps, in nats per step.

    Args:
        steps: The steps.
        consts: Constants of their program.
        first: State before the first step.
        xs: Inputs, [time, ...].

    Returns:
        The largest of the exponents of all sequences. Steps that leave the difference
        as it is, as padding does, do not count.
    """
    like = as_vector(first, steps.batch_axes)
    start = jax.random.normal(jax.random.key(0), like.shape, like.dtype)

    def body(carry, x):
        state, v = carry
        vector = as_vector(state, steps.batch_axes)

        def advance(vector):
            new, _ = steps.one(consts, as_state(vector, state), x)
            return as_vector(new, steps.batch_axes), new

        _, moved, new = jax.jvp(advance, [vector], [v], has_aux=True)
        size = jnp.linalg.norm(moved, axis=-1, keepdims=True)
        unit = jnp.where(size > 0, moved / jnp.where(size > 0, size, 1), v)
        return (new, unit), (jnp.log(size[..., 0]), (moved != v).any(axis=-1))

    start = start / jnp.linalg.norm(start, axis=-1, keepdims=True)
    part = jax.tree.map(lambda a: a[:STEPS], xs)
    _, (logs, counts) = jax.lax.scan(body, (first, start), part)
    total = jnp.where(counts, logs, 0).sum(axis=0)
    number = counts.sum(axis=0)
    means = total / jnp.maximum(number, 1).astype(total.dtype)
    return jnp.where(number > 0, means, -jnp.inf).max(initial=-jnp.inf)
