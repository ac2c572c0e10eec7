"""The experiment: its flags and its steps."""

import bisect
import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.harness import cells, cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import logits, losses
from experiments.tag_sequences import figures
from experiments.tag_sequences.figures import WAYS, Tagged
from nets import Cell
from nets.models import SequenceTagger
from train.data import words
from train.data.words import LETTERS, Words

SHOWN = 3  # held-out windows that are cut into words in the report


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    cell: str = cli.flag(
        "gru", "A name in nets.CELLS, or package.module:name of your own."
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3])
    features: int = common_flags.features(
        64, "Hidden units of each direction.", least=2
    )
    length: int = cli.flag(
        64, "Letters of a window.", lower_bound=2, upper_bound=100_000
    )
    batch_size: int = common_flags.batch_size(32, "Windows a step.")
    steps: int = common_flags.steps(600, "Training steps (95 are an epoch).")


class Scores(NamedTuple):
    """How well the starts of words are told by one model.

    Attributes:
        bits: -log2 p(label) at every place, [time], the mean over windows.
        accuracy: The share of letters told right.
        precision: The share of starts among what is taken for one.
        recall: The share of starts that are found.
    """

    bits: Array
    accuracy: Array
    precision: Array
    recall: Array


def run(config: Config, results: Run) -> None:
    """Train every way of reading; log, draw and print what was found."""
    try:
        train, test = training.parts(words.load(config.length), config)
    except ValueError as error:
        raise cli.UsageError(f"flag --length: {error}") from None
    training.check(config, len(train.letters), "windows")
    cell = cells.named(config.cell, config.features, config.features)
    found = [
        tag(model, name, train, test, config, results)
        for name, model in models(cell, train, config).items()
    ]
    majority = float(1 - test.starts.mean())
    results.log(kind="majority", accuracy=majority)
    show(found, majority, test, config, results)


def models(cell: Cell, train: Words, config: Config) -> dict[str, SequenceTagger]:
    """A model a way of reading, by the names of `WAYS`."""
    make = partial(SequenceTagger, cell, classes=2, vocabulary=len(LETTERS))
    forward = make(config.features)
    example = jnp.asarray(train.letters[:1])
    most = training.count(forward, example)
    fewer = bisect.bisect_right(
        range(1, config.features + 1),
        most,
        key=lambda units: training.count(make(units, bidirectional=True), example),
    )
    ways = (
        forward,
        make(config.features, reverse=True),
        make(config.features, bidirectional=True),
        make(max(fewer, 1), bidirectional=True),
    )
    return dict(zip(WAYS, ways, strict=True))


def tag(
    model: SequenceTagger,
    name: str,
    train: Words,
    test: Words,
    config: Config,
    results: Run,
) -> Tagged:
    """Train one way of reading from every seed, and measure it on held-out windows."""
    params = training.start(model, jnp.asarray(train.letters[:1]), config.seeds)

    fitted = training.train(
        training.loss_of(model),
        params,
        train,
        config,
        results,
        title=name,
        labels={"way": name},
    )
    measure = jax.jit(partial(jax.lax.map, partial(scores, model, data=test)))
    found: Scores = jax.tree.map(np.asarray, measure(fitted.params))
    f1 = 2 * found.precision * found.recall / (found.precision + found.recall)
    for i, seed in enumerate(config.seeds):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], found)
        results.log(kind="scores", way=name, seed=seed, f1=f1[i], **one._asdict())
    first = jax.tree.map(lambda leaf: leaf[0], fitted.params)
    said = logits(model, first, jnp.asarray(test.letters[:SHOWN])).argmax(axis=-1)
    return Tagged(
        name,
        model.features,
        training.count(model, jnp.asarray(train.letters[:1])),
        np.nan_to_num(f1),  # who takes nothing for a start finds none
        np.asarray(found.accuracy),
        np.asarray(found.bits),
        np.asarray(said),
    )


def scores(model: SequenceTagger, params: Any, data: Words) -> Scores:
    """How well one model tells the starts of held-out words."""
    starts = jnp.asarray(data.starts)
    said = logits(model, params, jnp.asarray(data.letters))
    taken = said.argmax(axis=-1)
    hits = (taken * starts).sum()
    return Scores(
        losses(said, starts).mean(axis=0) / np.log(2),
        (taken == starts).mean(),
        hits / taken.sum(),
        hits / starts.sum(),
    )


def show(
    found: list[Tagged], majority: float, test: Words, config: Config, results: Run
) -> None:
    """Publish the results."""
    plot = figures.draw(found, caption(found, len(test.letters), config))
    publish(
        results,
        answer=plot.finding,
        figures={"tag_sequences.png": plot},
        tables={
            "Prediction of the starts of words": figures.table(found, majority),
            "Held-out letters, cut by the first seed of each": figures.examples(
                found, test
            ),
        },
        claims=[figures.evaluate_claim(found)],
    )


def caption(found: list[Tagged], windows: int, config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"{windows} held-out windows of {config.length} letters of Python's "
        f"documentation; {config.cell}, {found[0].features} units a direction, "
        f"{found[-1].features} with equal parameters; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. Left: mean over {len(config.seeds)} seeds, and "
        "its 95 % interval. Right: mean over windows and seeds; bands: range of seeds."
    )
