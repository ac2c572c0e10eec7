"""The steps of the experiment."""

from typing import Any

import jax
import numpy as np

from experiments.gradient_flow import captions, claims, figures
from experiments.gradient_flow.config import Config
from experiments.gradient_flow.measure import (
    DecayResult,
    ProbeResult,
    accuracy_and_norms,
    add_last_probe,
)
from experiments.harness import (
    cells,
    own_sequences,
    padding,
    probes,
    probing,
    training,
)
from experiments.harness.networks import Network, classifier
from experiments.harness.own_sequences import Sequences
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from nets.models import SequenceClassifier
from train import FitResult

PROBED = 64  # number of held-out sequences for the probes


def run(config: Config, results: Run) -> None:
    """Train and measure every cell, and publish the results."""
    names = probes.chosen(config.probes)
    data = own_sequences.load(config, results, least=2)
    models = build(config, data)
    few, labels = padding.first(data.test, PROBED)
    few = padding.trimmed(few), labels
    instruments = {
        name: probes.make(names, model, few, name) for name, model in models.items()
    }
    decays, probed_cells = [], []
    for name, model in models.items():
        start = cells.initializer_name(name, config.init, data.time)
        results.log(kind="cell", cell=name, init=start)
        probe = instruments[name] if names else None
        by_direction, fitted = compare(name, model, config, data, probe, results)
        decays += by_direction
        if probe is not None:
            probed_cells += probe_results(name, fitted, probe, config, results)
    show(decays, probed_cells, config, data, results)


def build(config: Config, data: Sequences) -> dict[str, SequenceClassifier]:
    """One classifier per cell."""
    init = cells.initializer(config.init, data.time)
    return {
        name: SequenceClassifier(
            cells.named(name, data.inputs, config.features, init),
            config.features,
            data.outputs,
            config.bidirectional,
        )
        for name in config.cells
    }


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name."""
    data = own_sequences.load(config, least=2)
    models = build(config, data)
    return {name: classifier(model, *data.test) for name, model in models.items()}


def show(
    decays: list[DecayResult],
    probes: list[ProbeResult],
    config: Config,
    data: Sequences,
    results: Run,
) -> None:
    """Publish the results."""
    examples = len(data.test[1])
    text = captions.decays(config, examples, data)
    plots = {
        "gradient_flow.png": figures.draw_decay(
            decays, data.unit, text, config.bidirectional
        )
    }
    if probes:
        probed = min(PROBED, examples)
        plots |= figures.draw_probes(
            probes, captions.learning(probes, config, probed, data)
        )
    gateless = [p.label for p in probes if p.gates is not None and not p.gates]
    publish(
        results,
        answer=claims.answer(decays, 1 + config.bidirectional),
        figures=plots,
        tables={"Decay of the gradient": claims.table(decays, data.score)},
        claims=claims.evaluate_claims(decays, 1 + config.bidirectional),
        findings=[
            *data.findings({result.label: result.accuracy for result in decays}),
            *(f"{name} has no tagged gates (see nets.tag_gate)." for name in gateless),
        ],
    )


def compare(
    name: str,
    model: SequenceClassifier,
    config: Config,
    data: Sequences,
    probe: Any,
    results: Run,
) -> tuple[list[DecayResult], FitResult]:
    """Train a cell from every seed, and measure its gradient before and after."""
    params = training.start(model, data.example, config.seeds)

    @jax.jit
    def measure_all(params, xs, labels):  # one seed after another, to save memory
        return jax.lax.map(lambda p: accuracy_and_norms(model, p, xs, labels), params)

    def log(when, profiles):
        for direction, log_norms in profiles.items():
            where = {"cell": name, "direction": direction, "when": when}
            rates = probing.decay_rates(log_norms)
            for seed, rate, row in zip(config.seeds, rates, log_norms, strict=True):
                results.log(
                    kind="gradient", **where, seed=seed, decay=rate, log_norm=row
                )

    _, before = measure_all(params, *data.measured)
    log("before", before)
    fitted = training.train(
        loss_of(model),
        params,
        data.train,
        config,
        results,
        title=name,
        labels={"cell": name},
        probe=probe,
        probe_every=config.probe_every,
        log_probe_fn=lambda step, v: log_probe(name, step, v, config, results),
    )
    accuracy, after = measure_all(fitted.params, *data.measured)
    log("after", after)
    for seed, value in zip(config.seeds, accuracy, strict=True):
        results.log(kind="accuracy", cell=name, seed=seed, **data.scores(value))
    return [
        DecayResult(
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


def log_probe(name: str, step: int, values: Any, config: Config, results: Run) -> None:
    """Log what the probes have measured before a step, in every direction and seed."""
    for direction in probing.DIRECTIONS[: 1 + config.bidirectional]:
        measured = {kind: value[direction] for kind, value in values.items()}
        for i, seed in enumerate(config.seeds):
            row = jax.tree.map(lambda v, i=i: v[i], measured)
            where = {"cell": name, "direction": direction, "seed": seed}
            results.log(kind="probe", step=step, **where, **row)


def probe_results(
    name: str,
    fitted: FitResult,
    probe: Any,
    config: Config,
    results: Run,
) -> list[ProbeResult]:
    """Measure once more, log it, and return all measurements by direction."""
    steps, values = add_last_probe(fitted, probe, config.steps)
    last = jax.tree.map(lambda value: value[-1], values)
    log_probe(name, config.steps, last, config, results)
    by_direction = []
    for direction in probing.DIRECTIONS[: 1 + config.bidirectional]:
        measured = {kind: value[direction] for kind, value in values.items()}
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
