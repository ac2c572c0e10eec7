"""Does a convolutional autoencoder with 8 numbers keep more of a digit than PCA?

    python -m experiments.autoencoder --latent=8,16 --upsample=nearest
    python -m experiments.autoencoder --latent=8 --steps=200 --seeds=0

An encoder of convolutions and max pools maps each digit to a vector z of a few numbers.
A decoder of upsamplings and convolutions maps z back to a digit. The mean squared error
of the reconstruction is compared with that of PCA with as many components, which is the
best that any linear autoencoder can reach on its training set. Two figures then move
through the space of z: from one digit to another, and along each axis.

`--upsample=nearest,linear,transposed,unpool` compares four decoders. `--describe`
prints their layers and trains nothing.
"""

from experiments.autoencoder.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.autoencoder import experiment

    experiment.run(config, results)
