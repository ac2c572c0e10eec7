"""Published facts, and the measurements that they are compared with."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.parallel.published.flows import System

ITERATIONS = 1  # up to which numbers of iterations agree: residuals differ in norm
NOTICED = 1  # iteration in which the published solver notices that it has converged


class Fact(NamedTuple):
    """A published number, and the number that is measured here.

    Attributes:
        name: Name of the case.
        quantity: The number, in words.
        published: Published number.
        measured: The number here.
        tolerance: Distance up to which the numbers agree.
        bound: Whether the published number is an upper bound.
    """

    name: str
    quantity: str
    published: float
    measured: float
    tolerance: float
    bound: bool = False

    @property
    def outcome(self) -> str:
        """`SUPPORTED` or `REFUTED`."""
        above = self.measured - self.published
        agree = above <= self.tolerance if self.bound else abs(above) <= self.tolerance
        return SUPPORTED if agree else REFUTED


class Observed(NamedTuple):
    """Newton's method for the observer of a system.

    Attributes:
        system: The system.
        iterations: Iterations, as the published code counts them.
        exponent: Largest exponent per unit of time.
        converged: Whether the solver converged.
    """

    system: System
    iterations: int
    exponent: float
    converged: bool


class Threshold(NamedTuple):
    """Newton's method for random networks, against their gain.

    Attributes:
        gains: Gains, [gains].
        steps: Number of steps.
        exponents: Largest exponents, nats per step, [gains, networks].
        iterations: Iterations, [gains, networks].
        converged: Whether the solver converged, [gains, networks].
        onset: Gain at which the mean exponent of long trajectories is 0.
    """

    gains: Float[np.ndarray, " gains"]
    steps: int
    exponents: Float[np.ndarray, "gains networks"]
    iterations: Float[np.ndarray, "gains networks"]
    converged: np.ndarray
    onset: float

    @property
    def right(self) -> float:
        """Share of the networks for which the sign of the exponent is right."""
        return float((self.converged == (self.exponents < 0)).mean())


class Lengths(NamedTuple):
    """Iterations against the number of steps.

    Attributes:
        steps: Numbers of steps, [lengths].
        contracting: Iterations for a contracting cell, [lengths, seeds].
        wells: Iterations for a particle in two wells, [lengths].
    """

    steps: np.ndarray
    contracting: Float[np.ndarray, "lengths seeds"]
    wells: Float[np.ndarray, " lengths"]


class Published(NamedTuple):
    """All facts.

    Attributes:
        observers: One entry per system.
        threshold: Random networks.
        lengths: Iterations against the number of steps.
    """

    observers: list[Observed]
    threshold: Threshold
    lengths: Lengths

    def facts(self) -> list[Fact]:
        """The published numbers next to those here."""
        facts = []
        for each in self.observers:
            name, (_, exponent) = each.system.name, each.system.exponents
            _, iterations = each.system.iterations
            facts += [
                Fact(name, "iterations", iterations, each.iterations, ITERATIONS),
                Fact(name, "exponent", exponent, each.exponent, 0.02 - 0.02 * exponent),
            ]
        later = self.lengths.contracting[1:]
        grown = float((later.max(axis=0) - later.min(axis=0)).max())
        return [
            *facts,
            Fact("tanh networks", "gain at exponent 0", 1.2, self.threshold.onset, 0.1),
            Fact(
                "tanh networks",
                "share decided by the sign",
                1.0,
                self.threshold.right,
                0.1,
            ),
            Fact("contracting cell", "growth of iterations with T", 0.0, grown, 1),
            Fact(
                "two wells",
                "most iterations",
                35,
                float(self.lengths.wells.max()) + NOTICED,
                ITERATIONS,
                bound=True,
            ),
        ]
