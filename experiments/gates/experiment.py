"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nets
from experiments.gates import claims, figures
from experiments.gates.claims import LEARNT, Clamped
from experiments.gates.figures import Traces
from experiments.harness import cli, common_flags, probing, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.training import loss_of
from nets import Cell, flow
from nets.models import SequenceClassifier
from nets.recurrent import time_first
from nets.tracing.tags import CANDIDATE, KEEPER, with_tags
from train.data import digits

CLASSES = 10
FORGET = "forget"
NEAR = 12  # steps before the end, over which float32 holds sigmoid(-5)^T
MOST = 15  # of |b|
EXACT_STEPS = 100  # of the LSTM without weights


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    biases: list[float] = cli.flag(
        [-5.0, 0.0, 3.0, 5.0],
        "b, of which sigmoid(b) is the clamped forget gate.",
        upper_bound=1e6,
    )
    order: str = cli.flag(
        "pixels", "How a digit is read: 64 pixels or 8 rows.", choices=digits.ORDERS
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(32)
    learning_rate: float = common_flags.learning_rate(1e-2)
    steps: int = common_flags.steps(700, "Training steps (14 are an epoch).")
    digit: int = cli.flag(
        0, "The held-out digit that is drawn, from 0 to 898.", lower_bound=0
    )


def run(config: Config, results: Run) -> None:
    """Train every LSTM; log, draw and print what was found."""
    train, test = training.parts(digits.load(), config)
    training.check(config, len(train.labels), "digits")
    if config.digit >= len(test.labels):
        raise cli.UsageError(
            f"flag --digit: expected a number from 0 to {len(test.labels) - 1}; got "
            f"{config.digit}"
        )
    if not all(-MOST <= b <= MOST for b in config.biases):
        raise cli.UsageError(
            f"flag --biases: expected numbers from {-MOST} to {MOST}, beyond which the "
            f"gate is 0 or 1 to all digits; got {config.biases}"
        )
    names = [f"b = {b:g}" for b in config.biases]
    if len(set(names)) < len(names):
        raise cli.UsageError(
            f"flag --biases: expected numbers that differ; got {config.biases}"
        )
    halves = tuple(
        (
            jnp.asarray(digits.as_sequences(half.images, config.order)),
            jnp.asarray(half.labels),
        )
        for half in (train, test)
    )
    model = SequenceClassifier(nets.lstm(), config.features, CLASSES)
    learnt, params = study(LEARNT, None, model, halves, config, results)
    traces = trace(model, params, halves[1], config)
    found = [learnt]
    for name, b in zip(names, config.biases, strict=True):
        held = model.clone(cell=clamped(nets.lstm(), b))
        found.append(study(name, b, held, halves, config, results)[0])
    log(found, traces, config, results)
    errors = {b: exact_error(b) for b in config.biases}
    for b, error in errors.items():
        results.log(kind="exact", bias=b, steps=EXACT_STEPS, relative_error=error)
    show(found, traces, errors, config, results)


def clamped(cell: Cell, bias: float) -> Cell:
    """The same cell, whose forget gate is sigmoid(bias) whatever it reads.

    Args:
        cell: One that marks a gate named "forget".
        bias: b; 5 for a gate that is open to 99 %, -5 for one that is shut to 1 %.

    Returns:
        A `Cell` of the same parameters, those of the gate without effect.

    Example:
        >>> cell = clamped(nets.lstm(), 5.0)
        >>> params = cell.init(jax.random.key(0), 1, 4)
        >>> state = nets.LSTMState(jnp.zeros(4), jnp.ones(4))
        >>> closed = params._replace(b=jnp.full(16, -100.0))  # lets nothing in
        >>> after, _ = cell.step(closed, state, jnp.ones(1))
        >>> [f"{c:.4f}" for c in after.cell.tolist()]
        ['0.9933', '0.9933', '0.9933', '0.9933']
    """

    def step(params, state, x):
        _, marked = with_tags(cell.step)(params, state, x)

        def hold(index, value):  # and mark it again, for the instruments
            kind, name = marked[index][0]
            if name == FORGET:
                held = jax.nn.sigmoid(jnp.asarray(bias, value.dtype))
                value = jnp.full_like(value, held)
            if kind == CANDIDATE:
                return nets.tag_candidate(value, name)
            return nets.tag_gate(value, name, retains=kind == KEEPER)

        return with_tags(cell.step, hold)(params, state, x)[0]

    return cell._replace(step=step, linear=None)


def study(
    name: str,
    bias: float | None,
    model: SequenceClassifier,
    halves: Any,
    config: Config,
    results: Run,
) -> tuple[Clamped, Any]:
    """Train one LSTM from every seed, and measure it before and after."""
    train, test = halves
    params = training.start(model, train[0][:1], config.seeds)
    along = SequenceClassifier(flow.highway(model.cell), model.features, CLASSES)

    def measure(params):
        accuracy = training.accuracy(model, params, *test)
        norms = [
            probing.state_gradients(one, params, test)["forward"]
            for one in (model, along)
        ]
        return accuracy, *norms

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
    return Clamped(
        name,
        bias,
        accuracy,
        *(rate(norms) for norms in (before, after, highway, highway_after)),
    ), fitted.params


def rate(log_norms: np.ndarray) -> np.ndarray:
    """Decay over the last steps but the very last, in nats a step, [seeds].

    At the very last step h has a gradient beside c: the loss reads it.
    """
    near = jnp.asarray(log_norms)[:, :-1][:, -NEAR:]
    return np.asarray(flow.decay_rate(near.T))


def trace(model: SequenceClassifier, params: Any, test: Any, config: Config) -> Traces:
    """The gates of the learnt LSTM over time, and the cell state of one digit."""

    def means(params):
        own = probing.layer_params(model, params)
        found = flow.gates(model.cell, own, time_first(test[0]))
        return {name: gate.mean for name, gate in found.items()}

    first = jax.tree.map(lambda leaf: leaf[0], probing.layer_params(model, params))
    xs = test[0][config.digit]
    states, _ = nets.unroll(model.cell, first, xs, all_states=True)
    gates = jax.jit(lambda params: jax.lax.map(means, params))(params)
    return Traces(
        {name: np.asarray(values) for name, values in gates.items()},
        np.asarray(states.cell),
        np.asarray(xs),
        int(test[1][config.digit]),
    )


def exact_error(bias: float) -> float:
    """How far dc_T/dc_0 is off sigmoid(b)^T if all weights are 0, relative to it."""
    cell = nets.lstm(forget_bias=bias)
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), 1, 1))
        b = nets.initializers.set_gate(params.b, "ifgo", "f", bias)
        params = jax.tree.map(lambda leaf: leaf.astype(float), params._replace(b=b))

        def last(c):
            start = nets.LSTMState(jnp.zeros(1), c)
            return nets.unroll(cell, params, jnp.zeros((EXACT_STEPS, 1)), start)[0]

        kept = jax.jacobian(last)(jnp.ones(1)).cell.item()
    return abs(kept * (1 + np.exp(-bias)) ** EXACT_STEPS - 1)


