"""The functions of a linear map of the state, and the recurrence that they solve."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Inexact

Factor = Any  # an array or a tuple of arrays, [time, *batch, ...]


class Element(NamedTuple):
    """Functions of the factors of a linear recurrence.

    All functions take any leading axes, [time, *batch]. Axes along which factors are
    constant may have size 1.

    Attributes:
        apply: `A s = apply(factor, state)`, linear in the state and differentiable.
        combine: Factor of A_2 A_1, `combine(later, earlier)`. It is not differentiated.
        identity: `identity(factor)`, a factor like the given one whose A is the
            identity.
        compact: Factor in the form that is combined and applied in parallel. It is not
            differentiated.
        by_column: True if the state is a matrix [..., K, V], and each of its V columns
            is multiplied by the same K x K matrix. Then spectra are computed from one
            column (see `nets.flow.lyapunov_spectrum`).
        scan: `scan(element, factors, b)` solves s_t = A_t s_{t-1} + b_t from s_{-1} =
            0, for a form that needs more care than a tree of `combine`; `element` is
            the element or its transpose. None uses a tree.

    Example:
        Rotations of the plane, by their angles:

        >>> import jax.numpy as jnp
        >>> import nets
        >>> def turn(angle, s):
        ...     cos, sin = jnp.cos(angle), jnp.sin(angle)
        ...     x, y = s[..., 0], s[..., 1]
        ...     return jnp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
        >>> rotation = Element(turn, jnp.add, jnp.zeros_like)
        >>> quarter = jnp.full(3, jnp.pi / 2)
        >>> start = jnp.array([1.0, 0.0])
        >>> states = nets.linear_scan(quarter, jnp.zeros((3, 2)), start, rotation)
        >>> states.round(2).tolist()
        [[-0.0, 1.0], [-1.0, -0.0], [0.0, -1.0]]
    """

    apply: Callable[[Factor, Array], Array]
    combine: Callable[[Factor, Factor], Factor]
    identity: Callable[[Factor], Factor]
    compact: Callable[[Factor], Factor] = lambda factor: factor
    by_column: bool = False
    scan: Callable[[Any, Factor, Array], Array] | None = None


def transposed(element: Element) -> Element:
    """The element whose factors are the transposes of the same factors.

        (A_2 A_1)^T = A_1^T A_2^T

    Args:
        element: An `Element`.

    Returns:
        An `Element` of the same factors, of which A^T acts on the state.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets.elements import blocks
        >>> matrix = jnp.array([[1.0, 2.0], [3.0, 4.0]])
        >>> transposed(blocks).apply(matrix, jnp.array([1.0, 0.0])).tolist()
        [1.0, 2.0]
    """

    def apply(factor, state):
        return jax.linear_transpose(partial(element.apply, factor), state)(state)[0]

    def combine(later, earlier):
        return element.combine(earlier, later)

    return element._replace(apply=apply, combine=combine)


def prefix_states(
    element: Element, factors: Factor, b: Inexact[Array, "time *state"]
) -> Inexact[Array, "time *state"]:
    """Compute s_t = A_t s_{t-1} + b_t from s_{-1} = 0, in O(log time) parallel steps.

    Args:
        element: An `Element`.
        factors: Factors [time, ...].
        b: Summands [time, ...], of at least one step.

    Returns:
        The states of all steps.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets.elements import elementwise
        >>> prefix_states(elementwise, jnp.full(4, 2.0), jnp.ones(4)).tolist()
        [1.0, 3.0, 7.0, 15.0]
    """
    if element.scan is not None:
        return element.scan(element, factors, b)
    return tree(element, factors, b)


def tree(
    element: Element, factors: Factor, b: Inexact[Array, "time *state"]
) -> Inexact[Array, "time *state"]:
    """`prefix_states` by a tree of combined steps.

    Args:
        element: An `Element`, whose `scan` is not used.
        factors: Factors [time, ...].
        b: Summands [time, ...].

    Returns:
        The states of all steps.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets.elements import blocks
        >>> tree(blocks, jnp.ones((2, 1, 1)), jnp.ones((2, 1))).tolist()
        [[1.0], [2.0]]
    """

    def join(first, second):
        (a1, b1), (a2, b2) = first, second
        return element.combine(a2, a1), element.apply(a2, b1) + b2

    return jax.lax.associative_scan(join, (element.compact(factors), b))[1]
