"""Time and memory of training steps and of instruments."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from experiments.instrument_cost.config import Config
from nets import Cell, elman, flow, unroll
from nets.cells import ElmanState
from nets.flow.decay import norms_of

GAIN = 1.5  # of the recurrent weights; the network is chaotic above 1
RUNS = 3  # timed runs of an instrument
SHARES = 4, 2, 1  # divisors of time and features between which growth is fitted
SPECTRUM, PRODUCT = "lyapunov_spectrum", "log_singular_values"


class StepCosts(NamedTuple):
    """Costs of three programs that run in turn.

    Attributes:
        cell: Name of the cell.
        plain: Seconds of a training step, [repeats].
        alone: Seconds of `state_gradients`, [repeats].
        recorded: Seconds of a training step that also records the norms of the
            gradients of the states, [repeats].
        plain_bytes: Memory for intermediate values of a training step.
        alone_bytes: Memory for intermediate values of `state_gradients`.
        recorded_bytes: Memory for intermediate values of a recording step.
    """

    cell: str
    plain: np.ndarray
    alone: np.ndarray
    recorded: np.ndarray
    plain_bytes: int
    alone_bytes: int
    recorded_bytes: int

    @property
    def ratio(self) -> float:
        """Ratio of the shortest times, which are the least disturbed."""
        return float(self.recorded.min() / self.plain.min())

    @property
    def alone_ratio(self) -> float:
        """Ratio of the shortest times of `state_gradients` and of a training step."""
        return float(self.alone.min() / self.plain.min())


class InstrumentCost(NamedTuple):
    """Cost of an instrument at one size.

    Attributes:
        instrument: Name of the instrument.
        features: Units of the network, and coordinates of its state.
        time: Number of steps.
        seconds: Seconds of each run, [runs].
        bytes: Memory for intermediate values.
    """

    instrument: str
    features: int
    time: int
    seconds: np.ndarray
    bytes: int

    @property
    def jacobian_bytes(self) -> int:
        """Memory that the Jacobians of all steps would take, in float32."""
        return 4 * self.time * self.features**2


class Growth(NamedTuple):
    """Costs of an instrument at several sizes.

    Attributes:
        by_time: Costs by number of steps, ascending; the last is of the whole size.
        by_features: Costs by number of features, ascending; the last is of the whole
            size.
    """

    by_time: list[InstrumentCost]
    by_features: list[InstrumentCost]

    @property
    def whole(self) -> InstrumentCost:
        """Cost at the whole size."""
        return self.by_time[-1]

    def exponents(self) -> dict[str, float]:
        """Exponents a of the growth of seconds and bytes as size^a.

        Returns:
            Exponents, named such as "bytes by time".
        """
        return {
            f"{quantity} by {size}": exponent(
                [getattr(cost, size) for cost in costs],
                [float(np.min(getattr(cost, quantity))) for cost in costs],
            )
            for size, costs in zip(("time", "features"), self, strict=True)
            for quantity in ("seconds", "bytes")
        }


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Exponent a of values that grow as size^a, by least squares of the logarithms.

    Args:
        sizes: At least two different sizes.
        values: Positive values, one per size.

    Returns:
        The exponent.

    Example:
        >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    slope, _ = np.polyfit(np.log(sizes), np.log(values), 1)
    return float(slope)


def step_costs(name: str, cell: Cell, config: Config) -> StepCosts:
    """Costs of a training step, of `state_gradients`, and of both in one program.

    Args:
        name: Name of the cell.
        cell: The cell.
        config: The flags.

    Returns:
        A `StepCosts`.
    """
    key = jax.random.key(0)
    params = cell.init(key, config.inputs, config.features)
    shape = config.time, config.batch_size, config.inputs
    xs = jax.random.normal(key, shape)
    optimizer = optax.adam(1e-3)

    def score(_, ys):
        return (ys**2).mean()

    def loss(params, xs, perturbations):
        return score(*unroll(cell, params, xs, perturbations=perturbations))

    def update(params, opt_state, gradient):
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def plain(params, opt_state, xs):
        return update(params, opt_state, jax.grad(loss)(params, xs, None))

    def alone(params, opt_state, xs):
        return flow.state_gradients(cell, params, xs, score)

    def recorded(params, opt_state, xs):
        zeros = flow.zero_perturbations(cell, params, xs)
        gradient, states = jax.grad(loss, argnums=(0, 2))(params, xs, zeros)
        return update(params, opt_state, gradient), norms_of(states)

    args = params, optimizer.init(params), xs
    programs = [_compiled(program, *args) for program in (plain, alone, recorded)]
    seconds = in_turn(programs, args, config.repeats, name)
    return StepCosts(name, *seconds, *map(_bytes, programs))


def in_turn(
    programs: Sequence[Callable[..., Any]], args: tuple, repeats: int, title: str
) -> np.ndarray:
    """Seconds of programs that take turns, after a first call of each.

    Args:
        programs: Functions of the same arguments.
        args: Their arguments.
        repeats: Number of calls that are timed.
        title: Title of the progress bar.

    Returns:
        Seconds, [programs, repeats].
    """
    for program in programs:
        jax.block_until_ready(program(*args))
    seconds = np.zeros((len(programs), repeats))
    for i in tqdm(range(repeats), desc=title, disable=None):
        for j, program in enumerate(programs):
            began = time.perf_counter()
            jax.block_until_ready(program(*args))
            seconds[j, i] = time.perf_counter() - began
    return seconds


def growth(instrument: str, features: int, time: int) -> Growth:
    """Costs of an instrument at its whole size, and at shares of time and features.

    Args:
        instrument: `SPECTRUM` or `PRODUCT`.
        features: Largest number of units.
        time: Largest number of steps.

    Returns:
        A `Growth`.
    """
    whole = instrument_cost(instrument, features, time)

    def shares(size):
        return sorted({max(1, size // share) for share in SHARES} - {size})

    return Growth(
        [*(instrument_cost(instrument, features, t) for t in shares(time)), whole],
        [*(instrument_cost(instrument, n, time) for n in shares(features)), whole],
    )


def instrument_cost(instrument: str, features: int, time: int) -> InstrumentCost:
    """Cost of an instrument of all directions of a tanh network without inputs.

    Args:
        instrument: `SPECTRUM` or `PRODUCT`.
        features: Number of units.
        time: Number of steps.

    Returns:
        An `InstrumentCost`.
    """
    measured = getattr(flow, instrument)
    cell, key = elman(), jax.random.key(0)
    params = cell.init(key, 1, features)
    weights = GAIN * jax.random.normal(key, (features, features)) / features**0.5
    params = params._replace(w_h=weights)
    start = ElmanState(jax.random.normal(key, (features,)))
    program = _compiled(
        lambda params, xs: measured(cell, params, xs, start, count=None),
        params,
        jnp.zeros((time, 1)),
    )
    args = params, jnp.zeros((time, 1))
    title = f"{instrument}, {features} units, {time:,} steps"
    (seconds,) = in_turn([program], args, RUNS, title)
    return InstrumentCost(instrument, features, time, seconds, _bytes(program))


def _compiled(program: Callable[..., Any], *args: Any) -> Any:
    """Compiled program of the arguments."""
    return jax.jit(program).lower(*args).compile()


def _bytes(program: Any) -> int:
    """Memory for intermediate values of a compiled program."""
    return program.memory_analysis().temp_size_in_bytes
