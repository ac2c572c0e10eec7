"""The network of 1997: memory cells in blocks that share their gates."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.harness import (
    fitting,
    long_memory,
    memory_training,
    networks,
    replay,
    training,
)
from experiments.harness.long_memory import Task
from experiments.harness.networks import Network
from experiments.harness.runs import Run
from nets import Cell
from nets.linear import add_bias
from nets.models import SequenceClassifier
from train import make_optimizer

NAME = "network of 1997"
RATE = 0.5  # of gradient descent, one sequence per step
EVALUATE_EVERY = 500  # sequences
LENGTH = 110  # of the longest
BLOCKS, SIZE = 2, 2  # of task 6a
RANGE = 0.1  # of the initial weights
GATE_BIASES = -2.0, -4.0  # initial biases of the input gates
CORRECT = 0.3  # largest absolute error of an output that counts as correct


class BlocksParams(NamedTuple):
    """w [inputs + 2 blocks + cells, 2 blocks + cells], b: input gates, output gates, g.

    The rows of w are the inputs, the gates and the outputs of the memory cells.
    """

    w: Float[Array, "reads units"]
    b: Float[Array, " units"]


class BlocksState(NamedTuple):
    """Gates, outputs and contents of the memory cells, each [*batch, ...]."""

    gates: Float[Array, "*batch gates"]
    hidden: Float[Array, "*batch cells"]
    cell: Float[Array, "*batch cells"]


def memory_blocks(blocks: int = BLOCKS, size: int = SIZE) -> Cell:
    """Memory cells in blocks, each with one input gate and one output gate.

        i, o, g = W [x, i_before, o_before, h_before] + b
        i' = sigmoid(i),  o' = sigmoid(o)              one number per block
        c' = c + i' (4 sigmoid(g) - 2)
        h' = o' (2 sigmoid(c') - 1)

    The gates are read by all units at the next step, as are the outputs h. The gradient
    is truncated as in the paper: it flows back in time along c only. `nets.lstm_1997`
    is the usual form instead: one pair of gates per cell, gates that are not read, tanh
    as both squashing functions, and the whole gradient.

    Args:
        blocks: Number of blocks.
        size: Memory cells per block.

    Returns:
        A `Cell` whose `features` are the memory cells, blocks * size; its output is h.

    Raises:
        ValueError: `features` is another number, when the parameters are initialized.

    Example:
        >>> params = memory_blocks().init(jax.random.key(0), inputs=8, features=4)
        >>> params.w.size + params.b.size  # and 4 outputs read 4 cells and a bias: 156
        136

    References:
        Hochreiter and Schmidhuber 1997, Long short-term memory,
        https://doi.org/10.1162/neco.1997.9.8.1735
    """
    cells = blocks * size

    def init(key, inputs, features):
        if features != cells:
            raise ValueError(f"expected {cells} features, the cells; got {features}")
        units = 2 * blocks + cells
        shape = inputs + units + 1, units
        drawn = jax.random.uniform(key, shape, minval=-RANGE, maxval=RANGE)
        # -2, -4, -6, ...: blocks that open later are free for a second symbol.
        biases = GATE_BIASES[0] * jnp.arange(1, blocks + 1)
        return BlocksParams(drawn[:-1], drawn[-1].at[:blocks].set(biases))

    def initial_state(params, x):
        zeros = jnp.zeros((*x.shape[:-1], cells), params.w.dtype)
        return BlocksState(zeros[..., : 2 * blocks], zeros, zeros)

    def step(params, state, x):
        before = jnp.concatenate([state.gates, state.hidden], axis=-1)
        reads = jnp.concatenate([x, jax.lax.stop_gradient(before)], axis=-1)
        units = add_bias(reads @ params.w, params.b)
        gates = jax.nn.sigmoid(units[..., : 2 * blocks])
        i, o = (
            jnp.repeat(part, size, axis=-1) for part in jnp.split(gates, 2, axis=-1)
        )
        g = 4 * jax.nn.sigmoid(units[..., 2 * blocks :]) - 2
        cell = state.cell + i * g
        hidden = o * (2 * jax.nn.sigmoid(cell) - 1)
        return BlocksState(gates, hidden, cell), hidden

    return Cell(init, initial_state, step)


def network() -> SequenceClassifier:
    """The network of task 6a: 8 inputs, 2 blocks of 2 cells, 4 outputs."""
    return SequenceClassifier(memory_blocks(), BLOCKS * SIZE, 4)


def start(task: Task, length: int, seeds: Sequence[int]) -> Any:
    """Initial parameters, one network per seed; those of the outputs as in the paper.

    Args:
        task: The task.
        length: As in `task.example`.
        seeds: The seeds.

    Returns:
        A tree of arrays [seeds, ...].
    """
    params = long_memory.start(task, length, network(), seeds)

    def uniform(seed, i, leaf):
        key = jax.random.fold_in(jax.random.key(seed), i)
        return jax.random.uniform(key, leaf.shape[1:], minval=-RANGE, maxval=RANGE)

    dense = {
        name: jnp.stack([uniform(seed, i, leaf) for seed in seeds])
        for i, (name, leaf) in enumerate(sorted(params["dense"].items()), 1)
    }
    return {**params, "dense": dense}


def losses(logits: Float[Array, "examples 4"], labels: Array) -> Array:
    """Half of the summed squared error of logistic outputs, [examples]."""
    return jnp.square(errors(logits, labels)).sum(axis=-1) / 2


def errors(logits: Float[Array, "examples 4"], labels: Array) -> Array:
    """Errors of the outputs, [examples, 4]."""
    return jax.nn.sigmoid(logits) - jax.nn.one_hot(labels, logits.shape[-1])


class Original(NamedTuple):
    """Learning of the network of the paper.

    Attributes:
        sequences: Number of sequences read before each evaluation.
        wrong: Share of the held-out sequences that are wrong, [seeds, evaluations].
        solved: Number of sequences after which none was wrong; 0 if never, [seeds].
        profile: ln |dL/ds_t| before training, [seeds, time].
    """

    sequences: Int[np.ndarray, " evaluations"]
    wrong: Float[np.ndarray, "seeds evaluations"]
    solved: Int[np.ndarray, " seeds"]
    profile: Float[np.ndarray, "seeds time"]


def train(task: Task, seeds: Sequence[int], config: Any, results: Run) -> Original:
    """Train the network as in the paper: gradient descent, one sequence per step.

    Args:
        task: The task.
        seeds: The seeds.
        config: The flags.
        results: The run.

    Returns:
        An `Original`.
    """
    model, params = network(), start(task, LENGTH, seeds)
    labels = {"network": NAME}

    def loss_fn(params, index, key):
        inputs, label = long_memory.draw(task, LENGTH, jax.random.split(key, 1))
        return losses(training.logits(model, params, inputs), label).sum()

    fitted = replay.fit(
        results,
        NAME,
        loss_fn,
        make_optimizer("sgd", RATE),
        params,
        np.arange(1),
        seeds,
        steps=config.original_sequences,
        batch_size=1,
        checkpoint_every=config.checkpoint_every,
        log_fn=lambda **row: results.log(kind="training", **labels, **row),
        learning_rate=RATE,
        desc=NAME,
        evaluate_fn=wrong(task, LENGTH, config.evaluate_on),
        evaluate_every=min(EVALUATE_EVERY, config.original_sequences),
        target=0.0,
        steps_per_call=EVALUATE_EVERY,
        **fitting.guards(config, results, NAME, labels),
    )
    assert fitted.scores is not None
    shares = np.asarray(fitted.scores.values).T
    right = shares == 0
    solved = np.where(right.any(axis=1), fitted.scores.steps[right.argmax(axis=1)], 0)
    profile = memory_training.profiles(task, LENGTH, model, params)
    return Original(fitted.scores.steps, shares, solved, profile)


def reopen(task: Task, evaluate_on: str) -> Network:
    """The network with its held-out sequences; its score is the share that is wrong."""
    (xs, steps), labels = long_memory.held_out(task, LENGTH, evaluate_on=evaluate_on)
    score = wrong(task, LENGTH, evaluate_on)
    return networks.linen(
        network(), (xs, steps), labels, losses, score, "recurrent", by_step=False
    )


def wrong(task: Task, length: int, evaluate_on: str) -> Callable[[Any], Array]:
    """Share of the held-out sequences with an output that is wrong by 0.3 or more.

    Args:
        task: The task.
        length: As in `task.example`.
        evaluate_on: As in `long_memory.held_out`.

    Returns:
        A function of the parameters of one member.
    """
    model = network()

    def share(params):
        inputs, labels = long_memory.held_out(task, length, evaluate_on=evaluate_on)
        logits = training.logits(model, params, inputs)
        return (jnp.abs(errors(logits, labels)) >= CORRECT).any(axis=-1).mean()

    return share
