"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.edges import figures
from experiments.edges.figures import EDGES, Learnt, Likeness, Maps, Picture
from experiments.edges.measure import FIXED, closest, cosines, likenesses, table
from experiments.harness import cli, common_flags, tables, training
from experiments.harness.claims import PARTLY_SUPPORTED, REFUTED, SUPPORTED, Claim
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import losses
from nets import blocks
from nets.linen import Sequential
from train.data import digits, photographs, strokes
from train.data.strokes import DIRECTIONS, Strokes

POOLS = {"mean": blocks.global_mean_pool, "max": blocks.global_max_pool}
MOST_DIGITS, MOST_FILTERS = 8, 16  # all are drawn


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    photograph: str = cli.flag(
        "china", "Which is looked at.", choices=photographs.PHOTOGRAPHS
    )
    digits: list[int] = cli.flag(
        [0, 4, 7], "Which are looked at: numbers from 0 to 1796 in scikit-learn's set."
    )
    filters: int = cli.flag(4, "Of the network that learns.", lower_bound=1)
    pool: str = cli.flag(
        "mean", "Over all of each map, before its last layer.", choices=tuple(POOLS)
    )
    seeds: list[int] = common_flags.seeds(
        [0, 1, 2, 3, 4], "Seeds, each a separate network and order of the data."
    )
    learning_rate: float = common_flags.learning_rate(1e-2)
    batch_size: int = common_flags.batch_size(64, "Strokes a step.")
    steps: int = common_flags.steps(1000, "Training steps (6 are an epoch).")


def run(config: Config, results: Run) -> None:
    """Look with fixed kernels, learn others; log, draw and print what was found."""
    train, test = training.parts(strokes.load(), config)
    halves = digits.load()
    images = np.concatenate([half.images for half in halves])
    labels = np.concatenate([half.labels for half in halves])
    check(config, len(train.labels), len(labels))

    photograph = look(config.photograph, photographs.load(config.photograph), results)
    written = [look(f"no. {i}: {labels[i]}", images[i], results) for i in config.digits]
    learnt = learn(config, train, test, results)
    found = likenesses(learnt)
    for one in found:
        results.log(kind="likeness", **one._asdict())
    text = caption(config, len(train.labels), len(test.labels))
    names = {
        "before": closest(learnt.before),
        "after": np.where(learnt.fires, closest(learnt.after), "silent"),
    }
    judged = evaluate_claim(found)
    publish(
        results,
        answer=ANSWERS[judged.outcome],
        figures={
            "photograph.png": figures.photograph(photograph, FIXED["Sobel"]),
            "digits.png": figures.digits(written),
            "kernels.png": figures.kernels(
                learnt, names, found, FIXED, config.seeds, text
            ),
        },
        tables={"Likeness of learned kernels to fixed kernels": table(found)},
        claims=[judged],
        findings=summary(learnt, len(test.labels)),
    )


ANSWERS = {
    SUPPORTED: "A convolution with Sobel's kernels responds to edges, and every "
    "trained network found edge kernels.",
    PARTLY_SUPPORTED: "A convolution with Sobel's kernels responds to edges, and some "
    "trained networks found edge kernels.",
    REFUTED: "A convolution with Sobel's kernels responds to edges, but no trained "
    "network found edge kernels.",
}


def evaluate_claim(found: Sequence[Likeness]) -> Claim:
    """Whether all seeds' kernels are more alike to edge kernels than chance's are."""
    above = [one.above for one in found if one.of == "all" and one.to in EDGES]
    seeds = len(found[0].after)
    said = (
        SUPPORTED
        if min(above) == seeds
        else PARTLY_SUPPORTED
        if max(above)
        else REFUTED
    )
    _, _, numbers = figures.finding(found).partition("\n")
    return Claim(
        "A network that is shown pixels and labels alone finds edge kernels by itself",
        said,
        f"In {min(above)} of {seeds} seeds its kernels are more alike to them than 95 "
        f"% of random ones; {numbers}.",
    )


def check(config: Config, examples: int, count: int) -> None:
    """Refuse what flags alone cannot tell."""
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


def look(name: str, image: Float[np.ndarray, "height width"], results: Run) -> Picture:
    """What Sobel's kernels find in an image, and how much of that is its border."""
    by_padding = {padding: maps(image, padding) for padding in ("same", "valid")}
    valid = by_padding["valid"]
    picture = Picture(
        name,
        image,
        by_padding,
        rim_zeros=rim(by_padding["same"].found),
        rim_repeated=rim(maps(image, "replicate").found),
        kept=float(valid.kept.sum() / np.abs(valid.found).sum()),
    )
    for padding, found in by_padding.items():
        results.log(
            kind="maps",
            image=name,
            padding=padding,
            sizes={part: m.shape[:2] for part, m in found._asdict().items()},
            rim=rim(found.found),
            rim_repeated=picture.rim_repeated,
            kept=picture.kept,
        )
    return picture


