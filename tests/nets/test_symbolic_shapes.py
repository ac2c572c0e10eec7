"""Times and batches that are unknown when a program is exported."""

import cases
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets
import nets.linen
import nets.nnx

GRU = nets.gru()
PARAMS, XS, _ = cases.example(GRU, 4)
LENGTHS = jnp.array([5, 0, 2, 3], jnp.int32)
MASK = jnp.ones(XS.shape[:2], bool).at[2].set(False)
STACK = nets.stack(nets.bidirectional(GRU), nets.lstm(), residual=True)
STACKED = STACK.init(jax.random.key(0), cases.INPUTS, cases.FEATURES)
T, B = jax.export.symbolic_shape("t, b")


def unroll(**options):
    return nets.unroll(GRU, PARAMS, **options)


def linen(xs, lengths):
    module = nets.linen.Stack((nets.bidirectional(GRU), nets.lstm()), cases.FEATURES)
    xs = jnp.swapaxes(xs, 0, 1)
    return module.apply({"params": {"layers": STACKED}}, xs, None, lengths)[1]


IN_NNX = nets.nnx.Recurrent(GRU, cases.INPUTS, cases.FEATURES, rngs=nnx.Rngs(0))

CALLS = {
    "plain": (lambda xs: unroll(xs=xs)[1], ()),
    "lengths": (lambda xs, n: unroll(xs=xs, lengths=n), (LENGTHS,)),
    "mask": (lambda xs, m: unroll(xs=xs, mask=m, reverse=True), (MASK,)),
    "all states": (lambda xs: unroll(xs=xs, all_states=True)[0].hidden, ()),
    "a state": (
        lambda xs: unroll(xs=xs, state=GRU.initial_state(PARAMS, xs[0]))[0].hidden,
        (),
    ),
    "a stack": (lambda xs, n: STACK.apply(STACKED, xs, lengths=n)[1], (LENGTHS,)),
    "linen": (linen, (LENGTHS,)),
    "nnx": (lambda xs, n: IN_NNX(jnp.swapaxes(xs, 0, 1), None, n)[1], (LENGTHS,)),
    "gradient": (jax.grad(lambda xs: (unroll(xs=xs)[1] ** 2).sum()), ()),
}


@pytest.mark.parametrize("name", CALLS)
def test_symbolic_time_and_batch(name):
    function, more = CALLS[name]
    args = XS, *more
    sizes = {XS.shape[0]: T, XS.shape[1]: B}
    shapes = [
        jax.ShapeDtypeStruct([sizes.get(n, n) for n in a.shape], a.dtype) for a in args
    ]
    exported = jax.export.export(jax.jit(function))(*shapes)
    result, right = exported.call(*args), jax.jit(function)(*args)
    for one, other in zip(jax.tree.leaves(result), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"remat": True}, {"truncate": 2}, {"parallel": True}], ids=str
)
def test_a_symbolic_time_is_refused_where_it_must_be_known(options):
    cell = nets.min_gru()
    params, xs, _ = cases.example(cell, 4)
    run = jax.jit(lambda xs: nets.unroll(cell, params, xs, **options)[1])
    known = jax.ShapeDtypeStruct((5, B, cases.INPUTS), xs.dtype)
    jax.export.export(run)(known)
    with pytest.raises(ValueError, match=r"expected a known number of steps .* got t"):
        jax.export.export(run)(jax.ShapeDtypeStruct((T, 4, cases.INPUTS), xs.dtype))
