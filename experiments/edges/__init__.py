"""What does a convolution see, and does a network find edge kernels by itself?

    python -m experiments.edges --photograph=china

Sobel's kernels are laid on a photograph and on digits, with zeros around the image and
without, and what ReLU and pooling leave of the maps is drawn. Then networks of one 3x3
convolution, which are shown pixels and labels only, learn to tell horizontal from
vertical strokes; their kernels are compared with the fixed ones, beside what chance
gives.
"""

from experiments.edges.experiment import Config, run

__all__ = ["Config", "run"]
