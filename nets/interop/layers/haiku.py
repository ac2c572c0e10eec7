"""Recurrent cores of Haiku."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, overload

import jax
import jax.numpy as jnp

from nets.cells.elman import ElmanParams, elman
from nets.cells.gru import GRUParams, gru
from nets.cells.lstm import LSTMParams, lstm
from nets.factories import factory
from nets.interop.haiku import params_from_haiku
from nets.interop.layers.running import Build, Built, running_cell
from nets.interop.names import listed
from nets.recurrent import stack
from nets.types import Cell, KeyArray, Params


@overload
def from_haiku(core: Any) -> Cell: ...


@overload
def from_haiku(
    core: Any, params: Mapping[str, Any], module: str | None = None
) -> tuple[Any, Params]: ...


def from_haiku(
    core: Any, params: Mapping[str, Any] | None = None, module: str | None = None
) -> Any:
    """A core of Haiku, or a trained core of Haiku with its parameters.

        cell = from_haiku(hk.GRU)
        layer, params = from_haiku(lambda: hk.GRU(8), params)

    Haiku makes its modules within `hk.transform`. So a core is given as its class or as
    a function that makes it, from the number of features or from nothing. The cell runs
    Haiku's code; its parameters and its state are Haiku's. It may be an `hk.RNNCore` of
    your own.

    With parameters, an `hk.VanillaRNN`, `hk.LSTM` or `hk.GRU` becomes the cell of this
    library with the same numbers, and an `hk.DeepRNN` of these becomes a `nets.stack`,
    so that `nets.flow.gates` and all other instruments apply. Any other core runs its
    own code.

    Args:
        core: Class of cores, called as `core(features)`; or a function of the number of
            features, or of nothing, that makes a core.
        params: Parameters of the core, or of a whole network that contains it.
        module: Name of the core within these parameters, e.g. "encoder/~/lstm". By
            default the name that Haiku gives, e.g. "lstm".

    Returns:
        A `Cell`; with parameters, the pair of the `Cell` or `nets.stack` and its
        parameters. Equal arguments return the same cell.

    Raises:
        ValueError: `core` makes no core, the core needs random numbers or state, or the
            parameters do not fit.

    Example:
        >>> import haiku as hk, nets
        >>> cell = from_haiku(hk.GRU)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)
        >>> tree = {"lstm/linear": {"w": jnp.ones((11, 32)), "b": jnp.zeros(32)}}
        >>> cell, params = from_haiku(lambda: hk.LSTM(8), tree)
        >>> type(params).__name__, nets.unroll(cell, params, jnp.ones((10, 3)))[1].shape
        ('LSTMParams', (10, 8))
    """
    if params is None:
        return _cell(core)
    made = _made(core)
    is_deep = _library_name(made) == "DeepRNN"
    parts = made.layers if is_deep else [made]
    if not all(_library_name(part) in EQUAL for part in parts):
        bare = jax.eval_shape(_init(core, 8, 8), jax.random.key(0))
        return _cell(core), _selected(params, bare, made.module_name, module)
    cells, records = [], []
    for part in parts:
        make, kind = EQUAL[type(part).__name__]
        name = _given_name(part.module_name, made.module_name, module)
        cells.append(make())
        records.append(params_from_haiku(params, kind, name))
    return (stack(*cells), tuple(records)) if is_deep else (cells[0], records[0])


EQUAL = {
    "VanillaRNN": (lambda: elman(jax.nn.relu), ElmanParams),
    "LSTM": (lstm, LSTMParams),
    "GRU": (lambda: gru(reset_after=False), GRUParams),
}
"""The equal cell of this library and the class of its parameters, by Haiku's name."""


def _selected(params, bare, own_name, module) -> dict[str, Any]:
    """The parameters of a core within those of a network, by the core's names."""
    names = {name: _given_name(name, own_name, module) for name in bare}
    missing = [given for given in names.values() if given not in params]
    if missing:
        raise ValueError(
            f"expected parameters named {listed(names.values())}; missing: "
            f"{listed(missing)}, given: {listed(params)}"
        )
    return {name: dict(params[given]) for name, given in names.items()}


