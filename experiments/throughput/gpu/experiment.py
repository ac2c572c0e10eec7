"""The steps of `--what=gpu`."""

import time

import jax

from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.throughput import ratios
from experiments.throughput.config import Config
from experiments.throughput.gpu import measure
from experiments.throughput.gpu.measure import GRAPH, TORCH, UNROLLED
from experiments.throughput.rows import Row, geometric_mean, timed
from experiments.throughput.workers.contenders import OURS, PARALLEL
from experiments.throughput.workers.jobs import DEFAULT, TRAIN


def run(config: Config, results: Run) -> None:
    """Time all jobs, and publish the results."""
    measured = measure.run_jobs(
        config, lambda row: results.log(kind="time", **row.logged()), time.monotonic()
    )
    rows, device = measured.rows, jax.devices()[0]
    findings = [
        "CUDA graph: XLA's flags for the whole loop, which help any program of JAX. "
        f"{UNROLLED}: a plain scan of our step, with the gradient of JAX.",
        "Products of float32 are in TF32 at default precision, as JAX's and PyTorch's "
        "cuDNN have it, and in float32 at highest.",
        "In bfloat16, PyTorch copies the weights in every step, as it joins them once "
        "in float32 only.",
        *measure.deviating(rows),
        *ratios.refusals(rows),
    ]
    if "torch" in config.peers and not measure.has_torch(config):
        findings.append("PyTorch was not timed: it is not installed.")
    findings += ratios.late(measured.late, config.minutes)
    answer = _answer(rows)
    if not timed(rows):
        return publish(results, answer=answer, findings=findings)
    caption = (
        f"{device.device_kind} ({device.platform}); shortest of {config.rounds} rounds "
        f"of {config.seconds:g} s, in which the contenders take turns. Above 1, this "
        "library is faster."
    )
    shown = [name for name in ratios.contenders(rows) if name != OURS]
    return publish(
        results,
        answer=answer,
        figures={"gpu.png": ratios.draw(timed(rows), shown, answer, caption)},
        tables={
            "Time of a step, ms: least, median (least divided by ours)": ratios.table(
                rows
            ),
            "Compilation, s, and memory, MB": ratios.costs(rows),
        },
        findings=findings,
    )


def _answer(rows: list[Row]) -> str:
    """One sentence that answers the question."""
    groups = ratios.by_job(rows)
    parts = []
    for name, words in (
        (TORCH, "PyTorch"),
        ("linen", "Linen"),
        (GRAPH, "this library under a CUDA graph"),
        (PARALLEL, "the minGRU in parallel"),
    ):
        values = [
            value
            for job, value in ratios.ratios(groups, name, TRAIN).items()
            if job.precision == DEFAULT
        ]
        if values:
            mean = geometric_mean(values)
            parts.append(f"{words} takes {mean:.2g} times as long ({len(values)} rows)")
    if not parts:
        return "No train step was timed next to another."
    return f"Compared with a train step of this library, {', '.join(parts)}."
