"""Contenders that use JAX: this library in several ways, its peers, plain scans."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import nets
from experiments.throughput.workers import jobs, peers
from experiments.throughput.workers.jobs import Job, Refused

OURS = "ours"
PARALLEL, REMAT = "ours, parallel", "ours, remat"
BACKWARD, NEWTON, QUASI = "ours, backward", "ours, newton", "ours, quasi"
ALL_DEVICES = "ours, all devices"
AS_HAIKU = "ours, as Haiku"
UNROLLED = "lax.scan, unroll=4"  # of our step
PLAIN, ASSOCIATIVE = "plain lax.scan", "plain lax.associative_scan"
FLOOR = "matrix products"
OPTIONS: dict[str, dict[str, Any]] = {
    PARALLEL: {"parallel": True},
    REMAT: {"remat": True},
    BACKWARD: {"parallel": "backward"},
}
SOLVERS = {NEWTON: "newton", QUASI: "quasi"}
MOST_ITERATIONS = 100

EQUATIONS: dict[str, Callable[[], nets.Cell]] = {
    "elman": nets.elman,
    "elman_relu": lambda: nets.elman(jax.nn.relu),
    "gru": nets.gru,
    "gru_reset_before": lambda: nets.gru(reset_after=False),
    "lstm": nets.lstm,
    "min_gru": nets.min_gru,
}
"""Cells of this library, by the equation of a contender."""
HAIKU = {"elman": "elman_relu", "gru": "gru_reset_before"}


class Contender(NamedTuple):
    """A layer, as a function of its parameters and inputs.

    Attributes:
        equation: Key of `EQUATIONS`.
        apply: `ys = apply(params, xs)`.
        convert: Parameters of the layer of this library to those of the contender.
        batch_first: Whether inputs and outputs are [batch, time, features].
        lacks: Name of a parameter that it does not have.
        sharded: Whether the batch is split over all devices.
        solves: True if it iterates: `ys, solve = apply(params, xs)`.
    """

    equation: str
    apply: Callable[[Any, Any], Any]
    convert: Callable[[Any], Any] = lambda params: params
    batch_first: bool = False
    lacks: str = ""
    sharded: bool = False
    solves: bool = False


def contender(name: str, job: Job) -> Contender:
    """The contender of a name.

    Args:
        name: A constant of this module, or a key of `peers.PEERS`.
        job: The job.

    Raises:
        Refused: It does not have the layer.
    """
    if name in peers.PEERS:
        peer = peers.PEERS[name](job)
        return Contender(
            peer.equation,
            jobs.composed(job, peer.run),
            partial(jobs.map_cells, peer.convert),
            peer.batch_first,
            peer.lacks,
        )
    equation = HAIKU.get(job.cell, job.cell) if name == AS_HAIKU else job.cell
    cell = EQUATIONS[equation]()
    if name in (PLAIN, ASSOCIATIVE):
        return Contender(equation, _plain_min_gru(name, job))
    if name == UNROLLED:
        return Contender(equation, jobs.composed(job, partial(_unrolled, cell)))
    if name == PARALLEL and cell.linear is None:
        raise Refused(f"a {job.cell} does not run in parallel over time")
    if name in SOLVERS:
        return Contender(equation, _solved(job, cell, SOLVERS[name]), solves=True)
    layer, options = jobs.layer_of(job, cell), OPTIONS.get(name, {})

    def apply(params, xs):
        return layer.apply(params, xs, **options)[1]

    sharded = name == ALL_DEVICES
    if sharded and (jax.device_count() < 2 or job.batch % jax.device_count()):
        raise Refused(
            f"{job.batch} sequences cannot be split over {jax.device_count()} devices"
        )
    return Contender(equation, apply, sharded=sharded)


def _unrolled(cell: nets.Cell, params: Any, xs: Any, reverse: bool) -> Any:
    """A plain scan of a cell, four steps in each iteration of the loop."""
    step = partial(cell.step, params)
    start = cell.initial_state(params, xs[0])
    return jax.lax.scan(step, start, xs, reverse=reverse, unroll=4)[1]


def _solved(job: Job, cell: nets.Cell, method: str) -> Callable[[Any, Any], Any]:
    """A cell whose states are solved for, without the loop if that fails."""
    if job.layer != job.cell:
        raise Refused(f"a solver runs one cell, not a {job.layer}")
    solver = nets.ParallelSolver(method, max_iterations=MOST_ITERATIONS)

    def apply(params, xs):
        states, solve = nets.solve_states(cell, params, xs, solver=solver)
        return states[0], solve  # the outputs are the first array of the state

    return apply


def _plain_min_gru(name: str, job: Job) -> Callable[[Any, Any], Any]:
    """The minGRU without this library, as no other library has it."""
    if job.cell != "min_gru":
        raise Refused(f"a {job.cell} has peers; the plain scan is for the minGRU")

    def apply(params, xs):
        z, n = jnp.split(xs @ params.w_i + params.b, 2, axis=-1)
        z = jax.nn.sigmoid(z)
        a, b = 1 - z, z * n
        if name == ASSOCIATIVE:
            return jax.lax.associative_scan(
                lambda first, last: (last[0] * first[0], last[0] * first[1] + last[1]),
                (a, b),
            )[1]

        def step(h, inputs):
            h = inputs[0] * h + inputs[1]
            return h, h

        return jax.lax.scan(step, jnp.zeros_like(b[0]), (a, b))[1]

    return apply
