"""State gradients: what they are, and that no way of writing a cell escapes them."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, TIME, each_case, example
from tolerances import exactly

import nets
from nets import flow
from nets.flow import state_gradients
from nets.tracing.perturb import perturbed

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
            own = case.read(params, state, xs[t])
            end, after = nets.unroll(case.cell, params, xs[t + 1 :], state)
            return cases.total(end, jnp.stack([*before, own, *after]))

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
        exactly(value, restarted_value)
        exactly(at(gradients, t), gradient)


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

    exactly(*program(delta, params, first, xs[0]))


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
    exactly(
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
    exactly(gradients[:, 0], jnp.array([25.0, 5.0, 1.0]))


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
