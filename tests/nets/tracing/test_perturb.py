"""Perturbed steps: no way of writing a cell escapes `state_gradients`."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import each_case, example
from tolerances import assert_equal_float64

import nets
from nets.flow import state_gradients
from nets.tracing.perturb import perturbed


@each_case
def test_a_perturbation_moves_the_state_and_the_output_that_reads_it(case, x64):
    params, xs, first = example(case.cell, 2)
    delta = cases.draw(first, seed=9)

    @jax.jit
    def program(delta, params, first, x):
        state, y = perturbed(case.cell.step)(delta, params, first, x)
        plain, _ = case.cell.step(params, first, x)
        moved = jax.tree.map(jnp.add, plain, delta)
        return (state, y), (moved, case.read(params, state, x))

    assert_equal_float64(*program(delta, params, first, xs[0]))


def custom_jvp(step):
    def plain(params, state, x):
        return step(params, state, x)

    same = jax.custom_jvp(plain)
    same.defjvp(lambda args, tangents: jax.jvp(plain, args, tangents))
    return same


def scan(step):
    def scan_of_one(params, state, x):
        state, ys = jax.lax.scan(partial(step, params), state, x[None])
        return state, ys[0]

    return scan_of_one


TRANSPARENT = {
    "jit": jax.jit,
    "checkpoint": jax.checkpoint,
    "jit of checkpoint": lambda step: jax.jit(jax.checkpoint(step)),
    "checkpoint of two jits": lambda step: jax.checkpoint(jax.jit(jax.jit(step))),
    "vmap": lambda step: jax.vmap(step, in_axes=(None, 0, 0)),
}
ONE_OPERATION = {
    "custom_jvp": custom_jvp,
    "cond": lambda step: lambda *args: jax.lax.cond(True, step, step, *args),
    "scan": scan,
}


def assert_wrapping_changes_nothing(name, wrap):
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, 2)
    assert_equal_float64(
        state_gradients(
            cell._replace(step=wrap(cell.step)), params, xs, cases.total, first
        ),
        state_gradients(cell, params, xs, cases.total, first),
    )


@pytest.mark.parametrize("wrap", TRANSPARENT.values(), ids=TRANSPARENT)
@pytest.mark.parametrize("name", ["lstm", "fast weights"])
def test_jit_and_checkpoint_hide_nothing(name, wrap, x64):
    assert_wrapping_changes_nothing(name, wrap)


@pytest.mark.parametrize("wrap", ["custom_jvp", "cond"])
def test_an_output_that_is_the_state_follows_it_out_of_one_operation(wrap, x64):
    assert_wrapping_changes_nothing("lstm", ONE_OPERATION[wrap])


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("lstm", "scan"),
        ("fast weights", "custom_jvp"),
        ("fast weights", "cond"),
        ("fast weights", "scan"),
    ],
)
def test_an_output_that_cannot_follow_the_state_is_refused(name, wrap):
    with pytest.raises(ValueError, match="computed from its new state in the open"):
        assert_wrapping_changes_nothing(name, ONE_OPERATION[wrap])


def test_a_custom_gradient_is_the_one_that_counts(x64):
    """A step with a backward pass of its own: here ten times the true one."""

    @jax.custom_vjp
    def step(params, state, x):
        state = 0.5 * state + x
        return state, state

    def forward(params, state, x):
        return step(params, state, x), None

    def backward(_, upstream):
        to_state, to_output = upstream
        return (), 5.0 * (to_state + to_output), to_state

    step.defvjp(forward, backward)
    cell = nets.Cell(
        lambda key, inputs, features: (), lambda params, x: jnp.zeros(x.shape), step
    )
    _, gradients = state_gradients(
        cell, (), jnp.ones((3, 1)), lambda state, ys: ys[-1].sum()
    )
    assert_equal_float64(gradients[:, 0], jnp.array([25.0, 5.0, 1.0]))


def test_a_counter_in_the_state_is_not_moved():
    def step(params, state, x):
        h, count = state
        h = 0.5 * h + x
        return (h, count + 1), h * count

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: (jnp.zeros(x.shape), jnp.ones(x.shape, int)),
        step,
    )
    _, (h, count) = state_gradients(
        cell, (), jnp.ones((3, 1)), lambda state, ys: ys.sum()
    )
    np.testing.assert_array_equal(h[:, 0], [1 + 0.5 * (2 + 0.5 * 3), 2 + 0.5 * 3, 3])
    assert not count.any()


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
def test_an_output_that_is_not_in_the_state(jit):
    """s' = s + x, y = 3 (s' + 1): dL/ds_t counts y_t's 3, and those after it."""

    def step(params, state, x):
        state = state + x
        return state, 3 * (state + 1)

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: jnp.zeros(x.shape),
        jax.jit(step) if jit else step,
    )
    _, gradients = state_gradients(
        cell, (), jnp.ones((4, 1)), lambda state, ys: ys.sum()
    )
    np.testing.assert_array_equal(gradients[:, 0], [12, 9, 6, 3])


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
def test_a_part_of_the_state_that_is_passed_on(jit):
    """s' = s a, a' = a: with s = a = 1 all the way, dL/da_t counts the steps left."""

    def step(params, state, x):
        s, a = state
        s = s * a
        return (s, a), s

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: (jnp.ones(x.shape), jnp.ones(x.shape)),
        jax.jit(step) if jit else step,
    )
    _, (s, a) = state_gradients(
        cell, (), jnp.ones((4, 1)), lambda state, ys: ys[-1].sum()
    )
    np.testing.assert_array_equal(s[:, 0], [1, 1, 1, 1])
    np.testing.assert_array_equal(a[:, 0], [3, 2, 1, 0])


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
def test_parts_of_the_state_that_change_places(jit):
    """(a, b)' = (b, 2 a): an entry that was only moved is moved by its own delta."""

    def step(params, state, x):
        a, b = state
        return (b, 2 * a), b

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: (x, x),
        jax.jit(step) if jit else step,
    )
    _, (a, b) = state_gradients(
        cell, (), jnp.ones((4, 1)), lambda state, ys: state[0].sum()
    )
    np.testing.assert_array_equal(a[:, 0], [0, 2, 0, 1])
    np.testing.assert_array_equal(b[:, 0], [2, 0, 1, 0])


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
def test_parts_of_the_state_that_are_the_same_number(jit):
    """a' = b' = 2 a + 3 b: each is a coordinate of its own, as h and c are."""

    def step(params, state, x):
        a, b = state
        new = 2 * a + 3 * b
        return (new, new), x

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: (x, x),
        jax.jit(step) if jit else step,
    )
    _, (a, b) = state_gradients(
        cell, (), jnp.ones((2, 1)), lambda state, ys: state[0].sum()
    )
    np.testing.assert_array_equal(a[:, 0], [2, 1])
    np.testing.assert_array_equal(b[:, 0], [3, 0])
