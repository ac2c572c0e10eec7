"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.classify_sequences import claims, figures
from experiments.classify_sequences.measure import (
    ModelResult,
    known_accuracy,
    majority_accuracy,
    score,
)
from experiments.classify_sequences.networks import (
    INPUTS,
    LINEAR,
    Linear,
    classifiers,
)
from experiments.harness import (
    cells,
    cli,
    common_flags,
    own_data,
    own_sequences,
    training,
)
from experiments.harness.own_sequences import Sequences
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from train.data import digits, mnist1d


@dataclasses.dataclass(frozen=True)
class Config(own_sequences.Config):
    """The flags."""

    data: str = cli.flag(
        "digits", f"digits, mnist1d, or: {own_sequences.HELP}", path=True
    )
    task: str = own_sequences.task()
    order: str = cli.flag(
        "rows",
        "Steps of a digit: 64 pixels or 8 rows (not for other data).",
        choices=digits.ORDERS,
    )
    bidirectional: bool = cli.flag(False, "Compare with reading from both ends.")
    cells: list[str] = cli.flag(
        ["elman", "lstm", "gru"],
        "Cells to compare: names in nets.CELLS, or package.module:name of your own.",
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(
        64, "Hidden units of each direction.", least=2
    )
    learning_rate: float = common_flags.learning_rate(3e-3)
    linear_rate: float = common_flags.learning_rate(
        1e-2,
        "Step size for the linear model. At the step size of the nets it would not "
        "converge in as many steps, and would not be a fair baseline.",
    )
    batch_size: int = common_flags.batch_size(64, "Sequences per step.")
    steps: int = common_flags.steps(840)
    probe_every: int = common_flags.probe_every(
        40, "Training steps between two measurements of the held-out accuracy."
    )

    def built_in(self) -> tuple[str, ...]:
        """Names of built-in data."""
        return tuple(figures.DATA)


def run(config: Config, results: Run) -> None:
    """Train every cell with every way of reading, and publish the results."""
    data = load(config, results)
    models: dict[tuple[str, str], Any] = {(LINEAR, INPUTS): Linear(data.outputs)}
    for name in config.cells:
        cell = cells.named(name, data.inputs, config.features)
        by_way = classifiers(
            cell, data.example, config.features, config.bidirectional, data.outputs
        )
        models |= {(name, way): model for way, model in by_way.items()}
    model_results = [
        learn(model, cell, way, data, config, results)
        for (cell, way), model in models.items()
    ]
    labels = np.asarray(data.train[1]), np.asarray(data.test[1])
    majority = majority_accuracy(*labels)
    results.log(kind="majority", **data.scores(majority))
    show(model_results, majority, data, config, results)


def load(config: Config, results: Run) -> Sequences:
    """The training set and the held-out set."""
    if config.data != "mnist1d":
        data = own_sequences.load(config, results)
        order = f"{figures.DATA['digits']} as {config.order}"
        return data if config.own() else data._replace(setting=order)
    own_data.expect_no_flags_of_own_data(config)
    halves = [
        (jnp.asarray(half.sequences[..., None]), jnp.asarray(half.labels))
        for half in mnist1d.load()
    ]
    train, test = training.parts(halves, config)
    training.check(config, len(train[1]), "sequences")
    classes = tuple(map(str, range(10)))
    return Sequences(
        train, test, classes, "sequences", "numbers", figures.DATA["mnist1d"]
    )


def learn(
    model: Any,
    cell: str,
    way: str,
    data: Sequences,
    config: Config,
    results: Run,
) -> ModelResult:
    """Train a model from every seed, and measure it on held-out sequences."""
    params = training.start(model, data.example, config.seeds)

    def accuracy(params):
        return training.accuracy(model, params, *data.test)

    where = {"cell": cell, "way": way}
    rate = config.linear_rate if cell == LINEAR else config.learning_rate
    fitted = training.train(
        loss_of(model),
        params,
        data.train,
        dataclasses.replace(config, learning_rate=rate),
        results,
        title=f"{cell}, {way}",
        labels=where,
        probe=accuracy,
        probe_every=config.probe_every,
    )
    assert fitted.probes is not None
    classes = len(data.classes)
    measure = jax.jit(
        lambda params: jax.lax.map(
            lambda p: score(model, p, data.test, classes), params
        )
    )
    final, confusion = map(np.asarray, measure(fitted.params))
    if classes:
        final = np.trace(confusion, axis1=1, axis2=2) / len(data.test[1])
    sizes = getattr(model, "features", 0), getattr(model, "bidirectional", False)
    result = ModelResult(
        cell,
        way,
        *sizes,
        training.count(model, data.example),
        final,
        np.append(fitted.probes.steps, config.steps),
        np.concatenate([fitted.probes.values, final[None]]).T,
        confusion,
        1e3 * fitted.seconds_per_step,
        known_accuracy(config.data, config.order, cell, way, *sizes),
    )
    log(result, data, config.seeds, results)
    return result


def log(result: ModelResult, data: Sequences, seeds: list[int], results: Run) -> None:
    """Log one row per model, and one row per model and seed."""
    where = {"cell": result.cell, "way": result.way}
    results.log(
        kind="model",
        **where,
        features=result.features,
        parameters=result.parameters,
        milliseconds=result.milliseconds,
        known=result.known,
    )
    for i, seed in enumerate(seeds):
        results.log(
            kind="accuracy",
            **where,
            seed=seed,
            **data.scores(result.accuracy[i]),
            steps=result.steps,
            curve=result.curve[i],
            confusion=result.confusion[i],
        )


def show(
    model_results: list[ModelResult],
    majority: float,
    data: Sequences,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    examples, name = len(data.test[1]), data.score
    text = figures.caption(model_results, examples, data, config)
    plots = {
        "classify_sequences.png": figures.draw(model_results, majority, text, name)
    }
    if data.classes:
        names = data.classes if config.own() else ()
        plots["confusions.png"] = figures.draw_confusions(
            model_results, examples, names
        )
    publish(
        results,
        answer=claims.answer(model_results, name),
        figures=plots,
        tables={f"Held-out {name}": claims.table(model_results, majority, name)},
        claims=claims.evaluate_claims(model_results, majority, name),
        findings=data.findings({r.name: r.accuracy for r in model_results}),
    )
