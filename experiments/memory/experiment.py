"""The steps of the experiment."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import cells, cli, plotting, tables
from experiments.harness.plotting import Plot
from experiments.harness.powers import power
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.memory.config import LEAST, Config
from nets import Cell, unroll


class Curve(NamedTuple):
    """Bytes against steps.

    Attributes:
        label: Name of the cell, with or without remat.
        times: Numbers of steps.
        bytes: Bytes that XLA allocates for temporary arrays.
    """

    label: str
    times: Sequence[int]
    bytes: Sequence[int]

    @property
    def power(self) -> float:
        """The p of bytes ~ steps^p; nan if no bytes are allocated."""
        return power(self.times, self.bytes)


def run(config: Config, results: Run) -> None:
    """Compile for every length; log, draw and print the memory that XLA reports."""
    times = [LEAST]
    while times[-1] * 2 <= config.max_steps:
        times.append(times[-1] * 2)
    curves = []
    for name in config.cells:
        cell = cells.named(name, config.inputs, config.features)
        for remat in (False, True):
            sizes = [temporaries(cell, config, time, remat) for time in times]
            for time, size in zip(times, sizes, strict=True):
                results.log(
                    kind="memory", cell=name, remat=remat, time=time, bytes=size
                )
            how = "with remat" if remat else "without remat"
            curves.append(Curve(f"{name} {how}", times, sizes))
    plot = draw(curves, config)
    publish(
        results,
        answer=answer(curves),
        figures={"memory.png": plot},
        tables={"Temporary memory": table(curves)},
    )


def temporaries(cell: Cell, config: Config, time: int, remat: bool) -> int:
    """Bytes for the backward pass of one loss, as XLA plans it."""

    def loss(params, xs):
        state, _ = unroll(cell, params, xs, remat=remat)
        return sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(state))

    params = jax.eval_shape(
        lambda key: cell.init(key, config.inputs, config.features), jax.random.key(0)
    )
    xs = jax.ShapeDtypeStruct((time, config.batch_size, config.inputs), jnp.float32)
    with jax.disable_jit(False):  # compile without running
        compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    analysis = compiled.memory_analysis()
    if analysis is None:
        raise cli.UsageError(
            f"expected a device for which XLA analyzes memory; {jax.default_backend()} "
            "does not"
        )
    return analysis.temp_size_in_bytes


def table(curves: Sequence[Curve]) -> tables.Table:
    """Megabytes by steps, one row per curve, with the power of the growth."""
    times = curves[0].times
    header = ["MB for the backward pass", *(f"T = {time:,}" for time in times), "power"]
    rows = [
        [c.label, *(f"{size / 1e6:.2f}" for size in c.bytes), f"{c.power:.2f}"]
        for c in curves
    ]
    return tables.Table(header, rows)


def answer(curves: Sequence[Curve]) -> str:
    """The answer: the memory that remat saves for the longest sequence."""
    ratios = [
        plain.bytes[-1] / remat.bytes[-1]
        for plain, remat in zip(curves[::2], curves[1::2], strict=True)
        if remat.bytes[-1]
    ]
    if not ratios:
        return "Back-propagation with remat allocates no temporary memory."
    return (
        "For the longest sequence, back-propagation needs "
        f"{min(ratios):.1f} times as much memory without remat as with it."
    )


def title(curves: Sequence[Curve]) -> str:
    """The finding: as which power of the steps memory grows."""
    plain, remat = (
        " to ".join(dict.fromkeys(f"T^{p:.2f}" for p in (min(powers), max(powers))))
        if powers
        else "nothing"
        for powers in (
            [c.power for c in curves[i::2] if np.isfinite(c.power)] for i in (0, 1)
        )
    )
    if plain == "nothing":
        return "Back-propagation allocates no temporary memory."
    return (
        f"Without remat, the memory of back-propagation grows as {plain};\n"
        f"with remat, it grows as {remat}."
    )


def draw(curves: Sequence[Curve], config: Config) -> Plot:
    """Bytes against steps, both on log scales."""
    finding = title(curves)
    figure, (axis,) = plotting.figure(finding, columns=1)
    for i, curve in enumerate(curves):
        remat = i % 2 == 1
        shade = plotting.COLORS[i // 2 % len(plotting.COLORS)]
        megabytes = np.array(curve.bytes) / 1e6
        axis.plot(
            curve.times,
            megabytes,
            "o--" if remat else "o-",
            color=shade,
            label=curve.label,
        )
    positive = any(any(curve.bytes) for curve in curves)
    axis.set(xscale="log", yscale="log" if positive else "linear")
    axis.set_xlabel("steps T of the sequence")
    axis.set_ylabel("temporary memory of the backward pass, MB")
    axis.legend()
    return plotting.captioned(
        figure,
        finding,
        f"{config.features} units, {config.inputs} inputs, {config.batch_size} "
        f"sequences, float32, compiled for {jax.default_backend()}.",
        "Memory that XLA allocates for the backward pass, against the steps of the "
        "sequence, both on log scales: a straight line is a power of T.",
    )
