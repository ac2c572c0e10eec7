"""From which start do gated cells learn the order of two symbols, long ago?

    python -m experiments.temporal_order --cells=lstm --inits=orthogonal,torch,chrono
    python -m experiments.temporal_order --cells=gru,star --original_sequences=0

The task is 6a of the paper that introduced the LSTM: in a sequence of 100 to 110
symbols, two are X or Y, and the class is their order. A cell has solved the task when
its cross-entropy on 1,000 held-out sequences is at most 0.05 nats. The numbers of
sequences are compared with the published number, and with earlier measurements. The
network of the paper, with 156 weights, is trained as in the paper, too.
"""

from experiments.temporal_order.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.temporal_order import experiment

    experiment.run(config, results)
