"""The steps of `--what=cost`."""

from experiments.harness.devices import cores
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.throughput import ratios
from experiments.throughput.config import Config
from experiments.throughput.cost import figures, measure
from experiments.throughput.cost.measure import SCAN, TIME
from experiments.throughput.rows import Row


def run(config: Config, results: Run) -> None:
    """Time all jobs, and publish the results."""

    def log(point: measure.Point, row: Row) -> None:
        results.log(kind="cost", axis=point.axis, value=point.value, **row.logged())

    measured = measure.run_points(config, log)
    curves = measure.curves(measured)
    crossing = measure.crossover(measured)
    most = max((point.value for point, _ in measured if point.axis == SCAN), default=0)
    findings = [
        f"lax.associative_scan is faster than the loop from T = {crossing:,} steps."
        if crossing
        else f"lax.associative_scan is not faster than the loop at T = {most:,} steps."
    ]
    findings += _remat(curves)
    findings += ratios.refusals([row for _, row in measured])
    caption = (
        f"Varied from {config.batch_size} sequences of {config.time} steps and "
        f"{config.features} units and inputs; the minGRU reads {measure.SCAN_BATCH} "
        f"sequences. Shortest of {config.rounds} rounds; memory as XLA plans it: "
        f"temporary arrays and results; {cores()} cores. Powers are fitted to the "
        "larger half of the values."
    )
    publish(
        results,
        answer=figures.answer(curves),
        figures={"cost.png": figures.draw(curves, crossing, caption)},
        tables={
            "Cost of a train step, and the power of its growth": figures.table(curves)
        },
        findings=findings,
    )


def _remat(curves: list[measure.Curve]) -> list[str]:
    """Sentences about rematerialization, for the longest sequence."""
    there = {curve.label: curve for curve in curves if curve.axis == TIME}
    sentences = []
    for label, plain in there.items():
        remat = there.get(f"{label} remat")
        if remat is not None and remat.values == plain.values and remat.bytes[-1]:
            memory = plain.bytes[-1] / remat.bytes[-1]
            time = remat.seconds[-1] / plain.seconds[-1]
            sentences.append(
                f"At T = {plain.values[-1]:,}, remat of the {label} takes {time:.2f} "
                f"times as long, and the plain step {memory:.1f} times as much memory."
            )
    return sentences
