"""The steps of the experiment."""

from collections.abc import Sequence

from tqdm import tqdm

from experiments.harness import cli, common_flags
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.starts import every, starts
from experiments.spectra import claims, figures
from experiments.spectra.claims import NEAR
from experiments.spectra.config import Config
from experiments.spectra.measure import SpectrumResult, make_measure, measure_start


def run(config: Config, results: Run) -> None:
    """Measure every cell with every initialization, and publish the results."""
    check(config)
    compared, refused = starts(
        every(config.cells), config.inits, config.inputs, config.features, config.steps
    )
    spectra, measures = [], {}
    with tqdm(compared, unit="start", disable=None) as bar:
        for start in bar:
            bar.set_description(f"{start.cell}, {start.init}")
            # All initializations of a cell share one compiled function.
            measure = measures.setdefault(start.cell, make_measure(start.made, config))
            spectra.append(measure_start(start, measure, config))
            log(spectra[-1], config.seeds, results)
    for sentence in refused:
        results.log(kind="refused", why=sentence)
    publish(
        results,
        answer=claims.answer(spectra),
        figures={"spectra.png": figures.draw(spectra, caption(config))},
        tables={"Spectra": claims.table(spectra)},
        findings=[*claims.findings(spectra), *refused],
    )


def check(config: Config) -> None:
    """Raise a UsageError if flags contradict each other."""
    if config.warmup > config.steps - 1:
        raise cli.UsageError(
            f"flag --warmup: expected at most {config.steps - 1}, below --steps; got "
            f"{config.warmup}"
        )
    common_flags.check_seeds(config.seeds)


def log(result: SpectrumResult, seeds: Sequence[int], results: Run) -> None:
    """Log one row per seed."""
    for i, seed in enumerate(seeds):
        results.log(
            kind="spectrum",
            cell=result.cell,
            init=result.init,
            seed=seed,
            exponents=result.exponents[i],
            errors=result.errors[i],
            log_singular_values=result.log_singular_values[i],
        )


def caption(config: Config) -> str:
    """The setting of the run, for the caption of the figure."""
    return (
        f"Untrained cells; {config.features} units, {config.inputs} standard normal "
        f"inputs; {config.steps} steps, of which {config.steps - config.warmup} are "
        f"measured; {config.batch_size} sequences per seed; float32. The state is one "
        "vector of n coordinates; its directions are sorted by rate, the slowest "
        f"first. Solid: Lyapunov exponents, mean over {len(config.seeds)} seeds; band: "
        "range of seeds. Dashed: ln of the singular values of the product of the same "
        "Jacobians, per step. A line ends where a seed has lost a direction (-inf). "
        f"The y axis is linear within {NEAR} of zero and logarithmic beyond."
    )
