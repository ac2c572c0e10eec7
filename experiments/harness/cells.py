"""Cells by the names that the command line knows, the user's own among them."""

import contextlib
import importlib
import inspect
import textwrap
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

import nets
from experiments.harness import cli, process
from nets import flow, initializers, interop

OWN = "own"  # default of `--init`
BATCHES = 2, 3, 5  # sizes that an own cell is tried with
STEPS = 2  # of an own cell, which are computed
LONGEST = 400  # characters of the sentence about the failure of a user's cell


def initializer(init: str, time: int) -> initializers.Initializer | None:
    """The initializer that `--init` names.

    Args:
        init: A key of `nets.initializers.INITIALIZERS`; "chrono(100)" for gates that
            span up to 100 steps, "chrono" for all steps; "own" for the default of each
            cell.
        time: Number of steps.

    Returns:
        The initializer; None for "own".

    Raises:
        cli.UsageError: The name is unknown.

    Example:
        >>> initializer("keras", time=64) is nets.initializers.keras
        True
    """
    if init == OWN:
        return None
    try:
        return initializers.from_name(f"chrono({time})" if init == "chrono" else init)
    except ValueError as error:
        raise cli.UsageError(f"flag --init: {error}, or {OWN!r}") from error


def initializer_name(name: str, init: str, time: int) -> str:
    """The name of the initializer that a cell from the command line uses.

    Args:
        name: As in `named`.
        init: As in `initializer`.
        time: Number of steps.

    Returns:
        The name; "own" for a cell that takes no initializer.

    Example:
        >>> initializer_name("lstm", "own", 64)
        'orthogonal'
        >>> initializer_name("lstm", "chrono", 64)
        'chrono(64)'
    """
    if not _takes_initializer(name):
        return OWN
    if init == OWN:
        return inspect.signature(nets.CELLS[name]).parameters["init"].default.__name__
    return f"chrono({time})" if init == "chrono" else init


def _takes_initializer(name: str) -> bool:
    make = nets.CELLS.get(name)
    return make is not None and "init" in inspect.signature(make).parameters


def named(
    name: str,
    inputs: int,
    features: int,
    init: initializers.Initializer | None = None,
) -> nets.Cell:
    """A cell from the command line.

    Args:
        name: A key of `nets.CELLS`, or "package.module:name", where `name` is a `Cell`,
            a recurrent cell of Linen, NNX, Equinox or Haiku (a class or an object), or
            a function without arguments that returns one of these.
        inputs: Features of the input that it will see.
        features: Hidden units that it will have.
        init: Initializer, if the cell takes one; None for the default of the cell.

    Returns:
        The `Cell`.

    Raises:
        cli.UsageError: There is none, it is no `Cell`, it cannot take a step, or it
            cannot start from that initializer.

    Example:
        >>> named("lstm", inputs=1, features=8) is nets.lstm()
        True
    """
    if name in nets.CELLS:
        if init is None or not _takes_initializer(name):
            cell = nets.CELLS[name]()
        else:
            cell = nets.CELLS[name](init=init)
        try:
            jax.eval_shape(
                lambda: cell.init(jax.random.key(0), inputs, features),
            )
        except ValueError as error:
            raise cli.UsageError(f"cell {name!r}: {error}") from error
        _expect_vectors(name, cell)
        return cell
    cell = _imported(name)
    _expect_vectors(name, cell)
    for batch in BATCHES:
        _try(name, cell, inputs, features, batch)
    _compute(name, cell, inputs, features)
    return cell


def _imported(name: str) -> nets.Cell:
    """The cell that the user's own module has under a name."""
    path, colon, attribute = name.partition(":")
    if not (path and colon and attribute):
        raise cli.UsageError(
            f"unknown cell {name!r}; expected one of {', '.join(nets.CELLS)}, or one "
            f"of your own as package.module:name{process.nearest(name, nets.CELLS)}"
        )
    with _told(f"cell {name!r} cannot be imported"):
        value = importlib.import_module(path)
        for part in attribute.split("."):
            value = getattr(value, part)
        value = _as_cell(name, value)
        if callable(value) and not isinstance(value, nets.Cell):
            value = _as_cell(name, value())
    if not isinstance(value, nets.Cell):
        raise cli.UsageError(
            f"{name!r} is no Cell, nor a cell of Linen, NNX, Equinox or Haiku, nor a "
            f"function that returns one; got {type(value).__name__}"
        )
    return value


def _as_cell(name: str, value: object) -> object:
    """A cell of another library as a `Cell`; anything else as it is."""
    try:
        cell = interop.recognized(value)
    except ValueError as error:
        raise cli.UsageError(f"cell {name!r}: {error}") from error
    return value if cell is None else cell


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in one sentence what the user's own code raises, whatever it is."""
    try:
        yield
    except (KeyboardInterrupt, cli.UsageError):
        raise
    except BaseException as error:
        sentence = f"{type(error).__name__}: {' '.join(_text(error).split())}"
        short = textwrap.shorten(sentence, LONGEST, placeholder=" ...")
        raise cli.UsageError(f"{what}: {short.rstrip(': ')}") from error


