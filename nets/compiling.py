"""Compile equal calls outside of `jax.jit` only once."""

import functools
import threading
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.extend import core

from nets.snapshots import UnknownError, snapshot

P = ParamSpec("P")
T = TypeVar("T")

LIMIT = 128  # largest number of programs per function; the oldest is dropped first
SCALARS = bool, int, float, complex, str, bytes
# Errors of programs that depend on the value of an array, e.g. `if params.gain > 1` in
# a cell's step. Such programs run without jit, where arrays have values.
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Compile equal calls of a function once, unless they run under `jax.jit`.

    The arrays in the arguments, at any depth, are the inputs of the program. Everything
    else is static: functions (those of a `Cell`, a loss), Python numbers, strings.
    Functions are referenced weakly: a program is dropped as soon as one of its
    functions is deleted. If a variable in a function's closure changes, a new program
    is compiled. Calls that cannot be compared, or that depend on the values of arrays,
    run as without this decorator, and so do calls under `jax.jit`.

    Args:
        function: Pure function of pytrees that returns a pytree of arrays. It must not
            check the values of arrays.

    Returns:
        A function with the same arguments.

    Example:
        >>> import jax.numpy as jnp
        >>> traced = []
        >>> @compiled
        ... def apply(function, x, *, times):
        ...     traced.append(times)
        ...     return times * function(x)
        >>> [apply(jnp.sin, jnp.zeros(2), times=2).tolist() for _ in range(3)]
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
        >>> traced
        [2]
    """
    programs: dict[Any, tuple[Any, Callable[..., Any] | None]] = {}
    lock = threading.RLock()

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        # This check is unsafe if its result affects more than the speed.
        if core.unsafe_am_i_under_a_jit_DO_NOT_USE():  # pyright: ignore
            return function(*args, **kwargs)
        leaves, tree = jax.tree.flatten((args, kwargs))
        arrays = [leaf for leaf in leaves if _is_array(leaf)]
        try:
            key = tree, tuple(map(_fixed, leaves))
            entry = programs.get(key)
            now = snapshot([leaf for leaf in leaves if not _is_array(leaf)])
        except (UnknownError, TypeError):  # TypeError: no hash, or no weak reference
            return function(*args, **kwargs)
        if entry is None or entry[0] != now:
            with lock:
                entry = programs.get(key)  # another thread may have made it
                if entry is None or entry[0] != now:
                    entry = _program(function, tree, leaves, programs, now)
        try:
            if entry[1] is not None:
                return entry[1](arrays)
        except NEEDS_VALUES:
            programs[key] = now, None
        return function(*args, **kwargs)  # not chained to that error

    return call


def _program(function, tree, leaves, programs, now):
    """Jitted function of the arrays, cached while its static functions exist."""
    keys = []

    def forget(_):
        if keys:
            programs.pop(keys.pop(), None)

    fixed = tuple(_fixed(leaf, forget) for leaf in leaves)
    static = [
        leaf if type(leaf) in SCALARS else reference
        for leaf, reference in zip(leaves, fixed, strict=True)
    ]

    def run(arrays):
        rest = iter(arrays)
        values = [
            next(rest)
            if value is None
            else value()
            if isinstance(value, weakref.ref)
            else value
            for value in static
        ]
        args, kwargs = jax.tree.unflatten(tree, values)
        return function(*args, **kwargs)

    entry = now, jax.jit(run)
    keys.append((tree, fixed))
    programs.pop(keys[0], None)  # so that the key with the callback replaces it
    programs[keys[0]] = entry
    for oldest in list(programs)[:-LIMIT]:
        programs.pop(oldest, None)
    return entry


def _is_array(leaf: Any) -> bool:
    """True for arrays and scalars of JAX and NumPy that JAX can compute with."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.dtype.kind not in "OSUmM"
    return isinstance(leaf, jax.Array)


def _fixed(leaf: Any, forget: Callable[[Any], None] | None = None) -> Any:
    """Return the key of a static leaf; None for arrays."""
    if _is_array(leaf):
        return None
    if type(leaf) in SCALARS:  # 1 differs from True, 0.0 from -0.0; nan equals nan
        return type(leaf), repr(leaf)
    refer = weakref.WeakMethod if isinstance(leaf, MethodType) else weakref.ref
    reference = refer(leaf, forget)
    hash(reference)  # while the leaf exists: the reference caches it
    return reference
