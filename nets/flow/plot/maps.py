"""Maps: gradients by two coordinates, as colors."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float, Shaped
from matplotlib.axes import Axes

from nets.flow.plot.curves import axes, mean, whole

SEQUENTIAL = "cividis"
DIVERGING = "PuOr_r"  # orange above zero, purple below, white at zero


def lag_matrix(
    lags: Float[ArrayLike, "time lag *batch"],
    *,
    ax: Axes | None = None,
    title: str = "",
    limits: tuple[int | float, int | float] | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw the gradient of each step's loss by each earlier state.

        log10 |dL_t / ds_{t-k}|,   the mean over sequences

    Args:
        lags: Result of `flow.lag_matrix` for a cell, in nats, [time, lag, *batch].
            Places at -inf, before the first state or without a gradient, stay empty.
        ax: Axes to draw on; by default those of a new figure.
        title: Title.
        limits: Lowest and highest log10 of the colors; by default the extremes.
        colorbar: Whether to add a color bar to the figure.

    Returns:
        The axes, with lags from left to right, and steps from top to bottom.

    Raises:
        ValueError: There are not two axes of time.

    Example:
        >>> from matplotlib.figure import Figure
        >>> lags = np.array([[0.0, -np.inf], [0.0, -2.3]])
        >>> ax = lag_matrix(lags, ax=Figure().subplots())
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('lag k, steps', 'step t of the loss')
    """
    values = _by_two(lags, "time, lag")
    ax = axes(ax)
    image = ax.imshow(values, aspect="auto", cmap=SEQUENTIAL, interpolation="nearest")
    label = r"$\log_{10} \|\partial L_t/\partial s_{t-k}\|$"
    _color(image, values, limits, label if colorbar else None)
    ax.set(xlabel="lag k, steps", ylabel="step t of the loss", title=title)
    whole(ax.xaxis)
    whole(ax.yaxis)
    return ax


def gradient_heat_map(
    log_norms: Float[ArrayLike, "probes time *seeds"],
    steps: Sequence[int | float] | Shaped[ArrayLike, " probes"],
    *,
    ax: Axes | None = None,
    title: str = "",
    limits: tuple[int | float, int | float] | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw the norm of the gradient over time and training.

        log10 |dL/ds_t|,   the mean over seeds

    Args:
        log_norms: Log norms in nats that were measured during training, [probes, time,
            *seeds], such as the `log_norms` of a probe of `train.fit`.
        steps: Training steps of the probes, ascending.
        ax: Axes to draw on; by default those of a new figure.
        title: Title.
        limits: Lowest and highest log10 of the colors; by default the extremes.
        colorbar: Whether to add a color bar to the figure.

    Returns:
        The axes, with time from left to right, and training from bottom to top.

    Raises:
        ValueError: The numbers of rows and of steps differ.

    Example:
        >>> from matplotlib.figure import Figure
        >>> norms = np.zeros((3, 8, 2))  # 3 probes, 8 steps, 2 seeds
        >>> ax = gradient_heat_map(norms, [0, 40, 80], ax=Figure().subplots())
        >>> ax.get_ylabel()
        'training step'
    """
    values, rows = _by_two(log_norms, "probes, time"), np.asarray(steps, float)
    if rows.shape != values.shape[:1]:
        raise ValueError(
            f"expected one training step for each of {len(values)} probes; got "
            f"{list(rows.shape)}"
        )
    ax = axes(ax)
    columns = np.arange(values.shape[1] + 1) - 0.5
    mesh = ax.pcolormesh(
        columns, _edges(rows), values, cmap=SEQUENTIAL, rasterized=True
    )
    label = r"$\log_{10} \|\partial L/\partial s_t\|$"
    _color(mesh, values, limits, label if colorbar else None)
    ax.set(xlabel="step t of the sequence", ylabel="training step", title=title)
    whole(ax.xaxis)
    return ax


def saliency(
    gradients: Float[ArrayLike, "time *batch inputs"],
    *,
    ax: Axes | None = None,
    title: str = "",
    signed: bool = False,
    limits: tuple[int | float, int | float] | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw how strongly the loss depends on each input at each step.

        log10 |dL/dx_t|,   the mean over sequences

    Args:
        gradients: Result of `flow.input_saliency` or `flow.integrated_gradients`,
            [time, *batch, inputs]. Zeros, such as padding, are left out.
        ax: Axes to draw on; by default those of a new figure.
        title: Title.
        signed: Whether to draw the mean with its sign on a linear scale, as for
            `flow.integrated_gradients`: orange above zero, purple below.
        limits: Lowest and highest value of the colors; by default the extremes.
        colorbar: Whether to add a color bar to the figure.

    Returns:
        The axes, with time from left to right, and one row per input.

    Raises:
        ValueError: There is no axis of inputs.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = saliency(np.ones((50, 5, 3)), ax=Figure().subplots())
        >>> ax.images[0].get_array().shape
        (3, 50)
    """
    array = np.asarray(gradients, float)
    if array.ndim < 2:
        raise ValueError(
            f"expected gradients [time, *batch, inputs]; got shape {list(array.shape)}"
        )
    array = np.moveaxis(array, -1, 0)
    if signed:
        values, label = array.reshape(*array.shape[:2], -1).mean(axis=2), "contribution"
        most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
        limits = (-most, most) if limits is None else limits
    else:
        with np.errstate(divide="ignore"):
            values = _by_two(np.log(np.abs(array)), "inputs, time")
        label = r"$\log_{10} |\partial L/\partial x_t|$"
    ax = axes(ax)
    cmap = DIVERGING if signed else SEQUENTIAL
    image = ax.imshow(values, aspect="auto", cmap=cmap, interpolation="nearest")
    _color(image, values, limits, label if colorbar else None)
    ax.set(xlabel="step t", ylabel="input", title=title)
    whole(ax.xaxis)
    whole(ax.yaxis)
    return ax


def _by_two(logs, names):
    """Means over samples of logarithms [rows, columns, *samples], as log10."""
    array = np.asarray(logs, float)
    if array.ndim < 2:
        raise ValueError(
            f"expected log norms [{names}, *samples]; got shape {list(array.shape)}"
        )
    front = array.shape[:2]
    samples = array.reshape(math.prod(front), math.prod(array.shape[2:]))
    values = mean(samples).reshape(front) / np.log(10)
    return np.where(np.isfinite(values), values, np.nan)


def _color(mapped: Any, values: np.ndarray, limits: Any, label: str | None) -> None:
    """Set the limits of the colors, and add a color bar if it has a label."""
    known = values[np.isfinite(values)]
    if limits is None:
        limits = (known.min(), known.max()) if known.size else (-1.0, 0.0)
    low, high = map(float, limits)
    low, high = (low, high) if high > low else (low - 0.5, low + 0.5)
    mapped.set_clim(low, high)
    if label is None:
        return
    outside = bool((known < low).any()), bool((known > high).any())
    ends = {(True, False): "min", (False, True): "max", (True, True): "both"}
    mapped.axes.figure.colorbar(
        mapped, ax=mapped.axes, label=label, extend=ends.get(outside, "neither")
    )


def _edges(steps: np.ndarray) -> np.ndarray:
    """Edges of the rows of a map, between the rows and at both ends."""
    if len(steps) < 2:
        return np.concatenate([steps - 0.5, steps + 0.5])
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([steps[:1], between, steps[-1:]])
