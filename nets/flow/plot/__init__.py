"""Figures of what the instruments return.

    from nets.flow import plot

    loss, gradients = flow.state_gradients(cell, params, xs, loss=loss)
    ax = plot.gradient_norms(flow.log_norms(gradients))

Each function takes the result of an instrument, draws it into `ax` (by default into a
new figure of pyplot), and returns the `Axes`. Several results, as a dict by name, are
drawn together. Axes after the first or the second are samples: seeds or sequences.

This package is the only one in nets that imports Matplotlib. Settings of Matplotlib are
used, and never changed.
"""

from nets.flow.plot.curves import COLORS, STYLES, curves
from nets.flow.plot.instruments import gates, gradient_norms, paths, spectrum
from nets.flow.plot.maps import DIVERGING, gradient_heat_map, lag_matrix, saliency

__all__ = [
    "COLORS",
    "DIVERGING",
    "STYLES",
    "curves",
    "gates",
    "gradient_heat_map",
    "gradient_norms",
    "lag_matrix",
    "paths",
    "saliency",
    "spectrum",
]
