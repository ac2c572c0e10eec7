"""The records that everything is written in terms of, and how their makers behave."""

import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from numbers import Number
from types import FunctionType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from jaxtyping import Array, Key

P = ParamSpec("P")
T = TypeVar("T")

Params = Any  # a tree of arrays; each cell has its own NamedTuple
State = Any  # likewise
KeyArray = Key[Array, ""]


class Linear(NamedTuple):
    """What a cell says of itself whose new state is linear in the old one.

        s_t = a_t s_{t-1} + b_t,    y_t = read(s_t, x_t)

    entry by entry, with a_t and b_t known from the inputs alone: such a recurrence runs
    in parallel over time. `nets.linear_cell` makes a cell of one.

    Attributes:
        coefficients: `a, b = coefficients(params, state, xs)` for all steps of xs
            [time, *batch, inputs]: trees of the state's structure, time in front; b has
            the state's shapes, and a may have axes of size 1 where it is the same.
            `state` is the one before xs[0], for what reaches back beyond the first
            input, as a window of inputs does.
        read: `y = read(params, state, x)`, of one step or of any leading axes.
    """

    coefficients: Callable[[Params, State, Any], tuple[State, State]]
    read: Callable[[Params, State, Any], Any]


class Cell(NamedTuple):
    """A recurrent cell: three pure functions of one time step.

    Every function takes any number of leading batch axes, none included. Any `Cell`
    of yours is taken by every function of the library as its own cells are; the last
    two attributes are for those that have more to say.

    Attributes:
        init: `params = init(key, inputs, features)`.
        initial_state: `state = initial_state(params, x)`, the state before the first
            input, for an input like `x`, of shape [*batch, inputs].
        step: `state, y = step(params, state, x)`, so `partial(step, params)` is what
            `jax.lax.scan` takes.
        linear: What `nets.unroll(parallel=True)` needs to know, if the state is linear
            in its past.
        stochastic_step: How the cell behaves in training, if there it is random, as
            under `nets.zoneout`: `stochastic_step(key, params, x)` draws what holds for
            a whole sequence, and returns the step `state, y = step(state, x, key)`,
            which draws what is new in each step. It takes the place of `step` where
            `nets.unroll` is given a key.
        spatial_dims: How many spatial axes stand between the batch and the features of
            its
            inputs: 2 in a cell of images.

    Example:
        A leaky integrator, written as a cell of one's own:

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
    linear: Linear | None = None
    stochastic_step: Callable[[KeyArray, Params, Any], Callable[..., Any]] | None = None
    spatial_dims: int = 0


class Window(NamedTuple):
    """What one output of a layer sees of its input, along each spatial axis.

    Attributes:
        extent: How many places the window spans, from its first to its last.
        stride: How far it moves from one output to the next; below 1 in layers that
            make larger: 1/2 where there are two outputs to an input. Then the extent
            may be a fraction too: so many and no more whole places are seen.
    """

    extent: tuple[Fraction, ...]
    stride: tuple[Fraction, ...]


class Layer(NamedTuple):
    """A layer: two pure functions of a whole sequence or image.

    A recurrent layer is told how many features it shall have when it is initialised,
    and returns a state beside its outputs. A layer of images, of `nets.blocks`, has its
    number of filters in itself.

    Attributes:
        init: `params = init(key, inputs, features)` of a recurrent layer;
            `params = init(key, shape)` of a layer of images, for examples of the shape
            [*space, channels].
        apply: `state, ys = apply(params, xs, ...)` of a recurrent layer, which takes
            what `nets.unroll` takes after `xs`, and as `run` what shall run its cells
            in the place of `nets.unroll`; `ys = apply(params, xs)` of images.
        spatial_dims: How many spatial axes its inputs have, as in `Cell`.
        name: What it is, in a word or two, for a table.
        window: `window(shape)` is the `Window` of a layer of images, for examples of
            the shape [*space, channels]; None where each output sees it all.
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]
    spatial_dims: int = 0
    name: str = ""
    window: Callable[[Sequence[int]], Window | None] | None = None


def whole(h: T) -> T:
    """h as it is: what a step's recurrent weights see where nothing is dropped.

    Args:
        h: Anything.

    Returns:
        The same.

    Example:
        >>> whole(3)
        3
    """
    return h


