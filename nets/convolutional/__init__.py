"""Functions of images, sequences and volumes, channels last."""

from nets.convolutional.adaptive import (
    adaptive_max_pool,
    adaptive_mean_pool,
    global_max_pool,
    global_mean_pool,
)
from nets.convolutional.convolution import (
    ConvParams,
    SeparableConvParams,
    conv,
    separable_conv,
)
from nets.convolutional.dense import DenseParams, dense, flatten
from nets.convolutional.pooling import lp_pool, max_pool, mean_pool
from nets.convolutional.transposed import conv_transpose
from nets.convolutional.unpooling import unpool
from nets.convolutional.upsampling import upsample

__all__ = [
    "ConvParams",
    "DenseParams",
    "SeparableConvParams",
    "adaptive_max_pool",
    "adaptive_mean_pool",
    "conv",
    "conv_transpose",
    "dense",
    "flatten",
    "global_max_pool",
    "global_mean_pool",
    "lp_pool",
    "max_pool",
    "mean_pool",
    "separable_conv",
    "unpool",
    "upsample",
]


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
