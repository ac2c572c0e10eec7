"""Which cells are there, what are their equations, and how large are they?

    python -m experiments.catalogue --inputs=32 --features=64
    python -m experiments.catalogue --inputs=1 --features=128

The equations and references come from the docstrings of the cells, and the numbers of
parameters from their `init`. The command prints a table and writes `cells.md`, which is
the table of `nets/cells/README.md`.
"""

from experiments.catalogue.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.catalogue import experiment

    experiment.run(config, results)
