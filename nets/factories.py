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

    A cell is a record of functions, and functions are equal only to themselves: without
    this, `nets.lstm()` would look new to jit and to Flax at each call, and compile
    again. An argument left out equals its default.

    An object that was made from plain options (numbers, strings, functions of JAX and
    of this library, and objects made from such) is kept for the next call. Any other is
    forgotten, with its options, when nothing refers to it any more.

    Args:
        make: A function; lists reach it as tuples. Where an argument has no hash, each
            call makes an object.

    Returns:
        `make`, remembering what it made. It may be called from several threads.

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
        key = make, _told_apart(options)
        try:
            place = hash(key)
        except TypeError:
            return make(*bound.args, **bound.kwargs)
        with _LOCK:
            if key in _kept:
                thing = _kept.pop(key)  # and behind all others
            else:
                for holder in [reference() for reference in holders.get(place, ())]:
                    if holder is not None and key in holder.made:
                        return holder.made[key]
                thing = make(*bound.args, **bound.kwargs)
                _hold(thing, options, key, holders, place)
                if not _is_plain(options):
                    return thing
            _kept[key] = thing
            for oldest in list(_kept)[:-KEPT]:
                del _kept[oldest]
            return thing

    return call


LIBRARIES = "jax", __name__.split(".")[0]
PLAIN = Number, str, type(None)  # True is a number
KEPT = 1000  # objects of all factories together
_kept: dict[Any, Any] = {}  # made from plain options, the one asked for last at the end
_LOCK = threading.RLock()  # a factory may call another


def _hold(thing: Any, options: Any, key: Any, holders: dict, place: int) -> None:
    """Let one of a thing's own functions hold it, and the options that it came from.

    A tuple cannot be referred to weakly, a function can. Both are in a cycle, with all
    that they are made of, which is freed as a whole.
    """
    given = {id(leaf) for leaf in _leaves(options)}
    own = [
        f for f in _leaves(thing) if isinstance(f, (FunctionType, functools.partial))
    ]
    own = [f for f in own if id(f) not in given and not _is_named(f)]
    if not own:
        return

    def forget(reference):
        with _LOCK:
            holders[place].remove(reference)
            if not holders[place]:
                del holders[place]

    vars(own[0]).setdefault("made", {})[key] = thing
    holders.setdefault(place, []).append(weakref.ref(own[0], forget))


def _leaves(value: Any) -> Iterator[Any]:
    """Items of a tuple, at any depth."""
    if isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _is_plain(value: Any, seen: tuple[Any, ...] = ()) -> bool:
    """True if it keeps nothing alive that would not live anyway."""
    if any(value is one for one in seen) or isinstance(value, PLAIN):
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
    return all(_is_plain(part, (*seen, value)) for part in inside)


def _is_named(value: Any) -> bool:
    """True if its module has it by its name, so that no function made it."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return getattr(module, getattr(value, "__qualname__", ""), None) is value


def _hashable(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    if type(value) in (list, tuple):  # and no NamedTuple, which is what it is
        return tuple(map(_hashable, value))
    return value


def _told_apart(value: Any) -> Any:
    """1 from True and from NumPy's 1, which Python calls equal; 1 and 1.0 stay so."""
    if type(value) is tuple:
        return tuple(map(_told_apart, value))
    return float if type(value) is int else type(value), value
