r"""How much of the next character does what came before tell a recurrent net?

    python -m experiments.language_model --cells=elman,lstm,gru
    python -m experiments.language_model --text_file=tinyshakespeare.txt \
        --cells=gru --features=256 --batch_size=12 --length=64 --steps=2000 \
        --learning_rate=4e-3 --seeds=0

Each cell reads a text and says after every character which one comes next. It learns
from windows of the first nine tenths, and is judged on all of the last tenth, which it
reads in one go, the state carried from the first character to the last. Beside it stand
models that count: smoothed n-grams, which know the n - 1 characters before and no more.
Then the nets go on with a prompt by themselves, at some temperatures.

The second command gives tinyshakespeare as many characters as nanoGPT's configuration
for a CPU does: 2,000 steps of 12 windows of 64. It takes three to five minutes of
processor time.
"""

from experiments.language_model.experiment import Config, run

__all__ = ["Config", "run"]
