"""The sequence generator: from a label to a sequence."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from nets.linear import wide
from nets.linen import Recurrent
from nets.types import Cell, Params, State


class Mixture(NamedTuple):
    """Mixtures of Gaussians with diagonal covariances.

    Attributes:
        logits: Logits of the components, [*batch, components].
        means: Means, [*batch, components, outputs].
        deviations: Standard deviations, [*batch, components, outputs], positive.
    """

    logits: Float[Array, "*batch components"]
    means: Float[Array, "*batch components outputs"]
    deviations: Float[Array, "*batch components outputs"]


class SequenceGenerator(nn.Module):
    """Generator of a sequence of vectors from a label, one vector at a time.

        s_t, h_t = cell(s_{t-1}, [y_{t-1}, one-hot label]),   y_{-1} = 0
        p(y_t | y_0 ... y_{t-1}, label) = sum_k pi_k N(y_t; mu_k, diag sigma_k^2)

    where a dense layer on h_t predicts pi, mu and sigma (a mixture density network), so
    that one label can lead to many sequences. In training the cell reads the true
    y_{t-1} (teacher forcing); in `draw` it reads its own samples.

    Attributes:
        cell: `Cell` of any kind.
        features: Number of hidden units.
        classes: Number of labels.
        outputs: Number of coordinates of each vector.
        components: Number of Gaussians per mixture.
        floor: Smallest standard deviation. Without it, the density of a constant
            coordinate would be unbounded.

    Call it with `labels` [*batch] and `ys` [*batch, time, outputs]. It returns one
    `Mixture` per step, [*batch, time, ...], computed from the previous steps. Its
    parameters are named "recurrent" and "dense".

    Example:
        >>> import nets
        >>> from nets.models import SequenceGenerator, draw
        >>> model = SequenceGenerator(nets.gru(), features=8, classes=3, outputs=4)
        >>> labels, ys = jnp.array([0, 2]), jnp.ones((2, 5, 4))
        >>> variables = model.init(jax.random.key(0), labels, ys)
        >>> log_density(model.apply(variables, labels, ys), ys).shape
        (2, 5)
        >>> draw(model, variables["params"], labels, jax.random.key(1), 5).shape
        (2, 5, 4)

    References:
        Bishop 1994, Mixture density networks, Aston University, NCRG/94/004.
        Graves 2013, Generating sequences with recurrent neural networks,
        https://arxiv.org/abs/1308.0850
        Ha and Eck 2017, A neural representation of sketch drawings,
        https://arxiv.org/abs/1704.03477
    """

    cell: Cell
    features: int
    classes: int
    outputs: int
    components: int = 10
    floor: float = 0.05

    def setup(self):
        if self.cell.spatial_dims:
            raise ValueError(
                "expected a cell that reads vectors; got one that reads images "
                f"(spatial_dims = {self.cell.spatial_dims})"
            )
        self.recurrent = Recurrent(self.cell, self.features)
        self.dense = nn.Dense(self.components * (1 + 2 * self.outputs))

    def __call__(
        self, labels: Int[Array, "*batch"], ys: Float[Array, "*batch time outputs"]
    ) -> Mixture:
        before = jnp.concatenate(
            [jnp.zeros_like(ys[..., :1, :]), ys[..., :-1, :]], axis=-2
        )
        return self.follow(labels, before)[1]

    def follow(
        self,
        labels: Int[Array, "*batch"],
        before: Float[Array, "*batch time outputs"],
        state: State | None = None,
    ) -> tuple[State, Mixture]:
        """Predict the next vector at each of several steps.

        Args:
            labels: Labels, [*batch].
            before: Previous vector of each step, [*batch, time, outputs].
            state: State before the first step. Default: that of a new sequence.

        Returns:
            The state after the last step, and the mixtures, [*batch, time, ...].
        """
        context = jax.nn.one_hot(labels, self.classes, dtype=before.dtype)[..., None, :]
        context = jnp.broadcast_to(context, (*before.shape[:-1], self.classes))
        state, hidden = self.recurrent(jnp.concatenate([before, context], -1), state)
        raw = self.dense(hidden)
        k = self.components
        shape = *raw.shape[:-1], k, self.outputs
        means, scales = jnp.split(raw[..., k:], 2, axis=-1)
        deviations = self.floor + jax.nn.softplus(scales.reshape(shape))
        return state, Mixture(raw[..., :k], means.reshape(shape), deviations)


def log_density(
    mixture: Mixture, ys: Float[Array, "*batch outputs"]
) -> Float[Array, "*batch"]:
    """Log-density of vectors under mixtures, in nats.

        ln sum_k pi_k prod_j N(y_j; mu_kj, sigma_kj^2)

    Args:
        mixture: One mixture per vector.
        ys: Vectors, [*batch, outputs].

    Returns:
        Log-densities, [*batch].

    Example:
        >>> standard = Mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.ones((1, 2)))
        >>> float(log_density(standard, jnp.zeros(2)).round(3))  # -ln(2 pi)
        -1.8380000591278076
    """
    dtype = jnp.result_type(ys, *mixture)
    ys, mixture = wide(ys, mixture)
    each = jax.scipy.stats.norm.logpdf(
        ys[..., None, :], mixture.means, mixture.deviations
    ).sum(axis=-1)
    total = jax.nn.logsumexp(each + jax.nn.log_softmax(mixture.logits), axis=-1)
    return total.astype(dtype)


def draw(
    model: SequenceGenerator,
    params: Params,
    labels: Int[Array, "*batch"],
    key: Key[Array, ""],
    steps: int,
    temperature: float = 1.0,
) -> Float[Array, "*batch steps outputs"]:
    """Draw sequences; each step reads the previously drawn vector.

        k ~ softmax(logits / temperature),   y_t ~ N(mu_k, temperature sigma_k^2)

    Args:
        model: Generator of the sequences.
        params: Parameters of the model.
        labels: Labels, [*batch].
        key: PRNG key, which is split into one key per step.
        steps: Number of steps.
        temperature: 1 samples from the distribution of the model, lower values prefer
            more probable vectors, and 0 returns the means of the most probable
            components.

    Returns:
        Sequences, [*batch, steps, outputs].

    Raises:
        ValueError: `temperature` is negative.

    Example:
        >>> import nets
        >>> model = SequenceGenerator(nets.gru(), features=8, classes=3, outputs=4)
        >>> params = model.init(
        ...     jax.random.key(0), jnp.array([0]), jnp.ones((1, 5, 4))
        ... )["params"]
        >>> draw(model, params, jnp.array([0]), jax.random.key(1), steps=7).shape
        (1, 7, 4)
    """
    if temperature < 0:
        raise ValueError(f"expected a temperature of at least 0; got {temperature}")
    temperature = float(temperature)

    def step(carry, key):
        state, y = carry
        state, mixture = model.apply(
            {"params": params}, labels, y[..., None, :], state, method="follow"
        )
        mixture = jax.tree.map(lambda leaf: jnp.squeeze(leaf, labels.ndim), mixture)
        y = _sample(mixture, key, temperature).astype(dtype)
        return (state, y), y

    dtype = jnp.result_type(*jax.tree.leaves(params))
    first = jnp.zeros((*labels.shape, model.outputs), dtype)
    keys = jax.random.split(key, steps)
    # The first step creates the state, whatever its structure.
    carry, y = step((None, first), keys[0])
    _, ys = jax.lax.scan(step, carry, keys[1:])
    return jnp.moveaxis(jnp.concatenate([y[None], ys]), 0, -2)


def _sample(mixture, key, temperature):
    """Draw a vector from each mixture, in at least float32 as in `nets.decoding`."""
    component_key, value_key = jax.random.split(key)
    mixture = wide(mixture)
    if temperature == 0:
        chosen = mixture.logits.argmax(axis=-1)
    else:
        chosen = jax.random.categorical(component_key, mixture.logits / temperature)
    index = chosen[..., None, None]
    means, deviations = (
        jnp.take_along_axis(part, index, axis=-2)[..., 0, :]
        for part in (mixture.means, mixture.deviations)
    )
    noise = jax.random.normal(value_key, means.shape, means.dtype)
    return means + temperature**0.5 * deviations * noise
