"""Calls of the compiled program of `train.fit`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Bool, Int, PyTree

from train import members as placement
from train.finite import NonFiniteError, settings_of, tensor_not_finite
from train.members import PER_MEMBER, PER_STEP, SHARED, Members
from train.program import compiled, many_steps
from train.step import LossFn, Metrics, Params


class Call(NamedTuple):
    """Result of one call of the program.

    Attributes:
        start: Number of steps taken before.
        members: Members after the call, on their devices.
        metrics: Metrics of its steps, arrays [steps, members].
        finite: False for steps that were not finite, [steps, members].
        probed: Steps before which the probe ran.
        values: Results of the probe, arrays [probes, members, ...]; None without one.
        seconds: Duration of the call.
    """

    start: int
    members: Members
    metrics: Metrics
    finite: Bool[np.ndarray, "steps members"]
    probed: Int[np.ndarray, " probes"]
    values: Any
    seconds: float

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.finite)


class Plan(NamedTuple):
    """The steps of a training.

    Attributes:
        first: Number of steps taken before.
        order: Indices of the examples of each step, [steps, members, batch_size].
        probed: Whether the probe runs before a step, [steps].
        parts: One slice of the steps per call of the program.
    """

    first: int
    order: Int[np.ndarray, "steps members batch_size"]
    probed: Bool[np.ndarray, " steps"]
    parts: list[slice]


class Study(NamedTuple):
    """The loss of a training, and what its members differ in.

    Attributes:
        loss_fn: As in `train.fit`.
        data: As in `train.fit`.
        seeds: As in `train.fit`.
        settings: Hyperparameters of the members, arrays [members].
        arguments: The hyperparameters that are keyword arguments of the loss.
    """

    loss_fn: LossFn
    data: PyTree
    seeds: Sequence[int]
    settings: Mapping[str, ArrayLike]
    arguments: Mapping[str, Array]


def prepare(
    step: Callable[..., Any],
    probe: Callable[[Params], Any] | None,
    plan: Plan,
    members: Members,
    data: PyTree,
    arguments: Mapping[str, Array],
    mesh: Mesh | None,
) -> tuple[Members, Callable[..., Call]]:
    """Place everything on the devices, and compile the program.

    Args:
        step: Step of all members, from `train.program.step_of_all`.
        probe: As in `train.fit`.
        plan: The steps.
        members: Members before the first step.
        data: As in `train.fit`.
        arguments: Keyword arguments of the loss, arrays [members].
        mesh: As in `train.fit`.

    Returns:
        The members, on their devices; and `call = run(members, part)`, which takes the
        steps of one of the parts of the plan, or its first `count` steps.
    """
    total = plan.order.shape[1]
    extra = placement.missing(total, mesh)  # these repeat the last member
    length = max(part.stop - part.start for part in plan.parts)
    # At least one, as no step may be left that is probed.
    probes = max(1, *(int(plan.probed[part].sum()) for part in plan.parts))
    members, arguments = (
        placement.put(placement.repeat_last(tree, extra), mesh, PER_MEMBER)
        for tree in (members, dict(arguments))
    )
    data = placement.put(data, mesh, SHARED)

    def inputs(part):
        order, probed = _steps(plan, part, length, extra)
        return (
            placement.put(order, mesh, PER_STEP),
            placement.put(probed, mesh, SHARED),
        )

    program = compiled(
        many_steps(step, probe, probes),
        mesh,
        members,
        *inputs(plan.parts[0]),
        data,
        arguments,
    )

    def run(members: Members, part: slice, count: int | None = None) -> Call:
        count = part.stop - part.start if count is None else count
        order, probed = inputs(part)
        number = placement.put(jnp.int32(count), mesh, SHARED)
        began = time.perf_counter()
        after, outputs, values = jax.block_until_ready(
            program(members, order, probed, number, data, arguments)
        )
        seconds = time.perf_counter() - began
        metrics, finite = placement.fetch(outputs)
        due = np.flatnonzero(plan.probed[part][:count])
        return Call(
            plan.first + part.start,
            after,
            jax.tree.map(lambda leaf: leaf[:count, :total], metrics),
            finite[:count, :total],
            plan.first + part.start + due,
            jax.tree.map(lambda v: v[: len(due), :total], placement.fetch(values)),
            seconds,
        )

    return members, run


def _steps(plan: Plan, part: slice, length: int, extra: int) -> tuple[Any, Any]:
    """Order and probes of a part, filled to the program's steps and members."""
    order, probed = plan.order[part], plan.probed[part]
    order = placement.repeat_last(order, extra, axis=1)
    order = placement.repeat_last(order, length - len(order))
    return order, placement.repeat_last(probed, length - len(probed))


def first_failures(
    call: Call, nonfinite: Int[np.ndarray, " members"], stop: bool
) -> list[tuple[int, int]]:
    """Members with a step that is not finite for the first time, and that step.

    Args:
        call: The call.
        nonfinite: Number of such steps of each member before the call.
        stop: Whether only the first of all counts, which ends the training.

    Returns:
        Pairs of a member and a step of the call.
    """
    failed = ~call.finite & (nonfinite == 0)
    members = np.flatnonzero(failed.any(axis=0)).tolist()
    pairs = [(i, int(failed[:, i].argmax())) for i in members]
    pairs.sort(key=lambda pair: pair[1])
    return pairs[:1] if stop else pairs


def locate(
    run: Callable[..., Call],
    members: Members,
    plan: Plan,
    where: tuple[slice, int, int],
    study: Study,
) -> NonFiniteError:
    """Repeat the steps before one that is not finite, to find the array.

    Args:
        run: From `prepare`.
        members: Members before the call.
        plan: The steps.
        where: Part of the plan, index of the step in the part, index of the member.
        study: The loss and the members.

    Returns:
        An error, to be raised or reported.
    """
    part, step, i = where
    before = placement.fetch(run(members, part, step).members.state)
    state = jax.tree.map(lambda leaf: leaf[i], before)
    indices = plan.order[part][step, i]
    batch = jax.tree.map(lambda array: jnp.asarray(array)[indices], study.data)
    arguments = {name: values[i] for name, values in study.arguments.items()}
    name = tensor_not_finite(study.loss_fn, state, batch, arguments)
    number = plan.first + part.start + step + 1
    return NonFiniteError(number, study.seeds[i], name, settings_of(i, study.settings))
