"""The training loop: many steps in one jitted scan, many seeds in one vmap."""

from __future__ import annotations  # help() prints them as they are written

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import ArrayLike, Int, PyTree

from train import loop, progress
from train.finite import check_parameters, locate_nonfinite
from train.step import LossFn, Metrics, Params, TrainState


class Probes(NamedTuple):
    """Measurements that a probe made during training.

    Attributes:
        steps: Steps before which the probe ran, counted from 0.
        values: Results of the probe, a tree of arrays [probes, seeds, ...].
    """

    steps: Int[np.ndarray, " probes"]
    values: Any


class FitResult(NamedTuple):
    """Result of `fit`.

    Attributes:
        state: State of all models after the last step, a tree of arrays [seeds, ...].
            `fit` continues from it.
        seconds_per_step: Time of one step of all seeds together, without compilation:
            the median over the calls of the compiled program. Calls in which the probe
            ran are left out unless the probe ran in every call.
        probes: Measurements of the probe; None without a probe.
    """

    state: TrainState
    seconds_per_step: float
    probes: Probes | None

    @property
    def params(self) -> Params:
        """Trained parameters, a tree of arrays [seeds, ...]."""
        return self.state.params

    @property
    def opt_state(self) -> optax.OptState:
        """State of the optimizer, a tree of arrays [seeds, ...]."""
        return self.state.opt_state


def fit(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    params: Params | TrainState,
    data: PyTree[ArrayLike],
    seeds: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    hyperparameters: Mapping[str, ArrayLike] | None = None,
    probe: Callable[[Params], Any] | None = None,
    probe_every: int = 1,
    log_probe_fn: Callable[[int, Any], Any] | None = None,
    save_fn: Callable[[TrainState], Any] | None = None,
    save_every: int = 1,
    stop_if_not_finite: bool = True,
    log_fn: Callable[..., Any] | None = None,
    learning_rate: optax.ScalarOrSchedule | None = None,
    desc: str = "",
    steps_per_call: int = 20,
) -> FitResult:
    """Train one model per seed, all in one vmapped program.

    Each seed has its own order of the examples, with each example once per epoch. The
    result of a seed does not depend on the other seeds, up to rounding. If standard
    error is a terminal, a progress bar shows the time left, the loss, the norm of the
    gradient, the learning rate and the steps per second. The loss and the norm are
    means over all seeds.

    Args:
        loss_fn: `loss_fn(params, batch, key)`, a scalar.
        optimizer: Any optax optimizer.
        params: Initial parameters of all models, a tree of arrays [seeds, ...]. To
            continue an earlier training of the same seeds, its `FitResult.state`: 40
            steps and 40 more are equal to 80, bit for bit.
        data: Examples, a tree of arrays [examples, ...], shared by all seeds.
        seeds: One seed per model, for the order of the examples and the loss's keys.
        steps: Number of steps, at least 1.
        batch_size: Examples per step, from 1 to the number of examples.
        hyperparameters: Hyperparameters that differ between the models, such as
            `{"learning_rate": rates}`, arrays [seeds]. The optimizer must keep them in
            its state, as `optax.inject_hyperparams` does.
        probe: Function of one model's parameters that returns a tree of arrays. It runs
            during training, within the compiled loop, on one model after the other.
        probe_every: Steps between two probes; the first probe is before step 0.
        log_probe_fn: Called with a step and the values of the probe before that step,
            a tree of arrays [seeds, ...], after the call of the compiled program in
            which the probe ran.
        save_fn: Called with the state of all models after every `save_every` steps.
        save_every: Steps between two calls of `save_fn`.
        stop_if_not_finite: Whether one loss that is not finite stops all models. If
            False, a model that diverged is not finite in the result.
        log_fn: Called with `seed`, `step`, `loss` and `gradient_norm` for every seed
            after every call of the compiled program. The loss and the norm are means
            over the steps of that call. If `learning_rate` is given, it is also called
            with the rate of the last of these steps, as `learning_rate`.
        learning_rate: Learning rate of the optimizer, or its schedule. It is only shown
            and logged.
        desc: Text before the progress bar.
        steps_per_call: Steps per call of the compiled program. A call also ends where
            `save_fn` is due.

    Returns:
        A `FitResult`.

    Raises:
        NonFiniteError: A loss, a gradient or a parameter is not finite. All earlier
            steps are logged.
        ValueError: `steps`, `batch_size`, `steps_per_call`, `probe_every` or
            `save_every` is out of range, the sizes of the arrays do not agree, the
            optimizer's state lacks a hyperparameter, or the state to continue from is
            that of other seeds.

    Example:
        >>> def loss_fn(w, x, key):
        ...     return ((w - x) ** 2).mean()
        >>> zeros, data = jnp.zeros(2), jnp.arange(8.0)
        >>> sgd = optax.sgd(0.1)
        >>> result = fit(loss_fn, sgd, zeros, data, [0, 1], steps=3, batch_size=8)
        >>> result = fit(
        ...     loss_fn, sgd, result.state, data, [0, 1], steps=47, batch_size=8
        ... )
        >>> result.params.round(2).tolist(), result.state.step.tolist()
        ([3.5, 3.5], [50, 50])
    """
    _check_counts(steps, steps_per_call, probe_every, save_every)
    hyperparameters = {k: jnp.asarray(v) for k, v in (hyperparameters or {}).items()}
    examples = loop.check_sizes(params, hyperparameters, data, seeds)
    order_keys, loss_keys = loop.draw_keys(seeds)
    states = loop.init_states(optimizer, params, loss_keys, hyperparameters)
    first, last = int(states.step[0]), int(states.step[0]) + steps
    order = loop.draw_order(order_keys, examples, batch_size, steps, first)
    step = loop.step_of_all(loss_fn, optimizer)
    data = jax.tree.map(jnp.asarray, data)
    probed = np.arange(first, last) % probe_every == 0
    parts = loop.calls(first, last, steps_per_call, save_every if save_fn else 0)
    rates = progress.rates(learning_rate, first, last)

    program = _compiler(loop.many_steps(step, probe), states, order, probed, data)
    seconds, measured = [], []
    with progress.bar(first, last, desc) as bar:
        for part in parts:
            indices, flags = order[part], probed[part]
            call = program(len(indices)), states, indices, flags, data
            after, (metrics, values), duration = _timed(*call)
            seconds.append(duration / len(indices))
            metrics = jax.tree.map(np.asarray, metrics)
            measured.append(jax.tree.map(lambda v, at=flags: np.asarray(v)[at], values))
            start = first + part.start
            good = _log(log_fn, seeds, start, metrics, rates[part], stop_if_not_finite)
            if good < len(indices):
                where = step, loss_fn, states, indices, data, good, seeds
                raise locate_nonfinite(*where)
            states = after
            if probe is not None and log_probe_fn is not None:
                _log_probes(log_probe_fn, start + np.flatnonzero(flags), measured[-1])
            if save_fn is not None and (first + part.stop) % save_every == 0:
                save_fn(states)
            progress.advance(bar, metrics, rates[part])
    if stop_if_not_finite:
        check_parameters(states.params, last, seeds)
    probing = [probe is not None and probed[part].any() for part in parts]
    probes = _join(measured, first + np.flatnonzero(probed)) if probe else None
    return FitResult(states, _without_probes(seconds, probing), probes)


