"""Records that the library is written in terms of."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from jaxtyping import Array, Key

from nets.elements import elementwise

Params = Any  # a tree of arrays; each cell has its own NamedTuple
State = Any  # a tree of arrays; each cell has its own NamedTuple
KeyArray = Key[Array, ""]


class LinearRecurrence(NamedTuple):
    """Coefficients of a cell whose next state is linear in its current state.

        s_t = A_t s_{t-1} + b_t,    y_t = read(s_t, x_t)

    where A_t and b_t depend on the inputs alone. Such a recurrence runs in parallel
    over time. `nets.linear_cell` builds a cell from these functions.

    Attributes:
        coefficients: `a, b = coefficients(params, state, xs)` for all steps of xs
            [time, *batch, inputs]: trees with the structure of the state and time in
            front. b has the shapes of the state; a contains the factors of A, and may
            have axes of size 1 where its values are equal. `state` is the state before
            xs[0], for cells that read inputs before the first one, such as a window of
            inputs.
        read: `y = read(params, state, x)`, for one step or any leading axes.
        element: Form of the factors, from `nets.elements`: one `Element`, or a tree of
            them like the state. By default A_t is diagonal: a_t s_{t-1}, entry by
            entry.
    """

    coefficients: Callable[[Params, State, Any], tuple[State, State]]
    read: Callable[[Params, State, Any], Any]
    element: Any = elementwise


class Cell(NamedTuple):
    """A recurrent cell: three pure functions of one time step.

    Each function takes any number of leading batch axes, including none. The library
    treats every `Cell` alike, its own cells and yours. Only the first three attributes
    are required.

    Attributes:
        init: `params = init(key, inputs, features)`.
        initial_state: `state = initial_state(params, x)`, the state before the first
            input, for inputs like `x` [*batch, inputs].
        step: `state, y = step(params, state, x)`, so that `partial(step, params)` is a
            body of `jax.lax.scan`.
        linear: Coefficients for `nets.unroll(parallel=True)`, if the state is linear in
            the previous state.
        stochastic_step: Stochastic step used in training, e.g. by `nets.zoneout`.
            `stochastic_step(key, params, x)` draws the noise that is shared by all
            steps of a sequence, and returns `step(state, x, key) -> state, y`, which
            draws the noise of each step. `nets.unroll` uses it instead of `step` when
            it is given a key.
        spatial_dims: Number of spatial axes of the inputs, between the batch and the
            features: 2 for a cell of images.
        takes_drop: True if `step(params, state, x, drop=function)` applies `function`
            to each h that the recurrent weights read, as `nets.recurrent_dropout` and
            `nets.h_detach` require.

    Example:
        A leaky integrator:

        >>> import jax, jax.numpy as jnp, nets
        >>> def step(params, state, x):
        ...     state = 0.9 * state + x @ params
        ...     return state, state
        >>> leaky = nets.Cell(
        ...     init=lambda key, inputs, features: jnp.ones((inputs, features)),
        ...     initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], w.shape[-1])),
        ...     step=step,
        ... )
        >>> params = leaky.init(jax.random.key(0), 1, 2)
        >>> state, ys = nets.unroll(leaky, params, jnp.ones((3, 1)))
        >>> ys[:, 0].round(2).tolist()
        [1.0, 1.899999976158142, 2.7100000381469727]
    """

    init: Callable[[KeyArray, int, int], Params]
    initial_state: Callable[[Params, Any], State]
    step: Callable[..., tuple[State, Any]]
    linear: LinearRecurrence | None = None
    stochastic_step: Callable[[KeyArray, Params, Any], Callable[..., Any]] | None = None
    spatial_dims: int = 0
    takes_drop: bool = False


class ReceptiveField(NamedTuple):
    """Receptive field of one output of a layer, along each spatial axis.

    Attributes:
        size: Number of input positions from the first to the last that one output
            depends on. If the layer upsamples, the size may be a fraction: the number
            of whole positions varies between the outputs, up to its floor.
        stride: Distance between the receptive fields of neighboring outputs, in input
            positions; below 1 if the layer upsamples (1/2 for two outputs per input).
    """

    size: tuple[Fraction, ...]
    stride: tuple[Fraction, ...]


class ImageLayer(NamedTuple):
    """A layer of images: two pure functions of a whole image.

    Attributes:
        init: `params = init(key, shape)`, for examples of shape [*space, channels].
        apply: `ys = apply(params, xs)`, for any number of leading batch axes.
        spatial_dims: Number of spatial axes of the inputs.
        name: Short name for tables, such as "conv 3x3, 16".
        receptive_field: `receptive_field(shape)` returns the `ReceptiveField` for
            examples of shape [*space, channels]. None, or a function that returns None,
            if each output depends on the whole input.
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]
    spatial_dims: int = 0
    name: str = ""
    receptive_field: Callable[[Sequence[int]], ReceptiveField | None] | None = None
