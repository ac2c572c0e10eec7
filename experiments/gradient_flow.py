"""How far back does the gradient of each cell reach, before and after training?

    python -m experiments.gradient_flow --cells=elman,lstm,gru

Each cell learns to tell handwritten digits, read pixel by pixel or row by row, and the
norm of dL/ds_t, the gradient of the loss with respect to the whole state after step t,
is measured on held-out digits at initialisation and after training.
"""

import dataclasses
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments import cells, launch, report
from nets import CELLS, Cell, flow
from nets.models import SequenceClassifier
from nets.recurrent import batch_first, time_first, unroll
from train import OPTIMIZERS, Run, fit, make_optimizer
from train.data import digits

CLASSES = 10
MOST_STEPS = 10_000_000  # all are laid out beforehand
DIRECTIONS = ("forward", "backward")


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    cells: list[str] = launch.flag(
        ["elman", "lstm", "gru"],
        "Cells to compare: names in nets.CELLS, or package.module:name of your own.",
    )
    seeds: list[int] = launch.flag(
        [0, 1, 2], "Seeds, each a model and an order of the data of its own."
    )
    order: str = launch.flag(
        "pixels", "How a digit is read: 64 pixels or 8 rows.", choices=digits.ORDERS
    )
    bidirectional: bool = launch.flag(False, "Read from both ends.")
    features: int = launch.flag(64, "Hidden units of each direction.", lower_bound=1)
    optimizer: str = launch.flag("adam", "From optax.", choices=tuple(OPTIMIZERS))
    learning_rate: float = launch.flag(3e-3, "Its step size.", lower_bound=0.0)
    clip_norm: float = launch.flag(
        1.0, "Largest norm of the gradient, 0 to clip nothing.", lower_bound=0.0
    )
    batch_size: int = launch.flag(64, "Digits a step.", lower_bound=1)
    steps: int = launch.flag(840, "Training steps (14 are an epoch).", lower_bound=1)


class Study(NamedTuple):
    """What was found of one cell in one direction, over seeds.

    Attributes:
        label: The cell, and the direction if there are two.
        parameters: Of the whole model.
        accuracy: Test accuracy after training, from 0 to 1, [seeds].
        before: ln |dL/ds_t| by reading step, at initialisation, [seeds, time].
        after: The same after training.
        seconds_per_step: Of a training step of all seeds together.
    """

    label: str
    parameters: int
    accuracy: Float[np.ndarray, " seeds"]
    before: Float[np.ndarray, "seeds time"]
    after: Float[np.ndarray, "seeds time"]
    seconds_per_step: float


def run(config: Config, results: Run) -> None:
    """Train and measure every cell; log, draw and print what was found."""
    halves = digits.load()
    check(config, examples=len(halves[0].labels))
    train, test = (
        (digits.as_sequences(half.images, config.order), half.labels) for half in halves
    )
    inputs = train[0].shape[-1]
    compared = {
        name: cells.named(name, inputs, config.features) for name in config.cells
    }
    studies = []
    for name, cell in compared.items():
        studies += compare_before_and_after(name, cell, config, train, test, results)
    draw(studies, config, len(test[1])).savefig(results.path / "gradient_flow.png")
    print(table(studies))


def check(config: Config, examples: int) -> None:
    """Refuse what flags alone cannot tell."""
    if config.batch_size > examples:
        raise launch.UsageError(
            f"flag --batch_size: expected at most {examples}, the training digits; got "
            f"{config.batch_size}"
        )
    if config.steps > MOST_STEPS:
        raise launch.UsageError(
            f"flag --steps: expected at most {MOST_STEPS:,}; got {config.steps}"
        )
    if not all(0 <= seed < 2**32 for seed in config.seeds):
        raise launch.UsageError(
            f"flag --seeds: expected integers from 0 to 2^32 - 1; got {config.seeds}"
        )


