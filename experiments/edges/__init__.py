"""What does a convolution see, and does a network learn edge kernels?

    python -m experiments.edges --photograph=china
    python -m experiments.edges --digits=0,1,2 --pool=max

Sobel kernels are applied to a photograph and to digits, with and without zero padding,
and the maps are drawn after ReLU and after pooling. Then networks with one 3x3
convolution learn to distinguish horizontal from vertical strokes from pixels and labels
alone. Their kernels are compared with the Sobel kernels, and with random kernels.
"""

from experiments.edges.config import Config

__all__ = ["Config", "run"]


def run(config, results):
    """Run the experiment; JAX is imported only here, as help does not need it."""
    from experiments.edges import experiment

    experiment.run(config, results)
