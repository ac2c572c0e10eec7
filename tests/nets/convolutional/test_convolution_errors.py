"""Mistakes in the arguments of convolutions."""

import jax.numpy as jnp
import pytest

import nets

ONES = nets.convolutional.ConvParams(jnp.ones((3, 3, 2, 4)), jnp.ones(4))
IMAGE = jnp.ones((5, 5, 2))
MISTAKES = [
    (
        lambda: nets.conv(ONES, jnp.ones((2, 5, 2))),
        "the padded input is 2x5, the kernel spans 3x3",
    ),
    (lambda: nets.conv(ONES, IMAGE, dilation=3), "the kernel spans 7x7"),
    (lambda: nets.conv(ONES, jnp.ones((5, 5, 3))), "expected 2 channels"),
    (lambda: nets.conv(ONES, jnp.ones((5, 2))), "[*batch, height, width, channels]"),
    (lambda: nets.conv(ONES, IMAGE, strides=0), "expected strides to be an integer"),
    (lambda: nets.conv(ONES, IMAGE, strides=(1, 2, 3)), "or 2 of them"),
    (lambda: nets.conv(ONES, IMAGE, padding="smae"), "got 'smae'"),
    (lambda: nets.conv(ONES, IMAGE, padding=-1), "an integer of at least 0"),
    (lambda: nets.conv(ONES, IMAGE, padding=((1, 1),)), "or 2 such pairs"),
    (lambda: nets.conv(ONES, IMAGE, groups=3), "groups that divide the 4 filters"),
    (
        lambda: nets.conv(ONES, jnp.ones((1, 5, 2)), padding="reflect"),
        "expected 'reflect' padding of at most 0 on an axis of length 1",
    ),
    (
        lambda: nets.conv(ONES._replace(bias=jnp.ones(3)), IMAGE),
        "expected a bias of 4 numbers",
    ),
    (lambda: nets.conv_transpose(ONES, IMAGE, padding=4), "output shape -1x-1"),
    (lambda: nets.conv_transpose(ONES, IMAGE, padding="full"), "valid, same"),
    (
        lambda: nets.dense(
            nets.convolutional.DenseParams(jnp.ones((3, 2)), None), IMAGE
        ),
        "inputs = 3",
    ),
    (lambda: nets.flatten(IMAGE, axes=3), "with 3 spatial axes"),
]


@pytest.mark.parametrize("mistake, sentence", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, sentence):
    with pytest.raises(ValueError) as error:
        mistake()
    assert sentence in str(error.value) and "\n" not in str(error.value)
