"""Snapshots of the variables that a function reads besides its arguments."""

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
TOOLS = "jax", "jaxlib", "jaxtyping", "beartype"  # immutable types
LIBRARIES = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parent),
)


class UnknownError(Exception):
    """Error for values whose changes cannot be detected."""


def snapshot(value: Any) -> Any:
    """Return a snapshot of a value; it equals a later snapshot if nothing has changed.

    The snapshot of a function contains its defaults, its closure, and the globals that
    it reads; that of a class contains its attributes, that of an object its attributes
    and class. Modules and the contents of installed libraries are assumed constant. JAX
    arrays are compared by identity, NumPy arrays by value. Functions and classes are
    referenced weakly.

    Args:
        value: A function, or a pytree of functions and comparable values.

    Returns:
        A tree of tuples, to be compared with ==.

    Raises:
        UnknownError: The value contains a tracer, or an object whose contents cannot be
            inspected.

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
    """An array that is compared by identity."""

    def __init__(self, array: Any):
        self.array = array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.array is other.array

    __hash__ = None  # type: ignore[assignment]


class _Plain:
    """An object that is defined by its attributes."""


def _of(value: Any, visited: dict[int, tuple[int, Any]]) -> Any:
    """Snapshot of a value; values visited before are replaced by their number."""
    if isinstance(value, SCALARS):  # by repr, because 0.0 == -0.0 and nan != nan
        return type(value), repr(value)
    if id(value) in visited:
        return "again", visited[id(value)][0]
    if isinstance(value, CONSTANTS) or type(value) is object:
        return "constant", value
    if isinstance(value, jax.core.Tracer):
        raise UnknownError(value)
    if isinstance(value, jax.Array):
        return _Same(value)
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind != "O":
        return value.shape, value.dtype, value.tobytes()
    visited[id(value)] = len(visited), value  # kept alive, so that its id stays unique
    return _parts(value, lambda part: _of(part, visited))


def _parts(value, of):
    """Snapshot of a function, a class, a container or an object."""
    if isinstance(value, types.FunctionType):
        return weakref.ref(value), *_surroundings(value, of)
    if isinstance(value, types.BuiltinFunctionType):  # with its __self__
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
        members = {} if _in_library(value) else dict(vars(value))
        kinds = (*SCALARS, types.FunctionType, property, staticmethod, classmethod)
        kinds += tuple, list, dict, set, frozenset, np.ndarray, jax.Array
        attributes = [(k, of(v)) for k, v in members.items() if isinstance(v, kinds)]
        return weakref.ref(value), *attributes
    if isinstance(value, (tuple, list, set, frozenset)):
        return type(value), *map(of, value)
    if isinstance(value, dict):
        return type(value), *((of(k), of(v)) for k, v in value.items())
    library = type(value).__module__.split(".")[0]
    if library in TOOLS or (library == "numpy" and callable(value)):
        return _reference(value)  # e.g. a jitted function
    if type(value).__basicsize__ == _Plain.__basicsize__:
        attributes = [(k, of(v)) for k, v in vars(value).items()]
        return "object", of(type(value)), *attributes
    if type(value).__hash__ not in (None, object.__hash__):
        return value  # an object hashed by value does not change
    raise UnknownError(value)


def _surroundings(function, of):
    """Return the defaults, closure and globals of a function."""
    variables = function.__globals__
    file = str(variables.get("__file__", ""))
    parts = [function.__defaults__, function.__kwdefaults__]
    parts += [_content(cell) for cell in function.__closure__ or ()]
    yield from map(of, parts)
    if not file.startswith(LIBRARIES):
        names = [n for n in _globals(function.__code__) if n in variables]
        yield from [of(variables[n]) for n in names]


def _reference(value):
    """Weak reference to a value, or the value if it has none."""
    try:
        return weakref.ref(value)
    except TypeError:
        return "constant", value


def _content(cell):
    """Content of a closure cell; None for an empty cell."""
    try:
        return cell.cell_contents
    except ValueError:  # the cell is empty
        return None


@functools.lru_cache(maxsize=4096)
def _globals(code: types.CodeType) -> tuple[str, ...]:
    """Return the names of the globals that a function and its inner functions read."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"]
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return tuple(names) + tuple(name for code in inner for name in _globals(code))


def _in_library(kind: type) -> bool:
    """True for a class of Python or of an installed library."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    builtin = kind.__module__ in sys.builtin_module_names
    return builtin or str(file or "").startswith(LIBRARIES)
