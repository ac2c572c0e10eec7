"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from experiments.classify_sequences import claims, figures
from experiments.classify_sequences.claims import (
    ALL,
    BOTH,
    END,
    INPUTS,
    LINEAR,
    SMALL,
    Read,
)
from experiments.classify_sequences.figures import caption
from experiments.harness import cells, cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import logits, loss_of
from nets import Cell
from nets.models import SequenceClassifier
from train.data import digits, mnist1d

CLASSES = 10

Sequences = tuple[Array, Array]  # xs [examples, time, inputs], labels [examples]


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    data: str = cli.flag("digits", "What is read.", choices=tuple(figures.DATA))
    order: str = cli.flag(
        "rows",
        "How one of the digits is read: 64 pixels or 8 rows (MNIST-1D has no order).",
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
        "The linear model's step size: at that of the nets it would not be trained out "
        "after as many steps, and no fair baseline.",
    )
    batch_size: int = common_flags.batch_size(64, "Sequences a step.")
    steps: int = common_flags.steps(840)
    probe_every: int = common_flags.probe_every(
        40, "Training steps from one look at the held-out to the next."
    )


class AllOutputs(SequenceClassifier):
    """A classifier whose dense layer sees the outputs of all steps, not of the last."""

    def read(
        self, ys: Any, lengths: Array | None = None
    ) -> Float[Array, "*batch classes"]:
        """The logits, from the outputs of every step in a row."""
        if self.bidirectional:
            ys = jnp.concatenate(ys, axis=-1)
        return self.dense(ys.reshape(*ys.shape[:-2], -1))


class Linear(nn.Module):
    """Sees all steps at once."""

    classes: int

    @nn.compact
    def __call__(
        self, xs: Float[Array, "*batch time inputs"]
    ) -> Float[Array, "*batch classes"]:
        """The logits of whole sequences."""
        return nn.Dense(self.classes)(xs.reshape(*xs.shape[:-2], -1))


def run(config: Config, results: Run) -> None:
    """Train every cell in every way of reading; log, draw and print what was found."""
    train, test = load(config)
    training.check(config, len(train[1]), "sequences")
    models: dict[tuple[str, str], Any] = {(LINEAR, INPUTS): Linear(CLASSES)}
    for name in config.cells:
        cell = cells.named(name, train[0].shape[-1], config.features)
        found = ways(cell, train[0][:1], config)
        models |= {(name, way): model for way, model in found.items()}
    reads = [
        learn(model, cell, way, train, test, config, results)
        for (cell, way), model in models.items()
    ]
    majority = most_frequent(np.asarray(train[1]), np.asarray(test[1]))
    results.log(kind="majority", test_accuracy=majority)
    show(reads, majority, len(test[1]), config, results)


def load(config: Config) -> tuple[Sequences, Sequences]:
    """What is learnt and what is held out."""
    if config.data == "mnist1d":
        halves = [(half.sequences[..., None], half.labels) for half in mnist1d.load()]
    else:
        halves = [
            (digits.as_sequences(half.images, config.order), half.labels)
            for half in digits.load()
        ]
    whole = ((jnp.asarray(xs), jnp.asarray(labels)) for xs, labels in halves)
    return training.parts(whole, config)


def ways(cell: Cell, example: Array, config: Config) -> dict[str, SequenceClassifier]:
    """A model of a cell for every way of reading."""
    units, both = config.features, config.bidirectional
    found = {END: SequenceClassifier(cell, units, CLASSES)}
    if both:
        found[BOTH] = SequenceClassifier(cell, units, CLASSES, bidirectional=True)
        found[SMALL] = no_larger(cell, found[END], example)
    return {**found, ALL: AllOutputs(cell, units, CLASSES, both)}


def no_larger(
    cell: Cell, model: SequenceClassifier, example: Array
) -> SequenceClassifier:
    """One that reads both ways and has no more parameters, if one unit allows."""
    units, most = model.features - 1, training.count(model, example)
    while True:
        small = SequenceClassifier(cell, units, CLASSES, bidirectional=True)
        if units == 1 or training.count(small, example) <= most:
            return small
        units -= 1


def most_frequent(train: np.ndarray, test: np.ndarray) -> float:
    """The accuracy of who always says what is most frequent in training.

    Args:
        train: Labels, [examples].
        test: Likewise.

    Returns:
        A share of `test`.

    Example:
        >>> most_frequent(np.array([1, 1, 0]), np.array([0, 1, 0, 0]))
        0.25
    """
    return float((test == np.bincount(train).argmax()).mean())


def learn(
    model: Any,
    cell: str,
    way: str,
    train: Sequences,
    test: Sequences,
    config: Config,
    results: Run,
) -> Read:
    """Train a model from every seed; see how it does on what is held out."""
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
    tables = jax.jit(lambda p: jax.lax.map(lambda one: confusions(model, one, test), p))
    confusion = np.asarray(tables(fitted.params))
    final = np.trace(confusion, axis1=1, axis2=2) / len(test[1])
    sizes = getattr(model, "features", 0), getattr(model, "bidirectional", False)
    found = Read(
        cell,
        way,
        *sizes,
        training.count(model, train[0][:1]),
        final,
        np.append(fitted.probes.steps, config.steps),
        np.concatenate([fitted.probes.values, final[None]]).T,
        confusion,
        1e3 * fitted.seconds_per_step,
        claims.known(config.data, config.order, cell, way, *sizes),
    )
    log(found, config.seeds, results)
    return found


def confusions(model: nn.Module, params: Any, data: Sequences) -> Array:
    """How many sequences of a class (a row) are taken for another (a column)."""
    xs, labels = data
    said = logits(model, params, xs).argmax(axis=-1)
    return jnp.zeros((CLASSES, CLASSES), int).at[labels, said].add(1)


def log(found: Read, seeds: list[int], results: Run) -> None:
    """A row a model, and a row a seed."""
    where = {"cell": found.cell, "way": found.way}
    results.log(
        kind="model",
        **where,
        features=found.features,
        parameters=found.parameters,
        milliseconds=found.milliseconds,
        known=found.known,
    )
    for i, seed in enumerate(seeds):
        results.log(
            kind="accuracy",
            **where,
            seed=seed,
            test_accuracy=found.accuracy[i],
            steps=found.steps,
            curve=found.curve[i],
            confusion=found.confusion[i],
        )


def show(
    reads: list[Read], majority: float, examples: int, config: Config, results: Run
) -> None:
    """Draw and print what was found."""
    text = caption(reads, examples, config)
    seen = f"{examples} held-out sequences"
    publish(
        results,
        answer=claims.answer(reads),
        figures={
            "classify_sequences.png": figures.draw(reads, majority, text),
            "confusions.png": figures.draw_confusions(reads, seen),
        },
        tables={"Held-out accuracy": claims.table(reads, majority)},
        claims=claims.evaluate_claims(reads, majority),
    )
