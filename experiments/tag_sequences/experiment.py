"""The steps of the experiment."""

import bisect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import cells, cli, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import logits
from experiments.tag_sequences import claims, figures
from experiments.tag_sequences.config import Config
from experiments.tag_sequences.measure import WAYS, Scores, TaggingResult, scores
from nets import Cell
from nets.models import SequenceTagger
from train.data import words
from train.data.words import LETTERS, Words

SHOWN = 3  # held-out windows shown in the report


def run(config: Config, results: Run) -> None:
    """Train a tagger for every way of reading; publish the results."""
    try:
        train, test = training.parts(words.load(config.length), config)
    except ValueError as error:
        raise cli.UsageError(f"flag --length: {error}") from None
    training.check(config, len(train.letters), "windows")
    cell = cells.named(config.cell, config.features, config.features)
    tagged = [
        tag(model, name, train, test, config, results)
        for name, model in models(cell, train, config).items()
    ]
    majority = float(1 - test.starts.mean())
    results.log(kind="majority", accuracy=majority)
    show(tagged, majority, test, config, results)


def models(cell: Cell, train: Words, config: Config) -> dict[str, SequenceTagger]:
    """One model per way of reading, by the names in `WAYS`."""
    make = partial(SequenceTagger, cell, classes=2, vocabulary=len(LETTERS))
    forward = make(config.features)
    example = jnp.asarray(train.letters[:1])
    budget = training.count(forward, example)
    equal_units = bisect.bisect_right(
        range(1, config.features + 1),
        budget,
        key=lambda units: training.count(make(units, bidirectional=True), example),
    )
    ways = (
        forward,
        make(config.features, reverse=True),
        make(config.features, bidirectional=True),
        make(max(equal_units, 1), bidirectional=True),
    )
    return dict(zip(WAYS, ways, strict=True))


def tag(
    model: SequenceTagger,
    name: str,
    train: Words,
    test: Words,
    config: Config,
    results: Run,
) -> TaggingResult:
    """Train one tagger per seed, and measure them on held-out windows."""
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
    all_scores: Scores = jax.tree.map(np.asarray, measure(fitted.params))
    f1 = (
        2
        * all_scores.precision
        * all_scores.recall
        / (all_scores.precision + all_scores.recall)
    )
    for i, seed in enumerate(config.seeds):
        seed_scores = jax.tree.map(lambda leaf, i=i: leaf[i], all_scores)
        results.log(
            kind="scores", way=name, seed=seed, f1=f1[i], **seed_scores._asdict()
        )
    first = jax.tree.map(lambda leaf: leaf[0], fitted.params)
    predictions = logits(model, first, jnp.asarray(test.letters[:SHOWN])).argmax(
        axis=-1
    )
    return TaggingResult(
        name,
        model.features,
        training.count(model, jnp.asarray(train.letters[:1])),
        np.nan_to_num(f1),  # nan if no letter is predicted as a start
        np.asarray(all_scores.accuracy),
        np.asarray(all_scores.bits),
        np.asarray(predictions),
    )


def show(
    tagged: list[TaggingResult],
    majority: float,
    test: Words,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    plot = figures.draw(tagged, caption(tagged, len(test.letters), config))
    publish(
        results,
        answer=plot.finding,
        figures={"tag_sequences.png": plot},
        tables={
            "Prediction of word starts": claims.table(tagged, majority),
            "Held-out letters, cut into words by the first seed": claims.examples(
                tagged, test
            ),
        },
        claims=[claims.evaluate_claim(tagged)],
    )


def caption(tagged: list[TaggingResult], windows: int, config: Config) -> str:
    """Description of the experiment, for the figure."""
    return (
        f"{windows} held-out windows of {config.length} letters of Python's "
        f"documentation; {config.cell}, {tagged[0].features} units per direction, "
        f"{tagged[-1].features} with equal parameters; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. Left: mean over {len(config.seeds)} seeds, and "
        "its 95 % interval. Right: mean over windows and seeds; bands: range of seeds."
    )
