"""How fast is a whole study, next to PyTorch and to a plain loop in JAX?

    python -m experiments.throughput --what=study
    python -m experiments.throughput --what=study --cells=gru --members=16

A study trains one network per seed: a recurrent layer of 64 units reads 64 numbers, and
a dense layer classifies its last output, as in `experiments.gradient_flow`. One step
trains all members on a batch each: forward, backward, clipping, Adam. Every contender
runs in a separate process. They take turns in every round, and the ratios of their
times are reported. PyTorch is an optional package: pip install torch.
"""

from experiments.throughput.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.throughput import experiment

    experiment.run(config, results)
