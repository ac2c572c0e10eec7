"""Does each remedy for vanishing and exploding gradients change what it claims to?

    python -m experiments.remedies --remedies=clip,chrono
    python -m experiments.remedies --remedies=orthogonal --length=100

Each remedy is compared with the same network without it, from the same seeds, on the
adding problem: predict the sum of the two marked numbers of a long sequence at its end.
The experiment measures the quantity that the remedy is meant to change. It also reports
the error on the task after training, because the one need not imply the other.
"""

from experiments.remedies.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.remedies import experiment

    experiment.run(config, results)
