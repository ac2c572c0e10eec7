"""How far back does the gradient of each cell reach, before and after training?

    python -m experiments.gradient_flow --cells=elman,lstm,gru
    python -m experiments.gradient_flow --cells=gru --order=rows --init=keras

Each cell learns to classify handwritten digits that it reads pixel by pixel or row by
row. The norm of dL/ds_t, the gradient of the loss with respect to the whole state after
step t, is measured on held-out digits at initialization and after training. During
training, probes measure how this norm changes, the gates, and the largest Lyapunov
exponents.
"""

from experiments.gradient_flow.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.gradient_flow import experiment

    experiment.run(config, results)
