"""Tables and findings, from curves."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.harness import tables
from experiments.harness.tables import Table
from experiments.inspect.measure import INSTRUMENTS, Curve


def table(name: str, curves: Sequence[Curve]) -> Table:
    """The curves of an instrument, one row per curve."""
    instrument = INSTRUMENTS[name]
    header = ["network", instrument.number, "first value", "last value"]
    rows = [
        [
            curve.name,
            *(
                tables.mean_and_deviation(values, "{:+.3f}")
                for values in (
                    instrument.summarize(curve.values),
                    curve.values[:, 0],
                    curve.values[:, -1],
                )
            ),
        ]
        for curve in curves
    ]
    return Table(header, rows)


def scores(reported: Mapping[str, np.ndarray], step: Mapping[str, int]) -> Table:
    """The held-out number of every network, from its parameters."""
    rows = [
        [name, f"{step[name]:,}", tables.mean_and_deviation(values, "{:.4f}")]
        for name, values in reported.items()
    ]
    return Table(["network", "training steps", "held-out number of the run"], rows)


def finding(name: str, curves: Sequence[Curve]) -> str:
    """The networks with the smallest and the largest number of an instrument.

    Example:
        >>> small = Curve("lstm", "", "", np.array([[0.1, 0.0]]))
        >>> large = Curve("gru", "", "", np.array([[0.3, 0.2]]))
        >>> finding("lyapunov", [small, large])
        'Lyapunov exponents: largest, nats/step, from +0.100 (lstm) to +0.300 (gru)'
    """
    instrument = INSTRUMENTS[name]
    means = {c.name: float(instrument.summarize(c.values).mean()) for c in curves}
    finite = {label: mean for label, mean in means.items() if np.isfinite(mean)}
    start = f"{instrument.title}: {instrument.number}"
    if not finite:
        return f"{start}, not finite in any network"
    low, high = (pick(finite, key=lambda n: finite[n]) for pick in (min, max))
    if low == high:
        return f"{start}, {finite[low]:+.3f} ({low})"
    return f"{start}, from {finite[low]:+.3f} ({low}) to {finite[high]:+.3f} ({high})"
