"""Networks of sequences."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from nets.linen import Bidirectional, Recurrent
from nets.types import Cell, State


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
        _expect_vectors(self.cell)
        if self.bidirectional:
            self.recurrent = Bidirectional(self.cell, self.features, merge=None)
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


class SequenceTagger(nn.Module):
    """Many to many, aligned: a recurrent layer, and a dense layer at every step.

        logits_t = W y_t + b

    Read forward, y_t knows x_0 ... x_t: so the model predicts, as a language model does
    whose labels are the next inputs. Read both ways it knows all of them.

    Attributes:
        cell: Any `Cell`.
        features: Hidden units of each direction.
        classes: How many labels.
        vocabulary: How many symbols there are, if the inputs are symbols: each has a
            vector of `features` numbers, which is learned; None for inputs of numbers.
        bidirectional: Read from both ends.
        reverse: Read from the last step to the first, if not from both.

    Call with `xs` [*batch, time, inputs], or symbols [*batch, time], and what else
    `nets.linen.Recurrent` takes. Returns the final state and the logits, [*batch, time,
    classes]. Its parameters have the names "embed" (if there are symbols), "recurrent"
    and "dense".

    Example:
        >>> import jax, nets
        >>> from nets.models import SequenceTagger
        >>> model = SequenceTagger(nets.gru(), features=8, classes=30, vocabulary=30)
        >>> symbols = jnp.zeros((5, 20), int)
        >>> variables = model.init(jax.random.key(0), symbols)
        >>> state, logits = model.apply(variables, symbols)
        >>> logits.shape
        (5, 20, 30)
    """

    cell: Cell
    features: int
    classes: int
    vocabulary: int | None = None
    bidirectional: bool = False
    reverse: bool = False

    def setup(self):
        _expect_vectors(self.cell)
        if self.bidirectional and self.reverse:
            raise ValueError("expected bidirectional or reverse; got both")
        if self.vocabulary is not None:
            self.embed = nn.Embed(self.vocabulary, self.features)
        if self.bidirectional:
            self.recurrent = Bidirectional(self.cell, self.features)
        else:
            self.recurrent = Recurrent(self.cell, self.features, self.reverse)
        self.dense = nn.Dense(self.classes)

    def __call__(
        self,
        xs: Shaped[Array, "..."],
        state: State | None = None,
        lengths: Int[Array, "*batch"] | None = None,
        **options: Any,
    ) -> tuple[State, Float[Array, "*batch time classes"]]:
        if self.vocabulary is not None:
            xs = self.embed(xs)
        state, ys = self.recurrent(xs, state, lengths=lengths, **options)
        return state, self.dense(ys)


def _expect_vectors(cell: Cell) -> None:
    if cell.spatial_dims:
        raise ValueError(
            "expected a cell that reads vectors; got one that reads images (space "
            f"= {cell.spatial_dims}): run it as nets.linen.Recurrent, and pool its "
            "outputs over space"
        )


def _last(
    ys: Float[Array, "*batch time features"], lengths: Int[Array, "*batch"] | None
) -> Float[Array, "*batch features"]:
    """The last real output; zeros where there is none."""
    if lengths is None:
        return ys[..., -1, :]
    # A sequence of length 0 is all padding, whose outputs are zero: any one will do.
    last = jnp.clip(jnp.asarray(lengths) - 1, 0, ys.shape[-2] - 1)[..., None, None]
    return jnp.take_along_axis(ys, last, axis=-2)[..., 0, :]
