"""Functions of images, sequences and volumes, channels last."""

from nets.convolutional.convolution import (
    ConvParams,
    SeparableConvParams,
    conv,
    separable_conv,
)
from nets.convolutional.transposed import conv_transpose

__all__ = [
    "ConvParams",
    "SeparableConvParams",
    "conv",
    "conv_transpose",
    "separable_conv",
]