def factory(make: Callable[P, T]) -> Callable[P, T]:
    """Make equal calls of `make` return the same object.

    A cell is a record of functions, and functions are equal only to themselves: without
    this, `nets.lstm()` would look new to jit and to Flax at each call, and compile
    again. An argument left out equals its default.

    An object that was made from plain options (numbers, strings, functions of JAX and
    of this library, and objects made from such) is kept for the next call. Any other is
    forgotten, with its options, when nothing refers to it any more.

    Args:
        make: A function; lists reach it as tuples. Where an argument has no hash, each
            call makes an object.

    Returns:
        `make`, remembering what it made. It may be called from several threads.

    Example:
        >>> import nets
        >>> nets.gru() is nets.gru(reset_after=True)
        True
    """
    signature = inspect.signature(make)
    holders: dict[int, list[weakref.ref[Any]]] = {}

    @functools.wraps(make)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        bound.arguments = {k: _hashable(v) for k, v in bound.arguments.items()}
        options = bound.args, tuple(bound.kwargs.items())
        key = make, _told_apart(options)
        try:
            place = hash(key)
        except TypeError:
            return make(*bound.args, **bound.kwargs)
        with _LOCK:
            if key in _kept:
                thing = _kept.pop(key)  # and behind all others
            else:
                for holder in [reference() for reference in holders.get(place, ())]:
                    if holder is not None and key in holder.made:
                        return holder.made[key]
                thing = make(*bound.args, **bound.kwargs)
                _hold(thing, options, key, holders, place)
                if not _is_plain(options):
                    return thing
            _kept[key] = thing
            for oldest in list(_kept)[:-KEPT]:
                del _kept[oldest]
            return thing

    return call


LIBRARIES = "jax", __name__.split(".")[0]
PLAIN = Number, str, type(None)  # True is a number
KEPT = 1000  # objects of all factories together
_kept: dict[Any, Any] = {}  # made from plain options, the one asked for last at the end
_LOCK = threading.RLock()  # a factory may call another


def _hold(thing: Any, options: Any, key: Any, holders: dict, place: int) -> None:
    """Let one of a thing's own functions hold it, and the options that it came from.

    A tuple cannot be referred to weakly, a function can. Both are in a cycle, with all
    that they are made of, which is freed as a whole.
    """
    given = {id(leaf) for leaf in _leaves(options)}
    own = [
        f for f in _leaves(thing) if isinstance(f, (FunctionType, functools.partial))
    ]
    own = [f for f in own if id(f) not in given and not _is_named(f)]
    if not own:
        return

    def forget(reference):
        with _LOCK:
            holders[place].remove(reference)
            if not holders[place]:
                del holders[place]

    vars(own[0]).setdefault("made", {})[key] = thing
    holders.setdefault(place, []).append(weakref.ref(own[0], forget))


def _leaves(value: Any) -> Iterator[Any]:
    """Items of a tuple, at any depth."""
    if isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _is_plain(value: Any, seen: tuple[Any, ...] = ()) -> bool:
    """True if it keeps nothing alive that would not live anyway."""
    if any(value is one for one in seen) or isinstance(value, PLAIN):
        return True
    if _is_named(value):
        return value.__module__.split(".")[0] in LIBRARIES
    if isinstance(value, (tuple, list)):
        inside = value
    elif isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, functools.partial):
        inside = value.func, value.args, value.keywords
    elif isinstance(value, FunctionType):
        home = value.__globals__.get("__name__", "").split(".")[0]
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        inside = value.__defaults__, *cells
        if home not in LIBRARIES:
            return False
    else:
        return False
    return all(_is_plain(part, (*seen, value)) for part in inside)


def _is_named(value: Any) -> bool:
    """True if its module has it by its name, so that no function made it."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return getattr(module, getattr(value, "__qualname__", ""), None) is value


def _hashable(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    if type(value) in (list, tuple):  # and no NamedTuple, which is what it is
        return tuple(map(_hashable, value))
    return value


def _told_apart(value: Any) -> Any:
    """1 from True and from NumPy's 1, which Python calls equal; 1 and 1.0 stay so."""
    if type(value) is tuple:
        return tuple(map(_told_apart, value))
    return float if type(value) is int else type(value), value
