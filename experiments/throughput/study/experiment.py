"""The steps of the experiment."""

from experiments.harness import cli
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.throughput.config import Config
from experiments.throughput.study import claims, figures, measure, overhead
from experiments.throughput.workers.protocol import EXAMPLES


def run(config: Config, results: Run) -> None:
    """Time every cell in turn, and publish the results."""
    if config.batch_size > EXAMPLES:
        raise cli.UsageError(
            f"flag --batch_size: expected at most {EXAMPLES}, the training sequences; "
            f"got {config.batch_size}"
        )
    times = []
    for cell in config.cells:
        for measured in measure.measure(cell, config):
            results.log(kind="step", **measured._asdict())
            times.append(measured)
    judged = claims.evaluate_claims(times)
    if config.overhead_steps:
        ratios = overhead.measure(config)
        results.log(kind="overhead", ratios=ratios)
        judged.append(claims.overhead_claim(ratios))
    findings = []
    if not measure.has_torch():
        findings.append("PyTorch was not timed: it is not installed.")
    caption = (
        f"Training steps of {config.batch_size} sequences of {config.time} steps, "
        f"{config.features} units, Adam; shortest of {config.rounds} rounds of "
        f"{config.seconds:g} s, in which the contenders take turns; "
        f"{measure.cores()} cores."
    )
    publish(
        results,
        answer=claims.answer(times),
        figures={"throughput.png": figures.draw(times, caption)},
        tables={
            "Time of a step of all models, ms: least, median (least divided by that of "
            "one program)": claims.table(times)
        },
        claims=judged,
        findings=findings,
    )
