"""What do the instruments measure in the networks of a run, without training again?

    python -m experiments.inspect results/gradient_flow/RUN
    python -m experiments.inspect results/gradient_flow/RUN --instruments=lags,gates

The networks are those whose parameters the run has kept, on its held-out data. The
instruments are those of `nets.flow`: gradients of the loss by the states and by the
inputs at every step, gates, Lyapunov exponents, and the gradient by its lag.
"""

from experiments.inspect.experiment import Config, run

__all__ = ["Config", "run"]
