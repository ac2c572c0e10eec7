"""Are the published accuracies on MNIST-1D reproduced, and what do other cells reach?

    python -m experiments.mnist1d
    python -m experiments.mnist1d --models=all --nopooling --results=results/all_cells
    python -m experiments.mnist1d --models=gru,lru,min_gru --seeds=0:8

The linear model, the MLP, the CNN and the GRU have the authors' exact sizes, the
initialization of PyTorch, and the authors' training: Adam, 6,001 steps of 100 sequences
in the order of the data. The tanh RNN and the LSTM have the shape of the GRU. Every
other cell has about as many parameters as the GRU. All of them are bidirectional, and
a dense layer reads the outputs of all steps. All seeds of a model are one program.
The pooling table trains two convolutions on 1,000 sequences, with five kinds of pools.
"""

from experiments.mnist1d.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.mnist1d import experiment

    experiment.run(config, results)
