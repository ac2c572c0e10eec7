"""Is the GRU simpler and faster than the LSTM, and no worse?

    python -m experiments.lstm_vs_gru --features=32
    python -m experiments.lstm_vs_gru --tasks=digits --seeds=0,1,2

Both cells learn three tasks from the same seeds: to classify handwritten digits row by
row, to classify the digits of MNIST-1D number by number, and to predict where words
begin in running letters. The GRU is compared with the LSTM at an equal number of units,
and at an equal number of parameters. The steps of both cells are timed in turn, under
the same load.
"""

from experiments.lstm_vs_gru.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.lstm_vs_gru import experiment

    experiment.run(config, results)
