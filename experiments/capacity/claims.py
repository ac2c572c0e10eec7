"""The answer, the claims and the table of the memory of trainings."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.capacity.measure import Memory
from experiments.harness import plotting, tables
from experiments.harness.claims import REFUTED, SUPPORTED, Case, Claim, claim_of_cases

GIB, KIB = 2**30, 2**10
TOLERANCE = 0.05


class Line(NamedTuple):
    """Trainings that differ in the length of their sequences only.

    Attributes:
        memories: Memory of each, in ascending order of time.
        at_once: Members of a chip whose activations exist at the same time.
        saved: Bytes of activations that back-propagation saves, per example and step.
        outputs: Bytes of the layer's output, per example and step.
        longest: The longest sequences that fit; None if unknown.
    """

    memories: Sequence[Memory]
    at_once: int
    saved: int
    outputs: int
    longest: Memory | None

    @property
    def name(self) -> str:
        """The training, without its time."""
        setting = self.memories[0].setting
        return (
            f"{setting.cell}, {setting.features} units, batch {setting.batch_size}, "
            f"{setting.chips}"
        )

    @property
    def growth(self) -> float:
        """Temporary bytes per example and step at the two longest; nan for a single."""
        first, last = self.memories[max(len(self.memories) - 2, 0)], self.memories[-1]
        steps = last.setting.time - first.setting.time
        if not steps:
            return np.nan
        return (last.temporary - first.temporary) / steps / self.examples

    @property
    def examples(self) -> float:
        """Examples on each chip whose activations exist at the same time."""
        setting = self.memories[0].setting
        return self.at_once * setting.batch_size / setting.data


def table(lines: Sequence[Line]) -> tables.Table:
    """Memory by length, one row per cell, size, batch and number of chips."""
    times = [memory.setting.time for memory in lines[0].memories]
    header = [
        "training",
        *(f"GiB per chip, T = {time:,}" for time in times),
        "KiB per example and step",
        "KiB saved for back-propagation",
        "longest T that fits",
    ]
    rows = [
        [
            line.name,
            *(f"{memory.total / GIB:.3g}" for memory in line.memories),
            f"{line.growth / KIB:.2f}" if np.isfinite(line.growth) else "-",
            f"{line.saved / KIB:.2f}",
            f"{line.longest.setting.time:,}" if line.longest else "-",
        ]
        for line in lines
    ]
    return tables.Table(header, rows)


def evaluate_claims(lines: Sequence[Line]) -> list[Claim]:
    """The claims on growth with time, and on the share of each chip."""
    return [*growth_claim(lines), *share_claim(lines)]


def growth_claim(lines: Sequence[Line]) -> list[Claim]:
    """Claim that memory grows by what back-propagation saves."""
    cases = []
    for line in lines:
        if not np.isfinite(line.growth):
            continue
        most = 3 * line.saved + 2 * line.outputs
        good = (1 - TOLERANCE) * line.saved <= line.growth <= (1 + TOLERANCE) * most
        value = (
            f"{line.growth / KIB:.2f} of {line.saved / KIB:.2f} to {most / KIB:.2f} KiB"
        )
        cases.append(Case(line.name, value, SUPPORTED if good else REFUTED))
    if not cases:
        return []
    text = (
        "With each step of a sequence, the memory of an example grows by the "
        "activations that back-propagation saves, and by at most twice as much for "
        "their gradients and for products that are computed ahead, besides the output "
        "of the layer and its gradient"
    )
    evidence = (
        "Growth of the temporary memory per example and step, between the two longest "
        "sequences, and the bytes of these arrays (the residuals of jax.vjp); "
        f"supported within {TOLERANCE:.0%}."
    )
    return [claim_of_cases(text, evidence, cases)]


def share_claim(lines: Sequence[Line]) -> list[Claim]:
    """Claim that the memory of a chip is in proportion to its examples."""
    alone = {without_chips(line): line for line in lines if chips_of(line) == 1}
    cases = []
    for line in lines:
        whole = alone.get(without_chips(line))
        if whole is None or whole is line or not whole.memories[-1].temporary:
            continue
        here, there = (x.memories[-1].temporary / x.examples for x in (line, whole))
        good = here / there <= 1 + TOLERANCE
        cases.append(
            Case(line.name, f"{here / there:.3f}", SUPPORTED if good else REFUTED)
        )
    if not cases:
        return []
    text = (
        "On several chips, the temporary memory of each is that of a single chip with "
        "as many examples at once"
    )
    evidence = (
        "Temporary memory per example on each of several chips, divided by that on a "
        f"single chip, for the longest sequences; supported up to {1 + TOLERANCE:g}."
    )
    return [claim_of_cases(text, evidence, cases)]


def chips_of(line: Line) -> int:
    """Number of chips."""
    setting = line.memories[0].setting
    return setting.study * setting.data


def without_chips(line: Line) -> tuple:
    """The setting of a line without its chips and its time."""
    setting = line.memories[0].setting
    return setting.cell, setting.batch_size, setting.features


def answer(lines: Sequence[Line], members: int, device: str) -> str:
    """The answer: the longest sequences that fit with most units, on fewest chips.

    Args:
        lines: The trainings.
        members: Number of members.
        device: Kind of the chips.
    """
    features = max(line.memories[0].setting.features for line in lines)
    chips = min(map(chips_of, lines))
    parts: dict[str, Line] = {}
    for line in lines:
        setting = line.memories[0].setting
        if setting.features == features and chips_of(line) == chips:
            parts.setdefault(setting.cell, line)
    first = next(iter(parts.values())).memories[-1]
    what = (
        f"{members} models of {features} units with {first.setting.batch_size} "
        "examples per step"
    )
    where = "one chip" if chips == 1 else f"{chips} chips"
    longest = {
        cell: line.longest.setting.time for cell, line in parts.items() if line.longest
    }
    if first.limit is None or len(longest) < len(parts):
        most = max(line.memories[-1].total for line in parts.values())
        return (
            f"For sequences of {first.setting.time:,} steps, {what} need up to "
            f"{most / GIB:.3g} GiB on {where} ({device})."
        )
    fits = ", ".join(
        f"{time:,} steps ({plotting.written(cell)})" for cell, time in longest.items()
    )
    return (
        f"On {where} with {first.limit / GIB:.4g} GiB ({device}), {what} fit if the "
        f"sequences have at most {fits}."
    )


def title(lines: Sequence[Line]) -> str:
    """The finding: growth of the memory with each step."""
    features = max(line.memories[0].setting.features for line in lines)
    growths = {}
    for line in lines:
        setting = line.memories[0].setting
        if setting.features == features and np.isfinite(line.growth):
            growths.setdefault(setting.cell, line.growth)
    if not growths:
        return "Memory of a training per chip"
    parts = ", ".join(
        f"{growth / KIB:.2f} KiB ({plotting.written(cell)})"
        for cell, growth in growths.items()
    )
    return f"With {features} units, memory grows per example and step by\n{parts}"
