"""Iterations, exponents and gradients along the trajectories of a network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness import probing, training
from experiments.harness.probing import Sequences
from experiments.parallel.config import Config
from experiments.parallel.records import METHODS, Measured, Solved
from nets import flow
from nets.flow.decay import norms_of
from nets.models import SequenceClassifier
from train.data import digits

INPUTS, TIME = 1, 64  # of a digit


def load(config: Config) -> tuple[Sequences, Sequences]:
    """Digits as 64 pixels: the set to train on, and the set to measure on."""
    halves = training.parts(digits.load(), config)
    training.check(config, len(halves[0].labels), "digits")
    train, test = (
        (
            jnp.asarray(digits.as_sequences(half.images, "pixels")),
            jnp.asarray(half.labels),
        )
        for half in halves
    )
    return train, test


def joined(test: Sequences, length: int, count: int) -> tuple[Array, Array]:
    """Long sequences of held-out examples, one after another.

    Args:
        test: Examples [examples, time, inputs], and their labels.
        length: Steps of a long sequence. Its end is the end of an example.
        count: Number of long sequences.

    Returns:
        Sequences [count, length, inputs], and the label of the last example in each.

    Example:
        >>> xs, labels = jnp.arange(12.0).reshape(3, 4, 1), jnp.array([5, 6, 7])
        >>> long, last = joined((xs, labels), 6, 1)
        >>> long[0, :, 0].tolist(), last.tolist()
        ([2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [6])
    """
    xs, labels = test[0], test[1]
    assert isinstance(xs, jax.Array | np.ndarray)
    each = -(-length // xs.shape[1])
    places = np.arange(count * each) % len(xs)
    long = xs[places].reshape(count, -1, xs.shape[2])[:, -length:]
    return jnp.asarray(long), jnp.asarray(labels[places].reshape(count, each)[:, -1])


def measurer(model: SequenceClassifier, max_iterations: int) -> Any:
    """A jitted function of the parameters of many networks, one network after another.

    Args:
        model: The network.
        max_iterations: Iterations after which a solver has not converged.

    Returns:
        Function of parameters [rows, ...], sequences [rows, time, inputs] and labels
        [rows], which returns `Measured` arrays [rows].
    """
    cell = model.cell

    def measure(params, xs, label):
        own, xs = probing.layer_params(model, params), xs[:, None]
        spectrum = flow.lyapunov_spectrum(cell, own, xs, count=1)

        def loss(state, ys):
            return probing.loss_of_outputs(model, params, ys, label[None])

        _, gradients = flow.state_gradients(cell, own, xs, loss)
        states, _ = nets.unroll(cell, own, xs, all_states=True)
        ends = []
        for method in METHODS:
            solver = nets.ParallelSolver(method, max_iterations=max_iterations)
            solution, solve = nets.solve_states(cell, own, xs, solver=solver)
            solved: Any = (*solve, distance(solution, states))  # still traced
            ends.append(Solved(*solved))
        decay: Any = flow.decay_rate(norms_of(gradients))[0]
        return Measured(spectrum.exponents[0, 0], decay, *ends)

    return jax.jit(lambda *rows: jax.lax.map(lambda row: measure(*row), rows))


def distance(states: Any, reference: Any) -> Float[Array, ""]:
    """Largest distance of states, relative to the largest state.

    Args:
        states: Tree of arrays.
        reference: Tree of the same structure.

    Returns:
        A number; infinity where a state is not finite.

    Example:
        >>> distance([jnp.array([1.0, 4.0])], [jnp.array([2.0, 4.0])]).item()
        0.25
    """
    pairs = list(zip(jax.tree.leaves(states), jax.tree.leaves(reference), strict=True))
    apart = jnp.stack([jnp.abs(s - r).max() for s, r in pairs]).max()
    size = jnp.stack([jnp.abs(r).max() for _, r in pairs]).max()
    relative = apart / jnp.where(size == 0, 1, size)
    return jnp.where(jnp.isfinite(relative), relative, jnp.inf)


def row_of(measured: Measured, place: int) -> Measured:
    """The numbers of one trajectory.

    Args:
        measured: Arrays of many trajectories.
        place: Index.

    Returns:
        Numbers.
    """
    return jax.tree.map(lambda values: np.asarray(values)[place], measured)
