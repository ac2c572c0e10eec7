"""State gradients: what they are, and that no way of writing a cell escapes them."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, TIME, each_case, example
from tolerances import assert_equal_float64

import nets
from nets import flow
from nets.flow import state_gradients

LENGTHS = (0, 3, TIME)


def at(tree, t):
    return jax.tree.map(lambda a: a[t], tree)


def restarts(case, params, xs, first):
    """At each t, the state that leaves it, and the total loss as a function of it."""
    states = [first]
    for x in xs:
        states.append(case.cell.step(params, states[-1], x)[0])

    def loss_from(t):
        before = [
            case.read(params, s, x) for s, x in zip(states[1 : t + 1], xs, strict=False)
        ]

        def loss(state):
            ys = [*before, case.read(params, state, xs[t])]
            for x in xs[t + 1 :]:
                state, y = case.cell.step(params, state, x)
                ys.append(y)
            return cases.total(state, jnp.stack(ys))

        return loss

    return [(states[t + 1], loss_from(t)) for t in range(len(xs))]


@each_case
def test_it_is_the_gradient_of_a_run_that_begins_at_each_state(case, x64):
    """Step t's own output counts, and all that comes later."""

    @jax.jit
    def program(*run):
        restarted = [jax.value_and_grad(loss)(s) for s, loss in restarts(case, *run)]
        params, xs, first = run
        return state_gradients(case.cell, params, xs, cases.total, first), restarted

    (value, gradients), restarted = program(*example(case.cell, 2, time=2))
    for t, (restarted_value, gradient) in enumerate(restarted):
        assert_equal_float64(value, restarted_value)
        assert_equal_float64(at(gradients, t), gradient)


@pytest.mark.parametrize("case", [cases.CASES[c] for c in cases.CORE], ids=cases.CORE)
def test_it_equals_finite_differences(case, x64):
    params, xs, first = example(case.cell, 2, time=4)
    t, small = 1, 1e-5
    way = cases.draw(first, seed=9)

    @jax.jit
    def program(params, xs, first):
        state, loss = restarts(case, params, xs, first)[t]
        moved = [
            loss(jax.tree.map(lambda s, w, e=e: s + e * w, state, way))
            for e in (small, -small)
        ]
        return *moved, state_gradients(case.cell, params, xs, cases.total, first)[1]

    there, back, gradients = program(params, xs, first)
    # By a complex z = a + ib, JAX's gradient is dL/da - i dL/db.
    along = sum(
        (gradient * w).sum().real
        for gradient, w in zip(
            jax.tree.leaves(at(gradients, t)), jax.tree.leaves(way), strict=True
        )
    )
    np.testing.assert_allclose((there - back) / (2 * small), along, rtol=1e-7)


@cases.each_core
def test_the_value_is_the_plain_loss(cell):
    params, xs, first = example(cell, 2)
    value, _ = state_gradients(cell, params, xs, cases.total, first)
    plain = cases.total(*cases.run(cell, params, xs, first))
    np.testing.assert_allclose(value, plain, rtol=1e-5, atol=1e-5)


@cases.each_core
def test_perturbations_of_zero_move_nothing(cell):
    params, xs, first = example(cell, 2)
    zeros = flow.zero_perturbations(cell, params, xs, first)
    chex.assert_trees_all_close(
        nets.unroll(cell, params, xs, first, perturbations=zeros),
        cases.run(cell, params, xs, first),
        rtol=1e-5,
        atol=1e-6,
    )


@cases.each_core
def test_under_jit(cell):
    params, xs, first = example(cell, 2)
    gradients = partial(state_gradients, cell, loss=cases.total)
    chex.assert_trees_all_close(
        jax.jit(gradients)(params, xs, state=first),
        gradients(params, xs, state=first),
        rtol=1e-5,
        atol=1e-6,
    )


@cases.each_core
def test_vmap_equals_a_batch(cell):
    """Summed over the batch, each sequence's gradient is its own loss's."""
    params, xs, first = example(cell, 4)

    def one(xs, state):
        return state_gradients(cell, params, xs, cases.total, state)

    values, gradients = jax.jit(jax.vmap(one, (1, 0), (0, 1)))(xs, first)
    batch = jax.jit(partial(state_gradients, cell, loss=cases.total))
    chex.assert_trees_all_close(
        (values.sum(), gradients),
        batch(params, xs, state=first),
        rtol=1e-5,
        atol=1e-6,
    )


@cases.each_core
def test_reverse_is_the_flip(cell):
    params, xs, first = example(cell, 2)
    gradients = jax.jit(
        partial(state_gradients, cell, loss=cases.total), static_argnames="reverse"
    )
    value, there = gradients(params, xs[::-1], state=first)
    back = gradients(params, xs, state=first, reverse=True)
    flipped = value, jax.tree.map(lambda g: g[::-1], there)
    chex.assert_trees_all_close(back, flipped, rtol=1e-5, atol=1e-6)


@cases.both_ways
@cases.each_core
def test_padding_has_no_gradient_and_is_not_seen(cell, reverse):
    params, xs, first = example(cell, len(LENGTHS))
    gradients = partial(state_gradients, cell, loss=cases.total, reverse=reverse)
    gradients = jax.jit(gradients)
    _, padded = gradients(
        params,
        cases.fill_padding(xs, LENGTHS, np.nan),
        state=first,
        lengths=jnp.array(LENGTHS),
    )
    for row, length in enumerate(LENGTHS):
        row_of = jax.tree.map(lambda g, r=row: g[:, r], padded)
        assert all((g[length:] == 0).all() for g in jax.tree.leaves(row_of))
        if length:
            _, alone = gradients(params, xs[:length, row], state=at(first, row))
            cut = jax.tree.map(lambda g, n=length: g[:n], row_of)
            chex.assert_trees_all_close(cut, alone, rtol=1e-5, atol=1e-6)


def test_a_tree_of_inputs():
    """A gate that comes with the inputs: s' = gate s + x."""

    def step(params, state, inputs):
        state = inputs["gate"] * state + inputs["x"]
        return state, state

    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, inputs: jnp.zeros(inputs["x"].shape),
        step,
    )
    gates = jnp.array([2.0, 3.0, 5.0, 7.0])[:, None]
    xs = {"gate": gates, "x": jnp.ones((4, 1))}
    value, gradients = state_gradients(cell, (), xs, lambda state, ys: state.sum())
    assert value == ((1 * 3 + 1) * 5 + 1) * 7 + 1
    np.testing.assert_array_equal(gradients[:, 0], [105, 35, 7, 1])


def test_two_batch_axes():
    cell = nets.lstm()
    params, xs, first = example(cell, 2, 3)
    _, gradients = state_gradients(cell, params, xs, cases.total, first)
    flat = jax.tree.map(lambda s: s.reshape(6, FEATURES), first)
    _, expected = state_gradients(
        cell, params, xs.reshape(TIME, 6, -1), cases.total, flat
    )
    chex.assert_trees_all_close(
        jax.tree.map(lambda g: g.reshape(TIME, 6, FEATURES), gradients),
        expected,
        rtol=1e-5,
        atol=1e-6,
    )