def compare_before_and_after(
    name: str, cell: Cell, config: Config, train, test, results: Run
) -> list[Study]:
    """Train a cell from every seed; measure its gradient before and after."""
    model = SequenceClassifier(cell, config.features, CLASSES, config.bidirectional)
    keys = jnp.stack([jax.random.fold_in(jax.random.key(s), 0) for s in config.seeds])
    example = jnp.asarray(train[0][:1])
    params = jax.jit(jax.vmap(lambda key: model.init(key, example)["params"]))(keys)

    def loss_fn(params, batch, key):
        xs, labels = batch
        return losses(logits(model, params, xs), labels).mean()

    @jax.jit
    def measure_all(params, xs, labels):  # one seed after another, to save memory
        return jax.lax.map(lambda p: measure(model, p, xs, labels), params)

    def log(when, profiles):
        for direction, log_norms in profiles.items():
            where = {"cell": name, "direction": direction, "when": when}
            rates = decay(log_norms)
            for seed, rate, row in zip(config.seeds, rates, log_norms, strict=True):
                results.log(
                    kind="gradient", **where, seed=seed, decay=rate, log_norm=row
                )

    _, before = measure_all(params, *test)
    log("before", before)
    fitted = fit(
        loss_fn,
        make_optimizer(config.optimizer, config.learning_rate, config.clip_norm),
        params,
        train,
        config.seeds,
        steps=config.steps,
        batch_size=config.batch_size,
        record=lambda **row: results.log(kind="training", cell=name, **row),
        title=name,
    )
    accuracy, after = measure_all(fitted.params, *test)
    log("after", after)
    for seed, value in zip(config.seeds, accuracy, strict=True):
        results.log(kind="accuracy", cell=name, seed=seed, test_accuracy=value)
    return [
        Study(
            f"{name} {direction}" if config.bidirectional else name,
            sum(leaf[0].size for leaf in jax.tree.leaves(params)),
            np.asarray(accuracy),
            np.asarray(before[direction]),
            np.asarray(after[direction]),
            fitted.seconds_per_step,
        )
        for direction in DIRECTIONS[: len(before)]
    ]


def logits(model: SequenceClassifier, params: dict, xs: Array) -> Array:
    """What the model says of every example, [examples, classes]."""
    return cast(Array, model.apply({"params": params}, xs))


