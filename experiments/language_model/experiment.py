"""The experiment: its flags and its steps."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import cells, cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.language_model import figures, ngrams
from experiments.language_model.characters import (
    FEW,
    MANY,
    NEAR,
    go_on,
    measures,
    start,
    window_losses,
    windows,
)
from experiments.language_model.figures import Counted, Learned, Sample
from nets.models import SequenceTagger
from train.data import text
from train.data.text import Text

ORDERS = 6  # the largest n of an n-gram
LOOKS = 20  # on held-out text while a net learns
SHOWN = 32  # characters of the held-out text that samples go on from by default


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    text_file: str = cli.flag(
        "",
        "A text in UTF-8; by default the documentation that Python comes with.",
        path=True,
    )
    cells: list[str] = cli.flag(
        ["elman", "lstm", "gru"],
        "Cells to compare: names in nets.CELLS, or package.module:name of your own.",
    )
    features: int = common_flags.features(128)
    length: int = cli.flag(
        64, "Characters of a window.", lower_bound=NEAR, upper_bound=100_000
    )
    batch_size: int = common_flags.batch_size(8, "Windows a step.")
    steps: int = common_flags.steps(600)
    learning_rate: float = common_flags.learning_rate(
        8e-3, "The first step's; the last one's is a tenth of it."
    )
    temperatures: list[float] = cli.flag(
        [0.5, 0.8, 1.0],
        "Of the samples; at 0 the likeliest character each time.",
        upper_bound=1e6,
    )
    sample_length: int = cli.flag(
        300, "Characters of a sample.", lower_bound=1, upper_bound=1_000_000
    )
    prompt: str = cli.flag(
        "", "What samples go on from; by default where the held-out text begins."
    )


def run(config: Config, results: Run) -> None:
    """Count, train and sample; log, draw and print what was found."""
    written = text.load(config.text_file or None)
    train, test = training.parts(text.split(written.tokens), config)
    check(config, train, test)
    prompt = prompt_of(config, test, written.vocabulary)
    symbols = len(written.vocabulary)
    models = {
        name: SequenceTagger(
            cells.named(name, config.features, config.features),
            config.features,
            symbols,
            vocabulary=symbols,
        )
        for name in config.cells
    }
    told = ngrams.losses(train, test, symbols, ORDERS)
    counted = [Counted(n, float(nats.mean())) for n, nats in enumerate(told, 1)]
    for one in counted:
        results.log(kind="counted", **one._asdict())
    found, samples = [], []
    for name, model in models.items():
        learned, params = learn(name, model, train, test, config, results)
        log(learned, config.seeds, results)
        found.append(learned)
        first = jax.tree.map(lambda leaf: leaf[0], params)
        samples += write(name, model, first, prompt, written, config)
    for one in samples:
        results.log(kind="sample", seed=config.seeds[0], **one._asdict())
    show(counted, found, samples, written, config, results)


def check(config: Config, train: np.ndarray, test: np.ndarray) -> None:
    """Refuse what does not fit the text, before anything is trained."""
    most = len(test) - 1
    if config.length > most:
        raise cli.UsageError(
            f"flag --length: expected at most {max(most, 0)}, as the held-out tenth of "
            f"the text has {len(test)} characters; got {config.length}: name a "
            "smaller one, or a longer text"
        )
    training.check(config, len(train) - config.length, "windows")
    if not all(0 <= degree < math.inf for degree in config.temperatures):
        raise cli.UsageError(
            "flag --temperatures: expected finite numbers of at least 0; got "
            f"{config.temperatures}"
        )


def prompt_of(config: Config, test: np.ndarray, vocabulary: str) -> np.ndarray:
    """What samples go on from, as tokens."""
    if not config.prompt:
        return test[:SHOWN]
    try:
        return text.encode(config.prompt, vocabulary)
    except ValueError as error:
        raise cli.UsageError(f"flag --prompt: {error}") from None


def learn(
    name: str,
    model: SequenceTagger,
    train: np.ndarray,
    test: np.ndarray,
    config: Config,
    results: Run,
) -> tuple[Learned, Any]:
    """Train a cell from every seed; measure it on held-out text."""
    characters, length = jnp.asarray(train), config.length

    def loss_fn(params, starts, key):
        return window_losses(model, params, windows(characters, starts, length)).mean()

    look, measure = measures(model, jnp.asarray(test), length)
    fitted = training.train(
        loss_fn,
        start(model, config.seeds),
        np.arange(len(train) - length),  # where windows begin
        config,
        results,
        title=name,
        labels={"cell": name},
        schedule=optax.cosine_decay_schedule(1.0, config.steps, alpha=0.1),
        probe=look,
        probe_every=max(config.steps // LOOKS, 1),
    )
    last, carried, by_context, further = map(np.asarray, measure(fitted.params))
    assert fitted.probes is not None
    learned = Learned(
        name,
        sum(leaf[0].size for leaf in jax.tree.leaves(fitted.params)),
        carried,
        by_context,
        further,
        steps=np.append(fitted.probes.steps, config.steps),
        curve=np.concatenate([fitted.probes.values, last[None]]).T,
        seconds_per_step=fitted.seconds_per_step,
    )
    return learned, fitted.params


def write(
    name: str,
    model: SequenceTagger,
    params: Any,
    prompt: np.ndarray,
    written: Text,
    config: Config,
) -> list[Sample]:
    """How the first seed's net goes on with the prompt, at each temperature."""
    key = jax.random.fold_in(jax.random.key(config.seeds[0]), 1)
    degrees = jnp.array(config.temperatures, jnp.float32)
    write_all = jax.jit(
        lambda p, x: go_on(model, p, x, config.sample_length, key, degrees)
    )
    drawn = np.asarray(write_all(params, jnp.asarray(prompt)))
    before = text.decode(prompt, written.vocabulary)
    return [
        Sample(name, degree, before, text.decode(tokens, written.vocabulary))
        for degree, tokens in zip(config.temperatures, drawn, strict=True)
    ]


