"""The steps of the experiment."""

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from experiments.harness import cells, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.information import claims, figures
from experiments.information.config import Config
from experiments.information.measure import (
    CLASSES,
    TRAINED,
    UNTRAINED,
    WAYS,
    Data,
    InformationResult,
    measure_network,
)
from nets import probes
from nets.models import SequenceClassifier
from train.data import digits

POINTS = 16  # maximal number of steps at which states are probed


def run(config: Config, results: Run) -> None:
    """Train one network per seed and probe its states; publish the results."""
    splits = training.parts(digits.load(), config)
    training.check(config, len(splits[0].labels), "digits")
    train, test = (
        Data(
            jnp.asarray(digits.as_sequences(split.images, config.order)),
            jnp.asarray(split.images),
            jnp.asarray(split.labels),
        )
        for split in splits
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
    times = probe_times(train.xs.shape[1])
    measure = jax.jit(
        lambda params: measure_network(model, params, test, times, config.ridge)
    )
    measured = {}
    # BLAS threads slow down such small matrices on a busy machine.
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
            seed_results = []
            for i, seed in enumerate(config.seeds):
                bar.set_description(f"{when}, seed {seed}")
                seed_params = jax.tree.map(lambda leaf, i=i: leaf[i], params)
                seed_results.append(jax.tree.map(np.asarray, measure(seed_params)))
                log(seed_results[-1], when, seed, times, results)
                bar.update()
            measured[when] = jax.tree.map(lambda *parts: np.stack(parts), *seed_results)
    results.log(kind="image", bits=float(image))
    show(measured, times, float(image), len(test.labels), config, results)


def probe_times(time: int) -> np.ndarray:
    """Steps after which the states are probed, with the first and the last.

    Example:
        >>> probe_times(8).tolist(), len(probe_times(64))
        ([0, 1, 2, 3, 4, 5, 6, 7], 16)
    """
    return np.unique(np.linspace(0, time - 1, POINTS).round().astype(int))


def log(
    result: InformationResult, when: str, seed: int, times: np.ndarray, results: Run
) -> None:
    """Log one row per network, and one row per way of reading."""
    results.log(kind="accuracy", when=when, seed=seed, test_accuracy=result.accuracy)
    for i, way in enumerate(WAYS):
        curves = {name: curve[i] for name, curve in result.curves().items()}
        labels = {"when": when, "seed": seed, "way": way, "times": times}
        results.log(kind="known", **labels, **curves, rows=result.rows[i])


def show(
    measured: dict[str, InformationResult],
    times: np.ndarray,
    image: float,
    examples: int,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    text = caption(measured, examples, config)
    evaluated = claims.evaluate_claims(measured)
    plot = figures.draw(measured, times, image, config.order, text)
    publish(
        results,
        answer=claims.answer(evaluated),
        figures={
            "information.png": plot,
            "information_rows.png": figures.draw_rows(
                measured[TRAINED], times, config.order, text
            ),
        },
        tables={"Information by step": claims.table(measured)},
        claims=evaluated,
        findings=claims.findings(measured),
    )


def caption(
    measured: dict[str, InformationResult], examples: int, config: Config
) -> str:
    """Description of the experiment, for the figures."""
    seeds, accuracy = len(config.seeds), 100 * measured[TRAINED].accuracy.mean()
    return (
        f"Mean and range of {seeds} {'seeds' if seeds > 1 else 'seed'}; {examples} "
        f"held-out digits, read as {config.order}; {config.cell}, {config.features} "
        f"units per direction, {config.optimizer}, rate {config.learning_rate:g}, "
        f"{config.steps} steps of {config.batch_size}: {accuracy:.1f} % accuracy. "
        "Probes of the whole state: multinomial logistic regression (bits, a lower "
        "bound), linear regression (image, without pixels that are always blank), 5 "
        f"folds, ridge {config.ridge:g}; clipped at 0. Gradients: median over digits."
    )
