"""What a function sees beside its arguments, so that two moments can be compared."""

import dis
import functools
import sys
import sysconfig
import types
import weakref
from pathlib import Path
from typing import Any

import jax
import jax.core
import numpy as np

SCALARS = bool, int, float, complex, str, bytes, type(None)
CONSTANTS = (
    types.ModuleType,
    np.ufunc,
    np.dtype,
    range,
    slice,
    type(...),
)
TOOLS = "jax", "jaxlib", "jaxtyping", "beartype"  # whose objects do not change
LIBRARIES = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parent),
)


class UnknownError(Exception):
    """Its argument is something of which it cannot be told whether it has changed."""


def snapshot(value: Any) -> Any:
    """What a value is made of: equal to a later one if nothing has changed since.

    A function is made of its defaults, of what it closes over, and of the globals that
    it reads; a class of its attributes, an object of its attributes and of its class.
    Modules and what is in installed libraries are taken to be constant. Arrays of JAX
    are compared by identity, those of NumPy by their numbers; functions and classes are
    referred to weakly.

    Args:
        value: A function, or a tree of functions and of what can be compared.

    Returns:
        A tree of tuples, to be compared by ==.

    Raises:
        UnknownError: There is a tracer in it, or an object that does not show what it
            is made of.

    Example:
        >>> rates = [0.5]
        >>> function = (lambda rates: lambda x: rates[0] * x)(rates)
        >>> before = snapshot(function)
        >>> same = snapshot(function) == before
        >>> rates[0] = 0.25
        >>> same, snapshot(function) == before
        (True, False)
    """
    return _of(value, {})


class _Same:
    """An array: equal to itself."""

    def __init__(self, array: Any):
        self.array = array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.array is other.array

    __hash__ = None  # type: ignore[assignment]


class _Plain:
    """An object that is all in its attributes."""


def _of(value: Any, seen: dict[int, tuple[int, Any]]) -> Any:
    if isinstance(value, SCALARS):  # by repr, as 0.0 == -0.0, and nan != nan
        return type(value), repr(value)
    if id(value) in seen:
        return "again", seen[id(value)][0]
    if isinstance(value, CONSTANTS) or type(value) is object:
        return "constant", value
    if isinstance(value, jax.core.Tracer):
        raise UnknownError(value)
    if isinstance(value, jax.Array):
        return _Same(value)
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind != "O":
        return value.shape, value.dtype, value.tobytes()
    seen[id(value)] = len(seen), value  # alive, so that its id remains its own
    return _parts(value, lambda part: _of(part, seen))


def _parts(value, of):
    """What a function, a class, a container or an object is made of."""
    if isinstance(value, types.FunctionType):
        return weakref.ref(value), *_surroundings(value, of)
    if isinstance(value, types.BuiltinFunctionType):  # a method of its __self__, if any
        return "builtin", value.__name__, of(value.__self__)
    if isinstance(value, types.MethodType):
        return "method", of(value.__func__), of(value.__self__)
    if isinstance(value, functools.partial):
        return "partial", of(value.func), of(value.args), of(value.keywords)
    if isinstance(value, weakref.ref):
        return "reference", of(value())
    if isinstance(value, (staticmethod, classmethod)):
        return "method", of(value.__func__)
    if isinstance(value, property):
        return "property", of(value.fget)
    if isinstance(value, type):
        own = {} if _in_library(value) else dict(vars(value))
        shown = (*SCALARS, types.FunctionType, property, staticmethod, classmethod)
        shown += tuple, list, dict, set, frozenset, np.ndarray, jax.Array
        attributes = [(k, of(v)) for k, v in own.items() if isinstance(v, shown)]
        return weakref.ref(value), *attributes
    if isinstance(value, (tuple, list, set, frozenset)):
        return type(value), *map(of, value)
    if isinstance(value, dict):
        return type(value), *((of(k), of(v)) for k, v in value.items())
    library = type(value).__module__.split(".")[0]
    if library in TOOLS or (library == "numpy" and callable(value)):
        return _itself(value)  # a jitted function, and its like
    if type(value).__basicsize__ == _Plain.__basicsize__:
        attributes = [(k, of(v)) for k, v in vars(value).items()]
        return "object", of(type(value)), *attributes
    if type(value).__hash__ not in (None, object.__hash__):
        return value  # what hashes by its value does not change it
    raise UnknownError(value)


def _surroundings(function, of):
    """Defaults, closure and globals of a function."""
    around = function.__globals__
    file = str(around.get("__file__", ""))
    parts = [function.__defaults__, function.__kwdefaults__]
    parts += [_content(cell) for cell in function.__closure__ or ()]
    yield from map(of, parts)
    if not file.startswith(LIBRARIES):
        yield from [of(around[n]) for n in _globals(function.__code__) if n in around]


def _itself(value):
    try:
        return weakref.ref(value)
    except TypeError:
        return "constant", value


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


@functools.lru_cache(maxsize=4096)
def _globals(code: types.CodeType) -> tuple[str, ...]:
    """Names of the globals that a function reads, those of functions in it included."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"]
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return tuple(names) + tuple(name for one in inner for name in _globals(one))


def _in_library(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    builtin = kind.__module__ in sys.builtin_module_names
    return builtin or str(file or "").startswith(LIBRARIES)
