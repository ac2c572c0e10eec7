"""Properties over random lengths, masks, batch shapes and dtypes."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nets

# Each pair of shapes is compiled, and then serves all values drawn for it.
BATCHES = [(3,), (2, 2)]
TIME = 3
TOLERANCES = {"float64": 1e-12, "bfloat16": 0.1}
LAYERS = {
    "unroll": nets.as_layer(nets.lstm()),
    "reverse": nets.as_layer(cases.FAST_WEIGHTS, reverse=True),
    "bidirectional": nets.bidirectional(nets.gru()),
    "stack": nets.stack(nets.lstm(), nets.bidirectional(nets.gru()), residual=True),
}
thorough = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@partial(jax.jit, static_argnums=0)
def apply(layer, params, xs, state, lengths, mask):
    return layer.apply(params, xs, state, lengths=lengths, mask=mask)


@st.composite
def runs(draw, layer):
    """A layer's arguments, and which steps are real."""
    batch, time = draw(st.sampled_from(BATCHES)), TIME
    dtype = jnp.dtype(draw(st.sampled_from(sorted(TOLERANCES))))
    rows = int(np.prod(batch))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    like = jax.eval_shape(lambda key: layer.init(key, 2, 3), jax.random.key(0))
    params = cases.draw(like, draw(st.integers(0, 9)), dtype=dtype)
    xs = jnp.asarray(rng.standard_normal((time, *batch, 2)), dtype)
    state, _ = jax.eval_shape(layer.apply, params, xs)
    state = cases.draw(state, 1)
    if draw(st.booleans()):
        lengths = draw(st.lists(st.integers(0, time), min_size=rows, max_size=rows))
        lengths = np.array(lengths, np.int32).reshape(batch)
        steps = np.arange(time).reshape(time, *(1,) * len(batch))
        return params, xs, state, lengths, None, steps < lengths
    bits = st.lists(st.booleans(), min_size=time * rows, max_size=time * rows)
    mask = np.array(draw(bits), bool).reshape(time, *batch)
    return params, xs, state, None, mask, mask


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_each_sequence_is_as_if_alone(layer, x64):
    """For any values in the padding, and any other sequences in the batch."""

    @thorough
    @given(runs(layer))
    def check(drawn):
        params, xs, state, lengths, mask, real = drawn
        noise = np.where(real[..., None], xs, np.asarray(np.nan, xs.dtype))
        end, ys = apply(layer, params, noise, state, lengths, mask)
        assert ys.dtype == xs.dtype
        end, state, xs = jax.tree.map(np.asarray, (end, state, xs))
        chex.assert_trees_all_equal_shapes_and_dtypes(end, state)
        tolerance = TOLERANCES[xs.dtype.name]
        same = partial(chex.assert_trees_all_close, rtol=tolerance, atol=tolerance)
        for row in np.ndindex(xs.shape[1:-1]):
            (steps,) = np.nonzero(real[(slice(None), *row)])
            first = jax.tree.map(lambda s, row=row: s[row], state)
            alone = xs[(steps, *row)]
            after, outputs = apply(layer, params, alone, first, None, None)
            same(jax.tree.map(lambda s, row=row: s[row], end), after)
            column = np.asarray(ys, np.float64)[(slice(None), *row)]
            same(column[steps], np.asarray(outputs, np.float64))
            assert (np.delete(column, steps, axis=0) == 0).all()

    check()


@pytest.mark.slow
def test_truncation_and_remat_change_no_forward_number(x64):
    layer = LAYERS["stack"]

    @thorough
    @given(
        runs(layer),
        st.sampled_from([None, 1, 2, 5]),
        st.booleans(),
    )
    def check(drawn, truncate, remat):
        params, xs, state, lengths, mask, _ = drawn
        tolerance = TOLERANCES[xs.dtype.name]
        chex.assert_trees_all_close(
            with_options(layer, params, xs, state, lengths, mask, truncate, remat),
            apply(layer, params, xs, state, lengths, mask),
            rtol=tolerance,
            atol=tolerance,
        )

    check()


@partial(jax.jit, static_argnums=(0, 6, 7))
def with_options(layer, params, xs, state, lengths, mask, truncate, remat):
    return layer.apply(
        params, xs, state, lengths=lengths, mask=mask, truncate=truncate, remat=remat
    )
