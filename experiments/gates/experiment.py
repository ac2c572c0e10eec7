"""The steps of the experiment."""

from typing import Any

import jax
import numpy as np

import nets
from experiments.gates import claims, figures
from experiments.gates.config import Config
from experiments.gates.measure import (
    EXACT_STEPS,
    LAST_STEPS,
    LEARNED,
    ForgetGateResult,
    Traces,
    accuracy_and_norms,
    clamped,
    decay_rate,
    exact_error,
    trace,
)
from experiments.harness import cli, own_sequences, training
from experiments.harness.networks import Network, classifier
from experiments.harness.own_sequences import Sequences
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from nets.models import SequenceClassifier

MAX_BIAS = 15  # largest |b|


def run(config: Config, results: Run) -> None:
    """Train and measure every LSTM, and publish the results."""
    if not all(-MAX_BIAS <= b <= MAX_BIAS for b in config.biases):
        raise cli.UsageError(
            f"flag --biases: expected numbers from {-MAX_BIAS} to {MAX_BIAS}, beyond "
            f"which the gate is 0 or 1 to within 1e-6; got {config.biases}"
        )
    if len({name_of(b) for b in config.biases}) < len(config.biases):
        raise cli.UsageError(
            f"flag --biases: expected distinct numbers; got {config.biases}"
        )
    data = own_sequences.load(config, results, least=3)
    examples = len(data.test[1])
    if config.digit >= examples:
        raise cli.UsageError(
            f"flag --digit: expected a number from 0 to {examples - 1}; got "
            f"{config.digit}"
        )
    models = build(config, data)
    model = models.pop(LEARNED)
    learned, params = compare(LEARNED, None, model, data, config, results)
    traces = trace(model, params, data.measured, config.digit, data.classes)
    gate_results = [learned]
    for b, (name, model) in zip(config.biases, models.items(), strict=True):
        result, _ = compare(name, b, model, data, config, results)
        gate_results.append(result)
    log(gate_results, traces, data, config, results)
    errors = {b: exact_error(b) for b in config.biases}
    for b, error in errors.items():
        results.log(kind="exact", bias=b, steps=EXACT_STEPS, relative_error=error)
    show(gate_results, traces, errors, data, config, results)


def name_of(bias: float) -> str:
    """Name of the LSTM whose forget gate is clamped at sigmoid(bias)."""
    return f"b = {bias:g}"


def build(config: Config, data: Sequences) -> dict[str, SequenceClassifier]:
    """The LSTM that learns its forget gate, and the LSTMs that clamp it, by name."""
    model = SequenceClassifier(nets.lstm(), config.features, data.outputs)
    return {
        LEARNED: model,
        **{
            name_of(b): model.clone(cell=clamped(nets.lstm(), b)) for b in config.biases
        },
    }


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name."""
    data = own_sequences.load(config, least=3)
    models = build(config, data)
    return {name: classifier(model, *data.test) for name, model in models.items()}


def compare(
    name: str,
    bias: float | None,
    model: SequenceClassifier,
    data: Sequences,
    config: Config,
    results: Run,
) -> tuple[ForgetGateResult, Any]:
    """Train one LSTM from every seed, and measure it before and after training."""
    params = training.start(model, data.example, config.seeds)

    def measure(params):
        return accuracy_and_norms(model, params, data.measured)

    measure_all = jax.jit(lambda params: jax.lax.map(measure, params))
    _, before, highway = map(np.asarray, measure_all(params))
    fitted = training.train(
        loss_of(model),
        params,
        data.train,
        config,
        results,
        title=name,
        labels={"forget": name},
    )
    accuracy, after, highway_after = map(np.asarray, measure_all(fitted.params))
    return ForgetGateResult(
        name,
        bias,
        accuracy,
        *(decay_rate(norms) for norms in (before, after, highway, highway_after)),
    ), fitted.params


def log(
    gate_results: list[ForgetGateResult],
    traces: Traces,
    data: Sequences,
    config: Config,
    results: Run,
) -> None:
    """Log one row per LSTM and seed, and one row per gate and seed."""
    for result in gate_results:
        for i, seed in enumerate(config.seeds):
            results.log(
                kind="clamp",
                forget=result.name,
                bias=result.bias,
                seed=seed,
                **data.scores(result.accuracy[i]),
                decay_before=result.before[i],
                decay_after=result.after[i],
                highway_before=result.highway_before[i],
                highway_after=result.highway_after[i],
            )
    for name, values in traces.gates.items():
        for seed, row in zip(config.seeds, values, strict=True):
            results.log(kind="gate", gate=name, seed=seed, mean=row)


def show(
    gate_results: list[ForgetGateResult],
    traces: Traces,
    errors: dict[float, float],
    data: Sequences,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    exact = (
        f"With all weights zero, dc_T/dc_0 is sigmoid(b)^T over {EXACT_STEPS} steps, "
        f"to a relative error of {max(errors.values()):.1e}."
    )
    judged = claims.evaluate_claims(gate_results, data.score)
    text = caption(config, data)
    plot = figures.draw(gate_results, traces, data.unit, text, data.score)
    publish(
        results,
        answer=claims.answer(judged),
        figures={"gates.png": plot},
        tables={"Forget gates": claims.table(gate_results, data.score)},
        claims=judged,
        findings=[exact, *data.findings({r.name: r.accuracy for r in gate_results})],
    )


def caption(config: Config, data: Sequences) -> str:
    """The setting of the run, for the caption of the figure."""
    count = len(config.seeds)
    over = f"mean and range of {count} seeds" if count > 1 else "one seed"
    return (
        f"{data.setting}; {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. Top, plain LSTM: mean of each gate over units and "
        f"held-out {data.noun}, {over}; the cell state for one of them, first seed, "
        "units sorted by the step at which they are largest. Bottom: decay rate of the "
        f"median norm of the gradient over the last {LAST_STEPS} steps, and test "
        f"{data.score}"
        + ("; means over seeds and 95 % intervals." if count > 1 else ".")
    )
