"""What do the instruments measure in the networks of a run, without training again?

    python -m experiments.inspect results/gradient_flow/RUN
    python -m experiments.inspect results/gradient_flow/RUN --instruments=lags,gates

The networks are rebuilt from the parameters that the run has kept, and measured on its
held-out data. The instruments are functions of `nets.flow`: gradients of the loss by
the states and by the inputs at every step, gates, Lyapunov exponents, and the gradient
by its lag.
"""

from experiments.inspect.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.inspect import experiment

    experiment.run(config, results)
