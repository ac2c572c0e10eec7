"""Which labels need both directions?

    python -m experiments.tag_sequences --cell=gru

English words are joined without spaces, and the network predicts for each letter
whether a word begins there (many to many). The letters before are a hint and the
letters after decide, so the label needs both sides. A cell that reads forward, one that
reads backward, and a bidirectional layer learn from the same letters. A fourth network
reads in both directions with no more parameters than a network that reads in one.
"""

from experiments.tag_sequences.experiment import Config, reopen, run

__all__ = ["Config", "reopen", "run"]
