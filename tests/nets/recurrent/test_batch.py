"""The batch axes are those that state and inputs have in common."""

from typing import Any

import cases
import jax
import jax.numpy as jnp
import pytest
from cases import CASES, FEATURES, example
from tolerances import assert_close_float64

import nets
from nets import flow
from nets.recurrent.batch import batch_shape

UNITS = 4
NOTHING: Any = None


def twice(h):
    return h, h


def weights(inputs):
    return cases.normal(inputs, UNITS), cases.normal(UNITS, UNITS, seed=1)


def tanh_step(params, h, x):
    h = jnp.tanh(x.astype(params[0].dtype) @ params[0] + h @ params[1])
    return h, h


def zeros(params, x):
    return jnp.zeros((*x.shape[:-1], UNITS))


BATCHES = (), (0,), (1,), (3,), (UNITS,), (3, 2), (UNITS, UNITS)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, int, bool, jnp.uint8])
@pytest.mark.parametrize("inputs", [2, UNITS])
def test_inputs_of_any_dtype_have_features(inputs, dtype):
    """Also where there are as many inputs, sequences and units."""
    params = weights(inputs)
    for first in (zeros, NOTHING):  # the cell's, or only the one that is given
        cell = nets.Cell(NOTHING, first, tanh_step)
        for batch in BATCHES:
            x, state = jnp.zeros((*batch, inputs), dtype), jnp.zeros((*batch, UNITS))
            assert batch_shape(cell, params, x, state) == batch


@pytest.mark.parametrize("time", ["dt", "z_dt"])
def test_the_names_of_inputs_do_not_matter(time):
    params = weights(2)

    def step(p, h, x):
        return (h + x[time][..., None] * tanh_step(p, h, x["x"])[0],) * 2

    for first in (lambda p, x: zeros(p, x["x"]), NOTHING):
        cell = nets.Cell(NOTHING, first, step)
        for batch in BATCHES:
            x = {time: jnp.zeros(batch), "x": jnp.zeros((*batch, 2))}
            result = batch_shape(cell, params, x, jnp.zeros((*batch, UNITS)))
            assert result == batch


def test_inputs_without_features():
    """Tokens, and a time between two steps."""
    table = cases.normal(7, UNITS)
    looks_up = nets.Cell(
        NOTHING,
        lambda p, x: jnp.zeros((*x.shape, UNITS)),
        lambda p, h, x: twice(jnp.tanh(p[x] + h)),
    )
    decays = looks_up._replace(step=lambda p, h, x: (h * jnp.exp(-x[..., None]),) * 2)
    for batch in ((), (3,), (UNITS,), (2, 3)):
        state, tokens = jnp.zeros((*batch, UNITS)), jnp.zeros(batch, int)
        assert batch_shape(looks_up, table, tokens, state) == batch
    for batch in ((), (3,)):
        state, times = jnp.zeros((*batch, UNITS)), jnp.zeros(batch)
        assert batch_shape(decays, (), times, state) == batch


def test_one_number_per_sequence():
    cell = nets.Cell(
        NOTHING,
        lambda p, x: jnp.zeros(x.shape[:-1]),
        lambda p, h, x: twice(jnp.tanh(x.sum(axis=-1) + h)),
    )
    for batch in ((), (3,), (2, 2)):
        result = batch_shape(cell, (), jnp.zeros((*batch, 2)), jnp.zeros(batch))
        assert result == batch


@pytest.mark.parametrize("dtype", [jnp.float32, bool])
def test_axes_that_do_not_mix_are_features(dtype):
    """Of `0.9 * state + x` each unit might be a sequence: by convention it is none."""
    cell = nets.Cell(
        NOTHING,
        lambda p, x: jnp.zeros(x.shape),
        lambda p, h, x: (0.9 * h + x.astype(h.dtype),) * 2,
    )
    for batch in ((3,), (2, 2)):
        x, state = jnp.zeros((*batch, 2), dtype), jnp.zeros((*batch, 2))
        assert batch_shape(cell, (), x, state) == batch


