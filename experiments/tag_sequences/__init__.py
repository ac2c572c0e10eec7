"""Which labels need both directions?

    python -m experiments.tag_sequences --cell=gru
    python -m experiments.tag_sequences --cell=lstm --length=32 --seeds=0

English words are joined without spaces, and the network predicts for each letter
whether a word begins there (many to many). The letters before are a hint and the
letters after decide, so the label needs both sides. A cell that reads forward, one that
reads backward, and a bidirectional layer learn from the same letters. A fourth network
reads in both directions with no more parameters than a network that reads in one.
"""

from experiments.tag_sequences.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.tag_sequences import experiment

    experiment.run(config, results)
