"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from threadpoolctl import threadpool_limits

from experiments.harness import cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import losses
from experiments.vanishing import claims, figures
from experiments.vanishing.claims import Decay
from experiments.vanishing.networks import (
    FEED_FORWARD,
    INITIALIZERS,
    PIXELS,
    Net,
    all_of,
)
from train.data import digits

NONE = "none"
PROBED = 128  # held-out digits on which gradients are measured


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    depth: int = cli.flag(
        64, "Layers, or steps; each step reads 64 / depth pixels.", lower_bound=2
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
        32, "Which of the widths is trained too.", lower_bound=1
    )
    trained_inits: list[str] = cli.flag(
        ["orthogonal", "he", "torch"], "Initializers to train too, of --inits; or none."
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    learning_rate: float = common_flags.learning_rate(
        3e-3, "The step size of recurrent nets."
    )
    feed_forward_rate: float = common_flags.learning_rate(
        3e-4, "That of feed-forward ones, which so deep learn at less."
    )
    steps: int = common_flags.steps(280, "Training steps (14 are an epoch).")


def run(config: Config, results: Run) -> None:
    """Measure all nets, train some; log, draw and print what was found."""
    halves = training.parts(digits.load(), config)
    trained = check(config, len(halves[0].labels))
    train, test = (
        (jnp.asarray(half.images.reshape(-1, PIXELS)), jnp.asarray(half.labels))
        for half in halves
    )
    found = []
    for net in all_of(config.depth):
        measure = measured(net, test)
        for scheme in config.inits:
            for width in config.widths:
                params = start(net, scheme, width, config.seeds)
                what = net.name, scheme, width
                found.append(Decay(*what, "before", np.asarray(measure(params))))
                chosen = scheme in trained and width == config.trained_width
                if net.logits is None or not chosen:
                    continue
                params, accuracy = fit(
                    net, params, scheme, config, train, test, results
                )
                lines = np.asarray(measure(params))
                found.append(Decay(*what, "after", lines, accuracy))
    log(found, config.seeds, results)
    show(found, len(test[1]), config, results)


def check(config: Config, examples: int) -> list[str]:
    """Refuse what flags alone cannot tell; the schemes that are trained."""
    training.check(config, examples, "digits")
    if PIXELS % config.depth:
        raise cli.UsageError(
            f"flag --depth: expected a divisor of {PIXELS}, the pixels of a digit; got "
            f"{config.depth}"
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
            "flag --trained_width: leave it out, as --trained_inits=none trains "
            f"nothing; got {config.trained_width}"
        )
    if trained and config.trained_width not in config.widths:
        raise cli.UsageError(
            f"flag --trained_width: expected one of --widths, "
            f"{', '.join(map(str, config.widths))}; got {config.trained_width}"
        )
    return trained


def start(net: Net, scheme: str, width: int, seeds: Sequence[int]) -> Any:
    """The parameters of one net a seed, stacked: [seeds, ...]."""
    keys = [jax.random.fold_in(jax.random.key(seed), 0) for seed in seeds]
    # Threads that decompose so small a matrix only wait for each other, where others
    # work too: one takes a tenth of a second, two have taken ten.
    with threadpool_limits(1, "blas"):
        drawn = [net.init(key, INITIALIZERS[scheme], width) for key in keys]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)
        return jax.block_until_ready(stacked)


def measured(net: Net, test: tuple[Array, Array]):
    """A function of the parameters of all seeds: their log norms, [seeds, depth].

    It compiles once a width: schemes differ in numbers only.
    """
    xs, labels = (part[:PROBED] for part in test)
    return jax.jit(lambda p: jax.lax.map(lambda one: net.log_norms(one, xs, labels), p))


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
    reached = jax.jit(lambda p: jax.lax.map(accuracy, p))(fitted.params)
    return fitted.params, np.asarray(reached)


def log(found: Sequence[Decay], seeds: Sequence[int], results: Run) -> None:
    """A row a seed of everything that was measured."""
    for one in found:
        where = {
            "net": one.net,
            "scheme": one.scheme,
            "width": one.width,
            "when": one.when,
        }
        for i, seed in enumerate(seeds):
            rate, line = one.rates[i], one.log_norms[i]
            results.log(kind="gradient", **where, seed=seed, decay=rate, log_norm=line)
            if one.accuracy is not None:
                reached = one.accuracy[i]
                results.log(kind="accuracy", **where, seed=seed, test_accuracy=reached)


def show(found: Sequence[Decay], examples: int, config: Config, results: Run) -> None:
    """Publish the results."""
    text, judged = caption(config, examples), claims.evaluate_claims(found)
    publish(
        results,
        answer=claims.ANSWERS[judged[0].outcome],
        figures={
            "vanishing.png": figures.draw(found, config.trained_width, text),
            "rates.png": figures.draw_rates(found, text),
        },
        tables=figures.tables_of(found),
        claims=judged,
        findings=claims.unlearnt(found),
    )


def caption(config: Config, examples: int) -> str:
    """What was done, so that the figure can stand alone."""
    count = len(config.seeds)
    seeds = f"{count} seeds" if count > 1 else "one seed"
    training = (
        f" Training: {config.optimizer}, rates {config.learning_rate:g} and "
        f"{config.feed_forward_rate:g}, {config.steps} steps of {config.batch_size}, "
        f"clip norm {config.clip_norm:g}."
    )
    return (
        f"Handwritten digits of {PIXELS} pixels: recurrent nets read "
        f"{PIXELS // config.depth} in each of {config.depth} steps, feed-forward nets "
        f"of {config.depth} layers all at once. Median over {min(PROBED, examples)} "
        f"held-out digits; {seeds}." + training * (config.trained_inits != [NONE])
    )
