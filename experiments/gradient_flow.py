"""How far back does the gradient of each cell reach, before and after training?

    python -m experiments.gradient_flow --cells=elman,lstm,gru

Each cell learns to tell handwritten digits, read pixel by pixel or row by row, and the
norm of dL/ds_t, the gradient of the loss with respect to the whole state after step t,
is measured on held-out digits at initialisation and after training.
"""

import dataclasses
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments import cells, decay, launch, training
from experiments.cells import OWN
from experiments.training import losses
from nets import Cell, flow
from nets.models import SequenceClassifier
from nets.recurrent import batch_first, time_first, unroll
from train import Run
from train.data import digits

CLASSES = 10
DIRECTIONS = ("forward", "backward")


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    cells: list[str] = launch.flag(
        ["elman", "lstm", "gru"],
        "Cells to compare: names in nets.CELLS, or package.module:name of your own.",
    )
    init: str = launch.flag(
        OWN,
        "How cells start that leave it open: orthogonal, linen, nnx, keras, torch, "
        "haiku, equinox, irnn, chrono, chrono(STEPS); own for each cell's default.",
    )
    order: str = launch.flag(
        "pixels", "How a digit is read: 64 pixels or 8 rows.", choices=digits.ORDERS
    )
    bidirectional: bool = launch.flag(False, "Read from both ends.")
    features: int = launch.flag(64, "Hidden units of each direction.", lower_bound=1)
    batch_size: int = launch.flag(64, "Digits a step.", lower_bound=1)
    steps: int = launch.flag(840, "Training steps (14 are an epoch).", lower_bound=1)


def run(config: Config, results: Run) -> None:
    """Train and measure every cell; log, draw and print what was found."""
    halves = digits.load()
    training.check(config, len(halves[0].labels), "digits")
    train, test = (
        (digits.as_sequences(half.images, config.order), half.labels) for half in halves
    )
    time, inputs = train[0].shape[-2:]
    scheme = cells.scheme(config.init, time)
    compared = {
        name: cells.named(name, inputs, config.features, scheme)
        for name in config.cells
    }
    studies = []
    for name, cell in compared.items():
        start = cells.scheme_name(name, config.init, time)
        results.log(kind="cell", cell=name, init=start)
        studies += compare_before_and_after(name, cell, config, train, test, results)
    text = caption(config, len(test[1]), time)
    figure = decay.draw(studies, config.order, text, config.bidirectional)
    figure.savefig(results.path / "gradient_flow.png")
    print(decay.table(studies))


def compare_before_and_after(
    name: str, cell: Cell, config: Config, train, test, results: Run
) -> list[decay.Study]:
    """Train a cell from every seed; measure its gradient before and after."""
    model = SequenceClassifier(cell, config.features, CLASSES, config.bidirectional)
    params = training.start(model, jnp.asarray(train[0][:1]), config.seeds)

    def loss_fn(params, batch, key):
        xs, labels = batch
        return losses(logits(model, params, xs), labels).mean()

    @jax.jit
    def measure_all(params, xs, labels):  # one seed after another, to save memory
        return jax.lax.map(lambda p: measure(model, p, xs, labels), params)

    def log(when, profiles):
        for direction, log_norms in profiles.items():
            where = {"cell": name, "direction": direction, "when": when}
            rates = decay.rate(log_norms)
            for seed, rate, row in zip(config.seeds, rates, log_norms, strict=True):
                results.log(
                    kind="gradient", **where, seed=seed, decay=rate, log_norm=row
                )

    _, before = measure_all(params, *test)
    log("before", before)
    fitted = training.train(
        loss_fn, params, train, config, results, title=name, labels={"cell": name}
    )
    accuracy, after = measure_all(fitted.params, *test)
    log("after", after)
    for seed, value in zip(config.seeds, accuracy, strict=True):
        results.log(kind="accuracy", cell=name, seed=seed, test_accuracy=value)
    return [
        decay.Study(
            f"{name} {direction}" if config.bidirectional else name,
            sum(leaf[0].size for leaf in jax.tree.leaves(params)),
            np.asarray(accuracy),
            np.asarray(before[direction]),
            np.asarray(after[direction]),
            fitted.seconds_per_step,
        )
        for direction in DIRECTIONS[: len(before)]
    ]


def logits(model: SequenceClassifier, params: dict, xs: Array) -> Array:
    """What the model says of every example, [examples, classes]."""
    return cast(Array, model.apply({"params": params}, xs))


def measure(
    model: SequenceClassifier, params: dict, xs: Array, labels: Array
) -> tuple[Array, dict[str, Array]]:
    """Accuracy, and the gradient's log norm at every step, of one seed.

    Each sequence has the gradient of its own loss; of their norms the median counts. A
    backward cell's steps are numbered in the order in which it reads.
    Returns the accuracy, and ln |dL/ds_t|, [time], by direction.
    """
    accuracy = (logits(model, params, xs).argmax(axis=-1) == labels).mean()
    sequences = time_first(xs)

    def loss(*ys):
        ys = batch_first(ys if model.bidirectional else ys[0])
        said = model.apply({"params": params}, ys, method="read")
        return losses(cast(Array, said), labels).sum()

    def profile(params, loss, reverse=False):
        _, gradients = flow.state_gradients(
            model.cell, params, sequences, loss, reverse=reverse
        )
        norms = jnp.median(flow.log_norms(gradients), axis=1)
        return norms[::-1] if reverse else norms

    if not model.bidirectional:
        cell = params["recurrent"]["cell"]
        return accuracy, {"forward": profile(cell, lambda _, ys: loss(ys))}
    pair = params["recurrent"]["cells"]
    _, right = unroll(model.cell, pair.forward, sequences)
    _, left = unroll(model.cell, pair.backward, sequences, reverse=True)
    return accuracy, {
        "forward": profile(pair.forward, lambda _, ys: loss(ys, left)),
        "backward": profile(pair.backward, lambda _, ys: loss(right, ys), reverse=True),
    }


def caption(config: Config, examples: int, time: int) -> str:
    """What was done, so that the figure can stand alone."""
    starts = {name: cells.scheme_name(name, config.init, time) for name in config.cells}
    schemes = "; ".join(
        f"{', '.join(n for n in starts if starts[n] == scheme)}: "
        + ("its own" if scheme == OWN else scheme)
        for scheme in dict.fromkeys(starts.values())
    )
    return (
        f"Digits as {config.order}; {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. "
        f"Lines: geometric mean over {len(config.seeds)} seeds of the median over "
        f"{examples} held-out digits; bands: their range. Initialisation: {schemes}."
    )


if __name__ == "__main__":
    launch.main(Config, run)
