"""Lyapunov exponents of random networks, and the gain at which chaos begins."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from nets import flow

# Nats per step. The exponent of a cycle is 0, and its estimate stays below this value.
CHAOS = 0.002


class ExponentCurve(NamedTuple):
    """Largest Lyapunov exponents of networks of one size, against the gain.

    Attributes:
        units: Number of units N.
        exponents: Largest exponents in nats per step, [gains, seeds].
        log_rho: ln of the spectral radius of each W, [gains, seeds].
        onset: Gain above which each network is chaotic, [seeds]; nan if there is none.
    """

    units: int
    exponents: Float[np.ndarray, "gains seeds"]
    log_rho: Float[np.ndarray, "gains seeds"]
    onset: Float[np.ndarray, " seeds"]


def draw_weights(seed: int | Array, units: int) -> Float[Array, "units units"]:
    """Draw W / g, which is the same for every gain."""
    return jax.random.normal(jax.random.key(seed), (units, units)) / jnp.sqrt(units)


@partial(jax.jit, static_argnames=("units", "count", "steps", "warmup"))
def exponents(gain, seeds, *, units: int, count: int, steps: int, warmup: int):
    """Exponents and their standard errors, each [seeds, count]."""
    cell = nets.elman()

    def spectrum(seed):
        w_h = gain * draw_weights(seed, units)
        params = nets.cells.ElmanParams(jnp.zeros((1, units)), w_h, jnp.zeros(units))
        key = jax.random.fold_in(jax.random.key(seed), 1)
        state = nets.cells.ElmanState(jax.random.normal(key, (units,)))
        xs = jnp.zeros((steps, 1))
        return flow.lyapunov_spectrum(
            cell, params, xs, state, count=count, warmup=warmup
        )

    return jax.vmap(spectrum)(seeds)


def spectral_radii(seeds: Sequence[int], units: int) -> list[float]:
    """Spectral radius of W / g for each seed."""
    return [
        np.abs(np.linalg.eigvals(np.asarray(draw_weights(seed, units)))).max()
        for seed in seeds
    ]


def chaos_onset(gains: Sequence[float], exponents: np.ndarray) -> float:
    """Gain above which all exponents exceed `CHAOS`.

    Args:
        gains: Gains in ascending order.
        exponents: Largest exponent at each gain, [gains].

    Returns:
        The gain, by linear interpolation between two gains; nan if the exponent at the
        first gain exceeds `CHAOS` already, or the exponent at the last gain does not.

    Example:
        >>> chaos_onset([1.0, 2.0, 3.0], np.array([0.0, CHAOS - 0.1, CHAOS + 0.1]))
        2.5
    """
    below = np.flatnonzero(exponents <= CHAOS)
    if not len(below) or below[-1] == len(gains) - 1:
        return np.nan
    pair = slice(below[-1], below[-1] + 2)
    return float(np.interp(CHAOS, exponents[pair], gains[pair]))
