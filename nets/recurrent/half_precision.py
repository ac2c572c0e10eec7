"""Half precision over time: sums over many steps are computed in float32."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nets.linear import wide
from nets.types import Params, State


def is_half(a: Any) -> bool:
    """True for an array of real numbers narrower than float32.

    Args:
        a: Array, its shape and dtype, or any other value.

    Returns:
        True for bfloat16, float16 and below.

    Example:
        >>> is_half(jnp.ones(2, jnp.bfloat16)), is_half(jnp.ones(2)), is_half(1)
        (True, False, False)
    """
    dtype = getattr(a, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        return False
    return jnp.finfo(dtype).bits < 32


def with_wide_gradients(step: Callable[..., Any], params: Params) -> Callable[..., Any]:
    """Make a step whose gradients by the parameters are summed over time in float32.

    In bfloat16 a sum of more than 256 equal terms stops growing. Parameters in float32
    and wider are used as they are.

    Args:
        step: Step of a cell.
        params: Parameters of the cell.

    Returns:
        `state, y = function(state, x)`.

    Example:
        >>> step = with_wide_gradients(lambda w, state, x: (w * state, x), 2.0)
        >>> step(3.0, 4.0)
        (6.0, 4.0)
    """
    widened = jax.tree.map(lambda p: wide(p) if is_half(p) else p, params)

    def run(*args):
        narrow = jax.tree.map(
            lambda w, p: w.astype(p.dtype) if is_half(p) else w, widened, params
        )
        return step(narrow, *args)

    return run


def as_given(end: State, given: State) -> State:
    """Cast the last state to the half-precision dtypes of the first state.

    Args:
        end: Last state.
        given: First state.

    Returns:
        The last state, which can be used as the first state of the next sequence.
        Entries that are not in half precision in the first state do not change.

    Example:
        >>> as_given(jnp.ones(2), jnp.zeros(2, jnp.bfloat16)).dtype.name
        'bfloat16'
    """
    return jax.tree.map(lambda e, s: e.astype(s.dtype) if is_half(s) else e, end, given)
