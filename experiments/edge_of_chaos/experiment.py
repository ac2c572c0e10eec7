"""The steps of the experiment."""

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from experiments.edge_of_chaos import claims, figures
from experiments.edge_of_chaos.config import Config
from experiments.edge_of_chaos.mean_field import mean_field, stationary_variance
from experiments.edge_of_chaos.measure import (
    CHAOS,
    ExponentCurve,
    chaos_onset,
    exponents,
    spectral_radii,
)
from experiments.harness import cli, common_flags
from experiments.harness.report import publish
from experiments.harness.runs import Run

MAX_GAIN = 50  # up to here the integral over tanh is exact in float64


def run(config: Config, results: Run) -> None:
    """Measure every gain and size, and publish the results."""
    check(config)
    theory = np.array([mean_field(gain) for gain in config.gains])
    for gain, exponent in zip(config.gains, theory, strict=True):
        variance = stationary_variance(gain)
        results.log(kind="mean_field", gain=gain, variance=variance, exponent=exponent)
    curves = [measure(units, config, results) for units in config.features]
    spectra = whole_spectra(config, results)
    plot = figures.draw(curves, theory, spectra, config.gains, caption(config))
    table = claims.table(curves, theory, config.gains)
    publish(
        results,
        answer=claims.answer(curves),
        figures={"edge_of_chaos.png": plot},
        tables={"Largest Lyapunov exponent, nats per step": table},
        findings=claims.deviations(curves, theory, config.gains),
    )


def check(config: Config) -> None:
    """Raise a UsageError if flags contradict each other."""
    ascending = len(config.gains) > 1 and config.gains == sorted(config.gains)
    bounded = all(0 < gain <= MAX_GAIN for gain in config.gains + config.spectra)
    both = f"gains and --spectra: expected gains above 0, up to {MAX_GAIN}"
    for good, wanted, got in (
        (bounded, both, config.gains + config.spectra),
        (ascending, "gains: expected two or more, ascending", config.gains),
        (min(config.features) > 0, "features: expected 1 or more", config.features),
        (
            config.warmup < config.steps,
            f"warmup: expected fewer than the {config.steps} steps",
            config.warmup,
        ),
    ):
        if not good:
            raise cli.UsageError(f"flag --{wanted}; got {got}")
    common_flags.check_seeds(config.seeds)


def measure(units: int, config: Config, results: Run) -> ExponentCurve:
    """Measure the largest exponent at every gain from every seed."""
    seeds = jnp.array(config.seeds, jnp.uint32)
    options = {"units": units, "steps": config.steps, "warmup": config.warmup}
    rho = spectral_radii(config.seeds, units)
    log_rho = np.log(config.gains)[:, None] + np.log(rho)
    measured = []
    bar = tqdm(config.gains, desc=f"N = {units}", unit="gain", disable=None)
    for gain, exact in zip(bar, log_rho, strict=True):
        largest, errors = (
            np.asarray(a)[:, 0] for a in exponents(gain, seeds, count=1, **options)
        )
        measured.append(largest)
        for row in zip(config.seeds, largest, errors, exact, strict=True):
            names = ("seed", "exponent", "error", "log_rho")
            values = dict(zip(names, row, strict=True))
            results.log(kind="exponent", units=units, gain=gain, **values)
    onset = np.array([chaos_onset(config.gains, row) for row in np.transpose(measured)])
    for seed, gain in zip(config.seeds, onset, strict=True):
        results.log(kind="onset", units=units, seed=seed, gain=gain)
    return ExponentCurve(units, np.array(measured), log_rho, onset)


def whole_spectra(config: Config, results: Run) -> dict[float, np.ndarray]:
    """Measure all exponents of the first network, by gain."""
    units, seed = config.features[0], config.seeds[0]
    options = {"count": units, "steps": config.steps, "warmup": config.warmup}
    spectra = {}
    for gain in tqdm(config.spectra, desc="spectra", unit="gain", disable=None):
        seeds = jnp.array([seed], jnp.uint32)
        spectra[gain] = np.asarray(exponents(gain, seeds, units=units, **options)[0])[0]
        row = {"units": units, "gain": gain, "seed": seed}
        results.log(kind="spectrum", **row, exponents=spectra[gain])
    return spectra


def caption(config: Config) -> str:
    """The setting of the run, for the caption of the figure."""
    return (
        f"h' = tanh(W h), W ~ N(0, g²/N), no input; {config.steps} steps, the first "
        f"{config.warmup} left out. Lines: mean over {len(config.seeds)} seeds; each "
        "seed has one W / g for all gains. Marks: single seeds. +: ln rho(W) of each "
        f"W, where below 0. Chaos: an exponent above {CHAOS:g} nats per step at this "
        "gain and all larger ones, interpolated between gains; ±: standard deviation "
        "over seeds. Mean field: Sompolinsky et al. 1988; in discrete time, Molgedey "
        f"et al. 1992. Right: seed {config.seeds[0]}, exponents below "
        f"{figures.LEAST_DRAWN:g} not drawn."
    )