def maps(image: Float[np.ndarray, "height width"], padding: str) -> Maps:
    """The feature maps of Sobel's two kernels, and what becomes of them.

    Args:
        image: [height, width].
        padding: As in `nets.conv`.

    Returns:
        Maps [height', width', 2]: horizontal edges, and vertical ones.
    """
    pair = np.stack([FIXED["Sobel"], FIXED["Sobel"].T], axis=-1)[:, :, None]
    params = nets.ConvParams(jnp.asarray(pair), bias=None)
    found = nets.conv(params, jnp.asarray(image)[..., None], padding=padding)
    kept = jax.nn.relu(found)
    return Maps(*map(np.asarray, (found, kept, nets.max_pool(kept, (2, 2)))))


def rim(found: Float[np.ndarray, "height width kernels"]) -> float:
    """The mean of |y| over the outermost pixels of the maps."""
    outermost = np.ones(found.shape[:2], bool)
    outermost[1:-1, 1:-1] = False
    return float(np.abs(found[outermost]).mean())


def learn(config: Config, train: Strokes, test: Strokes, results: Run) -> Learnt:
    """Train a network from every seed to tell the strokes; log what its kernels are."""
    model = Sequential(
        (
            blocks.conv(config.filters, (3, 3)),
            POOLS[config.pool](2),
            blocks.dense(len(DIRECTIONS), activation=None),
        )
    )

    def outputs(params, xs):
        return cast(list[Array], model.apply({"params": params}, xs, method="outputs"))

    def loss_fn(params, batch, key):
        xs, labels = batch
        return losses(outputs(params, xs)[-1], labels).mean()

    seen, unseen = (jnp.asarray(half.images)[..., None] for half in (train, test))
    data = seen, jnp.asarray(train.labels)
    start = training.start(model, seen[:1], config.seeds)
    fitted = training.train(loss_fn, start, data, config, results, title="strokes")
    maps, _, logits = jax.jit(jax.vmap(outputs, (0, None)))(fitted.params, unseen)
    weights = np.asarray(fitted.params["dense_2"]["layer"].w)
    learnt = Learnt(
        kernels_of(start),
        kernels_of(fitted.params),
        fires=np.asarray((maps > 0).any(axis=(1, 2, 3))),
        votes=(weights[..., 0] < weights[..., 1]).astype(int),
        accuracy=(np.asarray(logits).argmax(axis=-1) == test.labels).mean(axis=1),
    )
    log(learnt, config.seeds, results)
    return learnt


def kernels_of(params) -> Float[np.ndarray, "seeds 3 3 filters"]:
    """The convolution's, of every seed."""
    return np.asarray(params["conv_0"]["layer"].kernel)[..., 0, :]


def log(learnt: Learnt, seeds: list[int], results: Run) -> None:
    """A row a seed, and a row a kernel before and after training."""
    for seed, value in zip(seeds, learnt.accuracy, strict=True):
        results.log(kind="accuracy", seed=seed, test_accuracy=value)
    for when, kernels in (("before", learnt.before), ("after", learnt.after)):
        alike = cosines(kernels)
        for i, number in np.ndindex(alike.shape[:2]):
            results.log(
                kind="kernel",
                seed=seeds[i],
                filter=number,
                when=when,
                kernel=kernels[i, ..., number],
                **dict(zip(FIXED, alike[i, number].max(axis=-1), strict=True)),
                direction=DIRECTIONS[alike[i, number].max(axis=0).argmax()],
                fires_after=learnt.fires[i, number],
                votes_after=DIRECTIONS[learnt.votes[i, number]],
            )


def summary(learnt: Learnt, examples: int) -> list[str]:
    """How well strokes are told, and whether each kernel votes for what it sees."""
    accuracy = tables.mean_and_deviation(100 * learnt.accuracy, "{:.1f}")
    direction = cosines(learnt.after).max(axis=-2).argmax(axis=-1)
    own = (direction == learnt.votes) & learnt.fires
    return [
        f"Test accuracy: {accuracy} % of {examples} strokes.",
        f"{learnt.fires.sum()} of {own.size} filters fire on some of them; {own.sum()} "
        "of these predict the direction of the fixed kernel that they are most like.",
    ]


def caption(config: Config, training_strokes: int, test_strokes: int) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"4x4 pieces of digits, {training_strokes} to train and {test_strokes} of "
        f"other writers to test, through one 3x3 convolution of {config.filters} "
        f"filters, ReLU, the {config.pool} of each map, and a dense layer; "
        f"{config.optimizer}, rate {config.learning_rate:g}, {config.steps} steps of "
        f"{config.batch_size}. "
        "Above each kernel: |cosine| with the fixed one that it is most alike, its "
        "mean taken away; — and | are the fixed kernel's direction. Orange: positive, "
        "purple: negative, each kernel by its own extremes. Silent filters fire on no "
        "test stroke. In the title: means over seeds and filters, silent ones too; "
        "chance: the median of as many kernels with independent normal weights."
    )
