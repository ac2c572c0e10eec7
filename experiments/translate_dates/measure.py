"""The dates that a model writes, and where it looks while it writes them."""

import datetime
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from nets.decoding import Beam, beam_search
from nets.models import EncoderDecoder
from train.data import dates
from train.data.date_formats import FORMATS, parts, written
from train.data.dates import Dates

GOAL = 0.95  # of the dates exactly right
PARTS = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}  # written
READS = "year", "month", "day", "weekday", "rest"  # the parts of a source
CHUNK = 4096  # held-out dates that are translated at once
SHOWN = 4, 10, 17, 20  # formats whose attention is drawn


class Written(NamedTuple):
    """What a model writes for the held-out dates.

    Attributes:
        symbols: By numbers in `dates.OUTPUT`, [seeds, examples, 10].
        log_probabilities: Of each, in nats, [seeds, examples].
    """

    symbols: Int[np.ndarray, "seeds examples 10"]
    log_probabilities: Float[np.ndarray, "seeds examples"]


class Study(NamedTuple):
    """What was found of one model.

    Attributes:
        name: Such as "with attention".
        parameters: How many it has.
        steps: At which it was probed while it learnt.
        curve: The share of some held-out dates that it then wrote exactly right.
        greedy: What it writes at the end, symbol by symbol.
        beam: What it writes by beam search.
        targets: What is right.
        seconds_per_step: Of training, all seeds together.
    """

    name: str
    parameters: int
    steps: Int[np.ndarray, " probes"]
    curve: Float[np.ndarray, "seeds probes"]
    greedy: Written
    beam: Written
    targets: Int[np.ndarray, "examples 10"]
    seconds_per_step: float

    @property
    def right(self) -> np.ndarray:
        """Whether each date is exactly right, greedy, [seeds, examples]."""
        return (self.greedy.symbols == self.targets).all(axis=-1)

    @property
    def exact(self) -> Float[np.ndarray, " seeds"]:
        """The share of dates that are exactly right, greedy."""
        return self.right.mean(axis=1)

    @property
    def beam_exact(self) -> Float[np.ndarray, " seeds"]:
        """Likewise by beam search."""
        return (self.beam.symbols == self.targets).all(axis=-1).mean(axis=1)

    @property
    def characters(self) -> Float[np.ndarray, " seeds"]:
        """The share of characters that are right, greedy."""
        return (self.greedy.symbols == self.targets).mean(axis=(1, 2))

    @property
    def steps_to_goal(self) -> Float[np.ndarray, " seeds"]:
        """The first probe at which the goal is reached; the last step if none is."""
        reached = self.curve >= GOAL
        first = np.where(reached.any(axis=1), reached.argmax(axis=1), -1)
        return self.steps[first].astype(float)


class Looks(NamedTuple):
    """Where a model with attention looks.

    Attributes:
        shares: Of its attention while it writes each of `PARTS`, on each of `READS`:
            means over all dates, [seeds, writes, reads].
        languages: Of dates to be shown.
        sources: These dates.
        written: What the first seed's model writes.
        weights: Of it, by characters written and read.
    """

    shares: Float[np.ndarray, "seeds writes reads"]
    languages: Sequence[str]
    sources: Sequence[str]
    written: Sequence[str]
    weights: Sequence[Float[np.ndarray, "time source"]]


def translate(
    model: EncoderDecoder, params: Any, sources: Array, lengths: Array, width: int
) -> Beam:
    """What a model writes for each source, the likeliest first."""
    apply = partial(model.apply, {"params": params})
    state, memory = cast(Any, apply(sources, lengths, method="encode"))
    step = partial(apply, memory, method="decode_step")
    first = jnp.full(len(sources), model.start_token)
    return beam_search(cast(Any, step), state, first, dates.OUTPUT_LENGTH, width)


def look(model: EncoderDecoder, params: Any, found: Study, test: Dates) -> Looks:
    """Where a model looks as it writes what it writes."""

    @jax.jit
    def weights(p, sources, lengths, symbols):
        args = sources, lengths, symbols
        return model.apply({"params": p}, *args, method="attention_weights")

    shares = []
    says = jnp.asarray(reads(test))
    for i in range(len(found.exact)):
        p = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        all_weights = weights(p, test.sources, test.lengths, found.greedy.symbols[i])
        shares.append(
            [
                jnp.einsum("nts,nsp->p", all_weights[:, where], says)
                / (len(says) * (where.stop - where.start))
                for where in PARTS.values()
            ]
        )
    day = dates.FIRST + datetime.timedelta(int(dates.split()[1][0]))
    texts = [written(day, FORMATS[i]) for i in SHOWN]
    sources, lengths = map(jnp.asarray, dates.encode(texts))
    first = jax.tree.map(lambda leaf: leaf[0], params)
    said = translate(model, first, sources, lengths, 1).sequences[:, 0]
    maps = weights(first, sources, lengths, said)
    return Looks(
        np.asarray(shares),
        [FORMATS[i].language for i in SHOWN],
        texts,
        dates.iso(np.asarray(said)),
        [np.asarray(m)[:, :n] for m, n in zip(maps, lengths.tolist(), strict=True)],
    )


def reads(test: Dates) -> Float[np.ndarray, "examples length parts"]:
    """Which part of a source each character belongs to, as ones in `READS`."""
    found = np.zeros((*test.sources.shape, len(READS)))
    pairs = zip(dates.iso(test.targets), test.formats, strict=True)
    for i, (text, form) in enumerate(pairs):
        for says, where in parts(datetime.date.fromisoformat(text), FORMATS[form]):
            found[i, where, READS.index(says)] = 1
    found[..., -1] = 1 - found.sum(axis=-1)
    return found


def write(
    model: EncoderDecoder, params: Any, test: Dates, width: int
) -> tuple[Written, Written]:
    """Translations of held-out dates by all seeds, greedy and by a beam."""

    @jax.jit
    def translate_all(params, sources, lengths):  # one seed after another
        def one(p):
            return [translate(model, p, sources, lengths, w) for w in (1, width)]

        return jax.lax.map(one, params)

    found = []  # in chunks, to save memory
    for at in range(0, len(test.sources), CHUNK):
        chunk = slice(at, at + CHUNK)
        found.append(translate_all(params, test.sources[chunk], test.lengths[chunk]))
    greedy, beam = (
        Written(
            np.concatenate([one.sequences[..., 0, :] for one in chunks], axis=1),
            np.concatenate([one.log_probabilities[..., 0] for one in chunks], axis=1),
        )
        for chunks in zip(*found, strict=True)
    )
    return greedy, beam
