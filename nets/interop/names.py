"""Arrays by their names: gathered, checked, and put back into trees."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_kind(kind: Any, kinds: Iterable[type], library: str) -> None:
    """Refuse parameters of a cell that a library does not have.

    Args:
        kind: A class of parameters.
        kinds: Those that the library has.
        library: Its name.

    Raises:
        ValueError: `kind` is not among them.

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
    """The leaves of a tree by their paths; None is no leaf.

    Args:
        tree: Tuples, NamedTuples, dicts and their like.
        separator: What stands between the steps of a path.

    Returns:
        The leaves by name.

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
    """The leaves as Flax and Haiku keep them: modules, and their arrays.

    Args:
        flat: Leaves by name, as of `flatten`.

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
    """Names in a sentence.

    Args:
        names: Any number of them.

    Returns:
        Each in quotation marks.

    Example:
        >>> print(listed(["w", "b"]), listed([]))
        "w", "b" none
    """
    return ", ".join(f'"{name}"' for name in names) or "none"


def read(
    found: Mapping[str, Any], expected: Mapping[str, str], source: str
) -> dict[str, jax.Array]:
    """The arrays that are expected, of the shapes that are expected.

    Args:
        found: Arrays by name.
        expected: Shapes by name, such as "4H I": a letter means the same size
            everywhere, and a factor before it is that many times as much.
        source: What the arrays are of, for messages.

    Returns:
        JAX's arrays by name, in the order of `expected`.

    Raises:
        ValueError: A name is missing or unexpected, what it names is no array, or the
            shape is another.

    Example:
        >>> read({"w": np.ones((8, 3)), "b": np.ones(9)}, {"w": "4H I", "b": "4H"}, "x")
        Traceback (most recent call last):
        ValueError: "b": expected shape (4H), where H = 2; got (9,)
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    if missing or unexpected:
        raise ValueError(
            f"expected {source} named {listed(expected)}; "
            f"missing: {listed(missing)}, unexpected: {listed(unexpected)}"
        )
    arrays = {name: _array(name, found[name]) for name in expected}
    sizes: dict[str, int] = {}
    for name, shape in expected.items():
        _check_shape(name, arrays[name].shape, shape.split(), sizes)
    return arrays


def _array(name: str, given: Any) -> jax.Array:
    if isinstance(given, jax.Array):
        return given
    try:
        # A copy: JAX may else share the memory that another library trains on in place.
        return jnp.array(np.asarray(given))
    except (TypeError, RuntimeError, ValueError) as error:
        kind = type(given).__name__
        raise ValueError(
            f'"{name}": expected what np.asarray takes; got a {kind}: {error}'
        ) from error


def _check_shape(name, shape, axes, sizes):
    known = dict(sizes)
    fits = len(shape) == len(axes)
    for size, axis in zip(shape, axes, strict=False):
        times, letter = _parts(axis)
        own = sizes.setdefault(letter, size // times) if letter else 1
        fits = fits and size == times * own
    if not fits:
        letters = sorted({_parts(axis)[1] for axis in axes} & set(known))
        where = " and ".join(f"{letter} = {known[letter]}" for letter in letters)
        raise ValueError(
            f'"{name}": expected shape ({", ".join(axes)})'
            f"{', where ' + where if where else ''}; got {shape}"
        )


def _parts(axis: str) -> tuple[int, str]:
    """The factor and the letter of "4H"; of "H" the factor is 1, "2" has no letter."""
    match = re.fullmatch(r"(\d*)([A-Z]?)", axis)
    assert match, axis
    return int(match[1] or 1), match[2]
