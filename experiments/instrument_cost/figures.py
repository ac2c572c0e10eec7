"""The figures of time and memory against time and features."""

from collections.abc import Sequence

from experiments.harness import plotting
from experiments.harness.plotting import Plot
from experiments.instrument_cost.claims import MEBIBYTE
from experiments.instrument_cost.measure import RUNS, Growth


def draw(grown: Sequence[Growth]) -> dict[str, Plot]:
    """Draw time and memory against the numbers of steps and of units.

    Args:
        grown: Costs of the instruments.

    Returns:
        Figures by file name.
    """
    sizes = "; ".join(
        f"{growth.whole.instrument}: {growth.whole.features} units over "
        f"{growth.whole.time:,} steps, or fewer of either"
        for growth in grown
    )
    times = {
        growth.whole.instrument: [
            [cost.seconds.min() for cost in costs] for costs in growth
        ]
        for growth in grown
    }
    memory = {
        growth.whole.instrument: [
            [cost.bytes / MEBIBYTE for cost in costs] for costs in growth
        ]
        for growth in grown
    }
    jacobians = {
        f"{growth.whole.instrument}: Jacobians of all steps": [
            [cost.jacobian_bytes / MEBIBYTE for cost in costs] for costs in growth
        ]
        for growth in grown
    }
    shares = [growth.whole.bytes / growth.whole.jacobian_bytes for growth in grown]
    return {
        "instrument_time.png": _draw(
            grown,
            times,
            "time (s)",
            _finding(grown),
            f"A tanh network without inputs. {sizes}. Shortest of {RUNS} runs.",
        ),
        "instrument_memory.png": _draw(
            grown,
            memory | jacobians,
            "memory (MiB)",
            f"The instruments need up to {max(shares):.2g} times the memory of the "
            "Jacobians of all steps",
            f"A tanh network without inputs. {sizes}. Memory for intermediate values, "
            "as planned by the compiler; an array [time, features, features] for "
            "comparison.",
        ),
    }


def _finding(grown):
    """Growth of the time of each instrument, as a title."""
    parts = [
        f"{growth.whole.instrument} grows as steps^{exponents['seconds by time']:.1f} "
        f"units^{exponents['seconds by features']:.1f}"
        for growth in grown
        for exponents in [growth.exponents()]
    ]
    return "Time of " + ", ".join(parts)


def _draw(grown, curves, label, finding, caption):
    """Two panels of curves, against steps and against units, on logarithmic axes."""
    figure, axes = plotting.figure(finding, columns=2)
    panels = zip(axes, ("time", "features"), ("steps", "units"), strict=True)
    for panel, (axis, size, name) in enumerate(panels):
        for i, (curve, values) in enumerate(curves.items()):
            comparison, number = divmod(i, len(grown))
            x = [getattr(cost, size) for cost in grown[number][panel]]
            style = plotting.line_style(number)
            if comparison:
                style["linestyle"] = "--"
            axis.plot(x, values[panel], label=curve, marker="o", **style)
        sizes = {getattr(cost, size) for growth in grown for cost in growth[panel]}
        axis.set(xscale="log", yscale="log", xlabel=name)
        axis.set_xticks(sorted(sizes), [str(x) for x in sorted(sizes)])
        axis.minorticks_off()
    axes[0].set_ylabel(label)
    plotting.legend(figure, axes[0], len(curves))
    return plotting.captioned(figure, finding, caption)
