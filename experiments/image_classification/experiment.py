"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from experiments.harness import cli, common_flags, tables, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import logits, loss_of
from experiments.image_classification import figures
from experiments.image_classification.claims import (
    Findings,
    caption,
    evaluate_claim,
    table,
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
from nets.linen import Sequential
from nets.models.images import POOLS
from train.data import digits, idx, mnist1d

CHUNK = 100  # examples at once, where there is nothing to learn
TOGETHER = ("learning_rate",)  # networks that differ in no more train as one program

# What references settle, beside the network, which has rows of its own.
SETTLED = "data", "model", "learning_rate", "schedule", "batch_size", "steps"


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    data: str = cli.flag(
        AUTO,
        "The images; auto is idx if there is a --data_dir, otherwise digits.",
        choices=(AUTO, *REFERENCES),
    )
    data_dir: str = cli.flag(
        "",
        "A folder of IDX files, plain or gzipped, as of MNIST or Fashion-MNIST.",
        path=True,
    )
    model: str = cli.flag(
        AUTO,
        "The network; auto is the reference's: cnn, for mnist1d cnn_1d.",
        choices=(AUTO, *MODELS),
    )
    filters: list[int] = cli.flag(
        [0],
        "Of each convolution; " + by_data("filters"),
        repeats=True,
        upper_bound=4096,
    )
    kernel_size: int = cli.flag(
        0, "Along each axis; " + by_data("kernel_size"), lower_bound=0, upper_bound=1000
    )
    padding: str = cli.flag(
        AUTO,
        "Of a cnn's convolutions; auto is the reference's: same, for idx valid.",
        choices=(AUTO, "same", "valid"),
    )
    pool: str = cli.flag(
        AUTO,
        "After each convolution of a cnn; auto is max.",
        choices=(AUTO, *POOLS, "none"),
    )
    hidden: list[int] = cli.flag(
        [0],
        "Units of the dense layers before the last; 0 for the model's: 100,100 in a "
        "feed_forward, none in a cnn, for idx 128.",
        repeats=True,
        upper_bound=16_384,
    )
    init: str = cli.flag(
        AUTO,
        "How kernels start, after which library or paper; auto is the model's: linen, "
        "in a cnn_1d torch.",
        choices=(AUTO, *kernels.KERNELS),
    )
    learning_rate: float = common_flags.learning_rate(
        0.0, "Its step size; " + by_data("learning_rate")
    )
    schedule: str = cli.flag(
        AUTO,
        "How the step size goes on, as it is or like a cosine down to 0; auto is the "
        "reference's: constant, for idx cosine.",
        choices=(AUTO, "constant", "cosine"),
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    clip_norm: float = common_flags.clip_norm(0.0)
    batch_size: int = cli.flag(
        0,
        "Images a step; " + by_data("batch_size"),
        lower_bound=0,
        upper_bound=1_000_000,
    )
    epochs: int = cli.flag(
        0,
        "Times through the training set; " + by_data("epochs"),
        lower_bound=0,
        upper_bound=1_000_000,
    )
    steps: int = cli.flag(
        0,
        "Training steps; 0 for as many as --epochs make.",
        lower_bound=0,
        upper_bound=10_000_000,
    )
    describe: bool = cli.flag(False, "Print the network's layers, and train nothing.")


class Images(NamedTuple):
    """Images, or sequences as images of one axis, and the class of each."""

    images: Float[np.ndarray, "examples *space 1"]
    labels: Int[np.ndarray, " examples"]


def run(config: Config, results: Run) -> None:
    """Train the network from every seed; log, draw and print what it says."""
    config = named(config)
    train, test = load(config)
    model, rows = network(config, train.images.shape[1:])
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
    found = findings(model, fitted.params, train, test)
    log(found, config, len(train.labels), results)
    plots = figures.draw(found, rows, caption(config, found))
    parameters = sum(row.parameters for row in rows)
    publish(
        results,
        answer=plots["confusion.png"].finding,
        figures=plots,
        tables={"Accuracy": table(found, parameters, fitted, config)},
        claims=[evaluate_claim(found, config)],
        findings=[f"Reference: {REFERENCES[config.data].source}."],
    )


def scores(configs: Sequence[Config]) -> list[dict[str, list[float]]]:
    """The accuracies of networks that differ in `TOGETHER` alone, as one program.

    Args:
        configs: Flags that differ in nothing else.

    Returns:
        For each of them, one number a seed; nan where training diverged.
    """
    config = named(configs[0])
    if config.describe:
        raise cli.UsageError("flag --describe: it trains nothing, so has no scores")
    train, test = load(config)
    model, _ = network(config, train.images.shape[1:])
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
        said = probabilities(model, params, part.images)
        right = (said.argmax(axis=-1) == part.labels).mean(axis=-1)
        return np.where(np.isfinite(said).all(axis=(1, 2)), right, np.nan).tolist()

    return [
        {"test_accuracy": accuracy(own, test), "train_accuracy": accuracy(own, train)}
        for own in (
            jax.tree.map(lambda a, i=i: a[i], params) for i in range(len(rates))
        )
    ]


def load(config: Config) -> tuple[Images, Images]:
    """The training and the test set, with an axis of channels."""
    if config.data == "digits":
        parts = digits.load()
    elif config.data == "mnist1d":
        parts = mnist1d.load()
    else:
        parts = idx.load(config.data_dir, CLASSES)
    halves = (Images(images[..., None], labels) for images, labels in parts)
    return training.parts(halves, config)


def schedule_of(config: Config) -> optax.Schedule | None:
    """How the learning rate goes on."""
    if config.schedule != "cosine":
        return None
    return optax.cosine_decay_schedule(1.0, config.steps)


@partial(jax.jit, static_argnums=0)
def _probabilities(model: Sequential, params: dict, images: Array) -> Array:
    def one_seed(params):  # one after another, and in chunks, to save memory
        say = partial(logits, model, params)
        return jax.nn.softmax(jax.lax.map(say, images, batch_size=CHUNK))

    return jax.lax.map(one_seed, params)


def probabilities(
    model: Sequential, params: dict, images: Float[np.ndarray, "examples *space 1"]
) -> Float[np.ndarray, "seeds examples classes"]:
    """What the model of every seed takes every image for, and how sure it is."""
    return np.asarray(_probabilities(model, params, jnp.asarray(images)))


def findings(model: Sequential, params: dict, train: Images, test: Images) -> Findings:
    """What the trained models say of all images, and what the first is made of."""
    said = probabilities(model, params, test.images)
    seen = probabilities(model, params, train.images).argmax(axis=-1)
    first = jax.tree.map(lambda leaf: leaf[0], params)
    places = {int(name.rpartition("_")[2]): block for name, block in first.items()}
    right = said[0].argmax(axis=-1) == test.labels
    shown = int(right.argmax())  # the first that is read as what it is, if any is
    see = jax.jit(partial(model.apply, method="outputs"))
    maps = see({"params": first}, test.images[shown])
    return Findings(
        *test,
        probabilities=said,
        train_accuracy=(seen == train.labels).mean(axis=1),
        weights={i: np.asarray(places[i]["layer"][0]) for i in sorted(places)},
        shown=shown,
        maps=[np.asarray(ys) for ys in cast(list, maps)],
    )


def log(found: Findings, config: Config, examples: int, results: Run) -> None:
    """The accuracies, a row a seed, and what is taken for what."""
    epochs = config.steps / (examples // config.batch_size)
    for i, seed in enumerate(config.seeds):
        results.log(
            kind="accuracy",
            seed=seed,
            test_accuracy=found.test_accuracy[i],
            train_accuracy=found.train_accuracy[i],
            epochs=epochs,
        )
    # A row of counts a class: how often it is taken for each, over all seeds.
    results.log(kind="confusion", counts=found.confusion)
