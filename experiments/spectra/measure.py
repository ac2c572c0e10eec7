"""Lyapunov exponents and singular values of one cell with one initialization."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness.starts import Start
from nets import Cell, flow
from nets.types import Params


class SpectrumResult(NamedTuple):
    """Spectra of one cell with one initialization, in nats per step, over seeds.

    Attributes:
        cell: Name of the cell.
        init: Name of the initialization, or "own" if the cell takes none.
        exponents: Lyapunov exponents, descending, [seeds, n]; -inf for a direction that
            is lost.
        errors: Standard errors of the exponents.
        log_singular_values: ln of the singular values of the product of Jacobians, per
            step, descending.
    """

    cell: str
    init: str
    exponents: Float[np.ndarray, "seeds n"]
    errors: Float[np.ndarray, "seeds n"]
    log_singular_values: Float[np.ndarray, "seeds n"]

    @property
    def name(self) -> str:
        """The cell, with the initialization unless that adds nothing."""
        plain = self.init in ("own", self.cell)
        return self.cell if plain else f"{self.cell} ({self.init})"

    @property
    def largest(self) -> Float[np.ndarray, " seeds"]:
        """The largest exponent, that of the slowest direction."""
        return self.exponents[:, 0]


def make_measure(cell: Cell, config: Any) -> Callable[[Params, Array], Any]:
    """Compile a function of the parameters and inputs of all seeds.

    Args:
        cell: Any `Cell`.
        config: The flags.

    Returns:
        Function `exponents, errors, log_singular_values = function(params, xs)`. Each
        result is [seeds, n], in nats per step, the mean over the sequences.
    """
    warmup, steps = config.warmup, config.steps - config.warmup

    @jax.jit
    @jax.vmap
    def function(params, xs):
        spectrum = flow.lyapunov_spectrum(cell, params, xs, warmup=warmup)
        state = nets.unroll(cell, params, xs[:warmup])[0] if warmup else None
        product = flow.log_singular_values(
            cell, params, xs[warmup:], state, count=None
        )[-1]
        errors = jnp.linalg.norm(spectrum.errors, axis=0) / config.batch_size
        return spectrum.exponents.mean(axis=0), errors, product.mean(axis=0) / steps

    return function


def draw_start(
    cell: Cell, seed: int, config: Any
) -> tuple[Params, Float[Array, "time batch inputs"]]:
    """Parameters and inputs of one seed."""
    key = jax.random.key(seed)
    params = cell.init(jax.random.fold_in(key, 0), config.inputs, config.features)
    shape = config.steps, config.batch_size, config.inputs
    return params, jax.random.normal(jax.random.fold_in(key, 1), shape)


def measure_start(
    start: Start, measure: Callable[[Params, Array], Any], config: Any
) -> SpectrumResult:
    """Measure one cell with one initialization, for all seeds."""
    pairs = [draw_start(start.made, seed, config) for seed in config.seeds]
    params, xs = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    return SpectrumResult(start.cell, start.init, *map(np.asarray, measure(params, xs)))
