"""Does a convolutional autoencoder say more about a digit in 8 numbers than PCA?

    python -m experiments.autoencoder --latent=8,16 --upsample=nearest

An encoder of convolutions and max pools makes of each digit a vector z of a few
numbers, a decoder of upsamplings and convolutions a digit of z. Its mean squared error
is held against that of PCA with as many components, the best that any linear
autoencoder can do on what it was fitted to. Then z is walked through: from digit to
digit, and along each of its axes.

`--upsample=nearest,linear,transposed,unpool` compares four decoders, and `--describe`
prints their layers and trains nothing.
"""

from experiments.autoencoder.experiment import Config, run

__all__ = ["Config", "run"]
