"""The steps of the experiment."""

import time
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np

from experiments.harness import published, training
from experiments.harness.networks import Network, classifier
from experiments.harness.published import Published
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.mnist1d import claims, figures, measure, networks, ratios, speed
from experiments.mnist1d.config import POOLS, Config, names
from experiments.mnist1d.measure import Halves, ModelResult
from experiments.mnist1d.networks import Model
from experiments.mnist1d.speed import Timed

STEPS_PER_CALL = 125  # steps of a small model take less time than a call of 20


def run(config: Config, results: Run) -> None:
    """Train every model, and publish the results."""
    if config.recipe_steps:
        speed.check(config)
    models, pools = build(config)
    training.check(config, len(halves(config, bool(pools))[0][1]), "sequences")
    learned = [
        learn(name, model, halves(config), config, results)
        for name, model in models.items()
    ]
    pooled = [
        learn(f"pool {pool}", model, halves(config, pooled=True), config, results)
        for pool, model in pools.items()
    ]
    if published.as_default(config):
        for result in learned:
            compare(result, measure.published(result.name), results)
        for pool, result in zip(pools, pooled, strict=True):
            compare(result, [measure.published_pool(pool)], results)
    timed = []
    if config.recipe_steps:
        timed = speed.measure(models, halves(config), config)
        for one in timed:
            results.log(kind="recipe", **one._asdict())
    show(learned, pooled, timed, config, results)


def build(config: Config) -> tuple[dict[str, Model], dict[str, Model]]:
    """The models by name, and those with pools by the name of the pool."""
    return (
        {name: networks.model(name) for name in names(config)},
        {pool: networks.with_pools(pool) for pool in POOLS if config.pooling},
    )


def halves(config: Config, pooled: bool = False) -> Halves:
    """Sequences and digits, to train on and to measure on."""
    return training.parts(measure.load(pooled), config)


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name."""
    models, pools = build(config)
    sets = {pooled: halves(config, pooled)[1] for pooled in (False, True)}
    return {
        name: classifier(model.module, *sets[False], layer=model.layer)
        for name, model in models.items()
    } | {
        f"pool {pool}": classifier(model.module, *sets[True], layer=None)
        for pool, model in pools.items()
    }


def learn(
    name: str, model: Model, data: Halves, config: Config, results: Run
) -> ModelResult:
    """Train a model from every seed, and measure it on the test set."""
    train, test = data
    began = time.perf_counter()
    params = training.start(model.module, test[0][:1], config.seeds)

    def accuracy(params):
        return training.accuracy(model.module, params, *test)

    fitted = training.train(
        training.loss_of(model.module),
        params,
        train,
        config,
        results,
        title=name,
        labels={"model": name},
        shuffle=False,
        probe=accuracy,
        probe_every=config.probe_every,
        steps_per_call=STEPS_PER_CALL,
    )
    assert fitted.probes is not None
    final = np.asarray(jax.jit(partial(jax.lax.map, accuracy))(fitted.params))
    curve = np.concatenate([fitted.probes.values, final[None]]).T
    result = ModelResult(
        name,
        model.units,
        training.count(model.module, test[0][:1]),
        100 * final,
        np.append(fitted.probes.steps, config.steps),
        100 * curve,
        time.perf_counter() - began,
    )
    log(result, config, results)
    return result


def log(result: ModelResult, config: Config, results: Run) -> None:
    """Log one row per model, and one row per model and seed."""
    results.log(
        kind="model",
        model=result.name,
        units=result.units,
        parameters=result.parameters,
        seconds=result.seconds,
    )
    for seed, value, curve in zip(
        config.seeds, result.accuracy, result.curve, strict=True
    ):
        results.log(
            kind="accuracy",
            model=result.name,
            seed=seed,
            test_accuracy=value / 100,
            steps=result.steps,
            curve=curve / 100,
        )


def compare(result: ModelResult, numbers: Sequence[Published], results: Run) -> None:
    """Log the comparison of a result with published numbers."""
    for number in numbers:
        published.log(results, number, result.accuracy, result.seconds)


def show(
    learned: list[ModelResult],
    pooled: list[ModelResult],
    timed: list[Timed],
    config: Config,
    results: Run,
) -> None:
    """Publish the results."""
    setting = (
        f"{config.optimizer}, rate {config.learning_rate:g}, {config.steps} steps of "
        f"{config.batch_size} in the order of the data, {len(config.seeds)} seeds"
    )
    as_published = published.as_default(config)
    plots = {"mnist1d.png": figures.draw(learned, setting, as_published)}
    tables = {"Test accuracy": claims.table(learned)}
    if pooled:
        plots["pooling.png"] = figures.draw_pools(pooled, setting)
        tables["Pools, 1,000 training sequences"] = claims.pool_table(pooled)
    judged = claims.evaluate_claims(learned, as_published) + claims.pool_claims(pooled)
    if timed:
        size = config.steps, len(config.seeds)
        tables["Seconds of the study, and of the authors' recipe in PyTorch"] = (
            ratios.speed_table(learned, timed, *size)
        )
        judged.append(ratios.speed_claim(learned, timed, *size))
    publish(
        results,
        answer=claims.answer(learned, as_published),
        figures=plots,
        tables=tables,
        claims=judged,
        findings=claims.findings(learned, as_published),
    )
