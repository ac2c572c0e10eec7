"""Probes of the states of a bidirectional classifier, step by step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness import probing
from experiments.harness.padding import Padded, median_from_end
from experiments.harness.training import accuracy
from nets import Cell, flow, probes
from nets.flow.decay import norms_of
from nets.models import SequenceClassifier
from nets.recurrent import time_first

FORWARD, BACKWARD, BOTH = WAYS = ("forward", "backward", "both")
UNTRAINED, TRAINED = "untrained", "trained"


class Data(NamedTuple):
    """Held-out sequences, and what the states may know of them.

    Attributes:
        xs: Input sequences, [examples, time, inputs].
        images: Digits as images, [examples, height, width]; or the sequences.
        labels: Labels, [examples].
        lengths: Number of steps of each sequence; None if all are equal.
    """

    xs: Array
    images: Array
    labels: Array
    lengths: Array | None = None

    @property
    def labeled(self) -> probing.Sequences:
        """Inputs of the model, and labels."""
        if self.lengths is None:
            return self.xs, self.labels
        return Padded(self.xs, self.lengths), self.labels


class InformationResult(NamedTuple):
    """Information in the states of networks, and the gradients of their loss.

    Attributes:
        accuracy: Accuracy of the network on held-out digits, [seeds].
        bits: Information on the label that a probe reads from a state, in bits,
            [seeds, ways, times].
        right: Accuracy of a probe that predicts the label from a state,
            [seeds, ways, times].
        image: Share of the image's variance that a probe explains,
            [seeds, ways, times].
        rows: Share of the variance of each row of the image, [seeds, ways, times,
            rows].
        by_state: ln of the norm of dL/ds_t, [seeds, ways, time].
        by_input: ln of the norm of dL/dx_t through these directions,
            [seeds, ways, time].
    """

    accuracy: Float[np.ndarray, " *seeds"]
    bits: Float[np.ndarray, "*seeds ways times"]
    right: Float[np.ndarray, "*seeds ways times"]
    image: Float[np.ndarray, "*seeds ways times"]
    rows: Float[np.ndarray, "*seeds ways times rows"]
    by_state: Float[np.ndarray, "*seeds ways time"]
    by_input: Float[np.ndarray, "*seeds ways time"]

    def curves(self) -> dict[str, Float[np.ndarray, "..."]]:
        """All quantities with one number per step."""
        names = ("bits", "right", "image", "by_state", "by_input")
        return {name: getattr(self, name) for name in names}


def measure_network(
    model: SequenceClassifier,
    params: Any,
    data: Data,
    times: np.ndarray,
    ridge: float,
) -> InformationResult:
    """Probe the states of one network, and measure the gradients of its loss.

    Args:
        model: Bidirectional classifier.
        params: Parameters of one seed.
        data: Held-out digits.
        times: Steps after which the states are probed.
        ridge: Ridge penalty on the weights of the probes.

    Returns:
        An `InformationResult`.
    """
    forward, backward = states(model, params, data.xs, data.lengths)
    pixels = data.images.reshape(len(data.images), -1)

    def probe(state):
        labels, classes = data.labels, model.classes
        bits = probes.usable_information(state, labels, classes, ridge=ridge)
        right = probes.linear_probe_accuracy(state, labels, classes, ridge=ridge)
        image, rows = shares(
            probes.linear_probe_r2(state, pixels, ridge=ridge), data.images
        )
        # Bounds below 0 are clipped: predicting the mean always reaches 0.
        return jnp.maximum(bits, 0), right, jnp.maximum(image, 0), jnp.maximum(rows, 0)

    def read(state):
        return jax.lax.map(probe, at_times(state, times, data.lengths))

    read_out = [read(state) for state in (forward, backward, (forward, backward))]
    by_measure = [jnp.stack(values) for values in zip(*read_out, strict=True)]
    bits, right, image, rows = by_measure
    quantities = (
        accuracy(model, params, *data.labeled),
        bits,
        right,
        image,
        rows,
        by_state(model, params, data),
        by_input(model, params, data),
    )
    return InformationResult._make(quantities)


def shares(
    r2: Float[Array, " pixels"], images: Float[Array, "examples height width"]
) -> tuple[Float[Array, ""], Float[Array, " height"]]:
    """Share of the variance that is explained: of the whole image, and of each row.

    Pixels are weighted by their variance. Pixels that are always blank have variance 0
    and R^2 nan; they do not count, nor do rows of such pixels.

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


