"""The steps of the experiment."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from threadpoolctl import threadpool_limits

from experiments.harness import cli, own_data, own_sequences, training
from experiments.harness.networks import Network, classifier
from experiments.harness.own_sequences import Sequences
from experiments.harness.padding import Padded
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import losses
from experiments.vanishing import claims, figures
from experiments.vanishing.config import Config
from experiments.vanishing.measure import LEARNED, NetResult
from experiments.vanishing.networks import (
    CLASSES,
    FEED_FORWARD,
    INITIALIZERS,
    PIXELS,
    Net,
    all_nets,
    as_sequence,
)
from nets import initializers
from train.data import digits

NONE = "none"
PROBED = 128  # held-out sequences on which gradients are measured


def run(config: Config, results: Run) -> None:
    """Measure all networks, train some of them, and publish the results."""
    data = load(config, results)
    config = dataclasses.replace(config, depth=config.depth or data.time)
    trained, least = check(config, data), threshold(data)
    train, test = flat(data.train), flat(data.test)
    net_results = []
    for net in all_nets(config.depth, train[0].shape[1], data.outputs):
        measure = log_norms_of_seeds(net, test)
        for init in config.inits:
            for width in config.widths:
                params = start(net, init, width, config.seeds)
                setting = net.name, init, width
                norms = np.asarray(measure(params))
                net_results.append(NetResult(*setting, "before", norms))
                chosen = init in trained and width == config.trained_width
                if net.logits is None or not chosen:
                    continue
                params, accuracy = fit(net, params, init, config, train, test, results)
                norms = np.asarray(measure(params))
                result = NetResult(*setting, "after", norms, accuracy, least)
                net_results.append(result)
    log(net_results, config.seeds, results)
    show(net_results, data, config, results)


def load(config: Config, results: Run | None = None) -> Sequences:
    """Load digits, pixel by pixel, or the user's own sequences, of equal length."""
    if config.own():
        data = own_sequences.load(config, results, least=2)
        if isinstance(data.train[0], Padded):
            raise cli.UsageError(
                "flag --data: expected sequences of equal length, as each step is "
                "compared with a layer; cut or resample them"
            )
        return data
    own_data.expect_no_flags_of_own_data(config)
    halves = training.parts(digits.load(), config)
    training.check(config, len(halves[0].labels), "digits")
    train, test = (
        (
            jnp.asarray(digits.as_sequences(half.images, "pixels")),
            jnp.asarray(half.labels),
        )
        for half in halves
    )
    classes = tuple(map(str, range(CLASSES)))
    return Sequences(train, test, classes, "digits", "pixels", "Handwritten digits")


def flat(part: tuple[Any, Array]) -> tuple[Array, Array]:
    """All numbers of each sequence in a row, and the labels."""
    xs, labels = part
    return xs.reshape(len(xs), -1), labels


