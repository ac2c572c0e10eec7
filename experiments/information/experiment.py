"""The steps of the experiment."""

import jax
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from experiments.harness import cells, own_sequences, training
from experiments.harness.networks import Network, classifier
from experiments.harness.own_sequences import Sequences
from experiments.harness.padding import unpadded
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.information import claims, figures
from experiments.information.config import Config
from experiments.information.measure import (
    TRAINED,
    UNTRAINED,
    WAYS,
    Data,
    InformationResult,
    measure_network,
)
from nets import probes
from nets.models import SequenceClassifier

SHAPE = 8, 8  # of a digit
POINTS = 16  # maximal number of steps at which states are probed


def run(config: Config, results: Run) -> None:
    """Train one network per seed and probe its states; publish the results."""
    data = own_sequences.load(config, results, least=2)
    xs, lengths = unpadded(data.measured[0])
    # Digits as images of 8 rows, in any order; own sequences as they are.
    whole = xs if config.own() else xs.reshape(len(xs), *SHAPE)
    test = Data(xs, whole, data.test[1], lengths)
    model = build(config, data)
    start = training.start(model, data.example, config.seeds)

    fitted = training.train(
        training.loss_of(model),
        start,
        data.train,
        config,
        results,
        title=config.cell,
    )
    times = probe_times(xs.shape[1])
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
                all_pixels, test.labels, data.outputs, ridge=config.ridge
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
    show(measured, times, float(image), data, config, results)


def build(config: Config, data: Sequences) -> SequenceClassifier:
    """The network."""
    cell = cells.named(config.cell, data.inputs, config.features)
    return SequenceClassifier(cell, config.features, data.outputs, bidirectional=True)


def reopen(config: Config) -> dict[str, Network]:
    """The network that a run keeps, by name."""
    data = own_sequences.load(config, least=2)
    return {config.cell: classifier(build(config, data), *data.test)}


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
    data: Sequences,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    text = caption(measured, data, config)
    unit = "sequence" if config.own() else "image"
    evaluated = claims.evaluate_claims(measured, unit)
    step = "values" if config.own() else f"{config.order} from the top"
    classes = data.outputs
    plot = figures.draw(measured, times, image, step, text, classes, unit)
    publish(
        results,
        answer=claims.answer(evaluated, unit),
        figures={
            "information.png": plot,
            "information_rows.png": figures.draw_rows(
                measured[TRAINED], times, step, text, unit
            ),
        },
        tables={"Information by step": claims.table(measured, unit)},
        claims=evaluated,
        findings=[*claims.findings(measured, classes, unit), *data.findings()],
    )


def caption(
    measured: dict[str, InformationResult],
    data: Sequences,
    config: Config,
) -> str:
    """Description of the experiment, for the figures."""
    seeds, accuracy = len(config.seeds), 100 * measured[TRAINED].accuracy.mean()
    examples, blank = len(data.test[1]), "image, without pixels that are always blank"
    read = f"held-out digits, read as {config.order}"
    if config.own():
        blank = "sequence, padding as zeros"
        read = f"held-out sequences ({data.setting})"
        if unpadded(data.test[0])[1] is not None:
            read += "; probes at equal shares of each sequence"
    return (
        f"Mean and range of {seeds} {'seeds' if seeds > 1 else 'seed'}; {examples} "
        f"{read}; {config.cell}, {config.features} "
        f"units per direction, {config.optimizer}, rate {config.learning_rate:g}, "
        f"{config.steps} steps of {config.batch_size}: {accuracy:.1f} % accuracy. "
        "Probes of the whole state: multinomial logistic regression (bits, a lower "
        f"bound), linear regression ({blank}), 5 folds, ridge {config.ridge:g}; "
        f"clipped at 0. Gradients: median over {data.noun}."
    )
