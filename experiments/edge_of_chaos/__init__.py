"""At which gain of its weights does a random network become chaotic?

    python -m experiments.edge_of_chaos --features=100,400
    python -m experiments.edge_of_chaos --gains=0.5,1,1.5,2 --seeds=0,1

Networks h' = tanh(W h) with W ~ N(0, g^2 / N) run without input, and their largest
Lyapunov exponent is measured against the gain g. Below zero all states converge to one
fixed point or cycle, at zero they move along a cycle, and above zero they are chaotic.
The figure also shows the mean-field theory of infinitely many units. Below the
transition it shows ln rho(W) of each W, which is the exact exponent there. Small
networks end in cycles at gains at which the mean field is already chaotic.
"""

from experiments.edge_of_chaos.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.edge_of_chaos import experiment

    experiment.run(config, results)
