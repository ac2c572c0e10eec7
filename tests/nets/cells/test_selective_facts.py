"""Linear cells whose decay depends on the input: exact facts, and their options."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import INPUTS, TIME, example

from nets import flow
from nets.cells.aussm import aussm
from nets.cells.gla import gla
from nets.cells.hgrn2 import hgrn2
from nets.cells.mamba import mamba
from nets.cells.mamba_2 import mamba_2
from nets.cells.rwkv_7 import rwkv_7


def _kept(cell, params, xs, first):
    """The difference that two initial states make at the end, and at the start."""
    other = cases.draw(first, seed=7)
    ends = [cases.run(cell, params, xs, state)[0][0] for state in (first, other)]
    return np.asarray(ends[1] - ends[0]), np.asarray(other[0] - first[0])


@pytest.mark.parametrize("cell", [mamba(states=2), mamba_2(states=2)], ids=["1", "2"])
def test_mamba_keeps_its_state_without_a_step_and_forgets_it_after_a_long_one(cell):
    params, xs, first = example(cell, 2)
    none = params._replace(b=jnp.full_like(params.b, -1e3))
    chex.assert_trees_all_equal(cases.run(cell, none, xs, first)[0], first)
    long = params._replace(b=jnp.full_like(params.b, 1e3))
    assert not _kept(cell, long, xs, first)[0].any()


def test_mamba_with_inputs_of_zero_decays_at_its_fixed_rates():
    cell = mamba(states=3)
    params = cell.init(jax.random.key(0), INPUTS, 4)
    xs = jnp.zeros((TIME, INPUTS))
    first = cases.draw(cell.initial_state(params, xs[0]))
    state, ys = cases.run(cell, params, xs, first)
    step = np.log1p(np.exp(np.float64(params.b)))
    decay = np.exp(-TIME * step[:, None] * np.arange(1, 4))
    np.testing.assert_allclose(state.hidden, first.hidden * decay, rtol=1e-5)
    assert not np.asarray(ys).any()


def test_aussm_neither_shrinks_nor_grows_a_gradient(x64):
    cell = aussm(states=2)
    params, xs, first = example(cell, 2, time=50, dtype=jnp.float64)
    end, start = _kept(cell, params, xs, first)
    np.testing.assert_allclose(abs(end), abs(start), rtol=1e-12)
    weights = cases.draw(first, seed=3).hidden

    def loss(state, ys):
        return (state.hidden * weights).real.sum()

    gradients = jax.jit(partial(flow.state_gradients, cell, loss=loss))(
        params, xs, state=first
    )[1]
    wanted = np.broadcast_to(abs(weights), (50, *weights.shape))
    np.testing.assert_allclose(abs(gradients.hidden), wanted, rtol=1e-12)


def test_hgrn2_forgets_no_faster_than_its_bound(x64):
    cell = hgrn2(lower_bound=0.9)
    params, xs, first = example(cell, 2, dtype=jnp.float64)
    shut = params._replace(b=jnp.full_like(params.b, -1e3))
    end, start = _kept(cell, shut, xs, first)
    np.testing.assert_allclose(end, 0.9**TIME * start, rtol=1e-12)
    end, start = _kept(cell, params, xs, first)
    assert (abs(end) > 0.9**TIME * abs(start)).all()
    opened = params._replace(b=jnp.full_like(params.b, 1e3))
    state, _ = cases.run(cell, opened, xs, first)
    chex.assert_trees_all_close(state, first, rtol=1e-12)


def test_hgrn2_averages_what_it_reads(x64):
    """All rows stay at v, whatever the gates are, if v is the same at all steps."""
    cell = hgrn2()
    params, xs, first = example(cell, 2, dtype=jnp.float64)
    w = params.w_i.at[0, 6:].set(0.0)  # v reads the second input alone
    xs = xs.at[..., 1].set(1.0)
    state = first._replace(memory=jnp.broadcast_to(w[1, 6:], (2, 1, 3, 3)))
    end, _ = cases.run(cell, params._replace(w_i=w), xs, state)
    chex.assert_trees_all_close(end, state, rtol=1e-12)


def test_gla_at_a_temperature_takes_the_root_of_its_decay(x64):
    ends = []
    for temperature in (1.0, 4.0):
        cell = gla(temperature=temperature)
        params, xs, first = example(cell, 2, dtype=jnp.float64)
        end, start = _kept(cell, params, xs, first)
        ends.append(end / start)
    np.testing.assert_allclose(ends[0], ends[1] ** 4, rtol=1e-9)


def test_rwkv_7_replaces_the_value_of_a_key(x64):
    """With a = 1 and no decay, nothing of the old state is at the key that is read."""
    cell = rwkv_7(rank=2)
    params, xs, first = example(cell, 2, time=1, dtype=jnp.float64)
    b = params.b.at[0].set(-1e9).at[1].set(1e9)
    params = params._replace(b=b, w_low=0 * params.w_low)
    memory = np.asarray(cases.run(cell, params, xs, first)[0].memory)
    _, k, v = np.split(np.asarray(xs[0] @ params.w_i), 3, axis=-1)
    u = k * np.asarray(params.k_k)
    u = u / np.linalg.norm(u, axis=-1, keepdims=True)
    read = np.einsum("bi,bhij->bj", u, memory)
    np.testing.assert_allclose(read, (u * k).sum(-1, keepdims=True) * v, rtol=1e-9)


def test_rwkv_7_without_a_rate_is_a_gated_sum(x64):
    cell = rwkv_7(rank=2)
    params, xs, first = example(cell, 2, dtype=jnp.float64)
    b = params.b.at[0].set(-1e9).at[1].set(-1e9)
    params = params._replace(b=b, w_low=0 * params.w_low, k_a=0 * params.k_a)
    memory = np.asarray(cases.run(cell, params, xs, first)[0].memory)
    _, k, v = np.split(np.asarray(xs @ params.w_i), 3, axis=-1)
    total = np.einsum("tbi,tbj->bij", k, v)
    np.testing.assert_allclose(memory[:, 0], first.memory[:, 0] + total, rtol=1e-9)


@pytest.mark.parametrize(
    "make, message",
    [
        (partial(mamba, states=0), "at least 1 state and a rank of at least 1; got 0"),
        (partial(mamba, rank=0), "got 16 and 0"),
        (partial(mamba, step_min=0.2), "0 < step_min <= step_max; got 0.2 and 0.1"),
        (partial(mamba_2, states=0), "at least 1 state; got 0"),
        (partial(mamba_2, step_min=0.0), "got 0.0 and 0.1"),
        (partial(gla, rank=0), "a rank of at least 1 and a temperature above 0; got 0"),
        (partial(gla, temperature=0.0), "got 16 and 0.0"),
        (partial(hgrn2, lower_bound=1.0), "from 0 and below 1; got 1.0"),
        (partial(rwkv_7, rank=0), "a rank of at least 1; got 0"),
        (partial(aussm, states=0), "at least 1 state; got 0"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", [mamba_2, gla, hgrn2, rwkv_7])
@pytest.mark.parametrize("heads", [0, 2])
def test_heads_share_the_features_equally(make, heads):
    with pytest.raises(ValueError, match=f"divisible by heads; got 3 and {heads}"):
        make(heads=heads).init(jax.random.key(0), INPUTS, 3)
