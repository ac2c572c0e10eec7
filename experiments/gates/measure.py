"""LSTMs with a clamped forget gate, and the decay of their gradients."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness import probing, training
from experiments.harness.padding import unpadded
from nets import Cell, flow
from nets.models import SequenceClassifier
from nets.recurrent import time_first
from nets.tracing.tags import CANDIDATE, KEEPER, with_tags

FORGET = "forget"
LEARNED = "learned"
LAST_STEPS = 12  # steps over which float32 represents sigmoid(-5)^T
EXACT_STEPS = 100  # steps of the LSTM whose weights are zero


class ForgetGateResult(NamedTuple):
    """Accuracy and decay rates of an LSTM with one kind of forget gate.

    Attributes:
        name: Name of the forget gate.
        bias: b of a gate clamped at sigmoid(b); None for a learned gate.
        accuracy: Accuracy on held-out sequences, or R2 of targets, [seeds].
        before: Decay rate of the whole gradient before training, nats per step,
            [seeds].
        after: Decay rate of the whole gradient after training.
        highway_before: Decay rate along the cell state alone, before training.
        highway_after: Decay rate along the cell state alone, after training.
    """

    name: str
    bias: float | None
    accuracy: Float[np.ndarray, " seeds"]
    before: Float[np.ndarray, " seeds"]
    after: Float[np.ndarray, " seeds"]
    highway_before: Float[np.ndarray, " seeds"]
    highway_after: Float[np.ndarray, " seeds"]

    @property
    def predicted(self) -> float | None:
        """Predicted decay rate -ln sigmoid(b), nats per step; None if learned."""
        return None if self.bias is None else float(np.log1p(np.exp(-self.bias)))


class Traces(NamedTuple):
    """Gates and cell state of the plain LSTM over time.

    Attributes:
        gates: Mean of each gate over units and sequences, [seeds, time].
        cell: Cell state c for one sequence, [time, features].
        xs: Inputs of this sequence, [time, inputs].
        label: Name of its class, or its target.
    """

    gates: Mapping[str, Float[np.ndarray, "seeds time"]]
    cell: Float[np.ndarray, "time features"]
    xs: Float[np.ndarray, "time inputs"]
    label: str


def clamped(cell: Cell, bias: float) -> Cell:
    """Clamp the forget gate of a cell at sigmoid(bias).

    Args:
        cell: A cell that tags a gate named "forget".
        bias: b; 5 opens the gate to 99 %, -5 to 1 %.

    Returns:
        A `Cell` with the same parameters; the parameters of the gate have no effect.

    Example:
        >>> cell = clamped(nets.lstm(), 5.0)
        >>> params = cell.init(jax.random.key(0), 1, 4)
        >>> state = nets.cells.LSTMState(jnp.zeros(4), jnp.ones(4))
        >>> closed = params._replace(b=jnp.full(16, -100.0))  # input gate closed
        >>> after, _ = cell.step(closed, state, jnp.ones(1))
        >>> [f"{c:.4f}" for c in after.cell.tolist()]
        ['0.9933', '0.9933', '0.9933', '0.9933']
    """

    def step(params, state, x):
        _, tagged = with_tags(cell.step)(params, state, x)

        def clamp(index, value):  # and tag it again, for the instruments
            kind, name = tagged[index][0]
            if name == FORGET:
                gate = jax.nn.sigmoid(jnp.asarray(bias, value.dtype))
                value = jnp.full_like(value, gate)
            if kind == CANDIDATE:
                return nets.tag_candidate(value, name)
            return nets.tag_gate(value, name, retains=kind == KEEPER)

        return with_tags(cell.step, clamp)(params, state, x)[0]

    return cell._replace(step=step, linear=None)


def highway_classifier(model: SequenceClassifier) -> SequenceClassifier:
    """The same classifier, with the gradient along the cell state alone."""
    return SequenceClassifier(flow.highway(model.cell), model.features, model.classes)


def accuracy_and_norms(
    model: SequenceClassifier, params: Any, test: probing.Sequences
) -> tuple[Array, Array, Array]:
    """Accuracy, and log norms of the whole gradient and of the one along c alone."""
    accuracy = training.accuracy(model, params, *test)
    whole, highway = (
        probing.state_gradients(classifier, params, test)["forward"]
        for classifier in (model, highway_classifier(model))
    )
    return accuracy, whole, highway


def decay_rate(log_norms: np.ndarray) -> np.ndarray:
    """Decay rate over the last steps except the final one, nats per step, [seeds].

    The loss reads h at the final step; there the gradient is not that of c alone.
    """
    last = jnp.asarray(log_norms)[:, :-1][:, -LAST_STEPS:]
    return np.asarray(flow.decay_rate(last.T))


def trace(
    model: SequenceClassifier,
    params: Any,
    test: probing.Sequences,
    digit: int,
    classes: Sequence[str],
) -> Traces:
    """Mean gates of the plain LSTM over time, and its cell state for one sequence."""
    inputs, lengths = unpadded(test[0])

    def means(params):
        cell_params = probing.layer_params(model, params)
        xs = time_first(inputs)
        gates = flow.gates(model.cell, cell_params, xs, lengths=lengths)
        return {name: gate.mean for name, gate in gates.items()}

    first = jax.tree.map(lambda leaf: leaf[0], probing.layer_params(model, params))
    xs = inputs[digit] if lengths is None else inputs[digit, : int(lengths[digit])]
    states, _ = nets.unroll(model.cell, first, xs, all_states=True)
    gates = jax.jit(lambda params: jax.lax.map(means, params))(params)
    return Traces(
        {name: np.asarray(values) for name, values in gates.items()},
        np.asarray(states.cell),
        np.asarray(xs),
        classes[int(test[1][digit])] if classes else f"{float(test[1][digit]):.3g}",
    )


def exact_error(bias: float) -> float:
    """Relative error of dc_T/dc_0 = sigmoid(b)^T in an LSTM with zero weights."""
    cell = nets.lstm(forget_bias=bias)
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), 1, 1))
        b = nets.initializers.set_gate(params.b, "ifgo", "f", bias)
        params = jax.tree.map(lambda leaf: leaf.astype(float), params._replace(b=b))

        def last_state(c):
            start = nets.cells.LSTMState(jnp.zeros(1), c)
            return nets.unroll(cell, params, jnp.zeros((EXACT_STEPS, 1)), start)[0]

        derivative = jax.jacobian(last_state)(jnp.ones(1)).cell.item()
    return abs(derivative * (1 + np.exp(-bias)) ** EXACT_STEPS - 1)
