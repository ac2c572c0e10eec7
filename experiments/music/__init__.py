"""Do recurrent nets learn polyphonic music, and does the cell matter?

    python -m experiments.music --data_dir=FOLDER

FOLDER holds `JSB_Chorales.mat`: chorales of Bach, which of a piano's 88 keys sound at
every quarter note. Each net reads a chorale and says of every key how likely it sounds
at the next step. The cells have as many parameters as each other, and start out as
sure of a key as it is frequent. After training the best net goes on with a chorale.
"""

from experiments.music.experiment import Config, load, run

__all__ = ["Config", "load", "run"]
