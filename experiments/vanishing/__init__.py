"""Do gradients vanish faster in a recurrent net than in a feed-forward one?

    python -m experiments.vanishing --depth=64 --widths=16,64

Depth and time stand on one axis: how many layers, or steps, the gradient has come from
the loss. All nets read handwritten digits: the recurrent ones a pixel a step, the
feed-forward ones, with as many square layers as there are steps, all pixels at once. A
layer's matrix is drawn by the very law by which a cell's one matrix is drawn, and both
have one width; measured is the norm of dL/da_l and of dL/ds_t on held-out digits,
untrained and trained. Two more nets tell what makes the difference: a feed-forward one
with one matrix in all layers, and a recurrent one with a matrix of its own in each
step.
"""

from experiments.vanishing.experiment import Config, run

__all__ = ["Config", "run"]
