"""Initial states."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped


def zero_state(
    x: Shaped[Array, "*batch inputs"],
    w_i: Float[Array, "rows outputs"],
    w_h: Float[Array, "features columns"],
) -> Float[Array, "*batch features"]:
    """Return a state vector of zeros, of the dtype of the states that steps return.

    Args:
        x: Input of one step, [*batch, inputs].
        w_i: Input weights of the cell, [inputs, ...].
        w_h: Recurrent weights of the cell, [features, ...].

    Returns:
        Zeros, [*batch, features].

    Raises:
        ValueError: The number of features of `x` does not match the parameters.

    Example:
        >>> zero_state(jnp.ones((5, 3)), jnp.ones((3, 8)), jnp.ones((8, 8))).shape
        (5, 8)
    """
    if x.ndim < 1 or x.shape[-1] != w_i.shape[0]:
        raise ValueError(
            f"expected an input [*batch, inputs] with inputs = {w_i.shape[0]}, to "
            f"match the parameters; got one of shape {list(x.shape)}"
        )
    return jnp.zeros((*x.shape[:-1], w_h.shape[0]), jnp.result_type(x, w_i, w_h))


def zero_states(
    count: int,
    x: Shaped[Array, "*batch inputs"],
    w_i: Float[Array, "rows outputs"],
    w_h: Float[Array, "features columns"],
) -> list[Float[Array, "*batch features"]]:
    """Return several zero states, each a separate array.

    A state that contained the same array twice could not be donated.

    Args:
        count: Number of arrays.
        x: As in `zero_state`.
        w_i: As in `zero_state`.
        w_h: As in `zero_state`.

    Returns:
        The arrays, each [*batch, features].

    Raises:
        ValueError: As in `zero_state`.

    Example:
        >>> h, c = zero_states(2, jnp.ones((5, 3)), jnp.ones((3, 8)), jnp.ones((8, 8)))
        >>> h.shape, h is c
        ((5, 8), False)
    """
    return [zero_state(x, w_i, w_h) for _ in range(count)]
