"""Curves of gradients, gates and exponents."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import ArrayLike, Shaped
from matplotlib.axes import Axes

from nets.flow.decay import decay_profile, log_norms
from nets.flow.gates import GateStatistics
from nets.flow.lyapunov import LyapunovSpectrum
from nets.flow.paths import Paths
from nets.flow.plot.curves import STYLES, Curve, axes, draw, named, summary, whole


def gradient_norms(
    log_norms: Mapping[str, Shaped[ArrayLike, "time *samples"]]
    | Shaped[ArrayLike, "time *samples"],
    x: Sequence[int | float] | Shaped[ArrayLike, " time"] | None = None,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    xlabel: str = "step t",
    ylabel: str = r"norm of the gradient, $\|\partial L/\partial s_t\|$",
    reverse: bool = False,
    legend: bool = True,
    **line: Any,
) -> Axes:
    """Draw norms of gradients by step on a logarithmic scale.

        exp(mean ln |g_t|),   and the range of |g_t|, over samples

    Args:
        log_norms: Log norms in nats, [time, *samples], as from `flow.log_norms`, or a
            dict of them by name. Norms at -inf, such as padding, are left out, as in
            `flow.decay_profile`.
        x: Places on the x axis; by default the indices of the steps.
        ax: Axes to draw on; by default those of a new figure.
        title: Title; by default the half-life, if there is one series without a name.
        xlabel: Label of the x axis; "layer" for `flow.depth_log_norms`.
        ylabel: Label of the y axis.
        reverse: True if the cell read from the last step to the first, for the title.
        legend: Whether to add a legend, if there are names.
        **line: Options of `Axes.plot` for all lines.

    Returns:
        The axes. Their scale is linear if no norm is above zero.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = gradient_norms(0.1 * np.arange(50.0), ax=Figure().subplots())
        >>> ax.get_title(), ax.get_yscale()
        ('half-life 6.9 steps', 'log')
    """
    every = named(log_norms)
    drawn = {}
    for name, values in every.items():
        mean, bands = summary(values)
        drawn[name] = Curve(
            _exp(mean), [(_exp(low), _exp(high)) for low, high in bands]
        )
    ax = draw(drawn, x, ax, line, legend)
    if any((curve.mean > 0).any() for curve in drawn.values()):
        ax.set_yscale("log")
    if title is None:
        title = _half_life(every[""], reverse) if list(every) == [""] else ""
    return _labeled(ax, xlabel, ylabel, title)


def gates(
    statistics: Mapping[str, GateStatistics | Shaped[ArrayLike, "x *samples"]],
    x: Sequence[int | float] | Shaped[ArrayLike, " x"] | None = None,
    *,
    ax: Axes | None = None,
    title: str = "",
    xlabel: str = "step t",
    legend: bool = True,
    **line: Any,
) -> Axes:
    """Draw how far gates are open: the mean as a line, two quantiles as a band.

    Args:
        statistics: Result of `flow.gates` for a cell, whose innermost pair of
            `quantiles` is the band: by default the quartiles. Or means [x, *samples] by
            the name of the gate, whose range over samples is the band.
        x: Places on the x axis; by default the indices of the steps.
        ax: Axes to draw on; by default those of a new figure.
        title: Title.
        xlabel: Label of the x axis.
        legend: Whether to add a legend, if there are names.
        **line: Options of `Axes.plot` for all lines.

    Returns:
        The axes. The legend has the median memory of the units of a gate that retains
        the state.

    Example:
        >>> from matplotlib.figure import Figure
        >>> forget = np.full((10, 5), 0.9)  # 10 steps, 5 seeds
        >>> ax = gates({"forget": forget}, ax=Figure().subplots())
        >>> ax.get_ylabel()
        'gate, from 0 (closed) to 1 (open)'
    """
    ax = axes(ax)
    for i, (name, gate) in enumerate(statistics.items()):
        if isinstance(gate, GateStatistics):
            drawn = {name + _memory(gate): _quantiles(gate)}
        else:
            drawn = {name: summary(gate)}
        style = {"linestyle": STYLES[i % len(STYLES)], **line}
        draw(drawn, x, ax, style, legend)
    ax.set_ylim(0, 1)
    return _labeled(ax, xlabel, "gate, from 0 (closed) to 1 (open)", title)


def spectrum(
    spectra: Mapping[str, LyapunovSpectrum | Shaped[ArrayLike, "*samples count"]]
    | LyapunovSpectrum
    | Shaped[ArrayLike, "*samples count"],
    x: Sequence[int | float] | Shaped[ArrayLike, " count"] | None = None,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    xlabel: str = "direction, from the fastest growth",
    ylabel: str = "Lyapunov exponent, nats per step",
    legend: bool = True,
    **line: Any,
) -> Axes:
    """Draw exponents in descending order, and a line at zero.

    Args:
        spectra: Result of `flow.lyapunov_spectrum`, or rates [*samples, count], such
            as `flow.log_singular_values` of the last step divided by the number of
            steps, or a dict of them by name. Lost directions, at -inf, are left out.
        x: Places on the x axis; by default 1, 2, 3, ...
        ax: Axes to draw on; by default those of a new figure.
        title: Title; by default the largest exponent and the number of directions that
            are lost, if there is one spectrum without a name.
        xlabel: Label of the x axis.
        ylabel: Label of the y axis.
        legend: Whether to add a legend, if there are names.
        **line: Options of `Axes.plot` for all lines.

    Returns:
        The axes. A band is the range over samples; for one sample, one standard error
        to both sides.

    Example:
        >>> from matplotlib.figure import Figure
        >>> exponents = np.array([0.2, -0.1, -np.inf])
        >>> ax = spectrum(exponents, ax=Figure().subplots())
        >>> ax.get_title()
        'largest exponent +0.2 nats per step; 1 of 3 directions lost'
    """
    every, ax = named(spectra), axes(ax)
    drawn = {name: _exponents(value) for name, value in every.items()}
    for name, curve in drawn.items():
        count = np.arange(1, len(curve.mean) + 1)
        draw({name: curve}, count if x is None else x, ax, line, legend)
    if x is None:
        whole(ax.xaxis)
    ax.axhline(0, color="0.3", linewidth=0.8, zorder=0)
    if title is None:
        title = _largest(drawn[""].mean) if list(every) == [""] else ""
    return _labeled(ax, xlabel, ylabel, title)


def paths(
    paths: Paths,
    batch_axes: int | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw the norm of the gradient, and of its parts by path.

    Args:
        paths: Result of `flow.split_by_path` for a cell. For a cell of a layer, make
            one of the parts by `flow.by_cell`.
        batch_axes: As in `flow.log_norms`.
        ax: Axes to draw on; by default those of a new figure.
        **options: As in `gradient_norms`.

    Returns:
        The axes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> part = np.ones((10, 4, 8))
        >>> ax = paths(Paths(2 * part, part, part), ax=Figure().subplots())
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['whole gradient', 'along the highway', 'through gates and candidates']
    """
    names = "whole gradient", "along the highway", "through gates and candidates"
    legend, ax = options.pop("legend", True), axes(ax)
    for name, part, style in zip(names, paths, STYLES, strict=False):
        norms = {name: np.asarray(log_norms(part, batch_axes))}
        # Styles show the whole gradient where it is equal to one of its parts.
        gradient_norms(norms, ax=ax, legend=legend, **{"linestyle": style, **options})
    return ax


