"""Where the gradient of a maximum goes: to the place that its index names."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from side_by_side import optimized_jit

import nets

NAN, INF = np.nan, np.inf


def brute(x, windows):
    """PyTorch's rule: the first maximum, or the last NaN; -1 is no place."""
    at = []
    for window in windows:
        best, place = -INF, None
        for p in window:
            if place is None or x[p] > best or np.isnan(x[p]):
                best, place = x[p], p
        at.append(place)
    return at


def windows_of(n, k, s=1, pad=0, d=1):
    starts = range(-pad, n + pad - (k - 1) * d, s)
    every = [[b + i * d for i in range(k)] for b in starts]
    return [[p for p in window if 0 <= p < n] for window in every]


def adaptive(n, o):
    return [range(i * n // o, -(-(i + 1) * n // o)) for i in range(o)]


POOLS = {
    "overlapping": (
        lambda x: nets.max_pool(x, (3,), strides=1, padding=1),
        lambda n: windows_of(n, 3, pad=1),
    ),
    "dilated": (
        lambda x: nets.max_pool(x, (2,), strides=1, dilation=2),
        lambda n: windows_of(n, 2, d=2),
    ),
    "apart": (lambda x: nets.max_pool(x, (2,)), lambda n: windows_of(n, 2, s=2)),
    "adaptive": (lambda x: nets.adaptive_max_pool(x, (4,)), lambda n: adaptive(n, 4)),
    "global": (lambda x: nets.global_max_pool(x, 1), lambda n: [range(n)]),
}
VALUES = [1.0, 2.0, 2.0, NAN, NAN, INF, -INF, -1.0]


@pytest.mark.parametrize("pool, windows", POOLS.values(), ids=POOLS)
def test_the_gradient_goes_where_the_brute_search_ends(pool, windows):
    rng = np.random.default_rng(0)
    rows = rng.choice(VALUES, (60, 7)).astype(np.float32)
    rows[0] = -INF
    rows[1] = NAN
    slope = jax.vmap(jax.grad(lambda x: pool(x).sum()))(jnp.array(rows)[..., None])
    for row, got in zip(rows, np.asarray(slope)[..., 0], strict=True):
        right = np.bincount(brute(row, windows(7)), minlength=7).astype(float)
        np.testing.assert_array_equal(got, right)


@pytest.mark.peers
@pytest.mark.parametrize("size", [(3, 3), (6, 7)], ids=["small", "large"])
def test_images_with_nan_are_those_of_torch(size):
    torch = pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    xs = np.random.default_rng(1).choice(VALUES, (20, 9, 9, 2)).astype(np.float32)
    options = {"stride": 2, "padding": 1, "return_indices": True}
    theirs = torch.tensor(xs.transpose(0, 3, 1, 2), requires_grad=True)
    values, places = torch.nn.functional.max_pool2d(theirs, size, **options)
    values.sum().backward()

    @optimized_jit
    def run(xs):
        def pool(xs):
            ys, at = nets.max_pool(xs, size, strides=2, padding=1, return_indices=True)
            return ys.sum(), (ys, at)

        return jax.grad(pool, has_aux=True)(xs)

    slope, (ys, at) = run(xs)
    for ours, other in (
        (ys, values.detach()),
        (at, places),
        (slope, theirs.grad),
    ):
        np.testing.assert_array_equal(ours, other.numpy().transpose(0, 2, 3, 1))


def test_both_ways_of_finding_places_agree(monkeypatch):
    from nets.convolutional import maxima

    xs = np.random.default_rng(2).choice(VALUES, (20, 6, 5, 2)).astype(np.float32)
    result = []
    for most in (0, 1000):
        monkeypatch.setattr(maxima, "MAX_SLICES", most)
        for size, pad in itertools.product([(2, 3), (4, 4)], [0, 1]):
            _, at = nets.max_pool(
                jnp.array(xs), size, strides=1, padding=pad, return_indices=True
            )
            result.append(at)
    for one, other in zip(result[:4], result[4:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_all_derivatives_of_a_maximum():
    xs = jnp.array(np.random.default_rng(3).standard_normal((6, 6, 1)), jnp.float32)
    for pool in (
        lambda x: nets.max_pool(x, (3, 3), strides=1),
        lambda x: nets.adaptive_max_pool(x, (4, 4)),
        lambda x: nets.global_max_pool(x, 2),
    ):

        def cubes(x, pool=pool):
            return (pool(x) ** 3).sum()

        _, slope = jax.jvp(cubes, (xs,), (xs,))
        np.testing.assert_allclose(slope, 3 * cubes(xs), rtol=1e-5)
        along = jax.jvp(jax.grad(cubes), (xs,), (xs,))[1]  # Euler: 2 times the gradient
        np.testing.assert_allclose(along, 2 * jax.grad(cubes)(xs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int32, jnp.bool_])
def test_maxima_of_whole_numbers(dtype):
    xs = np.random.default_rng(4).integers(0, 2, (4, 6, 1)).astype(dtype)
    xs = jnp.array(xs)
    assert nets.max_pool(xs, (2,)).dtype == dtype
    np.testing.assert_array_equal(
        nets.global_max_pool(xs, 1)[:, 0], np.asarray(xs).max((1, 2))
    )
    np.testing.assert_array_equal(
        nets.adaptive_max_pool(xs, (3,)), nets.max_pool(xs, (2,))
    )
