"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import nets
from experiments.harness import cells, cli, common_flags
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.harness.starts import Start, check_seeds, starts
from experiments.initialization import figures
from experiments.initialization.figures import Reach
from nets import Cell, flow, initializers
from nets.types import Params

# log10 norms of one seed each, measured before this experiment was there.
KNOWN = {
    "linen": -18.6,
    "nnx": -23.2,
    "keras": -7.2,
    "torch": -19.7,
    "equinox": -19.5,
    "haiku": -4.9,
}
KNOWN_FOR = {"features": 128, "inputs": 32, "steps": 100}  # of an lstm
POINTS = 25  # of a line, at each of which a spectral norm is found


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = cli.flag(
        ["lstm"],
        "Cells to measure: names in nets.CELLS, or package.module:name of your own.",
    )
    inits: list[str] = cli.flag(
        ["linen", "nnx", "keras", "torch", "equinox", "haiku", "orthogonal", "chrono"],
        "Initializers: orthogonal, linen, nnx, keras, torch, haiku, equinox, irnn, "
        "chrono, chrono(STEPS); own for each cell's default.",
    )
    features: int = cli.flag(128, "Hidden units.", lower_bound=1, upper_bound=4096)
    inputs: int = cli.flag(
        32, "Features of the input.", lower_bound=1, upper_bound=65_536
    )
    steps: int = cli.flag(
        100, "Steps of the sequence.", lower_bound=1, upper_bound=1_000_000
    )
    seeds: list[int] = common_flags.seeds(
        [0, 1, 2, 3, 4], "Seeds, each with separate parameters and a separate sequence."
    )


def run(config: Config, results: Run) -> None:
    """Measure every scheme; log, draw and print what was found."""
    check_seeds(config.seeds)
    sizes = config.inputs, config.features, config.steps
    compared, refused = starts(config.cells, config.inits, *sizes)
    times = np.unique(np.linspace(1, config.steps, POINTS).round().astype(int))
    found, measures = [], {}
    total = len(compared) * len(config.seeds)
    with tqdm(total=total, unit="norm", disable=None) as bar:
        for start in compared:
            # The schemes of a cell share what it compiles to.
            measure = measures.setdefault(start.cell, log10_norms(start.made, times))
            lines = []
            for seed in config.seeds:
                bar.set_description(f"{start.cell}, {start.init}, seed {seed}")
                lines.append(measure(*draw_start(start.made, seed, config)))
                bar.update()
            found.append(reach(start, times, np.stack(lines), config))
            log(found[-1], config.seeds, results)
    for sentence in refused:
        results.log(kind="refused", why=sentence)
    show(found, refused, config, results)


def show(
    found: Sequence[Reach], refused: Sequence[str], config: Config, results: Run
) -> None:
    """Publish the results."""
    findings = figures.findings(found)
    publish(
        results,
        answer=findings[0],
        figures={"initialization.png": figures.draw(found, caption(config))},
        tables={"Initializers": figures.table(found)},
        findings=[*findings[1:], *refused],
    )


def draw_start(
    cell: Cell, seed: int, config: Config
) -> tuple[Params, Float[Array, "time inputs"]]:
    """The parameters and the inputs of one seed."""
    key = jax.random.key(seed)
    params = cell.init(jax.random.fold_in(key, 0), config.inputs, config.features)
    shape = config.steps, config.inputs
    return params, jax.random.normal(jax.random.fold_in(key, 1), shape)


