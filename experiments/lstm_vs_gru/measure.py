"""The tasks, and the sizes and step times of an LSTM and a GRU on them."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import nets
from experiments.harness import training
from experiments.harness.own_sequences import Sequences
from experiments.harness.padding import Inputs, first
from experiments.lstm_vs_gru.config import STEPS_PER_ROUND
from nets import Cell
from nets.models import SequenceClassifier, SequenceTagger
from train import init_state, make_optimizer, make_step
from train.data import digits, mnist1d, words

EQUAL_UNITS, EQUAL_PARAMETERS = SETTINGS = "equal units", "equal parameters"


class CellComparison(NamedTuple):
    """An LSTM and a GRU on one task; the LSTM is first in each pair.

    Attributes:
        task: Name of the task.
        setting: One of `SETTINGS`.
        features: Hidden units of both.
        parameters: Parameters of both models.
        accuracy: Held-out accuracies of both, or R2 of targets, each [seeds].
        milliseconds: Time of a training step in each round of timing.
    """

    task: str
    setting: str
    features: tuple[int, int]
    parameters: tuple[int, int]
    accuracy: tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]
    milliseconds: Float[np.ndarray, "rounds 2"]

    @property
    def name(self) -> str:
        """The task and the setting."""
        return f"{self.task}, {self.setting}"

    @property
    def gain(self) -> Float[np.ndarray, " seeds"]:
        """Accuracy of the GRU minus the LSTM, in percentage points, seed by seed."""
        lstm, gru = self.accuracy
        return 100 * (gru - lstm)

    @property
    def ratios(self) -> Float[np.ndarray, " rounds"]:
        """Step time of the GRU over that of the LSTM in the same round."""
        return self.milliseconds[:, 1] / self.milliseconds[:, 0]


class Task(NamedTuple):
    """A data set and a model of it.

    Attributes:
        name: Name of the task.
        train: Inputs and labels of the training set, [examples, ...].
        test: Inputs and labels of the held-out set, [examples, ...].
        make: Function that makes the model from a cell and a number of units.
        step_factor: Factor on `--steps`, so that training converges.
    """

    name: str
    train: tuple[Inputs, Array]
    test: tuple[Inputs, Array]
    make: Callable[[Cell, int], Any]
    step_factor: int = 1


def digits_task() -> Task:
    """Classify handwritten digits, reading one row per step."""
    train, test = (
        (jnp.asarray(half.images), jnp.asarray(half.labels)) for half in digits.load()
    )
    make = partial(SequenceClassifier, classes=10)
    return Task("digits", train, test, make, step_factor=2)


def mnist1d_task() -> Task:
    """Classify MNIST-1D, reading one number per step."""
    train, test = (
        (jnp.asarray(half.sequences)[..., None], jnp.asarray(half.labels))
        for half in mnist1d.load()
    )
    make = partial(SequenceClassifier, classes=10)
    return Task("mnist1d", train, test, make, step_factor=6)


def words_task() -> Task:
    """Tag the letters that begin a word, reading forward."""
    train, test = (
        (jnp.asarray(half.letters), jnp.asarray(half.starts)) for half in words.load()
    )
    make = partial(SequenceTagger, classes=2, vocabulary=len(words.LETTERS))
    return Task("words", train, test, make)


def own_task(data: Sequences, name: str) -> Task:
    """Learn the user's own sequences."""
    make = partial(SequenceClassifier, classes=data.outputs)
    return Task(name, data.train, data.test, make)


TASKS = {"digits": digits_task, "mnist1d": mnist1d_task, "words": words_task}


def gru_units(task: Task, parameters: int) -> int:
    """Number of units with which a GRU model is closest to a number of parameters."""

    def size(features):
        model = task.make(nets.gru(), features)
        return training.count(model, first(task.train[0], 1))

    features = 1
    while size(features + 1) <= parameters:
        features += 1
    nearest = [features, features + 1]
    sizes = [abs(size(n) - parameters) for n in nearest]
    return nearest[int(np.argmin(sizes))]


def time_steps(
    models: Sequence[Any], task: Task, config: Any
) -> Float[np.ndarray, "rounds models"]:
    """Seconds per training step of one seed; the models take turns in each round."""
    batch = jax.tree.map(lambda leaf: leaf[: config.batch_size], task.train)
    args = config.optimizer, config.learning_rate, config.clip_norm
    optimizer = make_optimizer(*args)
    programs, states = [], []
    for model in models:
        example = first(task.train[0], 1)
        params = training.start(model, example, config.seeds[:1])
        params = jax.tree.map(lambda leaf: leaf[0], params)
        state = init_state(optimizer, params, jax.random.key(config.seeds[0]))
        step = make_step(training.loss_of(model), optimizer)

        def steps_of_a_round(state, step=step):
            return jax.lax.scan(
                lambda s, _: step(s, batch), state, length=STEPS_PER_ROUND
            )

        with jax.disable_jit(False):
            programs.append(jax.jit(steps_of_a_round).lower(state).compile())
        states.append(state)
    seconds = np.zeros((config.timing_rounds + 1, len(models)))
    with jax.disable_jit(
        False
    ):  # time compiled programs even if JAX_DISABLE_JIT is set
        for seconds_of_round in seconds:
            for i, (program, state) in enumerate(zip(programs, states, strict=True)):
                began = time.perf_counter()
                jax.block_until_ready(program(state))
                seconds_of_round[i] = (time.perf_counter() - began) / STEPS_PER_ROUND
    return seconds[1:]  # the first round warms up
