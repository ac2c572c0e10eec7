"""Networks of sequences."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from nets.linen import Bidirectional, Recurrent
from nets.recurrent import apart
from nets.types import Cell


class SequenceClassifier(nn.Module):
    """Many to one: a recurrent layer, and a dense layer on the last thing it says.

        logits = W y_last + b

    Read both ways, what counts is what each direction says last, having read all: the
    forward cell at the end, the backward one at the start.

    Attributes:
        cell: Any `Cell`.
        features: Hidden units of each direction.
        classes: How many labels.
        bidirectional: Read from both ends.

    Call with `xs` [*batch, time, inputs] and `lengths` [*batch], optional. Returns the
    logits, [*batch, classes]. Its parameters have the names "recurrent" and "dense".

    Example:
        >>> import jax, nets
        >>> from nets.models import SequenceClassifier
        >>> model = SequenceClassifier(nets.lstm(), features=8, classes=10)
        >>> variables = model.init(jax.random.key(0), jnp.ones((5, 20, 3)))
        >>> model.apply(variables, jnp.ones((5, 20, 3))).shape
        (5, 10)
    """

    cell: Cell
    features: int
    classes: int
    bidirectional: bool = False

    def setup(self):
        if self.cell.space:
            raise ValueError(
                "expected a cell that reads vectors; got one that reads images (space "
                f"= {self.cell.space}): run it as nets.linen.Recurrent, and pool its "
                "outputs over space"
            )
        if self.bidirectional:
            self.recurrent = Bidirectional(self.cell, self.features, merge=apart)
        else:
            self.recurrent = Recurrent(self.cell, self.features)
        self.dense = nn.Dense(self.classes)

    def __call__(
        self,
        xs: Shaped[Array, "*batch time inputs"],
        lengths: Int[Array, "*batch"] | None = None,
    ) -> Float[Array, "*batch classes"]:
        _, ys = self.recurrent(xs, lengths=lengths)
        return self.read(ys, lengths)

    def read(
        self, ys: Any, lengths: Int[Array, "*batch"] | None = None
    ) -> Float[Array, "*batch classes"]:
        """The logits that the outputs of the recurrent layer lead to.

        Args:
            ys: Outputs [*batch, time, features], or those of both directions, a pair.
            lengths: As in the call, [*batch].

        Returns:
            The logits, [*batch, classes].
        """
        if not self.bidirectional:
            return self.dense(_last(ys, lengths))
        forward, backward = ys
        ends = [_last(forward, lengths), backward[..., 0, :]]
        return self.dense(jnp.concatenate(ends, axis=-1))


def _last(
    ys: Float[Array, "*batch time features"], lengths: Int[Array, "*batch"] | None
) -> Float[Array, "*batch features"]:
    """The last real output; zeros where there is none."""
    if lengths is None:
        return ys[..., -1, :]
    # A sequence of length 0 is all padding, whose outputs are zero: any one will do.
    last = jnp.clip(jnp.asarray(lengths) - 1, 0, ys.shape[-2] - 1)[..., None, None]
    return jnp.take_along_axis(ys, last, axis=-2)[..., 0, :]
