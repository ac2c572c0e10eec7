"""How far back does the gradient of each cell reach, before and after training?

    python -m experiments.gradient_flow --cells=elman,lstm,gru

Each cell learns to tell handwritten digits, read pixel by pixel or row by row, and the
norm of dL/ds_t, the gradient of the loss with respect to the whole state after step t,
is measured on held-out digits at initialisation and after training. On the way probes
look at how it changes, at the gates, and at the largest Lyapunov exponents.
"""

from experiments.gradient_flow.experiment import Config, run

__all__ = ["Config", "run"]
