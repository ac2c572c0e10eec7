"""Which cells learn to add two numbers, read up to 200 steps apart?

    python -m experiments.adding --cells=lstm,gru --inits=own,chrono --lengths=100,200
    python -m experiments.adding --cells=elman,irnn --lengths=100 --seeds=0:8

Each step has a random number and a mark; the network predicts the sum of the two marked
numbers at the end. Always predicting 1 has an error of 1/6. A cell has solved the task
when its mean squared error on 1,000 held-out sequences is at most 0.01. The gradient
before training is measured, too, and the numbers of steps are compared with earlier
measurements.
"""

from experiments.adding.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.adding import experiment

    experiment.run(config, results)
