"""Equal calls outside of `jax.jit` compile once."""

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

LIMIT = 128  # programs that are kept for a function; the oldest is dropped first
SCALARS = bool, int, float, complex, str, bytes
# What a program raises that hangs on the value of an array, as `if params.gain > 1` in
# a cell's step does: it runs without jit, where arrays have values.
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Compile equal calls of a function once, where no `jax.jit` around them does.

    Arrays in the arguments, at any depth, are the program's inputs. All else is fixed
    in it: functions (those of a `Cell`, a loss), Python's numbers, strings. Functions
    are referred to weakly: a program is dropped with the first of its functions. What a
    function closes over may change: then a new program is made. Calls that cannot be
    compared, or that need the values of arrays, run as without this decorator; calls
    under `jax.jit` always do.

    Args:
        function: A pure function of trees, which returns a tree of arrays. It checks
            nothing that depends on the values of arrays.

    Returns:
        A function of the same arguments.

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
        # It is unsafe to ask this where the answer changes more than the speed.
        if core.unsafe_am_i_under_a_jit_DO_NOT_USE():  # pyright: ignore
            return function(*args, **kwargs)
        leaves, tree = jax.tree.flatten((args, kwargs))
        arrays = [leaf for leaf in leaves if _is_array(leaf)]
        try:
            key = tree, tuple(map(_fixed, leaves))
            found = programs.get(key)
            now = snapshot([leaf for leaf in leaves if not _is_array(leaf)])
        except (UnknownError, TypeError):  # TypeError: it has no hash, or no weak ref
            return function(*args, **kwargs)
        if found is None or found[0] != now:
            with lock:
                found = programs.get(key)  # which another thread may have made
                if found is None or found[0] != now:
                    found = _program(function, tree, leaves, programs, now)
        try:
            if found[1] is not None:
                return found[1](arrays)
        except NEEDS_VALUES:
            programs[key] = now, None
        return function(*args, **kwargs)  # outside: its error is not that error's child

    return call


def _program(function, tree, leaves, programs, now):
    """A jitted function of the arrays alone, remembered while its functions live."""
    keys = []

    def forget(_):
        if keys:
            programs.pop(keys.pop(), None)

    fixed = tuple(_fixed(leaf, forget) for leaf in leaves)
    given = [
        leaf if type(leaf) in SCALARS else one
        for leaf, one in zip(leaves, fixed, strict=True)
    ]

    def run(arrays):
        rest = iter(arrays)
        values = [
            next(rest)
            if one is None
            else one()
            if isinstance(one, weakref.ref)
            else one
            for one in given
        ]
        args, kwargs = jax.tree.unflatten(tree, values)
        return function(*args, **kwargs)

    entry = now, jax.jit(run)
    keys.append((tree, fixed))
    programs.pop(keys[0], None)  # so that the key that forgets takes its place
    programs[keys[0]] = entry
    for oldest in list(programs)[:-LIMIT]:
        programs.pop(oldest, None)
    return entry


def _is_array(leaf: Any) -> bool:
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.dtype.kind not in "OSUmM"
    return isinstance(leaf, jax.Array)


def _fixed(leaf: Any, forget: Callable[[Any], None] | None = None) -> Any:
    """The part of a key for a leaf that is fixed in the program; None for arrays."""
    if _is_array(leaf):
        return None
    if type(leaf) in SCALARS:  # 1 is no True, 0.0 no -0.0, and nan is nan
        return type(leaf), repr(leaf)
    refer = weakref.WeakMethod if isinstance(leaf, MethodType) else weakref.ref
    reference = refer(leaf, forget)
    hash(reference)  # while the leaf lives: then the reference remembers it
    return reference
