"""Is one vector at the end enough to classify a sequence (many to one)?

    python -m experiments.classify_sequences --cells=elman,lstm,gru
    python -m experiments.classify_sequences --data=mnist1d --bidirectional

Recurrent networks read handwritten digits row by row or pixel by pixel, or the digits
of MNIST-1D number by number, and predict the digit from their last output. They are
compared with the most frequent class, with a linear model that sees the whole sequence
at once, and with networks whose last layer sees the outputs of all steps. With
`--bidirectional`, networks that read in both directions are trained too: once with as
many units per direction, and once with no more parameters.
"""

from experiments.classify_sequences.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.classify_sequences import experiment

    experiment.run(config, results)
