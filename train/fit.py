"""The training loop: many steps in one jitted scan, many seeds in one vmap."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import ArrayLike, Int, PyTree
from tqdm import tqdm

from train.data.batches import epochs
from train.finite import check_parameters, locate_nonfinite
from train.step import LossFn, Metrics, Params, init_state, make_step


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
        params: Trained parameters, a tree of arrays [seeds, ...].
        opt_state: State of the optimizer, a tree of arrays [seeds, ...].
        seconds_per_step: Time of one step of all seeds together, without compilation:
            the median over the calls of the compiled program. Calls in which the probe
            ran are left out unless the probe ran in every call.
        probes: Measurements of the probe; None without a probe.
    """

    params: Params
    opt_state: optax.OptState
    seconds_per_step: float
    probes: Probes | None


def fit(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    params: Params,
    data: PyTree[ArrayLike],
    seeds: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    hyperparameters: Mapping[str, ArrayLike] | None = None,
    probe: Callable[[Params], Any] | None = None,
    probe_every: int = 1,
    stop_if_not_finite: bool = True,
    log_fn: Callable[..., Any] = lambda **row: None,
    desc: str = "",
    steps_per_call: int = 20,
) -> FitResult:
    """Train one model per seed, all in one vmapped program.

    Each seed has its own order of the examples, with each example once per epoch. The
    result of a seed does not depend on the other seeds, up to rounding. If standard
    error is a terminal, a progress bar shows the loss and the steps per second.

    Args:
        loss_fn: `loss_fn(params, batch, key)`, a scalar.
        optimizer: Any optax optimizer.
        params: Initial parameters of all models, a tree of arrays [seeds, ...].
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
        stop_if_not_finite: Whether one loss that is not finite stops all models. If
            False, a model that diverged is not finite in the result.
        log_fn: Called with `seed`, `step`, `loss` and `gradient_norm` for every seed
            after every call of the compiled program. The loss and the norm are means
            over the steps of that call.
        desc: Text before the progress bar.
        steps_per_call: Steps per call of the compiled program.

    Returns:
        A `FitResult`.

    Raises:
        NonFiniteError: A loss, a gradient or a parameter is not finite. All earlier
            steps are logged.
        ValueError: `steps`, `batch_size`, `steps_per_call` or `probe_every` is out of
            range, the sizes of the arrays do not agree, or the optimizer's state lacks
            a hyperparameter.

    Example:
        >>> def loss_fn(w, x, key):
        ...     return ((w - x) ** 2).mean()
        >>> zeros, data = jnp.zeros(2), jnp.arange(8.0)
        >>> sgd = optax.sgd(0.1)
        >>> result = fit(loss_fn, sgd, zeros, data, [0, 1], steps=50, batch_size=8)
        >>> result.params.round(2).tolist()
        [3.5, 3.5]
    """
    hyperparameters = {k: jnp.asarray(v) for k, v in (hyperparameters or {}).items()}
    examples = _check((params, hyperparameters), data, seeds, steps, steps_per_call)
    if probe_every < 1:
        raise ValueError(f"expected probe_every of at least 1 step; got {probe_every}")
    order, loss_keys = _draw(seeds, examples, batch_size, steps)
    states = _init_states(optimizer, params, loss_keys, hyperparameters)
    step = _step_of_all(loss_fn, optimizer)
    data = jax.tree.map(jnp.asarray, data)
    probed = np.arange(steps) % probe_every == 0
    many_steps = _many_steps(step, probe)

    @functools.cache  # the last call may be shorter
    def program(length):
        # With jit disabled, e.g. to debug a loss, there is nothing to compile.
        if jax.config.values["jax_disable_jit"]:
            return many_steps
        return many_steps.lower(states, order[:length], probed[:length], data).compile()

    seconds, measured = [], []
    with tqdm(total=steps, desc=desc, unit="step", disable=None) as bar:
        for start in range(0, steps, steps_per_call):
            part = slice(start, start + steps_per_call)
            indices, flags = order[part], probed[part]
            run = program(len(indices))
            began = time.perf_counter()
            after, (metrics, values) = jax.block_until_ready(
                run(states, indices, flags, data)
            )
            seconds.append((time.perf_counter() - began) / len(indices))
            measured.append(jax.tree.map(lambda v, at=flags: np.asarray(v)[at], values))
            good = _log(log_fn, seeds, start, metrics, stop_if_not_finite)
            if good < len(indices):
                raise locate_nonfinite(
                    step, loss_fn, states, indices, data, good, seeds
                )
            states = after
            bar.set_postfix(loss=f"{metrics.loss[-1].mean():.3f}", refresh=False)
            bar.update(len(indices))
    if stop_if_not_finite:
        check_parameters(states.params, steps, seeds)
    if probe is None:
        typical, probes = float(np.median(seconds)), None
    else:
        typical = _without_probes(seconds, probed, steps_per_call)
        probes = _join(measured, probed)
    return FitResult(states.params, states.opt_state, typical, probes)