def name_of(net: Net, init: str) -> str:
    """Name of a trained network in the folder of a run."""
    return f"{net.name}, {init}"


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name."""
    data = load(config)
    config = dataclasses.replace(config, depth=config.depth or data.time)
    xs, labels = flat(data.test)
    trained = [] if config.trained_inits == [NONE] else config.trained_inits
    return {
        name_of(net, init): rebuilt(net, config, xs, labels)
        for net in all_nets(config.depth, xs.shape[1], data.outputs)
        for init in trained
        if net.logits is not None
    }


def rebuilt(net: Net, config: Config, xs: Array, labels: Array) -> Network:
    """A trained network, for held-out sequences."""
    if net.model is not None:
        model = net.model(config.trained_width)
        return classifier(model, as_sequence(xs, config.depth), labels)
    logits = net.logits
    assert logits is not None

    def accuracy(params):
        return (logits(params, xs).argmax(axis=-1) == labels).mean()

    def init(key):  # every initializer draws the same shapes
        return net.init(key, initializers.orthogonal, config.trained_width)

    shapes = jax.eval_shape(init, jax.random.key(0))
    return Network(shapes, logits, (xs,), labels, accuracy)


def threshold(data: Sequences) -> float:
    """Smallest accuracy of a network that learned: 20 % for ten equal classes."""
    labels = np.asarray(data.test[1])
    chance = np.bincount(labels).max() / len(labels)
    if data.noun == "digits":
        return LEARNED
    return float(chance + (1 - chance) / 9)


def check(config: Config, data: Sequences) -> list[str]:
    """Check that flags agree, and return the initializers of the trained nets."""
    if config.depth < 2 or data.time % config.depth:
        steps = "the pixels of a digit" if data.noun == "digits" else "its steps"
        raise cli.UsageError(
            f"flag --depth: expected a divisor of {data.time}, {steps}, of at least 2; "
            f"got {config.depth}"
        )
    trained = [] if config.trained_inits == [NONE] else config.trained_inits
    for flag, names, known in (
        ("inits", config.inits, list(INITIALIZERS)),
        ("trained_inits", trained, config.inits),
    ):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise cli.UsageError(
                f"flag --{flag}: expected some of {', '.join(known)}; got "
                f"{unknown[0]!r}"
            )
    if not trained and config.trained_width != Config().trained_width:
        raise cli.UsageError(
            "flag --trained_width: expected no value, because "
            f"--trained_inits=none trains nothing; got {config.trained_width}"
        )
    if trained and config.trained_width not in config.widths:
        raise cli.UsageError(
            f"flag --trained_width: expected one of --widths, "
            f"{', '.join(map(str, config.widths))}; got {config.trained_width}"
        )
    return trained


def start(net: Net, init: str, width: int, seeds: Sequence[int]) -> Any:
    """Initial parameters of one network for every seed, stacked, [seeds, ...]."""
    keys = [jax.random.fold_in(jax.random.key(seed), 0) for seed in seeds]
    # Matrices are so small that BLAS threads only wait for each other on a busy
    # machine: one thread takes a tenth of a second, two have taken ten.
    with threadpool_limits(1, "blas"):
        drawn = [net.init(key, INITIALIZERS[init], width) for key in keys]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)
        return jax.block_until_ready(stacked)


def log_norms_of_seeds(net: Net, test: tuple[Array, Array]):
    """A function that maps the parameters of all seeds to log norms, [seeds, depth].

    It compiles once per width, because initializers share all shapes.
    """
    xs, labels = (part[:PROBED] for part in test)

    def log_norms(params):
        return net.log_norms(params, xs, labels)

    return jax.jit(lambda params: jax.lax.map(log_norms, params))


def fit(
    net: Net,
    params: Any,
    init: str,
    config: Config,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    results: Run,
) -> tuple[Any, np.ndarray]:
    """The parameters after training, and the accuracy on all held-out digits."""
    logits = net.logits
    assert logits is not None
    if net.name in FEED_FORWARD.values():
        config = dataclasses.replace(config, learning_rate=config.feed_forward_rate)

    def loss_fn(params, batch, key):
        xs, labels = batch
        return losses(logits(params, xs), labels).mean()

    def accuracy(params):
        return (logits(params, test[0]).argmax(axis=-1) == test[1]).mean()

    fitted = training.train(
        loss_fn,
        params,
        train,
        config,
        results,
        title=name_of(net, init),
        labels={"net": net.name, "init": init},
    )
    accuracies = jax.jit(lambda p: jax.lax.map(accuracy, p))(fitted.params)
    return fitted.params, np.asarray(accuracies)


def log(net_results: Sequence[NetResult], seeds: Sequence[int], results: Run) -> None:
    """Log one row per measurement and seed."""
    for result in net_results:
        where = {
            "net": result.net,
            "init": result.init,
            "width": result.width,
            "when": result.when,
        }
        for i, seed in enumerate(seeds):
            rate, norms = result.rates[i], result.log_norms[i]
            results.log(kind="gradient", **where, seed=seed, decay=rate, log_norm=norms)
            if result.accuracy is not None:
                accuracy = result.accuracy[i]
                results.log(kind="accuracy", **where, seed=seed, test_accuracy=accuracy)


def show(
    net_results: Sequence[NetResult], data: Sequences, config: Config, results: Run
) -> None:
    """Publish the results."""
    text, judged = caption(config, data), claims.evaluate_claims(net_results)
    if config.own():
        judged = [c._replace(text=c.text.replace("pixels", "inputs")) for c in judged]
    publish(
        results,
        answer=claims.ANSWERS[judged[0].outcome],
        figures={
            "vanishing.png": figures.draw(net_results, config.trained_width, text),
            "rates.png": figures.draw_rates(net_results, text),
        },
        tables=claims.all_tables(net_results),
        claims=judged,
        findings=[
            *claims.untrained_findings(net_results, data.noun),
            *data.findings(),
        ],
    )


def caption(config: Config, data: Sequences) -> str:
    """The setting of the run, for the caption of the figures."""
    count = len(config.seeds)
    seeds = f"{count} seeds" if count > 1 else "one seed"
    training = (
        f" Training: {config.optimizer}, rates {config.learning_rate:g} and "
        f"{config.feed_forward_rate:g} (feed-forward), {config.steps} steps of "
        f"{config.batch_size}, clip norm {config.clip_norm:g}."
    )
    examples = len(data.test[1])
    inputs = f"{data.setting} of {PIXELS} pixels"
    if config.own():
        inputs = data.setting
    return (
        f"{inputs}: recurrent nets read {data.time // config.depth} in each of "
        f"{config.depth} steps, feed-forward nets of {config.depth} layers all at "
        f"once. Median over {min(PROBED, examples)} held-out {data.noun}; "
        f"{seeds}." + training * (config.trained_inits != [NONE])
    )
