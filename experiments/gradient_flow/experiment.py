"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.gradient_flow import captions, figures
from experiments.gradient_flow.measure import Course
from experiments.harness import (
    cells,
    cli,
    common_flags,
    decay,
    probing,
    training,
)
from experiments.harness.cells import OWN
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from nets.models import SequenceClassifier
from train import FitResult
from train.data import digits

CLASSES = 10
PROBED = 64  # held-out digits that the probes look at


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    cells: list[str] = cli.flag(
        ["elman", "lstm", "gru"],
        "Cells to compare: names in nets.CELLS, or package.module:name of your own.",
    )
    init: str = cli.flag(
        OWN,
        "How cells start that leave it open: orthogonal, linen, nnx, keras, torch, "
        "haiku, equinox, irnn, chrono, chrono(STEPS); own for each cell's default.",
    )
    order: str = cli.flag(
        "pixels", "How a digit is read: 64 pixels or 8 rows.", choices=digits.ORDERS
    )
    bidirectional: bool = cli.flag(False, "Read from both ends.")
    features: int = common_flags.features(64, "Hidden units of each direction.")
    batch_size: int = common_flags.batch_size(64, "Digits a step.")
    steps: int = common_flags.steps(840, "Training steps (14 are an epoch).")
    probes: list[str] = cli.flag(
        list(probing.PROBES),
        f"What to look at while it learns: {', '.join(probing.PROBES)}; or none.",
    )
    probe_every: int = common_flags.probe_every(
        40, "Training steps from one look to the next."
    )


def run(config: Config, results: Run) -> None:
    """Train and measure every cell; log, draw and print what was found."""
    halves = training.parts(digits.load(), config)
    training.check(config, len(halves[0].labels), "digits")
    names = probing.chosen(config.probes)
    train, test = (
        (
            jnp.asarray(digits.as_sequences(half.images, config.order)),
            jnp.asarray(half.labels),
        )
        for half in halves
    )
    time, inputs = train[0].shape[-2:]
    init = cells.initializer(config.init, time)
    models, probes = {}, {}
    for name in config.cells:
        cell = cells.named(name, inputs, config.features, init)
        models[name] = SequenceClassifier(
            cell, config.features, CLASSES, config.bidirectional
        )
        few = test[0][:PROBED], test[1][:PROBED]
        probes[name] = probing.make(names, models[name], few, name)
    studies, courses = [], []
    for name, model in models.items():
        start = cells.initializer_name(name, config.init, time)
        results.log(kind="cell", cell=name, init=start)
        probe = probes[name] if names else None
        found, fitted = compare(name, model, config, train, test, probe, results)
        studies += found
        if probe is not None:
            courses += follow(name, model, fitted, probe, config, results)
    show(studies, courses, config, len(test[1]), time, results)


def show(
    studies: list[decay.Study],
    courses: list[Course],
    config: Config,
    examples: int,
    time: int,
    results: Run,
) -> None:
    """Publish the results."""
    text = captions.decays(config, examples, time)
    plots = {
        "gradient_flow.png": decay.draw(
            studies, config.order, text, config.bidirectional
        )
    }
    answer = plots["gradient_flow.png"].finding
    if courses:
        looked = min(PROBED, examples)
        plots |= figures.draw(courses, captions.learning(courses, config, looked, time))
    gateless = [c.label for c in courses if c.gates is not None and not c.gates]
    publish(
        results,
        answer=answer,
        figures=plots,
        tables={"Decay of the gradient": decay.table(studies)},
        claims=decay.evaluate_claims(studies, 1 + config.bidirectional),
        findings=[f"{name} names no gates (see nets.tag_gate)." for name in gateless],
    )


def compare(
    name: str,
    model: SequenceClassifier,
    config: Config,
    train: probing.Sequences,
    test: probing.Sequences,
    probe: Any,
    results: Run,
) -> tuple[list[decay.Study], FitResult]:
    """Train a cell from every seed; measure its gradient before and after."""
    params = training.start(model, train[0][:1], config.seeds)

    @jax.jit
    def measure_all(params, xs, labels):  # one seed after another, to save memory
        return jax.lax.map(lambda p: measure(model, p, xs, labels), params)

    def log(when, profiles):
        for direction, log_norms in profiles.items():
            where = {"cell": name, "direction": direction, "when": when}
            rates = decay.rate(log_norms)
            for seed, rate, row in zip(config.seeds, rates, log_norms, strict=True):
                results.log(
                    kind="gradient", **where, seed=seed, decay=rate, log_norm=row
                )

    _, before = measure_all(params, *test)
    log("before", before)
    fitted = training.train(
        loss_of(model),
        params,
        train,
        config,
        results,
        title=name,
        labels={"cell": name},
        probe=probe,
        probe_every=config.probe_every,
    )
    accuracy, after = measure_all(fitted.params, *test)
    log("after", after)
    for seed, value in zip(config.seeds, accuracy, strict=True):
        results.log(kind="accuracy", cell=name, seed=seed, test_accuracy=value)
    return [
        decay.Study(
            label(name, direction, config),
            sum(leaf[0].size for leaf in jax.tree.leaves(params)),
            np.asarray(accuracy),
            np.asarray(before[direction]),
            np.asarray(after[direction]),
            fitted.seconds_per_step,
        )
        for direction in probing.DIRECTIONS[: len(before)]
    ], fitted


def label(name: str, direction: str, config: Config) -> str:
    """What a cell is called in one direction."""
    return f"{name} {direction}" if config.bidirectional else name


def follow(
    name: str,
    model: SequenceClassifier,
    fitted: FitResult,
    probe: Any,
    config: Config,
    results: Run,
) -> list[Course]:
    """What the probes saw of a cell, and see at the end of training."""
    assert fitted.probes is not None
    last = jax.jit(lambda params: jax.lax.map(probe, params))(fitted.params)
    steps = np.append(fitted.probes.steps, config.steps)
    seen = jax.tree.map(
        lambda on_the_way, end: np.concatenate([on_the_way, np.asarray(end)[None]]),
        fitted.probes.values,
        last,
    )
    courses = []
    for direction in probing.DIRECTIONS[: 1 + config.bidirectional]:
        found = {what: values[direction] for what, values in seen.items()}
        for i, step in enumerate(steps):
            for j, seed in enumerate(config.seeds):
                here = jax.tree.map(lambda v, i=i, j=j: v[i, j], found)
                where = {"cell": name, "direction": direction, "seed": seed}
                results.log(kind="probe", step=int(step), **where, **here)
        courses.append(
            Course(
                label(name, direction, config),
                steps,
                found.get("state_gradients"),
                found.get("gates"),
                found.get("lyapunov"),
            )
        )
    return courses


def measure(
    model: SequenceClassifier, params: dict, xs: Array, labels: Array
) -> tuple[Array, dict[str, Array]]:
    """Accuracy, and the gradient's log norm at every step by direction, of one seed."""
    accuracy = training.accuracy(model, params, xs, labels)
    return accuracy, probing.state_gradients(model, params, (xs, labels))
