"""Untrained cells under several initializations, for experiments that compare these."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from jaxtyping import Array

import nets
from experiments.harness import cells, cli
from nets import Cell

ALL = "all"
RECURRENT = "w_h"  # name of the recurrent weights


class Start(NamedTuple):
    """A cell with an initialization.

    Attributes:
        cell: Name of the cell on the command line.
        init: Name of the initialization; "own" if the cell takes none.
        made: The `Cell`.
    """

    cell: str
    init: str
    made: Cell


def every(names: Sequence[str]) -> list[str]:
    """Names of cells, with "all" replaced by every cell that reads vectors."""
    vectors = [name for name, make in nets.CELLS.items() if not make().spatial_dims]
    parts = [vectors if name == ALL else [name] for name in names]
    return list(dict.fromkeys(name for part in parts for name in part))


def starts(
    names: Sequence[str],
    inits: Sequence[str],
    inputs: int,
    features: int,
    time: int,
) -> tuple[list[Start], list[str]]:
    """Combine every cell with every initialization that it takes.

    Args:
        names: Names of cells, as in `cells.named`.
        inits: Names of initializations, as in `cells.initializer`.
        inputs: Features of the input.
        features: Hidden units.
        time: Number of steps, for "chrono".

    Returns:
        The starts, without duplicates: a cell without initializations has one start.
        And one sentence for each initialization that a cell does not take.

    Raises:
        cli.UsageError: A name is unknown, or no combination is possible.

    Example:
        >>> found, refused = starts(["elman", "lru"], ["own", "chrono"], 3, 8, 100)
        >>> [start[:2] for start in found], len(refused)
        ([('elman', 'orthogonal'), ('lru', 'own')], 1)
    """
    try:
        initializers = {init: cells.initializer(init, time) for init in inits}
    except cli.UsageError as error:
        raise cli.UsageError(str(error).replace("--init:", "--inits:")) from error
    combined, refused = {}, []
    for name in names:
        cells.named(name, inputs, features)  # fails for any initialization
        for init, initializer in initializers.items():
            label = cells.initializer_name(name, init, time)
            try:
                made = cells.named(name, inputs, features, initializer)
            except cli.UsageError as error:
                refused.append(f"Left out: {label} of {error}.")
            else:
                combined.setdefault((name, label), Start(name, label, made))
    if not combined:
        raise cli.UsageError(refused[0].removeprefix("Left out: ").rstrip("."))
    return list(combined.values()), refused


def scaled(params: Any, gain: Array) -> Any:
    """Parameters of a cell with the recurrent weights multiplied by a gain.

    Args:
        params: Parameters of a cell.
        gain: Factor of the parameters that are named `RECURRENT`.

    Returns:
        Parameters.

    Example:
        >>> params = scaled(nets.cells.ElmanParams(1.0, 2.0, 3.0), 10.0)
        >>> tuple(params)
        (1.0, 20.0, 3.0)
    """

    def scale(path, leaf):
        return leaf * gain if _name_of(path) == RECURRENT else leaf

    return jax.tree_util.tree_map_with_path(scale, params)


def parameter_names(params: Any) -> list[str]:
    """Names of the parameters of a cell, one per array.

    Args:
        params: Parameters of a cell, or their shapes.

    Returns:
        The last name of the path of each array.

    Example:
        >>> parameter_names(nets.cells.ElmanParams(1.0, 2.0, 3.0))
        ['w_i', 'w_h', 'b']
    """
    return [_name_of(path) for path, _ in jax.tree.leaves_with_path(params)]


def _name_of(path: Any) -> str:
    """Name of a parameter, the last of its path in a tree."""
    return jax.tree_util.keystr(path[-1:], simple=True)