def test_entries_without_a_batch():
    """A counter, and a key of two numbers, for as many sequences."""

    def first(p, x):
        key = jnp.zeros(2, jnp.uint32)
        return {"h": zeros(p, x), "count": jnp.zeros((), int), "key": key}

    def step(p, s, x):
        h, y = tanh_step(p, s["h"], x)
        return {**s, "h": h, "count": s["count"] + 1}, y

    for batch in ((), (3,), (2,)):
        x = jnp.zeros((*batch, 2))
        state = first((), x)
        for cell in (
            nets.Cell(NOTHING, first, step),
            nets.Cell(NOTHING, NOTHING, step),
        ):
            assert batch_shape(cell, weights(2), x, state) == batch


def test_a_state_without_a_batch():
    still = nets.Cell(NOTHING, lambda p, x: jnp.ones(2), lambda p, s, x: (s, s))
    for rows in (2, 3):
        assert batch_shape(still, (), jnp.zeros((rows, 3)), jnp.ones(2)) == ()
    each = still._replace(initial_state=lambda p, x: jnp.ones((*x.shape[:-1], 2)))
    assert batch_shape(each, (), jnp.zeros((2, 0)), jnp.ones((2, 2))) == (2,)


def test_cells_of_one_size_of_the_batch():
    """They run with no other, so the convention has to do."""
    params = weights(2)
    fixed = nets.Cell(NOTHING, lambda p, x: jnp.zeros((3, UNITS)), tanh_step)
    shaped = nets.Cell(NOTHING, zeros, lambda p, h, x: tanh_step(p, h, x.reshape(3, 2)))
    for cell in (fixed, shaped):
        result = batch_shape(cell, params, jnp.zeros((3, 2)), jnp.zeros((3, UNITS)))
        assert result == (3,)


@pytest.mark.parametrize("name", CASES)
def test_cells_of_the_library(name):
    cell = CASES[name].cell
    integers = [jnp.float32] + [jnp.uint8] * (name in ("conv_lstm", "gru"))
    for batch in ((), (2,), (3, 2)):
        params, xs, state = example(cell, *batch, time=1)
        for dtype in integers:
            x = jax.ShapeDtypeStruct(xs.shape[1:], dtype)
            assert batch_shape(cell, params, x, state) == batch


def test_floats_that_sequences_share_are_refused():
    def step(p, s, x):
        h, y = tanh_step(p, s["h"], x)
        return {"h": h, "time": s["time"] + 0.1}, y

    cell = nets.Cell(
        NOTHING, lambda p, x: {"h": zeros(p, x), "time": jnp.zeros(())}, step
    )
    with pytest.raises(ValueError, match="expected every entry of the state"):
        flow.step_jacobians(cell, weights(2), jnp.ones((2, 3, 2)))
    alone = flow.step_jacobians(cell, weights(2), jnp.ones((2, 2)))
    assert alone.shape == (2, UNITS + 1, UNITS + 1)


def instruments(cell, params, xs):
    yield flow.step_jacobians(cell, params, xs)
    yield flow.state_gradients(cell, params, xs, lambda s, ys: (ys**2).sum())[1]
    yield flow.lag_matrix(cell, params, xs, lambda ys: (ys**2).sum(axis=-1))
    yield flow.gates(cell, params, xs)["keep"].mean


@pytest.mark.slow
def test_instruments_see_integers_and_names_as_floats(x64):
    """The same runs, by other inputs."""

    def step(params, h, x):
        keep = nets.tag_gate(jax.nn.sigmoid(x @ params[0] + h), "keep", retains=True)
        h = keep * h + (1 - keep) * jnp.tanh(h @ params[1])
        return h, h

    params, dt = weights(3), cases.normal(FEATURES, 2, seed=5)
    roll = (cases.normal(FEATURES, 2, 3) > 0).astype(int)
    plain = nets.Cell(NOTHING, lambda p, x: jnp.ones((*x.shape[:-1], UNITS)), step)
    timed = nets.Cell(
        NOTHING,
        lambda p, x: jnp.ones((*x["x"].shape[:-1], UNITS)),
        lambda p, h, x: step(p, h, x["x"] * x["dt"][..., None]),
    )
    floats = roll * 1.0
    for result, wanted in zip(
        instruments(plain, params, roll),
        instruments(plain, params, floats),
        strict=True,
    ):
        assert_close_float64(result, wanted)
    for result, wanted in zip(
        instruments(timed, params, {"dt": dt, "x": roll}),
        instruments(plain, params, floats * dt[..., None]),
        strict=True,
    ):
        assert_close_float64(result, wanted)
