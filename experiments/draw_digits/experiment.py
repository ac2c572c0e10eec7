"""The steps of the experiment."""

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.draw_digits import claims, figures
from experiments.draw_digits.config import Config
from experiments.draw_digits.controls import (
    BLIND,
    CLASSES,
    MIXED,
    REAL,
    SHUFFLED,
    UNTRAINED,
    Blind,
    mixed,
    shuffled,
)
from experiments.draw_digits.measure import DigitsResult, variety_and_distance
from experiments.harness import cells, cli, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from nets import models
from nets.models import SequenceGenerator
from train.data import digits
from train.data.digits import Digits

JUDGE_STEPS = 560  # 40 epochs: 95 % accuracy on digits of other writers
DRAWS = 1  # folded into the key of each seed
FIELDS = "cell", "features", "classes", "outputs", "components"


def run(config: Config, results: Run) -> None:
    """Train a generator and a judge per seed; draw digits and judge them."""
    train, test = training.parts(digits.load(), config)
    training.check(config, len(train.labels), "digits")
    if min(config.temperatures) < 0:
        raise cli.UsageError(
            f"flag --temperatures: expected numbers of at least 0; got "
            f"{min(config.temperatures):g}"
        )
    side = train.images.shape[-1]
    cell = cells.named(config.cell, side + CLASSES, config.features)
    model = SequenceGenerator(cell, config.features, CLASSES, side, config.components)
    judge = judges(train, config, results)
    start, params, nll = learn(model, train, test, config, results)
    blind = Blind(*(getattr(model, name) for name in FIELDS))
    _, blind_params, blind_nll = learn(blind, train, test, config, results)
    labels = np.repeat(np.arange(CLASSES, dtype=np.int32), config.samples_per_label)

    def measure(name, images, of=labels, temperature=None, nll=None):
        accuracy = judge(images, of)
        similarity = variety_and_distance(images, of, train, test)
        return DigitsResult(name, temperature, images, accuracy, *similarity, nll)

    def drawn(model, params, temperature):
        return draw(model, params, labels, temperature, config)

    drawings = [
        measure(f"drawn, temperature {t:g}", drawn(model, params, t), labels, t, nll)
        for t in config.temperatures
    ]
    hottest, seeds = config.temperatures[0], config.seeds
    handwritten = test.images[None].repeat(len(seeds), axis=0)
    controls = {
        REAL: measure("handwritten", handwritten, test.labels),
        BLIND: measure(
            f"drawn without seeing rows, temperature {hottest:g}",
            drawn(blind, blind_params, hottest),
            nll=blind_nll,
        ),
        MIXED: measure("rows of different digits", mixed(test, seeds), test.labels),
        SHUFFLED: measure("drawn, rows shuffled", shuffled(drawings[0].images, seeds)),
        UNTRAINED: measure("drawn untrained", drawn(model, start, hottest)),
    }
    log([*drawings, *controls.values()], seeds, results)
    show(drawings, controls, labels, test, config, results)


def judges(train: Digits, config: Config, results: Run) -> Any:
    """Train one CNN per seed on handwritten digits.

    Returns:
        A function `judge(images, labels)` of images [seeds, examples, 8, 8]: the
        accuracy of each seed's CNN, [seeds].
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
    """Train the generator.

    Returns:
        Initial and trained parameters, [seeds, ...]; and the negative log-likelihood of
        a held-out row in nats, [seeds].
    """
    splits = [
        (jnp.asarray(split.labels), jnp.asarray(split.images))
        for split in (train, test)
    ]
    labels, rows = splits[0]
    keys = jnp.stack([jax.random.fold_in(jax.random.key(s), 0) for s in config.seeds])
    start = jax.jit(
        jax.vmap(lambda key: model.init(key, labels[:1], rows[:1])["params"])
    )(keys)

    def nll(params, labels, rows):
        mixture = cast(Any, model.apply({"params": params}, labels, rows))
        return -models.log_density(mixture, rows).mean()

    fitted = training.train(
        lambda params, batch, key: nll(params, *batch),
        start,
        splits[0],
        config,
        results,
        title=f"{config.cell} {type(model).__name__}",
        labels={"model": type(model).__name__},
    )
    measure = jax.jit(jax.vmap(nll, (0, None, None)))
    return start, fitted.params, np.asarray(measure(fitted.params, *splits[1]))


def draw(
    model: SequenceGenerator,
    params: Any,
    labels: np.ndarray,
    temperature: float,
    config: Config,
) -> Float[np.ndarray, "seeds examples 8 8"]:
    """Draw digits with every seed's generator; pixels are clipped to [0, 1]."""
    keys = [jax.random.fold_in(jax.random.key(seed), DRAWS) for seed in config.seeds]

    @jax.jit
    def draw_all(params, keys):
        def draw_one(p, key):
            return models.draw(
                model, p, jnp.asarray(labels), key, model.outputs, temperature
            )

        return jax.vmap(draw_one)(params, keys)

    return np.clip(np.asarray(draw_all(params, jnp.stack(keys))), 0, 1)


def log(kinds: list[DigitsResult], seeds: list[int], results: Run) -> None:
    """Log one row per kind of digits and seed."""
    for result in kinds:
        for i, seed in enumerate(seeds):
            nll = {} if result.test_nll is None else {"test_nll": result.test_nll[i]}
            results.log(
                kind="drawn",
                digits=result.name,
                temperature=result.temperature,
                seed=seed,
                read_as_label=result.accuracy[i],
                variety=result.variety[i],
                distance=result.distance[i],
                **nll,
            )


def show(
    drawn: list[DigitsResult],
    controls: dict[str, DigitsResult],
    labels: np.ndarray,
    test: Digits,
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    plot = figures.draw(drawn, controls, labels, test, caption(config))
    table = claims.table([controls[REAL], *drawn, *list(controls.values())[1:]])
    evaluated = claims.evaluate_claims(drawn, controls)
    publish(
        results,
        answer=claims.ANSWERS[evaluated[0].outcome],
        figures={"draw_digits.png": plot},
        tables={"Drawings, as a CNN reads them": table},
        claims=evaluated,
    )


def caption(config: Config) -> str:
    """Description of the experiment, for the figure."""
    return (
        "Left: held-out digits. Right: drawings of the first seed, the first of "
        f"{config.samples_per_label} per label. {config.cell}, {config.features} units,"
        f" mixtures of {config.components}; {config.optimizer}, learning rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}; {len(config.seeds)} seeds, each with its own "
        "judge. Temperature 1 draws from the learned distribution; less draws likelier "
        "rows."
    )
