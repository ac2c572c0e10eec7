"""What do the instruments cost?

    python -m experiments.instrument_cost --cells=elman,lstm,gru
    python -m experiments.instrument_cost --cells=lstm --time=50

A training step (forward, backward, Adam) takes turns with `state_gradients` of the same
loss, and with a training step that also records the norm of every state's gradient. The
ratios of their times are reported.

There is no plain run to compare `lyapunov_spectrum` and `log_singular_values` with.
Both measure a tanh network. Their time and memory are reported, with the exponents of
their growth with the numbers of steps and of units. The memory is compared with that of
the Jacobians of all steps, [time, features, features].
"""

from experiments.instrument_cost.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.instrument_cost import experiment

    experiment.run(config, results)