def _compiler(many_steps, states, order, probed, data) -> Callable[[int], Callable]:
    """Function that compiles the program of a call from its number of steps, once."""

    @functools.cache  # calls differ in length
    def program(length):
        # With jit disabled, e.g. to debug a loss, there is nothing to compile.
        if jax.config.values["jax_disable_jit"]:
            return many_steps
        return many_steps.lower(states, order[:length], probed[:length], data).compile()

    return program


def _timed(run, *arguments) -> tuple[TrainState, Any, float]:
    """The results of a call of the program, and its duration in seconds."""
    began = time.perf_counter()
    states, outputs = jax.block_until_ready(run(*arguments))
    return states, outputs, time.perf_counter() - began


def _check_counts(steps, steps_per_call, probe_every, save_every) -> None:
    """Raise a ValueError if a number of steps is not positive."""
    if steps < 1 or steps_per_call < 1:
        raise ValueError(f"expected at least 1 step; got {min(steps, steps_per_call)}")
    for name, count in (("probe_every", probe_every), ("save_every", save_every)):
        if count < 1:
            raise ValueError(f"expected {name} of at least 1 step; got {count}")


def _join(measured, steps) -> Probes:
    """The values of all calls as one `Probes`."""
    values = jax.tree.map(lambda *parts: np.concatenate(parts), *measured)
    return Probes(steps, values)


def _without_probes(seconds, probing) -> float:
    """Median seconds per step over the calls without a probe, or over all calls."""
    plain = [s for s, probes in zip(seconds, probing, strict=True) if not probes]
    return float(np.median(plain or seconds))


def _log_probes(log_probe_fn, steps, values) -> None:
    """Log the values of every probe of a call."""
    for i, step in enumerate(steps.tolist()):
        log_probe_fn(step, jax.tree.map(lambda v, i=i: v[i], values))


def _log(log_fn, seeds, start: int, metrics: Metrics, rates, stop: bool) -> int:
    """Log the steps before the first that is not finite; return their number."""
    loss, norm = metrics
    finite = (np.isfinite(loss) & np.isfinite(norm)).all(axis=1) | (not stop)
    good = len(loss) if finite.all() else int(np.argmin(finite))
    if log_fn is None:
        return good
    rate = float(rates[max(good, 1) - 1])
    known = {} if np.isnan(rate) else {"learning_rate": rate}
    for i, seed in enumerate(seeds if good else ()):
        log_fn(
            seed=seed,
            step=start + good,
            loss=float(loss[:good, i].mean()),
            gradient_norm=float(norm[:good, i].mean()),
            **known,
        )
    return good
