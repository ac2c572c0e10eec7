"""Does a network draw a digit from its label, so that another one reads it?

    python -m experiments.draw_digits --temperatures=0.5,1

One recurrent cell is told a label and draws a digit row by row: each row comes out of a
mixture of Gaussians that the rows before it lead to. It learns with the true rows
before its eyes, and draws with its own. A convolutional network, trained on the same
digits as people wrote them, judges which digit it is; it also judges digits that
nobody trained on, digits whose rows do not fit each other, drawings of a network that
does not see the rows before, and drawings that should fail.
"""

from experiments.draw_digits.experiment import Config, run

__all__ = ["Config", "run"]
