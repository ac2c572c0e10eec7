"""The encoder-decoder: from sequences to sequences of another length."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from nets.linear import wide
from nets.linen import Bidirectional, Recurrent
from nets.recurrent import BidirectionalState
from nets.types import Cell, State


class Memory(NamedTuple):
    """What the encoder put out at every step, for the decoder to look back at.

    Attributes:
        outputs: Of the encoder, [*batch, source, outputs].
        real: Where the source is no padding, [*batch, source].
    """

    outputs: Float[Array, "*batch source outputs"]
    real: Bool[Array, "*batch source"]


class EncoderDecoder(nn.Module):
    """Many to many, unaligned: one cell reads, then another writes.

        s = the state of the encoder after x_0 ... x_{S-1}
        s, h_t = decoder(s, y_{t-1})    for t = 0 ... T - 1
        logits_t = W h_t + b

    Both have vectors for their symbols, which are learned. Before y_0 the decoder is
    given a symbol of its own, `start`. In training it is given the true y_{t-1},
    whatever it would have written (teacher forcing).

    Without attention all that passes from one to the other is s. With attention the
    decoder looks back at the encoder's outputs e_0 ... e_{S-1}, weighed anew for each
    symbol (Luong's general score, with no feeding of h~ into the next step):

        a = softmax over s of h_t . W_a e_s
        h~ = tanh(W_c [sum_s a_s e_s, h_t])    takes the place of h_t

    Padding is not read, and has a_s = 0.

    Attributes:
        cell: Any `Cell`; encoder and decoder each have parameters of their own.
        features: Hidden units of the decoder, and of each direction of the encoder.
        vocabulary: How many symbols sources are made of.
        classes: How many symbols targets are made of.
        embedding: Numbers in the vector of a symbol.
        bidirectional: Read from both ends. Then each array of the decoder's first state
            is a dense layer of both directions' last; else it is the encoder's last.
        attention: Whether to look back.

    Call with `sources` [*batch, source], `lengths` [*batch] or None, and `targets`
    [*batch, time]. Returns the logits, [*batch, time, classes], each made from the
    targets before it. To write without targets, `encode`, then `decode_step`, as
    `nets.models.beam_search` takes it.

    Example:
        >>> import functools, nets
        >>> from nets.models import EncoderDecoder, beam_search
        >>> model = EncoderDecoder(nets.gru(), features=8, vocabulary=30, classes=5)
        >>> sources, targets = jnp.ones((2, 12), int), jnp.ones((2, 7), int)
        >>> lengths = jnp.array([12, 9])
        >>> variables = model.init(jax.random.key(0), sources, lengths, targets)
        >>> model.apply(variables, sources, lengths, targets).shape
        (2, 7, 5)
        >>> apply = functools.partial(model.apply, variables)
        >>> state, memory = apply(sources, lengths, method="encode")
        >>> step = functools.partial(apply, memory, method="decode_step")
        >>> start = jnp.full(2, model.start)
        >>> beam_search(step, state, start, length=7, width=4).sequences.shape
        (2, 4, 7)

    References:
        Cho et al. 2014, Learning phrase representations using RNN encoder-decoder for
        statistical machine translation, https://arxiv.org/abs/1406.1078
        Sutskever, Vinyals and Le 2014, Sequence to sequence learning with neural
        networks, https://arxiv.org/abs/1409.3215
        Luong, Pham and Manning 2015, Effective approaches to attention-based neural
        machine translation, https://arxiv.org/abs/1508.04025
    """

    cell: Cell
    features: int
    vocabulary: int
    classes: int
    embedding: int = 32
    bidirectional: bool = True
    attention: bool = True

    def setup(self):
        if self.cell.spatial_dims:
            raise ValueError(
                "expected a cell that reads vectors; got one that reads images (space "
                f"= {self.cell.spatial_dims})"
            )
        layer = Bidirectional if self.bidirectional else Recurrent
        self.embed_source = nn.Embed(self.vocabulary, self.embedding)
        self.encoder = layer(self.cell, self.features)
        self.bridge = Bridge()
        self.embed_target = nn.Embed(self.classes + 1, self.embedding)
        self.decoder = Recurrent(self.cell, self.features)
        if self.attention:
            self.look_back = Attention()
        self.dense = nn.Dense(self.classes)

    @property
    def start(self) -> int:
        """The symbol before the first one of a target."""
        return self.classes

    def __call__(
        self,
        sources: Int[Array, "*batch source"],
        lengths: Int[Array, "*batch"] | None,
        targets: Int[Array, "*batch time"],
    ) -> Float[Array, "*batch time classes"]:
        hidden, _ = self._follow(sources, lengths, targets)
        return self.dense(hidden)

    def encode(
        self,
        sources: Int[Array, "*batch source"],
        lengths: Int[Array, "*batch"] | None = None,
    ) -> tuple[State, Memory | None]:
        """Read the sources.

        Args:
            sources: As in the call.
            lengths: Likewise.

        Returns:
            The decoder's first state, and what it may look back at; None without
            attention.
        """
        state, ys = self.encoder(self.embed_source(sources), lengths=lengths)
        state = self.bridge(state)
        if not self.attention:
            return state, None
        time = sources.shape[-1]
        ends = jnp.full(sources.shape[:-1], time) if lengths is None else lengths
        steps = jnp.broadcast_to(jnp.arange(time), sources.shape)
        return state, Memory(ys, steps < ends[..., None])

    def decode_step(
        self, memory: Memory | None, state: State, symbol: Int[Array, "*batch"]
    ) -> tuple[State, Float[Array, "*batch classes"]]:
        """Say what the next symbol may be.

        Args:
            memory: Of `encode`.
            state: Of `encode`, or of the step before.
            symbol: The one written last; at first `start`.

        Returns:
            The state, and the logits of the next symbol.
        """
        vectors = self.embed_target(symbol)[..., None, :]
        state, hidden = self.decoder(vectors, state)
        if memory is not None:
            hidden, _ = self.look_back(hidden, memory)
        return state, self.dense(hidden)[..., 0, :]

    def attention_weights(
        self,
        sources: Int[Array, "*batch source"],
        lengths: Int[Array, "*batch"] | None,
        targets: Int[Array, "*batch time"],
    ) -> Float[Array, "*batch time source"]:
        """Where the decoder looks as it writes the targets.

        Args:
            sources: As in the call.
            lengths: Likewise.
            targets: Likewise.

        Returns:
            a, whose sum over the source is 1 for each symbol of a target.

        Raises:
            ValueError: The model has no attention.
        """
        _, weights = self._follow(sources, lengths, targets)
        if weights is None:
            raise ValueError("expected a model with attention=True; got one without")
        return weights

    def _follow(self, sources, lengths, targets):
        """What the decoder puts out as it is told the targets, and where it looks."""
        state, memory = self.encode(sources, lengths)
        first = jnp.full_like(targets[..., :1], self.start)
        before = jnp.concatenate([first, targets[..., :-1]], axis=-1)
        _, hidden = self.decoder(self.embed_target(before), state)
        return (hidden, None) if memory is None else self.look_back(hidden, memory)


class Bridge(nn.Module):
    """The encoder's last state as the decoder's first one; see `EncoderDecoder`."""

    @nn.compact
    def __call__(self, state: State) -> State:
        if not isinstance(state, BidirectionalState):
            return state
        forward, tree = jax.tree.flatten(state.forward)
        pairs = zip(forward, jax.tree.leaves(state.backward), strict=True)
        joined = [
            nn.Dense(one.shape[-1], name=f"dense_{i}")(
                jnp.concatenate([one, other], -1)
            )
            for i, (one, other) in enumerate(pairs)
        ]
        return jax.tree.unflatten(tree, joined)


class Attention(nn.Module):
    """A look back at a `Memory`, as `EncoderDecoder` says.

    Call with queries h [*batch, time, features] and the memory. Returns h~, of their
    shape, and the weights a, [*batch, time, source].
    """

    @nn.compact
    def __call__(
        self, queries: Float[Array, "*batch time features"], memory: Memory
    ) -> tuple[
        Float[Array, "*batch time features"], Float[Array, "*batch time source"]
    ]:
        outputs, features = memory.outputs, queries.shape[-1]
        sought = nn.Dense(outputs.shape[-1], use_bias=False, name="score")(queries)
        scores = jnp.einsum("...to,...so->...ts", sought, outputs)
        real = jnp.broadcast_to(memory.real[..., None, :], scores.shape)
        # Not minus infinity, which would make no number of a source of no symbols.
        scores = jnp.where(real, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(wide(scores)).astype(scores.dtype)
        seen = jnp.einsum("...ts,...so->...to", weights, outputs)
        both = jnp.concatenate([seen, queries], axis=-1)
        combined = nn.Dense(features, use_bias=False, name="combine")(both)
        return jnp.tanh(combined), weights
