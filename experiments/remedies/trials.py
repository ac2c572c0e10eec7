"""The test of each remedy: the quantity that it should change, with and without it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nets
from experiments.remedies.measure import (
    Bench,
    RemedyResult,
    largest_norms,
    predict,
)
from nets import Cell, flow, initializers
from train.clipping import clip_stats

LESS = 0.95  # a quantity is reduced if it is below this share of the original
FLOSSED = 4  # number of sequences per batch whose exponents are penalized
DRAWS = 8  # number of random draws of h-detach


def clip(bench: Bench) -> RemedyResult:
    """Norm of the gradient before and after clipping, in the same training run."""
    limit, cell = bench.config.clip_norm, nets.elman()
    plain = bench.baseline("elman", cell)
    clipped = bench.train("clip", cell, clip=limit)
    before, after = largest_norms(clipped.opt_state)
    stats = clip_stats(clipped.opt_state)
    assert stats is not None
    seeds = zip(bench.config.seeds, stats.rate, before.norm, after.norm, strict=True)
    for seed, rate, norm, bounded in seeds:
        row = {"seed": seed, "limit": limit, "rate": rate}
        bench.results.log(kind="clip", **row, before=norm, after=bounded)
    after = np.asarray(after.norm)
    return RemedyResult(
        "clip",
        f"no gradient is longer than {limit:g}",
        "largest gradient norm",
        np.asarray(before.norm),
        after,
        (after <= limit * (1 + 1e-5)) & (np.asarray(stats.rate) > 0),
        bench.error(cell, plain.params),
        bench.error(cell, clipped.params),
        f"{100 * stats.rate.mean():.0f} % of steps clipped",
    )


def pascanu(bench: Bench) -> RemedyResult:
    """Pascanu's Omega after training with it as a penalty."""
    config, cell = bench.config, nets.elman()

    def omega(model, xs, loss):
        return flow.pascanu_penalty(cell, model.cell, xs, loss) / config.length

    def penalty(model, xs):  # Omega has ratios only; errors and targets cancel
        return config.pascanu_weight * omega(
            model, xs, lambda _, y: predict(model, y).sum()
        )

    def measure(model):
        return omega(model, bench.xs, bench.loss(model))

    claim = "each step changes the norm of the gradient less"
    return train_with_penalty(
        bench, "pascanu", claim, "Omega / steps", penalty, measure
    )


def flossing(bench: Bench) -> RemedyResult:
    """Lyapunov exponents after training with a penalty on them."""
    config, cell = bench.config, nets.elman()
    count = config.exponents

    def penalty(model, xs):
        def of_sequence(x):
            return flow.flossing_penalty(cell, model.cell, x, count=count)

        # One after another, as `train.fit` refuses several decompositions at once.
        squares = jax.lax.map(of_sequence, jnp.swapaxes(xs[:, :FLOSSED], 0, 1))
        return config.flossing_weight * squares.mean()

    def measure(model):
        spectrum = flow.lyapunov_spectrum(cell, model.cell, bench.xs, count=count)
        return jnp.abs(spectrum.exponents).mean()

    claim = f"the {count} largest exponents are closer to 0"
    quantity = "mean |exponent|, nats per step"
    return train_with_penalty(bench, "flossing", claim, quantity, penalty, measure)


def train_with_penalty(
    bench: Bench, name: str, claim: str, quantity: str, penalty: Any, measure: Any
) -> RemedyResult:
    """Elman's network after training with a penalty that should reduce a quantity."""
    cell = nets.elman()
    plain = bench.baseline("elman", cell).params
    trained = bench.train(name, cell, penalty).params
    without, with_it = (bench.of_every_seed(measure, m) for m in (plain, trained))
    rates = [bench.decay(cell, models).rate.mean() for models in (plain, trained)]
    return RemedyResult(
        name,
        claim,
        quantity,
        without,
        with_it,
        with_it < LESS * without,
        bench.error(cell, plain),
        bench.error(cell, trained),
        "decay of the gradient {:+.3f} -> {:+.3f} nats per step".format(*rates),
    )


