"""Untrained cells under several initializations, for experiments that compare these."""

from collections.abc import Sequence
from typing import NamedTuple

import nets
from experiments.harness import cells, cli
from nets import Cell

ALL = "all"


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
