"""Image layers: equal calls make one layer, and mistakes are one sentence."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import blocks, models

KEY = jax.random.key(0)
PAIR = blocks.conv(4, (3, 3)), blocks.max_pool((2, 2))


WRONG = {
    "no layer": (lambda: blocks.sequential(), "expected at least one layer; got none"),
    "filters": (
        lambda: blocks.conv(0, (3, 3)),
        "expected filters to be a positive integer; got 0",
    ),
    "features": (
        lambda: blocks.dense(True),
        "expected features to be a positive integer; got True",
    ),
    "multiplier": (
        lambda: blocks.depthwise_conv((3,), multiplier=-1),
        "expected multiplier to be a positive integer; got -1",
    ),
    "window": (
        lambda: blocks.max_pool((0, 2)),
        "expected window to be a tuple of positive integers, one for each spatial axis,"
        " such as (3, 3) for images or (3,) for sequences; got (0, 2)",
    ),
    "strides": (
        lambda: blocks.conv(4, (3, 3), strides=(1, 2, 3)),
        "expected strides to be an integer of at least 1, or 2 of them, one for each "
        "spatial axis; got (1, 2, 3)",
    ),
    "groups and channels": (
        lambda: blocks.conv(4, (3, 3), groups=2).init(KEY, (8, 8, 3)),
        "expected groups that divide the 3 channels and the 4 filters; got 2",
    ),
    "groups and filters": (
        lambda: blocks.conv_transpose(3, (3,), groups=2).init(KEY, (8, 4)),
        "expected groups that divide the 4 channels and the 3 filters; got 2",
    ),
    "a layer that does not fit": (
        lambda: blocks.sequential(*models.lenet5().layers).init(KEY, (8, 8, 1)),
        "layer 2 (conv 5x5, 16) of 8, for inputs [4, 4, 6]: expected an input at least "
        "as large as the kernel: the padded input is 4x4, the kernel spans "
        "5x5; pad more, or make the kernel smaller",
    ),
    "another number of axes": (
        lambda: blocks.sequential(*models.lenet5().layers).init(KEY, (40, 1)),
        "layer 0 (conv 5x5, 6) of 8, for inputs [40, 1]: expected examples of shape "
        "[*space, channels] with 2 spatial axes, as a 5x5 kernel requires; got shape "
        "[40, 1]",
    ),
    "other channels": (
        lambda: nets.conv(
            nets.convolutional.ConvParams(jnp.ones((3, 2, 4)), None), jnp.ones((8, 3))
        ),
        "expected 2 channels in the input's last axis, to match the kernel; got 3",
    ),
    "parameters of other layers": (
        lambda: blocks.outputs(PAIR, (), jnp.ones((6, 7, 2))),
        "expected parameters of 2 layers; got those of 0",
    ),
    "a residual of another shape": (
        lambda: blocks.residual(blocks.global_mean_pool(1)).apply(
            ((),), jnp.ones((4, 3))
        ),
        "expected layers whose output has the shape of their input, to which it is "
        "added; got [3] for [4, 3]",
    ),
    "a shape of another size": (
        lambda: blocks.reshape((2, 2, 3)).apply((), jnp.ones((5, 11))),
        "expected an input [*batch, 12] to reshape to [2, 2, 3]; got shape [5, 11]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_reported(case):
    make, sentence = WRONG[case]
    with pytest.raises(ValueError) as refused:
        make()
    assert str(refused.value).startswith(sentence), refused.value


def test_lists_are_as_good_as_tuples():
    assert blocks.conv(4, [3, 3]) is blocks.conv(4, (3, 3))
    assert blocks.conv(4, [3, 3], strides=[2, 1]) is blocks.conv(
        4, (3, 3), strides=(2, 1)
    )
    assert blocks.max_pool([2, 2]) is blocks.max_pool((2, 2))
    assert blocks.upsample([2, 2]) is blocks.upsample((2, 2))


def test_equal_calls_make_the_same_layer():
    """So that jit, which knows functions by what they are, compiles once."""
    for one, other in zip(models.lenet5().layers, models.lenet5().layers, strict=True):
        assert one is other
    assert blocks.conv(4, (3,)) is blocks.conv(4, (3,), padding="valid", strides=1)
    assert blocks.conv(4, (3,)) is not blocks.conv(4, (3,), strides=2)
    assert blocks.sequential(*PAIR) is blocks.sequential(*PAIR)


def test_a_call_that_was_made_excuses_no_other():
    blocks.dense(1)
    with pytest.raises(ValueError, match="got True"):
        blocks.dense(True)
    assert blocks.dense(2) is blocks.dense(2)


def test_integers_of_numpy_are_integers():
    two, four = np.arange(5)[[2, 4]]
    size = (two, two)
    x = jnp.ones((8, 8, 4))
    layers = [
        blocks.conv(four, size, strides=two, dilation=two, groups=two, padding="same"),
        blocks.conv_transpose(four, size, strides=two, groups=two, dilation=(two, two)),
        blocks.separable_conv(four, size, multiplier=two),
        blocks.depthwise_conv(size, multiplier=two, dilation=two),
        blocks.max_pool(size, strides=two, padding=np.arange(2)[1]),
        blocks.adaptive_max_pool((four, None)),
        blocks.upsample((np.float32(2), two)),
        blocks.upsample(sizes=(four, two), method="linear"),
        blocks.unpool(size),
        blocks.flatten(two),
        blocks.reshape((four, four, four)),
        blocks.dense(four),
    ]
    for layer in layers:
        shape = (64,) if layer.name.startswith("reshape") else x.shape
        (row,) = blocks.summary([layer], shape)
        assert "np." not in row.name and row.shape
    for pool in (blocks.global_max_pool, blocks.global_mean_pool):
        assert pool(two).apply((), x).shape == (4,)
    wrongs: tuple[Any, ...] = (0, 2.5, "4", True, np.True_, np.array([1, 2]))
    for wrong in wrongs:
        with pytest.raises((ValueError, TypeError)):
            blocks.dense(wrong)
