"""Do recurrent nets learn polyphonic music, and does the cell matter?

    python -m experiments.music --data_dir=FOLDER

FOLDER contains `JSB_Chorales.mat`: chorales by Bach, given as the piano keys (of 88)
that sound at every quarter note. Each network reads a chorale and predicts the
probability of every key at the next step. All cells have the same number of parameters,
up to rounding, and their output biases start at the frequency of each key. After
training, the best network continues a chorale.
"""

from experiments.music.experiment import Config, load, reopen, run

__all__ = ["Config", "load", "reopen", "run"]
