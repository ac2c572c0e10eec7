"""Interpolation: the numbers of PyTorch, Keras and JAX, and exact facts."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from side_by_side import run
from tolerances import assert_close_to_peers as assert_close

import nets

SMOOTH = ["linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5"]
LINEAR = ["linear", "bilinear", "trilinear"]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="pip install -e '.[peers]'")


def draw(*space):
    return np.random.default_rng(0).standard_normal((2, *space, 3), np.float32)


def their(torch, xs, **options):
    """The same of torch's interpolation."""
    fed = torch.tensor(np.moveaxis(xs, -1, 1), requires_grad=True)
    ys = torch.nn.functional.interpolate(fed, **options)
    torch.sin(ys).sum().backward()
    return tuple(np.moveaxis(t.detach().numpy(), 1, -1) for t in (ys, fed.grad))


# Space, and a factor or sizes: larger, smaller, neither, to one and from one.
ASKED = [
    ((5,), {"factor": (2,)}),
    ((5,), {"factor": (1.5,)}),  # 7 of 7.5
    ((7,), {"factor": (0.5,)}),  # 3 of 3.5
    ((4,), {"sizes": (1,)}),
    ((4, 3), {"factor": (3, 2.5)}),
    ((4, 1), {"sizes": (7, 3)}),
    ((5, 4), {"sizes": (3, 4)}),
    ((2, 3, 4), {"factor": (2, 1, 1.6)}),
    ((2, 3, 4), {"sizes": (3, 2, 7)}),
]


@pytest.mark.peers
@pytest.mark.parametrize("space, asked", ASKED)
def test_equal_to_torch(torch, space, asked):
    xs, linear = draw(*space), LINEAR[len(space) - 1]
    options = {"factor": "scale_factor", "sizes": "size"}
    options = {options[name]: value for name, value in asked.items()}
    cases = [("nearest", {}, "nearest-exact", {})]
    for corners in ({"align_corners": False}, {"align_corners": True}):
        cases.append(("linear", corners, linear, corners))
        if len(space) == 2:
            cases.append(("cubic-pytorch", corners, "bicubic", corners))
    assert_close(
        run(
            xs,
            *(
                partial(nets.upsample, method=method, **asked, **corners)
                for method, corners, *_ in cases
            ),
        ),
        [
            their(torch, xs, mode=mode, **options, **corners)
            for *_, mode, corners in cases
        ],
    )


@pytest.mark.parametrize(
    "space, sizes", [((5,), (12,)), ((4, 6), (9, 3)), ((3, 2, 2), (4, 5, 2))]
)
def test_equal_to_jax(space, sizes):
    """Where it has align_corners only as a scale and a translation."""
    xs = draw(*space)
    shape = (2, *sizes, 3)
    where = [axis for axis, n in enumerate(space, 1) if n != shape[axis]]
    scale = np.array([(shape[a] - 1) / (xs.shape[a] - 1) for a in where], np.float32)
    mine, theirs = [], []
    for method in SMOOTH:
        options = {"method": method, "antialias": False}
        mine += [
            partial(nets.upsample, sizes=sizes, method=method),
            partial(nets.upsample, sizes=sizes, method=method, align_corners=True),
        ]
        theirs += [
            partial(jax.image.resize, shape=shape, **options),
            partial(
                jax.image.scale_and_translate,
                shape=shape,
                spatial_dims=where,
                scale=scale,
                translation=(1 - scale) / 2,
                **options,
            ),
        ]
    result = run(xs, *mine, *theirs, jit=jax.jit)
    half = len(mine)
    chex.assert_trees_all_close(result[:half], result[half:], rtol=1e-4, atol=3e-5)


@pytest.mark.peers
def test_equal_to_keras():
    xs = draw(3, 4)
    methods = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}
    methods |= {"lanczos3": "lanczos3", "lanczos5": "lanczos5"}
    pairs = [
        (
            partial(nets.upsample, factor=(2, 3), method=method),
            keras.layers.UpSampling2D((2, 3), interpolation=interpolation),
        )
        for interpolation, method in methods.items()
    ]
    mine, theirs = zip(*pairs, strict=True)
    assert_close(run(xs, *mine), run(xs, *theirs, jit=jax.jit))


@pytest.mark.peers
@pytest.mark.parametrize(
    "space, peer, factor",
    [((4,), keras.layers.UpSampling1D, 3), ((2, 3, 2), keras.layers.UpSampling3D, 2)],
)
def test_repeats_equal_keras(space, peer, factor):
    xs, ours = draw(*space), partial(nets.upsample, factor=(factor,) * len(space))
    assert_close(run(xs, ours), run(xs, peer(factor), jit=jax.jit))