def log(found: list[Clamped], traces: Traces, config: Config, results: Run) -> None:
    """A row a seed of every LSTM, and one of each seed's gates."""
    for one in found:
        for i, seed in enumerate(config.seeds):
            results.log(
                kind="clamp",
                forget=one.name,
                bias=one.bias,
                seed=seed,
                test_accuracy=one.accuracy[i],
                decay_before=one.before[i],
                decay_after=one.after[i],
                highway_before=one.highway_before[i],
                highway_after=one.highway_after[i],
            )
    for name, values in traces.gates.items():
        for seed, row in zip(config.seeds, values, strict=True):
            results.log(kind="gate", gate=name, seed=seed, mean=row)


def show(
    found: list[Clamped],
    traces: Traces,
    errors: dict[float, float],
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    exact = (
        f"With all weights 0 dc_T/dc_0 is sigmoid(b)^T over {EXACT_STEPS} steps, to "
        f"{max(errors.values()):.1e} of it."
    )
    plot = figures.draw(found, traces, config.order, caption(config))
    publish(
        results,
        answer=plot.finding,
        figures={"gates.png": plot},
        tables={"Forget gates": claims.table(found)},
        claims=claims.evaluate_claims(found),
        findings=[exact],
    )


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    count = len(config.seeds)
    over = f"mean and range of {count} seeds" if count > 1 else "one seed"
    return (
        f"Digits as {config.order}; {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. Top, of the LSTM as it is: mean of each gate over "
        f"units and held-out digits, {over}; the cell state of one held-out digit, "
        "first seed, the units in the order of when they are largest. Bottom: decay of "
        f"the median norm of the gradient over the last {NEAR} steps, and test accuracy"
        + ("; means over seeds and 95 % intervals." if count > 1 else ".")
    )
