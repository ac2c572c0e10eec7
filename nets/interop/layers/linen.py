"""Recurrent cells and layers of Flax's Linen."""

from collections.abc import Callable, Mapping
from typing import Any, overload

import jax

from nets.cells.elman import ElmanParams, elman
from nets.cells.gru import GRUParams, gru
from nets.cells.lstm import LSTMParams, lstm
from nets.cells.mgu import MGUParams, mgu
from nets.factories import factory
from nets.interop.flax import params_from_linen
from nets.interop.layers.running import Build, Built, is_maker, running_cell
from nets.recurrent import BidirectionalParams, as_layer, bidirectional
from nets.recurrent.batch import any_image
from nets.types import Cell, Params


@overload
def from_linen(module: Any) -> Cell: ...


@overload
def from_linen(module: Any, params: Mapping[str, Any]) -> tuple[Any, Params]: ...


def from_linen(module: Any, params: Mapping[str, Any] | None = None) -> Any:
    """A cell of Linen, or a trained cell or layer of Linen with its parameters.

        cell = from_linen(nn.GRUCell)
        layer, params = from_linen(nn.RNN(nn.GRUCell(8)), variables)

    A cell runs Linen's code, and its parameters and its state are Linen's. It may be
    a cell of your own with `initialize_carry` and `__call__(carry, x) -> carry, y`.

    With parameters, a SimpleCell, LSTMCell, OptimizedLSTMCell, GRUCell or MGUCell with
    Linen's activations becomes the cell of this library with the same numbers, so that
    `nets.flow.gates` and all other instruments apply. Any other cell runs Linen's code.
    `time_major`, `return_carry` and `unroll` do not matter: time comes first here.

    Args:
        module: Without parameters: a class of cells; a function of the number of
            features that makes one, such as `partial(nn.LSTMCell, gate_fn=...)`; or a
            cell. With parameters: a cell, an `nn.RNN` or an `nn.Bidirectional`.
        params: Parameters of the module, or its variables, {"params": ...}.

    Returns:
        A `Cell`; with parameters, the pair of the `Cell` or recurrent layer and its
        parameters. Equal modules return the same cell.

    Raises:
        ValueError: The module is no cell or layer, or needs random numbers or variables
            other than parameters; the parameters do not fit; or an RNN is reversed
            without `keep_order`.

    Example:
        >>> import flax.linen as nn, jax.numpy as jnp, nets
        >>> cell = from_linen(nn.GRUCell)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)
        >>> rnn = nn.RNN(nn.LSTMCell(8))
        >>> variables = rnn.init(jax.random.key(0), jnp.ones((5, 10, 3)))
        >>> layer, params = from_linen(rnn, variables)
        >>> type(params).__name__, layer.apply(params, jnp.ones((10, 5, 3)))[1].shape
        ('LSTMParams', (10, 5, 8))
    """
    if params is None:
        return _cell(module)
    params = _plain(params.get("params", params))
    kind = _library_name(module)
    if kind == "Bidirectional":
        return _bidirectional(module, params)
    if kind == "RNN":
        if module.reverse and not module.keep_order:
            raise ValueError(
                "expected an nn.RNN with keep_order=True if reverse=True, because "
                "outputs keep the positions of their inputs here; got "
                "keep_order=False: pass rnn.clone(keep_order=True)"
            )
        cell, params = _of_rnn(module, params)
        return as_layer(cell, module.reverse), params
    return _trained_cell(module, params)


def _bidirectional(module, params):
    """The layer and the parameters of an `nn.Bidirectional`."""
    shared = module.forward_rnn is module.backward_rnn
    names = "forward_rnn", "forward_rnn" if shared else "backward_rnn"
    parts = []
    for side, name in zip(("forward_rnn", "backward_rnn"), names, strict=True):
        rnn = getattr(module, side)
        if _library_name(rnn) != "RNN":
            raise ValueError(f"expected {side} to be an nn.RNN; got {_named(rnn)}")
        if name not in params:
            raise ValueError(f'expected parameters of "{name}"; got {list(params)}')
        parts.append(_of_rnn(rnn, params[name]))
    (forward, p), (backward, q) = parts
    default = type(module).__dataclass_fields__["merge_fn"].default
    merge = "concat" if module.merge_fn is default else module.merge_fn
    return bidirectional(forward, backward, merge=merge), BidirectionalParams(p, q)