def losses(logits: Array, labels: Array) -> Array:
    """-ln p(label), of every example."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def measure(
    model: SequenceClassifier, params: dict, xs: Array, labels: Array
) -> tuple[Array, dict[str, Array]]:
    """Accuracy, and the gradient's log norm at every step, of one seed.

    Each sequence has the gradient of its own loss; of their norms the median counts. A
    backward cell's steps are numbered in the order in which it reads.
    Returns the accuracy, and ln |dL/ds_t|, [time], by direction.
    """
    accuracy = (logits(model, params, xs).argmax(axis=-1) == labels).mean()
    sequences = time_first(xs)

    def loss(*ys):
        ys = batch_first(ys if model.bidirectional else ys[0])
        said = model.apply({"params": params}, ys, method="read")
        return losses(cast(Array, said), labels).sum()

    def profile(params, loss, reverse=False):
        _, gradients = flow.state_gradients(
            model.cell, params, sequences, loss, reverse=reverse
        )
        norms = jnp.median(flow.log_norms(gradients), axis=1)
        return norms[::-1] if reverse else norms

    if not model.bidirectional:
        cell = params["recurrent"]["cell"]
        return accuracy, {"forward": profile(cell, lambda _, ys: loss(ys))}
    pair = params["recurrent"]["cells"]
    _, right = unroll(model.cell, pair.forward, sequences)
    _, left = unroll(model.cell, pair.backward, sequences, reverse=True)
    return accuracy, {
        "forward": profile(pair.forward, lambda _, ys: loss(ys, left)),
        "backward": profile(pair.backward, lambda _, ys: loss(right, ys), reverse=True),
    }


def decay(log_norms: Array | np.ndarray) -> np.ndarray:
    """Nats a step, of every seed, from [seeds, time]."""
    return np.asarray(flow.decay_rate(jnp.asarray(log_norms).T))


def table(studies: list[Study]) -> str:
    """What was found, a line a study."""
    header = [
        "cell",
        "parameters",
        "test accuracy, %",
        "decay before, nats/step",
        "decay after, nats/step",
        "half-life before, steps",
        "half-life after, steps",
        "ms/step, all seeds",
    ]
    rows = [
        [
            study.label,
            f"{study.parameters:,}",
            report.mean_and_deviation(100 * study.accuracy, "{:.1f}"),
            report.mean_and_deviation(decay(study.before), "{:+.3f}"),
            report.mean_and_deviation(decay(study.after), "{:+.3f}"),
            halving(study.before),
            halving(study.after),
            f"{1e3 * study.seconds_per_step:.1f}",
        ]
        for study in studies
    ]
    return report.text_table(header, rows)


def halving(log_norms: np.ndarray) -> str:
    """The half-life at the mean decay rate, as words."""
    rate = decay(log_norms).mean()
    steps = float(flow.half_life(jnp.asarray(rate)))
    if not np.isfinite(steps):
        return "none"
    return f"{steps:.1f}" if rate > 0 else f"{steps:.1f} (grows)"


def draw(studies: list[Study], config: Config, examples: int) -> Figure:
    """ln |dL/ds_t| against the reading step, before and after training."""
    panels = {"before": "before training", "after": "after training"}
    figure, axes = report.figure(title(studies), columns=len(panels))
    for axis, (when, name) in zip(axes, panels.items(), strict=True):
        for i, study in enumerate(studies):
            log_norms = getattr(study, when)
            label = f"{study.label}: half-life {halving(log_norms)}"
            cell, direction = divmod(i, 2) if config.bidirectional else (i, 0)
            report.band(axis, np.exp(log_norms), label, cell, dashed=direction == 1)
        positive = any((getattr(s, when) > -np.inf).any() for s in studies)
        axis.set(title=name, yscale="log" if positive else "linear")
        axis.set_xlabel(
            f"step t, reading {config.order} (the loss is at the right end)"
        )
        axis.legend()
    axes[0].set_ylabel(r"norm of the state's gradient, $\|\partial L/\partial s_t\|$")
    report.caption(figure, caption(config, examples))
    return figure


def title(studies: list[Study]) -> str:
    """The finding: whose gradient decays slowest, if that does not hang on the seed."""
    before, after = slowest(studies, "before"), slowest(studies, "after")
    return f"Before training, {before};\nafter training, {after}"


def slowest(studies: list[Study], when: str) -> str:
    """Whose gradient decays slowest, before or after training."""
    rates = [np.nan_to_num(decay(getattr(s, when)), nan=np.inf) for s in studies]
    best = int(np.argmin([rate.mean() for rate in rates]))
    others = np.concatenate([[np.inf], *rates[:best], *rates[best + 1 :]])
    label, log_norms = studies[best].label, getattr(studies[best], when)
    if len(studies) == 1:
        return f"{label}'s gradient has a half-life of {halving(log_norms)} steps"
    if rates[best].max() < others.min():
        return (
            f"{label}'s gradient decays slowest (half-life {halving(log_norms)} steps)"
        )
    return "the gradients' rates of decay overlap over the seeds"


def caption(config: Config, examples: int) -> str:
    """What was done, so that the figure can stand alone."""
    own = [name for name in config.cells if name not in CELLS]
    text = (
        f"Digits as {config.order}; {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. "
        f"Lines: geometric mean over {len(config.seeds)} seeds of the median over "
        f"{examples} held-out digits; bands: their range. Initialisation: input "
        "weights lecun_normal, recurrent ones orthogonal for each gate"
        + (", LSTM forget bias 1" if "lstm" in config.cells else "")
    )
    return f"{text}; {', '.join(own)}: its own." if own else f"{text}."


if __name__ == "__main__":
    launch.main(Config, run)
