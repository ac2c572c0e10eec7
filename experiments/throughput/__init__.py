"""How fast are layers and whole studies, next to other libraries?

    python -m experiments.throughput --what=study --cells=gru --members=16
    python -m experiments.throughput --what=layers --layers=lstm --peers=linen,torch
    python -m experiments.throughput --what=gpu --minutes=5
    python -m experiments.throughput --what=cost --cells=gru
    python -m experiments.throughput --what=parallel --layers=gru

A study trains one network per seed: a recurrent layer of 64 units reads 64 numbers, and
a dense layer classifies its last output, as in `experiments.gradient_flow`. One step
trains all members on a batch each: forward, backward, clipping, Adam. A layer computes
its outputs, and to train also the gradients by its parameters and inputs.

Contenders run in separate processes, or in one if they use JAX with equal settings.
They take turns in every round, and the ratios of their times are reported. The other
libraries are optional packages: pip install torch dm-haiku equinox keras.
"""

from experiments.throughput.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.throughput import experiment

    experiment.run(config, results)
