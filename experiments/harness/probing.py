"""Measurements of a sequence classifier during training."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.harness.padding import Inputs, median_from_end, unpadded
from experiments.harness.training import losses
from nets import as_layer, bidirectional, flow
from nets.flow.decay import norms_of
from nets.models import SequenceClassifier
from nets.recurrent import RecurrentLayer, batch_first, time_first
from nets.tracing.tags import gate_names

DIRECTIONS = ("forward", "backward")
EXPONENTS = 8  # the largest
FEW = 4  # sequences along which exponents are measured

Sequences = tuple[Inputs, Array]  # [examples, time, inputs], labels [examples]


def layer(model: SequenceClassifier) -> RecurrentLayer:
    """The recurrent layer of a model, in the form that the instruments take.

    Args:
        model: A `SequenceClassifier`.

    Returns:
        A `RecurrentLayer`. The outputs of a bidirectional layer are a pair.

    Example:
        >>> import nets
        >>> layer(SequenceClassifier(nets.gru(), 8, 10)).spatial_dims
        0
    """
    if model.bidirectional:
        return bidirectional(model.cell, merge=None)
    return as_layer(model.cell)


def layer_params(model: SequenceClassifier, params: Any) -> Any:
    """The parameters of `layer`.

    Args:
        model: A `SequenceClassifier`.
        params: Parameters of the model.

    Returns:
        Parameters of its cell, or of the cells of both directions.

    Example:
        >>> import nets
        >>> model = SequenceClassifier(nets.gru(), 8, 10)
        >>> layer_params(model, {"recurrent": {"cell": 1}, "dense": 2})
        1
    """
    return params["recurrent"]["cells" if model.bidirectional else "cell"]


def by_direction(model: SequenceClassifier, result: Any) -> dict[str, Any]:
    """The result of an instrument in `layer`, by direction.

    Args:
        model: A `SequenceClassifier`.
        result: Result for its cell, or a pair for the cells of both directions.

    Returns:
        Results by the name of the direction.

    Example:
        >>> import nets
        >>> by_direction(SequenceClassifier(nets.gru(), 8, 10), 0.5)
        {'forward': 0.5}
    """
    if not model.bidirectional:
        return {"forward": result}
    return {"forward": result.forward, "backward": result.backward}


def loss_of_outputs(
    model: SequenceClassifier,
    params: Any,
    ys: Any,
    labels: Array,
    lengths: Array | None = None,
) -> Array:
    """The sum of the loss of every example, from the outputs of the layer.

    Args:
        model: A `SequenceClassifier`.
        params: Parameters of one seed.
        ys: Outputs of its recurrent layer, time first.
        labels: Labels or targets, [examples].
        lengths: Lengths of the sequences, if they differ.

    Returns:
        A scalar, as in `training.losses`.
    """
    logits = model.apply({"params": params}, batch_first(ys), lengths, method="read")
    return losses(cast(Array, logits), labels).sum()


def state_gradients(
    model: SequenceClassifier, params: Any, data: Sequences
) -> dict[str, Array]:
    """ln of the norm of dL/ds_t at every step, by direction.

    The norm is the median over sequences, each with the gradient of its own loss. The
    steps of a backward cell are in the order in which it reads. Sequences of unequal
    length are aligned at the step that is read last.

    Args:
        model: A `SequenceClassifier`.
        params: Parameters of one seed.
        data: Sequences and their labels.

    Returns:
        Nats, one array [time] per direction.
    """
    (xs, lengths), labels = unpadded(data[0]), data[1]

    def loss(state, ys):
        return loss_of_outputs(model, params, ys, labels, lengths)

    weights = layer_params(model, params)
    _, gradients = flow.state_gradients(
        layer(model), weights, time_first(xs), loss, lengths=lengths
    )
    log_norms = {}
    for direction, part in by_direction(model, gradients).items():
        backward = direction == "backward"
        if lengths is None:
            norms = jnp.median(norms_of(part), axis=1)
            log_norms[direction] = norms[::-1] if backward else norms
        else:
            log_norms[direction] = median_from_end(norms_of(part), lengths, backward)
    return log_norms


def decay_rates(log_norms: Array | np.ndarray) -> np.ndarray:
    """Decay rate of each seed in nats per step, from norms.

    Args:
        log_norms: ln |dL/ds_t|, [seeds, time].

    Returns:
        Rates, [seeds], positive if the gradient decays back in time.

    Example:
        >>> decay_rates(np.array([[-2.0, -1.0, 0.0]])).tolist()
        [1.0]
    """
    return np.asarray(flow.decay_rate(jnp.asarray(log_norms).T))


def gates(
    model: SequenceClassifier, params: Any, data: Sequences
) -> dict[str, dict[str, Array]]:
    """The mean of every gate over time, units and sequences, by direction.

    Args:
        model: A `SequenceClassifier`.
        params: Parameters of one seed.
        data: Sequences and their labels.

    Returns:
        One number per gate, from 0 to 1. Empty for a cell that names no gates.
    """
    weights, (xs, lengths) = layer_params(model, params), unpadded(data[0])
    if not names_gates(model, weights, xs):
        return {direction: {} for direction in by_direction(model, weights)}
    statistics = flow.gates(layer(model), weights, time_first(xs), lengths=lengths)
    counts = None  # sequences that have the step
    if lengths is not None:
        counts = (jnp.arange(xs.shape[1])[:, None] < lengths[None]).sum(axis=1)

    def mean(by_step):
        return (
            by_step.mean() if counts is None else jnp.average(by_step, weights=counts)
        )

    return {
        direction: {name: mean(gate.mean) for name, gate in part.items()}
        for direction, part in by_direction(model, statistics).items()
    }


def names_gates(model: SequenceClassifier, weights: Any, xs: Array) -> bool:
    """Whether the step of the model's cell tags gates with `nets.tag_gate`.

    Args:
        model: A `SequenceClassifier`.
        weights: Parameters, as `layer_params` returns them.
        xs: Sequences.

    Returns:
        True if it does.
    """
    cell, params = model.cell, by_direction(model, weights)["forward"]
    x = xs[:, 0]
    return bool(gate_names(cell.step, params, cell.initial_state(params, x), x))


def lyapunov(
    model: SequenceClassifier, params: Any, data: Sequences
) -> dict[str, Array]:
    """The largest Lyapunov exponents along a few of the sequences, by direction.

    Args:
        model: A `SequenceClassifier`.
        params: Parameters of one seed.
        data: Sequences and their labels.

    Returns:
        Nats per step, the mean over sequences, one array [exponents] per direction.
    """
    cells, weights = layer(model), layer_params(model, params)
    xs, lengths = unpadded(data[0])
    xs, lengths = xs[:FEW], None if lengths is None else lengths[:FEW]

    def of_sequence(sequence, count=None):
        x, length = sequence
        return flow.lyapunov_spectrum(cells, weights, x, count=count, lengths=length)

    shapes = by_direction(model, jax.eval_shape(of_sequence, (xs[0], None)))
    count = min(EXPONENTS, *(s.exponents.shape[-1] for s in shapes.values()))
    # One after another, as `train.fit` refuses to decompose several matrices at once.
    largest = jax.lax.map(lambda some: of_sequence(some, count), (xs, lengths))
    return {
        direction: spectrum.exponents.mean(axis=0)
        for direction, spectrum in by_direction(model, largest).items()
    }
