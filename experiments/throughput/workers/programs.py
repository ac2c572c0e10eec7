"""Programs of contenders that use JAX, compiled."""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from experiments.throughput.workers import jobs
from experiments.throughput.workers.contenders import (
    EQUATIONS,
    FLOOR,
    OURS,
    Contender,
    contender,
)
from experiments.throughput.workers.jobs import (
    BFLOAT16,
    FORWARD,
    HIGHEST,
    TRAIN,
    Job,
    Refused,
)
from experiments.throughput.workers.server import Prepared, one_line

AXIS = "data"


def program(
    apply: Callable[[Any, Any], Any], job: Job, solves: bool = False
) -> Callable[[Any, Any], Any]:
    """The function to compile.

    Args:
        apply: `ys = apply(params, xs)`, or `ys, solve = apply(params, xs)`.
        job: The job.
        solves: Whether `apply` returns a pair.

    Returns:
        `function(params, xs)` like `apply`; or, to train, the mean of the squared
        outputs and its gradients by parameters and inputs. The `solve` is next to the
        outputs, or next to the mean.
    """
    if job.program == FORWARD:
        return apply

    def loss(params, xs):
        ys, *solve = apply(params, xs) if solves else (apply(params, xs),)
        mean = jnp.square(ys.astype(jnp.float32)).mean()
        return (mean, *solve) if solves else mean

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=solves)


def _sharded(
    function: Callable[[Any, Any], Any], job: Job
) -> Callable[[Any, Any], Any]:
    """The function of a batch that is split over all devices."""
    everywhere, split = PartitionSpec(), PartitionSpec(None, AXIS)

    def local(params, xs):
        # As if they differed, or each step of the backward pass would add gradients
        # over the devices.
        params = jax.lax.pcast(params, AXIS, to="varying")
        results = function(params, xs)
        if job.program == FORWARD:
            return results
        loss, (by_params, by_xs) = results
        loss, by_params = jax.lax.pmean((loss, by_params), AXIS)
        return loss, (by_params, by_xs / jax.device_count())

    out = split if job.program == FORWARD else (everywhere, (everywhere, split))
    return jax.shard_map(
        local, mesh=_mesh(), in_specs=(everywhere, split), out_specs=out
    )


def _mesh() -> jax.sharding.Mesh:
    """All devices in one axis."""
    kinds: Any = (AxisType.Auto,)
    return jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=kinds)


def prepare(
    job: Job, names: Sequence[str], threads: int
) -> dict[str, "Prepared | str"]:
    """Compile contenders.

    Args:
        job: The job.
        names: Names of contenders.
        threads: Number of programs that are compiled at once.

    Returns:
        Each `Prepared`, or why it is not.
    """
    inputs = _Inputs(job)
    made: dict[str, Any] = {}
    with ThreadPoolExecutor(threads) as pool:
        for name in names:
            try:
                made[name] = _prepare(name, job, inputs, pool)
            except Refused as error:
                made[name] = str(error)
            except Exception as error:  # of a library, of any type
                made[name] = one_line(error)
            if threads == 1:
                made[name] = _finished(made[name])  # before the next is traced
    return {name: _finished(value) for name, value in made.items()}


def warm_up() -> None:
    """Compile a first program, which takes longer than later ones."""
    prepare(Job("elman", 1, 2, 1, 1, TRAIN), [OURS], 1)


class _Inputs:
    """Inputs of a job on the device, in the layouts of contenders."""

    def __init__(self, job: Job):
        self._job, self._arrays = job, {}

    def get(self, batch_first: bool) -> jax.Array:
        """Inputs, [time, batch, inputs] or [batch, time, inputs]."""
        if batch_first not in self._arrays:
            xs = jobs.draw_inputs(self._job)
            xs = np.ascontiguousarray(xs.swapaxes(0, 1)) if batch_first else xs
            xs = xs.astype(jnp.bfloat16) if self._job.precision == BFLOAT16 else xs
            self._arrays[batch_first] = jax.device_put(xs)
        return self._arrays[batch_first]


