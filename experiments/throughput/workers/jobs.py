"""Jobs of all contenders: layers, sizes, and the numbers that they start from."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import nets
from nets.cells import GRUParams
from nets.recurrent import BidirectionalParams

FORWARD, TRAIN = "forward", "train"
SEQUENCES = 16  # of each array [time, batch, ...] that are compared
HIGHEST, DEFAULT, BFLOAT16 = "highest", "default", "bfloat16"


class Job(NamedTuple):
    """A program to time.

    Attributes:
        layer: Name of the layer: a cell, or "bidirectional_lstm" or "stacked_lstm".
        batch: Sequences.
        time: Steps of a sequence.
        inputs: Features of the input.
        features: Units of a layer and direction.
        program: `FORWARD`; or `TRAIN`, which also computes the gradients by parameters
            and inputs.
        precision: Precision of matrix products on accelerators, "default" or "highest";
            or "bfloat16" for parameters and inputs.
    """

    layer: str
    batch: int
    time: int
    inputs: int
    features: int
    program: str
    precision: str = DEFAULT

    @property
    def cell(self) -> str:
        """Name of the cell."""
        return "lstm" if self.layer.endswith("_lstm") else self.layer

    @property
    def size(self) -> str:
        """The size as text."""
        return f"{self.batch}x{self.time}x{self.inputs}x{self.features}"


class Refused(Exception):
    """A contender does not have the program, in one sentence."""


def layer_of(job: Job, cell: nets.Cell) -> nets.recurrent.RecurrentLayer:
    """The layer of a cell."""
    if job.layer == "bidirectional_lstm":
        return nets.bidirectional(cell)
    if job.layer == "stacked_lstm":
        return nets.stack(cell, cell)
    return nets.as_layer(cell)


def map_cells(function: Callable[[Any], Any], params: Any) -> Any:
    """Apply a function to the parameters of each cell of a layer."""
    if isinstance(params, BidirectionalParams):
        return BidirectionalParams(*map(function, params))
    return tuple(map(function, params)) if type(params) is tuple else function(params)


def composed(job: Job, run: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """The layer of a library that runs a cell over time.

    Args:
        job: The job.
        run: `ys = run(params, xs, reverse)`, for one cell.

    Returns:
        `ys = apply(params, xs)`, for parameters as from `map_cells`.
    """
    import jax.numpy as jnp

    if job.layer == "bidirectional_lstm":
        return lambda params, xs: jnp.concatenate(
            [run(params.forward, xs, False), run(params.backward, xs, True)], axis=-1
        )
    if job.layer == "stacked_lstm":
        return lambda params, xs: run(params[1], run(params[0], xs, False), False)
    return lambda params, xs: run(params, xs, False)


def draw_params(job: Job, cell: nets.Cell) -> Any:
    """Random parameters: uniform, as PyTorch draws them.

    The b_hn of a GRU is zero, as not all libraries have it.
    """
    rng = np.random.default_rng(0)
    bound = job.features**-0.5
    shapes = jax.eval_shape(
        lambda key: layer_of(job, cell).init(key, job.inputs, job.features),
        jax.random.key(0),
    )

    def without_b_hn(params):
        if isinstance(params, GRUParams) and params.b_hn is not None:
            return params._replace(b_hn=np.zeros_like(params.b_hn))
        return params

    def draw(leaf):
        return rng.uniform(-bound, bound, leaf.shape).astype(np.float32)

    return map_cells(without_b_hn, jax.tree.map(draw, shapes))


def draw_inputs(job: Job) -> np.ndarray:
    """Random inputs, [time, batch, inputs]."""
    return _inputs((job.time, job.batch, job.inputs))


@functools.lru_cache(maxsize=1)
def _inputs(shape: tuple[int, int, int]) -> np.ndarray:
    """Inputs of one shape, drawn once for all contenders."""
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def named(tree: Any) -> dict[str, np.ndarray]:
    """Arrays of a tree by name."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path): np.asarray(leaf, np.float32) for path, leaf in paths
    }


def difference(
    numbers: dict[str, np.ndarray], reference: dict[str, np.ndarray]
) -> float:
    """Largest deviation from a reference, relative to the largest number.

        max_a max |a - r| / max |r|    over the arrays a, with their references r

    Args:
        numbers: Arrays by name.
        reference: Arrays by name, at least the same names.

    Returns:
        The deviation; infinity where a number is nan.

    Example:
        >>> r = np.array([2.0, -4.0])
        >>> difference({"a": r + 1}, {"a": r, "b": r})
        0.25
    """
    worst = 0.0
    for name, array in numbers.items():
        expected = reference[name]
        if array.shape != expected.shape:
            raise ValueError(
                f"expected {name} of shape {expected.shape}; got {array.shape}"
            )
        scale = max(float(np.abs(expected).max(initial=0.0)), 1e-30)
        deviation = float(np.abs(array - expected).max(initial=0.0)) / scale
        worst = max(worst, deviation if np.isfinite(deviation) else np.inf)
    return worst
