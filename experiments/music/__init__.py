"""Do recurrent nets learn polyphonic music, and does the cell matter?

    python -m experiments.music --data_dir=FOLDER
    python -m experiments.music --data_dir=FOLDER --cells=gru --generated_steps=64

FOLDER contains `JSB_Chorales.mat`: chorales by Bach, given as the piano keys (of 88)
that sound at every quarter note. Each network reads a chorale and predicts the
probability of every key at the next step. All cells have the same number of parameters,
up to rounding, and their output biases start at the frequency of each key. After
training, the best network continues a chorale.
"""

from experiments.music.config import Config

__all__ = ["Config", "load", "run"]


def load(config):
    """Load the pieces that the flags name."""
    from experiments.music import experiment

    return experiment.load(config)


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.music import experiment

    experiment.run(config, results)
