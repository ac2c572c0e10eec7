"""Recurrent cells and layers of Flax's NNX."""

import inspect
from typing import Any

import jax

from nets.cells.elman import ElmanParams, elman
from nets.cells.gru import GRUParams, gru
from nets.cells.lstm import LSTMParams, lstm
from nets.factories import factory
from nets.interop.flax import params_from_nnx
from nets.interop.layers.running import Build, Built, is_maker, running_cell
from nets.recurrent import BidirectionalParams, as_layer, bidirectional
from nets.types import Cell

OPTIONS = "gate_fn", "activation_fn", "carry_init", "residual", "dtype", "promote_dtype"


def from_nnx(module: Any) -> Any:
    """A cell of NNX, or a trained cell or layer of NNX with its parameters.

        cell = from_nnx(nnx.GRUCell)
        layer, params = from_nnx(rnn)

    A class gives a cell that runs NNX's code. Its parameters are the dicts of
    `nnx.to_pure_dict`, its state is NNX's. It may be a cell of your own with
    `initialize_carry(shape, rngs)` and `__call__(carry, x) -> carry, y`.

    An object holds its parameters. A SimpleCell, LSTMCell, OptimizedLSTMCell or GRUCell
    with NNX's activations becomes the cell of this library with the same numbers, so
    that `nets.flow.gates` and all other instruments apply. Any other cell runs NNX's
    code. The object is not changed. `time_major`, `return_carry` and `unroll` do not
    matter: time comes first here.

    Args:
        module: A class of cells, or a function that makes one, such as
            `partial(nnx.LSTMCell, gate_fn=...)`, called as `module(inputs, features,
            rngs=rngs)`. Or an object: a cell, an `nnx.RNN` or an `nnx.Bidirectional`.

    Returns:
        For a class, a `Cell`. For an object, the pair of the `Cell` or recurrent layer
        and its parameters. Equal modules return the same cell.

    Raises:
        ValueError: The module is no cell or layer, or holds variables other than
            `nnx.Param`; or an RNN is reversed without `keep_order`.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> from flax import nnx
        >>> cell = from_nnx(nnx.GRUCell)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)
        >>> trained = nnx.RNN(nnx.LSTMCell(3, 8, rngs=nnx.Rngs(0)))
        >>> layer, params = from_nnx(trained)
        >>> type(params).__name__, layer.apply(params, jnp.ones((10, 5, 3)))[1].shape
        ('LSTMParams', (10, 5, 8))
    """
    if is_maker(module):
        return _cell(module)
    kind = _library_name(module)
    if kind == "Bidirectional":
        parts = [_of_rnn(module.forward_rnn), _of_rnn(module.backward_rnn)]
        (forward, p), (backward, q) = parts
        is_default = module.merge_fn is _default(module, "merge_fn")
        merge = "concat" if is_default else module.merge_fn
        return bidirectional(forward, backward, merge=merge), BidirectionalParams(p, q)
    if kind == "RNN":
        if module.reverse and not module.keep_order:
            raise ValueError(
                "expected an nnx.RNN with keep_order=True if reverse=True, because "
                "outputs keep the positions of their inputs here; got "
                "keep_order=False: set rnn.keep_order = True"
            )
        cell, params = _trained_cell(module.cell)
        return as_layer(cell, module.reverse), params
    return _trained_cell(module)


def _of_rnn(rnn):
    """The cell and the parameters of an `nnx.RNN`, in whatever direction it reads."""
    if _library_name(rnn) != "RNN":
        raise ValueError(
            "expected both directions of an nnx.Bidirectional to be an nnx.RNN; got "
            f"{type(rnn).__name__}"
        )
    return _trained_cell(rnn.cell)


def _trained_cell(module):
    """A cell with its parameters: of this library if there is an equal one."""
    graph, params = _split(module)
    kind, changed = _library_name(module), _changed(module)
    if kind == "SimpleCell" and changed <= {"activation_fn"}:
        return elman(module.activation_fn), params_from_nnx(params, ElmanParams)
    if kind == "GRUCell" and not changed:
        return gru(), params_from_nnx(params, GRUParams)
    if kind in ("LSTMCell", "OptimizedLSTMCell") and not changed:
        return lstm(), params_from_nnx(params, LSTMParams)
    sizes = [getattr(module, n, None) for n in ("in_features", "hidden_features")]
    return _cell_of_graph(graph, type(module).__name__, *sizes), params


def _changed(module) -> set[str]:
    """Names of the options that differ from their defaults, if NNX's class has them."""
    return {
        name
        for name in OPTIONS
        if hasattr(module, name) and getattr(module, name) != _default(module, name)
    }


def _default(module: Any, option: str) -> Any:
    parameter = inspect.signature(type(module).__init__).parameters.get(option)
    return None if parameter is None else parameter.default


def _library_name(module: Any) -> str | None:
    """Name of the class if it is NNX's; None for a class of a user."""
    kind = type(module)
    return kind.__name__ if kind.__module__.startswith("flax.nnx.") else None


@factory
def _cell(make: Any) -> Cell:
    """A cell that runs the code of a class of NNX."""
    name = f"NNX's {getattr(make, '__name__', 'cell')}"
    return running_cell(Build(_build, make, name), name)


@factory
def _cell_of_graph(graph: Any, kind: str, inputs: Any, features: Any) -> Cell:
    """A cell that runs the code of an object of NNX, with any parameters."""
    name = f"NNX's {kind}"
    return running_cell(
        Build(_build, graph, name), name, inputs=inputs, features=features
    )


def _build(make, name, inputs, features) -> Built:
    from flax import nnx

    def module(key):
        try:
            return make(inputs, features, rngs=nnx.Rngs(key))
        except TypeError as error:
            raise ValueError(
                "expected a class or function that makes a cell of NNX, called as "
                f"make(inputs, features, rngs=rngs); got {name}: {error}: pass "
                "functools.partial(class, **options)"
            ) from error

    init, graph = None, make
    if not isinstance(make, nnx.GraphDef):
        init = jax.jit(lambda key: _split(module(key))[1])
        graph, _ = _split(nnx.eval_shape(lambda: module(0)))

    def initial_state(params, x):
        return nnx.merge(graph, params).initialize_carry(x.shape, nnx.Rngs(0))

    def step(params, state, x):
        return nnx.merge(graph, params)(state, x)

    return Built(init, initial_state, step)


def _split(module: Any) -> tuple[Any, Any]:
    """The structure of a module and the dicts of its parameters."""
    from flax import nnx

    if not isinstance(module, nnx.Module) or not hasattr(module, "initialize_carry"):
        raise ValueError(
            "expected a recurrent cell of NNX, which has initialize_carry, its class, "
            f"an nnx.RNN or an nnx.Bidirectional; got {type(module).__name__}"
        )
    graph, params, other = nnx.split(module, nnx.Param, ...)
    if other:
        kinds = sorted({type(v).__name__ for _, v in nnx.to_flat_state(other)})
        raise ValueError(
            f"expected {type(module).__name__} to hold no variables but nnx.Param, "
            f"because a cell is a pure function; got {', '.join(kinds)}"
        )
    return graph, nnx.to_pure_dict(params)
