"""Parallel scans: of factors above 1, of zeros, infinities, and their derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets

TIME = 300


def loop(a, b, state):
    def body(state, ab):
        state = ab[0] * state + ab[1]
        return state, state

    return jax.lax.scan(body, state, (a, b))[1]


def last(time=TIME):
    return np.eye(1, time, time - 1)[0]


RNG = np.random.default_rng(0)
GROWTH = {
    "2, then one input": (np.full(TIME, 2.0), last(), 0.0),
    "-1.3": (np.full(100, -1.3), RNG.random(100), 1.0),
    "a tiny state": (np.full(140, 2.0), np.zeros(140), 1e-30),
    "overflows": (np.full(TIME, 2.0), np.zeros(TIME), 1.0),
    "grows and shrinks": (
        np.where(np.arange(TIME) % 20 < 10, 2.0**12, 2.0**-12),
        RNG.random(TIME),
        1.0,
    ),
    "by large steps": (
        np.where(np.arange(TIME) % 2, 2.0**100, 2.0**-100),
        last(),
        1.0,
    ),
    "a zero": (np.where(np.arange(TIME) == 250, 0.0, 2.0), last(), 0.0),
    "only zeros": (np.zeros(TIME), RNG.random(TIME), 1.0),
    "spirals": (1.5 * np.exp(1j * RNG.random(TIME)), last() + 0j, 0j),
    "an infinity": (
        np.full(TIME, -0.5),
        np.where(np.arange(TIME) == 100, np.inf, 1.0),
        0.0,
    ),
    "NaN": (np.full(TIME, 0.5), np.where(np.arange(TIME) == 100, np.nan, 1.0), 0.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("a, b, state", GROWTH.values(), ids=GROWTH)
def test_any_factors_as_step_by_step(a, b, state):
    dtype = jnp.complex64 if np.iscomplexobj(a) else jnp.float32
    args = [jnp.asarray(x, dtype) for x in (a, b, state)]
    got, wanted = jax.jit(nets.linear_scan)(*args), loop(*args)
    assert np.isfinite(wanted).any()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-30)


STEPS = np.arange(200)  # of all, so that those of one dtype are one program
GRADIENTS = {
    "2": (np.where(STEPS < 100, 1.0, 2.0), last(200)),
    "up, then down": (np.where(STEPS < 160, 2.0, 0.25), last(200)),
    "a zero": (np.where(STEPS == 150, 0.0, 2.0), last(200)),
    "spirals": (1.5 * np.exp(1j * RNG.random(200)), last(200) + 0j),
}


@jax.jit
def gradients(*args):
    """Gradients of the last two states, by `linear_scan` and by a loop."""

    def loss(scan, *args):
        return scan(*args)[-2:].real.sum()

    return [
        jax.grad(partial(loss, scan), argnums=(0, 1, 2))(*args)
        for scan in (nets.linear_scan, loop)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("a, b", GRADIENTS.values(), ids=GRADIENTS)
def test_gradients_of_any_factors(a, b):
    dtype = jnp.complex64 if np.iscomplexobj(a) else jnp.float32
    args = [jnp.asarray(x, dtype) for x in (a, b, 0.0)]
    for g, wanted in zip(*gradients(*args), strict=True):
        assert np.isfinite(wanted).all()
        np.testing.assert_allclose(g, wanted, rtol=1e-4)


@partial(jax.jit, static_argnums=0)
def derivatives(scan, a, b, state):
    """Gradient, forward Jacobian and Hessian of a sum of the states' sines."""

    def total(a):
        return jnp.sin(scan(jnp.broadcast_to(a, b.shape), b, state)).sum()

    return [derive(total)(a) for derive in (jax.grad, jax.jacfwd, jax.hessian)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.5, 2.0])
def test_derivatives_of_every_kind(size, x64):
    a, b, state = (
        jnp.asarray(size * RNG.standard_normal(shape))
        for shape in ((6, 1, 2), (6, 3, 2), (3, 2))
    )
    for got, wanted in zip(
        derivatives(nets.linear_scan, a, b, state),
        derivatives(loop, a, b, state),
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)
    mapped = jax.jit(jax.vmap(nets.linear_scan, (None, 1, 0)))(a[:, 0], b, state)
    whole = jax.jit(nets.linear_scan)(a, b, state)
    np.testing.assert_allclose(mapped.swapaxes(0, 1), whole, rtol=1e-12)


def test_equal_factors_are_broadcast():
    b = jnp.ones((5, 2))
    one = nets.linear_scan(jnp.full((1, 1), 2.0), b, jnp.zeros(2))
    np.testing.assert_allclose(one[:, 0], [1, 3, 7, 15, 31])


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
def test_an_unstable_s5_with_padding(reverse):
    cell = nets.s5()
    params = cell.init(jax.random.key(0), 1, 2)
    params = params._replace(
        lambda_re=jnp.ones_like(params.lambda_re),
        log_step=jnp.full_like(params.log_step, np.log(4)),
    )
    # The state grows by e^4 in a step: to e^60, and in the padding beyond float32.
    xs, lengths = np.zeros((25, 2, 1), np.float32), np.array([15, 2])
    xs[0], xs[15:] = 1.0, np.inf if reverse else np.nan
    run = partial(nets.unroll, cell, lengths=lengths, reverse=reverse)

    def loss(parallel, params, xs):
        end, ys = run(params, xs, parallel=parallel)
        return jnp.log(jnp.abs(ys) + 1).sum(), (end, ys)

    @jax.jit
    def program(params, xs):
        return [
            jax.grad(partial(loss, parallel), has_aux=True)(params, xs)
            for parallel in (False, True)
        ]

    out = program(params, xs)
    for one, other in zip(*map(jax.tree.leaves, out), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_users_cell_keeps_more_than_a_rounded_gate(dtype):
    """0.999 in bfloat16 is 1."""
    keep = 1 - 2.0**-10

    def coefficients(w, state, xs):
        wide = xs.astype(jnp.float32)
        return jnp.full_like(wide, keep), (1 - keep) * wide

    cell = nets.linear_cell(
        lambda key, inputs, features: (),
        lambda w, x: jnp.zeros_like(x),
        coefficients,
        lambda w, state, x: state,
    )
    _, ys = nets.unroll(cell, (), jnp.ones((4000, 1), dtype), parallel=True)
    assert ys.dtype == jnp.dtype(dtype)
    assert float(ys[-1, 0]) == pytest.approx(1 - keep**4000, rel=0.01)
