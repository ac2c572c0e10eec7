"""What does each step know, read forward, read backward, and in both directions?

    python -m experiments.information --cell=gru
    python -m experiments.information --cell=lstm --order=pixels --seeds=0

A bidirectional layer reads handwritten digits and learns to classify them. Linear
probes then read out, on held-out digits, what its state knows after each step: the
label, in bits, and the whole image, as a share of its variance. The figure also shows
on which steps the loss depends: the gradients with respect to the state and to the
input. An untrained network is measured too, since a random state also carries
information.
"""

from experiments.information.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.information import experiment

    experiment.run(config, results)
