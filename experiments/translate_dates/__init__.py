"""Does a network learn to translate dates, of any format, into ISO 8601?

    python -m experiments.translate_dates --date="5 mars 2024; March 5, 2024"
    python -m experiments.translate_dates --attention=with --beam=8

One recurrent cell reads a date character by character, in one of nine languages and 26
formats, and a second cell writes it as "2024-03-05". One day in five of two centuries
is held out, in every format. An encoder-decoder with attention to the source is
compared with one whose decoder sees only the encoder's last state, and beam search with
greedy search.
"""

from experiments.translate_dates.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.translate_dates import experiment

    experiment.run(config, results)
