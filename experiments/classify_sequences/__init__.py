"""Is one vector at the end enough to tell a sequence's class (many to one)?

    python -m experiments.classify_sequences --cells=elman,lstm,gru
    python -m experiments.classify_sequences --data=mnist1d --bidirectional

Recurrent nets read handwritten digits row by row or pixel by pixel, or the digits of
MNIST-1D number by number, and tell from their last output which digit it was. Against
them stand the most frequent class, a linear model that sees the whole sequence at once,
and nets whose last layer sees the outputs of all steps. With --bidirectional more nets
read from both ends, with as many units a direction, and with no more parameters.
"""

from experiments.classify_sequences.experiment import Config, run

__all__ = ["Config", "run"]
