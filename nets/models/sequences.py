"""Networks of sequences."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from nets.linen import Bidirectional, Recurrent
from nets.types import Cell, State


class SequenceClassifier(nn.Module):
    """Classifier of sequences: a recurrent layer, and a dense layer on its last output.

        logits = W y_last + b

    If bidirectional, the dense layer reads the last output of each direction, which
    depends on the whole sequence: that of the forward cell at the end, that of the
    backward cell at the start.

    Attributes:
        cell: `Cell` of any kind.
        features: Number of hidden units of each direction.
        classes: Number of labels.
        bidirectional: Whether to read in both directions.

    Call it with `xs` [*batch, time, inputs] and optional `lengths` [*batch]. It returns
    logits, [*batch, classes]. Its parameters are named "recurrent" and "dense".

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
        """Compute the logits from the outputs of the recurrent layer.

        Args:
            ys: Outputs, [*batch, time, features]; a pair of these if bidirectional.
            lengths: Lengths of the sequences, [*batch], as in the call.

        Returns:
            Logits, [*batch, classes].
        """
        if not self.bidirectional:
            return self.dense(_last(ys, lengths))
        forward, backward = ys
        ends = [_last(forward, lengths), backward[..., 0, :]]
        return self.dense(jnp.concatenate(ends, axis=-1))


class SequenceTagger(nn.Module):
    """Tagger of sequences: a recurrent layer, and a dense layer at every step.

        logits_t = W y_t + b

    In the forward direction y_t depends on x_0 ... x_t, so the model can also predict:
    the labels of a language model are the next inputs. If bidirectional, y_t depends on
    all inputs.

    Attributes:
        cell: `Cell` of any kind.
        features: Number of hidden units of each direction.
        classes: Number of labels.
        vocabulary: Number of different tokens, if the inputs are tokens. Each is
            embedded in a learned vector of `features` numbers. None for inputs of
            vectors.
        bidirectional: Whether to read in both directions.
        reverse: Whether to read from the last step to the first; not with
            `bidirectional`.

    Call it with `xs` [*batch, time, inputs], or tokens [*batch, time], and the options
    of `nets.linen.Recurrent`. It returns the final state and logits,
    [*batch, time, classes]. Its parameters are named "embed" (for tokens), "recurrent"
    and "dense".

    Example:
        >>> import jax, nets
        >>> from nets.models import SequenceTagger
        >>> model = SequenceTagger(nets.gru(), features=8, classes=30, vocabulary=30)
        >>> tokens = jnp.zeros((5, 20), int)
        >>> variables = model.init(jax.random.key(0), tokens)
        >>> state, logits = model.apply(variables, tokens)
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
            "expected a cell that reads vectors; got one that reads images "
            f"(spatial_dims = {cell.spatial_dims}): run it as "
            "nets.linen.Recurrent, and pool its outputs over space"
        )


def _last(
    ys: Float[Array, "*batch time features"], lengths: Int[Array, "*batch"] | None
) -> Float[Array, "*batch features"]:
    """Return the last output that is not padding; zeros for empty sequences."""
    if lengths is None:
        return ys[..., -1, :]
    # A sequence of length 0 is all padding, whose outputs are zero.
    last = jnp.clip(jnp.asarray(lengths) - 1, 0, ys.shape[-2] - 1)[..., None, None]
    return jnp.take_along_axis(ys, last, axis=-2)[..., 0, :]
