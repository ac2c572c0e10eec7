"""Layers of images, sequences and volumes, to be composed in networks.

cnn = blocks.sequential(blocks.conv(16, (3, 3)), blocks.max_pool((2, 2)), ...)
params = cnn.init(key, shape)
ys = cnn.apply(params, xs)
"""

from nets import signatures
from nets.blocks.composition import (
    example_shape,
    output_shape,
    outputs,
    receptive_field,
    residual,
    sequential,
)
from nets.blocks.convolutions import (
    conv,
    conv_transpose,
    depthwise_conv,
    separable_conv,
)
from nets.blocks.dense import dense
from nets.blocks.pools import (
    adaptive_max_pool,
    adaptive_mean_pool,
    global_max_pool,
    global_mean_pool,
    lp_pool,
    max_pool,
    mean_pool,
    unpool,
    upsample,
)
from nets.blocks.reshaping import activation, flatten, no_params, reshape
from nets.blocks.summary import Row, flops, summary
from nets.types import ImageLayer, ReceptiveField

__all__ = [
    "ImageLayer",
    "ReceptiveField",
    "Row",
    "activation",
    "adaptive_max_pool",
    "adaptive_mean_pool",
    "conv",
    "conv_transpose",
    "dense",
    "depthwise_conv",
    "example_shape",
    "flatten",
    "flops",
    "global_max_pool",
    "global_mean_pool",
    "lp_pool",
    "max_pool",
    "mean_pool",
    "no_params",
    "output_shape",
    "outputs",
    "receptive_field",
    "reshape",
    "residual",
    "separable_conv",
    "sequential",
    "summary",
    "unpool",
    "upsample",
]

signatures.as_written(globals())


def __dir__() -> list[str]:
    """Names that a user types."""
    return __all__
