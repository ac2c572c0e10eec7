"""The training loop: many steps in one compiled loop, many models in one program."""

from __future__ import annotations  # help() prints them as they are written

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import ArrayLike, PyTree

from train import calls, loop, progress, rows
from train.calls import Plan, prepare
from train.finite import NonFiniteError, check_parameters
from train.history import History
from train.members import check_mesh
from train.program import step_of_all
from train.result import FitResult
from train.step import LossFn, Params

ON_NONFINITE = "stop", "skip", "drop_member"


def fit(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    params: Params | FitResult,
    data: PyTree[ArrayLike],
    seeds: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    shuffle: bool = True,
    hyperparameters: Mapping[str, ArrayLike] | None = None,
    probe: Callable[[Params], Any] | None = None,
    probe_every: int = 1,
    log_probe_fn: Callable[[int, Any], Any] | None = None,
    evaluate_fn: Callable[[Params], Any] | None = None,
    evaluate_every: int = 1,
    patience: int | None = None,
    target: float | None = None,
    start_fn: Callable[[], Any] | None = None,
    save_fn: Callable[[FitResult], Any] | None = None,
    save_every: int | None = 1,
    save_when: Callable[[int], bool] | None = None,
    on_nonfinite: str = "stop",
    nonfinite_fn: Callable[[NonFiniteError], Any] | None = None,
    log_fn: Callable[..., Any] | None = None,
    learning_rate: optax.ScalarOrSchedule | None = None,
    desc: str = "",
    steps_per_call: int = 20,
    mesh: Mesh | None = None,
) -> FitResult:
    """Train many models, the members of a study, all in one program.

    A member is a seed, and values of the hyperparameters. Each has its own order of the
    examples, with each example once per epoch, unless `shuffle` is False. The result of
    a member does not depend on the other members or on the number of devices: bit for
    bit on a CPU, where a device takes the step of one member after the other; up to
    rounding elsewhere. If standard error is a terminal, a progress bar shows the time
    left, the loss, the norm of the gradient, the learning rate and the steps per
    second. The loss and the norm are means over all members.

    Args:
        loss_fn: `loss_fn(params, batch, key)`, a scalar.
        optimizer: Any optax optimizer.
        params: Initial parameters of all members, a tree of arrays [members, ...]. To
            continue an earlier training of the same members, its `FitResult`: 40 steps
            and 40 more are equal to 80, bit for bit.
        data: Examples, a tree of arrays [examples, ...], shared by all members.
        seeds: Seed of each member, for the order of the examples and the loss's keys.
        steps: Number of steps, at least 1.
        batch_size: Examples per step, from 1 to the number of examples.
        shuffle: Whether the examples are in random order, another one in each epoch. If
            False, all members read them in the order of the data in every epoch.
        hyperparameters: Hyperparameters that differ between the members, such as
            `{"learning_rate": rates}`, arrays [members]. They are set in the state of
            the optimizer, which `optax.inject_hyperparams` puts them into. Names that
            the optimizer does not have are keyword arguments of `loss_fn`.
        probe: Function of one member's parameters that returns a tree of arrays. It
            runs during training, within the compiled loop, on one member after the
            other.
        probe_every: Steps between two probes; the first probe is before step 0.
        log_probe_fn: Called with a step and the values of the probe before that step,
            a tree of arrays [members, ...], after the call of the compiled program in
            which the probe ran.
        evaluate_fn: Function of one member's parameters that returns a number, such as
            the held-out loss. The parameters with the smallest number are
            `FitResult.params`. If the optimizer averages the parameters, their average
            is evaluated.
        evaluate_every: Steps between two evaluations.
        patience: Number of evaluations without a smaller result after which a member
            stops to train; None to train all of them to the end.
        target: Evaluation at or below which a member stops to train; None to train all
            of them to the end. On a CPU a member that has stopped costs no time.
        start_fn: Called before the first step, when the program is compiled.
        save_fn: Called with the result so far after every `save_every` steps. An
            exception that it raises ends the training.
        save_every: Steps between two calls of `save_fn`; None to call it only as
            `save_when` decides.
        save_when: Function of the number of steps taken, asked after every call of the
            compiled program. If it returns True, `save_fn` is called, too.
        on_nonfinite: Treatment of a step whose loss, gradient or update is not finite
            in some member. "stop" raises an error. "skip" leaves out that step.
            "drop_member" trains only the other members further.
        nonfinite_fn: Called with a `NonFiniteError`, which is not raised, at the first
            step of each member that was left out; by default a warning.
        log_fn: Called with `seed`, `step`, `loss`, `gradient_norm` and the
            hyperparameters of every member that trains, after every call of the
            compiled program. The loss and the norm are means over the steps of that
            call. If `learning_rate` is given, it is also called with the rate of the
            last of these steps, as `learning_rate`.
        learning_rate: Learning rate of the optimizer, or its schedule. It is only shown
            and logged.
        desc: Text before the progress bar.
        steps_per_call: Steps per call of the compiled program. A call also ends where
            `save_fn` or `evaluate_fn` is due.
        mesh: Devices, a mesh with the axes "study" and "data": members are divided
            among the first, the examples of each batch among the second.

    Returns:
        A `FitResult`.

    Raises:
        NonFiniteError: A loss, a gradient or a parameter is not finite. All earlier
            steps are logged.
        ValueError: `steps`, `batch_size` or another number is out of range, the sizes
            of the arrays do not agree, neither the optimizer nor the loss has a
            hyperparameter, or the state to continue from is that of other seeds.

    Example:
        >>> import jax.numpy as jnp
        >>> def loss_fn(w, x, key):
        ...     return ((w - x) ** 2).mean()
        >>> zeros, data = jnp.zeros(2), jnp.arange(8.0)
        >>> sgd = optax.sgd(0.1)
        >>> result = fit(loss_fn, sgd, zeros, data, [0, 1], steps=3, batch_size=8)
        >>> result = fit(loss_fn, sgd, result, data, [0, 1], steps=47, batch_size=8)
        >>> result.params.round(2).tolist(), result.state.step.tolist()
        ([3.5, 3.5], [50, 50])
    """
    _check(steps, steps_per_call, probe_every, save_every, evaluate_every, on_nonfinite)
    check_mesh(mesh, batch_size)
    settings = {k: np.asarray(v) for k, v in (hyperparameters or {}).items()}
    earlier = params if isinstance(params, FitResult) else None
    examples = loop.check_sizes(params, settings, data, seeds)
    order_keys, loss_keys = loop.draw_keys(seeds)
    members, arguments = loop.init_members(optimizer, params, loss_keys, settings)
    loop.check_arguments(loss_fn, arguments)
    first = int(members.state.step.max())
    due = (save_fn and save_every) or 0, evaluate_every if evaluate_fn else 0
    plan = Plan(
        first,
        loop.draw_order(order_keys, examples, batch_size, steps, first, shuffle),
        (np.arange(first, first + steps) % probe_every == 0) & (probe is not None),
        loop.calls(first, first + steps, steps_per_call, *due),
    )
    stop = on_nonfinite == "stop"
    masked = patience is not None or target is not None or not stop
    drop = on_nonfinite == "drop_member"
    step = step_of_all(loss_fn, optimizer, mesh=mesh, masked=masked, drop=drop)
    members, run = prepare(step, probe, plan, members, data, arguments, mesh)
    history = History(members, earlier, evaluate_fn, len(seeds), mesh)
    rates = progress.rates(learning_rate, first, first + steps)
    if start_fn is not None:
        start_fn()

    with progress.bar(first, first + steps, desc) as bar:
        for part in plan.parts:
            training = history.training
            if not training.any():
                break
            call = run(history.members, part)
            count = rows.finite_steps(call) if stop else call.steps
            rows.log(log_fn, call, count, training, seeds, settings, rates[part])
            for i, failed in calls.first_failures(call, history.nonfinite, stop):
                where = part, failed, i
                what = loss_fn, data, seeds, settings, arguments
                error = calls.locate(run, history.members, plan, where, *what)
                if stop:
                    raise error
                (nonfinite_fn or _warn)(error)
            history.add(call)
            rows.log_probes(log_probe_fn, call)
            done = first + part.stop
            if evaluate_fn and done % evaluate_every == 0:
                history.evaluate(done, patience, target)
            if save_fn and (
                (save_every and done % save_every == 0)
                or (save_when and save_when(done))
            ):
                save_fn(history.result())
            progress.advance(bar, call.metrics, rates[part])
    result = history.result()
    if stop:
        check_parameters(result.state.params, first + steps, seeds, settings)
    return result


def _warn(error: NonFiniteError) -> None:
    """Warn of a step that was left out."""
    warnings.warn(str(error), RuntimeWarning, stacklevel=3)


def _check(
    steps, steps_per_call, probe_every, save_every, evaluate_every, on_nonfinite
):
    """Raise a ValueError if an option is out of range."""
    if steps < 1 or steps_per_call < 1:
        raise ValueError(f"expected at least 1 step; got {min(steps, steps_per_call)}")
    for name, count in (
        ("probe_every", probe_every),
        ("save_every", save_every),
        ("evaluate_every", evaluate_every),
    ):
        if count is not None and count < 1:
            raise ValueError(f"expected {name} of at least 1 step; got {count}")
    if on_nonfinite not in ON_NONFINITE:
        raise ValueError(
            f"expected on_nonfinite of {', '.join(ON_NONFINITE)}; got {on_nonfinite!r}"
        )
