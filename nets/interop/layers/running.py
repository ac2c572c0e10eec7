"""A `Cell` that runs a cell of another library, built for the sizes that are needed."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nets.types import Cell, KeyArray, Params, State


class Built(NamedTuple):
    """A cell of another library, built for certain numbers of inputs and features.

    Attributes:
        init: `params = init(key)`. None if the cell cannot draw parameters, because it
            was an object that holds its own.
        initial_state: `state = initial_state(params, x)`.
        step: `state, y = step(params, state, x)`.
    """

    init: Callable[[KeyArray], Params] | None
    initial_state: Callable[[Params, Any], State]
    step: Callable[[Params, State, Any], tuple[State, Any]]


class Build:
    """A function that builds a cell: `built = build(inputs, features)`.

    `nets.compiled` takes it for a constant, because it has slots and a hash. It would
    not know how to compare a class or an object of another library.

    Args:
        function: Called as `function(*arguments, inputs, features)`.
        *arguments: Arguments that are never changed.

    Example:
        >>> Build(lambda rate, inputs, features: rate * inputs, 2)(3, 8)
        6
    """

    __slots__ = "arguments", "function"

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self.function, self.arguments = function, arguments

    def __hash__(self) -> int:
        return id(self)

    def __call__(self, inputs: int, features: int) -> Any:
        """Build the cell."""
        return self.function(*self.arguments, inputs, features)


def is_maker(thing: Any) -> bool:
    """True for a class or a function that makes cells, which are objects.

    Args:
        thing: Anything.

    Returns:
        Whether it is a class, a function or a `functools.partial`.

    Example:
        >>> is_maker(dict), is_maker({})
        (True, False)
    """
    return isinstance(thing, (type, functools.partial)) or inspect.isroutine(thing)


def running_cell(
    build: Build,
    name: str,
    *,
    inputs: int | None = None,
    features: int | None = None,
    spatial_dims: int = 0,
) -> Cell:
    """Make a cell from a function that builds it for given sizes.

    The parameters do not record the number of features that the cell was built with.
    It is inferred from their shapes. The initial state gets the dtypes of the state
    that a step returns, so that the cell runs in every precision.

    Args:
        build: A `Build` that makes a `Built`. It is called again for new sizes.
        name: Name of the cell, for messages.
        inputs: Number of inputs, if it is fixed.
        features: Number of features, if it is fixed.
        spatial_dims: Number of spatial axes of the inputs.

    Returns:
        A `Cell`.

    Example:
        >>> def build(inputs, features):
        ...     def step(w, state, x):
        ...         state = 0.9 * state + x @ w
        ...         return state, state
        ...     return Built(
        ...         lambda key: jnp.ones((inputs, features)),
        ...         lambda w, x: jnp.zeros((*x.shape[:-1], features)),
        ...         step,
        ...     )
        >>> cell = running_cell(Build(build), "a leaky integrator")
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> cell.initial_state(params, jnp.ones((5, 3))).shape
        (5, 8)
    """

    def init(key, given_inputs, given_features):
        _check_size(name, "inputs", inputs, given_inputs)
        _check_size(name, "features", features, given_features)
        draw = _built(build, given_inputs, given_features).init
        if draw is None:
            raise ValueError(
                f"expected the class of {name} to draw new parameters; got an object, "
                "whose parameters are returned together with the cell"
            )
        return draw(key)

    def initial_state(params, x):
        built = _fitting(build, name, params, x)
        state = jax.tree.map(jnp.asarray, built.initial_state(params, x))
        after, _ = jax.eval_shape(built.step, params, state, x)
        if jax.tree.map(jnp.shape, state) != jax.tree.map(jnp.shape, after):
            raise ValueError(
                f"expected {name} to keep the structure and the shapes of its state, "
                f"{_shapes(state)}; got {_shapes(after)}"
            )
        return jax.tree.map(_in_dtype_of, state, after)

    def step(params, state, x):
        return _fitting(build, name, params, x).step(params, state, x)

    return Cell(init, initial_state, step, spatial_dims=spatial_dims)


def _check_size(name: str, what: str, fixed: int | None, given: int) -> None:
    """Refuse a number of inputs or features that the cell does not have."""
    if fixed is not None and given != fixed:
        raise ValueError(
            f"expected {what}={fixed}, the size of {name}; got {what}={given}: use "
            "that size, or give the class of the cell, which takes any size"
        )


# In the module, not in the cells: `nets.compiled` compares what their functions hold.
@functools.lru_cache(maxsize=256)
def _built(build: Build, inputs: int, features: int) -> Built:
    return build(inputs, features)


def _fitting(build: Build, name: str, params: Params, x: Any) -> Built:
    """The cell for which parameters have these shapes."""
    leaves, structure = jax.tree.flatten(params)
    shapes = tuple(map(jnp.shape, leaves))
    return _of_shapes(build, name, x.shape[-1], structure, shapes)


@functools.lru_cache(maxsize=1024)
def _of_shapes(build: Build, name: str, inputs: int, structure: Any, shapes) -> Built:
    like = None
    for features in _candidates(shapes):
        built = _built(build, inputs, features)
        if built.init is None:
            return built
        like = jax.eval_shape(built.init, jax.random.key(0))
        leaves = [leaf.shape for leaf in jax.tree.leaves(like)]
        if structure == jax.tree.structure(like) and leaves == list(shapes):
            return built
    given = jax.tree.unflatten(structure, [list(shape) for shape in shapes])
    raise ValueError(
        f"expected the parameters of {name} for {inputs} inputs, such as "
        f"{_shapes(like)}; got {given}"
    )


def _candidates(shapes: tuple[tuple[int, ...], ...]) -> Iterator[int]:
    """Possible numbers of features: sizes of axes, and their parts of up to 8 gates."""
    sizes = sorted({size for shape in shapes for size in shape if size})
    parts = {n // k for n in sizes for k in range(2, 9) if n % k == 0}
    yield from [*sizes, *sorted(parts - {*sizes, 1}), 1]


def _in_dtype_of(state: jax.Array, after: jax.ShapeDtypeStruct) -> jax.Array:
    """An entry of the initial state in the dtype that steps return."""
    real = jnp.issubdtype(state.dtype, jnp.inexact)
    return state.astype(after.dtype) if real else state


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: list(jnp.shape(leaf)), tree)
