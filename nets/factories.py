"""Factories of records of functions: equal calls return the same object."""

import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from numbers import Number
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def factory(make: Callable[P, T]) -> Callable[P, T]:
    """Make equal calls of `make` return the same object.

    A cell is a record of functions, which are compared by identity. Without this
    decorator, each call of `nets.lstm()` would be a new cell to jit and to Flax, which
    would compile it again. An omitted argument equals its default.

    Objects made from plain options are kept for later calls. Plain options are numbers,
    strings, functions of JAX and of this library, and objects made from plain options.
    All other objects, and their options, are deleted with the last reference to them.

    Args:
        make: Function that makes an object. It receives lists as tuples. If an argument
            has no hash, each call makes a new object.

    Returns:
        The function with a cache of its objects. It may be called from several threads.

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
        key = make, _with_types(options)
        try:
            number = hash(key)
        except TypeError:
            return make(*bound.args, **bound.kwargs)
        with _LOCK:
            if key in _kept:
                thing = _kept.pop(key)  # inserted again below, as the newest
            else:
                for holder in [reference() for reference in holders.get(number, ())]:
                    if holder is not None and key in holder.made:
                        return holder.made[key]
                thing = make(*bound.args, **bound.kwargs)
                _hold(thing, options, key, holders, number)
                if not _is_plain(options):
                    return thing
            _kept[key] = thing
            for oldest in list(_kept)[:-KEPT]:
                del _kept[oldest]
            return thing

    return call


LIBRARIES = "jax", __name__.split(".")[0]
PLAIN = Number, str, type(None)  # True is a Number
KEPT = 1000  # largest number of kept objects, of all factories
_kept: dict[Any, Any] = {}  # objects made from plain options, the newest last
_LOCK = threading.RLock()  # reentrant, because a factory may call a factory


def _hold(thing: Any, options: Any, key: Any, holders: dict, number: int) -> None:
    """Store an object and its options in one of the functions of the object.

    A function can be referenced weakly, a tuple cannot. Object and function refer to
    each other, and are deleted together.
    """
    given = {id(leaf) for leaf in _leaves(options)}
    functions = [
        leaf
        for leaf in _leaves(thing)
        if isinstance(leaf, (FunctionType, functools.partial))
        and id(leaf) not in given
        and not _is_named(leaf)
    ]
    if not functions:
        return
    holder = functions[0]

    def forget(reference):
        with _LOCK:
            holders[number].remove(reference)
            if not holders[number]:
                del holders[number]

    vars(holder).setdefault("made", {})[key] = thing
    holders.setdefault(number, []).append(weakref.ref(holder, forget))


def _leaves(value: Any) -> Iterator[Any]:
    """Items of a tuple, at any depth."""
    if isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _is_plain(value: Any, visited: tuple[Any, ...] = ()) -> bool:
    """True if a value keeps nothing alive that could otherwise be deleted."""
    if any(value is outer for outer in visited) or isinstance(value, PLAIN):
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
    return all(_is_plain(part, (*visited, value)) for part in inside)


def _is_named(value: Any) -> bool:
    """True if a value is an attribute of its module, not made by a function."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return getattr(module, getattr(value, "__qualname__", ""), None) is value


def _hashable(value: Any) -> Any:
    """The value with lists replaced by tuples, at any depth."""
    if type(value) in (list, tuple):  # but not a NamedTuple
        return tuple(map(_hashable, value))
    return value


def _with_types(value: Any) -> Any:
    """The value with its type, so that 1, True and NumPy's 1 differ; 1 equals 1.0."""
    if type(value) is tuple:
        return tuple(map(_with_types, value))
    return float if type(value) is int else type(value), value