def _given_name(name: str, own_name: str, module: str | None) -> str:
    """Name of a module in a network, in which the core has the name `module`."""
    if module is None:
        return name
    if name == own_name or name.startswith(f"{own_name}/"):
        return module + name.removeprefix(own_name)
    scope = module.rpartition("/")[0]
    return f"{scope}/{name}" if scope else name


def _library_name(core: Any) -> str | None:
    """Name of the class if it is Haiku's; None for a class of a user."""
    kind = type(core)
    return kind.__name__ if kind.__module__.startswith("haiku.") else None


def _takes_features(make: Any) -> bool:
    """Whether a class or a function takes an argument other than a name."""
    function = make.__init__ if isinstance(make, type) else make
    return bool(set(inspect.signature(function).parameters) - {"self", "name"})


def _core(make: Any, features: int) -> Any:
    """The core that a class or function makes, within `hk.transform`."""
    expected = (
        "expected a class or function that makes an hk.RNNCore from the number of "
        f"features, or from nothing; got {getattr(make, '__name__', make)}"
    )
    try:
        core = make(features) if _takes_features(make) else make()
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{expected}: {error}") from error
    if not (callable(core) and hasattr(core, "initial_state")):
        raise ValueError(f"{expected}, which makes {type(core).__name__}")
    return core


def _made(make: Any, features: int = 1) -> Any:
    """A core, to look at its attributes."""
    import haiku as hk

    if not callable(make):
        raise ValueError(
            "expected a class or function that makes an hk.RNNCore, because modules of "
            f"Haiku are made within hk.transform; got {make}"
        )
    cores = []
    hk.transform(lambda: cores.append(_core(make, features))).init(None)
    return cores[0]


@factory
def _cell(make: Any) -> Cell:
    """A cell that runs Haiku's code."""
    core = _made(make)
    name = f"Haiku's {type(core).__name__}"
    size = None if _takes_features(make) else getattr(core, "hidden_size", None)
    space = getattr(core, "num_spatial_dims", 0)
    build = Build(_built, make)
    return running_cell(build, name, features=size, spatial_dims=space)


def _built(make: Any, inputs: int, features: int) -> Built:
    import haiku as hk

    space = getattr(_made(make, features), "num_spatial_dims", 0)
    init = _init(make, inputs, features)
    first = hk.transform(lambda size: _core(make, features).initial_state(size)).apply
    run = hk.transform(lambda x, state: _core(make, features)(x, state)).apply
    with_batch = _entries_with_batch(init, first)

    def initial_state(params, x):
        batch = x.shape[: x.ndim - space - 1]
        state = first(params, None, math.prod(batch))
        return _map(lambda s: s.reshape(*batch, *s.shape[1:]), state, with_batch)

    def step(params, state, x):
        batch = x.shape[: x.ndim - space - 1]
        size, rest = math.prod(batch), len(batch)

        def flat(a):
            return a.reshape(size, *a.shape[rest:])

        y, state = run(params, None, flat(x), _map(flat, state, with_batch))
        unflat = lambda a: a.reshape(*batch, *a.shape[1:])  # noqa: E731
        return _map(unflat, state, with_batch), jax.tree.map(unflat, y)

    return Built(init, initial_state, step)


def _init(make: Any, inputs: int, features: int) -> Callable[[KeyArray], Params]:
    """The function that draws the parameters of a core."""
    import haiku as hk

    core = _made(make, features)
    space = core.input_shape if hasattr(core, "num_spatial_dims") else ()

    def whole(x):
        core = _core(make, features)
        return core(x, core.initial_state(len(x)))

    # The array is made within: this function is kept, and may be called in a program.
    return jax.jit(
        lambda key: hk.transform(whole).init(key, jnp.zeros((1, *space, inputs)))
    )


def _entries_with_batch(init, first) -> list[bool]:
    """Whether each entry of the state has the batch in front."""

    def shapes(size):
        params = jax.eval_shape(init, jax.random.key(0))
        state = jax.eval_shape(lambda params: first(params, None, size), params)
        return [entry.shape for entry in jax.tree.leaves(state)]

    return [two != three for two, three in zip(shapes(2), shapes(3), strict=True)]


def _map(function, state, selected):
    """Change the selected entries of a state."""
    leaves, structure = jax.tree.flatten(state)
    new = [
        function(leaf) if chosen else leaf
        for leaf, chosen in zip(leaves, selected, strict=True)
    ]
    return jax.tree.unflatten(structure, new)
