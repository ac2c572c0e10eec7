"""The network of the contenders that use JAX."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import nets
from experiments.throughput.workers.protocol import (
    CLASSES,
    CLIP_NORM,
    LEARNING_RATE,
    Task,
)
from nets.models import SequenceClassifier


def model(task: Task) -> SequenceClassifier:
    """The network: a recurrent layer, and a dense layer of its last output."""
    return SequenceClassifier(nets.CELLS[task.cell](), task.features, CLASSES)


def initial_params(task: Task) -> Any:
    """Initial parameters, [members, ...]."""
    keys = jax.random.split(jax.random.key(0), task.members)
    xs = jnp.zeros((1, task.time, 1))

    def init(key):
        return model(task).init(key, xs)["params"]

    return jax.jit(lambda keys: jax.lax.map(init, keys))(keys)


def loss_fn_of(task: Task) -> Callable[..., Any]:
    """The mean loss, as `train.fit` takes it."""

    def loss_fn(params, batch, key):
        xs, labels = batch
        logits = model(task).apply({"params": params}, xs)
        losses = optax.softmax_cross_entropy_with_integer_labels(
            jnp.asarray(logits), labels
        )
        return losses.mean()

    return loss_fn


def optimizer() -> optax.GradientTransformation:
    """Clipping and Adam."""
    return optax.chain(optax.clip_by_global_norm(CLIP_NORM), optax.adam(LEARNING_RATE))
