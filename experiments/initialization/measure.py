"""Spectral norms of the Jacobian over time, and statistics of the initial weights."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from threadpoolctl import threadpool_limits

import nets
from experiments.harness import cells
from experiments.harness.starts import Start
from nets import Cell, flow, initializers
from nets.types import Params

# log10 of norms of single seeds, measured before this experiment was written.
KNOWN = {
    "linen": -18.6,
    "nnx": -23.2,
    "keras": -7.2,
    "torch": -19.7,
    "equinox": -19.5,
    "haiku": -4.9,
}
KNOWN_FOR = {"features": 128, "inputs": 32, "steps": 100}  # sizes of that LSTM


class JacobianResult(NamedTuple):
    """Norms of the Jacobian of one cell with one initializer.

    Attributes:
        cell: Name of the cell.
        init: Name of the initializer, or "own" if the cell takes none.
        times: Numbers of steps t.
        log10_norms: log10 of the norm of the Jacobian over t steps, [seeds, times].
        singular: Mean and largest singular value of W_h, gate by gate, or None.
        retention_bias: Mean bias of the gate that retains the old state, or None.
        known: Earlier measurement with a single seed, or None.
    """

    cell: str
    init: str
    times: np.ndarray
    log10_norms: Float[np.ndarray, "seeds times"]
    singular: tuple[float, float] | None
    retention_bias: float | None
    known: float | None

    @property
    def last(self) -> Float[np.ndarray, " seeds"]:
        """log10 of the norms over all steps."""
        return self.log10_norms[:, -1]

    @property
    def mean(self) -> float:
        """Mean of `last` over the seeds."""
        return float(self.last.mean())


def draw_start(
    cell: Cell, seed: int, config: Any
) -> tuple[Params, Float[Array, "time inputs"]]:
    """Parameters and inputs of one seed."""
    key = jax.random.key(seed)
    params = cell.init(jax.random.fold_in(key, 0), config.inputs, config.features)
    shape = config.steps, config.inputs
    return params, jax.random.normal(jax.random.fold_in(key, 1), shape)


def make_log10_norms(
    cell: Cell, times: np.ndarray
) -> Callable[[Params, Array], Float[np.ndarray, " times"]]:
    """Make a function that computes log10 of the spectral norm of ds_t/ds_0.

    The product of the Jacobians is normalized after each step, so that it does not
    underflow. `flow.log_singular_values` returns the same norms and also all small
    singular values, but takes many times as long at 256 coordinates.

    Args:
        cell: Any `Cell`.
        times: Numbers of steps t, each at least 1.

    Returns:
        Function `norms = function(params, xs)`, with xs [time, inputs]; it compiles
        once.
    """

    def multiply(carry, jacobian):
        product, log_size = carry
        product = jacobian @ product
        size = jnp.linalg.norm(product)
        product = product / jnp.where(size == 0, 1, size)
        carry = product, log_size + jnp.log(size)
        return carry, carry

    @jax.jit
    def multiply_all(params, xs):
        jacobians = flow.step_jacobians(cell, params, xs)
        eye = jnp.eye(jacobians.shape[-1], dtype=jacobians.dtype)
        start = eye, jnp.zeros((), jacobians.dtype)
        _, (products, log_sizes) = jax.lax.scan(multiply, start, jacobians)
        return products[times - 1], log_sizes[times - 1]

    def function(params, xs):
        products, log_sizes = map(np.asarray, multiply_all(params, xs))
        # Matrices are so small that BLAS threads only wait for each other on a busy
        # machine: one thread takes a third of a second, two have taken thirty.
        with threadpool_limits(1, "blas"):
            norms = np.linalg.norm(products.astype(float), 2, axis=(1, 2))
        logs = np.log(norms, where=norms > 0, out=np.full_like(norms, -np.inf))
        return (log_sizes + logs) / np.log(10)

    return function


def summarize_start(
    start: Start, times: np.ndarray, norms: Float[np.ndarray, "..."], config: Any
) -> JacobianResult:
    """Combine the norms with statistics of the initial weights."""
    drawn = [initial_weights(start, seed, config) for seed in config.seeds]
    matrices = [w_h for w_h, _ in drawn if w_h is not None]
    biases = [bias for _, bias in drawn if bias is not None]
    singular = None
    if matrices:
        values = np.linalg.svd(np.stack(matrices), compute_uv=False)
        largest = values.max(axis=(1, 2)).mean()  # maximum over gates, mean over seeds
        singular = float(values.mean()), float(largest)
    same = start.cell == "lstm" and all(
        getattr(config, name) == value for name, value in KNOWN_FOR.items()
    )
    return JacobianResult(
        start.cell,
        start.init,
        times,
        norms,
        singular,
        retention_bias=float(np.mean(biases)) if biases else None,
        known=KNOWN.get(start.init) if same else None,
    )


def initial_weights(
    start: Start, seed: int, config: Any
) -> tuple[Float[np.ndarray, "gates hidden features"] | None, float | None]:
    """W_h by gate, and the mean bias of gate f or z; None if there is none."""
    if start.init == cells.OWN:
        return None, None
    init = initializers.from_name(start.init)
    calls: list[tuple[Sequence[str], Array]] = []

    def recording_init(key, inputs, features, gates, hidden=None):
        drawn = init(key, inputs, features, gates, hidden)
        calls.append((gates, drawn.b_i + drawn.b_h))
        return drawn

    cell = nets.CELLS[start.cell](init=recording_init)
    params, _ = draw_start(cell, seed, config)
    gates, b = calls[0]
    w_h = getattr(params, "w_h", None)
    if w_h is not None and w_h.shape[1:] != (len(gates) * config.features,):
        w_h = None  # not one block per gate
    retaining = next((gate for gate in "fz" if gate in gates), None)
    by_gate = dict(zip(gates, np.split(np.asarray(b), len(gates)), strict=True))
    return (
        None if w_h is None else np.stack(np.split(np.asarray(w_h), len(gates), 1)),
        None if retaining is None else float(by_gate[retaining].mean()),
    )
