"""Does a network draw a digit from its label, so that another one reads it?

    python -m experiments.draw_digits --temperatures=0.5,1

One recurrent cell is told a label and draws a digit row by row: each row comes out of a
mixture of Gaussians that the rows before it lead to. It learns with the true rows
before its eyes, and draws with its own. A convolutional network, trained on the same
digits as people wrote them, judges which digit it is; it also judges digits that
nobody trained on, and drawings that should fail.
"""

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments import cells, drawing_figures, launch, page, training
from experiments.drawing_figures import Drawn, Judged
from nets import models
from nets.models import SequenceGenerator
from train import Run
from train.data import digits
from train.data.digits import Digits

CLASSES = 10
JUDGE_STEPS = 560  # 40 epochs: then it reads 19 of 20 digits of other writers
DRAWS, CONTROLS = 1, 2  # folded into a seed's key


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    cell: str = launch.flag(
        "gru", "A name in nets.CELLS, or package.module:name of your own."
    )
    features: int = launch.flag(128, "Hidden units.", lower_bound=1)
    components: int = launch.flag(20, "Gaussians in the mixture.", lower_bound=1)
    temperatures: list[float] = launch.flag(
        [1.0, 0.5, 0.1], "How freely it draws: 1 as it learned, less for likelier rows."
    )
    copies: int = launch.flag(50, "Drawings of each label and seed.", lower_bound=2)
    learning_rate: float = launch.flag(1e-2, "Its step size.", lower_bound=0.0)
    steps: int = launch.flag(800, "Training steps (14 are an epoch).", lower_bound=1)


def run(config: Config, results: Run) -> None:
    """Train a generator and a judge from every seed; draw and judge."""
    train, test = digits.load()
    training.check(config, len(train.labels), "digits")
    if min(config.temperatures) < 0:
        raise launch.UsageError(
            f"flag --temperatures: expected numbers from 0 on; got "
            f"{min(config.temperatures):g}"
        )
    side = train.images.shape[-1]
    cell = cells.named(config.cell, side + CLASSES, config.features)
    model = SequenceGenerator(cell, config.features, CLASSES, side, config.components)
    judge = judges(train, config, results)
    read = judge(test.images[None].repeat(len(config.seeds), axis=0), test.labels)
    start, fitted, costs = learn(model, train, test, config, results)
    labels = np.repeat(np.arange(CLASSES, dtype=np.int32), config.copies)
    drawn = []
    for temperature in config.temperatures:
        images = draw(model, fitted, labels, temperature, config)
        right = judge(images, labels)
        drawn.append(
            Drawn(temperature, images, right, *likeness(images, labels, train, test))
        )
    best = drawn[0]
    judged = Judged(
        read,
        judge(draw(model, start, labels, 1.0, config), labels),
        judge(shuffled(best.images, config.seeds), labels),
        likeness(test.images[None], test.labels, train, test)[1],
        *costs,
        usual(train, test),
    )
    log(drawn, judged, config, results)
    publish(drawn, judged, labels, test, config, results)


def judges(train: Digits, config: Config, results: Run) -> Any:
    """A CNN a seed, trained on digits as people wrote them.

    Returns:
        `shares = judge(images, labels)`: of images [seeds, examples, 8, 8] the share
        that each seed's reads as the label, [seeds].
    """
    net: Any = models.cnn(CLASSES, (32, 64))
    images = jnp.asarray(train.images)[..., None]
    settings = dataclasses.replace(
        config,
        steps=JUDGE_STEPS,
        batch_size=min(64, config.batch_size),
        optimizer="adam",
        learning_rate=3e-3,
        clip_norm=0.0,
    )

    def loss_fn(params, batch, key):
        xs, labels = batch
        return training.losses(net.apply({"params": params}, xs), labels).mean()

    fitted = training.train(
        loss_fn,
        training.start(net, images[:1], config.seeds),
        (images, jnp.asarray(train.labels)),
        settings,
        results,
        title="judge",
        labels={"model": "judge"},
    )

    @jax.jit
    def judge(images, labels):
        said = jax.vmap(lambda p, xs: net.apply({"params": p}, xs[..., None]))(
            fitted.params, images
        )
        return (said.argmax(axis=-1) == labels[None]).mean(axis=1)

    return lambda images, labels: np.asarray(judge(jnp.asarray(images), labels))


def learn(
    model: SequenceGenerator,
    train: Digits,
    test: Digits,
    config: Config,
    results: Run,
) -> tuple[Any, Any, tuple[np.ndarray, np.ndarray]]:
    """Train the generator: its parameters before and after, and what a row costs.

    Returns:
        Parameters [seeds, ...] twice; nats a row, of training and of held-out digits,
        [seeds] each.
    """
    halves = [(jnp.asarray(h.labels), jnp.asarray(h.images)) for h in (train, test)]
    labels, rows = halves[0]
    keys = jnp.stack([jax.random.fold_in(jax.random.key(s), 0) for s in config.seeds])
    start = jax.jit(
        jax.vmap(lambda key: model.init(key, labels[:1], rows[:1])["params"])
    )(keys)

    def cost(params, labels, rows):
        mixture = cast(Any, model.apply({"params": params}, labels, rows))
        return -models.log_density(mixture, rows).mean()

    fitted = training.train(
        lambda params, batch, key: cost(params, *batch),
        start,
        halves[0],
        config,
        results,
        title=f"{config.cell} generator",
        labels={"model": "generator"},
    )
    measure = jax.jit(jax.vmap(cost, (0, None, None)))
    seen, unseen = (np.asarray(measure(fitted.params, *half)) for half in halves)
    return start, fitted.params, (seen, unseen)


