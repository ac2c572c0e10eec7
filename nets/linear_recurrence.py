"""Linear recurrences, run step by step or in parallel over time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from nets.compiling import compiled
from nets.elements import Element, elementwise, prefix_states, transposed
from nets.linear import wide
from nets.types import Cell, LinearRecurrence, State


def linear_cell(
    init: Callable[..., Any],
    initial_state: Callable[..., Any],
    coefficients: Callable[..., Any],
    read: Callable[..., Any],
    element: Any = elementwise,
) -> Cell:
    """Make a cell from the coefficients of its linear recurrence.

        s_t = A_t s_{t-1} + b_t,    y_t = read(s_t, x_t)

    The coefficients may have a wider dtype than the state. bfloat16 states need this
    for a close to 1, because 0.999 rounded to bfloat16 is 1. The sum is rounded to the
    dtype of the state.

    Args:
        init: `init` of the `Cell`.
        initial_state: `initial_state` of the `Cell`.
        coefficients: `coefficients` of `LinearRecurrence`.
        read: `read` of `LinearRecurrence`.
        element: `element` of `LinearRecurrence`.

    Returns:
        A `Cell` that `nets.unroll` also runs with `parallel=True`.

    Example:
        A moving average of its inputs, with a learned rate of decay:

        >>> import nets
        >>> average = linear_cell(
        ...     init=lambda key, inputs, features: jnp.full(inputs, 2.0),
        ...     initial_state=lambda w, x: jnp.zeros_like(x),
        ...     coefficients=lambda w, state, xs: (
        ...         jnp.broadcast_to(jax.nn.sigmoid(w), xs.shape),
        ...         jnp.broadcast_to(jax.nn.sigmoid(-w), xs.shape) * xs,
        ...     ),
        ...     read=lambda w, state, x: state,
        ... )
        >>> params = average.init(jax.random.key(0), 3, 3)
        >>> state, ys = nets.unroll(average, params, jnp.ones((9, 3)), parallel=True)
        >>> ys.shape
        (9, 3)
    """

    def step(params, state, x):
        a, b = coefficients(params, state, jax.tree.map(lambda leaf: leaf[None], x))

        def move(s, element, a, b):
            dtype = s.dtype
            a, b, s = _widened(jax.tree.map(lambda leaf: leaf[0], a), b[0], s)
            return (element.apply(a, s) + b).astype(dtype)

        state = jax.tree.map(move, state, elements_of(element, state), a, b)
        return state, read(params, state, x)

    linear = LinearRecurrence(coefficients, read, element)
    return Cell(init, initial_state, step, linear)


@compiled
def linear_scan(a: State, b: State, state: State, element: Any = elementwise) -> State:
    """Compute s_t = A_t s_{t-1} + b_t for all t, in O(log time) parallel steps.

    Two steps of a linear recurrence compose to one step,

        (A, b) then (A', b')  =  (A' A, A' b + b'),

    and this composition is associative, so the steps can be combined in a tree. The
    computation uses at least float32; the result is rounded to the dtype of the state.
    Products of elementwise factors neither overflow nor underflow in between: a state
    is infinite or NaN exactly where it would be so step by step. Products of factors of
    another form may overflow if the state grows without bound; then states are NaN.

    Args:
        a: Factors, a pytree with the structure of the state, [time, ...]. Axes along
            which the factors are constant may have size 1.
        b: Summands, [time, ...].
        state: Initial state, s_{-1}.
        element: Form of the factors, from `nets.elements`: one `Element`, or a tree of
            them like the state.

    Returns:
        The states s_0 ... s_{time-1}, with the shapes of `b` and the dtypes of `state`.

    Example:
        >>> linear_scan(jnp.full(4, 2.0), jnp.ones(4), jnp.array(0.0)).tolist()
        [1.0, 3.0, 7.0, 15.0]

        The same by matrices:

        >>> from nets.elements import left_factor
        >>> a, b = jnp.full((4, 1, 1), 2.0), jnp.ones((4, 1, 1))
        >>> linear_scan(a, b, jnp.zeros((1, 1)), left_factor).ravel().tolist()
        [1.0, 3.0, 7.0, 15.0]

    References:
        Blelloch 1990, Prefix sums and their applications.
        Martin and Cundy 2018, Parallelizing linear recurrent neural nets over sequence
        length, https://arxiv.org/abs/1709.04057
    """

    def scan(state, element, a, b):
        if not b.shape[0]:
            return b.astype(state.dtype)
        dtype = state.dtype
        a, b, state = _widened(a, b, state)
        a = jax.tree.map(lambda a: jnp.broadcast_to(a, (len(b), *a.shape[1:])), a)
        first = element.apply(jax.tree.map(lambda a: a[:1], a), state[None]) + b[:1]
        return _solve(element, a, jnp.concatenate([first, b[1:]])).astype(dtype)

    return jax.tree.map(scan, state, elements_of(element, state), a, b)


def _widened(a: Any, b: Array, state: Array) -> tuple[Any, Array, Array]:
    """`wide`, except for the integers of a factor."""
    leaves, tree = jax.tree.flatten(a)
    floats = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    floats, b, state = wide(floats, b, state)
    rest = iter(floats)
    leaves = [
        next(rest) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf
        for leaf in leaves
    ]
    return jax.tree.unflatten(tree, leaves), b, state


def _solve(element: Element, a: Any, b: Array) -> Array:
    """Solve s_t - A_t s_{t-1} = b_t, a linear system in s.

    It is differentiated as a linear system: the derivative of a linear recurrence is a
    linear recurrence, forward or backward in time, and no intermediate results of the
    tree need to be stored.
    """

    def residual(s):
        before = jnp.concatenate([jnp.zeros_like(s[:1]), s[:-1]])
        return s - element.apply(a, before)

    def backward(_, b):
        after = jax.tree.map(
            lambda a: jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])[::-1], a
        )
        return prefix_states(transposed(element), after, b[::-1])[::-1]

    return jax.lax.custom_linear_solve(
        residual, b, lambda _, b: prefix_states(element, a, b), backward
    )


def elements_of(element: Any, state: State) -> State:
    """The element of each entry of a state.

    Args:
        element: An `Element` for all entries, or a tree of elements like the state.
        state: A state.

    Returns:
        A tree of elements like the state.

    Example:
        >>> elements_of(elementwise, {"hidden": 0.0})["hidden"] == elementwise
        True
    """
    return jax.tree.broadcast(element, state, is_leaf=_is_element)


def _is_element(node: Any) -> bool:
    return isinstance(node, Element)
