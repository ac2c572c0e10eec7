"""How far does a cell's gradient reach at the start, by its initialization?

    python -m experiments.initialization --cells=lstm --inits=keras,torch,haiku
    python -m experiments.initialization --cells=gru,mgu --features=64

The same equations start as each library initializes them, and run on white noise. The
experiment measures the spectral norm of the Jacobian of the whole state after t steps
with respect to the first state: the largest share of a gradient that can travel back
over t steps.
"""

from experiments.initialization.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.initialization import experiment

    experiment.run(config, results)
