"""The steps of the experiment."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Float

import nets
from experiments.harness import cli, own_data, own_sequences, padding, training
from experiments.harness.networks import Network, classifier
from experiments.harness.own_sequences import Sequences
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.lstm_vs_gru import claims, figures
from experiments.lstm_vs_gru.config import Config
from experiments.lstm_vs_gru.measure import (
    EQUAL_PARAMETERS,
    EQUAL_UNITS,
    STEPS_PER_ROUND,
    TASKS,
    CellComparison,
    Task,
    gru_units,
    own_task,
    time_steps,
)


def run(config: Config, results: Run) -> None:
    """Train both cells on every task, and publish the results."""
    tasks, data = own_tasks(config, results) if config.own() else (load(config), None)
    score = data.score if data else "accuracy"
    for task in tasks:
        training.check(
            with_task_steps(config, task),
            len(task.train[1]),
            f"examples of {task.name}",
        )
    comparisons = [
        pair for task in tasks for pair in compare(task, config, results, data)
    ]
    judged = claims.evaluate_claims(comparisons, score)
    text = caption(tasks, config, data)
    publish(
        results,
        answer=claims.answer(judged),
        figures={"lstm_vs_gru.png": figures.draw(comparisons, text, score)},
        tables={"GRU compared with LSTM": claims.table(comparisons, score)},
        claims=judged,
        findings=findings(comparisons, data),
    )


def load(config: Config) -> list[Task]:
    """The tasks that the flag names."""
    own_data.expect_no_flags_of_own_data(config)
    for name in config.tasks:
        if name not in TASKS:
            raise cli.UsageError(
                f"flag --tasks: expected some of {', '.join(TASKS)}; got {name!r}"
            )
    tasks = []
    for name in config.tasks:
        task = TASKS[name]()
        train, test = training.parts((task.train, task.test), config)
        tasks.append(task._replace(train=train, test=test))
    return tasks


def own_tasks(
    config: Config, results: Run | None = None
) -> tuple[list[Task], Sequences]:
    """The task to learn the user's own sequences."""
    own_data.expect_defaults(config, ["tasks"], "omit it with --data")
    data = own_sequences.load(config, results)
    return [own_task(data, pathlib.Path(config.data).stem)], data


def findings(
    comparisons: Sequence[CellComparison], data: Sequences | None
) -> list[str]:
    """Findings on the user's own data, and on the RMSE of each model."""
    if data is None:
        return []
    r2 = {"lstm": comparisons[0].accuracy[0]}
    r2 |= {f"gru, {pair.setting}": pair.accuracy[1] for pair in comparisons}
    return data.findings(r2)


def build(task: Task, config: Config) -> dict[str, Any]:
    """The models of a task, by name."""
    lstm = task.make(nets.lstm(), config.features)
    example = padding.first(task.train[0], 1)
    more = gru_units(task, training.count(lstm, example))
    return {
        "lstm": lstm,
        "gru": task.make(nets.gru(), config.features),
        "gru, more units": task.make(nets.gru(), more),
    }


def reopen(config: Config) -> dict[str, Network]:
    """The networks that a run keeps, by name."""
    return {
        f"{task.name}, {name}": classifier(model, *task.test)
        for task in (own_tasks(config)[0] if config.own() else load(config))
        for name, model in build(task, config).items()
    }


def compare(
    task: Task, config: Config, results: Run, data: Sequences | None = None
) -> list[CellComparison]:
    """Compare both cells on one task, at equal units and at equal parameters."""
    models, example = build(task, config), padding.first(task.train[0], 1)
    lstm = models["lstm"]
    accuracy = {
        name: learn(model, f"{task.name}, {name}", task, config, results)
        for name, model in models.items()
    }
    seconds = time_steps(list(models.values()), task, config)
    for i, (name, model) in enumerate(models.items()):
        where = {"task": task.name, "model": name}
        results.log(
            kind="model",
            **where,
            features=model.features,
            parameters=training.count(model, example),
            milliseconds=1e3 * seconds[:, i],
        )
        for seed, value in zip(config.seeds, accuracy[name], strict=True):
            scores = data.scores(value) if data else {"test_accuracy": value}
            results.log(kind="accuracy", **where, seed=seed, **scores)
    return [
        CellComparison(
            task.name,
            setting,
            (lstm.features, models[name].features),
            (
                training.count(lstm, example),
                training.count(models[name], example),
            ),
            (accuracy["lstm"], accuracy[name]),
            1e3 * seconds[:, [0, i]],
        )
        for i, setting, name in (
            (1, EQUAL_UNITS, "gru"),
            (2, EQUAL_PARAMETERS, "gru, more units"),
        )
    ]


def learn(
    model: Any, title: str, task: Task, config: Config, results: Run
) -> Float[np.ndarray, " seeds"]:
    """Train a model from every seed, and return its held-out accuracies."""
    params = training.start(model, padding.first(task.train[0], 1), config.seeds)
    config = with_task_steps(config, task)
    fitted = training.train(
        training.loss_of(model),
        params,
        task.train,
        config,
        results,
        title=title,
        labels={"model": title},
        schedule=optax.cosine_decay_schedule(1.0, config.steps),
    )

    def measure(params):
        return training.accuracy(model, params, *task.test)

    return np.asarray(jax.jit(lambda p: jax.lax.map(measure, p))(fitted.params))


def with_task_steps(config: Config, task: Task) -> Config:
    """The flags, with the number of training steps of a task."""
    return dataclasses.replace(config, steps=task.step_factor * config.steps)


def caption(
    tasks: Sequence[Task],
    config: Config,
    data: Sequences | None = None,
) -> str:
    """The setting of the run, for the caption of the figure."""
    count = len(config.seeds)
    steps = ", ".join(
        f"{task.name} {with_task_steps(config, task).steps}" for task in tasks
    )
    seeds = (
        f"mean over {count} seeds, paired by seed, and the interval by which the claim "
        "is judged"
        if count > 1
        else "of one seed"
    )
    setting = f"{data.setting}. " if data else ""
    score = data.score if data else "accuracy"
    return setting + (
        f"LSTM: {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, falling to 0 by a cosine schedule; steps of "
        f"{config.batch_size}: {steps}; clip norm {config.clip_norm:g}. Left: held-out "
        f"{score}, GRU minus LSTM, {seeds}. Right: median and interquartile range of "
        f"{config.timing_rounds} rounds of {STEPS_PER_ROUND} steps of one seed."
    )
