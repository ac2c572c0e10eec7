"""The experiment: its flags and its steps."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nets
from experiments.harness import cli, common_flags, machine, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.remedies import figures
from experiments.remedies.figures import Outcome
from experiments.remedies.measure import HELD_OUT, MEASURED, Bench, read
from nets import flow, initializers
from train.clipping import clip_stats

LESS = 0.95  # of what it was without: what counts as less
FLOSSED = 4  # sequences of a batch, whose exponents are pushed
DRAWS = 8  # of what h-detach stops


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    remedies: list[str] = cli.flag(
        ["clip", "pascanu", "flossing", "h_detach", "identity", "orthogonal", "chrono"],
        "Which: clip, pascanu, flossing, h_detach, identity, orthogonal, chrono.",
    )
    features: int = common_flags.features(32)
    length: int = cli.flag(
        50, "Steps of a sequence.", lower_bound=3, upper_bound=100_000
    )
    examples: int = cli.flag(
        4096, "Sequences to train on.", lower_bound=1, upper_bound=1_000_000
    )
    steps: int = common_flags.steps(250)
    clip_norm: float = cli.flag(
        0.3,
        "Largest norm of the gradient that `clip` lets pass.",
        lower_bound=1e-6,
        upper_bound=1e30,
    )
    pascanu_weight: float = cli.flag(
        0.01,
        "Weight of Omega, which is added to the loss.",
        lower_bound=0.0,
        upper_bound=1e12,
    )
    flossing_weight: float = cli.flag(
        1.0,
        "Weight of the squared exponents, which are added to the loss.",
        lower_bound=0.0,
        upper_bound=1e12,
    )
    exponents: int = cli.flag(4, "How many flossing pushes to 0.", lower_bound=1)
    detach_rate: float = cli.flag(
        0.5, "How likely h-detach stops the gradient at a step.", lower_bound=0.0
    )


def clip(bench: Bench) -> Outcome:
    """Before and after the clip, in the same training."""
    limit, cell = bench.config.clip_norm, nets.elman()
    plain = bench.baseline("elman", cell)
    clipped = bench.train("clip", cell, clip=limit)
    stages: Any = clipped.opt_state  # watch, clip, watch, optimizer
    before, _, after, _ = stages
    told = clip_stats(clipped.opt_state)
    assert told is not None
    seeds = zip(bench.config.seeds, told.rate, before.norm, after.norm, strict=True)
    for seed, rate, norm, bounded in seeds:
        row = {"seed": seed, "limit": limit, "rate": rate}
        bench.results.log(kind="clip", **row, before=norm, after=bounded)
    after = np.asarray(after.norm)
    return Outcome(
        "clip",
        f"no gradient is longer than {limit:g}",
        "largest gradient norm",
        np.asarray(before.norm),
        after,
        (after <= limit * (1 + 1e-5)) & (np.asarray(told.rate) > 0),
        bench.error(cell, plain.params),
        bench.error(cell, clipped.params),
        f"{100 * told.rate.mean():.0f} % of steps clipped",
    )


def pascanu(bench: Bench) -> Outcome:
    """Pascanu's Omega, after training with it."""
    config, cell = bench.config, nets.elman()

    def omega(model, xs, loss):
        return flow.pascanu_penalty(cell, model.cell, xs, loss) / config.length

    def penalty(
        model, xs
    ):  # of ratios: the error of a sequence cancels, and its target
        return config.pascanu_weight * omega(
            model, xs, lambda _, y: read(model, y).sum()
        )

    def measure(model):
        return omega(model, bench.xs, bench.loss(model))

    claim = "a step changes the gradient's norm less"
    return penalised(bench, "pascanu", claim, "Omega / steps", penalty, measure)


def flossing(bench: Bench) -> Outcome:
    """The exponents that were pushed to zero, after training so."""
    config, cell = bench.config, nets.elman()
    count = config.exponents

    def penalty(model, xs):
        few = xs[:, :FLOSSED]
        found = flow.flossing_penalty(cell, model.cell, few, count=count)
        return config.flossing_weight * found

    def measure(model):
        found = flow.lyapunov_spectrum(cell, model.cell, bench.xs, count=count)
        return jnp.abs(found.exponents).mean()

    claim = f"{count} leading exponents are nearer to 0"
    quantity = "mean |exponent|, nats a step"
    return penalised(bench, "flossing", claim, quantity, penalty, measure)


def penalised(
    bench: Bench, name: str, claim: str, quantity: str, penalty: Any, measure: Any
) -> Outcome:
    """Elman's network after training with a penalty that is to make a quantity less."""
    cell = nets.elman()
    plain = bench.baseline("elman", cell).params
    trained = bench.train(name, cell, penalty).params
    without, with_it = (bench.of_every_seed(measure, m) for m in (plain, trained))
    rates = [bench.decay(cell, models).rate.mean() for models in (plain, trained)]
    return Outcome(
        name,
        claim,
        quantity,
        without,
        with_it,
        with_it < LESS * without,
        bench.error(cell, plain),
        bench.error(cell, trained),
        "decay of the gradient {:+.3f} -> {:+.3f} nats a step".format(*rates),
    )


