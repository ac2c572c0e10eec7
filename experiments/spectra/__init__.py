"""Which cells keep a difference of the state, from which start, in how many directions?

    python -m experiments.spectra --cells=lstm,gru --inits=own,keras,chrono
    python -m experiments.spectra --cells=all --inits=own --features=16

Untrained cells of equal size run on white noise. Their Lyapunov exponents are the rates
at which each direction of the state shrinks or grows in the long run: at zero a
gradient neither vanishes nor explodes. The singular values of the product of the same
Jacobians show how much it is stretched within these steps. Both have the same sum.
"""

from experiments.spectra.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.spectra import experiment

    experiment.run(config, results)
