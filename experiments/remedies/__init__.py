"""Does each remedy for vanishing and exploding gradients change what it claims to?

    python -m experiments.remedies --remedies=clip,chrono

Each remedy is compared with the same network without it, from the same seeds, on the
adding problem: predict the sum of the two marked numbers of a long sequence at its end.
The experiment measures the quantity that the remedy is meant to change. It also reports
the error on the task after training, because the one need not imply the other.
"""

from experiments.remedies.experiment import Config, reopen, run

__all__ = ["Config", "reopen", "run"]
