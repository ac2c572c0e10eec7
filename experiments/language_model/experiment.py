"""The steps of the experiment."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import cells, cli, published, training
from experiments.harness.networks import Network, classifier
from experiments.harness.published import Published
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.language_model import claims, figures, ngrams
from experiments.language_model.characters import (
    FEW,
    MANY,
    NetworkResult,
    Sample,
    carried_losses,
    continue_prompt,
    measures,
    spread,
    start,
    window_losses,
    windows,
)
from experiments.language_model.config import Config
from experiments.language_model.ngrams import NgramResult
from nets.models import SequenceTagger
from train.data import text
from train.data.text import Text

ORDERS = 6  # the largest n of an n-gram
PROBES = 20  # on held-out text during training
SHAKESPEARE = 1_115_394, 256, 12, 64, 2000  # characters, features, batch, length, steps
PYTORCH = {"lstm": 1.71, "gru": 1.62}  # nats per held-out character
PROMPT = 32  # characters of held-out text that are the default prompt


def run(config: Config, results: Run) -> None:
    """Count n-grams, train networks, sample from them; publish the results."""
    corpus, train, test = load(config)
    check(config, train, test)
    prompt = prompt_of(config, test, corpus.vocabulary)
    symbols = len(corpus.vocabulary)
    models = build(config, symbols)
    losses = ngrams.losses(train, test, symbols, ORDERS)
    ngram_results = [
        NgramResult(n, float(nats.mean())) for n, nats in enumerate(losses, 1)
    ]
    for ngram in ngram_results:
        results.log(kind="counted", **ngram._asdict())
    networks, samples = [], []
    for name, model in models.items():
        network, params = learn(name, model, train, test, config, results)
        log(network, config.seeds, results)
        compare(network, corpus, config, results)
        networks.append(network)
        first = jax.tree.map(lambda leaf: leaf[0], params)
        samples += write(name, model, first, prompt, corpus, config)
    for sample in samples:
        results.log(kind="sample", seed=config.seeds[0], **sample._asdict())
    show(ngram_results, networks, samples, corpus, config, results)


def load(config: Config) -> tuple[Text, np.ndarray, np.ndarray]:
    """The text, and the tokens of its training part and of its held-out part."""
    corpus = text.load(config.text_file or None)
    return corpus, *training.parts(text.split(corpus.tokens), config)


def build(config: Config, symbols: int) -> dict[str, SequenceTagger]:
    """One model per cell, by the name of the cell."""
    return {
        name: SequenceTagger(
            cells.named(name, config.features, config.features),
            config.features,
            symbols,
            vocabulary=symbols,
        )
        for name in config.cells
    }


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name; they read windows of held-out text."""
    corpus, _, test = load(config)
    characters = jnp.asarray(test)
    read = windows(characters, spread(len(test) - config.length, FEW), config.length)

    def network(model):
        def nats(params):
            return carried_losses(model, params, characters).mean()

        return classifier(model, read[:, :-1], read[:, 1:], score=nats)

    models = build(config, len(corpus.vocabulary))
    return {name: network(model) for name, model in models.items()}


def check(config: Config, train: np.ndarray, test: np.ndarray) -> None:
    """Refuse flags that do not fit the text, before training."""
    most = len(test) - 1
    if config.length > most:
        raise cli.UsageError(
            f"flag --length: expected at most {max(most, 0)}, as the held-out tenth of "
            f"the text has {len(test)} characters; got {config.length}: choose a "
            "smaller length or a longer text"
        )
    training.check(config, len(train) - config.length, "windows")
    if not all(0 <= degree < math.inf for degree in config.temperatures):
        raise cli.UsageError(
            "flag --temperatures: expected finite numbers of at least 0; got "
            f"{config.temperatures}"
        )


