"""One-directional and bidirectional layers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nets.recurrent.restored_params import restored
from nets.recurrent.unrolling import unroll
from nets.types import Cell, KeyArray, Params, State

Merge = str | Callable[[Any, Any], Any] | None
MERGES: dict[Any, Callable[[Any, Any], Any]] = {
    "concat": lambda forward, backward: jnp.concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "mul": lambda forward, backward: forward * backward,
    None: lambda forward, backward: (forward, backward),
}


class BidirectionalParams(NamedTuple):
    """Parameters of both directions."""

    forward: Params
    backward: Params


class BidirectionalState(NamedTuple):
    """States of both directions; the last backward state is the one after x_0."""

    forward: State
    backward: State


class Unidirectional(NamedTuple):
    """A layer of one cell, as `nets.as_layer` makes it.

    Attributes:
        cell: Cell of the layer.
        reverse: Read from the last step to the first.
    """

    cell: Cell
    reverse: bool = False

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes of the inputs."""
        return self.cell.spatial_dims

    @property
    def cells(self) -> "Unidirectional":
        """The layer: its state is that of its cell."""
        return self

    def init(self, key: KeyArray, inputs: int, features: int) -> Params:
        """Draw the parameters of the cell."""
        return self.cell.init(key, inputs, features)

    def apply(
        self, params: Params, xs: Any, state: State | None = None, **options: Any
    ) -> tuple[State, Any]:
        """Run the cell by `nets.unroll`, whose options it takes."""
        options = {"reverse": self.reverse, **options}
        return unroll(self.cell, params, xs, state, **options)

    def map_cells(self, function: Callable[[Cell], Cell]) -> "Unidirectional":
        """Replace the cell by `function(cell)`."""
        return self._replace(cell=function(self.cell))


class Bidirectional(NamedTuple):
    """A layer of two cells that read in opposite directions: see `nets.bidirectional`.

    Attributes:
        forward: Cell that reads x_0 first.
        backward: Cell that reads x_0 last.
        merge: Merge of their outputs, as in `nets.bidirectional`.
    """

    forward: Cell
    backward: Cell
    merge: Merge = "concat"

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes of the inputs."""
        return max(self.forward.spatial_dims, self.backward.spatial_dims)

    @property
    def cells(self) -> BidirectionalState:
        """One-directional layers of both cells, in the structure of the states."""
        return BidirectionalState(
            Unidirectional(self.forward), Unidirectional(self.backward, reverse=True)
        )

    def init(self, key: KeyArray, inputs: int, features: int) -> BidirectionalParams:
        """Draw the parameters: `features` units in each direction."""
        keys = BidirectionalParams(*jax.random.split(key))
        return BidirectionalParams(
            self.forward.init(keys.forward, inputs, features),
            self.backward.init(keys.backward, inputs, features),
        )

    def apply(
        self,
        params: Params,
        xs: Any,
        state: State | None = None,
        *,
        key: KeyArray | None = None,
        perturbations: State | None = None,
        **options: Any,
    ) -> tuple[BidirectionalState, Any]:
        """Run both cells by `nets.unroll`, and merge their outputs."""
        refuse_reverse(options)
        params = self.split_params(params)
        none = (None, None)
        (s_f, y_f), (s_b, y_b) = (
            layer.apply(
                weights, xs, first, key=key_of_cell, perturbations=added, **options
            )
            for layer, weights, first, key_of_cell, added in zip(
                self.cells,
                params,
                none if state is None else state,
                none if key is None else jax.random.split(key),
                none if perturbations is None else perturbations,
                strict=True,
            )
        )
        merge = self.merge if callable(self.merge) else MERGES[self.merge]
        return BidirectionalState(s_f, s_b), merge(y_f, y_b)

    def split_params(self, params: Params) -> BidirectionalParams:
        """Parameters of both directions, from a dict of a checkpoint too."""
        return restored(params, BidirectionalParams("forward", "backward"))

    def map_cells(self, function: Callable[[Cell], Cell]) -> "Bidirectional":
        """Replace both cells by `function(cell)`."""
        return self._replace(
            forward=function(self.forward), backward=function(self.backward)
        )


def refuse_reverse(options: dict[str, Any]) -> None:
    """Check that a layer of several cells is not reversed as a whole.

    Args:
        options: Options that the layer is applied with.

    Raises:
        ValueError: `reverse` is one of them.

    Example:
        >>> refuse_reverse({"lengths": None})
    """
    if "reverse" in options:
        raise ValueError(
            "expected no `reverse` for a layer of several cells; reverse single cells "
            "instead: as_layer(cell, reverse=True)"
        )


def bidirectional(
    forward: Cell, backward: Cell | None = None, *, merge: Merge = "concat"
) -> Bidirectional:
    """One cell reads from left to right, a second cell from right to left.

        y_t = merge(forward y_t, backward y_t)

    The backward outputs are put back in order, so that both cells have read x_t at t.
    With `lengths`, the backward cell starts at the end of each sequence.

    Args:
        forward: Cell that reads x_0 first.
        backward: Cell that reads x_0 last. By default the same cell, with separate
            parameters.
        merge: Merge of the outputs of both directions, [time, *batch, features]:
            "concat" along the features (forward first), "sum", "mean", "mul", None for
            the pair (forward, backward), or a function of both.

    Returns:
        A `RecurrentLayer`. `init(key, inputs, features)` returns `BidirectionalParams`,
        with `features` units in each direction. `apply(params, xs, state=None,
        **options)` returns a `BidirectionalState` and the merged outputs; it takes the
        options of `nets.unroll`, except `reverse`.

    Raises:
        ValueError: `merge` is unknown.

    Example:
        >>> import nets
        >>> layer = nets.bidirectional(nets.lstm())
        >>> params = layer.init(jax.random.key(0), 3, 8)
        >>> state, ys = layer.apply(params, jnp.ones((10, 5, 3)))
        >>> ys.shape
        (10, 5, 16)

    References:
        Schuster and Paliwal 1997, Bidirectional recurrent neural networks, IEEE
        Transactions on Signal Processing 45(11).
    """
    if not callable(merge) and merge not in MERGES:
        names = ", ".join(map(repr, MERGES))
        raise ValueError(f"expected merge to be {names} or a function; got {merge!r}")
    return Bidirectional(forward, forward if backward is None else backward, merge)
