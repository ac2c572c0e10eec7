"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nets
from experiments.gates import claims, figures
from experiments.gates.measure import (
    CLASSES,
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
from experiments.harness import cli, common_flags, training
from experiments.harness.networks import Network, classifier
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from nets.models import SequenceClassifier
from train.data import digits

MAX_BIAS = 15  # largest |b|


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    biases: list[float] = cli.flag(
        [-5.0, 0.0, 3.0, 5.0],
        "Values b; each clamps the forget gate at sigmoid(b).",
        upper_bound=1e6,
    )
    order: str = cli.flag(
        "pixels", "Steps of a digit: 64 pixels or 8 rows.", choices=digits.ORDERS
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(32)
    learning_rate: float = common_flags.learning_rate(1e-2)
    steps: int = common_flags.steps(700, "Training steps (14 are an epoch).")
    digit: int = cli.flag(
        0, "Index of the held-out digit to draw, from 0 to 898.", lower_bound=0
    )


def run(config: Config, results: Run) -> None:
    """Train and measure every LSTM, and publish the results."""
    halves = load(config)
    training.check(config, len(halves[0][1]), "digits")
    if config.digit >= len(halves[1][1]):
        raise cli.UsageError(
            f"flag --digit: expected a number from 0 to {len(halves[1][1]) - 1}; got "
            f"{config.digit}"
        )
    if not all(-MAX_BIAS <= b <= MAX_BIAS for b in config.biases):
        raise cli.UsageError(
            f"flag --biases: expected numbers from {-MAX_BIAS} to {MAX_BIAS}, beyond "
            f"which the gate is 0 or 1 to within 1e-6; got {config.biases}"
        )
    if len({name_of(b) for b in config.biases}) < len(config.biases):
        raise cli.UsageError(
            f"flag --biases: expected distinct numbers; got {config.biases}"
        )
    models = build(config)
    model = models.pop(LEARNED)
    learned, params = compare(LEARNED, None, model, halves, config, results)
    traces = trace(model, params, halves[1], config.digit)
    gate_results = [learned]
    for b, (name, model) in zip(config.biases, models.items(), strict=True):
        result, _ = compare(name, b, model, halves, config, results)
        gate_results.append(result)
    log(gate_results, traces, config, results)
    errors = {b: exact_error(b) for b in config.biases}
    for b, error in errors.items():
        results.log(kind="exact", bias=b, steps=EXACT_STEPS, relative_error=error)
    show(gate_results, traces, errors, config, results)


def load(config: Config) -> tuple[Any, Any]:
    """Sequences and labels of the training set and of the held-out set."""
    train, test = (
        (
            jnp.asarray(digits.as_sequences(half.images, config.order)),
            jnp.asarray(half.labels),
        )
        for half in training.parts(digits.load(), config)
    )
    return train, test


def name_of(bias: float) -> str:
    """Name of the LSTM whose forget gate is clamped at sigmoid(bias)."""
    return f"b = {bias:g}"


def build(config: Config) -> dict[str, SequenceClassifier]:
    """The LSTM that learns its forget gate, and those with a clamped one, by name."""
    model = SequenceClassifier(nets.lstm(), config.features, CLASSES)
    return {
        LEARNED: model,
        **{
            name_of(b): model.clone(cell=clamped(nets.lstm(), b)) for b in config.biases
        },
    }


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name."""
    _, test = load(config)
    return {name: classifier(model, *test) for name, model in build(config).items()}


def compare(
    name: str,
    bias: float | None,
    model: SequenceClassifier,
    halves: Any,
    config: Config,
    results: Run,
) -> tuple[ForgetGateResult, Any]:
    """Train one LSTM from every seed, and measure it before and after training."""
    train, test = halves
    params = training.start(model, train[0][:1], config.seeds)

    def measure(params):
        return accuracy_and_norms(model, params, test)

    measure_all = jax.jit(lambda params: jax.lax.map(measure, params))
    _, before, highway = map(np.asarray, measure_all(params))
    fitted = training.train(
        loss_of(model),
        params,
        train,
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
    gate_results: list[ForgetGateResult], traces: Traces, config: Config, results: Run
) -> None:
    """Log one row per LSTM and seed, and one row per gate and seed."""
    for result in gate_results:
        for i, seed in enumerate(config.seeds):
            results.log(
                kind="clamp",
                forget=result.name,
                bias=result.bias,
                seed=seed,
                test_accuracy=result.accuracy[i],
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
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    exact = (
        f"With all weights zero, dc_T/dc_0 is sigmoid(b)^T over {EXACT_STEPS} steps, "
        f"to a relative error of {max(errors.values()):.1e}."
    )
    judged = claims.evaluate_claims(gate_results)
    plot = figures.draw(gate_results, traces, config.order, caption(config))
    publish(
        results,
        answer=claims.answer(judged),
        figures={"gates.png": plot},
        tables={"Forget gates": claims.table(gate_results)},
        claims=judged,
        findings=[exact],
    )


def caption(config: Config) -> str:
    """The setting of the run, for the caption of the figure."""
    count = len(config.seeds)
    over = f"mean and range of {count} seeds" if count > 1 else "one seed"
    return (
        f"Digits as {config.order}; {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. Top, plain LSTM: mean of each gate over units and "
        f"held-out digits, {over}; the cell state for one held-out digit, first seed, "
        "units sorted by the step at which they are largest. Bottom: decay rate of the "
        f"median norm of the gradient over the last {LAST_STEPS} steps, and test "
        "accuracy" + ("; means over seeds and 95 % intervals." if count > 1 else ".")
    )