def prompt_of(config: Config, test: np.ndarray, vocabulary: str) -> np.ndarray:
    """Tokens of the prompt."""
    if not config.prompt:
        return test[:PROMPT]
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
) -> tuple[NetworkResult, Any]:
    """Train one network per seed; measure them on held-out text."""
    characters, length = jnp.asarray(train), config.length

    def loss_fn(params, starts, key):
        return window_losses(model, params, windows(characters, starts, length)).mean()

    probe, measure = measures(model, jnp.asarray(test), length)
    trained = training.train(
        loss_fn,
        start(model, config.seeds),
        np.arange(len(train) - length),  # where windows begin
        config,
        results,
        title=name,
        labels={"cell": name},
        schedule=optax.cosine_decay_schedule(1.0, config.steps, alpha=0.1),
        probe=probe,
        probe_every=max(config.steps // PROBES, 1),
    )
    last_probe, carried, by_context, further = map(np.asarray, measure(trained.params))
    assert trained.probes is not None
    result = NetworkResult(
        name,
        sum(leaf[0].size for leaf in jax.tree.leaves(trained.params)),
        carried,
        by_context,
        further,
        steps=np.append(trained.probes.steps, config.steps),
        curve=np.concatenate([trained.probes.values, last_probe[None]]).T,
        seconds_per_step=trained.seconds_per_step,
    )
    return result, trained.params


def write(
    name: str,
    model: SequenceTagger,
    params: Any,
    prompt: np.ndarray,
    corpus: Text,
    config: Config,
) -> list[Sample]:
    """Continuations of the prompt by the first seed's network, one per temperature."""
    key = jax.random.fold_in(jax.random.key(config.seeds[0]), 1)
    temperatures = jnp.array(config.temperatures, jnp.float32)
    write_all = jax.jit(
        lambda p, x: continue_prompt(
            model, p, x, config.sample_length, key, temperatures
        )
    )
    drawn = np.asarray(write_all(params, jnp.asarray(prompt)))
    before = text.decode(prompt, corpus.vocabulary)
    return [
        Sample(name, temperature, before, text.decode(tokens, corpus.vocabulary))
        for temperature, tokens in zip(config.temperatures, drawn, strict=True)
    ]


def log(network: NetworkResult, seeds: Sequence[int], results: Run) -> None:
    """Log the held-out loss and the learning curve, one row each per seed."""
    for i, seed in enumerate(seeds):
        nats = float(network.nats[i])
        results.log(
            kind="held_out",
            cell=network.cell,
            seed=seed,
            nats=nats,
            bits=nats / math.log(2),
            perplexity=math.exp(nats),
            nats_by_context=network.by_context[i],
            further_back=network.further[i],
        )
        results.log(
            kind="learning",
            cell=network.cell,
            seed=seed,
            steps=network.steps,
            nats=network.curve[i],
        )


def compare(network: NetworkResult, corpus: Text, config: Config, results: Run) -> None:
    """Log the comparison with PyTorch, if the text and the sizes are the same."""
    sizes = config.features, config.batch_size, config.length, config.steps
    if (len(corpus.tokens), *sizes) == SHAKESPEARE and network.cell in PYTORCH:
        setting = f"tinyshakespeare, {network.cell}, nats per character"
        number = Published(setting, PYTORCH[network.cell], "PyTorch 2.13, same sizes")
        published.log(results, number, network.nats)


def show(
    ngram_results: Sequence[NgramResult],
    networks: Sequence[NetworkResult],
    samples: Sequence[Sample],
    corpus: Text,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    plot = figures.draw(ngram_results, networks, config.length, caption(corpus, config))
    best = min(networks, key=lambda net: net.nats.mean()).cell
    publish(
        results,
        answer=claims.answer(ngram_results, networks),
        figures={"language_model.png": plot},
        tables={
            "Held-out text": claims.table(ngram_results, networks, config.length),
            **claims.sample_tables([s for s in samples if s.cell == best]),
        },
        claims=claims.evaluate_claims(ngram_results, networks),
    )


def caption(corpus: Text, config: Config) -> str:
    """Description of the experiment, for the figure."""
    name = pathlib.Path(config.text_file).name or "Python's own documentation"
    count = len(corpus.tokens)
    trained_on = config.steps * config.batch_size * config.length
    _, test = text.split(corpus.tokens)
    few, many = (
        min(most, len(test) - length)
        for most, length in ((FEW, config.length), (MANY, 2 * config.length))
    )
    seeds = "one seed"
    if len(config.seeds) > 1:
        seeds = f"mean over {len(config.seeds)} seeds; bands: their range"
    return (
        f"{name}: {count:,} characters, {len(corpus.vocabulary)} distinct, the last "
        f"tenth held out. {config.features} units; {config.optimizer}, learning rate "
        f"{config.learning_rate:g} falling to a tenth of it, {config.steps} steps of "
        f"{config.batch_size} windows of {config.length}, {trained_on:,} characters in "
        f"all; clip norm {config.clip_norm:g}. Lines: {seeds}. Left: {few} held-out "
        f"windows. Right: {max(many, 1)} windows, twice as long as in training, "
        "averaged over neighboring positions; n-grams at their n - 1 characters of "
        "context."
    )
