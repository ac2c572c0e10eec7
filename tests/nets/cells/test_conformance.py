"""Requirements of every cell, and of `unroll` with it."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, both_ways, each_case, each_cell, example
from jax.test_util import check_grads

import nets

LENGTHS = (0, 3, TIME)


def dtypes(tree):
    return {leaf.dtype.name for leaf in jax.tree.leaves(tree)}


@each_cell
def test_a_step_keeps_the_state_and_dtype(cell, x64):
    for dtype, batch in {
        "float32": (2, 3),
        "float64": (),
        "bfloat16": (2, 3),
        "float16": (),
    }.items():
        params = cases.param_shapes(cell, dtype)
        places = cases.PLACES[cell.spatial_dims]
        x = jax.ShapeDtypeStruct((*batch, *places, INPUTS), jnp.dtype(dtype))
        state = jax.eval_shape(cell.initial_state, params, x)
        new, y = jax.eval_shape(cell.step, params, state, x)
        chex.assert_trees_all_equal_structs(new, state)
        chex.assert_trees_all_equal_shapes_and_dtypes(new, state)
        got = state if isinstance(state, dict) else state._asdict()
        got = {name: leaf.dtype.name for name, leaf in got.items()}
        assert got == cases.state_dtypes(state, dtype)
        assert (y.shape, y.dtype) == ((*batch, *places, FEATURES), jnp.dtype(dtype))


@pytest.mark.parametrize(
    "params_dtype, x_dtype", [("float32", "bfloat16"), ("bfloat16", "float32")]
)
@each_cell
def test_mixed_dtypes_give_the_wider_one(cell, params_dtype, x_dtype):
    params = cases.param_shapes(cell, params_dtype)
    xs = (TIME, *cases.PLACES[cell.spatial_dims], INPUTS)
    xs = jax.ShapeDtypeStruct(xs, jnp.dtype(x_dtype))
    state, ys = jax.eval_shape(partial(nets.unroll, cell), params, xs)
    assert dtypes(state) <= {"float32", "complex64"} and dtypes(ys) == {"float32"}


@each_cell
def test_initial_state_does_not_depend_on_the_input(cell):
    params, xs, _ = example(cell, 4)
    x = np.asarray(xs)[0]
    state, other = (cell.initial_state(params, jnp.asarray(a)) for a in (x, x * np.nan))
    chex.assert_trees_all_equal(state, other)


@each_cell
def test_unroll_is_a_loop_of_steps(cell):
    @jax.jit
    def loop(params, xs, state):
        outputs = []
        for x in xs:
            state, y = cell.step(params, state, x)
            outputs.append(y)
        return state, jnp.stack(outputs)

    params, xs, first = example(cell, 4, time=3)
    chex.assert_trees_all_close(
        cases.run(cell, params, xs, first),
        loop(params, xs, first),
        rtol=1e-5,
        atol=1e-6,
    )


@cases.each_core
def test_unroll_begins_at_the_initial_state(cell):
    params, xs, _ = example(cell, 4)
    first = cell.initial_state(params, xs[0])
    chex.assert_trees_all_equal(
        cases.run(cell, params, xs), cases.run(cell, params, xs, first)
    )


@cases.each_core
def test_reverse_is_unroll_of_the_flipped_sequence(cell):
    params, xs, first = example(cell, 4)
    state, ys = cases.run(cell, params, xs[::-1], first)
    chex.assert_trees_all_close(
        cases.run(cell, params, xs, first, reverse=True), (state, ys[::-1]), rtol=1e-6
    )


@cases.each_core
def test_batch_axes_equal_vmap(cell):
    params, xs, first = example(cell, 2, 3)
    one = partial(nets.unroll, cell, params)
    for _ in range(2):
        one = jax.vmap(one, in_axes=(1, 0), out_axes=(0, 1))
    chex.assert_trees_all_close(
        cases.run(cell, params, xs, first),
        jax.jit(one)(xs, first),
        rtol=1e-5,
        atol=1e-7,
    )


@cases.each_core
def test_jit_equals_no_jit(cell):
    params, xs, first = example(cell, 4, time=2)
    with jax.disable_jit():
        plain = nets.unroll(cell, params, xs, first)
    chex.assert_trees_all_close(
        cases.run(cell, params, xs, first), plain, rtol=1e-5, atol=1e-6
    )


@cases.each_core
def test_gradients_equal_finite_differences(cell, x64):
    params, xs, first = example(cell, time=3)

    @jax.jit
    def loss(*args):
        return cases.total(*nets.unroll(cell, *args))

    check_grads(loss, (params, xs, first), order=1, atol=1e-6, rtol=1e-6)


@cases.each_core
def test_outputs_do_not_depend_on_later_inputs(cell):
    assert_outputs_do_not_depend_on_later_inputs(cell, reverse=False)


@cases.each_core
def test_no_output_sees_what_comes_later_in_reverse(cell):
    assert_outputs_do_not_depend_on_later_inputs(cell, reverse=True)


def assert_outputs_do_not_depend_on_later_inputs(cell, reverse):
    params, xs, first = example(cell, 8)  # a relu may not see a change
    t = 2
    _, before = cases.run(cell, params, xs, first, reverse=reverse)
    xs = np.array(xs)
    xs[t] += 1
    _, after = cases.run(cell, params, xs, first, reverse=reverse)
    changed = (np.asarray(before) != after).any(axis=(1, 2))
    assert changed[t] and not (changed[t + 1 :] if reverse else changed[:t]).any()


def assert_padding_changes_no_number(cell, fill, reverse):
    """Outputs, states and all gradients equal those of sequences cut to length."""
    params, xs, first = example(cell, len(LENGTHS))
    padded = cases.run_and_grad(
        cell,
        params,
        cases.fill_padding(xs, LENGTHS, fill),
        first,
        lengths=jnp.array(LENGTHS),
        reverse=reverse,
    )
    cut = cases.run_rows_and_grad(
        cell, params, xs, first, lengths=LENGTHS, reverse=reverse
    )
    chex.assert_tree_all_finite(cut)
    chex.assert_trees_all_close(padded, cut, rtol=1e-10, atol=1e-10)


@each_cell
def test_padding_changes_no_number(cell, x64):
    """Two sequences of the same length: cut, they are one batch, and one program."""
    params, xs, first = example(cell, 2)
    length = TIME - 2
    filled = cases.fill_padding(xs, [length] * 2, np.nan)
    state, ys = cases.run(
        cell, params, filled, first, lengths=np.full(2, length), reverse=True
    )
    ys, xs = np.asarray(ys), np.asarray(xs)
    assert not ys[length:].any()
    cut = cases.run(cell, params, xs[:length], first, reverse=True)
    chex.assert_tree_all_finite(cut)
    chex.assert_trees_all_close((state, ys[:length]), cut, rtol=1e-10, atol=1e-10)


@cases.each_kind
def test_padding_has_no_gradient(cell, x64):
    """As above: the same code of `unroll` treats the padding of every kind of state."""
    params, xs, first = example(cell, 2)
    length = TIME - 2
    end = cases.run_and_grad(
        cell,
        params,
        cases.fill_padding(xs, [length] * 2, np.nan),
        first,
        lengths=np.full(2, length),
        reverse=True,
    )
    (state, ys), (by_params, by_xs, by_state) = jax.tree.map(np.asarray, end)
    assert not ys[length:].any() and not by_xs[length:].any()
    padded = (state, ys[:length]), (by_params, by_xs[:length], by_state)
    cut = np.asarray(xs)[:length]
    cut = cases.run_and_grad(cell, params, cut, first, reverse=True)
    chex.assert_tree_all_finite(cut)
    chex.assert_trees_all_close(padded, cut, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("fill", [7.0, np.nan, np.inf], ids=str)
@cases.each_core
def test_padding_of_any_value_changes_no_number(cell, fill, x64):
    assert_padding_changes_no_number(cell, fill, reverse=False)


@cases.each_core
def test_padded_outputs_are_zero(cell):
    params, xs, first = example(cell, len(LENGTHS))
    _, ys = cases.run(cell, params, xs, first, lengths=jnp.array(LENGTHS))
    padded = np.arange(TIME)[:, None] >= np.array(LENGTHS)
    assert padded.sum() == 7
    assert (np.asarray(ys)[padded] == 0).all() and (np.asarray(ys)[~padded] != 0).any()


@both_ways
@cases.each_core
def test_length_zero_returns_the_initial_state(cell, reverse):
    params, xs, first = example(cell, 3)
    none, full = np.zeros(3, int), np.full(3, TIME)
    end, _ = cases.run(cell, params, xs, first, lengths=none, reverse=reverse)
    chex.assert_trees_all_equal(end, first)
    end, _ = cases.run(cell, params, xs, first, lengths=full, reverse=reverse)
    assert all(cases.differ(end, first))


@pytest.mark.parametrize("lengths", [[[0, 2, 5], [4, 5, 1]], [3, 5]], ids=["all", "1"])
@cases.each_core
def test_lengths_over_several_batch_axes(cell, lengths):
    """They may cover all batch axes, or only the leading ones."""
    params, xs, first = example(cell, 2, 3)
    lengths = np.array(lengths)
    each = np.broadcast_to(lengths.reshape(2, -1), (2, 3))
    xs = cases.fill_padding(xs, each, np.nan)
    state, ys = cases.run(cell, params, xs, first, lengths=lengths)

    def flatten(tree, axis):
        def leaf(a):
            return np.asarray(a).reshape(*a.shape[:axis], 6, *a.shape[axis + 2 :])

        return jax.tree.map(leaf, tree)

    flat = cases.run(
        cell, params, flatten(xs, 1), flatten(first, 0), lengths=each.ravel()
    )
    got = flatten(state, 0), flatten(ys, 1)
    chex.assert_trees_all_close(got, flat, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", [0, 3, TIME])
@cases.each_core
def test_a_sequence_without_batch_has_a_scalar_length(cell, length):
    params, xs, first = example(cell)
    xs = cases.fill_padding(xs, length, np.nan)
    end, ys = cases.run(cell, params, xs, first, lengths=np.array(length))
    xs, ys = np.asarray(xs), np.asarray(ys)
    short_end, short = cases.run(cell, params, xs[:length], first)
    chex.assert_trees_all_close((end, ys[:length]), (short_end, short), rtol=1e-5)
    assert (ys[length:] == 0).all()


@cases.each_core
def test_no_steps_at_all(cell):
    params, xs, first = example(cell, 4, time=0)
    end, ys = cases.run(cell, params, xs, first)
    chex.assert_trees_all_equal(end, first)
    assert ys.shape == (0, 4, FEATURES)
    begun, _ = cases.run(cell, params, xs)
    chex.assert_trees_all_equal(begun, cell.initial_state(params, jnp.ones((4, 2))))


@each_case
def test_equal_factory_calls_return_the_same_object(case):
    assert case.make(**case.options) is case.make(**case.options)


@pytest.mark.parametrize("name", cases.CORE)
def test_equal_factory_calls_compile_once(name):
    case = cases.CASES[name]
    params, xs, _ = example(case.cell)
    traces = []

    @partial(jax.jit, static_argnums=0)
    def run(cell, params, xs):
        traces.append(cell)
        return nets.unroll(cell, params, xs)

    for _ in range(2):
        run(case.make(**case.options), params, xs)
    assert len(traces) == 1


@pytest.mark.parametrize(
    "one, other",
    [
        (nets.lstm(), nets.lstm(forget_bias=None)),
        (nets.lstm(1.0), nets.lstm(forget_bias=1)),
        (nets.gru(), nets.gru(reset_after=True)),
        (nets.elman(), nets.elman(activation=jnp.tanh)),
    ],
    ids=["lstm", "lstm by position", "gru", "elman"],
)
def test_an_option_left_out_equals_its_default(one, other):
    assert one is other


def test_other_options_give_another_cell():
    assert nets.lstm() != nets.lstm(forget_bias=0.0)
    assert nets.gru() != nets.gru(reset_after=False)


@each_cell
def test_parameters_follow_the_key(cell):
    one, same, other = (  # not under jit: cells share the operations
        cell.init(jax.random.key(seed), INPUTS, FEATURES) for seed in (0, 0, 1)
    )
    chex.assert_trees_all_equal(one, same)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(one))
    assert any(cases.differ(one, other))
