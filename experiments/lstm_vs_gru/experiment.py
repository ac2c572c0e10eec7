"""The experiment: its flags and its steps."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

import nets
from experiments.harness import cli, common_flags, training
from experiments.harness.report import publish
from experiments.harness.runs import Run
from experiments.lstm_vs_gru import figures
from experiments.lstm_vs_gru.figures import EQUAL_PARAMETERS, EQUAL_UNITS, Duel
from nets import Cell
from nets.models import SequenceClassifier, SequenceTagger
from train import init_state, make_optimizer, make_step
from train.data import digits, mnist1d, words

STEPS_PER_ROUND = 10  # that are timed together


@dataclasses.dataclass(frozen=True)
class Config(training.Config):
    """The flags."""

    tasks: list[str] = cli.flag(
        ["digits", "mnist1d", "words"], "What to learn: digits, mnist1d, words."
    )
    seeds: list[int] = common_flags.seeds([0, 1, 2, 3, 4])
    features: int = common_flags.features(32, "Hidden units of the LSTM.")
    learning_rate: float = common_flags.learning_rate(
        1e-2, "The step size at first; it falls like a cosine to 0."
    )
    batch_size: int = common_flags.batch_size(32)
    steps: int = common_flags.steps(
        400,
        "Training steps, for words; others take a multiple of them to be learnt to "
        "near the end: digits 2 times as many, mnist1d 6 times.",
    )
    timing_rounds: int = cli.flag(
        12,
        f"Times that {STEPS_PER_ROUND} steps of each are timed.",
        lower_bound=1,
        upper_bound=100_000,
    )


class Task(NamedTuple):
    """Something to learn.

    Attributes:
        name: In a word.
        train: Inputs and labels, [examples, ...].
        test: Likewise, held out.
        make: The model, from a cell and its units.
        times: As many times `--steps` it takes to learn it to the end.
    """

    name: str
    train: tuple[Array, Array]
    test: tuple[Array, Array]
    make: Callable[[Cell, int], Any]
    times: int = 1


def tell_digits() -> Task:
    """Handwritten digits, a row a step."""
    train, test = (
        (jnp.asarray(half.images), jnp.asarray(half.labels)) for half in digits.load()
    )
    make = partial(SequenceClassifier, classes=10)
    return Task("digits", train, test, make, times=2)


def tell_mnist1d() -> Task:
    """MNIST-1D, a number a step."""
    train, test = (
        (jnp.asarray(half.sequences)[..., None], jnp.asarray(half.labels))
        for half in mnist1d.load()
    )
    make = partial(SequenceClassifier, classes=10)
    return Task("mnist1d", train, test, make, times=6)


def cut_words() -> Task:
    """Where words begin, a letter a step, read forward."""
    train, test = (
        (jnp.asarray(half.letters), jnp.asarray(half.starts)) for half in words.load()
    )
    make = partial(SequenceTagger, classes=2, vocabulary=len(words.LETTERS))
    return Task("words", train, test, make)


TASKS = {"digits": tell_digits, "mnist1d": tell_mnist1d, "words": cut_words}


def run(config: Config, results: Run) -> None:
    """Let both learn every task; log, draw and print what was found."""
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
    for task in tasks:
        training.check(
            longer(config, task), len(task.train[1]), f"examples of {task.name}"
        )
    duels = [duel for task in tasks for duel in compare(task, config, results)]
    claims = figures.evaluate_claims(duels)
    publish(
        results,
        answer=figures.answer(claims),
        figures={"lstm_vs_gru.png": figures.draw(duels, caption(tasks, config))},
        tables={"GRU compared with LSTM": figures.table(duels)},
        claims=claims,
    )


def compare(task: Task, config: Config, results: Run) -> list[Duel]:
    """The GRU against the LSTM in one task, at equal units and at equal parameters."""
    lstm = task.make(nets.lstm(), config.features)
    example = task.train[0][:1]
    more = units(task, training.count(lstm, example))
    models = {
        "lstm": lstm,
        "gru": task.make(nets.gru(), config.features),
        "gru, more units": task.make(nets.gru(), more),
    }
    accuracy = {
        name: learn(model, f"{task.name}, {name}", task, config, results)
        for name, model in models.items()
    }
    seconds = timed(list(models.values()), task, config)
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
            results.log(kind="accuracy", **where, seed=seed, test_accuracy=value)
    return [
        Duel(
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


def units(task: Task, parameters: int) -> int:
    """With how many units a GRU's model has as many parameters, or nearly."""

    def size(features):
        return training.count(task.make(nets.gru(), features), task.train[0][:1])

    features = 1
    while size(features + 1) <= parameters:
        features += 1
    nearest = [features, features + 1]
    sizes = [abs(size(n) - parameters) for n in nearest]
    return nearest[int(np.argmin(sizes))]


def learn(
    model: Any, title: str, task: Task, config: Config, results: Run
) -> Float[np.ndarray, " seeds"]:
    """Train a model from every seed; its accuracy on what is held out."""
    params = training.start(model, task.train[0][:1], config.seeds)
    config = longer(config, task)
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


def longer(config: Config, task: Task) -> Config:
    """The flags, with as many steps as the task takes."""
    return dataclasses.replace(config, steps=task.times * config.steps)


def timed(
    models: Sequence[Any], task: Task, config: Config
) -> Float[np.ndarray, "rounds models"]:
    """Seconds that a training step of one seed takes, the models in turn."""
    batch = jax.tree.map(lambda leaf: leaf[: config.batch_size], task.train)
    args = config.optimizer, config.learning_rate, config.clip_norm
    optimizer = make_optimizer(*args)
    programs, states = [], []
    for model in models:
        params = training.start(model, task.train[0][:1], config.seeds[:1])
        params = jax.tree.map(lambda leaf: leaf[0], params)
        state = init_state(optimizer, params, jax.random.key(config.seeds[0]))
        step = make_step(training.loss_of(model), optimizer)

        def many(state, step=step):
            return jax.lax.scan(
                lambda s, _: step(s, batch), state, length=STEPS_PER_ROUND
            )

        with jax.disable_jit(False):
            programs.append(jax.jit(many).lower(state).compile())
        states.append(state)
    seconds = np.zeros((config.timing_rounds + 1, len(models)))
    with jax.disable_jit(False):  # compiled programs are timed, whatever is set
        for one_round in seconds:
            for i, (program, state) in enumerate(zip(programs, states, strict=True)):
                began = time.perf_counter()
                jax.block_until_ready(program(state))
                one_round[i] = (time.perf_counter() - began) / STEPS_PER_ROUND
    return seconds[1:]  # the first round warms up


def caption(tasks: Sequence[Task], config: Config) -> str:
    """What was done, so that the figure can stand alone."""
    count = len(config.seeds)
    steps = ", ".join(f"{task.name} {longer(config, task).steps}" for task in tasks)
    seeds = (
        f"mean over {count} seeds and the interval that the claim is judged by, seed "
        "by seed"
        if count > 1
        else "of one seed"
    )
    return (
        f"LSTM: {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, falling like a cosine to 0; steps of "
        f"{config.batch_size}: {steps}; clip norm {config.clip_norm:g}. Left: held-out "
        f"accuracy, GRU minus LSTM, {seeds}. Right: the median of "
        f"{config.timing_rounds} rounds of {STEPS_PER_ROUND} steps of one seed, and "
        "the middle half of them."
    )
