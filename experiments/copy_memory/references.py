"""Published losses of copy memory, at T = 1000 and about 16,000 parameters.

The networks here have 64 units, and read one-hot symbols.
"""

from experiments.harness.memory_claims import LOSS, STANDARD, Reference
from experiments.harness.published import Published

SOURCE = "Bai, Kolter and Koltun 2018"
TOLERANCE = 0.001  # 5 % of the baseline, 0.0204
SETTING = {**STANDARD, "batch_size": 32}

REFERENCES = tuple(
    Reference(
        1000,
        cell,
        "orthogonal",
        Published(f"copy memory, T = 1000, {name}: loss", loss, SOURCE, TOLERANCE),
        LOSS,
        SETTING,
    )
    for cell, name, loss in (
        ("elman", "tanh RNN", 0.0202),
        ("lstm", "LSTM", 0.0204),
        ("gru", "GRU", 0.0197),
    )
)
