"""How much memory does a training need per chip?

    python -m experiments.capacity --cells=gru,lstm --features=64,256
    python -m experiments.capacity --platform=tpu --topology=v5e:2x2 --chips=1x1,2x2

The program of `train.fit` is compiled, but not run, for several numbers of chips, batch
sizes, lengths of the sequences and sizes of the state. XLA reports the bytes that it
allocates on each chip: arguments (parameters, state of the optimizer, data), outputs
and temporary arrays. Temporary arrays grow linearly with time, because back-propagation
saves the activations of every step. (A TPU pads them to multiples of 128 units. A CPU
keeps those of one model at a time.) A program for a TPU is compiled without a TPU: it
needs the package libtpu only.
"""

from experiments.capacity.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.capacity import experiment

    experiment.run(config, results)
