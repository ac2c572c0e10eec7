"""Cells by the names that the command line knows, the user's own among them."""

import importlib

import jax
import jax.numpy as jnp

import nets
from experiments import launch
from nets import flow


def named(name: str, inputs: int, features: int) -> nets.Cell:
    """A cell from the command line.

    Args:
        name: A key of `nets.CELLS`, or "package.module:name" of one's own, where `name`
            is a `Cell`, or a function without arguments that returns one.
        inputs: Features of the input that it will see.
        features: Hidden units that it will have.

    Returns:
        The `Cell`.

    Raises:
        launch.UsageError: There is none, it is no `Cell`, or it cannot take a step.

    Example:
        >>> named("lstm", inputs=1, features=8) is nets.lstm()
        True
    """
    if name in nets.CELLS:
        return nets.CELLS[name]()
    path, colon, attribute = name.partition(":")
    if not (path and colon and attribute):
        raise launch.UsageError(
            f"unknown cell {name!r}; expected one of {', '.join(nets.CELLS)}, or one "
            "of your own as package.module:name"
        )
    try:
        found = importlib.import_module(path)
        for part in attribute.split("."):
            found = getattr(found, part)
        if callable(found) and not isinstance(found, nets.Cell):
            found = found()
    except (Exception, SystemExit) as error:  # whatever the user's own code may raise
        raise launch.UsageError(
            f"cell {name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, nets.Cell):
        raise launch.UsageError(
            f"{name!r} is no Cell, nor a function that returns one; got "
            f"{type(found).__name__}"
        )
    _try(name, found, inputs, features)
    return found


def _try(name: str, cell: nets.Cell, inputs: int, features: int) -> None:
    """Walk one step of a cell in shapes only, before any time is spent on it."""
    batch = 2
    x = jnp.zeros((batch, inputs))

    def shapes(function, *args):
        try:
            return jax.eval_shape(function, *args)
        except Exception as error:  # whatever the user's own code may raise
            sentence = " ".join(str(error).split())
            raise launch.UsageError(
                f"cell {name!r} fails on an input of shape [{batch}, {inputs}]: "
                f"{type(error).__name__}: {sentence}"
            ) from error

    def expect(condition, wanted, got):
        if not condition:
            raise launch.UsageError(f"cell {name!r}: expected {wanted}; got {got}")

    params = shapes(lambda: cell.init(jax.random.key(0), inputs, features))
    real = all(_real(leaf) for leaf in jax.tree.leaves(params))
    expect(real, "parameters to be arrays of real numbers", params)
    before = shapes(cell.initial_state, params, x)
    after, y = shapes(lambda *args: tuple(cell.step(*args)), params, before, x)
    kept = "a step to keep the state's structure, shapes and dtypes"
    expect(before == after, f"{kept}, {before}", after)
    for leaf in jax.tree.leaves(before):
        in_front = leaf.shape[:1] == (batch,)
        expect(in_front, f"the batch in front of its state, [{batch}, ...]", leaf.shape)
    array = isinstance(y, jax.ShapeDtypeStruct) and _real(y)
    output = f"its output to be one array of real numbers, [{batch}, features]"
    expect(array and y.ndim == 2 and y.shape[0] == batch, output, y)
    shapes(
        lambda params: flow.state_gradients(
            cell, params, x[None], lambda _, ys: ys.sum()
        ),
        params,
    )


def _real(leaf: jax.ShapeDtypeStruct) -> bool:
    """Whether it has a gradient."""
    return jnp.issubdtype(leaf.dtype, jnp.floating)
