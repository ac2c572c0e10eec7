"""Is the GRU simpler and faster than the LSTM, and no worse?

    python -m experiments.lstm_vs_gru --features=32

Both learn three tasks, from the same seeds: to tell handwritten digits read row by row,
to tell the digits of MNIST-1D read number by number, and to say of running letters
where words begin. The GRU is held against the LSTM with as many units, and with as many
more as give it as many parameters. Steps are timed one after the other in turn, a GRU's
and an LSTM's under the same load.
"""

from experiments.lstm_vs_gru.experiment import Config, run

__all__ = ["Config", "run"]
