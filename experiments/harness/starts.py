"""Cells from their initializers: the starts that an experiment compares."""

from collections.abc import Sequence
from typing import NamedTuple

import nets
from experiments.harness import cells, cli
from nets import Cell

ALL = "all"


class Start(NamedTuple):
    """A cell with an initializer.

    Attributes:
        cell: Name of the cell on the command line.
        init: Name of the initializer; "own" if the cell takes none.
        made: The `Cell`.
    """

    cell: str
    init: str
    made: Cell


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse numbers that are no seeds."""
    if not all(0 <= seed < 2**32 for seed in seeds):
        raise cli.UsageError(
            f"flag --seeds: expected integers from 0 to 2^32 - 1; got {seeds}"
        )


def every(names: Sequence[str]) -> list[str]:
    """Names of cells, "all" among them written out."""
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
    """All cells, each from all initializers that it takes.

    Args:
        names: Names of cells, as in `cells.named`.
        inits: Names of initializers, as in `cells.initializer`.
        inputs: Features of the input.
        features: Hidden units.
        time: Number of steps, for "chrono".

    Returns:
        The distinct starts (one of a cell that takes no initializer), and a sentence
        for each initializer that a cell refuses.

    Raises:
        cli.UsageError: A name is unknown, or there is nothing left to start.

    Example:
        >>> found, refused = starts(["elman", "lru"], ["own", "chrono"], 3, 8, 100)
        >>> [start[:2] for start in found], len(refused)
        ([('elman', 'orthogonal'), ('lru', 'own')], 1)
    """
    try:
        initializers = {init: cells.initializer(init, time) for init in inits}
    except cli.UsageError as error:
        raise cli.UsageError(str(error).replace("--init:", "--inits:")) from error
    found, refused = {}, []
    for name in names:
        cells.named(name, inputs, features)  # refuse it if no initializer is the cause
        for init, initializer in initializers.items():
            label = cells.initializer_name(name, init, time)
            try:
                made = cells.named(name, inputs, features, initializer)
            except cli.UsageError as error:
                refused.append(f"Left out: {label} of {error}.")
            else:
                found.setdefault((name, label), Start(name, label, made))
    if not found:
        raise cli.UsageError(refused[0].removeprefix("Left out: ").rstrip("."))
    return list(found.values()), refused
