"""How do runs of one experiment differ?

    python -m experiments.compare results/narrow results/wide
    python -m experiments.compare results/narrow results/wide results/deep --results=all

The arguments are folders of complete runs. The page has one table: the flags in which
the runs differ, each metric with its 95 % interval over seeds, and its difference to
the first run. Runs that share seeds are compared seed by seed. Figures show the
learning curves and the gradient's norm over time of all runs together.
"""

from experiments.compare.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.compare import experiment

    experiment.run(config, results)
