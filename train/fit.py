"""The training loop: many steps in one jitted scan, many seeds in one vmap."""

import functools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import ArrayLike, Int, PyTree
from tqdm import tqdm

from train.data.batches import epochs
from train.finite import blame, check_parameters
from train.step import LossFn, Metrics, Params, init_state, make_step

OptimizerOf = Callable[[Any], optax.GradientTransformation]


class Probes(NamedTuple):
    """What a probe saw on the way.

    Attributes:
        steps: Before which steps it looked, counted from 0.
        values: What it returned, a tree of arrays [probes, seeds, ...].
    """

    steps: Int[np.ndarray, " probes"]
    values: Any


class FitResult(NamedTuple):
    """What training leaves.

    Attributes:
        params: The parameters, with the axis of seeds in front.
        opt_state: The optimizer's state, likewise.
        seconds_per_step: Of one step of all seeds together, compilation left out: the
            median over the calls of the program, those in which nothing was probed if
            there are such.
        probes: What the probe saw; None if there was none.
    """

    params: Params
    opt_state: optax.OptState
    seconds_per_step: float
    probes: Probes | None


def fit(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation | OptimizerOf,
    params: Params,
    data: PyTree[ArrayLike],
    seeds: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    hyperparameters: PyTree[ArrayLike] = None,
    probe: Callable[[Params], Any] | None = None,
    probe_every: int = 1,
    stop_if_not_finite: bool = True,
    record: Callable[..., Any] = lambda **row: None,
    title: str = "",
    steps_per_call: int = 20,
) -> FitResult:
    """Train one model per seed, all in one vmapped program.

    Every seed goes through the data in its own order, each example once an epoch. The
    numbers of a seed do not depend on which others are trained beside it, up to
    rounding. A bar shows the loss and the rate where standard error is a terminal.

    Args:
        loss_fn: `loss_fn(params, batch, key)`, one number.
        optimizer: Any optax optimizer; or, where models differ in what theirs is made
            of, a function that makes it of one model's hyperparameters.
        params: The models to begin with, their arrays stacked: [seeds, ...].
        data: A tree of arrays [examples, ...], shared by all seeds.
        seeds: One number a model; it decides the order of the data and the loss's keys.
        steps: How many steps, at least 1.
        batch_size: Examples a step, from 1 to all there are.
        hyperparameters: What `optimizer` makes each model's of, such as its learning
            rate: a tree of arrays [seeds, ...].
        probe: A function of one model's parameters, to a tree of arrays: looks at it
            while it trains, within the compiled loop, one model after another.
        probe_every: Before how many-th steps it looks: 0, `probe_every`, twice that...
        stop_if_not_finite: Whether one loss that is not finite ends the training of
            all; otherwise the others go on, beside one whose parameters are not numbers
            any more.
        record: Called after each call of the program, for each seed, with `seed`,
            `step`, and the means since the last call of `loss` and `gradient_norm`.
        title: Stands before the bar.
        steps_per_call: How many steps a call of the compiled program takes.

    Returns:
        A `FitResult`.

    Raises:
        NonFiniteError: A loss or a gradient was not finite; all before is recorded.
        ValueError: `steps` or `batch_size` is out of range, or sizes do not fit.

    Example:
        >>> def loss_fn(w, x, key):
        ...     return ((w - x) ** 2).mean()
        >>> zeros, data = jnp.zeros(2), jnp.arange(8.0)
        >>> sgd = optax.sgd(0.1)
        >>> fitted = fit(loss_fn, sgd, zeros, data, [0, 1], steps=50, batch_size=8)
        >>> fitted.params.round(2).tolist()
        [3.5, 3.5]
    """
    examples = _check((params, hyperparameters), data, seeds, steps, steps_per_call)
    if probe_every < 1:
        raise ValueError(f"expected probe_every of at least 1 step; got {probe_every}")
    order, loss_keys = _draw(seeds, examples, batch_size, steps)
    begin, step = _models(loss_fn, optimizer, hyperparameters)
    states = begin(params, loss_keys)
    data = jax.tree.map(jnp.asarray, data)
    probed = np.arange(steps) % probe_every == 0
    many_steps = _many_steps(step, probe)

    @functools.cache  # the last call may be shorter
    def program(length):
        # To debug a loss, say, nothing is compiled.
        if jax.config.values["jax_disable_jit"]:
            return many_steps
        return many_steps.lower(states, order[:length], probed[:length], data).compile()

    seconds, seen = [], []
    with tqdm(total=steps, desc=title, unit="step", disable=None) as bar:
        for start in range(0, steps, steps_per_call):
            now, looks = (a[start : start + steps_per_call] for a in (order, probed))
            run = program(len(now))
            began = time.perf_counter()
            after, (metrics, values) = jax.block_until_ready(
                run(states, now, looks, data)
            )
            seconds.append((time.perf_counter() - began) / len(now))
            seen.append(jax.tree.map(lambda v, at=looks: np.asarray(v)[at], values))
            good = _record(record, seeds, start, metrics, stop_if_not_finite)
            if good < len(now):
                raise blame(step, loss_fn, states, now, data, good, seeds)
            states = after
            bar.set_postfix(loss=f"{metrics.loss[-1].mean():.3f}", refresh=False)
            bar.update(len(now))
    if stop_if_not_finite:
        check_parameters(states.params, steps, seeds)
    if probe is None:
        typical, probes = float(np.median(seconds)), None
    else:
        typical = _without_probes(seconds, probed, steps_per_call)
        values = jax.tree.map(lambda *parts: np.concatenate(parts), *seen)
        probes = Probes(np.flatnonzero(probed), values)
    return FitResult(states.params, states.opt_state, typical, probes)


