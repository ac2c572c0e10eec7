"""The cells of a recurrent layer, one by one."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from nets.recurrent.directions import Bidirectional, Unidirectional, refuse_reverse
from nets.recurrent.restored_params import restored_for
from nets.recurrent.stacking import RecurrentLayer, as_layer
from nets.types import Cell, Params, State


class CellRun(NamedTuple):
    """A cell of a layer with the arguments that it is unrolled with.

    Attributes:
        cell: The cell.
        params: Parameters of the cell.
        xs: Inputs of the cell, [time, *batch, inputs].
        state: State before the first step; None for that of the cell.
        options: Options of `nets.unroll`: `reverse`, and the padding if it was given.
    """

    cell: Cell
    params: Params
    xs: PyTree
    state: State | None
    options: dict[str, Any]


def per_cell(
    layer: Cell | RecurrentLayer,
    params: Params,
    xs: PyTree,
    state: State | None = None,
    **options: Any,
) -> Iterator[CellRun]:
    """Each cell of a layer with its parameters and its inputs, from bottom to top.

    Args:
        layer: A `Cell`, or a recurrent layer.
        params: Parameters of the layer.
        xs: Inputs of the layer, [time, *batch, inputs].
        state: State before the first step.
        **options: Options of `nets.unroll` that hold for all cells, such as `lengths`.

    Yields:
        A `CellRun` for each cell, in the order of `by_cell`: the inputs of the upper
        cells of a stack are the outputs of the layer below.

    Raises:
        ValueError: As in the `apply` of the layer.

    Example:
        >>> import jax.numpy as jnp, nets
        >>> layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> for run in per_cell(layer, params, jnp.ones((10, 5, 3))):
        ...     print(run.xs.shape, run.options)
        (10, 5, 3) {'reverse': False}
        (10, 5, 3) {'reverse': True}
        (10, 5, 16) {'reverse': False}
    """
    layer = as_layer(layer)
    if isinstance(layer, Unidirectional):
        params = restored_for(layer.cell, params)
        options = {"reverse": layer.reverse, **options}
        yield CellRun(layer.cell, params, xs, state, options)
        return
    refuse_reverse(options)
    if isinstance(layer, Bidirectional):
        firsts = (None, None) if state is None else state
        for one_way, weights, first in zip(
            layer.cells, layer.split_params(params), firsts, strict=True
        ):
            yield from per_cell(one_way, weights, xs, first, **options)
        return
    params, firsts = layer.split(params, "parameters"), layer.split(state, "states")
    below = layer.bottom(xs, options)
    for i, part in enumerate(layer.layers):
        yield from per_cell(part, params[i], below, firsts[i], **options)
        if i + 1 < len(layer.layers):
            _, ys = part.apply(params[i], below, firsts[i], **options)
            below = layer.join(below, ys)


def by_cell(layer: Cell | RecurrentLayer, tree: PyTree) -> dict[str, Any]:
    """Subtrees of a tree that has the structure of a layer's states, by cell.

    Args:
        layer: A `Cell`, or a recurrent layer.
        tree: States, gradients of `nets.flow.state_gradients`, results of an
            instrument, or anything else with one entry per cell.

    Returns:
        The entry of each cell by its position: "0.forward" is the forward cell of the
        lowest layer. The name of a single cell is "".

    Example:
        >>> import jax.numpy as jnp, nets
        >>> layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> states, ys = layer.apply(params, jnp.ones((10, 5, 3)))
        >>> list(by_cell(layer, states))
        ['0.forward', '0.backward', '1']
    """
    cells = as_layer(layer).cells
    paths, structure = jax.tree.flatten_with_path(cells, is_leaf=_is_cell)
    names = [jax.tree_util.keystr(p, simple=True, separator=".") for p, _ in paths]
    return dict(zip(names, structure.flatten_up_to(tree), strict=True))


def like_states(layer: Cell | RecurrentLayer, results: Iterable[Any]) -> Any:
    """Results of all cells in the structure of the layer's states.

    Args:
        layer: A `Cell`, or a recurrent layer.
        results: One result per cell, in the order of `per_cell`.

    Returns:
        A tree: the inverse of `by_cell`.

    Example:
        >>> import nets
        >>> layer = nets.stack(nets.bidirectional(nets.gru()), nets.lstm())
        >>> like_states(layer, [1, 2, 3])
        (BidirectionalState(forward=1, backward=2), 3)
    """
    structure = jax.tree.structure(as_layer(layer).cells, is_leaf=_is_cell)
    return jax.tree.unflatten(structure, results)


def _is_cell(node: Any) -> bool:
    """True for the entry of one cell."""
    return isinstance(node, Unidirectional)
