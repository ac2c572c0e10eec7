"""The networks that a run keeps, rebuilt with their held-out data."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from experiments.harness import training
from experiments.harness.padding import arguments, first
from nets import as_layer, bidirectional
from nets.linen import Bidirectional, Recurrent
from nets.recurrent import RecurrentLayer, batch_first, time_first


class RecurrentPart(NamedTuple):
    """The recurrent layer of a trained network, as the instruments take it.

        flow.state_gradients(part.layer, part.params, part.xs, part.loss)

    Attributes:
        layer: The layer.
        params: Its parameters.
        xs: Its held-out inputs, time first: [time, examples, inputs].
        loss: Function of the final state and of all outputs: the loss of the network,
            summed over the examples.
        losses: Function of all outputs: the loss of what the network predicts from the
            output of each step, [time, examples]; None for an encoder, whose outputs
            predict nothing alone.
        lengths: Lengths of the inputs, [examples]; None if all have the same length.
    """

    layer: RecurrentLayer
    params: Any
    xs: Any
    loss: Callable[[Any, Any], Array]
    losses: Callable[[Any], Array] | None
    lengths: Array | None = None


class Network(NamedTuple):
    """A network of a run, without its parameters.

    Attributes:
        shapes: Shapes of its parameters, a tree of `jax.ShapeDtypeStruct`.
        apply: `outputs = apply(params, *inputs)`.
        inputs: Held-out inputs, arrays [examples, ...].
        targets: Held-out targets, arrays [examples, ...].
        score: The number that the run reports, as a function of the parameters: the
            held-out accuracy of a classifier.
        recurrent: `part = recurrent(params, examples)`, the `RecurrentPart` on the
            first held-out examples, or on all for None; None for a network without one.
        model: The Linen module; None if the network is none.
    """

    shapes: Any
    apply: Callable[..., Any]
    inputs: tuple[Any, ...]
    targets: Any
    score: Callable[[Any], Array]
    recurrent: Callable[..., RecurrentPart] | None = None
    model: nn.Module | None = None


def linen(
    model: nn.Module,
    inputs: Sequence[Any],
    targets: Any,
    losses: Callable[[Any, Any], Array],
    score: Callable[[Any], Array] | None = None,
    layer: str | None = None,
    by_step: bool = True,
) -> Network:
    """A network that is a Linen module.

    Args:
        model: The module.
        inputs: Held-out inputs, arrays [examples, ...].
        targets: Held-out targets.
        losses: `losses(outputs, targets)`, the loss of every example, [examples], or of
            every example and step, [examples, time].
        score: As in `Network`; by default the mean loss.
        layer: Name of its recurrent layer; None if it has none.
        by_step: Whether the output of each step of the layer predicts something.

    Returns:
        A `Network`.

    Example:
        >>> import nets
        >>> from nets.models import SequenceClassifier
        >>> xs, labels = jnp.ones((5, 7, 3)), jnp.zeros(5, int)
        >>> model = SequenceClassifier(nets.gru(), 8, 10)
        >>> network = classifier(model, xs, labels)
        >>> params = model.init(jax.random.key(0), xs)["params"]
        >>> part = network.recurrent(params, 2)
        >>> part.xs.shape, part.losses(jnp.ones((7, 2, 8))).shape
        ((7, 2, 3), (7, 2))
    """
    inputs = tuple(map(_array, inputs))
    targets = jax.tree.map(jnp.asarray, targets)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *first(inputs, 1))["params"]

    def apply(params, *inputs):
        return model.apply({"params": params}, *inputs)

    def mean_loss(params):
        return losses(apply(params, *inputs), targets).mean()

    def part(params, examples=None):
        xs, ys = jax.tree.map(lambda leaf: leaf[:examples], (inputs, targets))
        whole = _recurrent(model, str(layer), params, xs, ys, losses)
        return whole if by_step else whole._replace(losses=None)

    return Network(
        shapes,
        apply,
        inputs,
        targets,
        score or mean_loss,
        part if layer else None,
        model,
    )


def classifier(
    model: nn.Module,
    xs: Any,
    labels: Any,
    score: Callable[[Any], Array] | None = None,
    layer: str | None = "recurrent",
) -> Network:
    """A Linen module that returns logits, alone or after a state.

    Args:
        model: The module, such as a `SequenceClassifier` or a `SequenceTagger`.
        xs: Held-out inputs, [examples, ...], or several as a tuple.
        labels: Held-out labels or targets, [examples], or [examples, time] of a
            tagger.
        score: As in `Network`; by default the accuracy.
        layer: Name of its recurrent layer; None if it has none.

    Returns:
        A `Network`.
    """
    inputs = jax.tree.map(jnp.asarray, arguments(xs))
    labels = jnp.asarray(labels)

    def losses(outputs, labels):
        logits = outputs[1] if isinstance(outputs, tuple) else outputs
        return training.losses(logits, labels)

    def accuracy(params):
        return training.accuracy(model, params, inputs, labels)

    return linen(model, inputs, labels, losses, score or accuracy, layer)


def _array(leaf: Any) -> Any:
    """The input as an array, if there is one."""
    return None if leaf is None else jnp.asarray(leaf)


def _recurrent(
    model: nn.Module,
    name: str,
    params: Any,
    inputs: tuple[Any, ...],
    targets: Any,
    losses: Callable[[Any, Any], Array],
) -> RecurrentPart:
    """The recurrent layer of a module, from a call of the module."""
    calls = {}

    def is_layer(context) -> bool:
        return context.module.path == (name,) and context.method_name == "__call__"

    def record(call, args, kwargs, context):
        if is_layer(context):
            calls["module"], calls["lengths"] = context.module, kwargs.get("lengths")
            calls["xs"] = args[0]
        return call(*args, **kwargs)

    @jax.jit
    def inputs_of_layer(params, inputs):
        with nn.intercept_methods(record):
            model.apply({"params": params}, *inputs)
        return calls["xs"], calls["lengths"]

    xs, lengths = inputs_of_layer(params, inputs)
    layer, key = _layer(calls["module"])

    def outputs_given(state, ys, inputs):
        """Outputs of the module, given the results of the layer."""

        def replace(call, args, kwargs, context):
            if is_layer(context):
                return state, batch_first(ys)
            return call(*args, **kwargs)

        with nn.intercept_methods(replace):
            return model.apply({"params": params}, *inputs)

    def loss(state, ys):
        return losses(outputs_given(state, ys, inputs), targets).sum()

    def losses_by_step(ys):
        whole = jax.eval_shape(lambda: losses(outputs_given(None, ys, inputs), targets))
        if len(whole.shape) > 1:  # a prediction at every step
            return losses(outputs_given(None, ys, inputs), targets).T

        def of_step(ys):  # as if the sequence ended there
            alone = jax.tree.map(lambda leaf: leaf[None], ys)
            return losses(outputs_given(None, alone, inputs), targets)

        return jax.vmap(of_step)(ys)

    return RecurrentPart(
        layer, params[name][key], time_first(xs), loss, losses_by_step, lengths
    )


def _layer(module: Any) -> tuple[RecurrentLayer, str]:
    """The layer of a Linen module of `nets.linen`, and the name of its parameters."""
    if isinstance(module, Bidirectional):
        layer = bidirectional(module.forward, module.backward, merge=module.merge)
        return layer, "cells"
    assert isinstance(module, Recurrent)
    return as_layer(module.cell, module.reverse), "cell"
