"""The steps of `--what=layers`."""

from experiments.harness.devices import cores
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.throughput import ratios
from experiments.throughput.config import Config
from experiments.throughput.layers import claims, measure
from experiments.throughput.rows import timed
from experiments.throughput.workers.contenders import AS_HAIKU, OURS


def run(config: Config, results: Run) -> None:
    """Time all layers, and publish the results."""
    rows = measure.run_jobs(
        config, lambda row: results.log(kind="time", **row.logged())
    )
    findings = claims.devices(rows)
    if missing := measure.missing(config):
        findings.append(f"Not installed, and not timed: {', '.join(missing)}.")
    findings += [
        f"{AS_HAIKU}: Haiku's Elman net has ReLUs, and its GRU resets before the "
        "product. They are compared with our layers of the same equations.",
        "Memory: temporary arrays and results as XLA plans them; in PyTorch the growth "
        "of the process in a step.",
        *ratios.refusals(rows),
    ]
    answer = claims.answer(rows)
    if not timed(rows):
        return publish(results, answer=answer, findings=findings)
    caption = (
        f"Shortest of {config.rounds} rounds of {config.seconds:g} s, in which the "
        f"contenders take turns; {cores()} cores, float32. Above 1, this library is "
        "faster. Matrix products: those of a step, each over all steps at once."
    )
    shown = [n for n in ratios.contenders(rows) if n not in (OURS, AS_HAIKU)]
    times = "Time of a step, ms: least, median (least divided by ours)"
    return publish(
        results,
        answer=answer,
        figures={"layers.png": ratios.draw(timed(rows), shown, answer, caption)},
        tables={
            "Geometric mean of the times of contenders divided by ours": claims.summary(
                rows
            ),
            times: ratios.table(rows),
            "Compilation, s, and memory, MB": ratios.costs(rows),
        },
        claims=claims.evaluate_claims(rows),
        findings=findings,
    )
