"""Captions of gradient_flow's figures: the numbers that each was measured on."""

from collections.abc import Sequence
from typing import Any

from experiments.gradient_flow.measure import Course
from experiments.harness import cells, probing
from experiments.harness.cells import OWN


def learning(
    courses: Sequence[Course], config: Any, looked: int, time: int
) -> dict[str, str]:
    """Captions of what was measured while the cells learned, by file name."""
    every = f"every {config.probe_every} training steps, and after the last"
    digits = f"{looked} held-out digits"
    few = f"{min(probing.FEW, looked)} held-out digits"
    labels = [course.label.split(" ")[0] for course in courses if course.gates]
    gated = [name for name in config.cells if name in labels]
    several = len(config.seeds) > 1
    spread = f"mean and range of {seeds(config)}" if several else "one seed"
    return {
        "learning.png": f"Median over {digits} {every}; mean of its log over "
        f"{seeds(config)}. Colors: the middle 96 % of what was seen after training "
        f"began. {trained(config, time)}",
        "gates.png": f"Mean over steps, units and {digits} {every}; {spread}. "
        f"{trained(config, time, gated)}",
        "lyapunov.png": f"Mean over {few} {every}; of the largest exponent {spread}, "
        f"of the next ones the mean. {trained(config, time)}",
    }


def decays(config: Any, examples: int, time: int) -> str:
    """The measurement, so that the figure can be read alone."""
    return (
        f"Lines: geometric mean over {seeds(config)} of the median over "
        f"{examples} held-out digits; bands: their range. {trained(config, time)}"
    )
    return f"{lines} {trained(config, time)}"


def seeds(config: Any) -> str:
    """A count, in words."""
    count = len(config.seeds)
    return f"{count} seeds" if count > 1 else "one seed"


def trained(config: Any, time: int, names: Sequence[str] = ()) -> str:
    """Training and initialization of all cells, or of those of some names."""
    starts = {
        name: cells.initializer_name(name, config.init, time)
        for name in names or config.cells
    }
    schemes = "; ".join(
        f"{', '.join(n for n in starts if starts[n] == scheme)}: "
        + ("its own" if scheme == OWN else scheme)
        for scheme in dict.fromkeys(starts.values())
    )
    return (
        f"Digits as {config.order}; {config.features} units; {config.optimizer}, rate "
        f"{config.learning_rate:g}, {config.steps} steps of {config.batch_size}, clip "
        f"norm {config.clip_norm:g}. Initialisation: {schemes}."
    )
