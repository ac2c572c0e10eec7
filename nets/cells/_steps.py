"""Steps of discretization that depend on the input: their bias and its start."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.types import KeyArray


def check_steps(step_min: float, step_max: float) -> None:
    """Raise an error unless 0 < step_min <= step_max."""
    if not 0 < step_min <= step_max:
        raise ValueError(
            f"expected 0 < step_min <= step_max; got {step_min} and {step_max}"
        )


def step_bias(
    key: KeyArray, count: int, step_min: float, step_max: float
) -> Float[Array, " count"]:
    """Draw b such that log softplus(b) is uniform over the range of the steps."""
    step = jnp.exp(
        jax.random.uniform(
            key, (count,), minval=math.log(step_min), maxval=math.log(step_max)
        )
    )
    return step + jnp.log(-jnp.expm1(-step))  # inverse of softplus