def at_times(states: Any, times: np.ndarray, lengths: Array | None) -> Any:
    """The states after some steps, [times, examples, ...].

    If lengths differ, `times` refer to the longest sequence; the states of a shorter
    sequence are taken after the same share of its steps.
    """
    if lengths is None:
        return jax.tree.map(lambda leaf: leaf[times], states)
    examples = jnp.arange(len(lengths))[None]
    share = jnp.asarray(times)[:, None] / max(int(times[-1]), 1)
    places = jnp.round(share * (lengths[None] - 1)).astype(int)
    return jax.tree.map(lambda leaf: leaf[places, examples], states)


def states(
    model: SequenceClassifier, params: Any, xs: Array, lengths: Array | None = None
) -> tuple[Any, Any]:
    """The whole state of each direction after every step, [time, examples, ...].

    A backward state is listed at the step that it read last.
    """
    layer_params = probing.by_direction(model, probing.layer_params(model, params))
    cell, xs = with_state_as_output(model.cell), time_first(xs)
    return (
        nets.unroll(cell, layer_params["forward"], xs, lengths=lengths)[1],
        nets.unroll(cell, layer_params["backward"], xs, lengths=lengths, reverse=True)[
            1
        ],
    )


def with_state_as_output(cell: Cell) -> Cell:
    """The cell with its whole state as output, such as h and c of an LSTM."""

    def step(params, state, x):
        state, _ = cell.step(params, state, x)
        return state, state

    return cell._replace(step=step, linear=None, stochastic_step=None)


def by_state(
    model: SequenceClassifier, params: Any, data: Data
) -> Float[Array, "ways time"]:
    """ln of the norm of dL/ds_t, with L the loss of one digit; median over digits."""
    layer_params = probing.layer_params(model, params)

    def loss(state, ys):
        return probing.loss_of_outputs(model, params, ys, data.labels, data.lengths)

    layer = probing.layer(model)
    _, gradients = flow.state_gradients(
        layer, layer_params, time_first(data.xs), loss, lengths=data.lengths
    )
    forward, backward = map(norms_of, probing.by_direction(model, gradients).values())
    both = (
        jnp.logaddexp(2 * forward, 2 * backward) / 2
    )  # the norm of the two as one vector
    return median(jnp.stack([forward, backward, both]), data.lengths)


def median(
    norms: Float[Array, "ways time examples"], lengths: Array | None
) -> Float[Array, "ways time"]:
    """Median over sequences, which are aligned at their ends."""
    if lengths is None:
        return jnp.median(norms, axis=-1)
    return jnp.stack([median_from_end(way, lengths) for way in norms])


def by_input(
    model: SequenceClassifier, params: Any, data: Data
) -> Float[Array, "ways time"]:
    """ln of the norm of dL/dx_t through one direction, the other, and both."""
    layer_params = probing.layer_params(model, params)

    def norms(open_ways):
        def loss(state, ys):
            # The output of a closed direction is a constant.
            ys = tuple(
                y if way in open_ways else jax.lax.stop_gradient(y)
                for way, y in zip(probing.DIRECTIONS, ys, strict=True)
            )
            return probing.loss_of_outputs(model, params, ys, data.labels, data.lengths)

        layer, xs = probing.layer(model), time_first(data.xs)
        _, saliency = flow.input_saliency(
            layer, layer_params, xs, loss, lengths=data.lengths
        )
        return norms_of(saliency)

    first, second = ((direction,) for direction in probing.DIRECTIONS)
    ways = [norms(ways) for ways in (first, second, probing.DIRECTIONS)]
    return median(jnp.stack(ways), data.lengths)
