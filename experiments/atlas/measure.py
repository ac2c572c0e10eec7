"""Measurements of the gradient's flow in untrained networks."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from experiments.harness import probing
from nets import flow
from nets.models import SequenceClassifier
from nets.recurrent import time_first

SEQUENCES = 32  # along which gradients are measured
FEW = 4  # along which exponents are measured
DIRECTIONS = 8  # exponents
MOST = 128  # exponents of a large state
LEADING = 4  # exponents whose mean is a measure


class Flow(NamedTuple):
    """The gradient's flow in networks, one number per network.

    Exponents are means over all steps of `FEW` sequences, from random directions.

    Attributes:
        decay_rate: Decay rate of dL/ds_t, nats per step.
        half_life: Number of steps in which dL/ds_t halves, or doubles.
        horizon: Number of steps back until dL/ds_t has fallen to 1e-3; inf if it does
            not.
        exponent: Largest Lyapunov exponent, nats per step.
        exponents: Mean of the `LEADING` largest exponents, nats per step.
        conditioning: Largest exponent minus the median of the exponents of the whole
            state (or the one at place `MOST`, if the state has more than twice as many
            numbers), along one sequence, nats per step; inf if the rank of the
            Jacobians is below half. For long sequences, it is ln of the ratio of these
            singular values of the product of all Jacobians, per step.
        highway_share: Share of the gradient along the highway, from 0 to 1, the mean
            over steps; nan for a cell that tags no gates.
    """

    decay_rate: Float[Array, "*networks"]
    half_life: Float[Array, "*networks"]
    horizon: Float[Array, "*networks"]
    exponent: Float[Array, "*networks"]
    exponents: Float[Array, "*networks"]
    conditioning: Float[Array, "*networks"]
    highway_share: Float[Array, "*networks"]


def measurer(
    model: SequenceClassifier, data: tuple[Array, Array]
) -> Callable[[Any], Flow]:
    """A compiled function of the parameters of many networks.

    Args:
        model: The network.
        data: Sequences, [examples, time, inputs], and their targets.

    Returns:
        Function `flow = function(params)`, with params [networks, ...].
    """
    xs, targets = (part[:SEQUENCES] for part in data)
    few = time_first(xs[:FEW])

    def share(params, weights):
        if not probing.names_gates(model, weights, xs):
            return jnp.full((), jnp.nan)
        _, paths = flow.split_by_path(
            model.cell,
            weights,
            time_first(xs),
            lambda _, ys: probing.loss_of_outputs(model, params, ys, targets),
        )
        highway, gates = (
            flow.log_norms(part)[:-1] for part in (paths.highway, paths.through_gates)
        )
        return jnp.nanmean(jax.nn.sigmoid(highway - gates))

    def measure(params):
        norms = probing.state_gradients(model, params, (xs, targets))["forward"]
        rate = flow.decay_rate(norms)
        weights = probing.layer_params(model, params)
        spectrum = partial(flow.lyapunov_spectrum, model.cell, weights)
        size = jax.eval_shape(spectrum, few).exponents.shape[-1]
        exponents = spectrum(few, count=min(DIRECTIONS, size)).exponents.mean(axis=0)
        upper_half = spectrum(few[:, 0], count=min((size + 1) // 2, MOST)).exponents
        return Flow(
            rate,
            flow.half_life(rate),
            flow.gradient_horizon(norms),
            exponents[0],
            exponents[:LEADING].mean(),
            jnp.where(
                upper_half[-1] == -jnp.inf, jnp.inf, upper_half[0] - upper_half[-1]
            ),
            share(params, weights),
        )

    return jax.jit(lambda params: jax.lax.map(measure, params))