def test_mean_pool_undoes_nearest():
    """And each number gets the gradients of all that it became."""
    xs = draw(3, 4)

    @jax.jit
    def program(xs):
        ys, back = jax.vjp(lambda xs: nets.upsample(xs, (2, 2)), xs)
        return nets.mean_pool(ys, (2, 2)), back(ys)[0]

    again, grads = program(xs)
    np.testing.assert_array_equal(again, xs)
    assert_close(grads, 4 * xs)


@pytest.mark.parametrize("method", ["nearest", *SMOOTH])
def test_constants_stay_and_short_floats_stay_short(method):
    """The weights sum to 1, at the edges too; all batch axes, none included."""
    xs = np.full((2, 3, 4, 5, 1), 0.3, np.float32)

    @jax.jit
    def program(xs):
        larger = partial(nets.upsample, sizes=(7, 3), method=method)
        aligned = partial(larger, align_corners=method != "nearest")
        return (
            (larger(xs), aligned(xs), jax.vmap(larger)(xs), larger(xs[0, 0])),
            larger(xs.astype(jnp.bfloat16)),
        )

    long, short = program(xs)
    assert [ys.shape for ys in long] == [(2, 3, 7, 3, 1)] * 3 + [(7, 3, 1)]
    for ys in long:
        np.testing.assert_allclose(ys, 0.3, rtol=1e-6)
    assert short.dtype == jnp.bfloat16
    np.testing.assert_allclose(short.astype(jnp.float32), 0.3, rtol=4e-3)


@pytest.mark.parametrize("method", SMOOTH)
def test_aligned_corners_keep_the_inputs(method):
    """n to 2n - 1: every other output is an input, all three corners of a middle."""
    xs = draw(4)
    ys = jax.jit(
        lambda xs: nets.upsample(xs, sizes=(7,), method=method, align_corners=True)
    )(xs)
    assert_close(ys[:, ::2], xs)
    if method == "linear":
        assert_close(ys[:, 1::2], (xs[:, 1:] + xs[:, :-1]) / 2)


def test_what_stays_is_the_same():
    xs = jnp.asarray(draw(3, 4))
    for method in ("nearest", *SMOOTH):
        assert (nets.upsample(xs, (1, 1.2), method=method) == xs).all()
        assert (nets.upsample(xs, sizes=(3, 4), method=method) == xs).all()


def test_nearest_is_exact_where_a_middle_falls_between_two():
    """20.5 * 8 / 41 is 4, though not if 8 / 41 is rounded to float32 first."""
    ys = nets.upsample(jnp.arange(8)[:, None], sizes=(41,))
    assert ys[20].tolist() == [4]
    assert ys.dtype == jnp.int32
    whole = [(2 * i + 1) * 8 // 82 for i in range(41)]
    assert ys[:, 0].tolist() == whole


def test_integers():
    xs = jnp.array([[0], [10]], jnp.uint8)
    assert nets.upsample(xs, (2,)).dtype == jnp.uint8
    ys = nets.upsample(xs, (2,), method="linear")
    assert ys.dtype == jnp.float32 and ys[:, 0].tolist() == [0, 2.5, 7.5, 10]


def test_lowered_for_accelerators():
    def total(xs):
        larger = [nets.upsample(xs, (2.5, 2), method=m) for m in ("nearest", "cubic")]
        return sum(jnp.sin(ys).sum() for ys in larger)

    xs = jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32)
    platforms = ["cpu", "cuda", "tpu"]
    exported = jax.export.export(jax.jit(jax.grad(total)), platforms=platforms)(xs)
    assert exported.platforms == tuple(platforms)


ERRORS = {
    "neither": ({}, "expected a factor or sizes, .*factor=None, sizes=None"),
    "both": (
        {"factor": (2, 2), "sizes": (8, 8)},
        r"not both, .*factor=\(2, 2\), sizes=\(8, 8\)",
    ),
    "empty": ({"factor": ()}, "a number for each spatial axis"),
    "method": (
        {"factor": (2, 2), "method": "bilinear"},
        "a method of nearest, linear, cubic, .*; got 'bilinear'",
    ),
    "corners": (
        {"factor": (2, 2), "align_corners": True},
        "align_corners with a method that combines several inputs",
    ),
    "zero": ({"factor": (2, 0)}, r"a factor above 0 .* of \(4, 4\); got \(2, 0\)"),
    "nothing left": ({"factor": (0.2, 1.0)}, "leaves at least one output"),
    "sizes": ({"sizes": (8, 0)}, "expected sizes to be an integer of at least 1"),
    "axes": (
        {"factor": (2, 2, 2)},
        r"channels\] for upsampling; got shape \[4, 4, 1\]",
    ),
}


@pytest.mark.parametrize("options, sentence", ERRORS.values(), ids=ERRORS)
def test_errors_name_what_was_expected(options, sentence):
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        nets.upsample(jnp.ones((4, 4, 1)), **options)
