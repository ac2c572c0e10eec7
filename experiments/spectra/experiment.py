"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

import nets
from experiments.harness import cli, common_flags
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.starts import Start, check_seeds, every, starts
from experiments.spectra import figures
from experiments.spectra.figures import NEAR, Spectra
from nets import Cell, flow
from nets.types import Params


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = cli.flag(
        [
            *("elman", "irnn", "orthogonal_rnn", "antisymmetric_rnn", "lstm"),
            *("gru", "coupled_lstm", "mgu", "min_gru", "lru"),
        ],
        "Cells to compare: names in nets.CELLS, all for every one that reads vectors, "
        "or package.module:name of your own.",
    )
    inits: list[str] = cli.flag(
        ["own", "keras", "torch", "haiku", "chrono"],
        "How cells start that leave it open: orthogonal, linen, nnx, keras, torch, "
        "haiku, equinox, irnn, chrono, chrono(STEPS); own for each cell's default.",
    )
    features: int = cli.flag(32, "Hidden units.", lower_bound=1, upper_bound=4096)
    inputs: int = cli.flag(
        8, "Features of the input.", lower_bound=1, upper_bound=65_536
    )
    steps: int = cli.flag(
        300, "Steps of a sequence.", lower_bound=2, upper_bound=1_000_000
    )
    warmup: int = cli.flag(
        100,
        "Steps before the measurement, in which states settle.",
        lower_bound=0,
        upper_bound=1_000_000,
    )
    batch_size: int = cli.flag(
        2,
        "Sequences, over which the spectra are averaged.",
        lower_bound=1,
        upper_bound=65_536,
    )
    seeds: list[int] = common_flags.seeds(
        [0, 1, 2], "Seeds, each with separate parameters and sequences."
    )


def run(config: Config, results: Run) -> None:
    """Measure every start; log, draw and print what was found."""
    check(config)
    compared, refused = starts(
        every(config.cells), config.inits, config.inputs, config.features, config.steps
    )
    found, measures = [], {}
    with tqdm(compared, unit="start", disable=None) as bar:
        for start in bar:
            bar.set_description(f"{start.cell}, {start.init}")
            # The schemes of a cell share what it compiles to.
            compiled = measures.setdefault(start.cell, measure(start.made, config))
            found.append(spectra(start, compiled, config))
            log(found[-1], config.seeds, results)
    for sentence in refused:
        results.log(kind="refused", why=sentence)
    findings = figures.findings(found)
    publish(
        results,
        answer=findings[0],
        figures={"spectra.png": figures.draw(found, caption(config))},
        tables={"Spectra": figures.table(found)},
        findings=[*findings[1:], *refused],
    )


def check(config: Config) -> None:
    """Refuse what flags alone cannot tell."""
    if config.warmup > config.steps - 1:
        raise cli.UsageError(
            f"flag --warmup: expected at most {config.steps - 1}, below the steps; got "
            f"{config.warmup}"
        )
    check_seeds(config.seeds)


def measure(cell: Cell, config: Config):
    """A compiled function of the parameters and inputs of all seeds.

    `exponents, errors, log_singular_values = function(params, xs)`, each [seeds, n],
    nats a step, means over the sequences.
    """
    warmup, steps = config.warmup, config.steps - config.warmup

    @jax.jit
    @jax.vmap
    def function(params, xs):
        found = flow.lyapunov_spectrum(cell, params, xs, warmup=warmup)
        state = nets.unroll(cell, params, xs[:warmup])[0] if warmup else None
        product = flow.log_singular_values(
            cell, params, xs[warmup:], state, count=None
        )[-1]
        errors = jnp.linalg.norm(found.errors, axis=0) / config.batch_size
        return found.exponents.mean(axis=0), errors, product.mean(axis=0) / steps

    return function


def draw_start(
    cell: Cell, seed: int, config: Config
) -> tuple[Params, Float[Array, "time batch inputs"]]:
    """The parameters and the inputs of one seed."""
    key = jax.random.key(seed)
    params = cell.init(jax.random.fold_in(key, 0), config.inputs, config.features)
    shape = config.steps, config.batch_size, config.inputs
    return params, jax.random.normal(jax.random.fold_in(key, 1), shape)


def spectra(start: Start, compiled, config: Config) -> Spectra:
    """What is found of one start."""
    pairs = [draw_start(start.made, seed, config) for seed in config.seeds]
    params, xs = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    return Spectra(start.cell, start.init, *map(np.asarray, compiled(params, xs)))


def log(found: Spectra, seeds: Sequence[int], results: Run) -> None:
    """A row a seed."""
    for i, seed in enumerate(seeds):
        results.log(
            kind="spectrum",
            cell=found.cell,
            init=found.init,
            seed=seed,
            exponents=found.exponents[i],
            errors=found.errors[i],
            log_singular_values=found.log_singular_values[i],
        )


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"{config.features} units, {config.inputs} standard normal inputs, at the "
        f"start; {config.steps} steps, of which {config.steps - config.warmup} are "
        f"measured, of {config.batch_size} sequences a seed, in float32. The state is "
        "one vector of n coordinates; its directions are sorted by their rate, the "
        "slowest first. Solid: Lyapunov exponents, mean over "
        f"{len(config.seeds)} seeds, band: their range. Dashed: ln of the singular "
        "values of the product of the same Jacobians, a step. A line ends where a seed "
        f"has lost a direction (-inf). Linear within {NEAR} of zero, log beyond."
    )
