"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any

import jax
import numpy as np

from experiments.gradient_flow import captions, figures
from experiments.gradient_flow.measure import (
    ProbeResult,
    accuracy_and_norms,
    add_last_probe,
)
from experiments.harness import (
    cells,
    cli,
    common_flags,
    decay,
    own_sequences,
    padding,
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

PROBED = 64  # number of held-out sequences for the probes


@dataclasses.dataclass(frozen=True)
class Config(own_sequences.Config):
    """The flags."""

    cells: list[str] = cli.flag(
        ["elman", "lstm", "gru"],
        "Cells to compare: names in nets.CELLS, or package.module:name of your own.",
    )
    init: str = cli.flag(
        OWN,
        "Initializer: orthogonal, linen, nnx, keras, torch, haiku, equinox, irnn, "
        "chrono, chrono(STEPS); own for each cell's default.",
    )
    task: str = own_sequences.task()
    order: str = cli.flag(
        "pixels", "Steps of a digit: 64 pixels or 8 rows.", choices=digits.ORDERS
    )
    bidirectional: bool = cli.flag(False, "Read from both ends.")
    features: int = common_flags.features(64, "Hidden units of each direction.")
    batch_size: int = common_flags.batch_size(64, "Sequences per step.")
    steps: int = common_flags.steps(840, "Training steps (14 are an epoch).")
    probes: list[str] = cli.flag(
        list(probing.PROBES),
        f"Measurements during training: {', '.join(probing.PROBES)}; or none.",
    )
    probe_every: int = common_flags.probe_every(
        40, "Training steps between two measurements."
    )


def run(config: Config, results: Run) -> None:
    """Train and measure every cell, and publish the results."""
    names = probing.chosen(config.probes)
    data = own_sequences.load(config, results, least=2)
    time, inputs = data.time, data.inputs
    init = cells.initializer(config.init, time)
    models, probes = {}, {}
    for name in config.cells:
        cell = cells.named(name, inputs, config.features, init)
        models[name] = SequenceClassifier(
            cell, config.features, data.outputs, config.bidirectional
        )
        few, labels = padding.first(data.test, PROBED)
        few = padding.trimmed(few), labels
        probes[name] = probing.make(names, models[name], few, name)
    studies, probed_cells = [], []
    for name, model in models.items():
        start = cells.initializer_name(name, config.init, time)
        results.log(kind="cell", cell=name, init=start)
        probe = probes[name] if names else None
        by_direction, fitted = compare(name, model, config, data, probe, results)
        studies += by_direction
        if probe is not None:
            probed_cells += probe_results(name, fitted, probe, config, results)
    show(studies, probed_cells, config, data, results)


def show(
    studies: list[decay.DecayResult],
    probes: list[ProbeResult],
    config: Config,
    data: own_sequences.Sequences,
    results: Run,
) -> None:
    """Publish the results."""
    examples = len(data.test[1])
    text = captions.decays(config, examples, data)
    plots = {
        "gradient_flow.png": decay.draw(studies, data.unit, text, config.bidirectional)
    }
    if probes:
        probed = min(PROBED, examples)
        plots |= figures.draw(probes, captions.learning(probes, config, probed, data))
    gateless = [p.label for p in probes if p.gates is not None and not p.gates]
    slowest = decay.slowest(studies, "after", 0, 1 + config.bidirectional)
    publish(
        results,
        answer=f"After training, {slowest}.",
        figures=plots,
        tables={"Decay of the gradient": decay.table(studies, data.score)},
        claims=decay.evaluate_claims(studies, 1 + config.bidirectional),
        findings=[
            *data.findings({study.label: study.accuracy for study in studies}),
            *(f"{name} has no tagged gates (see nets.tag_gate)." for name in gateless),
        ],
    )


def compare(
    name: str,
    model: SequenceClassifier,
    config: Config,
    data: own_sequences.Sequences,
    probe: Any,
    results: Run,
) -> tuple[list[decay.DecayResult], FitResult]:
    """Train a cell from every seed, and measure its gradient before and after."""
    params = training.start(model, data.example, config.seeds)

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
    )
    accuracy, after = measure_all(fitted.params, *data.measured)
    log("after", after)
    for seed, value in zip(config.seeds, accuracy, strict=True):
        results.log(kind="accuracy", cell=name, seed=seed, **data.scores(value))
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
