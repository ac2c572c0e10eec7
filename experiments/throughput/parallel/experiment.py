"""The steps of `--what=parallel`."""

import time

import jax

from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.throughput import ratios
from experiments.throughput.config import Config
from experiments.throughput.parallel import figures, measure
from experiments.throughput.parallel.measure import Description
from experiments.throughput.rows import Row, timed


def run(config: Config, results: Run) -> None:
    """Time all jobs, and publish the results."""

    def log(row: Row, known: Description | None) -> None:
        more = {} if known is None else known._asdict()
        if known is not None:
            more["iterations"] = known.iterations.get(row.contender)
        results.log(kind="time", **row.logged(), **more)

    measured, described = measure.run_jobs(config, log, time.monotonic())
    rows, device = measured.rows, jax.devices()[0]
    findings = [
        "The contender ours is the loop. Solvers that do not converge are not timed.",
        *figures.published(rows),
        *ratios.refusals(rows),
        *ratios.late(measured.late, config.minutes),
    ]
    answer = figures.answer(rows)
    if not timed(rows):
        return publish(results, answer=answer, findings=findings)
    caption = (
        f"{device.device_kind} ({device.platform}); float32, default precision; "
        f"shortest of {config.rounds} rounds of {config.seconds:g} s, in which the "
        f"contenders take turns; from T = {measure.LONG:,} one step. Above 1, the loop "
        "is slower."
    )
    return publish(
        results,
        answer=answer,
        figures={"parallel.png": figures.draw(rows, caption)},
        tables={
            "Fewest steps from which it is faster than the loop": figures.crossovers(
                rows
            ),
            "Time of a step, ms: least, median (least divided by ours)": ratios.table(
                rows
            ),
            "Compilation, s, and memory, MB": ratios.costs(rows),
            "Exponent, and iterations": figures.descriptions(rows, described),
        },
        findings=findings,
    )
