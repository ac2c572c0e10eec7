"""Recurrent cells of Equinox."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nets.cells.gru import GRUParams, gru
from nets.cells.lstm import LSTMParams, lstm
from nets.factories import factory
from nets.interop.equinox import params_from_equinox
from nets.interop.layers.running import Build, Built, is_maker, running_cell
from nets.types import Cell

KNOWN = {"GRUCell": (gru, GRUParams), "LSTMCell": (lstm, LSTMParams)}


def from_equinox(module: Any, initial_state: Callable[[Any], Any] | None = None) -> Any:
    """A cell of Equinox, or a trained cell of Equinox with its parameters.

        cell = from_equinox(eqx.nn.GRUCell)
        cell, params = from_equinox(trained_cell)

    A class gives a cell that runs Equinox's code, over the batch by `jax.vmap`. Its
    parameters are the arrays of the module by the names of its fields, its state is
    Equinox's. The output is the first array of the new state: h of an LSTM. It may be a
    cell of your own with `__call__(x, state) -> state` for one example.

    An object holds its parameters. An `eqx.nn.GRUCell` or `LSTMCell` becomes the cell
    of this library with the same numbers, so that `nets.flow.gates` and all other
    instruments apply. Any other cell, and a cell with an `initial_state`, runs
    Equinox's code.

    Args:
        module: A class of cells, or a function that makes one, such as
            `partial(eqx.nn.GRUCell, use_bias=False)`, called as `module(inputs,
            features, key=key)`. Or an object: a cell.
        initial_state: Function of the cell that returns the state of one example before
            its first input. Default: zeros [cell.hidden_size], or a pair of them if the
            cell takes one, as an LSTM does.

    Returns:
        For a class, a `Cell`. For an object, the pair of the `Cell` and its parameters.
        Equal modules return the same cell.

    Raises:
        ValueError: The module is no cell, cannot be called as `module(x, state)`, or
            holds arrays that are not real numbers.

    Example:
        >>> import equinox as eqx, nets
        >>> cell = from_equinox(eqx.nn.GRUCell)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 8)
        >>> trained = eqx.nn.LSTMCell(3, 8, key=jax.random.key(0))
        >>> cell, params = from_equinox(trained)
        >>> type(params).__name__, nets.unroll(cell, params, jnp.ones((10, 3)))[1].shape
        ('LSTMParams', (10, 8))
    """
    name = getattr(module, "__name__", type(module).__name__)
    if is_maker(module):
        return _cell(module, f"Equinox's {name}", initial_state)
    if not callable(module):
        raise ValueError(f"expected a cell of Equinox, or its class; got {name}")
    template, arrays = _split(module)
    is_theirs = type(module).__module__.startswith("equinox.")
    if is_theirs and name in KNOWN and initial_state is None:
        make, kind = KNOWN[name]
        return make(), params_from_equinox(arrays, kind)
    sizes = [getattr(module, n, None) for n in ("input_size", "hidden_size")]
    cell = _cell(template, f"Equinox's {name}", initial_state, *sizes)
    return cell, arrays


class Template(NamedTuple):
    """A module of Equinox without its arrays.

    Attributes:
        structure: Structure of the module as a pytree.
        leaves: Leaves of the module that are no arrays; None for an array.
        names: Names of the arrays: the path to each in the module.
    """

    structure: Any
    leaves: tuple[Any, ...]
    names: tuple[tuple[str, ...], ...]

    def module(self, params: Any) -> Any:
        """The module with these arrays."""
        arrays = iter(
            [functools.reduce(dict.__getitem__, n, params) for n in self.names]
        )
        leaves = [next(arrays) if leaf is None else leaf for leaf in self.leaves]
        return jax.tree.unflatten(self.structure, leaves)


def _split(module: Any) -> tuple[Template, dict[str, Any]]:
    """A module without its arrays, and its arrays in dicts by name."""
    paths, structure = jax.tree_util.tree_flatten_with_path(module)
    leaves, names, arrays = [], [], {}
    for path, leaf in paths:
        leaves.append(None if _is_array(leaf) else leaf)
        if _is_array(leaf):
            *outer, last = (str(_key(entry)) for entry in path)
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                raise ValueError(
                    f"expected {type(module).__name__} to hold arrays of real numbers, "
                    f"its parameters; got {leaf.dtype} at {'.'.join([*outer, last])}"
                )
            level = functools.reduce(lambda d, n: d.setdefault(n, {}), outer, arrays)
            level[last] = leaf
            names.append((*outer, last))
    return Template(structure, tuple(leaves), tuple(names)), arrays


def _key(entry: Any) -> Any:
    """Name, index or key of one level of a path."""
    return next(getattr(entry, n) for n in ("name", "key", "idx") if hasattr(entry, n))


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray))


@factory
def _cell(
    make: Any,
    name: str,
    initial_state: Callable[[Any], Any] | None,
    inputs: int | None = None,
    features: int | None = None,
) -> Cell:
    """A cell that runs the code of a class, or of a template."""
    build = Build(_build, make, name, initial_state)
    return running_cell(build, name, inputs=inputs, features=features)


def _build(make, name, initial_state, inputs, features) -> Built:
    init, template = None, make
    if not isinstance(make, Template):
        init = jax.jit(lambda key: _split(_made(make, inputs, features, key))[1])
        template = _template(make, inputs, features)

    def first(params):
        module = template.module(params)
        if initial_state is not None:
            return initial_state(module)
        return _zeros(module, name, inputs, params)

    def of_batch(params, x):
        batch = x.shape[:-1]
        return jax.tree.map(
            lambda s: jnp.broadcast_to(s, (*batch, *jnp.shape(s))), first(params)
        )

    def step(params, state, x):
        run = template.module(params)
        for _ in x.shape[:-1]:
            run = jax.vmap(run)
        state = run(x, state)
        return state, jax.tree.leaves(state)[0]

    return Built(init, of_batch, step)


def _template(make: Any, inputs: int, features: int) -> Template:
    """The template of a module that is never computed."""
    templates = []

    def shapes(key):
        template, arrays = _split(_made(make, inputs, features, key))
        templates.append(template)
        return arrays

    jax.eval_shape(shapes, jax.random.key(0))
    return templates[0]


def _made(make: Any, inputs: int, features: int, key: Any) -> Any:
    """A module that a class or a function makes."""
    try:
        return make(inputs, features, key=key)
    except TypeError as error:
        name = getattr(make, "__name__", type(make).__name__)
        raise ValueError(
            "expected a cell of Equinox, or a class or function that makes one, called "
            f"as make(inputs, features, key=key); got {name}: {error}"
        ) from error


def _zeros(module: Any, name: str, inputs: int, params: Any) -> Any:
    """Zeros in the structure that the cell takes: one array, or a pair."""
    if not hasattr(module, "hidden_size"):
        raise ValueError(
            f"expected {name} to have a hidden_size; got none: pass initial_state, a "
            "function of the cell"
        )
    dtype = jnp.result_type(*jax.tree.leaves(params))
    h, why = jnp.zeros(module.hidden_size, dtype), []
    for state in h, (h, h):
        try:
            after = jax.eval_shape(module, jnp.zeros(inputs, dtype), state)
        except Exception as error:  # of any kind: the code is a user's
            why.append(f"{type(error).__name__}: {error}")
            continue
        if jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state):
            return state
        why.append(f"it returns {jax.tree.map(jnp.shape, after)}")
    raise ValueError(
        f"expected {name} to return a new state like the one it takes, zeros "
        f"[{module.hidden_size}] or a pair of them; got neither ({why[0]}): pass "
        "initial_state, a function of the cell"
    )
