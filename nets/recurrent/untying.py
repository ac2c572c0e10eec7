"""Separate parameters for each step."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from nets.types import Params


def untied_params(
    params: Params, time: int
) -> tuple[list[Array | None], Callable[[Sequence[Array | None]], Params]]:
    """Parameters with an axis of time, as inputs of a scan.

    Args:
        params: A tree whose floats have the shape [time, ...]. Other entries are shared
            by all steps.
        time: Number of steps.

    Returns:
        The floats, a list with None in place of shared entries; and a function that
        returns the parameters of a step from the entries of that step in the list.

    Raises:
        ValueError: There are no steps, or a float has no axis of time.

    Example:
        >>> by_step, at_step = untied_params({"w": jnp.ones((5, 2)), "count": 3}, 5)
        >>> at_step([None if p is None else p[0] for p in by_step])["w"].shape
        (2,)
    """
    leaves, tree = jax.tree.flatten(params)
    by_step = [leaf if _is_float(leaf) else None for leaf in leaves]
    shapes = [list(leaf.shape) for leaf in by_step if leaf is not None]
    if not time or any(shape[:1] != [time] for shape in shapes):
        raise ValueError(
            f"expected untied parameters [time, ...] of {time} steps, at least 1; got "
            f"shapes {shapes}"
        )

    def at_step(varying):
        pairs = zip(leaves, varying, strict=True)
        return jax.tree.unflatten(
            tree, [shared if leaf is None else leaf for shared, leaf in pairs]
        )

    return by_step, at_step


def _is_float(leaf: Any) -> bool:
    """True for an array of real or complex numbers."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)
