"""The experiment: its flags and its steps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from experiments.harness import cells, cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.information import claims, figures
from experiments.information.measure import (
    CLASSES,
    TRAINED,
    UNTRAINED,
    WAYS,
    Data,
    Known,
    look,
)
from nets import probes
from nets.models import SequenceClassifier
from train.data import digits

POINTS = 16  # steps at the most after which a state is read out


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    cell: str = cli.flag(
        "gru", "A name in nets.CELLS, or package.module:name of your own."
    )
    order: str = cli.flag(
        "rows", "How a digit is read: 8 rows or 64 pixels.", choices=digits.ORDERS
    )
    features: int = common_flags.features(64, "Hidden units of each direction.")
    steps: int = common_flags.steps(420, "Training steps (14 are an epoch).")
    ridge: float = cli.flag(
        1e-2, "The penalty on the probes' weights.", lower_bound=1e-6, upper_bound=1e12
    )


def run(config: Config, results: Run) -> None:
    """Train a network a seed, look at what its states know; log, draw and print it."""
    halves = training.parts(digits.load(), config)
    training.check(config, len(halves[0].labels), "digits")
    train, test = (
        Data(
            jnp.asarray(digits.as_sequences(half.images, config.order)),
            jnp.asarray(half.images),
            jnp.asarray(half.labels),
        )
        for half in halves
    )
    cell = cells.named(config.cell, train.xs.shape[-1], config.features)
    model = SequenceClassifier(cell, config.features, CLASSES, bidirectional=True)
    start = training.start(model, train.xs[:1], config.seeds)

    fitted = training.train(
        training.loss_of(model),
        start,
        (train.xs, train.labels),
        config,
        results,
        title=config.cell,
    )
    times = read_out_after(train.xs.shape[1])
    looked = jax.jit(lambda params: look(model, params, test, times, config.ridge))
    found = {}
    # Of so small matrices threads only wait for each other, where others work too.
    with (
        threadpool_limits(1, "blas"),
        tqdm(total=2 * len(config.seeds), unit="net", disable=None) as bar,
    ):
        image = jax.jit(
            lambda all_pixels: probes.usable_information(
                all_pixels, test.labels, CLASSES, ridge=config.ridge
            )
        )(test.images)
        for when, params in ((UNTRAINED, start), (TRAINED, fitted.params)):
            seen = []
            for i, seed in enumerate(config.seeds):
                bar.set_description(f"{when}, seed {seed}")
                one = jax.tree.map(lambda leaf, i=i: leaf[i], params)
                seen.append(jax.tree.map(np.asarray, looked(one)))
                log(seen[-1], when, seed, times, results)
                bar.update()
            found[when] = jax.tree.map(lambda *parts: np.stack(parts), *seen)
    results.log(kind="image", bits=float(image))
    show(found, times, float(image), len(test.labels), config, results)


def read_out_after(time: int) -> np.ndarray:
    """After which steps a state is read out, the first and the last among them.

    Example:
        >>> read_out_after(8).tolist(), len(read_out_after(64))
        ([0, 1, 2, 3, 4, 5, 6, 7], 16)
    """
    return np.unique(np.linspace(0, time - 1, POINTS).round().astype(int))


def log(one: Known, when: str, seed: int, times: np.ndarray, results: Run) -> None:
    """A row a network, and a row each way of reading it."""
    results.log(kind="accuracy", when=when, seed=seed, test_accuracy=one.accuracy)
    for i, way in enumerate(WAYS):
        curves = {name: curve[i] for name, curve in one.curves().items()}
        where = {"when": when, "seed": seed, "way": way, "times": times}
        results.log(kind="known", **where, **curves, rows=one.rows[i])


def show(
    found: dict[str, Known],
    times: np.ndarray,
    image: float,
    examples: int,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    text = caption(found, examples, config)
    plot = figures.draw(found, times, image, config.order, text)
    publish(
        results,
        answer=plot.finding,
        figures={
            "information.png": plot,
            "information_rows.png": figures.draw_rows(
                found[TRAINED], times, config.order, text
            ),
        },
        tables={"What each step knows": figures.table(found)},
        claims=claims.evaluate_claims(found),
        findings=claims.findings(found),
    )


def caption(found: dict[str, Known], examples: int, config: Config) -> str:
    """What was done, so that the figures can stand alone."""
    seeds, right = len(config.seeds), 100 * found[TRAINED].accuracy.mean()
    return (
        f"Mean and range of {seeds} {'seeds' if seeds > 1 else 'seed'}; {examples} "
        f"held-out digits, read as {config.order}; {config.cell}, {config.features} "
        f"units a direction, {config.optimizer}, rate {config.learning_rate:g}, "
        f"{config.steps} steps of {config.batch_size}: {right:.1f} % right. Probes of "
        "the whole state: multinomial logistic regression (bits, a lower bound), "
        "linear regression (image, without pixels that are always blank), 5 folds, "
        f"ridge {config.ridge:g}; below 0 counts as 0. Gradients: median over digits."
    )
