"""The encoder-decoder, from sequences to sequences of a different length."""

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
    """Outputs of the encoder at all steps, for the attention of the decoder.

    Attributes:
        outputs: Outputs of the encoder, [*batch, source, outputs].
        real: Mask of the source, [*batch, source]; False for padding.
    """

    outputs: Float[Array, "*batch source outputs"]
    real: Bool[Array, "*batch source"]


class EncoderDecoder(nn.Module):
    """Sequence-to-sequence model: one cell reads the source, one writes the target.

        s = the state of the encoder after x_0 ... x_{S-1}
        s, h_t = decoder(s, y_{t-1})    for t = 0 ... T - 1
        logits_t = W h_t + b

    Encoder and decoder embed their tokens in learned vectors. Before y_0 the decoder
    reads a separate token, `start_token`. In training it reads the true y_{t-1}, not
    its own prediction (teacher forcing).

    Without attention, s is the only connection from encoder to decoder. With attention,
    the decoder also reads the outputs e_0 ... e_{S-1} of the encoder, with separate
    weights for each token (Luong's general score, without input feeding of h~):

        a = softmax over s of h_t . W_a e_s
        h~ = tanh(W_c [sum_s a_s e_s, h_t])    replaces h_t

    Padding is not read: it has a_s = 0.

    Attributes:
        cell: `Cell` of any kind. Encoder and decoder have separate parameters.
        features: Number of hidden units of the decoder, and of each direction of the
            encoder.
        vocabulary: Number of different tokens in sources.
        classes: Number of different tokens in targets.
        embedding: Number of features of the vector of a token.
        bidirectional: Whether the encoder reads in both directions. If so, a dense
            layer computes each array of the decoder's initial state from the final
            states of both directions. Otherwise it is the encoder's final state.
        attention: Whether the decoder has attention.

    Call it with `sources` [*batch, source], `lengths` [*batch] or None, and `targets`
    [*batch, time]. It returns logits, [*batch, time, classes], each computed from the
    previous targets. To predict without targets, call `encode`, then decode with
    `decode_step`, e.g. by `nets.decoding.beam_search`.

    Example:
        >>> import functools, nets
        >>> from nets.decoding import beam_search
        >>> from nets.models import EncoderDecoder
        >>> model = EncoderDecoder(nets.gru(), features=8, vocabulary=30, classes=5)
        >>> sources, targets = jnp.ones((2, 12), int), jnp.ones((2, 7), int)
        >>> lengths = jnp.array([12, 9])
        >>> variables = model.init(jax.random.key(0), sources, lengths, targets)
        >>> model.apply(variables, sources, lengths, targets).shape
        (2, 7, 5)
        >>> apply = functools.partial(model.apply, variables)
        >>> state, memory = apply(sources, lengths, method="encode")
        >>> step = functools.partial(apply, memory, method="decode_step")
        >>> token = jnp.full(2, model.start_token)
        >>> beam_search(step, state, token, length=7, width=4).sequences.shape
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
                "expected a cell that reads vectors; got one that reads images "
                f"(spatial_dims = {self.cell.spatial_dims})"
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
    def start_token(self) -> int:
        """Token that the decoder reads before the first token of a target."""
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
        """Encode the sources.

        Args:
            sources: Tokens of the sources, [*batch, source].
            lengths: Lengths of the sources, [*batch], or None.

        Returns:
            The initial state of the decoder, and the `Memory` for its attention, or
            None without attention.
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
        self, memory: Memory | None, state: State, token: Int[Array, "*batch"]
    ) -> tuple[State, Float[Array, "*batch classes"]]:
        """Predict the next token.

        Args:
            memory: Memory from `encode`.
            state: State from `encode`, or from the previous step.
            token: Previous token, [*batch]; `start_token` at the first step.

        Returns:
            The new state, and the logits of the next token, [*batch, classes].
        """
        vectors = self.embed_target(token)[..., None, :]
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
        """Compute the attention weights for given targets.

        Args:
            sources: Tokens of the sources, [*batch, source].
            lengths: Lengths of the sources, [*batch], or None.
            targets: Tokens of the targets, [*batch, time].

        Returns:
            Weights a, [*batch, time, source], which sum to 1 over the source.

        Raises:
            ValueError: The model has no attention.
        """
        _, weights = self._follow(sources, lengths, targets)
        if weights is None:
            raise ValueError("expected a model with attention=True; got one without")
        return weights

    def _follow(self, sources, lengths, targets):
        """Return the outputs of the decoder and its attention weights."""
        state, memory = self.encode(sources, lengths)
        first = jnp.full_like(targets[..., :1], self.start_token)
        before = jnp.concatenate([first, targets[..., :-1]], axis=-1)
        _, hidden = self.decoder(self.embed_target(before), state)
        return (hidden, None) if memory is None else self.look_back(hidden, memory)


class Bridge(nn.Module):
    """Map from the final state of the encoder to the initial state of the decoder."""

    @nn.compact
    def __call__(self, state: State) -> State:
        if not isinstance(state, BidirectionalState):
            return state
        leaves, tree = jax.tree.flatten(state.forward)
        pairs = zip(leaves, jax.tree.leaves(state.backward), strict=True)
        joined = [
            nn.Dense(forward.shape[-1], name=f"dense_{i}")(
                jnp.concatenate([forward, backward], -1)
            )
            for i, (forward, backward) in enumerate(pairs)
        ]
        return jax.tree.unflatten(tree, joined)


class Attention(nn.Module):
    """Attention to a `Memory`, as in `EncoderDecoder`.

    Call it with queries h [*batch, time, features] and the memory. It returns h~, of
    the shape of h, and the weights a, [*batch, time, source].
    """

    @nn.compact
    def __call__(
        self, queries: Float[Array, "*batch time features"], memory: Memory
    ) -> tuple[
        Float[Array, "*batch time features"], Float[Array, "*batch time source"]
    ]:
        outputs, features = memory.outputs, queries.shape[-1]
        projected = nn.Dense(outputs.shape[-1], use_bias=False, name="score")(queries)
        scores = jnp.einsum("...to,...so->...ts", projected, outputs)
        real = jnp.broadcast_to(memory.real[..., None, :], scores.shape)
        # Not minus infinity, which would give NaN for a source without tokens.
        scores = jnp.where(real, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(wide(scores)).astype(scores.dtype)
        context = jnp.einsum("...ts,...so->...to", weights, outputs)
        both = jnp.concatenate([context, queries], axis=-1)
        combined = nn.Dense(features, use_bias=False, name="combine")(both)
        return jnp.tanh(combined), weights