def h_detach(bench: Bench) -> Outcome:
    """The share of the gradient that came along the highway, of the same parameters."""
    plain, detached = nets.lstm(), nets.h_detach(nets.lstm(), bench.config.detach_rate)

    def share(cell, model, key):
        _, found = flow.split_by_path(
            cell, model.cell, bench.xs, bench.loss(model), key=key
        )
        kept, rest = (
            flow.log_norms(g)[:-1] for g in (found.highway, found.through_gates)
        )
        return jax.nn.sigmoid(kept - rest).mean()

    def shares(model):
        keys = jax.random.split(jax.random.key(0), DRAWS)
        drawn = jax.vmap(lambda key: share(detached, model, key))(keys).mean()
        same = [
            nets.unroll(cell, model.cell, bench.xs, key=keys[0])[1]
            for cell in (plain, detached)
        ]
        return share(plain, model, None), drawn, jnp.abs(same[0] - same[1]).max()

    models = bench.start(plain)
    without, drawn, moved = bench.of_every_seed(shares, models)
    return Outcome(
        "h_detach",
        "more of the gradient comes along the highway",
        "share along the highway",
        without,
        drawn,
        (drawn > without) & (moved == 0),
        bench.error(plain, bench.baseline("lstm", plain).params),
        bench.error(plain, bench.train("h_detach", detached).params),
        f"outputs moved by {moved.max():g}",
    )


def initialised(bench: Bench, name: str) -> Outcome:
    """The decay of the gradient at the start, against PyTorch's scheme."""
    make, scheme = {
        "identity": (partial(nets.elman, activation=jax.nn.relu), initializers.irnn),
        "orthogonal": (nets.elman, initializers.orthogonal),
        "chrono": (nets.lstm, initializers.chrono(bench.config.length)),
    }[name]
    cells = [make(init=initializers.torch), make(init=scheme)]
    decays = [bench.decay(cell, bench.start(cell)) for cell in cells]
    without, with_it = (np.abs(decay.rate) for decay in decays)
    plain = bench.baseline(f"{name}: torch", cells[0])
    trained = bench.train(name, cells[1])
    lives = [np.median(decay.half_life) for decay in decays]
    return Outcome(
        name,
        "the gradient decays more slowly at the start",
        "|decay rate|, nats a step",
        without,
        with_it,
        with_it < LESS * without,
        bench.error(cells[0], plain.params),
        bench.error(cells[1], trained.params),
        "half-life {:.1f} -> {:.1f} steps".format(*lives),
    )


REMEDIES: dict[str, Callable[[Bench], Outcome]] = {
    "clip": clip,
    "pascanu": pascanu,
    "flossing": flossing,
    "h_detach": h_detach,
    "identity": partial(initialised, name="identity"),
    "orthogonal": partial(initialised, name="orthogonal"),
    "chrono": partial(initialised, name="chrono"),
}


def run(config: Config, results: Run) -> None:
    """Hold every remedy against its claim; log, draw and print what was found."""
    check(config)
    bench, outcomes = Bench(config, results), []
    for name in config.remedies:
        found = REMEDIES[name](bench)
        outcomes.append(found)
        for i, seed in enumerate(config.seeds):
            results.log(kind="remedy", seed=seed, **found.of_seed(i))
    publish(
        results,
        answer=figures.answer(outcomes),
        figures={"remedies.png": figures.draw(outcomes, caption(config))},
        tables={"Remedies": figures.table(outcomes)},
        findings=[figures.sentence(outcome) for outcome in outcomes],
    )


def check(config: Config) -> None:
    """Refuse what flags alone cannot tell."""
    training.check(config, config.examples, "sequences")
    machine.need(
        8 * config.examples * config.length, "sequences", "--examples, --length"
    )
    unknown = [name for name in config.remedies if name not in REMEDIES]
    if unknown:
        raise cli.UsageError(
            f"flag --remedies: expected some of {', '.join(REMEDIES)}; got "
            f"{unknown[0]!r}"
        )
    if config.exponents > config.features:
        raise cli.UsageError(
            f"flag --exponents: expected at most {config.features}, the units; got "
            f"{config.exponents}"
        )
    if config.detach_rate >= 1:
        raise cli.UsageError(
            f"flag --detach_rate: expected a rate below 1; got {config.detach_rate:g}"
        )


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"Adding problem, {config.length} steps; {config.features} units; Elman's "
        "network with tanh, but identity: with ReLU, h_detach and chrono: an LSTM. "
        f"{config.optimizer}, rate {config.learning_rate:g}, {config.steps} steps of "
        f"{config.batch_size}, not clipped but by clip. A line is a seed, a bar the "
        f"mean. Less is by {100 * (1 - LESS):.0f} % or more. clip: before and after "
        "the clip, over all steps; pascanu, flossing: after training; others: at the "
        "start, identity, orthogonal and chrono "
        f"against torch's scheme. Gradients of {MEASURED} held-out sequences, the "
        f"error over {HELD_OUT:,}."
    )
