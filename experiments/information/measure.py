"""What is read out of the states of a bidirectional classifier, step by step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness import probing
from experiments.harness.training import accuracy
from nets import Cell, flow, probes
from nets.flow.decay import norms_of
from nets.models import SequenceClassifier
from nets.recurrent import time_first

CLASSES = 10
FORWARD, BACKWARD, BOTH = WAYS = ("forward", "backward", "both")
UNTRAINED, TRAINED = "untrained", "trained"


class Data(NamedTuple):
    """Digits, as sequences and as images.

    Attributes:
        xs: What is read, [examples, time, inputs].
        images: The same as they stand on paper, [examples, height, width].
        labels: Which digit each shows, [examples].
    """

    xs: Array
    images: Array
    labels: Array


class Known(NamedTuple):
    """What the states of networks know, and which of them their loss hangs on.

    Attributes:
        accuracy: Share of held-out digits that the network tells, [seeds].
        bits: Of the label, that a probe reads from a state, [seeds, ways, times].
        right: Share of digits that a probe tells from a state, likewise.
        image: Share of the image's variance that a probe reads, likewise.
        rows: The same of each row of the image, [seeds, ways, times, rows].
        by_state: ln of the norm of dL/ds_t, [seeds, ways, time].
        by_input: ln of the norm of dL/dx_t, by way of these directions, likewise.
    """

    accuracy: Float[np.ndarray, " *seeds"]
    bits: Float[np.ndarray, "*seeds ways times"]
    right: Float[np.ndarray, "*seeds ways times"]
    image: Float[np.ndarray, "*seeds ways times"]
    rows: Float[np.ndarray, "*seeds ways times rows"]
    by_state: Float[np.ndarray, "*seeds ways time"]
    by_input: Float[np.ndarray, "*seeds ways time"]

    def curves(self) -> dict[str, Float[np.ndarray, "..."]]:
        """All that is a number a step."""
        names = ("bits", "right", "image", "by_state", "by_input")
        return {name: getattr(self, name) for name in names}


def look(
    model: SequenceClassifier,
    params: Any,
    data: Data,
    times: np.ndarray,
    ridge: float,
) -> Known:
    """What the states of one network know, and which of them its loss hangs on.

    Args:
        model: Of both directions.
        params: Of one seed.
        data: Held-out digits.
        times: After which steps a state is read out.
        ridge: The penalty on the probes' weights.

    Returns:
        A `Known`.
    """
    forward, backward = states(model, params, data.xs)
    pixels = data.images.reshape(len(data.images), -1)

    def probe(state):
        bits = probes.usable_information(state, data.labels, CLASSES, ridge=ridge)
        right = probes.linear_probe_accuracy(state, data.labels, CLASSES, ridge=ridge)
        image, rows = shares(
            probes.linear_probe_r2(state, pixels, ridge=ridge), data.images
        )
        # A bound below 0 says no more than 0 does; who knows nothing can say the mean.
        return jnp.maximum(bits, 0), right, jnp.maximum(image, 0), jnp.maximum(rows, 0)

    def read(state):
        return jax.lax.map(probe, jax.tree.map(lambda leaf: leaf[times], state))

    read_out = [read(state) for state in (forward, backward, (forward, backward))]
    by_measure = [jnp.stack(parts) for parts in zip(*read_out, strict=True)]
    bits, right, image, rows = by_measure
    found = (
        accuracy(model, params, data.xs, data.labels),
        bits,
        right,
        image,
        rows,
        by_state(model, params, data),
        by_input(model, params, data),
    )
    return Known._make(found)


def shares(
    r2: Float[Array, " pixels"], images: Float[Array, "examples height width"]
) -> tuple[Float[Array, ""], Float[Array, " height"]]:
    """The share of the variance that is read: of the whole image, and row by row.

    Pixels count by their variance; one that is always blank, whose R^2 is nan, has
    none, and counts nothing. So does a row of such pixels.

    Example:
        >>> images = jnp.array([[[0.0, 1.0]], [[0.0, 3.0]]])
        >>> shares(jnp.array([jnp.nan, 0.5]), images)[0].item()
        0.5
    """
    variance = images.var(axis=0)
    read = jnp.where(variance > 0, r2.reshape(variance.shape), 0) * variance
    of_row = variance.sum(axis=1)
    rows = read.sum(axis=1) / jnp.where(of_row > 0, of_row, 1)
    return read.sum() / variance.sum(), rows


def states(model: SequenceClassifier, params: Any, xs: Array) -> tuple[Any, Any]:
    """The whole state of each direction after every step, [time, examples, ...].

    A backward state stands at the step that it has read last.
    """
    own = probing.by_direction(model, probing.layer_params(model, params))
    cell, xs = telling(model.cell), time_first(xs)
    return (
        nets.unroll(cell, own["forward"], xs)[1],
        nets.unroll(cell, own["backward"], xs, reverse=True)[1],
    )


def telling(cell: Cell) -> Cell:
    """A cell whose output is all of its state: of an LSTM h and c."""

    def step(params, state, x):
        state, _ = cell.step(params, state, x)
        return state, state

    return cell._replace(step=step, linear=None, stochastic_step=None)


def by_state(
    model: SequenceClassifier, params: Any, data: Data
) -> Float[Array, "ways time"]:
    """ln of the norm of dL/ds_t, each digit's own loss: the median over digits."""
    own = probing.layer_params(model, params)

    def loss(state, ys):
        return probing.loss_of_outputs(model, params, ys, data.labels)

    layer = probing.layer(model)
    _, gradients = flow.state_gradients(layer, own, time_first(data.xs), loss)
    one, other = map(norms_of, probing.by_direction(model, gradients).values())
    both = jnp.logaddexp(2 * one, 2 * other) / 2  # the norm of the two as one vector
    return jnp.median(jnp.stack([one, other, both]), axis=-1)


def by_input(
    model: SequenceClassifier, params: Any, data: Data
) -> Float[Array, "ways time"]:
    """ln of the norm of dL/dx_t, by way of one direction, of the other, and of both."""
    own = probing.layer_params(model, params)

    def norms(open_ways):
        def loss(state, ys):
            # What a direction says is held fast, if no gradient may come its way.
            ys = tuple(
                y if way in open_ways else jax.lax.stop_gradient(y)
                for way, y in zip(probing.DIRECTIONS, ys, strict=True)
            )
            return probing.loss_of_outputs(model, params, ys, data.labels)

        layer, xs = probing.layer(model), time_first(data.xs)
        return norms_of(flow.input_saliency(layer, own, xs, loss)[1])

    one, other = ((direction,) for direction in probing.DIRECTIONS)
    ways = [norms(ways) for ways in (one, other, probing.DIRECTIONS)]
    return jnp.median(jnp.stack(ways), axis=-1)
