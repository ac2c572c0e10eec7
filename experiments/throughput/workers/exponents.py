"""Size of the state and largest exponent of the cell of a job."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from experiments.throughput.workers import jobs
from experiments.throughput.workers.contenders import EQUATIONS
from experiments.throughput.workers.jobs import FORWARD, Job
from experiments.throughput.workers.programs import on_cpu
from nets import flow

BATCH, TIME = 4, 256  # of the sequences along which the exponent is measured


class Description(NamedTuple):
    """The cell of a job.

    Attributes:
        state: Number n of coordinates of the state.
        exponent: Largest Lyapunov exponent, nats per step, the mean over sequences.
    """

    state: int
    exponent: float


def describe(job: Job) -> Description:
    """Measure the cell of a job, on the CPU where possible.

    Args:
        job: The job.

    Returns:
        A `Description`.
    """
    return _describe(job.cell, job.inputs, job.features)


@functools.lru_cache
def _describe(cell: str, inputs: int, features: int) -> Description:
    """Measure a cell, once for all numbers of steps and sequences."""
    job, made = Job(cell, BATCH, TIME, inputs, features, FORWARD), EQUATIONS[cell]()
    params, xs = jobs.draw_params(job, made), jobs.draw_inputs(job)
    with on_cpu():
        params, xs = jax.tree.map(jax.numpy.asarray, (params, xs))
        state = jax.eval_shape(made.initial_state, params, xs[0])
        spectrum = flow.lyapunov_spectrum(made, params, xs, count=1)
        exponent = float(np.asarray(spectrum.exponents).mean())
    return Description(sum(s.size for s in jax.tree.leaves(state)) // BATCH, exponent)
