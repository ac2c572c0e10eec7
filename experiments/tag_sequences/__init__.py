"""Which labels does a network tell that reads from both sides, and not from one?

    python -m experiments.tag_sequences --cell=gru

English words are run together, and the network says of each letter whether a word
begins there: what came before hints at it, and what comes after settles it, so the
label needs both sides. A cell that reads forward, one that reads backward, and both
together learn it from the same letters; a fourth network reads both ways with as many
units as it can have with no more parameters than one that reads one way.
"""

from experiments.tag_sequences.experiment import Config, run

__all__ = ["Config", "run"]
