"""What do the instruments cost?

    python -m experiments.instrument_cost --cells=elman,lstm,gru
    python -m experiments.instrument_cost --cells=lstm --time=50

A training step (forward, backward, Adam) is timed in turn without and with the gradient
of every state recorded, and the ratio of both times is reported. The Lyapunov spectrum
of a tanh network is timed in seconds, since there is no plain run to compare it with.
"""

from experiments.instrument_cost.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.instrument_cost import experiment

    experiment.run(config, results)
