"""The steps of the experiment."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.classify_sequences import claims, figures
from experiments.classify_sequences.config import Config
from experiments.classify_sequences.measure import (
    ModelResult,
    Sequences,
    confusion_matrix,
    known_accuracy,
    majority_accuracy,
)
from experiments.classify_sequences.networks import (
    CLASSES,
    INPUTS,
    LINEAR,
    Linear,
    classifiers,
)
from experiments.harness import cells, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from train.data import digits, mnist1d


def run(config: Config, results: Run) -> None:
    """Train every cell with every way of reading, and publish the results."""
    train, test = load(config)
    training.check(config, len(train[1]), "sequences")
    models: dict[tuple[str, str], Any] = {(LINEAR, INPUTS): Linear(CLASSES)}
    for name in config.cells:
        cell = cells.named(name, train[0].shape[-1], config.features)
        by_way = classifiers(cell, train[0][:1], config.features, config.bidirectional)
        models |= {(name, way): model for way, model in by_way.items()}
    model_results = [
        learn(model, cell, way, train, test, config, results)
        for (cell, way), model in models.items()
    ]
    majority = majority_accuracy(np.asarray(train[1]), np.asarray(test[1]))
    results.log(kind="majority", test_accuracy=majority)
    show(model_results, majority, len(test[1]), config, results)


def load(config: Config) -> tuple[Sequences, Sequences]:
    """The training set and the held-out set."""
    if config.data == "mnist1d":
        halves = [(half.sequences[..., None], half.labels) for half in mnist1d.load()]
    else:
        halves = [
            (digits.as_sequences(half.images, config.order), half.labels)
            for half in digits.load()
        ]
    whole = ((jnp.asarray(xs), jnp.asarray(labels)) for xs, labels in halves)
    return training.parts(whole, config)


def learn(
    model: Any,
    cell: str,
    way: str,
    train: Sequences,
    test: Sequences,
    config: Config,
    results: Run,
) -> ModelResult:
    """Train a model from every seed, and measure it on held-out sequences."""
    params = training.start(model, train[0][:1], config.seeds)

    def accuracy(params):
        return training.accuracy(model, params, *test)

    where = {"cell": cell, "way": way}
    rate = config.linear_rate if cell == LINEAR else config.learning_rate
    fitted = training.train(
        loss_of(model),
        params,
        train,
        dataclasses.replace(config, learning_rate=rate),
        results,
        title=f"{cell}, {way}",
        labels=where,
        probe=accuracy,
        probe_every=config.probe_every,
    )
    assert fitted.probes is not None
    confusions = jax.jit(
        lambda params: jax.lax.map(lambda p: confusion_matrix(model, p, test), params)
    )
    confusion = np.asarray(confusions(fitted.params))
    final = np.trace(confusion, axis1=1, axis2=2) / len(test[1])
    sizes = getattr(model, "features", 0), getattr(model, "bidirectional", False)
    result = ModelResult(
        cell,
        way,
        *sizes,
        training.count(model, train[0][:1]),
        final,
        np.append(fitted.probes.steps, config.steps),
        np.concatenate([fitted.probes.values, final[None]]).T,
        confusion,
        1e3 * fitted.seconds_per_step,
        known_accuracy(config.data, config.order, cell, way, *sizes),
    )
    log(result, config.seeds, results)
    return result


def log(result: ModelResult, seeds: list[int], results: Run) -> None:
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
            test_accuracy=result.accuracy[i],
            steps=result.steps,
            curve=result.curve[i],
            confusion=result.confusion[i],
        )


def show(
    model_results: list[ModelResult],
    majority: float,
    examples: int,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    text = figures.caption(model_results, examples, config)
    publish(
        results,
        answer=claims.answer(model_results),
        figures={
            "classify_sequences.png": figures.draw(model_results, majority, text),
            "confusions.png": figures.draw_confusions(model_results, examples),
        },
        tables={"Held-out accuracy": claims.table(model_results, majority)},
        claims=claims.evaluate_claims(model_results, majority),
    )
