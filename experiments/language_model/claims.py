"""The claims, the finding and the tables of language models."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from experiments.harness import tables
from experiments.harness.claims import SUPPORTED, Claim, judge
from experiments.language_model.characters import NetworkResult, Sample
from experiments.language_model.ngrams import NgramResult

GATED = ("lstm", "gru")


BITS = 1 / math.log(2)  # in a nat


def table(
    ngram_results: Sequence[NgramResult], networks: Sequence[NetworkResult], length: int
) -> tables.Table:
    """Losses on held-out text, one row per model."""
    header = [
        "model",
        "nats per character",
        "bits per character",
        "perplexity",
        f"nats in windows of {length}",
        "parameters",
        "ms per step",
    ]
    rows = []
    for ngram in ngram_results:
        numbers = ngram.nats, ngram.nats * BITS, math.exp(ngram.nats)
        nats, bits, perplexity = (f"{number:.3f}" for number in numbers)
        rows.append([ngram.name, nats, bits, perplexity, "-", "-", "-"])
    for net in networks:
        fresh = net.by_context[:, :length].mean(axis=1)
        numbers = net.nats, net.nats * BITS, np.exp(net.nats), fresh
        cells = [tables.mean_and_deviation(number, "{:.3f}") for number in numbers]
        milliseconds = f"{1000 * net.seconds_per_step:.1f}"
        rows.append([net.cell, *cells, f"{net.parameters:,}", milliseconds])
    return tables.Table(header, rows)


def sample_tables(samples: Sequence[Sample]) -> dict[str, tables.Table]:
    """The generated text: one table per temperature, one row per line."""
    by_title = {}
    for sample in samples:
        rows = [[line] for line in lines(sample.text)]
        title = f"{sample.cell} at temperature {sample.temperature:g}"
        by_title[title] = tables.Table([f"after {sample.prompt!r}"], rows)
    return by_title


def lines(written: str) -> list[str]:
    r"""Lines of a text; long lines are wrapped, no-break spaces keep the indentation.

    Example:
        >>> lines("if so:\n  go on")
        ['if so:', '\xa0\xa0go on']
    """
    broken = []
    for line in written.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        rest = textwrap.wrap(line[indent:], 80) or [""]
        broken += ["\N{NO-BREAK SPACE}" * indent + rest[0], *rest[1:]]
    return broken


def evaluate_claims(
    ngram_results: Sequence[NgramResult], networks: Sequence[NetworkResult]
) -> list[Claim]:
    """Claims that textbooks make about language models."""
    by_order = {ngram.order: ngram for ngram in ngram_results}
    best = min(ngram_results, key=lambda ngram: ngram.nats)
    claims = {
        "Context predicts the next character: a recurrent network is better than the "
        "character frequencies": by_order[1],
        "A network remembers more than the last character: it is better than a bigram "
        "model": by_order[2],
        f"A network is better than every n-gram model of up to {max(by_order)} "
        "characters": best,
    }
    results = [
        compare(
            claim, {net.cell: ngram.nats - net.nats for net in networks}, ngram.name
        )
        for claim, ngram in claims.items()
    ]
    per_cell = {net.cell: net.nats for net in networks}
    gated = [name for name in GATED if name in per_cell]
    if "elman" in per_cell and gated:
        gains = {name: per_cell["elman"] - per_cell[name] for name in gated}
        results.append(
            compare(
                "Gates help: they predict better than an Elman network",
                gains,
                "elman",
            )
        )
    claim = "A network uses context from more than eight characters back"
    gains = {net.cell: net.further for net in networks}
    what = "given the last 8 characters minus given all before"
    results.append(compare(claim, gains, what))
    return results


def compare(
    claim: str, gains: dict[str, Float[np.ndarray, " seeds"]], minus: str
) -> Claim:
    """The claim that every cell has a gain; the gains are in nats."""
    judgment = judge([gain * BITS for gain in gains.values()])
    what = minus if " minus " in minus else f"{minus} minus the network"
    return judgment.claim(claim, f"Bits per character, {what}.", gains, "{:+.3f}")


def best_network(networks: Sequence[NetworkResult]) -> NetworkResult:
    """The network with the least loss."""
    return min(networks, key=lambda net: net.nats.mean())


def beaten_and_unbeaten(
    ngram_results: Sequence[NgramResult], networks: Sequence[NetworkResult]
) -> tuple[list[str], list[str]]:
    """N-gram models that the best network beats, and does not beat, the worst first."""
    place = networks.index(best_network(networks))

    def beats(ngram: NgramResult) -> bool:  # the same test as in `evaluate_claims`
        gains = [ngram.nats - net.nats for net in networks]
        return judge(gains).outcomes[place] == SUPPORTED

    ranked = sorted(ngram_results, key=lambda ngram: -ngram.nats)
    beaten = [ngram.name for ngram in ranked if beats(ngram)]
    return beaten, [ngram.name for ngram in ranked if ngram.name not in beaten]


def answer(
    ngram_results: Sequence[NgramResult], networks: Sequence[NetworkResult]
) -> str:
    """The answer to the question of the experiment, in one sentence."""
    beaten, unbeaten = beaten_and_unbeaten(ngram_results, networks)
    if ngram_results[0].name not in beaten:
        return "No network reliably predicts better than the character frequencies."
    if unbeaten:
        return (
            f"The best network predicts better than a {beaten[-1]} model, but not "
            f"reliably better than a {unbeaten[0]} model."
        )
    return "The best network predicts better than every n-gram model."


def title(
    ngram_results: Sequence[NgramResult], networks: Sequence[NetworkResult]
) -> str:
    """The finding: the bits that context saves, compared with n-gram models."""
    unigram, best = ngram_results[0].nats, best_network(networks)
    beaten, unbeaten = beaten_and_unbeaten(ngram_results, networks)
    if ngram_results[0].name not in beaten:
        return "No network reliably predicts better than the character frequencies"
    than = f"any n-gram model with n up to {len(ngram_results)} saves"
    if unbeaten:
        than = f"a {beaten[-1]} model saves, not more than a {unbeaten[0]} model"
    return (
        f"Context saves {best.cell} {(unigram - best.nats.mean()) * BITS:.1f} of "
        f"{unigram * BITS:.1f} bits per character:\nmore than {than}"
    )
