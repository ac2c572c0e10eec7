"""Does a network learn to translate dates, of any format, into ISO 8601?

    python -m experiments.translate_dates --date="5 mars 2024; March 5, 2024"

Dates in nine languages and 26 formats are read character by character by one recurrent
cell, and written as "2024-03-05" by another. One day in five of two centuries is held
out, in every format. An encoder-decoder whose decoder looks back at the source is held
against one that is told the encoder's last state only, and beam search against greedy.
"""

from experiments.translate_dates.experiment import Config, run

__all__ = ["Config", "run"]
