"""Options of `unroll`: all states, truncation, remat, parallel, streaming."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, TIME, both_ways, example
from tolerances import assert_close

import nets


@partial(
    jax.jit,
    static_argnames=("cell", "truncate", "remat", "reverse", "all_states", "parallel"),
)
def out_and_grads(cell, params, xs, state, **options):
    """Results of unroll, and gradients by parameters, inputs and first state."""

    def loss(params, xs, state):
        out = nets.unroll(cell, params, xs, state, **options)
        return cases.total(*out), out

    grads, out = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(params, xs, state)
    return out, grads


@both_ways
@pytest.mark.parametrize("name", ["lstm", "fast weights"])
def test_all_states_are_those_of_a_loop(name, reverse):
    cell = CASES[name].cell
    params, xs, first = example(cell, 4)
    order = range(TIME)[::-1] if reverse else range(TIME)
    state, states = first, {}
    for t in order:
        state, _ = cell.step(params, state, xs[t])
        states[t] = state
    expected = jax.tree.map(lambda *s: jnp.stack(s), *(states[t] for t in range(TIME)))
    run = partial(nets.unroll, cell, params, xs, first, reverse=reverse)
    got, ys = run(all_states=True)
    assert_close(got, expected)
    end, outputs = run()
    chex.assert_trees_all_equal(jax.tree.map(lambda s: s[order[-1]], got), end)
    chex.assert_trees_all_equal(ys, outputs)


def test_all_states_of_no_steps():
    cell = nets.lstm()
    params, xs, first = example(cell, 4, time=0)
    states, _ = nets.unroll(cell, params, xs, first, all_states=True)
    assert states.cell.shape == (0, 4, 3)


def segments(cell, params, xs, state, size, reverse):
    """Truncated back-propagation, written out: a loop that stops between segments."""
    read = xs[::-1] if reverse else xs
    outputs = []
    for start in range(0, len(xs), size):
        if start:
            state = jax.lax.stop_gradient(state)
        for x in read[start : start + size]:
            state, y = cell.step(params, state, x)
            outputs.append(y)
    ys = jnp.stack(outputs)
    return state, ys[::-1] if reverse else ys


@pytest.mark.slow
@pytest.mark.parametrize(
    "size, reverse",
    [(1, True), (2, False), (2, True), (4, False), (5, True), (20, False)],
)
def test_truncation_is_a_loop_that_stops_between_segments(size, reverse):
    """With remat and without."""
    cell = nets.lstm()
    params, xs, first = example(cell, 2)

    def loss(params, xs, state):
        out = segments(cell, params, xs, state, size, reverse)
        return cases.total(*out), out

    by_hand = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
    grads, out = by_hand(params, xs, first)
    plain, plain_grads = out_and_grads(cell, params, xs, first, reverse=reverse)
    for remat in (False, True):
        got = out_and_grads(
            cell, params, xs, first, truncate=size, remat=remat, reverse=reverse
        )
        assert_close(got, (out, grads))
        assert_close(got[0], plain)
        if size >= TIME:
            assert_close(got[1], plain_grads)
        else:
            assert all(cases.differ(got[1][0], plain_grads[0]))


def test_truncation_waits_in_padding_too():
    cell = nets.gru()
    params, xs, first = example(cell, 3)
    lengths = jnp.array([0, 3, TIME])
    assert_close(
        out_and_grads(cell, params, xs, first, truncate=TIME, lengths=lengths),
        out_and_grads(cell, params, xs, first, lengths=lengths),
    )


@pytest.mark.parametrize("truncate", [0, True])
def test_truncation_of_no_number_of_steps(truncate):
    cell = nets.gru()
    params, xs, _ = example(cell, 3)
    with pytest.raises(ValueError, match=f"at least 1 step; got {truncate}"):
        nets.unroll(cell, params, xs, truncate=truncate)


@both_ways
@pytest.mark.parametrize("time", [1, 2, 9, 11])
def test_remat_changes_no_number(time, reverse):
    cell = nets.lstm()
    params, xs, first = example(cell, 3, time=time)
    lengths = jnp.array([0, time // 2, time])
    options = {"reverse": reverse, "lengths": lengths, "all_states": True}
    assert_close(
        out_and_grads(cell, params, xs, first, remat=True, **options),
        out_and_grads(cell, params, xs, first, **options),
    )


def backward_memory(time: int, remat: bool) -> int:
    """Bytes that XLA sets aside for the gradient of a final state."""
    cell = nets.lstm()
    params = cell.init(jax.random.key(0), 4, 16)
    xs = jnp.zeros((time, 8, 4))

    def loss(params, xs):
        state, _ = nets.unroll(cell, params, xs, remat=remat)
        return state.hidden.sum()

    compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    analysis = compiled.memory_analysis()
    assert analysis is not None
    return analysis.temp_size_in_bytes


@pytest.mark.slow
def test_remat_needs_memory_of_the_square_root_of_time():
    """Sixteen times the steps: four times the memory, and sixteen without."""
    growth = {
        remat: backward_memory(8192, remat) / backward_memory(512, remat)
        for remat in (True, False)
    }
    # Of 16 times: products of the inputs are computed ahead for 512 steps only.
    assert growth[True] < 5 and growth[False] > 11


@pytest.mark.slow
@pytest.mark.parametrize("name", ["min_gru", "qrnn", "lru", "mlstm"])
def test_parallel_in_reverse_equals_one_step_after_another(name, x64):
    """Outputs, all states and gradients, from a given first state.

    `test_linear_cells` compares every linear cell, from the first step to the last.
    """
    cell = CASES[name].cell
    params, xs, first = example(cell, 3, time=3, dtype=jnp.float64)
    options = {"reverse": True, "all_states": True}
    chex.assert_trees_all_close(
        out_and_grads(cell, params, xs, first, parallel=True, **options),
        out_and_grads(cell, params, xs, first, **options),
        rtol=1e-11,
        atol=1e-11,
    )


@pytest.mark.slow
@both_ways
@pytest.mark.parametrize("name", ["qrnn", "mlstm", "lru"])
def test_parallel_padding_cannot_be_seen(name, reverse):
    """Left, right and in gaps, which a window of inputs must not see."""
    cell = CASES[name].cell
    params, xs, first = example(cell, 4)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1], [0] * 5]).T > 0
    xs = jnp.where(mask[..., None], xs, np.nan)

    @jax.jit
    def program(*run):
        options = {"reverse": reverse, "mask": mask}
        return [
            [
                nets.unroll(cell, *run, parallel=parallel, all_states=every, **options)
                for every in (False, True)
            ]
            for parallel in (True, False)
        ]

    got, expected = program(params, xs, first)
    chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["qrnn", "lru"])
def test_parallel_without_steps(name):
    cell = CASES[name].cell
    params, xs, first = example(cell, 4, time=0)
    end, ys = nets.unroll(cell, params, xs, first, parallel=True)
    chex.assert_trees_all_equal(end, first)
    assert ys.shape[:2] == (0, 4)


AVERAGE = nets.linear_cell(
    lambda key, inputs, features: jnp.full(inputs, 0.5),
    lambda w, x: jnp.zeros_like(x),
    lambda w, state, xs: (jnp.broadcast_to(w, xs.shape), xs),
    lambda w, state, x: state,
)

PARALLEL_ERRORS = {
    "not linear": (
        nets.gru(),
        {},
        r"linear in its state.*got one whose `linear` is None",
    ),
    "truncate": (AVERAGE, {"truncate": 2}, "truncate and perturbations"),
    "noise": (
        nets.input_dropout(AVERAGE, 0.5),
        {"key": 0},
        "without a key if the cell is stochastic",
    ),
}


@pytest.mark.parametrize(
    "cell, options, message", PARALLEL_ERRORS.values(), ids=PARALLEL_ERRORS
)
def test_what_cannot_run_in_parallel(cell, options, message):
    params = cell.init(jax.random.key(0), 2, 2)
    run = partial(nets.unroll, cell, params, jnp.ones((4, 2)), parallel=True)
    if "key" in options:
        run, options = partial(run, key=jax.random.key(options["key"])), {}
    with pytest.raises(ValueError, match=message):
        run(**options)


@pytest.mark.slow
def test_a_users_linear_cell(x64):
    """s_t = w s_{t-1} + x_t, whose gradient by s_{-1} is w^T."""
    w, xs = jnp.array([0.5, 0.9]), cases.normal(20, 2)
    state, _ = nets.unroll(AVERAGE, w, xs, parallel=True)
    powers = np.asarray(w) ** np.arange(19, -1, -1)[:, None]
    np.testing.assert_allclose(state, (powers * xs).sum(axis=0), rtol=1e-12)
    jacobian = jax.jacobian(lambda s: nets.unroll(AVERAGE, w, xs, s, parallel=True)[0])
    np.testing.assert_allclose(jacobian(jnp.ones(2)), jnp.diag(w**20), rtol=1e-12)


def test_a_linear_scan_of_no_steps():
    assert nets.linear_scan(jnp.ones((0, 2)), jnp.ones((0, 2)), jnp.ones(2)).size == 0


@cases.each_core
def test_streaming_equals_the_unrolled_run(cell):
    """One step at a time, jitted once, as new inputs come in."""
    params, xs, first = example(cell, 4)
    traces = []

    @jax.jit
    def step(params, state, x):
        traces.append(x)
        return cell.step(params, state, x)

    state, outputs = first, []
    for x in xs:
        state, y = step(params, state, x)
        outputs.append(y)
    chex.assert_trees_all_close(
        (state, jnp.stack(outputs)),
        cases.run(cell, params, xs, first),
        rtol=1e-6,
        atol=1e-6,
    )
    assert len(traces) == 1
