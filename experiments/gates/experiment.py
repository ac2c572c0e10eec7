"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any

import jax
import numpy as np

import nets
from experiments.gates import claims, figures
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
from experiments.harness import cli, common_flags, own_sequences, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from nets.models import SequenceClassifier
from train.data import digits

MAX_BIAS = 15  # largest |b|


@dataclasses.dataclass(frozen=True)
class Config(own_sequences.Config):
    """The flags."""

    biases: list[float] = cli.flag(
        [-5.0, 0.0, 3.0, 5.0],
        "Values b; each clamps the forget gate at sigmoid(b).",
        upper_bound=1e6,
    )
    task: str = own_sequences.task()
    order: str = cli.flag(
        "pixels", "Steps of a digit: 64 pixels or 8 rows.", choices=digits.ORDERS
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(32)
    learning_rate: float = common_flags.learning_rate(1e-2)
    steps: int = common_flags.steps(700, "Training steps (14 are an epoch).")
    digit: int = cli.flag(
        0, "Index of the held-out example to draw, 0 is the first.", lower_bound=0
    )


def run(config: Config, results: Run) -> None:
    """Train and measure every LSTM, and publish the results."""
    if not all(-MAX_BIAS <= b <= MAX_BIAS for b in config.biases):
        raise cli.UsageError(
            f"flag --biases: expected numbers from {-MAX_BIAS} to {MAX_BIAS}, beyond "
            f"which the gate is 0 or 1 to within 1e-6; got {config.biases}"
        )
    names = [f"b = {b:g}" for b in config.biases]
    if len(set(names)) < len(names):
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
    model = SequenceClassifier(nets.lstm(), config.features, data.outputs)
    learned, params = compare(LEARNED, None, model, data, config, results)
    traces = trace(model, params, data.measured, config.digit, data.classes)
    gate_results = [learned]
    for name, b in zip(names, config.biases, strict=True):
        clamped_model = model.clone(cell=clamped(nets.lstm(), b))
        result, _ = compare(name, b, clamped_model, data, config, results)
        gate_results.append(result)
    log(gate_results, traces, data, config, results)
    errors = {b: exact_error(b) for b in config.biases}
    for b, error in errors.items():
        results.log(kind="exact", bias=b, steps=EXACT_STEPS, relative_error=error)
    show(gate_results, traces, errors, data, config, results)


def compare(
    name: str,
    bias: float | None,
    model: SequenceClassifier,
    data: own_sequences.Sequences,
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
    data: own_sequences.Sequences,
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
    data: own_sequences.Sequences,
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


def caption(config: Config, data: own_sequences.Sequences) -> str:
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
