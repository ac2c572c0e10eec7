"""What does each step know, read forward, read backward, and by both together?

    python -m experiments.information --cell=gru

A cell reads handwritten digits from both ends, and learns to tell them. What its state
knows after each step is read out by linear probes, on held-out digits: the label, in
bits, and the whole image, as a share of its variance. Beside it stands which steps the
loss hangs on: the gradient by the state, and by the input. The same is measured of the
untrained network, as a random state knows things too.
"""

from experiments.information.experiment import Config, run

__all__ = ["Config", "run"]
