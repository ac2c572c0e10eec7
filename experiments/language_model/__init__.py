r"""How well does a recurrent net predict the next character from its context?

    python -m experiments.language_model --cells=elman,lstm,gru
    python -m experiments.language_model --text_file=tinyshakespeare.txt \
        --cells=gru --features=256 --batch_size=12 --length=64 --steps=2000 \
        --learning_rate=4e-3 --seeds=0

Each cell reads a text and predicts the next character after every character. It trains
on windows of the first nine tenths of the text. It is evaluated on the last tenth in
one pass, with the state carried from the first character to the last. It is compared
with smoothed n-grams, which see the n - 1 characters before and no more. The networks
then continue a prompt at several temperatures.

The second command trains on as many characters of tinyshakespeare as nanoGPT's
configuration for a CPU does: 2,000 steps of 12 windows of 64. It takes three to five
minutes of processor time.
"""

from experiments.language_model.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.language_model import experiment

    experiment.run(config, results)
