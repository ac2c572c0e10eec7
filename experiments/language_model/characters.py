"""What a language model tells of characters, and writes by itself."""

import math
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from experiments.harness import training
from experiments.harness.training import losses
from nets.decoding import sample
from nets.models import SequenceTagger
from nets.types import State

SEGMENT = 512  # characters that are read in one call of the net
FEW, MANY = 128, 1024  # held-out windows, while a net learns and at the end
NEAR = 8  # characters, behind which "further back" begins
COMPARED = 16_384  # characters, told from what is near and from all before
AT_ONCE = 2**24  # inputs of windows at once: with few symbols, all of them


def start(model: SequenceTagger, seeds: list[int]) -> Any:
    """Parameters of one model a seed, as in `training.start`, that learn faster.

    Linen draws the vectors of symbols so that their length is 1: each number is small,
    and so is what a gate is told of the symbol. Here their numbers have variance 1, as
    in PyTorch.
    """
    params = training.start(model, jnp.zeros((1, 2), int), seeds)
    vectors = params["embed"]["embedding"]
    params["embed"]["embedding"] = vectors * math.sqrt(model.features)
    return params


def measures(
    model: SequenceTagger, test: Int[Array, " time"], length: int
) -> tuple[Callable[[Any], Array], Callable[[Any], tuple[Array, ...]]]:
    """What is measured on held-out text.

    Args:
        model: One that reads forward.
        test: The text, of more than `NEAR` characters, and more than `length`.
        length: Characters of a window in training.

    Returns:
        A function of one seed's parameters, the loss in a few windows; and one of all
        seeds' parameters, which returns for each seed

        * this loss;
        * that of the whole text, the state carried;
        * the loss by the place in a window, up to twice as long, [seeds, places];
        * the loss of characters told from the last `NEAR`, the state being fresh before
          them, minus that of the same characters told from all before.
    """
    few = windows(test, spread(len(test) - length, FEW), length)
    longest = min(2 * length, len(test) - 1)
    many = windows(test, spread(len(test) - longest, MANY), longest)
    count = min(len(test) - NEAR, COMPARED)
    short = windows(test, jnp.arange(count), NEAR)

    def look(params):
        return window_losses(model, params, few).mean()

    def measure_one(params):
        carried = carried_losses(model, params, test)
        by_place = window_losses(model, params, many).mean(axis=0)
        near = window_losses(model, params, short)[:, -1]
        further = (near - carried[NEAR - 1 :][:count]).mean()
        return look(params), carried.mean(), by_place, further

    # One seed after another, to save memory.
    return look, jax.jit(lambda params: jax.lax.map(measure_one, params))


def windows(
    characters: Int[Array, " time"], starts: Int[Array, " windows"], length: int
) -> Int[Array, "windows length+1"]:
    """What a net reads from each start, and the character after it.

    Example:
        >>> windows(jnp.arange(10), jnp.array([0, 5]), length=2).tolist()
        [[0, 1, 2], [5, 6, 7]]
    """
    return characters[starts[:, None] + jnp.arange(length + 1)[None]]


def spread(starts: int, count: int) -> Int[Array, " windows"]:
    """So many of the starts from 0 on, evenly; all, if there are no more.

    Example:
        >>> spread(9, 5).tolist(), spread(3, 5).tolist()
        ([0, 2, 4, 6, 8], [0, 1, 2])
    """
    return jnp.asarray(np.linspace(0, starts - 1, min(count, starts)).astype(int))


def window_losses(
    model: SequenceTagger, params: Any, read: Int[Array, "windows length+1"]
) -> Float[Array, "windows length"]:
    """-ln p of each next character, the state fresh at the start of each window."""

    def tell(read):
        _, logits = cast(Any, model.apply({"params": params}, read[..., :-1]))
        return losses(logits, read[..., 1:])

    most = max(1, AT_ONCE // (read.shape[1] * model.classes))
    if len(read) <= most:
        return tell(read)
    return jax.lax.map(tell, read, batch_size=most)  # or a large alphabet fills memory


def carried_losses(
    model: SequenceTagger, params: Any, characters: Int[Array, " time"]
) -> Float[Array, " time-1"]:
    """-ln p of each character but the first, in one go from the first to the last.

    The text is read piece by piece, to save memory; the state goes from each piece to
    the next.

    Args:
        model: One that reads forward.
        params: Of one seed.
        characters: At least two.

    Returns:
        Nats.
    """
    count = len(characters) - 1
    pieces = -(-count // SEGMENT)
    padding = (0, pieces * SEGMENT - count)  # behind the end, where it changes nothing
    read, told = (
        jnp.pad(part, padding).reshape(pieces, SEGMENT)
        for part in (characters[:-1], characters[1:])
    )

    def one_piece(state, now):
        state, logits = cast(Any, model.apply({"params": params}, now[0], state))
        return state, losses(logits, now[1])

    _, nats = jax.lax.scan(one_piece, fresh_state(model, params), (read, told))
    return nats.reshape(-1)[:count]


def fresh_state(model: SequenceTagger, params: Any) -> State:
    """The state of a net that has read nothing."""
    own = params["recurrent"]["cell"]
    return model.cell.initial_state(own, jnp.zeros(model.features))


def go_on(
    model: SequenceTagger,
    params: Any,
    prompt: Int[Array, " time"],
    length: int,
    key: Key[Array, ""],
    temperatures: Float[Array, " temperatures"],
) -> Int[Array, "temperatures length"]:
    """How a net goes on with a prompt, at each temperature.

    Args:
        model: One that reads forward.
        params: Of one seed.
        prompt: At least one character.
        length: How many characters to write.
        key: A key of `jax.random.key`, the same for every temperature.
        temperatures: As in `nets.models.sample`.

    Returns:
        Characters.
    """

    def step(state, token):
        state, logits = cast(Any, model.apply({"params": params}, token[None], state))
        return state, logits[0]

    state, _ = jax.lax.scan(step, fresh_state(model, params), prompt[:-1])
    return jax.vmap(
        lambda degree: sample(step, state, prompt[-1], length, key, degree)[1]
    )(temperatures)
