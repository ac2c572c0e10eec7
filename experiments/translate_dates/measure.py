"""Translations of dates, and the attention of the models that write them."""

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

GOAL = 0.95  # share of dates that are exactly right
PARTS = {
    "year": slice(0, 4),
    "month": slice(5, 7),
    "day": slice(8, 10),
}  # of the output
READS = "year", "month", "day", "weekday", "rest"  # parts of a source
CHUNK = 4096  # held-out dates translated at once
SHOWN = 4, 10, 17, 20  # formats of the attention maps


class Translations(NamedTuple):
    """Translations of the held-out dates.

    Attributes:
        symbols: Symbols as indices into `dates.OUTPUT`, [seeds, examples, 10].
        log_probabilities: Log-probability of each translation in nats,
            [seeds, examples].
    """

    symbols: Int[np.ndarray, "seeds examples 10"]
    log_probabilities: Float[np.ndarray, "seeds examples"]


class TranslationResult(NamedTuple):
    """Results of one model.

    Attributes:
        name: Name of the model, such as "with attention".
        parameters: Number of parameters.
        steps: Training steps at which the model was probed.
        curve: Share of some held-out dates translated exactly at these steps.
        greedy: Translations by greedy decoding, after training.
        beam: Translations by beam search, after training.
        targets: Correct translations.
        seconds_per_step: Seconds per training step of all seeds together.
    """

    name: str
    parameters: int
    steps: Int[np.ndarray, " probes"]
    curve: Float[np.ndarray, "seeds probes"]
    greedy: Translations
    beam: Translations
    targets: Int[np.ndarray, "examples 10"]
    seconds_per_step: float

    @property
    def right(self) -> np.ndarray:
        """Whether each greedy translation is exact, [seeds, examples]."""
        return (self.greedy.symbols == self.targets).all(axis=-1)

    @property
    def exact(self) -> Float[np.ndarray, " seeds"]:
        """Share of greedy translations that are exact."""
        return self.right.mean(axis=1)

    @property
    def beam_exact(self) -> Float[np.ndarray, " seeds"]:
        """Share of translations by beam search that are exact."""
        return (self.beam.symbols == self.targets).all(axis=-1).mean(axis=1)

    @property
    def characters(self) -> Float[np.ndarray, " seeds"]:
        """Share of correct characters in greedy translations."""
        return (self.greedy.symbols == self.targets).mean(axis=(1, 2))

    @property
    def steps_to_goal(self) -> Float[np.ndarray, " seeds"]:
        """Step of the first probe that reaches the goal; the last step if none does."""
        reached = self.curve >= GOAL
        first = np.where(reached.any(axis=1), reached.argmax(axis=1), -1)
        return self.steps[first].astype(float)


class AttentionResult(NamedTuple):
    """Attention weights of a model.

    Attributes:
        shares: Share of the attention on each of `READS` while each of `PARTS` is
            written, the mean over all dates, [seeds, writes, reads].
        languages: Languages of the example dates.
        sources: Example dates.
        written: Translations of the examples by the first seed's model.
        weights: Attention weights of these translations, [time, source].
    """

    shares: Float[np.ndarray, "seeds writes reads"]
    languages: Sequence[str]
    sources: Sequence[str]
    written: Sequence[str]
    weights: Sequence[Float[np.ndarray, "time source"]]


def translate(
    model: EncoderDecoder, params: Any, sources: Array, lengths: Array, width: int
) -> Beam:
    """Translate each source by beam search; the most likely translation is first."""
    apply = partial(model.apply, {"params": params})
    state, memory = cast(Any, apply(sources, lengths, method="encode"))
    step = partial(apply, memory, method="decode_step")
    first = jnp.full(len(sources), model.start_token)
    return beam_search(cast(Any, step), state, first, dates.OUTPUT_LENGTH, width)


def measure_attention(
    model: EncoderDecoder, params: Any, result: TranslationResult, test: Dates
) -> AttentionResult:
    """Attention while the model writes its greedy translations."""

    @jax.jit
    def weights(p, sources, lengths, symbols):
        args = sources, lengths, symbols
        return model.apply({"params": p}, *args, method="attention_weights")

    shares = []
    indicators = jnp.asarray(source_parts(test))
    for i in range(len(result.exact)):
        p = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        all_weights = weights(p, test.sources, test.lengths, result.greedy.symbols[i])
        shares.append(
            [
                jnp.einsum("nts,nsp->p", all_weights[:, where], indicators)
                / (len(indicators) * (where.stop - where.start))
                for where in PARTS.values()
            ]
        )
    day = dates.FIRST + datetime.timedelta(int(dates.split()[1][0]))
    texts = [written(day, FORMATS[i]) for i in SHOWN]
    sources, lengths = map(jnp.asarray, dates.encode(texts))
    first = jax.tree.map(lambda leaf: leaf[0], params)
    translations = translate(model, first, sources, lengths, 1).sequences[:, 0]
    maps = weights(first, sources, lengths, translations)
    return AttentionResult(
        np.asarray(shares),
        [FORMATS[i].language for i in SHOWN],
        texts,
        dates.iso(np.asarray(translations)),
        [np.asarray(m)[:, :n] for m, n in zip(maps, lengths.tolist(), strict=True)],
    )


def source_parts(test: Dates) -> Float[np.ndarray, "examples length parts"]:
    """Part of the source that each character belongs to, one-hot over `READS`."""
    indicators = np.zeros((*test.sources.shape, len(READS)))
    pairs = zip(dates.iso(test.targets), test.formats, strict=True)
    for i, (text, form) in enumerate(pairs):
        for part, where in parts(datetime.date.fromisoformat(text), FORMATS[form]):
            indicators[i, where, READS.index(part)] = 1
    indicators[..., -1] = 1 - indicators.sum(axis=-1)
    return indicators


def translate_all(
    model: EncoderDecoder, params: Any, test: Dates, width: int
) -> tuple[Translations, Translations]:
    """Translate the held-out dates with all seeds, greedily and by beam search."""

    @jax.jit
    def translate_chunk(params, sources, lengths):  # one seed after another
        def translate_seed(p):
            return [translate(model, p, sources, lengths, w) for w in (1, width)]

        return jax.lax.map(translate_seed, params)

    pairs = []  # in chunks, to save memory
    for at in range(0, len(test.sources), CHUNK):
        chunk = slice(at, at + CHUNK)
        pairs.append(translate_chunk(params, test.sources[chunk], test.lengths[chunk]))
    greedy, beam = (
        Translations(
            np.concatenate([b.sequences[..., 0, :] for b in beams], axis=1),
            np.concatenate([b.log_probabilities[..., 0] for b in beams], axis=1),
        )
        for beams in zip(*pairs, strict=True)
    )
    return greedy, beam
