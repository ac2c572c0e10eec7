"""Locate the first number of a training run that is not finite."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from train.step import LossFn, Params, TrainState


class NonFiniteError(ArithmeticError):
    """A loss, a gradient or a parameter is infinite or NaN.

    Attributes:
        step: Step, counted from 1.
        seed: Seed of the model.
        tensor: Name of the array.
    """

    def __init__(self, step: int, seed: int, tensor: str):
        self.step, self.seed, self.tensor = step, seed, tensor
        super().__init__(
            f"step {step}, seed {seed}: {tensor} is not finite; a smaller learning "
            "rate or a smaller clip norm may help"
        )


def check_parameters(params: Params, steps: int, seeds: Sequence[int]) -> None:
    """Raise an error if the parameters are not finite after the last update.

    Args:
        params: Parameters after training, a tree of arrays [seeds, ...].
        steps: Number of steps taken.
        seeds: As in `train.fit`.

    Raises:
        NonFiniteError: A parameter is not finite.
    """
    for i, seed in enumerate(seeds):
        last = jax.tree.map(operator.itemgetter(i), params)
        if name := not_finite("the parameter", last):
            raise NonFiniteError(steps, seed, name)


def locate_nonfinite(
    step: Callable[..., Any],
    loss_fn: LossFn,
    states: Any,
    order: Any,
    data: PyTree,
    good: int,
    seeds: Sequence[int],
) -> NonFiniteError:
    """Repeat the finite steps, and find the array that is not finite in the next step.

    Only a failed run pays for this: the compiled program of `train.fit` returns just
    the loss and the norm of the gradient.

    Args:
        step: `states, metrics = step(states, indices, data)`, one step of all models.
        loss_fn: As in `train.fit`.
        states: States of all models before the first of the steps.
        order: Indices of the examples, [steps, seeds, batch_size].
        data: As in `train.fit`.
        good: Number of steps before the one that is not finite.
        seeds: As in `train.fit`.

    Returns:
        A `NonFiniteError`, to be raised.
    """
    every_seed = jax.jit(step)
    for indices in order[:good]:
        states, _ = every_seed(states, indices, data)
    _, metrics = every_seed(states, order[good], data)
    finite = jnp.isfinite(metrics.loss) & jnp.isfinite(metrics.gradient_norm)
    worst = int(jnp.argmin(finite))
    state: TrainState = jax.tree.map(operator.itemgetter(worst), states)
    batch = jax.tree.map(lambda array: array[order[good, worst]], data)
    key = jax.random.fold_in(state.key, state.step)
    loss, gradient = jax.value_and_grad(loss_fn)(state.params, batch, key)
    name = (
        not_finite("the data", batch)
        or not_finite("the parameter", state.params)
        or not_finite("the loss", loss)
        or not_finite("the gradient of", gradient)
        or "the norm of the gradient"
    )
    return NonFiniteError(int(state.step) + 1, seeds[worst], name)


def not_finite(kind: str, tree: PyTree) -> str | None:
    """Name of the first array in a tree that is not finite.

    Args:
        kind: Text before the name.
        tree: Any tree of arrays.

    Returns:
        The kind and the name; None if all arrays are finite.

    Example:
        >>> not_finite("the parameter", {"w": jnp.array(jnp.inf), "b": jnp.zeros(2)})
        'the parameter w'
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not bool(jnp.isfinite(leaf).all()):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            return f"{kind} {name}".strip()
    return None
