"""The adding problem, and measurements of networks that are trained on it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

import nets
from experiments.harness import common_flags, fitting, replay
from experiments.harness.runs import Run
from nets import Cell, flow
from nets.recurrent import time_first
from train import FitResult, clip_with_stats, make_optimizer
from train.data import adding

HELD_OUT = 1000  # number of test sequences
MEASURED = 100  # number of test sequences on which gradients are measured


class Model(NamedTuple):
    """Parameters of a cell and of the linear map of its last output.

    Attributes:
        cell: Parameters of the cell.
        w: Weights of the linear map.
        b: Bias of the linear map.
    """

    cell: Any
    w: Float[Array, " features"]
    b: Float[Array, ""]


class LargestNorm(NamedTuple):
    """State of `track_largest_norm`.

    Attributes:
        norm: Largest norm of a gradient so far.
    """

    norm: Float[Array, "*seeds"]


class GradientDecay(NamedTuple):
    """Decay of the gradient over time.

    Attributes:
        rate: Decay rate in nats per step.
        half_life: Number of steps in which the gradient halves.
    """

    rate: Float[Array, "*seeds"]
    half_life: Float[Array, "*seeds"]


class RemedyResult(NamedTuple):
    """Test of the claim of one remedy, over seeds.

    Attributes:
        remedy: Name of the remedy.
        claim: Claim of the remedy.
        quantity: Name of the quantity that was measured.
        without: Quantity without the remedy, [seeds].
        with_it: Quantity with the remedy, [seeds].
        held: Whether the claim is supported, [seeds].
        error_without: Mean squared error after training without the remedy.
        error_with: Mean squared error after training with the remedy.
        note: Further measurement, as text.
    """

    remedy: str
    claim: str
    quantity: str
    without: Float[np.ndarray, " seeds"]
    with_it: Float[np.ndarray, " seeds"]
    held: Bool[np.ndarray, " seeds"]
    error_without: Float[np.ndarray, " seeds"]
    error_with: Float[np.ndarray, " seeds"]
    note: str

    def of_seed(self, seed: int) -> dict[str, Any]:
        """The row to log for one seed."""
        row = self._asdict()
        return {k: v[seed] if isinstance(v, np.ndarray) else v for k, v in row.items()}


class Bench:
    """The task, and the networks trained on it without a remedy."""

    def __init__(self, config: Any, results: Run):
        self.config, self.results = config, results
        self.train_data = adding.load(0, config.examples, config.length)
        self.sequences, self.targets = held_out(config)
        self.xs = self.sequences[:, :MEASURED]
        self.baselines: dict[Cell, FitResult] = {}

    def start(self, cell: Cell) -> Model:
        """Initial parameters for every seed, [seeds, ...]."""
        keys = jnp.stack([jax.random.key(seed) for seed in self.config.seeds])
        return jax.jit(jax.vmap(partial(init, cell, self.config.features)))(keys)

    def loss(self, model: Model) -> Callable[[Any, Array], Array]:
        """Loss whose gradients are measured: squared error, summed over sequences."""
        targets = self.targets[:MEASURED]
        return lambda _, ys: ((predict(model, ys) - targets) ** 2).sum()

    def of_every_seed(self, measure: Callable[[Model], Any], models: Model) -> Any:
        """Measure the model of every seed; NumPy arrays [seeds, ...]."""
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(measure))(models))

    def decay(self, cell: Cell, models: Model) -> GradientDecay:
        """Decay of the gradient, by its median norm over sequences."""

        def decay(model):
            _, gradients = flow.state_gradients(
                cell, model.cell, self.xs, self.loss(model)
            )
            rate = flow.decay_rate(jnp.median(flow.log_norms(gradients), axis=1))
            return GradientDecay(rate, flow.half_life(rate))

        return self.of_every_seed(decay, models)

    def train(
        self,
        title: str,
        cell: Cell,
        penalty: Callable[[Model, Array], Array] = lambda model, xs: jnp.zeros(()),
        clip: float = 0.0,
    ) -> FitResult:
        """Train a cell from every seed on the squared error plus a penalty."""
        config = self.config

        def loss_fn(model, batch, key):
            xs = time_first(batch.sequences)
            _, ys = nets.unroll(cell, model.cell, xs, key=key)
            error = ((predict(model, ys) - batch.targets) ** 2).mean()
            return error + penalty(model, xs)

        optimizer = make_optimizer(config.optimizer, config.learning_rate)
        clipping = clip_with_stats(clip) if clip else optax.identity()
        chain = optax.chain(
            track_largest_norm(), clipping, track_largest_norm(), optimizer
        )
        data, evaluation = fitting.evaluation(loss_fn, self.train_data, config)
        fitted = replay.fit(
            self.results,
            title,
            loss_fn,
            fitting.optimizer(chain, config),
            self.start(cell),
            data,
            config.seeds,
            steps=config.steps,
            batch_size=config.batch_size,
            log_fn=partial(self.results.log, kind="training", network=title),
            learning_rate=fitting.rate(config),
            desc=title,
            # One row per step, so that clipped steps can be counted from the rows.
            steps_per_call=1 if clip else 20,
            keep_every=config.save_every,
            checkpoint_every=config.checkpoint_every,
            **evaluation,
            **fitting.guards(config, self.results, title, {"network": title}),
        )
        fitting.log_scores(fitted, config, self.results, {"network": title})
        return fitted

    def baseline(self, title: str, cell: Cell) -> FitResult:
        """Train a cell without a remedy, once for all remedies compared with it."""
        if cell not in self.baselines:
            self.baselines[cell] = self.train(title, cell)
        return self.baselines[cell]

    def error(self, cell: Cell, models: Model) -> np.ndarray:
        """Mean squared error on held-out sequences, [seeds]."""
        return self.of_every_seed(
            lambda model: squared_errors(
                cell, model, self.sequences, self.targets
            ).mean(),
            models,
        )


def held_out(config: Any) -> tuple[Array, Array]:
    """Held-out sequences, time first, and their targets."""
    draw = 1 if config.evaluate_on == common_flags.TEST else 2
    test = adding.load(draw, HELD_OUT, config.length)
    return time_first(jnp.asarray(test.sequences)), jnp.asarray(test.targets)


def init(cell: Cell, features: int, key: Array) -> Model:
    """Initial parameters from the key of a seed."""
    key_cell, key_w = jax.random.split(jax.random.fold_in(key, 0))
    w = jax.random.normal(key_w, (features,)) / jnp.sqrt(features)
    return Model(cell.init(key_cell, 2, features), w, jnp.zeros(()))


def squared_errors(
    cell: Cell, model: Model, xs: Array, targets: Array
) -> Float[Array, " batch"]:
    """Squared error of every sequence."""
    _, ys = nets.unroll(cell, model.cell, xs)
    return (predict(model, ys) - targets) ** 2


def predict(model: Model, ys: Float[Array, "time batch features"]) -> Array:
    """Predictions at the end of each sequence, [batch]."""
    return ys[-1] @ model.w + model.b


def track_largest_norm() -> optax.GradientTransformation:
    """Track the largest norm of the gradients, which pass unchanged."""

    def init(params):
        return LargestNorm(jnp.zeros(()))

    def update(updates, state, params=None):
        return updates, LargestNorm(jnp.maximum(state.norm, optax.tree.norm(updates)))

    return optax.GradientTransformation(init, update)


def largest_norms(opt_state: optax.OptState) -> list[LargestNorm]:
    """The states of all `track_largest_norm` in an optimizer, in their order."""

    def tracks(node):
        return isinstance(node, LargestNorm)

    return [n for n in jax.tree.leaves(opt_state, is_leaf=tracks) if tracks(n)]
