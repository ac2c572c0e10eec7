"""Arrays by name: flattening of trees, checks of names and shapes, and nesting."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_kind(kind: Any, kinds: Iterable[type], library: str) -> None:
    """Check that a library has the cell of the given parameters.

    Args:
        kind: Class of parameters.
        kinds: Classes of parameters that the library supports.
        library: Name of the library.

    Raises:
        ValueError: `kind` is not among `kinds`.

    Example:
        >>> check_kind(dict, [list, tuple], "Keras")
        Traceback (most recent call last):
        ValueError: expected parameters that Keras has, list or tuple; got dict
    """
    kinds = tuple(kinds)
    if kind not in kinds:
        names = " or ".join(known.__name__ for known in kinds)
        raise ValueError(
            f"expected parameters that {library} has, {names}; "
            f"got {getattr(kind, '__name__', kind)}"
        )


def flatten(tree: Any, separator: str = "/") -> dict[str, Any]:
    """Flatten a tree to leaves by path; None is not a leaf.

    Args:
        tree: Tuples, NamedTuples, dicts and other containers.
        separator: Text between the parts of a path.

    Returns:
        Leaves by name.

    Raises:
        ValueError: Two leaves have the same name.

    Example:
        >>> flatten({"ii": {"kernel": 1}, "hi": {"kernel": 2, "bias": None}})
        {'hi/kernel': 2, 'ii/kernel': 1}
    """
    flat = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=separator)
        if name in flat:
            raise ValueError(f'expected one array of each name; got two of "{name}"')
        flat[name] = leaf
    return flat


def nested(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Nest leaves by module, as in Flax and Haiku.

    Args:
        flat: Leaves by name, from `flatten`.

    Returns:
        A dict of dicts, split at the last slash.

    Example:
        >>> nested({"ii/kernel": 1, "hi/kernel": 2, "hi/bias": 3})
        {'ii': {'kernel': 1}, 'hi': {'kernel': 2, 'bias': 3}}
    """
    tree = {}
    for name, leaf in flat.items():
        module, _, last = name.rpartition("/")
        tree.setdefault(module, {})[last] = leaf
    return tree


def listed(names: Iterable[str]) -> str:
    """Format names for messages.

    Args:
        names: Any number of names.

    Returns:
        The names in quotation marks.

    Example:
        >>> print(listed(["w", "b"]), listed([]))
        "w", "b" none
    """
    return ", ".join(f'"{name}"' for name in names) or "none"


def read(
    arrays: Mapping[str, Any], expected: Mapping[str, str], source: str
) -> dict[str, jax.Array]:
    """Convert arrays to JAX, and check their names and shapes.

    Args:
        arrays: Arrays by name.
        expected: Shapes by name, e.g. "4H I". A letter is the same size everywhere; a
            factor multiplies it.
        source: Description of the arrays, for messages.

    Returns:
        JAX arrays by name, in the order of `expected`.

    Raises:
        ValueError: A name is missing or unexpected, a value is not an array, or a shape
            does not match.

    Example:
        >>> read({"w": np.ones((8, 3)), "b": np.ones(9)}, {"w": "4H I", "b": "4H"}, "x")
        Traceback (most recent call last):
        ValueError: "b": expected shape (4H), where H = 2; got (9,)
    """
    missing = [name for name in expected if name not in arrays]
    unexpected = [name for name in arrays if name not in expected]
    if missing or unexpected:
        raise ValueError(
            f"expected {source} named {listed(expected)}; "
            f"missing: {listed(missing)}, unexpected: {listed(unexpected)}"
        )
    converted = {name: _array(name, arrays[name]) for name in expected}
    sizes: dict[str, int] = {}
    for name, shape in expected.items():
        _check_shape(name, converted[name].shape, shape.split(), sizes)
    return converted


def _array(name: str, given: Any) -> jax.Array:
    if isinstance(given, jax.Array):
        return given
    try:
        # A copy: otherwise JAX may share memory that a different library modifies in
        # place.
        return jnp.array(np.asarray(given))
    except (TypeError, RuntimeError, ValueError) as error:
        kind = type(given).__name__
        raise ValueError(
            f'"{name}": expected an array for np.asarray; got a {kind}: {error}'
        ) from error


def _check_shape(name, shape, axes, sizes):
    known = dict(sizes)
    fits = len(shape) == len(axes)
    for size, axis in zip(shape, axes, strict=False):
        times, letter = _parts(axis)
        unit = sizes.setdefault(letter, size // times) if letter else 1
        fits = fits and size == times * unit
    if not fits:
        letters = sorted({_parts(axis)[1] for axis in axes} & set(known))
        where = " and ".join(f"{letter} = {known[letter]}" for letter in letters)
        raise ValueError(
            f'"{name}": expected shape ({", ".join(axes)})'
            f"{', where ' + where if where else ''}; got {shape}"
        )


def _parts(axis: str) -> tuple[int, str]:
    """Split "4H" into factor and letter; "H" has factor 1, "2" has no letter."""
    match = re.fullmatch(r"(\d*)([A-Z]?)", axis)
    assert match, axis
    return int(match[1] or 1), match[2]
