"""Does a network draw a digit from its label well enough to be recognized?

    python -m experiments.draw_digits --temperatures=0.5,1
    python -m experiments.draw_digits --cell=lstm --features=64 --seeds=0

A recurrent cell is given a label and draws a digit row by row (one to many). Each row
is sampled from a mixture of Gaussians that depends on the rows before. During training
the cell sees the true rows; when it draws it sees its own. A convolutional network,
trained on the same handwritten digits, then classifies the drawings. It also classifies
digits that no network was trained on, digits whose rows do not belong together, the
drawings of a network that does not see the rows before, and drawings that should fail.
"""

from experiments.draw_digits.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.draw_digits import experiment

    experiment.run(config, results)