def _quantiles(gate):
    """The mean of a gate, and the innermost pair of its quantiles."""
    order = np.sort(np.asarray(gate.quantiles, float), axis=1).T
    below = len(order) // 2
    band = [(order[below - 1], order[-below])] if below else []
    return Curve(np.asarray(gate.mean, float), band)


def _exponents(spectrum):
    """Exponents, with their range over samples, or else their standard errors."""
    errors = None
    if isinstance(spectrum, LyapunovSpectrum):
        spectrum, errors = spectrum
    curve = summary(np.moveaxis(np.asarray(spectrum, float), -1, 0))
    if curve.bands or errors is None:
        return curve
    errors = np.asarray(errors, float).reshape(curve.mean.shape)
    errors = np.where(np.isfinite(errors), errors, np.nan)
    return Curve(curve.mean, [(curve.mean - errors, curve.mean + errors)])


def _exp(logs):
    """Numbers of their logarithms; nan where a norm is 0 or has overflowed."""
    with np.errstate(over="ignore"):
        values = np.exp(logs)
    return np.where((values > 0) & (values < np.inf), values, np.nan)


def _labeled(ax, xlabel, ylabel, title):
    """The axes with labels, and with a title if there is one."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        ax.set_title(title)
    return ax


def _half_life(log_norms, reverse):
    """The half-life of a gradient in words; "" if there is none."""
    norms = np.asarray(log_norms)
    if len(norms) < 2:
        return ""
    profile = jax.jit(decay_profile, static_argnames="reverse")(norms, reverse=reverse)
    steps, most = float(profile.half_life), len(norms) - 1
    if np.isnan(steps):
        return ""
    shown = f"{steps:.1f}" if steps <= most else f"over {most}"
    return f"{'half-life' if profile.rate >= 0 else 'doubles in'} {shown} steps"


def _memory(gate):
    """The median memory of a gate's units in words; "" for other gates."""
    if gate.memory is None:
        return ""
    steps = np.median(gate.memory)
    return "" if np.isnan(steps) else f" (memory {steps:.3g} steps)"


def _largest(exponents):
    """The largest exponent, and the number of directions that are lost, in words."""
    lost = int(np.isnan(exponents).sum())
    parts = []
    if lost < len(exponents):
        parts.append(f"largest exponent {np.nanmax(exponents):+.3g} nats per step")
    if lost:
        parts.append(f"{lost} of {len(exponents)} directions lost")
    return "; ".join(parts)
