"""The steps of the experiment."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.classify_sequences import claims, figures
from experiments.classify_sequences.config import Config
from experiments.classify_sequences.measure import (
    ModelResult,
    confusion_matrices,
    known_accuracy,
    majority_accuracy,
)
from experiments.classify_sequences.networks import (
    INPUTS,
    LINEAR,
    Linear,
    classifiers,
)
from experiments.harness import cells, own_data, own_sequences, published, training
from experiments.harness.networks import Network, classifier
from experiments.harness.own_sequences import Sequences
from experiments.harness.published import Published
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from train.data import mnist1d


def run(config: Config, results: Run) -> None:
    """Train every cell with every way of reading, and publish the results."""
    data = load(config, results)
    models = build(config, data)
    model_results = [
        learn(model, cell, way, data, config, results)
        for (cell, way), model in models.items()
    ]
    labels = np.asarray(data.train[1]), np.asarray(data.test[1])
    majority = majority_accuracy(*labels)
    results.log(kind="majority", **data.scores(majority))
    show(model_results, majority, data, config, results)


def build(config: Config, data: Sequences) -> dict[tuple[str, str], Any]:
    """The models by cell and way of reading."""
    models: dict[tuple[str, str], Any] = {(LINEAR, INPUTS): Linear(data.outputs)}
    for name in config.cells:
        cell = cells.named(name, data.inputs, config.features)
        by_way = classifiers(
            cell, data.example, config.features, config.bidirectional, data.outputs
        )
        models |= {(name, way): model for way, model in by_way.items()}
    return models


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name."""
    data = load(config)
    return {
        f"{cell}, {way}": classifier(
            model, *data.test, layer=None if cell == LINEAR else "recurrent"
        )
        for (cell, way), model in build(config, data).items()
    }


def load(config: Config, results: Run | None = None) -> Sequences:
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
    if data.classes:
        confusion = confusion_matrices(
            model, fitted.params, data.test, len(data.classes)
        )
        final = np.trace(confusion, axis1=1, axis2=2) / len(data.test[1])
    else:
        confusion = np.zeros((len(config.seeds), 0, 0), int)
        final = np.asarray(jax.jit(partial(jax.lax.map, accuracy))(fitted.params))
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
    # On MNIST-1D, `experiments.mnist1d` trains as published.
    comparable = config.data == "digits" and published.as_default(config)
    if result.known is not None and comparable:
        setting = f"{data.setting}, {result.name}"
        source = figures.SOURCES[config.data]
        number = Published(setting, result.known, source, unit="%")
        published.log(results, number, 100 * result.accuracy)
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
