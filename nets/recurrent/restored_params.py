"""Parameters restored from a checkpoint as dicts and lists."""

from collections.abc import Mapping
from typing import Any

import jax

from nets.types import Cell, Params


def restored(given: Any, like: Any, place: str = "the parameters") -> Any:
    """Convert the dicts and lists of a restored checkpoint into records.

    Without a target, Flax restores each NamedTuple and each tuple as a dict (a tuple
    has the keys "0", "1", ...). Orbax restores a NamedTuple as a dict, and a tuple as a
    list.

    Args:
        given: Parameters, or dicts and lists in place of their records.
        like: Tree of arrays, or of their shapes, with the wanted structure.
        place: Position of the parameters, for messages.

    Returns:
        The arrays of `given` in the records of `like`.

    Raises:
        ValueError: The names or the number of the entries differ.

    Example:
        >>> import nets
        >>> w = jax.numpy.ones((2, 3))
        >>> like = nets.cells.ElmanParams(w_i=w, w_h=w, b=w)
        >>> restored({"b": 1, "w_h": 2, "w_i": 3}, like)
        ElmanParams(w_i=3, w_h=2, b=1)
    """
    if isinstance(like, dict) and isinstance(given, Mapping):
        names = list(like)
    elif isinstance(like, tuple) and isinstance(given, Mapping):
        names = getattr(like, "_fields", [str(i) for i in range(len(like))])
    elif isinstance(like, (tuple, list)) and isinstance(given, (tuple, list)):
        names = range(len(like))
    else:
        return given
    entries = given if isinstance(given, Mapping) else dict(enumerate(given))
    wanted = like if isinstance(like, dict) else dict(zip(names, like, strict=True))
    missing = [n for n in names if n not in entries and wanted[n] is not None]
    unknown = [n for n in entries if n not in names]
    if missing or unknown:
        fields = f" ({', '.join(map(str, names))})"
        raise ValueError(
            f"expected {place} to be {type(like).__name__}{fields}; got a "
            f"{type(given).__name__} with {', '.join(map(str, entries)) or 'no entry'}"
        )
    parts = [restored(entries.get(n), wanted[n], f"{place}[{n!r}]") for n in names]
    if isinstance(like, dict):
        return dict(zip(names, parts, strict=True))
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def restored_for(cell: Cell, params: Params) -> Params:
    """Convert parameters that are a dict or a list into the record of a cell.

    Args:
        cell: Any `Cell`. If its `init` returns a dict or a list, or fails, the given
            parameters are returned.
        params: Parameters of the cell.

    Returns:
        The parameters, as `restored` returns them.

    Raises:
        ValueError: The names differ from the parameters of the cell.

    Example:
        >>> import nets
        >>> params = nets.lstm().init(jax.random.key(0), 3, 8)
        >>> type(restored_for(nets.lstm(), params._asdict())).__name__
        'LSTMParams'
    """
    if not isinstance(params, (Mapping, list)):
        return params
    try:
        like = jax.eval_shape(lambda: cell.init(jax.random.key(0), 8, 8))
    except Exception:  # an unusual cell, whose step checks its parameters
        return params
    if isinstance(like, (Mapping, list)):
        return params
    return restored(params, like)
