"""The instruments, each as curves of a recurrent layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.harness.networks import Network, RecurrentPart
from experiments.harness.padding import median_from_end
from experiments.inspect.config import FEW
from nets import flow
from nets.flow.decay import norms_of
from nets.recurrent import by_cell

EXPONENTS = 8  # the largest


class Curve(NamedTuple):
    """One curve of an instrument, for every seed of a network.

    Attributes:
        network: Name of the network.
        cell: Name of the cell in its layer, such as "forward"; "" for a single cell.
        part: Part of the cell, such as the name of a gate; "" if there is one curve.
        values: Values, [seeds, x].
    """

    network: str
    cell: str
    part: str
    values: Float[np.ndarray, "seeds x"]

    @property
    def name(self) -> str:
        """Text such as "gru, forward, update"."""
        return ", ".join(filter(None, (self.network, self.cell, self.part)))


class Instrument(NamedTuple):
    """An instrument.

    Attributes:
        measure: Function from a `RecurrentPart` to curves by cell and part.
        title: Title of its table.
        x: Label of the x axis.
        y: Label of the y axis.
        number: Name of the number that summarizes a curve.
        summarize: Function from values [seeds, x] to that number, [seeds].
        few: Whether it measures along a few sequences only.
    """

    measure: Callable[[RecurrentPart], dict[tuple[str, str], Array]]
    title: str
    x: str
    y: str
    number: str
    summarize: Callable[[np.ndarray], np.ndarray]
    few: bool = False


def _options(part: RecurrentPart) -> dict[str, Any]:
    """Options of an instrument for sequences of different lengths."""
    return {} if part.lengths is None else {"lengths": part.lengths}


def _median(part: RecurrentPart, log_norms: Array, reverse: bool = False) -> Array:
    """Median over sequences in the order of reading, from log norms [time, sequences].

    Sequences of different lengths are aligned at the step that is read last.
    """
    if part.lengths is not None:
        return median_from_end(log_norms, part.lengths, reverse)
    median = jnp.median(log_norms, axis=1)
    return median[::-1] if reverse else median


def gradients(part: RecurrentPart) -> dict[tuple[str, str], Array]:
    """ln |dL/ds_t| in the order of reading, the median over sequences, by cell."""
    _, states = flow.state_gradients(
        part.layer, part.params, part.xs, part.loss, **_options(part)
    )
    curves = {}
    for name, cell in by_cell(part.layer, part.layer.cells).items():
        norms = norms_of(by_cell(part.layer, states)[name])
        curves[name, ""] = _median(part, norms, cell.reverse)
    return curves


def inputs(part: RecurrentPart) -> dict[tuple[str, str], Array]:
    """ln |dL/dx_t|, the median over sequences."""
    _, saliency = flow.input_saliency(
        part.layer, part.params, part.xs, part.loss, **_options(part)
    )
    return {("", ""): _median(part, norms_of(saliency))}


def gates(part: RecurrentPart) -> dict[tuple[str, str], Array]:
    """Mean of every gate at every step, over units and sequences, by cell."""
    statistics = flow.gates(part.layer, part.params, part.xs, **_options(part))
    return {
        (cell, name): gate.mean
        for cell, of_cell in by_cell(part.layer, statistics).items()
        for name, gate in of_cell.items()
    }


def lyapunov(part: RecurrentPart) -> dict[tuple[str, str], Array]:
    """The largest Lyapunov exponents, the mean over sequences, by cell."""

    def spectra(count=None):
        spectrum = flow.lyapunov_spectrum(
            part.layer, part.params, part.xs, count=count, **_options(part)
        )
        return {n: s.exponents for n, s in by_cell(part.layer, spectrum).items()}

    sizes = [s.shape[-1] for s in jax.eval_shape(spectra).values()]
    largest = spectra(min(EXPONENTS, *sizes))
    return {(name, ""): exponents.mean(axis=0) for name, exponents in largest.items()}


def lags(part: RecurrentPart) -> dict[tuple[str, str], Array]:
    """ln |dL_t/ds_{t-k}| by the lag k, the median over steps and sequences, by cell."""
    if part.losses is None:
        raise ValueError("the outputs of the layer predict nothing step by step")
    matrices: Any = flow.lag_matrix(
        part.layer, part.params, part.xs, part.losses, **_options(part)
    )
    curves = {}
    for name, matrix in matrices.items():
        there = jnp.where(jnp.isneginf(matrix), jnp.nan, matrix)
        curves[name, ""] = jnp.nanmedian(there, axis=(0, 2))
    return curves


def decay_rate(values: np.ndarray) -> np.ndarray:
    """Decay rate back in time, from log norms [seeds, time]."""
    return np.asarray(flow.decay_rate(jnp.asarray(values).T))


def decay_by_lag(values: np.ndarray) -> np.ndarray:
    """Decay rate from log norms by lag, [seeds, lags]."""
    present = np.where(np.isnan(values), -np.inf, values)
    return decay_rate(present[:, ::-1])


INSTRUMENTS = {
    "gradients": Instrument(
        gradients,
        "Gradient of the loss by the state",
        "step, in the order of reading",
        "ln |dL/ds_t|, nats",
        "decay back in time, nats/step",
        decay_rate,
    ),
    "inputs": Instrument(
        inputs,
        "Gradient of the loss by the input",
        "step",
        "ln |dL/dx_t|, nats",
        "increase per step, nats",
        decay_rate,
    ),
    "gates": Instrument(
        gates,
        "Gates",
        "step",
        "mean of the gate",
        "mean over steps",
        lambda values: np.nanmean(values, axis=1),  # nan at steps of no sequence
    ),
    "lyapunov": Instrument(
        lyapunov,
        "Lyapunov exponents",
        "index of the exponent",
        "nats per step",
        "largest, nats/step",
        lambda values: values[:, 0],
        few=True,
    ),
    "lags": Instrument(
        lags,
        "Gradient of the loss of a step by earlier states",
        "lag k, steps",
        "ln |dL_t/ds_{t-k}|, nats",
        "decay with the lag, nats/step",
        decay_by_lag,
        few=True,
    ),
}


def measure(
    instrument: Instrument, network: Network, params: Any, examples: int
) -> dict[tuple[str, str], np.ndarray]:
    """Measure a network with one instrument.

    Args:
        instrument: The instrument.
        network: A network with a recurrent layer.
        params: Its parameters, [seeds, ...].
        examples: Number of held-out examples.

    Returns:
        Curves [seeds, x] by cell and part.

    Raises:
        ValueError: The instrument cannot measure the network, such as gates that it
            does not have.
    """
    recurrent, count = network.recurrent, min(FEW, examples)
    assert recurrent is not None

    keys: list[tuple[str, str]] = []

    def of_seed(params):
        part = recurrent(params, count if instrument.few else examples)
        curves = instrument.measure(part)
        keys[:] = curves  # whose order jit would not keep
        return list(curves.values())

    curves = jax.jit(lambda params: jax.lax.map(of_seed, params))(params)
    return dict(zip(keys, map(np.asarray, curves), strict=True))