def draw(
    model: SequenceGenerator,
    params: Any,
    labels: np.ndarray,
    temperature: float,
    config: Config,
) -> Float[np.ndarray, "seeds examples 8 8"]:
    """Digits of every seed, their pixels from 0 to 1."""
    keys = [jax.random.fold_in(jax.random.key(seed), DRAWS) for seed in config.seeds]

    @jax.jit
    def free(params, keys):
        def one(p, key):
            return models.draw(
                model, p, jnp.asarray(labels), key, model.outputs, temperature
            )

        return jax.vmap(one)(params, keys)

    return np.clip(np.asarray(free(params, jnp.stack(keys))), 0, 1)


def shuffled(
    images: Float[np.ndarray, "seeds examples 8 8"], seeds: list[int]
) -> Float[np.ndarray, "seeds examples 8 8"]:
    """The same, the rows of each in another order: what a judge must not read."""
    changed = images.copy()
    for seed, some in zip(seeds, changed, strict=True):
        rng = np.random.default_rng([seed, CONTROLS])
        for image in some:
            image[:] = image[rng.permutation(len(image))]
    return changed


def likeness(
    images: Float[np.ndarray, "seeds examples 8 8"],
    labels: np.ndarray,
    train: Digits,
    test: Digits,
) -> tuple[np.ndarray, np.ndarray]:
    """How varied images of a label are, and how near to the nearest training digit.

    Returns:
        The deviation of pixels within a label, over that of held-out digits; the root
        mean square distance a pixel to the nearest training digit of the label, the
        median over images. [seeds] each.
    """
    varied, near = [], []
    real = spread(test.images, test.labels)
    flat = train.images.reshape(len(train.images), -1)
    for some in images:
        varied.append(spread(some, labels) / real)
        distances = []
        for label in range(CLASSES):
            ours = some[labels == label].reshape(-1, 1, flat.shape[1])
            theirs = flat[train.labels == label][None]
            square = np.square(ours - theirs).mean(axis=2)
            distances.append(np.sqrt(square.min(axis=1)))
        near.append(np.median(np.concatenate(distances)))
    return np.array(varied), np.array(near)


def spread(images: Float[np.ndarray, "examples 8 8"], labels: np.ndarray) -> float:
    """The root of the pixels' mean variance within a label."""
    within = [images[labels == label].var(axis=0).mean() for label in range(CLASSES)]
    return float(np.sqrt(np.mean(within)))


def usual(train: Digits, test: Digits) -> float:
    """What a row costs whoever knows the label, and no row: nats.

    A Gaussian for each label and pixel, of the training digits' mean and deviation, but
    no narrower than the generator's may be.
    """
    floor = SequenceGenerator.floor
    total = 0.0
    for label in range(CLASSES):
        seen = train.images[train.labels == label]
        deviation = np.maximum(seen.std(axis=0), floor)
        z = (test.images[test.labels == label] - seen.mean(axis=0)) / deviation
        total += (z**2 / 2 + np.log(deviation) + np.log(2 * np.pi) / 2).sum()
    return float(total / (len(test.labels) * 8))


def log(drawn: list[Drawn], judged: Judged, config: Config, results: Run) -> None:
    """A row a seed of each temperature, and of what it is held against."""
    for i, seed in enumerate(config.seeds):
        for one in drawn:
            results.log(
                kind="drawn",
                seed=seed,
                temperature=one.temperature,
                read_as_asked=one.right[i],
                variety=one.variety[i],
                distance=one.distance[i],
            )
        results.log(
            kind="judge",
            seed=seed,
            real=judged.real[i],
            untrained=judged.untrained[i],
            shuffled=judged.shuffled[i],
            train_nll=judged.train_nll[i],
            test_nll=judged.test_nll[i],
        )
    results.log(kind="usual", test_nll=judged.usual_nll, distance=judged.distance[0])


def publish(
    drawn: list[Drawn],
    judged: Judged,
    labels: np.ndarray,
    test: Digits,
    config: Config,
    results: Run,
) -> None:
    """The figure, the tables, the verdicts, and the page that has them all."""
    text = caption(config)
    figure = drawing_figures.draw(drawn, judged, labels, test, text)
    figure.savefig(results.path / "draw_digits.png")
    table = drawing_figures.table(drawn, judged)
    verdicts = drawing_figures.verdicts(drawn, judged)
    page.write(
        results,
        question=__doc__,
        findings=[drawing_figures.costs(judged)],
        figures={"draw_digits.png": text},
        tables={"What the judge reads": table},
        verdicts=verdicts,
    )
    print(table.text())
    print("\n".join([*(v.text() for v in verdicts), drawing_figures.costs(judged)]))


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"Left: held-out digits. Then drawings of the first seed, the first of "
        f"{config.copies} each. {config.cell}, {config.features} units, mixtures of "
        f"{config.components}; {config.optimizer}, rate {config.learning_rate:g}, "
        f"{config.steps} steps of {config.batch_size}, clip norm "
        f"{config.clip_norm:g}; {len(config.seeds)} seeds, each with a judge of its "
        "own. A temperature of 1 draws what was learned; less draws likelier rows."
    )


if __name__ == "__main__":
    launch.main(Config, run)
