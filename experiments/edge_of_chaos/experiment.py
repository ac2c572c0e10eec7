"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

import nets
from experiments.edge_of_chaos import figures
from experiments.edge_of_chaos.figures import CHAOS, Curve
from experiments.edge_of_chaos.mean_field import mean_field, stationary_variance
from experiments.harness import cli, common_flags
from experiments.harness.report import publish
from experiments.harness.runs import Run
from nets import flow

MOST_GAIN = 50  # to which the integral over tanh is exact in float64


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    features: list[int] = cli.flag(
        [100, 400], "Units N of the networks.", upper_bound=10_000
    )
    gains: list[float] = cli.flag(
        [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.5, 3],
        "Gains g, in ascending order.",
        upper_bound=1e6,
    )
    spectra: list[float] = cli.flag(
        [0.7, 1.3, 3],
        "Gains whose whole spectrum is drawn, of the first network.",
        upper_bound=1e6,
    )
    steps: int = cli.flag(
        1500, "Steps, the warmup counted in.", lower_bound=20, upper_bound=1_000_000
    )
    warmup: int = cli.flag(
        500, "Steps before the mean begins.", lower_bound=0, upper_bound=1_000_000
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4], "Seeds, each a separate W.")


def run(config: Config, results: Run) -> None:
    """Measure every gain and size; log, draw and print what was found."""
    check(config)
    theory = np.array([mean_field(gain) for gain in config.gains])
    for gain, exponent in zip(config.gains, theory, strict=True):
        variance = stationary_variance(gain)
        results.log(kind="mean_field", gain=gain, variance=variance, exponent=exponent)
    curves = [measure(units, config, results) for units in config.features]
    spectra = whole_spectra(config, results)
    plot = figures.draw(curves, theory, spectra, config.gains, caption(config))
    table = figures.table(curves, theory, config.gains)
    publish(
        results,
        answer=figures.title(curves),
        figures={"edge_of_chaos.png": plot},
        tables={"Largest Lyapunov exponent, nats per step": table},
        findings=figures.deviations(curves, theory, config.gains),
    )


def check(config: Config) -> None:
    """Refuse what flags alone cannot tell."""
    ascending = len(config.gains) > 1 and config.gains == sorted(config.gains)
    fit = all(0 < gain <= MOST_GAIN for gain in config.gains + config.spectra)
    seeded = all(0 <= seed < 2**32 for seed in config.seeds)
    both = f"gains and --spectra: expected gains above 0, up to {MOST_GAIN}"
    for good, wanted, got in (
        (fit, both, config.gains + config.spectra),
        (ascending, "gains: expected two or more, ascending", config.gains),
        (min(config.features) > 0, "features: expected 1 or more", config.features),
        (
            config.warmup < config.steps,
            f"warmup: expected fewer than the {config.steps} steps",
            config.warmup,
        ),
        (seeded, "seeds: expected integers from 0 to 2^32 - 1", config.seeds),
    ):
        if not good:
            raise cli.UsageError(f"flag --{wanted}; got {got}")


def draw_weights(seed: int | Array, units: int) -> Float[Array, "units units"]:
    """W / g, of which every gain makes its own W."""
    return jax.random.normal(jax.random.key(seed), (units, units)) / jnp.sqrt(units)


@partial(jax.jit, static_argnames=("units", "count", "steps", "warmup"))
def exponents(gain, seeds, *, units: int, count: int, steps: int, warmup: int):
    """Exponents and their standard errors, [seeds, count] each."""
    cell = nets.elman()

    def one(seed):
        w_h = gain * draw_weights(seed, units)
        params = nets.ElmanParams(jnp.zeros((1, units)), w_h, jnp.zeros(units))
        key = jax.random.fold_in(jax.random.key(seed), 1)
        state = nets.ElmanState(jax.random.normal(key, (units,)))
        xs = jnp.zeros((steps, 1))
        return flow.lyapunov_spectrum(
            cell, params, xs, state, count=count, warmup=warmup
        )

    return jax.vmap(one)(seeds)


def measure(units: int, config: Config, results: Run) -> Curve:
    """The largest exponent at every gain, from every seed."""
    seeds = jnp.array(config.seeds, jnp.uint32)
    how = {"units": units, "steps": config.steps, "warmup": config.warmup}
    rho = [
        np.abs(np.linalg.eigvals(np.asarray(draw_weights(seed, units)))).max()
        for seed in config.seeds
    ]
    log_rho = np.log(config.gains)[:, None] + np.log(rho)
    measured = []
    bar = tqdm(config.gains, desc=f"N = {units}", unit="gain", disable=None)
    for gain, exact in zip(bar, log_rho, strict=True):
        found, errors = (
            np.asarray(a)[:, 0] for a in exponents(gain, seeds, count=1, **how)
        )
        measured.append(found)
        for row in zip(config.seeds, found, errors, exact, strict=True):
            names = ("seed", "exponent", "error", "log_rho")
            values = dict(zip(names, row, strict=True))
            results.log(kind="exponent", units=units, gain=gain, **values)
    onset = np.array([begins(config.gains, one) for one in np.transpose(measured)])
    for seed, gain in zip(config.seeds, onset, strict=True):
        results.log(kind="onset", units=units, seed=seed, gain=gain)
    return Curve(units, np.array(measured), log_rho, onset)


def begins(gains: Sequence[float], exponents: np.ndarray) -> float:
    """The gain at which the exponents pass `CHAOS` for good, between two gains.

    Args:
        gains: Ascending.
        exponents: One a gain.

    Returns:
        By linear interpolation; nan if the first is above already, or the last is not.

    Example:
        >>> begins([1.0, 2.0, 3.0], np.array([0.0, CHAOS - 0.1, CHAOS + 0.1]))
        2.5
    """
    below = np.flatnonzero(exponents <= CHAOS)
    if not len(below) or below[-1] == len(gains) - 1:
        return np.nan
    pair = slice(below[-1], below[-1] + 2)
    return float(np.interp(CHAOS, exponents[pair], gains[pair]))


def whole_spectra(config: Config, results: Run) -> dict[float, np.ndarray]:
    """All exponents of the first size's first network, by gain."""
    units, seed = config.features[0], config.seeds[0]
    how = {"count": units, "steps": config.steps, "warmup": config.warmup}
    spectra = {}
    for gain in tqdm(config.spectra, desc="spectra", unit="gain", disable=None):
        one = jnp.array([seed], jnp.uint32)
        spectra[gain] = np.asarray(exponents(gain, one, units=units, **how)[0])[0]
        row = {"units": units, "gain": gain, "seed": seed}
        results.log(kind="spectrum", **row, exponents=spectra[gain])
    return spectra


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"h' = tanh(W h), W ~ N(0, g²/N), no input; {config.steps} steps, the first "
        f"{config.warmup} left out. Lines: mean over {len(config.seeds)} seeds, each "
        "one W / g for all gains; marks: each seed; +: ln rho(W) of the W drawn, where "
        f"below 0. Chaos: more than {CHAOS:g} nats a step, for good, gains between "
        "interpolated; ±: standard deviation over seeds. Mean field: Sompolinsky et "
        "al. 1988; in discrete time, Molgedey et al. 1992. Right: seed "
        f"{config.seeds[0]}, nothing below {figures.LEAST_DRAWN:g} drawn."
    )
