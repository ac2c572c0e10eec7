"""The compiled program of `train.fit`: many steps of all members, with probes."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from train.cpu import compiler_options
from train.members import DATA, PER_MEMBER, PER_STEP, SHARED, STUDY, Members
from train.step import LossFn, Params, make_step


def step_of_all(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    *,
    mesh: Mesh | None = None,
    masked: bool = False,
    drop: bool = False,
) -> Callable[..., Any]:
    """One step of all members.

    Args:
        loss_fn: As in `train.fit`.
        optimizer: As in `train.fit`.
        mesh: As in `train.fit`.
        masked: Whether members that do not train, and steps that are not finite, are
            left out.
        drop: Whether a member stops to train at a step that is not finite.

    Returns:
        `members, (metrics, finite) = step(members, indices, data, arguments)`, with
        indices [members, batch_size]. For members that do not train, `finite` is True
        and the metrics are nan.
    """
    take_step = make_step(loss_fn, optimizer)

    def take(state, indices, arguments, data):
        batch = jax.tree.map(lambda array: array[indices], data)
        state, metrics = take_step(state, batch, **arguments)
        finite = jnp.isfinite(metrics.loss) & jnp.isfinite(metrics.gradient_norm)
        return state, metrics, finite

    def step_of_one(member, indices, arguments, data):
        state, metrics, finite = take(member.state, indices, arguments, data)
        return member._replace(state=state), (metrics, finite)

    def step_if_finite(member, indices, arguments, data):
        before, training, count = member
        state, metrics, finite = take(before, indices, arguments, data)
        for leaf in jax.tree.leaves(state.params):  # an update may overflow
            finite &= jnp.isfinite(leaf).all()
        if drop:
            state = state._replace(step=jnp.where(finite, state.step, before.step))
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old),
            (state.params, state.opt_state),
            (before.params, before.opt_state),
        )
        state = state._replace(params=params, opt_state=opt_state)
        training = finite if drop else training
        return Members(state, training, count + ~finite), (metrics, finite)

    def leave_out(member, indices, arguments, data):
        inputs = member, indices, arguments, data
        metrics = jax.eval_shape(step_if_finite, *inputs)[1][0]
        nan = jax.tree.map(lambda m: jnp.full(m.shape, jnp.nan, m.dtype), metrics)
        return member, (nan, jnp.array(True))

    def step_if_training(member, indices, arguments, data):
        """One step, which costs nothing on a CPU if the member does not train."""
        inputs = member, indices, arguments, data
        return jax.lax.cond(member.training, step_if_finite, leave_out, *inputs)

    def step_of_batches(members, indices, data, arguments):
        if mesh is not None and mesh.shape[DATA] > 1:
            sharding = NamedSharding(mesh, P(None, DATA))
            indices = jax.lax.with_sharding_constraint(indices, sharding)
        one = step_if_training if masked else step_of_one
        each = functools.partial(one, data=data)
        return all_members(each, members, indices, arguments, mesh=mesh)

    return step_of_batches


def all_members(
    function: Callable[..., Any], *inputs: PyTree, mesh: Mesh | None = None
) -> Any:
    """Apply a function of one member to all members.

    On a CPU it is applied to one member after the other: the arrays of one member stay
    in the cache, whereas those of all members do not, and convolutions with the kernels
    of several members are slow. Elsewhere all members are batched.

    Args:
        function: Function of one member.
        *inputs: Its arguments for all members, trees of arrays [members, ...].
        mesh: As in `train.fit`.

    Returns:
        Its results, arrays [members, ...].
    """
    if _platform(mesh) == "cpu":
        return jax.lax.map(lambda leaves: function(*leaves), inputs)
    return jax.vmap(function)(*inputs)


def _platform(mesh: Mesh | None) -> str:
    """Name of the platform that a program runs on."""
    return jax.default_backend() if mesh is None else mesh.devices.flat[0].platform


def many_steps(
    step: Callable[..., Any], probe: Callable[[Params], Any] | None, probes: int
) -> Callable[..., Any]:
    """Many steps of all members in one loop, with probes in between.

    Args:
        step: Step of all members, from `step_of_all`.
        probe: As in `train.fit`.
        probes: Largest number of probes in one call.

    Returns:
        `members, (metrics, finite), values = run(members, order, probed, count, data,
        arguments)`. `order` has the indices of the examples, [steps, members,
        batch_size]; `probed` is True before the steps of a probe, [steps]; the first
        `count` steps are taken. `values` are the results of the probe, [probes,
        members, ...].
    """

    def run(members, order, probed, count, data, arguments):
        def empty(shapes, length):
            return jax.tree.map(
                lambda s: jnp.zeros((length, *s.shape), s.dtype), shapes
            )

        def put_at(i, arrays, now):
            return jax.tree.map(lambda array, v: array.at[i].set(v), arrays, now)

        def one_step(i, carry):
            members, outputs, values, done = carry
            if probe is not None:
                values, done = jax.lax.cond(
                    probed[i],
                    lambda values, params: (
                        put_at(done, values, jax.lax.map(probe, params)),
                        done + 1,
                    ),
                    lambda values, params: (values, done),
                    values,
                    members.state.params,
                )
            members, now = step(members, order[i], data, arguments)
            return members, put_at(i, outputs, now), values, done

        shapes = jax.eval_shape(step, members, order[0], data, arguments)[1]
        values = None
        if probe is not None:
            like = jax.eval_shape(lambda p: jax.lax.map(probe, p), members.state.params)
            values = empty(like, probes)
        carry = members, empty(shapes, len(order)), values, jnp.zeros((), int)
        return jax.lax.fori_loop(0, count, one_step, carry)[:3]

    return run


def compiled(
    run: Callable[..., Any],
    mesh: Mesh | None,
    members: Members,
    order: Any,
    probed: Any,
    data: PyTree,
    arguments: PyTree,
) -> Callable[..., Any]:
    """The program, compiled for arrays of these shapes.

    Args:
        run: From `many_steps`.
        mesh: As in `train.fit`.
        members: Members, on the devices of the mesh.
        order: Indices of the examples of one call.
        probed: Steps of the call with a probe.
        data: Examples.
        arguments: Arguments of the loss that differ between members.

    Returns:
        A function with the arguments of `run`.
    """
    # With jit disabled, e.g. to debug a loss, there is nothing to compile.
    if jax.config.values["jax_disable_jit"]:
        return run
    count = jnp.zeros((), jnp.int32)
    specs = (PER_MEMBER, PER_STEP, SHARED, SHARED, SHARED, PER_MEMBER)
    program = jitted(run, mesh, specs, (PER_MEMBER, PER_STEP, PER_STEP))
    traced = program.trace(members, order, probed, count, data, arguments)
    lowered = traced.lower()
    if mesh is not None:
        _check_decompositions(lowered.as_text(), mesh)
    shards = 1 if mesh is None else mesh.shape[STUDY]
    options = compiler_options(
        traced.jaxpr, _platform(mesh), len(members.training) // shards
    )
    return lowered.compile(compiler_options=options)


def _check_decompositions(text: str, mesh: Mesh) -> None:
    """Check that the devices cannot wait for each other without end.

    On a CPU, a QR decomposition of several matrices at once blocks a thread until other
    threads have computed its parts. If every device blocks one, none may be left.
    """
    if _platform(mesh) != "cpu":
        return
    devices = len(mesh.local_devices)
    # As XLA counts its threads.
    threads = int(os.environ.get("NPROC") or os.cpu_count() or 1)
    threads = max(threads, jax.local_device_count("cpu"))
    if not 1 < devices >= threads:
        return
    if re.search(r"@lapack_.(geqrf|orgqr|ungqr)_ffi\(.*num_batch_dims = \"[1-9]", text):
        raise ValueError(
            f"expected QR decompositions of one matrix at a time on {devices} devices "
            f"that share {threads} threads; got one of several matrices, which may "
            "wait for ever: decompose them in turn by jax.lax.map, use one device, or "
            f"set the variable NPROC={devices + 1} before JAX starts"
        )


def jitted(
    function: Callable[..., Any], mesh: Mesh | None, inputs: Any, outputs: Any
) -> Any:
    """A jitted function that divides the members among the devices of a mesh.

    Args:
        function: Function of arrays of all members.
        mesh: As in `train.fit`.
        inputs: A `PartitionSpec` for each argument.
        outputs: A `PartitionSpec` for each result.

    Returns:
        The function.
    """
    if mesh is None:
        return jax.jit(function)

    def shardings(specs):
        return jax.tree.map(
            lambda spec: NamedSharding(mesh, spec),
            specs,
            is_leaf=lambda leaf: isinstance(leaf, P),
        )

    parts = function
    if mesh.shape[STUDY] > 1:
        # Members have nothing in common, so the compiler need not look for it.
        parts = jax.shard_map(
            function,
            mesh=mesh,
            in_specs=inputs,
            out_specs=outputs,
            axis_names={STUDY},
            check_vma=False,
        )
    return jax.jit(
        parts, in_shardings=shardings(inputs), out_shardings=shardings(outputs)
    )
