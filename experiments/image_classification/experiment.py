"""The steps of the experiment."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import cli, own_data, own_images, published, tables, training
from experiments.harness.networks import Network, classifier
from experiments.harness.published import Published
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from experiments.image_classification import figures
from experiments.image_classification.claims import (
    MARGIN,
    answer,
    caption,
    evaluate_claim,
    table,
)
from experiments.image_classification.config import Config
from experiments.image_classification.measure import (
    ClassifierResult,
    Images,
    evaluate,
    probabilities,
)
from experiments.image_classification.networks import CLASSES, network
from experiments.image_classification.references import (
    AUTO,
    MODELS,
    OWN,
    REFERENCES,
    UNSET,
    reference_of,
)
from train.data import digits, idx, mnist1d

# Settings that references provide. The network is logged separately, layer by layer.
SETTLED = "data", "model", "learning_rate", "schedule", "batch_size", "steps"
# Flags that the accuracy of the reference depends on, next to those of the training.
OF_REFERENCE = "filters", "kernel_size", "padding", "pool", "hidden", "init", "epochs"


def run(config: Config, results: Run) -> None:
    """Train the network with every seed; publish the results."""
    as_default = published.as_default(config, *OF_REFERENCE)
    config = named(config)
    train, test, classes, setting = load(config, results)
    count = len(classes) or CLASSES
    model, rows = network(config, train.images.shape[1:], count)
    if not config.describe:
        config = scheduled(config, len(train.labels))
        results.log(
            kind="settings", **{name: getattr(config, name) for name in SETTLED}
        )
    for row in rows:
        results.log(kind="network", **row._asdict())
    if config.describe:
        print(tables.layers(rows).text())
        return
    params = training.start(model, jnp.asarray(train.images[:1]), config.seeds)
    fitted = training.train(
        loss_of(model),
        params,
        train,
        config,
        results,
        title=config.model,
    )
    result = evaluate(model, fitted.params, train, test, classes)
    log(result, config, len(train.labels), results)
    reference = config.model == reference_of(config).model
    if as_default and reference and not config.own():
        number = Published(
            f"{config.data}, {config.model}",
            float(reference_of(config).accuracy.split("-")[0]),
            reference_of(config).source,
            MARGIN,
            "%",
        )
        published.log(results, number, 100 * result.test_accuracy)
    plots = figures.draw(result, rows, caption(config, result))
    parameters = sum(row.parameters for row in rows)
    publish(
        results,
        answer=answer(result.confusion, classes),
        figures=plots,
        tables={"Accuracy": table(result, parameters, fitted, config)},
        claims=[] if config.own() else [evaluate_claim(result, config)],
        findings=[setting or f"Reference: {REFERENCES[config.data].source}."],
    )


def scores(configs: Sequence[Config]) -> list[dict[str, list[float]]]:
    """Accuracies of networks that differ in `TOGETHER` only, trained as one program.

    Args:
        configs: Flags of the networks.

    Returns:
        One dictionary per network, with one number per seed; nan where training
        diverged.
    """
    config = named(configs[0])
    if config.describe:
        raise cli.UsageError(
            "flag --describe: it trains nothing, so there are no scores"
        )
    train, test, classes, _ = load(config)
    model, _ = network(config, train.images.shape[1:], len(classes) or CLASSES)
    rates = [scheduled(named(c), len(train.labels)).learning_rate for c in configs]
    config = scheduled(config, len(train.labels))
    params = training.train_at_rates(
        loss_of(model),
        training.start(model, jnp.asarray(train.images[:1]), config.seeds),
        train,
        config,
        rates,
        title=f"{config.model} at {len(rates)} learning rates",
    )

    def accuracy(params, part):
        predicted = probabilities(model, params, part.images)
        right = (predicted.argmax(axis=-1) == part.labels).mean(axis=-1)
        return np.where(np.isfinite(predicted).all(axis=(1, 2)), right, np.nan).tolist()

    return [
        {"test_accuracy": accuracy(p, test), "train_accuracy": accuracy(p, train)}
        for p in (jax.tree.map(lambda a, i=i: a[i], params) for i in range(len(rates)))
    ]


def reopen(config: Config) -> dict[str, Network]:
    """The network that a run keeps, by name."""
    config = named(config)
    _, test, classes, _ = load(config)
    model, _ = network(config, test.images.shape[1:], len(classes) or CLASSES)

    def accuracy(params):
        stacked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
        predicted = probabilities(model, stacked, test.images)[0].argmax(axis=-1)
        return jnp.asarray((predicted == test.labels).mean())

    kept = classifier(model, test.images, test.labels, accuracy, layer=None)
    return {config.model: kept}


def load(
    config: Config, results: Run | None = None
) -> tuple[Images, Images, tuple[str, ...], str]:
    """Load the training and the test set, with channels.

    Returns:
        Both; the names of classes, and a description; empty for built-in data.
    """
    if config.own():
        data = own_images.load(config, results)
        text = f"Data: {data.setting}."
        return Images(*data.train), Images(*data.test), data.classes, text
    own_data.expect_no_flags_of_own_data(config)
    if config.data == "digits":
        parts = digits.load()
    elif config.data == "mnist1d":
        parts = mnist1d.load()
    else:
        parts = idx.load(config.data_dir, CLASSES)
    splits = (Images(images[..., None], labels) for images, labels in parts)
    return *training.parts(splits, config), (), ""


def log(result: ClassifierResult, config: Config, examples: int, results: Run) -> None:
    """Log the accuracies, one row per seed, and the confusion matrix."""
    epochs = config.steps / (examples // config.batch_size)
    for i, seed in enumerate(config.seeds):
        results.log(
            kind="accuracy",
            seed=seed,
            test_accuracy=result.test_accuracy[i],
            train_accuracy=result.train_accuracy[i],
            epochs=epochs,
        )
    # One row of counts per true class, over all seeds.
    results.log(kind="confusion", counts=result.confusion)


def named(config: Any) -> Any:
    """Replace "auto" in the flags of data set and model.

    Raises:
        cli.UsageError: Flags contradict each other.
    """
    data = config.data
    if data == AUTO:
        data = "idx" if config.data_dir else "digits"
    if data == "idx" and not config.data_dir:
        raise cli.UsageError(
            f"flag --data_dir: expected a folder, as --data=idx reads files; {idx.HINT}"
        )
    if config.own() and config.data_dir:
        raise cli.UsageError("flag --data_dir: omit it with --data=FILE_OR_FOLDER")
    if data != "idx" and config.data_dir:
        raise cli.UsageError(
            f"flag --data_dir: {data} are not read from files; omit the flag, or use "
            "--data=idx"
        )
    reference = REFERENCES.get(data, OWN)
    model = reference.model if config.model == AUTO else config.model
    for name in set().union(*MODELS.values()) - set(MODELS[model]):
        if getattr(config, name) not in UNSET:
            models = [model_name for model_name in MODELS if name in MODELS[model_name]]
            raise cli.UsageError(
                f"flag --{name}: {model} does not use this flag; omit it, or use "
                f"--model={' or '.join(models)}"
            )
    return dataclasses.replace(config, data=data, model=model)


def scheduled(config: Any, examples: int) -> Any:
    """Fill in the training settings of the flags from the reference.

    Args:
        config: Flags, as returned by `named`.
        examples: Number of training examples.

    Raises:
        cli.UsageError: A setting is out of range.
    """
    if config.steps and config.epochs:
        raise cli.UsageError(
            "flag --steps: omit it or --epochs; both set the length of training"
        )
    reference = reference_of(config)
    batch_size = config.batch_size or reference.batch_size
    schedule = reference.schedule if config.schedule == AUTO else config.schedule
    epochs = config.epochs or reference.epochs
    config = dataclasses.replace(
        config,
        learning_rate=config.learning_rate or reference.learning_rate,
        schedule=schedule,
        batch_size=batch_size,
        steps=config.steps or epochs * max(1, examples // batch_size),
    )
    training.check(config, examples, "images")
    return config
