"""The steps of the experiment."""

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.edges import claims, figures
from experiments.edges.config import Config
from experiments.edges.measure import (
    FIXED,
    LearnedKernels,
    Picture,
    closest,
    cosines,
    kernels_of,
    maps,
    rim,
    similarities,
)
from experiments.harness import cli, training
from experiments.harness.networks import Network, classifier
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import losses
from nets import blocks
from nets.linen import Sequential
from train.data import digits, photographs, strokes
from train.data.strokes import DIRECTIONS, Strokes

POOLS = {"mean": blocks.global_mean_pool, "max": blocks.global_max_pool}
NAME = "strokes"  # of the network
MOST_DIGITS, MOST_FILTERS = 8, 16  # limits, as all are drawn


def run(config: Config, results: Run) -> None:
    """Convolve images with fixed kernels, and learn kernels; publish the results."""
    train, test = training.parts(strokes.load(), config)
    splits = digits.load()
    images = np.concatenate([split.images for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    check(config, len(train.labels), len(labels))

    photograph = convolve(
        config.photograph, photographs.load(config.photograph), results
    )
    pictures = [
        convolve(f"no. {i}: {labels[i]}", images[i], results) for i in config.digits
    ]
    learned = learn(config, train, test, results)
    similarity = similarities(learned)
    for result in similarity:
        results.log(kind="likeness", **result._asdict())
    text = caption(config, len(train.labels), len(test.labels))
    names = {
        "before": closest(learned.before),
        "after": np.where(learned.fires, closest(learned.after), "silent"),
    }
    claim = claims.evaluate_claim(similarity)
    publish(
        results,
        answer=claims.ANSWERS[claim.outcome],
        figures={
            "photograph.png": figures.photograph(photograph, FIXED["Sobel"]),
            "digits.png": figures.digits(pictures),
            "kernels.png": figures.kernels(
                learned, names, similarity, FIXED, config.seeds, text
            ),
        },
        tables={"Similarity of learned to fixed kernels": claims.table(similarity)},
        claims=[claim],
        findings=claims.summary(learned, len(test.labels)),
    )


def check(config: Config, examples: int, count: int) -> None:
    """Refuse flags that do not fit the data or the figures."""
    training.check(config, examples, "strokes")
    if not all(0 <= i < count for i in config.digits):
        raise cli.UsageError(
            f"flag --digits: expected numbers from 0 to {count - 1}; got "
            f"{','.join(map(str, config.digits))}"
        )
    if len(config.digits) > MOST_DIGITS:
        raise cli.UsageError(
            f"flag --digits: expected at most {MOST_DIGITS}, as all are drawn; got "
            f"{len(config.digits)}"
        )
    if config.filters > MOST_FILTERS:
        raise cli.UsageError(
            f"flag --filters: expected at most {MOST_FILTERS}, as all are drawn; got "
            f"{config.filters}"
        )


def convolve(
    name: str, image: Float[np.ndarray, "height width"], results: Run
) -> Picture:
    """Feature maps of an image under Sobel's kernels, and the share of its border."""
    by_padding = {padding: maps(image, padding) for padding in ("same", "valid")}
    valid = by_padding["valid"]
    picture = Picture(
        name,
        image,
        by_padding,
        rim_zeros=rim(by_padding["same"].edges),
        rim_repeated=rim(maps(image, "replicate").edges),
        kept=float(valid.kept.sum() / np.abs(valid.edges).sum()),
    )
    for padding, parts in by_padding.items():
        results.log(
            kind="maps",
            image=name,
            padding=padding,
            sizes={part: m.shape[:2] for part, m in parts._asdict().items()},
            rim=rim(parts.edges),
            rim_repeated=picture.rim_repeated,
            kept=picture.kept,
        )
    return picture


def build(config: Config) -> Sequential:
    """The network that classifies the strokes."""
    return Sequential(
        (
            blocks.conv(config.filters, (3, 3)),
            POOLS[config.pool](2),
            blocks.dense(len(DIRECTIONS), activation=None),
        )
    )


def reopen(config: Config) -> dict[str, Network]:
    """The network that a run keeps, by name."""
    _, test = training.parts(strokes.load(), config)
    images = test.images[..., None]
    return {NAME: classifier(build(config), images, test.labels, layer=None)}


def learn(
    config: Config, train: Strokes, test: Strokes, results: Run
) -> LearnedKernels:
    """Train one network per seed to classify the strokes; log its kernels."""
    model = build(config)

    def outputs(params, xs):
        return cast(list[Array], model.apply({"params": params}, xs, method="outputs"))

    def loss_fn(params, batch, key):
        xs, labels = batch
        return losses(outputs(params, xs)[-1], labels).mean()

    train_images, test_images = (
        jnp.asarray(split.images)[..., None] for split in (train, test)
    )
    data = train_images, jnp.asarray(train.labels)
    start = training.start(model, train_images[:1], config.seeds)
    fitted = training.train(loss_fn, start, data, config, results, title=NAME)
    maps, _, logits = jax.jit(jax.vmap(outputs, (0, None)))(fitted.params, test_images)
    weights = np.asarray(fitted.params["dense_2"]["layer"].w)
    learned = LearnedKernels(
        kernels_of(start),
        kernels_of(fitted.params),
        fires=np.asarray((maps > 0).any(axis=(1, 2, 3))),
        votes=(weights[..., 0] < weights[..., 1]).astype(int),
        accuracy=(np.asarray(logits).argmax(axis=-1) == test.labels).mean(axis=1),
    )
    log(learned, config.seeds, results)
    return learned


def log(learned: LearnedKernels, seeds: list[int], results: Run) -> None:
    """Log one row per seed, and one row per kernel before and after training."""
    for seed, value in zip(seeds, learned.accuracy, strict=True):
        results.log(kind="accuracy", seed=seed, test_accuracy=value)
    for when, kernels in (("before", learned.before), ("after", learned.after)):
        similarity = cosines(kernels)
        for i, number in np.ndindex(similarity.shape[:2]):
            results.log(
                kind="kernel",
                seed=seeds[i],
                filter=number,
                when=when,
                kernel=kernels[i, ..., number],
                **dict(zip(FIXED, similarity[i, number].max(axis=-1), strict=True)),
                direction=DIRECTIONS[similarity[i, number].max(axis=0).argmax()],
                fires_after=learned.fires[i, number],
                votes_after=DIRECTIONS[learned.votes[i, number]],
            )


def caption(config: Config, training_strokes: int, test_strokes: int) -> str:
    """Description of the experiment, for the figure."""
    return (
        f"4x4 patches of digits, {training_strokes} for training and {test_strokes} of "
        f"other writers for test; one 3x3 convolution of {config.filters} filters, "
        f"ReLU, the {config.pool} of each map, and a dense layer; "
        f"{config.optimizer}, rate {config.learning_rate:g}, {config.steps} steps of "
        f"{config.batch_size}. "
        "Above each kernel: the most similar fixed kernel, its direction (— or |) and "
        "the |cosine| after subtraction of the mean. Orange: positive, purple: "
        "negative, scaled per kernel. Silent filters fire on no test stroke. In the "
        "title: means over seeds and filters, with silent ones; chance: median for "
        "equally many kernels with independent normal weights."
    )
