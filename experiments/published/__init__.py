"""Which published numbers are reproduced? All of them in one table.

    python -m experiments.published results/mnist1d
    python -m experiments.published results/mnist1d results/adding results/parallel

The arguments are folders of complete runs. The table has every published number that
the runs compare with, the one measured, its deviation, and whether it is within the
tolerance; a second table has their commands, seeds and durations. `published.md` has
both in Markdown. Published numbers that no run here can reach are listed with what they
need.
"""

from experiments.published.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.published import experiment

    experiment.run(config, results)
