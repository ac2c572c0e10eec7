"""Spectra of matrix states, from the Jacobian of one column."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import flow
from nets.flow.columns import first_column

SIZE, TIME, BATCH = 4, 12, 2
CELL = nets.delta_net(heads=2)


def example(dtype=None):
    like = jax.eval_shape(lambda key: CELL.init(key, 3, SIZE), jax.random.key(0))
    params = cases.draw(like, dtype=dtype)
    xs = cases.normal(TIME, BATCH, 3, seed=1, scale=1.0, dtype=dtype)
    state = cases.draw(jax.eval_shape(CELL.initial_state, params, xs[0]), 2)
    return params, xs, state


# The same steps, of which nothing is known: the Jacobian is that of all entries.
PLAIN = CELL._replace(linear=None)


@pytest.mark.slow
@pytest.mark.parametrize("count", [None, 1, 3])
def test_singular_values_are_those_of_the_whole_state(count, x64):
    params, xs, state = example(jnp.float64)
    mask = np.ones((TIME, BATCH), bool)
    mask[3:5, 0] = False
    got, wanted = (
        flow.log_singular_values(cell, params, xs, state, count=count, mask=mask)
        for cell in (CELL, PLAIN)
    )
    assert got.shape == (TIME, BATCH, count or 2 * (SIZE // 2) ** 2)
    np.testing.assert_allclose(got, wanted, atol=1e-9)


@pytest.mark.slow
def test_exponents_are_those_of_the_whole_state(x64):
    params, xs, state = example(jnp.float64)
    one, wanted = (
        flow.lyapunov_spectrum(cell, params, xs, state).exponents
        for cell in (CELL, PLAIN)
    )
    # One column begins with other directions, but the volume is the same.
    np.testing.assert_allclose(one.sum(-1), wanted.sum(-1), rtol=1e-9)
    assert one.shape == wanted.shape
    np.testing.assert_array_equal(one[:, ::2], one[:, 1::2])
    odd = flow.lyapunov_spectrum(CELL, params, xs, state, count=3).exponents
    assert odd.shape == (BATCH, 3)


def test_the_jacobian_of_a_column_has_no_axis_of_values():
    params, xs, state = example()
    column, first, times = first_column(CELL, params, xs, state)
    assert times == SIZE // 2
    assert first is not None and first.memory.shape == (BATCH, 2, SIZE // 2, 1)
    (end, _) = nets.unroll(column, params, xs, first)
    (wanted, _) = nets.unroll(CELL, params, xs, state)
    np.testing.assert_allclose(end.memory, wanted.memory[..., :1], rtol=1e-5)


@pytest.mark.parametrize("name", ["lru", "mlstm", "linoss", "gru"])
def test_states_of_other_forms_are_measured_as_they_are(name):
    cell = cases.CASES[name].cell
    params, xs, state = cases.example(cell, 2)
    assert first_column(cell, params, xs, state) == (cell, state, 1)