def _prepare(
    name: str, job: Job, inputs: _Inputs, pool: ThreadPoolExecutor
) -> Callable[[], Prepared]:
    """Trace a contender, and begin to compile it; the result waits for its end."""
    if name == FLOOR:
        function, *arguments = _floor(job)
        numbers: Any = None
        equation, solves = "", False
    else:
        made = contender(name, job)
        equation = made.equation
        weights = jobs.draw_params(job, EQUATIONS[equation]())
        # On an accelerator, each small program would be compiled for a second.
        with on_cpu():
            dtype = jnp.bfloat16 if job.precision == BFLOAT16 else jnp.float32
            weights = jax.tree.map(lambda a: jnp.asarray(a, dtype), weights)
            params = jax.tree.map(np.asarray, made.convert(weights))
        arguments = [jax.device_put(params), inputs.get(made.batch_first)]
        function = program(made.apply, job, made.solves)
        if made.sharded:
            function = _sharded(function, job)
            split = NamedSharding(_mesh(), PartitionSpec(None, AXIS))
            arguments[1] = jax.device_put(arguments[1], split)
            everywhere = NamedSharding(_mesh(), PartitionSpec())
            arguments[0] = jax.device_put(arguments[0], everywhere)
        numbers = partial(_numbers, made, weights, job)
        solves = made.solves
    highest = HIGHEST if job.precision == HIGHEST else None
    began = time.perf_counter()
    with jax.default_matmul_precision(highest):  # type: ignore[arg-type]
        lowered = jax.jit(function).lower(*arguments)
    traced = time.perf_counter() - began
    compiling = pool.submit(_compiled, lowered)

    def finish() -> Prepared:
        compiled, seconds = compiling.result()
        return Prepared(
            lambda: compiled(*arguments),
            jax.block_until_ready,
            None if numbers is None else lambda: numbers(compiled(*arguments)),
            equation,
            traced + seconds,
            _memory(compiled),
            (lambda: _solve_of(job, compiled(*arguments))) if solves else None,
        )

    return finish


def on_cpu() -> Any:
    """A context whose arrays are on the CPU, if JAX has started it.

    Returns:
        A context manager.
    """
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:
        return contextlib.nullcontext()


def _compiled(lowered: Any) -> tuple[Any, float]:
    """A compiled program, and the time that it took."""
    began = time.perf_counter()
    return lowered.compile(), time.perf_counter() - began


def _finished(value: Any) -> "Prepared | str":
    """A contender whose compilation has ended, or why it failed."""
    if isinstance(value, str | Prepared):
        return value
    try:
        return value()
    except Exception as error:  # of the compiler, of any type
        return one_line(error)


def _memory(compiled: Any) -> int | None:
    """Bytes of temporary arrays and results, as XLA plans them."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return int(analysis.temp_size_in_bytes + analysis.output_size_in_bytes)


def _solve_of(job: Job, results: Any) -> Any:
    """How a solver ended, in the results of its program."""
    return results[1] if job.program == FORWARD else results[0][1]


def _numbers(made: Contender, weights: Any, job: Job, results: Any) -> dict:
    """Results as this library has them: time first, gradients by its parameters."""
    if made.solves:
        solve = _solve_of(job, results)
        if not solve.converged:
            raise Refused(
                f"it does not converge in {int(solve.iterations)} iterations "
                f"(residual {float(solve.residual):.0e})"
            )
        whole, by = results
        results = whole if job.program == FORWARD else (whole[0], by)

    def first(array):
        axis = 0 if made.batch_first else 1
        count = min(job.batch, jobs.SEQUENCES)
        some = np.asarray(jax.lax.slice_in_dim(array, 0, count, axis=axis), np.float32)
        return some.swapaxes(0, 1) if made.batch_first else some

    if job.program == FORWARD:
        return {"ys": first(results)}
    loss, (by_params, by_xs) = results
    with on_cpu():
        _, to_ours = jax.vjp(made.convert, weights)
        (gradient,) = to_ours(
            jax.tree.map(lambda a: jnp.asarray(np.asarray(a)), by_params)
        )
    arrays = jobs.named(gradient)
    if made.lacks:
        arrays = {k: v for k, v in arrays.items() if not k.endswith(made.lacks)}
    return arrays | {"loss": np.asarray(loss, np.float32), "xs": first(by_xs)}


def _floor(job: Job) -> tuple[Any, ...]:
    """The matrix products of a step, each over all steps at once, and their inputs."""
    gates = {"elman": 1, "lstm": 4, "gru": 3, "min_gru": 2}[job.cell]
    recurrent = 0 if job.cell == "min_gru" else job.features
    widths = {"bidirectional_lstm": [job.inputs] * 2}
    widths["stacked_lstm"] = [job.inputs, job.features]
    dtype = jnp.bfloat16 if job.precision == BFLOAT16 else jnp.float32
    triples, key = [], jax.random.key(0)
    for width in widths.get(job.layer, [job.inputs]):
        rows, columns = job.time * job.batch, gates * job.features
        shapes = (
            (rows, width + recurrent),
            (width + recurrent, columns),
            (rows, columns),
        )
        # Random numbers, as products of ones take less power on a GPU.
        triples.append([jax.random.normal(key, shape, dtype) for shape in shapes])

    def products(triples: Iterable) -> Any:
        if job.program == FORWARD:
            return [a @ w for a, w, _ in triples]
        return [(a @ w, g @ w.T, a.T @ g) for a, w, g in triples]

    return products, triples
