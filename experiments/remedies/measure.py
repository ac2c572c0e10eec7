"""The adding problem, on which remedies are held against networks without them."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

import nets
from experiments.harness import training
from experiments.harness.runs import Run
from nets import Cell, flow
from nets.recurrent import time_first
from train import FitResult, clip_with_stats, fit, make_optimizer
from train.data import adding

HELD_OUT = 1000  # sequences, on which is tested
MEASURED = 100  # of them, on which gradients are measured


class Model(NamedTuple):
    """Parameters of a cell, and of the line that reads its last output."""

    cell: Any
    w: Float[Array, " features"]
    b: Float[Array, ""]


class Watch(NamedTuple):
    """The largest norm of a gradient that came by."""

    norm: Float[Array, "*seeds"]


class Decay(NamedTuple):
    """Nats a step, and steps in which a gradient halves."""

    rate: Float[Array, "*seeds"]
    half_life: Float[Array, "*seeds"]


class Bench:
    """The task, and what was trained on it without any remedy."""

    def __init__(self, config: Any, results: Run):
        self.config, self.results = config, results
        self.train_data = adding.load(0, config.examples, config.length)
        draw = 1 if config.evaluate_on == training.TEST else 2
        test = adding.load(draw, HELD_OUT, config.length)
        self.sequences = time_first(jnp.asarray(test.sequences))
        self.targets = jnp.asarray(test.targets)
        self.xs = self.sequences[:, :MEASURED]
        self.baselines: dict[Cell, FitResult] = {}

    def start(self, cell: Cell) -> Model:
        """The model of every seed, [seeds, ...]."""
        features = self.config.features

        def one(key):
            key_cell, key_w = jax.random.split(jax.random.fold_in(key, 0))
            w = jax.random.normal(key_w, (features,)) / jnp.sqrt(features)
            return Model(cell.init(key_cell, 2, features), w, jnp.zeros(()))

        keys = jnp.stack([jax.random.key(seed) for seed in self.config.seeds])
        return jax.jit(jax.vmap(one))(keys)

    def loss(self, model: Model) -> Callable[[Any, Array], Array]:
        """What gradients are measured of: each sequence's own squared error, summed."""
        targets = self.targets[:MEASURED]
        return lambda _, ys: ((read(model, ys) - targets) ** 2).sum()

    def of_every_seed(self, measure: Callable[[Model], Any], models: Model) -> Any:
        """A measurement of every model, as NumPy arrays [seeds, ...]."""
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(measure))(models))

    def decay(self, cell: Cell, models: Model) -> Decay:
        """How the gradient decays, by the median norm over sequences."""

        def one(model):
            _, gradients = flow.state_gradients(
                cell, model.cell, self.xs, self.loss(model)
            )
            rate = flow.decay_rate(jnp.median(flow.log_norms(gradients), axis=1))
            return Decay(rate, flow.half_life(rate))

        return self.of_every_seed(one, models)

    def train(
        self,
        title: str,
        cell: Cell,
        penalty: Callable[[Model, Array], Array] = lambda model, xs: jnp.zeros(()),
        clip: float = 0.0,
    ) -> FitResult:
        """Train a cell from every seed, its loss a squared error and a penalty."""
        config = self.config

        def loss_fn(model, batch, key):
            xs = time_first(batch.sequences)
            _, ys = nets.unroll(cell, model.cell, xs, key=key)
            error = ((read(model, ys) - batch.targets) ** 2).mean()
            return error + penalty(model, xs)

        optimizer = make_optimizer(config.optimizer, config.learning_rate)
        clipping = clip_with_stats(clip) if clip else optax.identity()
        return fit(
            loss_fn,
            optax.chain(watch(), clipping, watch(), optimizer),
            self.start(cell),
            self.train_data,
            config.seeds,
            steps=config.steps,
            batch_size=config.batch_size,
            log_fn=partial(self.results.log, kind="training", network=title),
            desc=title,
            # Each step is a row, from which the share of clipped steps can be counted.
            steps_per_call=1 if clip else 20,
        )

    def baseline(self, title: str, cell: Cell) -> FitResult:
        """The cell trained without a remedy; once, if several are held against it."""
        if cell not in self.baselines:
            self.baselines[cell] = self.train(title, cell)
        return self.baselines[cell]

    def error(self, cell: Cell, models: Model) -> np.ndarray:
        """The mean squared error on held-out sequences, [seeds]."""

        def one(model):
            _, ys = nets.unroll(cell, model.cell, self.sequences)
            return ((read(model, ys) - self.targets) ** 2).mean()

        return self.of_every_seed(one, models)


def read(model: Model, ys: Float[Array, "time batch features"]) -> Array:
    """What is said at the end of each sequence, [batch]."""
    return ys[-1] @ model.w + model.b


def watch() -> optax.GradientTransformation:
    """Leaves gradients as they are, and keeps the largest norm of them."""

    def init(params):
        return Watch(jnp.zeros(()))

    def update(updates, state, params=None):
        return updates, Watch(jnp.maximum(state.norm, optax.tree.norm(updates)))

    return optax.GradientTransformation(init, update)