def log(found: Learned, seeds: Sequence[int], results: Run) -> None:
    """What a net tells of held-out text, a row a seed; and how it came to it."""
    for i, seed in enumerate(seeds):
        nats = float(found.nats[i])
        results.log(
            kind="held_out",
            cell=found.cell,
            seed=seed,
            nats=nats,
            bits=nats / math.log(2),
            perplexity=math.exp(nats),
            nats_by_context=found.by_context[i],
            further_back=found.further[i],
        )
        results.log(
            kind="learning",
            cell=found.cell,
            seed=seed,
            steps=found.steps,
            nats=found.curve[i],
        )


def show(
    counted: Sequence[Counted],
    found: Sequence[Learned],
    samples: Sequence[Sample],
    written: Text,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    plot = figures.draw(counted, found, config.length, caption(written, config))
    best = min(found, key=lambda one: one.nats.mean()).cell
    publish(
        results,
        answer=plot.finding,
        figures={"language_model.png": plot},
        tables={
            "Held-out text": figures.table(counted, found, config.length),
            **figures.sample_tables([s for s in samples if s.cell == best]),
        },
        claims=figures.evaluate_claims(counted, found),
    )


def caption(written: Text, config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    named = pathlib.Path(config.text_file).name or "Python's own documentation"
    count = len(written.tokens)
    seen = config.steps * config.batch_size * config.length
    _, test = text.split(written.tokens)
    few, many = (
        min(most, len(test) - length)
        for most, length in ((FEW, config.length), (MANY, 2 * config.length))
    )
    seeds = "one seed"
    if len(config.seeds) > 1:
        seeds = f"mean over {len(config.seeds)} seeds; bands: their range"
    return (
        f"{named}: {count:,} characters, {len(written.vocabulary)} different ones, the "
        f"last tenth held out. {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g} falling to a tenth of it, {config.steps} steps of "
        f"{config.batch_size} windows of {config.length}, {seen:,} characters in all; "
        f"clip norm {config.clip_norm:g}. Lines: {seeds}. Left: {few} held-out "
        f"windows. Right: {max(many, 1)}, twice as long as in training, neighbouring "
        "places taken together; n-grams by the n - 1 characters that they know."
    )