def _text(error: BaseException) -> str:
    """Text of an exception, which may fail itself."""
    try:
        return str(error)
    except Exception:
        return ""


def _expect_vectors(name: str, cell: nets.Cell) -> None:
    """Refuse a cell of images, as sequences of vectors are what experiments feed."""
    if cell.spatial_dims:
        raise cli.UsageError(
            f"cell {name!r}: expected one that reads vectors, which is what the "
            f"experiment has; it reads images (spatial_dims = {cell.spatial_dims}): "
            "run it from Python, with nets.unroll(cell, params, xs)"
        )


def _try(name: str, cell: nets.Cell, inputs: int, features: int, batch: int) -> None:
    """Walk one step of a cell in shapes only, before any time is spent on it."""
    x = jnp.zeros((batch, inputs))

    def shapes(function, *args):
        with _told(f"cell {name!r} fails on an input of shape [{batch}, {inputs}]"):
            return jax.eval_shape(function, *args)

    def expect(condition, wanted, got):
        if not condition:
            got = textwrap.shorten(_shapes(got), LONGEST, placeholder=" ...")
            raise cli.UsageError(f"cell {name!r}: expected {wanted}; got {got}")

    params = shapes(lambda: cell.init(jax.random.key(0), inputs, features))
    real = all(_real(leaf) for leaf in jax.tree.leaves(params))
    expect(real, "parameters to be arrays of real numbers", params)
    before = shapes(cell.initial_state, params, x)
    leaves = jax.tree.leaves(before)
    numbers = any(jnp.issubdtype(s.dtype, jnp.inexact) and s.size for s in leaves)
    wanted = "a state with numbers in it that have a gradient (a floating-point array)"
    expect(numbers, wanted, before if leaves else "a state of nothing")
    stepped = shapes(cell.step, params, before, x)
    pair = isinstance(stepped, tuple | list) and len(stepped) == 2
    expect(pair, "a step to return its state and its output, (state, y)", stepped)
    after, y = stepped
    kept = "a step to keep the state's structure, shapes and dtypes"
    expect(_plain(before) == _plain(after), f"{kept}, {_shapes(before)}", after)
    for leaf in leaves:
        in_front = leaf.shape[:1] == (batch,)
        expect(in_front, f"the batch in front of its state, [{batch}, ...]", leaf.shape)
    array = isinstance(y, jax.ShapeDtypeStruct) and _real(y)
    output = f"its output to be one array of real numbers, [{batch}, features]"
    expect(array and y.ndim == 2 and y.shape[0] == batch and y.shape[1], output, y)
    shapes(
        lambda params: flow.state_gradients(
            cell, params, x[None], lambda _, ys: ys.sum()
        ),
        params,
    )


def _shapes(tree: object) -> str:
    """Shapes and dtypes of a tree, such as "(float32[2, 4], int32[2])"."""

    def name(leaf):
        known = isinstance(leaf, jax.ShapeDtypeStruct)
        return f"{leaf.dtype}{list(leaf.shape)}" if known else leaf

    return " ".join(str(jax.tree.map(name, tree)).replace("'", "").split())


def _plain(state: object) -> tuple[object, list[tuple[object, ...]]]:
    """Structure, shapes and dtypes of a state, without what promotion decides."""
    leaves, structure = jax.tree.flatten(state)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _compute(name: str, cell: nets.Cell, inputs: int, features: int) -> None:
    """Run some steps of a cell, and refuse what is not a number from the start."""
    rng = np.random.default_rng(0)
    xs = jnp.asarray(rng.standard_normal((STEPS, BATCHES[-1], inputs), np.float32))

    def walk(key):
        params = cell.init(key, inputs, features)

        def loss(params):
            state, ys = cell.initial_state(params, xs[0]), []
            for x in xs:
                state, y = cell.step(params, state, x)
                ys.append(y)
            return jnp.stack(ys).sum(), (state, ys)

        gradient, (state, ys) = jax.grad(loss, has_aux=True)(params)
        return [all_finite(tree) for tree in (params, state, ys, gradient)]

    def all_finite(tree):
        leaves = jax.tree.leaves(tree)
        numbers = [s for s in leaves if jnp.issubdtype(s.dtype, jnp.inexact)]
        return jnp.array([jnp.isfinite(leaf).all() for leaf in numbers]).all()

    with _told(f"cell {name!r} fails after {STEPS} steps"):
        finite = jax.jit(walk)(jax.random.key(0))
    parts = "parameters are", "state is", "output is", "gradient is"
    for part, good in zip(parts, finite, strict=True):
        if not good:
            raise cli.UsageError(
                f"cell {name!r}: expected finite numbers; its {part} not finite after "
                f"{STEPS} steps from its initial state, on standard normal inputs"
            )


def _real(leaf: jax.ShapeDtypeStruct) -> bool:
    """Whether it has a gradient."""
    return jnp.issubdtype(leaf.dtype, jnp.floating)
