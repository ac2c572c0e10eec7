"""Recurrences in parallel over time."""

from nets.recurrent.parallel.options import ParallelSolver, Solve

__all__ = ["ParallelSolver", "Solve"]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
