"""When can a recurrence be solved in parallel over time?

    python -m experiments.parallel --parts=cells --cells=elman,gru,lstm
    python -m experiments.parallel --parts=published

Newton's method solves s_t = f(s_{t-1}, x_t) for all steps at once: each iteration is
one parallel scan over time. It pays off only if few iterations are enough. The number
of iterations is measured next to the largest Lyapunov exponent of the same trajectory,
and next to the half-life of the gradient that flows back along it: for every nonlinear
cell, at several gains of its recurrent weights and from several initializations,
before, during and after training on handwritten digits. Some cells are then trained
with a penalty that moves the exponent to a target (gradient flossing). Published facts
are measured again: the iterations of observers of chaotic systems, the threshold of
random networks, and iterations that do not depend on the number of steps.
"""

from experiments.parallel.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.parallel import experiment

    experiment.run(config, results)
