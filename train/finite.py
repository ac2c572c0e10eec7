"""Locate the first number of a training run that is not finite."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from train.step import LossFn, Params, TrainState


class NonFiniteError(ArithmeticError):
    """A loss, a gradient or a parameter is infinite or NaN.

    Attributes:
        step: Step, counted from 1.
        seed: Seed of the model.
        tensor: Name of the array.
        settings: Hyperparameters of the model, if they differ between models.
    """

    def __init__(
        self,
        step: int,
        seed: int,
        tensor: str,
        settings: Mapping[str, float] | None = None,
    ):
        self.step, self.seed, self.tensor = step, seed, tensor
        self.settings = dict(settings or {})
        member = [f"step {step}", f"seed {seed}"]
        member += [f"{name} {value:.4g}" for name, value in self.settings.items()]
        super().__init__(
            f"{', '.join(member)}: {tensor} is not finite; a smaller learning rate or "
            "a smaller clip norm may help"
        )

    def __reduce__(self):
        return type(self), (self.step, self.seed, self.tensor, self.settings)


def check_parameters(
    params: Params,
    steps: int,
    seeds: Sequence[int],
    hyperparameters: Mapping[str, Any] | None = None,
) -> None:
    """Raise an error if the parameters are not finite after the last update.

    Args:
        params: Parameters after training, a tree of arrays [members, ...].
        steps: Number of steps taken.
        seeds: As in `train.fit`.
        hyperparameters: As in `train.fit`.

    Raises:
        NonFiniteError: A parameter is not finite.
    """
    if all(map(np.all, jax.tree.leaves(_finite(params)))):
        return
    for i, seed in enumerate(seeds):
        last = jax.tree.map(operator.itemgetter(i), params)
        if name := not_finite("the parameter", last):
            raise NonFiniteError(steps, seed, name, settings_of(i, hyperparameters))


@jax.jit  # one small program, not several for each shape
def _finite(params):
    """Whether each array of a tree is finite."""
    return jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), params)


def settings_of(i: int, hyperparameters: Mapping[str, Any] | None) -> dict[str, float]:
    """The hyperparameters of a member.

    Args:
        i: Index of the member.
        hyperparameters: As in `train.fit`.

    Returns:
        A number for each name.

    Example:
        >>> settings_of(1, {"learning_rate": [0.5, 2.0]})
        {'learning_rate': 2.0}
    """
    return {name: float(values[i]) for name, values in (hyperparameters or {}).items()}


def tensor_not_finite(
    loss_fn: LossFn, state: TrainState, batch: PyTree, arguments: Mapping[str, Any]
) -> str:
    """Name of the first array of a step that is not finite.

    Only a step that failed pays for this: the compiled program of `train.fit` returns
    just the loss and the norm of the gradient.

    Args:
        loss_fn: As in `train.fit`.
        state: State of one model before the step.
        batch: Examples of the step.
        arguments: Keyword arguments of the loss.

    Returns:
        The name, in words.
    """
    key = jax.random.fold_in(state.key, state.step)
    loss, gradient = jax.value_and_grad(loss_fn)(state.params, batch, key, **arguments)
    return (
        not_finite("the data", batch)
        or not_finite("the parameter", state.params)
        or not_finite("the loss", loss)
        or not_finite("the gradient of", gradient)
        or not_finite("the norm of the gradient", optax.tree.norm(gradient))
        or "the update"
    )


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
