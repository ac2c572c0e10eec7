"""Arguments that functions of images refuse in one sentence, and must not refuse."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets.convolutional.upsampling import scaled

EMPTY = jnp.ones((2, 0, 3))
X = jnp.ones((6, 3))
KERNEL = nets.convolutional.ConvParams(jnp.ones((3, 3, 2)), jnp.ones(2))
POINT = jnp.ones((3, 2))


def separable(pointwise, bias=None):
    params = nets.convolutional.SeparableConvParams(
        jnp.ones((2, 1, 3)), pointwise, bias
    )
    return lambda: nets.separable_conv(params, X)


def cell_with_a_short_bias():
    cell = nets.conv_gru((3,), reset_after=True)
    params = cell.init(jax.random.key(0), 3, 4)._replace(b_hn=jnp.ones(1))
    cell.step(params, cell.initial_state(params, X), X)


EMPTIES = {
    "conv": lambda: nets.conv(KERNEL, EMPTY, padding="full"),
    "conv, same": lambda: nets.conv(KERNEL, EMPTY, padding="same"),
    "conv_transpose": lambda: nets.conv_transpose(KERNEL, EMPTY, strides=2),
    "max_pool": lambda: nets.max_pool(EMPTY, (2,), padding=1),
    "mean_pool": lambda: nets.mean_pool(EMPTY, (2,), count_padding=True, padding=1),
    "lp_pool": lambda: nets.lp_pool(EMPTY, (2,), padding=1),
    "one axis of two": lambda: nets.global_mean_pool(jnp.ones((4, 0, 3)), 2),
    "global_max_pool": lambda: nets.global_max_pool(EMPTY, 1),
    "adaptive_mean_pool": lambda: nets.adaptive_mean_pool(EMPTY, (2,)),
    "adaptive_max_pool": lambda: nets.adaptive_max_pool(EMPTY, (2,)),
    "adaptive, all": lambda: nets.adaptive_max_pool(EMPTY, (None,)),
    "upsample": lambda: nets.upsample(EMPTY, sizes=(4,)),
    "upsample, factor": lambda: nets.upsample(EMPTY, (2,)),
    "upsample, linear": lambda: nets.upsample(EMPTY, sizes=(4,), method="linear"),
}
BIASES = {
    "pointwise of 4 rows": separable(jnp.ones((4, 2))),
    "pointwise of Keras": separable(POINT[None]),
    "separable_conv, bias of 1": separable(POINT, jnp.ones(1)),
    "separable_conv, bias of 3": separable(POINT, jnp.ones(3)),
    "separable_conv, bias [1, 2]": separable(POINT, jnp.ones((1, 2))),
    "dense, bias of 1": lambda: nets.dense(
        nets.convolutional.DenseParams(POINT, jnp.ones(1)), X
    ),
    "dense, one number": lambda: nets.dense(
        nets.convolutional.DenseParams(POINT, jnp.ones(())), X
    ),
    "dense, w [1, 3, 2]": lambda: nets.dense(
        nets.convolutional.DenseParams(POINT[None], None), X
    ),
    "conv": lambda: nets.conv(KERNEL._replace(bias=jnp.ones(1)), X),
    "conv_transpose": lambda: nets.conv_transpose(KERNEL._replace(bias=X[0, :1]), X),
    "conv_gru": cell_with_a_short_bias,
}


@pytest.mark.parametrize("mistake", [*EMPTIES.values()], ids=EMPTIES)
def test_an_axis_of_no_places(mistake):
    with pytest.raises(ValueError, match="at least one position along each") as error:
        mistake()
    assert str(error.value).startswith("expected") and "\n" not in str(error.value)


@pytest.mark.parametrize("mistake", [*BIASES.values()], ids=BIASES)
def test_parameters_that_would_be_broadcast(mistake):
    with pytest.raises(ValueError, match=r"^expected (a bias|a pointwise|weights)"):
        mistake()


@pytest.mark.parametrize("function", [nets.conv, nets.conv_transpose])
@pytest.mark.parametrize("axes", [0, 4])
def test_kernels_of_other_axes_are_refused_with_jit_and_without(function, axes):
    params = nets.convolutional.ConvParams(jnp.ones((*(1,) * axes, 3, 2)), None)
    for run in (function, jax.jit(function)):
        with pytest.raises(
            ValueError, match=r"^expected a kernel of 1, 2 or 3 spatial"
        ):
            run(params, jnp.ones((*(2,) * axes, 3)))


def functions_of_images():
    kernel = nets.convolutional.ConvParams(jnp.ones((2, 2, 3, 3)), jnp.ones(3))
    depth = nets.convolutional.SeparableConvParams(
        jnp.ones((2, 2, 1, 3)), POINT, jnp.ones(2)
    )
    return {
        "conv": lambda x: nets.conv(kernel, x),
        "conv_transpose": lambda x: nets.conv_transpose(kernel, x),
        "separable_conv": lambda x: nets.separable_conv(depth, x),
        "dense": lambda x: nets.dense(
            nets.convolutional.DenseParams(POINT, jnp.ones(2)), x
        ),
        "max_pool": lambda x: nets.max_pool(x, (2, 2)),
        "mean_pool": lambda x: nets.mean_pool(x, (2, 2)),
        "lp_pool": lambda x: nets.lp_pool(x, (2, 2)),
        "adaptive_max_pool": lambda x: nets.adaptive_max_pool(x, (3, 3)),
        "global_max_pool": lambda x: nets.global_max_pool(x, 2),
        "global_mean_pool": lambda x: nets.global_mean_pool(x, 2),
        "upsample": lambda x: nets.upsample(x, (2, 2)),
    }


@pytest.mark.parametrize("name", functions_of_images())
def test_empty_batches_pass(name):
    function = functions_of_images()[name]
    some, none = np.ones((2, 4, 4, 3), np.float32), np.ones((0, 4, 4, 3), np.float32)

    def total(x):
        ys = function(x)
        return ys.sum(), ys

    gradient, ys = jax.jit(jax.grad(total, has_aux=True))(none)
    assert ys.shape == (0, *jax.eval_shape(function, some).shape[1:])
    assert gradient.shape == none.shape


@pytest.mark.parametrize("n", [1, 7, 49, 88, 224])
def test_a_factor_of_o_over_n_gives_o(n):
    for wanted in range(1, 300):
        for factor in (wanted / n, np.float32(wanted / n)):
            sizes, widths = scaled((n,), (factor,))
            assert sizes == (wanted,) and widths == [(n, wanted)]
    xs = jnp.arange(float(n))[:, None]
    for method in ("nearest", "linear"):
        for wanted in (120, 61):
            np.testing.assert_array_equal(
                nets.upsample(xs, (wanted / n,), method=method),
                nets.upsample(xs, sizes=(wanted,), method=method),
            )


def test_factors_are_still_rounded_down():
    for n, factor, size in ((5, 1.5, 7), (3, 1.999999, 5), (10, 0.1999999, 1)):
        assert nets.upsample(jnp.ones((n, 1)), (factor,)).shape == (size, 1)
    for factor in (0, -1, np.nan, np.inf, 1e-9, "a", None):
        with pytest.raises(ValueError, match="expected a factor above 0"):
            nets.upsample(jnp.ones((5, 1)), (factor,))


# Without the checks of types that tests run under, which take arrays of JAX alone.
SCRIPT = """
import warnings
import numpy as np, jax.numpy as jnp, nets
from nets.convolutional import ConvParams
warnings.simplefilter("error")
x = np.random.default_rng(0).standard_normal((2, 8, 8, 3))
ones = np.ones
for run in (
    lambda x: nets.conv(ConvParams(ones((3, 3, 3, 2)), ones(2)), x),
    lambda x: nets.conv_transpose(ConvParams(ones((3, 3, 3, 2)), ones(2)), x),
    lambda x: nets.dense(nets.convolutional.DenseParams(ones((3, 2)), ones(2)), x),
    lambda x: nets.max_pool(x, (2, 2)), lambda x: nets.mean_pool(x, (2, 2)),
    lambda x: nets.lp_pool(x, (2, 2)), lambda x: nets.global_max_pool(x, 2),
    lambda x: nets.global_mean_pool(x, 2), lambda x: nets.adaptive_mean_pool(x, (3, 3)),
    lambda x: nets.adaptive_max_pool(x, (3, 3)), lambda x: nets.upsample(x, (2, 2)),
    lambda x: nets.upsample(x, (2, 2), method="linear"), lambda x: nets.flatten(x, 2),
):
    np.testing.assert_allclose(run(x), run(jnp.asarray(x)), rtol=1e-6)
    assert run(x).dtype == jnp.float32
"""


@pytest.mark.slow
def test_float64_of_numpy_is_taken_without_a_warning():
    root = pathlib.Path(nets.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment)
    assert done.returncode == 0
