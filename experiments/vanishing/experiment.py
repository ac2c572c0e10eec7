"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from threadpoolctl import threadpool_limits

from experiments.harness import (
    cli,
    common_flags,
    own_data,
    own_sequences,
    training,
)
from experiments.harness.own_sequences import Sequences
from experiments.harness.padding import Padded
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import losses
from experiments.vanishing import claims, figures
from experiments.vanishing.measure import LEARNED, NetResult
from experiments.vanishing.networks import (
    CLASSES,
    FEED_FORWARD,
    INITIALIZERS,
    PIXELS,
    Net,
    all_nets,
)
from train.data import digits

NONE = "none"
PROBED = 128  # held-out sequences on which gradients are measured


@dataclasses.dataclass(frozen=True)
class Config(own_sequences.Config):
    """The flags."""

    depth: int = cli.flag(
        0,
        "Number of layers or steps, at least 2; each step reads 64 / depth pixels. 0 "
        "for 64; of --data, for the number of its steps.",
        lower_bound=0,
    )
    widths: list[int] = cli.flag(
        [32, 128],
        "Units of a layer, or of the state.",
        lower_bound=1,
        upper_bound=16_384,
    )
    inits: list[str] = cli.flag(
        list(INITIALIZERS), f"Initializers of the matrices: {', '.join(INITIALIZERS)}."
    )
    trained_width: int = cli.flag(
        32, "Width of the nets that are trained, one of --widths.", lower_bound=1
    )
    trained_inits: list[str] = cli.flag(
        ["orthogonal", "he", "torch"],
        "Initializers of the nets that are trained, among --inits; or none.",
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    learning_rate: float = common_flags.learning_rate(
        3e-3, "Step size for recurrent nets."
    )
    feed_forward_rate: float = common_flags.learning_rate(
        3e-4, "Step size for feed-forward nets; deep ones need a smaller step size."
    )
    steps: int = common_flags.steps(280, "Training steps (14 are an epoch).")


def run(config: Config, results: Run) -> None:
    """Measure all networks, train some of them, and publish the results."""
    data = load(config, results)
    config = dataclasses.replace(config, depth=config.depth or data.time)
    trained, least = check(config, data), threshold(data)
    train, test = (
        (jnp.asarray(xs).reshape(len(xs), -1), labels)
        for xs, labels in (data.train, data.test)
    )
    net_results = []
    for net in all_nets(config.depth, train[0].shape[1], data.outputs):
        measure = log_norms_of_seeds(net, test)
        for scheme in config.inits:
            for width in config.widths:
                params = start(net, scheme, width, config.seeds)
                setting = net.name, scheme, width
                norms = np.asarray(measure(params))
                net_results.append(NetResult(*setting, "before", norms))
                chosen = scheme in trained and width == config.trained_width
                if net.logits is None or not chosen:
                    continue
                params, accuracy = fit(
                    net, params, scheme, config, train, test, results
                )
                norms = np.asarray(measure(params))
                result = NetResult(*setting, "after", norms, accuracy, least)
                net_results.append(result)
    log(net_results, config.seeds, results)
    show(net_results, data, config, results)


def load(config: Config, results: Run) -> Sequences:
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


def start(net: Net, scheme: str, width: int, seeds: Sequence[int]) -> Any:
    """Initial parameters of one network for every seed, stacked, [seeds, ...]."""
    keys = [jax.random.fold_in(jax.random.key(seed), 0) for seed in seeds]
    # Matrices are so small that BLAS threads only wait for each other on a busy
    # machine: one thread takes a tenth of a second, two have taken ten.
    with threadpool_limits(1, "blas"):
        drawn = [net.init(key, INITIALIZERS[scheme], width) for key in keys]
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
    scheme: str,
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
        title=f"{net.name}, {scheme}",
        labels={"net": net.name, "scheme": scheme},
    )
    accuracies = jax.jit(lambda p: jax.lax.map(accuracy, p))(fitted.params)
    return fitted.params, np.asarray(accuracies)


def log(net_results: Sequence[NetResult], seeds: Sequence[int], results: Run) -> None:
    """Log one row per measurement and seed."""
    for result in net_results:
        where = {
            "net": result.net,
            "scheme": result.scheme,
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
