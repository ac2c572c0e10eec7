"""Does the gradient's flow before training foretell what a cell will learn?

    python -m experiments.atlas --cells=elman,lstm,gru,min_gru --inits=own,torch,chrono
    python -m experiments.atlas --flagfile=experiments/atlas/full.flags

For every cell, initialization, number of units and seed, the experiment measures the
decay rate, half-life and horizon of the gradient, the largest Lyapunov exponents, the
conditioning of the product of Jacobians, and the share of the gradient along the
highway, on untrained networks. It then trains the networks on three tasks of long
memory: adding, temporal order, copy memory. All initializations and seeds of a cell are
members of one study. Rank correlations, and predictions of cells that are left out,
show which measure foretells learning.

Without flags, ten cells are measured; with those of full.flags every cell, in about two
hours on two cores. `--rows=FILE` draws the rows of an earlier run again. The page
atlas.html of each run has all rows, in a table that can be sorted.
"""

from experiments.atlas.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.atlas import experiment

    experiment.run(config, results)