def _of_rnn(rnn, params):
    """The cell and the parameters of an `nn.RNN`, in whatever direction it reads."""
    for name in "variable_axes", "variable_broadcast", "variable_carry", "split_rngs":
        if getattr(rnn, name) != type(rnn).__dataclass_fields__[name].default:
            raise ValueError(
                f"expected an nn.RNN whose {name} is the default; got "
                f"{getattr(rnn, name)}"
            )
    # The parameters of a cell that was made outside the RNN have no level "cell".
    return _trained_cell(
        rnn.cell, params["cell"] if set(params) == {"cell"} else params
    )


def _trained_cell(module, params):
    """A cell with its parameters: of this library if there is an equal one."""
    cell, kind = _equal(module)
    if cell is not None:
        return cell, params_from_linen(params, kind)
    return _cell(module), params


def _plain(params: Any) -> Any:
    """Dicts in place of other mappings, such as Flax's FrozenDict."""
    if isinstance(params, Mapping):
        return {name: _plain(part) for name, part in params.items()}
    return params


def _equal(module) -> tuple[Cell | None, Any]:
    """The equal cell of this library and the class of its parameters, if any."""
    kind, set_fields = _library_name(module), _set_fields(module)
    if kind == "SimpleCell" and set_fields <= {"activation_fn"}:
        return elman(module.activation_fn), ElmanParams
    if kind == "MGUCell" and set_fields <= {"reset_gate"}:
        return mgu(reset_gate=module.reset_gate), MGUParams
    if kind == "GRUCell" and not set_fields:
        return gru(), GRUParams
    if kind in ("LSTMCell", "OptimizedLSTMCell") and not set_fields:
        return lstm(), LSTMParams
    return None, None


def _set_fields(module) -> set[str]:
    """Names of the fields that change the numbers of a trained cell."""
    return {
        name
        for name, field in type(module).__dataclass_fields__.items()
        if name not in ("features", "param_dtype", "parent", "name")
        and (not name.endswith("_init") or name == "carry_init")
        and getattr(module, name) != field.default
    }


def _library_name(module: Any) -> str | None:
    """Name of the class if it is Linen's; None for a class of a user."""
    kind = type(module)
    return kind.__name__ if kind.__module__.startswith("flax.linen.") else None


def _named(module: Any) -> str:
    """Name of a class or a function, or of the class of an object."""
    return getattr(module, "__name__", type(module).__name__)


@factory
def _cell(module: Any) -> Cell:
    """A cell that runs Linen's code."""
    made = _make(module, 1)
    try:
        axes = made.num_feature_axes
    except (AttributeError, NotImplementedError):
        axes = 1
    name = f"Linen's {_named(made)}"
    fixed = getattr(made, "features", None) if made is module else None
    build = Build(_build, module, name, axes - 1)
    return running_cell(build, name, features=fixed, spatial_dims=axes - 1)


def _make(module: Any, features: int) -> Any:
    """The cell itself, or one that a class or a function makes."""
    if is_maker(module):
        try:
            module = module(features)
        except TypeError as error:
            raise ValueError(
                "expected a class or function that makes a cell of Linen from the "
                f"number of features; got {_named(module)}: {error}: pass a cell, or "
                "functools.partial(class, **options)"
            ) from error
    if not _is_cell(module):
        raise ValueError(
            "expected a recurrent cell of Linen, which has initialize_carry, or its "
            f"class; got {_named(module)}: a layer, such as nn.RNN, needs its "
            "parameters too"
        )
    return module


def _is_cell(module: Any) -> bool:
    return hasattr(module, "initialize_carry") and not isinstance(module, type)


def _build(make, name, space, inputs, features) -> Built:
    module = _make(make, features)
    x = jax.ShapeDtypeStruct(any_image(inputs, space), "float32")

    def first(shape):
        return module.initialize_carry(jax.random.key(0), shape)

    @jax.jit
    def init(key):
        carry = jax.eval_shape(lambda: first(x.shape))
        return module.lazy_init(key, carry, x)

    other = set(jax.eval_shape(init, jax.random.key(0))) - {"params"}
    if other:
        raise ValueError(
            f"expected {name} to have no variables but parameters, because a cell is a "
            f"pure function; got {', '.join(sorted(other))}"
        )

    def step(params, state, x):
        return module.apply({"params": params}, state, x)

    return Built(
        lambda key: init(key).get("params", {}),
        lambda params, x: first(x.shape),
        _deterministic(step, name),
    )


def _deterministic(step: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The step, with one sentence for a cell that asks for random numbers."""

    def run(params, state, x):
        try:
            return step(params, state, x)
        except Exception as error:
            if type(error).__name__ != "InvalidRngError":
                raise
            raise ValueError(
                f"expected {name} to be deterministic; got one that draws random "
                "numbers: turn its dropout off, and use nets.recurrent_dropout"
            ) from error

    return run
