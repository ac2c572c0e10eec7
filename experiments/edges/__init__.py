"""What does a convolution see, and does a network learn edge kernels?

    python -m experiments.edges --photograph=china

Sobel kernels are applied to a photograph and to digits, with and without zero padding,
and the maps are drawn after ReLU and after pooling. Then networks with one 3x3
convolution learn to distinguish horizontal from vertical strokes from pixels and labels
alone. Their kernels are compared with the Sobel kernels, and with random kernels.
"""

from experiments.edges.experiment import Config, reopen, run

__all__ = ["Config", "reopen", "run"]
