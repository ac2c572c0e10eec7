"""The steps of the experiment."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from experiments.harness import common_flags
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.starts import starts
from experiments.initialization import claims, figures
from experiments.initialization.config import Config
from experiments.initialization.measure import (
    JacobianResult,
    draw_start,
    make_log10_norms,
    summarize_start,
)

POINTS = 25  # number of steps t at which the norm is computed


def run(config: Config, results: Run) -> None:
    """Measure every cell with every initializer, and publish the results."""
    common_flags.check_seeds(config.seeds)
    sizes = config.inputs, config.features, config.steps
    compared, refused = starts(config.cells, config.inits, *sizes)
    times = np.unique(np.linspace(1, config.steps, POINTS).round().astype(int))
    jacobians, measures = [], {}
    total = len(compared) * len(config.seeds)
    with tqdm(total=total, unit="norm", disable=None) as bar:
        for start in compared:
            # All initializers of a cell share one compiled function.
            measure = measures.setdefault(
                start.cell, make_log10_norms(start.made, times)
            )
            norms = []
            for seed in config.seeds:
                bar.set_description(f"{start.cell}, {start.init}, seed {seed}")
                norms.append(measure(*draw_start(start.made, seed, config)))
                bar.update()
            result = summarize_start(start, times, np.stack(norms), config)
            jacobians.append(result)
            log(result, config.seeds, results)
    for sentence in refused:
        results.log(kind="refused", why=sentence)
    show(jacobians, refused, config, results)


def show(
    jacobians: Sequence[JacobianResult],
    refused: Sequence[str],
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    publish(
        results,
        answer=claims.answer(jacobians),
        figures={"initialization.png": figures.draw(jacobians, caption(config))},
        tables={"Initializers": claims.table(jacobians)},
        findings=[*claims.findings(jacobians), *refused],
    )


def log(result: JacobianResult, seeds: Sequence[int], results: Run) -> None:
    """Log one row per initializer, and one row per initializer and seed."""
    where = {"cell": result.cell, "init": result.init}
    mean, largest = result.singular or (None, None)
    bias = result.retention_bias
    weights = {"singular_mean": mean, "singular_max": largest, "bias": bias}
    results.log(kind="scheme", **where, **weights, known=result.known)
    for seed, norms in zip(seeds, result.log10_norms, strict=True):
        results.log(
            kind="norm", **where, seed=seed, times=result.times, log10_norms=norms
        )


def caption(config: Config) -> str:
    """The setting of the run, for the caption of the figure."""
    return (
        f"{config.features} units, {config.inputs} standard normal inputs, "
        f"{config.steps} steps, one sequence per seed, untrained, float32. Spectral "
        "norm of the Jacobian of the whole state (h and c of an LSTM). Lines: mean "
        f"over {len(config.seeds)} seeds; bands: range of seeds. Legend: log10 norm at "
        "the last step, mean and standard deviation over seeds."
    )
