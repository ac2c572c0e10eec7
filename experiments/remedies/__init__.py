"""Does each remedy for vanishing and exploding gradients change what it claims to?

    python -m experiments.remedies --remedies=clip,chrono

Each remedy is held against the same network without it, from the same seeds, on the
adding problem: the sum of the two marked numbers of a long sequence is to be said at
its end. What is measured is the very quantity that the remedy is to change; the error
on the task after training stands beside it, as one need not follow from the other.
"""

from experiments.remedies.experiment import Config, run

__all__ = ["Config", "run"]
