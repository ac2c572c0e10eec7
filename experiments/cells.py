"""Cells by the names that the command line knows, the user's own among them."""

import importlib
import inspect

import jax
import jax.numpy as jnp

import nets
from experiments import launch
from nets import flow, initializers

OWN = "own"  # what `--init` says by default


def scheme(init: str, time: int) -> initializers.Scheme | None:
    """The scheme of initialisation that `--init` names.

    Args:
        init: A key of `nets.initializers.SCHEMES`; "chrono(100)" for gates that span up
            to 100 steps, "chrono" for as many as there are; "own" for what each cell
            starts with by itself.
        time: How many steps there are.

    Returns:
        The scheme; None for "own".

    Raises:
        launch.UsageError: There is none of that name.

    Example:
        >>> scheme("keras", time=64) is nets.initializers.keras
        True
    """
    if init == OWN:
        return None
    try:
        return initializers.scheme(f"chrono({time})" if init == "chrono" else init)
    except ValueError as error:
        raise launch.UsageError(f"flag --init: {error}, or {OWN!r}") from error


def scheme_name(name: str, init: str, time: int) -> str:
    """How the parameters of a cell from the command line start, in a word.

    Args:
        name: As in `named`.
        init: As in `scheme`.
        time: How many steps there are.

    Returns:
        The name of the scheme, or "own" for a cell that has its own way.

    Example:
        >>> scheme_name("lstm", "own", 64), scheme_name("lstm", "chrono", 64)
        ('orthogonal', 'chrono(64)')
    """
    if not _takes_scheme(name):
        return OWN
    if init == OWN:
        return inspect.signature(nets.CELLS[name]).parameters["scheme"].default.__name__
    return f"chrono({time})" if init == "chrono" else init


def _takes_scheme(name: str) -> bool:
    make = nets.CELLS.get(name)
    return make is not None and "scheme" in inspect.signature(make).parameters


def named(
    name: str,
    inputs: int,
    features: int,
    scheme: initializers.Scheme | None = None,
) -> nets.Cell:
    """A cell from the command line.

    Args:
        name: A key of `nets.CELLS`, or "package.module:name" of one's own, where `name`
            is a `Cell`, or a function without arguments that returns one.
        inputs: Features of the input that it will see.
        features: Hidden units that it will have.
        scheme: How its parameters start, if it leaves that to a scheme; None for what
            it starts with by itself.

    Returns:
        The `Cell`.

    Raises:
        launch.UsageError: There is none, it is no `Cell`, it cannot take a step, or it
            cannot start by that scheme.

    Example:
        >>> named("lstm", inputs=1, features=8) is nets.lstm()
        True
    """
    if name in nets.CELLS:
        if scheme is None or not _takes_scheme(name):
            cell = nets.CELLS[name]()
        else:
            cell = nets.CELLS[name](scheme=scheme)
        try:
            jax.eval_shape(
                lambda: cell.init(jax.random.key(0), inputs, features),
            )
        except ValueError as error:
            raise launch.UsageError(f"cell {name!r}: {error}") from error
        _expect_vectors(name, cell)
        return cell
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
    _expect_vectors(name, found)
    _try(name, found, inputs, features)
    return found


def _expect_vectors(name: str, cell: nets.Cell) -> None:
    """Refuse a cell of images, as sequences of vectors are what experiments feed."""
    if cell.space:
        raise launch.UsageError(
            f"cell {name!r}: expected one that reads vectors, which is what the "
            f"experiment has; it reads images (space = {cell.space}): run it from "
            "Python, with nets.unroll(cell, params, xs)"
        )


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