def log10_norms(
    cell: Cell, times: np.ndarray
) -> Callable[[Params, Array], Float[np.ndarray, " times"]]:
    """A function that finds log10 of the spectral norm of ds_t/ds_0, for some t.

    The product of the Jacobians is brought to norm 1 anew in each step, so that nothing
    underflows. `flow.log_singular_values` finds the same, and small singular values
    besides; at 256 coordinates that takes many times as long.

    Args:
        cell: Any `Cell`.
        times: Steps t, at least 1.

    Returns:
        `norms = function(params, xs)`, of xs [time, inputs]; it compiles once.
    """

    def multiply(carry, jacobian):
        product, log_size = carry
        product = jacobian @ product
        size = jnp.linalg.norm(product)
        product = product / jnp.where(size == 0, 1, size)
        carry = product, log_size + jnp.log(size)
        return carry, carry

    @jax.jit
    def multiply_all(params, xs):
        jacobians = flow.step_jacobians(cell, params, xs)
        eye = jnp.eye(jacobians.shape[-1], dtype=jacobians.dtype)
        start = eye, jnp.zeros((), jacobians.dtype)
        _, (products, log_sizes) = jax.lax.scan(multiply, start, jacobians)
        return products[times - 1], log_sizes[times - 1]

    def function(params, xs):
        products, log_sizes = map(np.asarray, multiply_all(params, xs))
        # Of so small matrices threads only wait for each other, where others work too:
        # one takes a third of a second, two have taken thirty.
        with threadpool_limits(1, "blas"):
            norms = np.linalg.norm(products.astype(float), 2, axis=(1, 2))
        logs = np.log(norms, where=norms > 0, out=np.full_like(norms, -np.inf))
        return (log_sizes + logs) / np.log(10)

    return function


def reach(
    start: Start, times: np.ndarray, lines: Float[np.ndarray, "..."], config: Config
) -> Reach:
    """What was found of one start, beside what it draws."""
    drawn = [weights(start, seed, config) for seed in config.seeds]
    matrices = [w_h for w_h, _ in drawn if w_h is not None]
    biases = [bias for _, bias in drawn if bias is not None]
    singular = None
    if matrices:
        values = np.linalg.svd(np.stack(matrices), compute_uv=False)
        largest = values.max(axis=(1, 2)).mean()  # of a seed's gates, over the seeds
        singular = float(values.mean()), float(largest)
    same = start.cell == "lstm" and all(
        getattr(config, name) == value for name, value in KNOWN_FOR.items()
    )
    return Reach(
        start.cell,
        start.init,
        times,
        lines,
        singular,
        keeps=float(np.mean(biases)) if biases else None,
        known=KNOWN.get(start.init) if same else None,
    )


def weights(
    start: Start, seed: int, config: Config
) -> tuple[Float[np.ndarray, "gates hidden features"] | None, float | None]:
    """W_h by gates, and the mean bias of f or z, as a scheme draws them for a cell."""
    if start.init == cells.OWN:
        return None, None
    scheme, seen = initializers.from_name(start.init), []

    def watched(key, inputs, features, gates, hidden=None):
        drawn = scheme(key, inputs, features, gates, hidden)
        seen.append((gates, drawn.b_i + drawn.b_h))
        return drawn

    params, _ = draw_start(nets.CELLS[start.cell](init=watched), seed, config)
    gates, b = seen[0]
    w_h = getattr(params, "w_h", None)
    if w_h is not None and w_h.shape[1:] != (len(gates) * config.features,):
        w_h = None  # of a shape of its own
    keeping = next((gate for gate in "fz" if gate in gates), None)
    by_gate = dict(zip(gates, np.split(np.asarray(b), len(gates)), strict=True))
    return (
        None if w_h is None else np.stack(np.split(np.asarray(w_h), len(gates), 1)),
        None if keeping is None else float(by_gate[keeping].mean()),
    )


def log(found: Reach, seeds: Sequence[int], results: Run) -> None:
    """A row a scheme, and a row a seed."""
    where = {"cell": found.cell, "init": found.init}
    mean, largest = found.singular or (None, None)
    drawn = {"singular_mean": mean, "singular_max": largest, "bias": found.keeps}
    results.log(kind="scheme", **where, **drawn, known=found.known)
    for seed, line in zip(seeds, found.log10_norms, strict=True):
        results.log(
            kind="norm", **where, seed=seed, times=found.times, log10_norms=line
        )


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"{config.features} units, {config.inputs} standard normal inputs, "
        f"{config.steps} steps, one sequence a seed, untrained, in float32. Spectral "
        "norm of the Jacobian of the whole state (of an LSTM h and c). Lines: mean "
        f"over {len(config.seeds)} seeds; bands: their range; beside the names: the "
        "log10 norm at the last step, and its standard deviation."
    )
