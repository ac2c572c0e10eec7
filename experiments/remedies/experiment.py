"""The experiment: its flags and its steps."""

import dataclasses
from functools import partial

import jax
from jaxtyping import Array

import nets
from experiments.harness import cli, common_flags, machine, training
from experiments.harness.networks import Network, RecurrentPart
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.remedies import claims, figures
from experiments.remedies.measure import (
    HELD_OUT,
    MEASURED,
    Bench,
    held_out,
    init,
    predict,
    squared_errors,
)
from experiments.remedies.trials import LESS, REMEDIES, trained_cells
from nets import Cell, as_layer


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    remedies: list[str] = cli.flag(
        ["clip", "pascanu", "flossing", "h_detach", "identity", "orthogonal", "chrono"],
        "Remedies: clip, pascanu, flossing, h_detach, identity, orthogonal, chrono.",
    )
    features: int = common_flags.features(32)
    length: int = cli.flag(
        50, "Steps of a sequence.", lower_bound=3, upper_bound=100_000
    )
    examples: int = cli.flag(
        4096, "Number of training sequences.", lower_bound=1, upper_bound=1_000_000
    )
    steps: int = common_flags.steps(250)
    clip_norm: float = cli.flag(
        0.3,
        "Largest norm of the gradient after `clip`.",
        lower_bound=1e-6,
        upper_bound=1e30,
    )
    pascanu_weight: float = cli.flag(
        0.01,
        "Weight of the penalty Omega in the loss.",
        lower_bound=0.0,
        upper_bound=1e12,
    )
    flossing_weight: float = cli.flag(
        1.0,
        "Weight of the squared exponents in the loss.",
        lower_bound=0.0,
        upper_bound=1e12,
    )
    exponents: int = cli.flag(
        4, "Number of exponents that flossing penalizes.", lower_bound=1
    )
    detach_rate: float = cli.flag(
        0.5, "Probability that h-detach stops the gradient at a step.", lower_bound=0.0
    )


def run(config: Config, results: Run) -> None:
    """Test the claim of every remedy, and publish the results."""
    check(config)
    bench, remedy_results = Bench(config, results), []
    for name in config.remedies:
        result = REMEDIES[name](bench)
        remedy_results.append(result)
        for i, seed in enumerate(config.seeds):
            results.log(kind="remedy", seed=seed, **result.of_seed(i))
    publish(
        results,
        answer=claims.answer(remedy_results),
        figures={"remedies.png": figures.draw(remedy_results, caption(config))},
        tables={"Remedies": claims.table(remedy_results)},
        findings=[claims.sentence(result) for result in remedy_results],
    )


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name; their score is the held-out error."""
    cells: dict[str, Cell] = {}
    for name in config.remedies:
        for network, cell in trained_cells(name, config.length).items():
            cells.setdefault(network, cell)
    xs, targets = held_out(config)
    return {name: rebuilt(cell, xs, targets, config) for name, cell in cells.items()}


def rebuilt(cell: Cell, xs: Array, targets: Array, config: Config) -> Network:
    """The network of a cell, for held-out sequences [time, examples, inputs]."""

    def part(model, examples=None):
        few = targets[:examples]

        def loss(_, ys):
            return ((predict(model, ys) - few) ** 2).sum()

        def losses(ys):
            return (ys @ model.w + model.b - few) ** 2

        return RecurrentPart(as_layer(cell), model.cell, xs[:, :examples], loss, losses)

    return Network(
        jax.eval_shape(partial(init, cell, config.features), jax.random.key(0)),
        lambda model, xs: predict(model, nets.unroll(cell, model.cell, xs)[1]),
        (xs,),
        targets,
        lambda model: squared_errors(cell, model, xs, targets).mean(),
        part,
    )


def check(config: Config) -> None:
    """Raise a UsageError if flags contradict each other."""
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
    """The setting of the run, for the caption of the figure."""
    return (
        f"Adding problem, {config.length} steps; {config.features} units; Elman's "
        "network with tanh, except identity (ReLU), h_detach and chrono (LSTM). "
        f"{config.optimizer}, rate {config.learning_rate:g}, {config.steps} steps of "
        f"{config.batch_size}; only clip clips gradients. Lines: single seeds; bars: "
        f"means. A claim of less requires {100 * (1 - LESS):.0f} % or more. clip: "
        "before and after clipping, over all steps. pascanu and flossing: after "
        "training. h_detach, identity, orthogonal and chrono: at initialization, the "
        f"last three compared with torch. Gradients on {MEASURED} held-out sequences, "
        f"errors on {HELD_OUT:,}."
    )
