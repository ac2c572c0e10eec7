"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import (
    cli,
    common_flags,
    own_data,
    own_images,
    tables,
    training,
)
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from experiments.image_classification import figures
from experiments.image_classification.claims import (
    accuracy_title,
    caption,
    evaluate_claim,
    table,
)
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
    REFERENCES,
    by_data,
    named,
    scheduled,
)
from nets.initializers import kernels
from nets.models.images import POOLS
from train.data import digits, idx, mnist1d

TOGETHER = (
    "learning_rate",
)  # networks that differ in nothing else train as one program

# Settings that references provide. The network is logged separately, layer by layer.
SETTLED = "data", "model", "learning_rate", "schedule", "batch_size", "steps"


@dataclasses.dataclass(frozen=True)
class Config(own_images.Config):
    """The flags."""

    data: str = cli.flag(
        AUTO,
        f"{', '.join(REFERENCES)}; auto is idx if --data_dir is given, otherwise "
        f"digits. Or: {own_images.HELP}",
        path=True,
    )
    data_dir: str = cli.flag(
        "",
        "Folder of IDX files, plain or gzipped, such as MNIST or Fashion-MNIST.",
        path=True,
    )
    model: str = cli.flag(
        AUTO,
        "Network; auto is the reference's: cnn, for mnist1d cnn_1d.",
        choices=(AUTO, *MODELS),
    )
    filters: list[int] = cli.flag(
        [0],
        "Filters of each convolution; " + by_data("filters"),
        repeats=True,
        upper_bound=4096,
    )
    kernel_size: int = cli.flag(
        0,
        "Kernel size along each axis; " + by_data("kernel_size"),
        lower_bound=0,
        upper_bound=1000,
    )
    padding: str = cli.flag(
        AUTO,
        "Padding of a cnn; auto is the reference's: same, for idx valid.",
        choices=(AUTO, "same", "valid"),
    )
    pool: str = cli.flag(
        AUTO,
        "Pooling after each convolution of a cnn; auto is max.",
        choices=(AUTO, *POOLS, "none"),
    )
    hidden: list[int] = cli.flag(
        [0],
        "Units of the dense layers before the last; 0 for the defaults: 100,100 in a "
        "feed_forward, none in a cnn, 128 in a cnn for idx.",
        repeats=True,
        upper_bound=16_384,
    )
    init: str = cli.flag(
        AUTO,
        "Initializer of the kernels, by library or paper; auto is linen, in a cnn_1d "
        "torch.",
        choices=(AUTO, *kernels.KERNELS),
    )
    learning_rate: float = common_flags.learning_rate(
        0.0, "Learning rate; " + by_data("learning_rate")
    )
    schedule: str = cli.flag(
        AUTO,
        "Schedule of the learning rate: constant, or cosine decay to 0; auto is the "
        "reference's: constant, for idx cosine.",
        choices=(AUTO, "constant", "cosine"),
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    clip_norm: float = common_flags.clip_norm(0.0)
    batch_size: int = cli.flag(
        0,
        "Images per step; " + by_data("batch_size"),
        lower_bound=0,
        upper_bound=1_000_000,
    )
    epochs: int = cli.flag(
        0,
        "Epochs; " + by_data("epochs"),
        lower_bound=0,
        upper_bound=1_000_000,
    )
    steps: int = cli.flag(
        0,
        "Training steps; 0 for the number that --epochs gives.",
        lower_bound=0,
        upper_bound=10_000_000,
    )
    describe: bool = cli.flag(
        False, "Print the layers of the network, without training."
    )

    def built_in(self) -> tuple[str, ...]:
        """Names of built-in data."""
        return AUTO, *REFERENCES


def run(config: Config, results: Run) -> None:
    """Train the network with every seed; publish the results."""
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
        schedule=schedule_of(config),
    )
    result = evaluate(model, fitted.params, train, test, classes)
    log(result, config, len(train.labels), results)
    plots = figures.draw(result, rows, caption(config, result))
    parameters = sum(row.parameters for row in rows)
    publish(
        results,
        answer=accuracy_title(result.confusion, classes),
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
        schedule=schedule_of(config),
    )

    def accuracy(params, part):
        predicted = probabilities(model, params, part.images)
        right = (predicted.argmax(axis=-1) == part.labels).mean(axis=-1)
        return np.where(np.isfinite(predicted).all(axis=(1, 2)), right, np.nan).tolist()

    return [
        {"test_accuracy": accuracy(p, test), "train_accuracy": accuracy(p, train)}
        for p in (jax.tree.map(lambda a, i=i: a[i], params) for i in range(len(rates)))
    ]


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


def schedule_of(config: Config) -> optax.Schedule | None:
    """Schedule of the learning rate; None if it is constant."""
    if config.schedule != "cosine":
        return None
    return optax.cosine_decay_schedule(1.0, config.steps)


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
