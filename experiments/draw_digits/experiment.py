"""The experiment: its flags and its steps."""

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.draw_digits import figures
from experiments.draw_digits.controls import CLASSES, Blind, likeness, mixed, shuffled
from experiments.draw_digits.figures import (
    BLIND,
    MIXED,
    REAL,
    SHUFFLED,
    UNTRAINED,
    Drawn,
)
from experiments.harness import cells, cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from nets import models
from nets.models import SequenceGenerator
from train.data import digits
from train.data.digits import Digits

JUDGE_STEPS = 560  # 40 epochs: then it reads 19 of 20 digits of other writers
DRAWS = 1  # folded into a seed's key
FIELDS = "cell", "features", "classes", "outputs", "components"


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    cell: str = cli.flag(
        "gru", "A name in nets.CELLS, or package.module:name of your own."
    )
    features: int = common_flags.features(128)
    components: int = cli.flag(
        20, "Gaussians in the mixture.", lower_bound=1, upper_bound=10_000
    )
    temperatures: list[float] = cli.flag(
        [1.0, 0.5, 0.1],
        "How freely it draws: 1 as it learned, less for likelier rows.",
        upper_bound=1e6,
    )
    samples_per_label: int = cli.flag(
        50, "Drawings of each label and seed.", lower_bound=2, upper_bound=10_000
    )
    learning_rate: float = common_flags.learning_rate(1e-2)
    steps: int = common_flags.steps(800, "Training steps (14 are an epoch).")


def run(config: Config, results: Run) -> None:
    """Train a generator and a judge from every seed; draw and judge."""
    train, test = training.parts(digits.load(), config)
    training.check(config, len(train.labels), "digits")
    if min(config.temperatures) < 0:
        raise cli.UsageError(
            f"flag --temperatures: expected numbers from 0 on; got "
            f"{min(config.temperatures):g}"
        )
    side = train.images.shape[-1]
    cell = cells.named(config.cell, side + CLASSES, config.features)
    model = SequenceGenerator(cell, config.features, CLASSES, side, config.components)
    judge = judges(train, config, results)
    start, params, costs = learn(model, train, test, config, results)
    blind = Blind(*(getattr(model, name) for name in FIELDS))
    _, blind_params, blind_costs = learn(blind, train, test, config, results)
    labels = np.repeat(np.arange(CLASSES, dtype=np.int32), config.samples_per_label)

    def judged(name, images, of=labels, temperature=None, costs=None):
        found = likeness(images, of, train, test)
        return Drawn(name, temperature, images, judge(images, of), *found, costs)

    def drawn(model, params, temperature):
        return draw(model, params, labels, temperature, config)

    ours = [
        judged(f"drawn, temperature {t:g}", drawn(model, params, t), labels, t, costs)
        for t in config.temperatures
    ]
    free, seeds = config.temperatures[0], config.seeds
    as_written = test.images[None].repeat(len(seeds), axis=0)
    controls = {
        REAL: judged("as written", as_written, test.labels),
        BLIND: judged(
            f"drawn without sight of rows, temperature {free:g}",
            drawn(blind, blind_params, free),
            costs=blind_costs,
        ),
        MIXED: judged("rows of different digits", mixed(test, seeds), test.labels),
        SHUFFLED: judged("drawn, rows shuffled", shuffled(ours[0].images, seeds)),
        UNTRAINED: judged("drawn untrained", drawn(model, start, free)),
    }
    log([*ours, *controls.values()], seeds, results)
    show(ours, controls, labels, test, config, results)


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

    fitted = training.train(
        training.loss_of(net),
        training.start(net, images[:1], config.seeds),
        (images, jnp.asarray(train.labels)),
        settings,
        results,
        title="judge",
        labels={"model": "judge"},
    )

    @jax.jit
    def judge(images, labels):
        return jax.vmap(
            lambda params, xs: training.accuracy(net, params, xs[..., None], labels)
        )(fitted.params, images)

    return lambda images, labels: np.asarray(judge(jnp.asarray(images), labels))


def learn(
    model: SequenceGenerator,
    train: Digits,
    test: Digits,
    config: Config,
    results: Run,
) -> tuple[Any, Any, Float[np.ndarray, " seeds"]]:
    """Train the generator: its parameters before and after, and what a row costs.

    Returns:
        Parameters [seeds, ...] twice; what a held-out row costs, in nats, [seeds].
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
        title=f"{config.cell} {type(model).__name__}",
        labels={"model": type(model).__name__},
    )
    measure = jax.jit(jax.vmap(cost, (0, None, None)))
    return start, fitted.params, np.asarray(measure(fitted.params, *halves[1]))


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


def log(found: list[Drawn], seeds: list[int], results: Run) -> None:
    """A row a seed of every kind of digit."""
    for one in found:
        for i, seed in enumerate(seeds):
            nll = {} if one.test_nll is None else {"test_nll": one.test_nll[i]}
            results.log(
                kind="drawn",
                digits=one.name,
                temperature=one.temperature,
                seed=seed,
                read_as_label=one.right[i],
                variety=one.variety[i],
                distance=one.distance[i],
                **nll,
            )


def show(
    drawn: list[Drawn],
    controls: dict[str, Drawn],
    labels: np.ndarray,
    test: Digits,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    plot = figures.draw(drawn, controls, labels, test, caption(config))
    table = figures.table([controls[REAL], *drawn, *list(controls.values())[1:]])
    claims = figures.evaluate_claims(drawn, controls)
    publish(
        results,
        answer=figures.ANSWERS[claims[0].outcome],
        figures={"draw_digits.png": plot},
        tables={"Drawings, as a CNN reads them": table},
        claims=claims,
    )


def caption(config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    return (
        f"Left: held-out digits. Then drawings of the first seed, the first of "
        f"{config.samples_per_label} each. {config.cell}, {config.features} units, "
        f"mixtures of {config.components}; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}; {len(config.seeds)} seeds, each with a judge of "
        "its own. A temperature of 1 draws what was learned; less draws likelier rows."
    )
