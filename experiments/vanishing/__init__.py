"""Do gradients vanish faster in a recurrent net than in a feed-forward one?

    python -m experiments.vanishing --depth=64 --widths=16,64
    python -m experiments.vanishing --widths=32 --inits=he --trained_inits=none

Depth and time share one axis: the number of layers, or steps, between the loss and the
gradient. All networks read handwritten digits. The recurrent ones read one pixel per
step. The feed-forward ones read all pixels at once, and have as many square layers as
there are steps. The matrix of a layer and the one matrix of a cell are drawn from the
same distribution, and have the same width. The norms of dL/da_l and dL/ds_t are
measured on held-out digits, untrained and trained. Two more networks show what causes
the difference: a feed-forward one with the same matrix in all layers, and a recurrent
one with a separate matrix in each step.
"""

from experiments.vanishing.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.vanishing import experiment

    experiment.run(config, results)