def h_detach(bench: Bench) -> RemedyResult:
    """Share of the gradient along the highway, with the same parameters."""
    plain, detached = nets.lstm(), nets.h_detach(nets.lstm(), bench.config.detach_rate)

    def share(cell, model, key):
        _, paths = flow.split_by_path(
            cell, model.cell, bench.xs, bench.loss(model), key=key
        )
        highway, gates = (
            flow.log_norms(g)[:-1] for g in (paths.highway, paths.through_gates)
        )
        return jax.nn.sigmoid(highway - gates).mean()

    def shares(model):
        keys = jax.random.split(jax.random.key(0), DRAWS)
        drawn = jax.vmap(lambda key: share(detached, model, key))(keys).mean()
        outputs = [
            nets.unroll(cell, model.cell, bench.xs, key=keys[0])[1]
            for cell in (plain, detached)
        ]
        return share(plain, model, None), drawn, jnp.abs(outputs[0] - outputs[1]).max()

    models = bench.start(plain)
    without, with_it, change = bench.of_every_seed(shares, models)
    return RemedyResult(
        "h_detach",
        "a larger share of the gradient flows along the highway",
        "share along the highway",
        without,
        with_it,
        (with_it > without) & (change == 0),
        bench.error(plain, bench.baseline("lstm", plain).params),
        bench.error(plain, bench.train("h_detach", detached).params),
        f"outputs changed by {change.max():g}",
    )


def initialized(name: str, length: int) -> tuple[Cell, Cell]:
    """A cell with PyTorch's initializer, and the same cell with that of a remedy."""
    make, init = {
        "identity": (partial(nets.elman, activation=jax.nn.relu), initializers.irnn),
        "orthogonal": (nets.elman, initializers.orthogonal),
        "chrono": (nets.lstm, initializers.chrono(length)),
    }[name]
    return make(init=initializers.torch), make(init=init)


def trained_cells(name: str, length: int) -> dict[str, Cell]:
    """Cells that the test of a remedy trains, by the name of the network.

    Args:
        name: A key of `REMEDIES`.
        length: Steps of a sequence.

    Returns:
        The cell without the remedy and the cell with it, as they are measured.
    """
    if name == "h_detach":  # which changes the gradient only
        return {"lstm": nets.lstm(), name: nets.lstm()}
    if name in ("identity", "orthogonal", "chrono"):
        plain, remedied = initialized(name, length)
        return {f"{name}: torch": plain, name: remedied}
    return {"elman": nets.elman(), name: nets.elman()}


def initialize(bench: Bench, name: str) -> RemedyResult:
    """Decay of the gradient at initialization, compared with PyTorch's initializer."""
    cells = initialized(name, bench.config.length)
    decays = [bench.decay(cell, bench.start(cell)) for cell in cells]
    without, with_it = (np.abs(decay.rate) for decay in decays)
    plain = bench.baseline(f"{name}: torch", cells[0])
    trained = bench.train(name, cells[1])
    lives = [np.median(decay.half_life) for decay in decays]
    return RemedyResult(
        name,
        "the gradient decays more slowly at initialization",
        "|decay rate|, nats per step",
        without,
        with_it,
        with_it < LESS * without,
        bench.error(cells[0], plain.params),
        bench.error(cells[1], trained.params),
        "half-life {:.1f} -> {:.1f} steps".format(*lives),
    )


REMEDIES: dict[str, Callable[[Bench], RemedyResult]] = {
    "clip": clip,
    "pascanu": pascanu,
    "flossing": flossing,
    "h_detach": h_detach,
    "identity": partial(initialize, name="identity"),
    "orthogonal": partial(initialize, name="orthogonal"),
    "chrono": partial(initialize, name="chrono"),
}