def _join(measured, probed) -> Probes:
    """The values of all calls as one `Probes`."""
    values = jax.tree.map(lambda *parts: np.concatenate(parts), *measured)
    return Probes(np.flatnonzero(probed), values)


def _draw(seeds, examples, batch_size, steps):
    """Order of the examples, [steps, seeds, batch_size], and keys of the losses."""
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    order_keys, loss_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    draw = jax.vmap(lambda key: epochs(key, examples, batch_size, steps), out_axes=1)
    return draw(order_keys), loss_keys


def _init_states(optimizer, params, keys, hyperparameters):
    """States of all models before the first step, each with its hyperparameters."""

    def init_one(params, key, hyperparameters):
        state = init_state(optimizer, params, key)
        if not hyperparameters:
            return state
        return state._replace(
            opt_state=optax.tree.set(state.opt_state, **hyperparameters)
        )

    try:
        return jax.vmap(init_one)(params, keys, hyperparameters)
    except KeyError as error:
        raise ValueError(
            f"expected an optimizer of optax.inject_hyperparams whose state has "
            f"{', '.join(hyperparameters)}; got {error.args[0]}"
        ) from None


def _step_of_all(loss_fn: LossFn, optimizer: optax.GradientTransformation):
    """One step of all models: `states, metrics = step(states, indices, data)`."""
    take_step = make_step(loss_fn, optimizer)

    def step_of_one(state, indices, data):
        return take_step(state, jax.tree.map(lambda array: array[indices], data))

    return jax.vmap(step_of_one, in_axes=(0, 0, None))


def _many_steps(step, probe):
    """The jitted program: many steps of all models, with probes in between."""

    @jax.jit
    def many_steps(states, order, probed, data):
        def one_step(states, now):
            indices, due = now
            values = None if probe is None else _probe_all(probe, states.params, due)
            states, metrics = step(states, indices, data)
            return states, (metrics, values)

        return jax.lax.scan(one_step, states, (order, probed))

    return many_steps


def _without_probes(seconds, probed, steps_per_call) -> float:
    """Median seconds per step over the calls without a probe, or over all calls."""
    starts = range(0, len(probed), steps_per_call)
    with_probe = [probed[i : i + steps_per_call].any() for i in starts]
    plain = [s for s, probing in zip(seconds, with_probe, strict=True) if not probing]
    return float(np.median(plain or seconds))


def _probe_all(probe, params, due):
    """Results of the probe for every model, one after the other; zeros if not due."""
    like = jax.eval_shape(lambda p: jax.lax.map(probe, p), params)
    return jax.lax.cond(
        due,
        lambda p: jax.lax.map(probe, p),
        lambda p: jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like),
        params,
    )


def _log(log_fn, seeds, start: int, metrics: Metrics, stop: bool) -> int:
    """Log the steps before the first that is not finite; return their number."""
    loss, norm = np.asarray(metrics.loss), np.asarray(metrics.gradient_norm)
    finite = (np.isfinite(loss) & np.isfinite(norm)).all(axis=1) | (not stop)
    good = len(loss) if finite.all() else int(np.argmin(finite))
    for i, seed in enumerate(seeds if good else ()):
        log_fn(
            seed=seed,
            step=start + good,
            loss=float(loss[:good, i].mean()),
            gradient_norm=float(norm[:good, i].mean()),
        )
    return good


def _check(models, data, seeds, steps, steps_per_call) -> int:
    """Check the sizes; return the number of examples."""
    counts = {len(leaf) for leaf in jax.tree.leaves(models)}
    if counts != {len(seeds)}:
        raise ValueError(
            f"expected parameters, and hyperparameters if there are any, stacked over "
            f"{len(seeds)} seeds, [seeds, ...]; got arrays of length {sorted(counts)}"
        )
    lengths = {len(leaf) for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1:
        raise ValueError(
            f"expected data [examples, ...] of one length; got {sorted(lengths)}"
        )
    if steps < 1 or steps_per_call < 1:
        raise ValueError(f"expected at least 1 step; got {min(steps, steps_per_call)}")
    return lengths.pop()