def _draw(seeds, examples, batch_size, steps):
    """Order of the examples, [steps, seeds, batch_size], and keys of the losses."""
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    order_keys, loss_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    draw = jax.vmap(lambda key: epochs(key, examples, batch_size, steps), out_axes=1)
    return draw(order_keys), loss_keys


def _models(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation | OptimizerOf,
    hyperparameters: PyTree,
):
    """A function that starts all models, and one that takes a step of each."""
    make = optimizer if callable(optimizer) else lambda _: optimizer

    def start_one(h, p, k):
        return init_state(make(h), p, k)

    def step_one(h, state, indices, data):
        batch = jax.tree.map(lambda array: array[indices], data)
        return make_step(loss_fn, make(h))(state, batch)

    return (
        partial(jax.vmap(start_one), hyperparameters),
        partial(jax.vmap(step_one, in_axes=(0, 0, 0, None)), hyperparameters),
    )


def _many_steps(step, probe):
    """The jitted program that takes many steps of all models, and probes on the way."""

    @jax.jit
    def many_steps(states, order, probed, data):
        def one_step(states, now):
            seen = None if probe is None else _look(probe, states.params, now[1])
            states, metrics = step(states, now[0], data)
            return states, (metrics, seen)

        return jax.lax.scan(one_step, states, (order, probed))

    return many_steps


def _without_probes(seconds, probed, steps_per_call) -> float:
    """Median seconds of a step, over the calls without a probe if there are such."""
    starts = range(0, len(probed), steps_per_call)
    looked = [probed[i : i + steps_per_call].any() for i in starts]
    plain = [s for s, yes in zip(seconds, looked, strict=True) if not yes]
    return float(np.median(plain or seconds))


def _look(probe, params, now):
    """What the probe sees of every model, one after another; zeros if not now."""
    like = jax.eval_shape(lambda p: jax.lax.map(probe, p), params)
    return jax.lax.cond(
        now,
        lambda p: jax.lax.map(probe, p),
        lambda p: jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like),
        params,
    )


def _record(record, seeds, start: int, metrics: Metrics, stop: bool) -> int:
    """Record the steps before the first that is not finite; how many these are."""
    loss, norm = np.asarray(metrics.loss), np.asarray(metrics.gradient_norm)
    finite = (np.isfinite(loss) & np.isfinite(norm)).all(axis=1) | (not stop)
    good = len(loss) if finite.all() else int(np.argmin(finite))
    for i, seed in enumerate(seeds if good else ()):
        record(
            seed=seed,
            step=start + good,
            loss=float(loss[:good, i].mean()),
            gradient_norm=float(norm[:good, i].mean()),
        )
    return good


def _check(models, data, seeds, steps, steps_per_call) -> int:
    """The number of examples."""
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
