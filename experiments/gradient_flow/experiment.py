"""The steps of the experiment."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gradient_flow import captions, figures
from experiments.gradient_flow.config import Config
from experiments.gradient_flow.measure import (
    ProbeResult,
    accuracy_and_norms,
    add_last_probe,
)
from experiments.harness import (
    cells,
    decay,
    probing,
    training,
)
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from nets.models import SequenceClassifier
from train import FitResult
from train.data import digits

CLASSES = 10
PROBED = 64  # number of held-out digits for the probes


def run(config: Config, results: Run) -> None:
    """Train and measure every cell, and publish the results."""
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
    studies, probed_cells = [], []
    for name, model in models.items():
        start = cells.initializer_name(name, config.init, time)
        results.log(kind="cell", cell=name, init=start)
        probe = probes[name] if names else None
        by_direction, fitted = compare(name, model, config, train, test, probe, results)
        studies += by_direction
        if probe is not None:
            probed_cells += probe_results(name, fitted, probe, config, results)
    show(studies, probed_cells, config, len(test[1]), time, results)


def show(
    studies: list[decay.DecayResult],
    probes: list[ProbeResult],
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
    if probes:
        probed = min(PROBED, examples)
        plots |= figures.draw(probes, captions.learning(probes, config, probed, time))
    gateless = [p.label for p in probes if p.gates is not None and not p.gates]
    slowest = decay.slowest(studies, "after", 0, 1 + config.bidirectional)
    publish(
        results,
        answer=f"After training, {slowest}.",
        figures=plots,
        tables={"Decay of the gradient": decay.table(studies)},
        claims=decay.evaluate_claims(studies, 1 + config.bidirectional),
        findings=[
            f"{name} has no tagged gates (see nets.tag_gate)." for name in gateless
        ],
    )


def compare(
    name: str,
    model: SequenceClassifier,
    config: Config,
    train: probing.Sequences,
    test: probing.Sequences,
    probe: Any,
    results: Run,
) -> tuple[list[decay.DecayResult], FitResult]:
    """Train a cell from every seed, and measure its gradient before and after."""
    params = training.start(model, train[0][:1], config.seeds)

    @jax.jit
    def measure_all(params, xs, labels):  # one seed after another, to save memory
        return jax.lax.map(lambda p: accuracy_and_norms(model, p, xs, labels), params)

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
        decay.DecayResult(
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
    """Name of a cell, with the direction if there are two."""
    return f"{name} {direction}" if config.bidirectional else name


def probe_results(
    name: str,
    fitted: FitResult,
    probe: Any,
    config: Config,
    results: Run,
) -> list[ProbeResult]:
    """Log the measurements of the probes, and return them by direction."""
    steps, values = add_last_probe(fitted, probe, config.steps)
    by_direction = []
    for direction in probing.DIRECTIONS[: 1 + config.bidirectional]:
        measured = {kind: value[direction] for kind, value in values.items()}
        for i, step in enumerate(steps):
            for j, seed in enumerate(config.seeds):
                row = jax.tree.map(lambda v, i=i, j=j: v[i, j], measured)
                where = {"cell": name, "direction": direction, "seed": seed}
                results.log(kind="probe", step=int(step), **where, **row)
        by_direction.append(
            ProbeResult(
                label(name, direction, config),
                steps,
                measured.get("state_gradients"),
                measured.get("gates"),
                measured.get("lyapunov"),
            )
        )
    return by_direction
