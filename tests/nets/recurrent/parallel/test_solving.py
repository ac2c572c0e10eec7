"""Newton's method over time: iterations, options, fallback, derivatives, errors."""

from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import TIME, example
from tolerances import assert_close, assert_close_float64

import nets
from nets import ParallelSolver, solve_states
from nets.flow import state_gradients
from nets.recurrent.parallel.options import as_solver
from nets.recurrent.parallel.recurrence import block_scan

ELMAN, GRU, LSTM = nets.elman(), nets.gru(), nets.lstm()
solve = jax.jit(solve_states, static_argnames=("cell", "solver"))
loop = jax.jit(partial(nets.unroll, all_states=True), static_argnames="cell")


def elman(gain, time, features=8):
    """Parameters of an Elman net with recurrent weights of a spectral radius."""
    rng = np.random.default_rng(0)
    w_h = gain * np.linalg.qr(rng.standard_normal((features, features)))[0]
    params = nets.cells.ElmanParams(
        cases.normal(2, features, seed=1), jnp.asarray(w_h, "f"), jnp.zeros(features)
    )
    return params, cases.normal(time, 2, seed=2)


@pytest.fixture(scope="module")
def chaos():
    """A chaotic net, and its outputs by the loop."""
    params, xs = elman(gain=3.0, time=48)
    return params, xs, loop(ELMAN, params, xs)


def test_a_chaotic_cell_does_not_converge_early(chaos):
    params, xs, _ = chaos
    _, result = solve(ELMAN, params, xs, solver=ParallelSolver(max_iterations=4))
    assert not result.converged and result.iterations == 4 and result.residual > 0.01


def test_unroll_falls_back_to_the_loop(chaos):
    params, xs, expected = chaos
    solver = ParallelSolver(max_iterations=4)
    got = nets.unroll(ELMAN, params, xs, all_states=True, parallel=solver)
    assert_close(got, expected)


@pytest.mark.parametrize("method", ["newton", "quasi"])
def test_iterations_never_exceed_the_steps(chaos, method):
    params, xs, _ = chaos
    _, result = solve(ELMAN, params, xs, solver=method)
    assert result.converged and 8 < result.iterations <= len(xs)


@pytest.mark.slow
def test_iterations_of_a_contracting_cell_do_not_depend_on_the_steps():
    counts = [int(solve(ELMAN, *elman(0.5, time))[1].iterations) for time in (50, 500)]
    assert max(counts) <= 5 and abs(counts[0] - counts[1]) <= 1


def test_quasi_and_damping_take_more_iterations():
    params, xs = elman(gain=0.5, time=50)
    expected, _ = loop(ELMAN, params, xs)
    counts = []
    for solver in ("newton", ParallelSolver(damping=0.5), "quasi"):
        states, result = solve(ELMAN, params, xs, solver=solver)
        chex.assert_trees_all_close(states, expected, rtol=1e-4, atol=1e-4)
        counts.append(int(result.iterations))
    assert counts == sorted(set(counts))


def test_a_linear_cell_takes_one_iteration():
    params, xs, state = example(nets.lru(), 2, time=20)
    states, result = solve(nets.lru(), params, xs, state)
    assert_close(states, loop(nets.lru(), params, xs, state)[0])
    assert result.iterations == 1


def test_a_solution_is_kept():
    """As the initial guess, in the order of the inputs."""
    params, xs, state = example(LSTM, 2)

    @jax.jit
    def again(params, xs, state):
        states, _ = nets.unroll(LSTM, params, xs, state, all_states=True, reverse=True)
        solver = ParallelSolver(guess=states)
        return states, solve_states(
            LSTM, params, xs, state, solver=solver, reverse=True
        )

    states, (got, result) = again(params, xs, state)
    assert result.iterations <= 1
    assert_close(got, states)


@pytest.mark.parametrize("window", [3, 4])
def test_windows(window):
    """States, iterations and gradients, of steps that windows divide and do not."""
    params, xs, state = example(GRU, 2, time=9)
    solver = ParallelSolver(window=window)

    @jax.jit
    def both(*args):
        def loss(parallel, *args):
            return cases.total(*nets.unroll(GRU, *args, parallel=parallel))

        grads = [
            jax.value_and_grad(partial(loss, p), argnums=(0, 1, 2))(*args)
            for p in (solver, False)
        ]
        return grads, solve_states(GRU, *args, solver=solver)[1]

    (got, expected), result = both(params, xs, state)
    assert_close(got, expected)
    assert result.converged and 3 <= result.iterations <= 9


def test_a_window_that_fails_ends_the_work(chaos):
    params, xs, _ = chaos
    solver = ParallelSolver(max_iterations=3, window=24)
    assert solve(ELMAN, params, xs, solver=solver)[1].iterations == 3


@pytest.mark.parametrize("time", [0, 1])
def test_no_step_and_one_step(time):
    params, xs, state = example(LSTM, 2, time=time)
    for parallel in ("backward", "newton"):
        got = nets.unroll(LSTM, params, xs, state, parallel=parallel)
        assert_close(got, nets.unroll(LSTM, params, xs, state))
    states, result = solve_states(LSTM, params, xs, state)
    assert states.cell.shape == (time, 2, 3) and result.converged


def test_gaps_and_two_layers_in_both_directions():
    layer = nets.stack(nets.bidirectional(GRU), LSTM)
    like = jax.eval_shape(lambda key: layer.init(key, 2, 3), jax.random.key(0))
    params, xs = cases.draw(like), cases.normal(TIME, 3, 2, seed=1)
    mask = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 0], [0] * 5]).T > 0
    xs = jnp.where(mask[..., None], xs, np.nan)
    run = jax.jit(layer.apply, static_argnames="parallel")
    got = run(params, xs, mask=mask, parallel="newton")
    assert_close(got, run(params, xs, mask=mask))


def test_noise_is_the_same_as_in_the_loop():
    cell = nets.zoneout(nets.recurrent_dropout(GRU, 0.5), hidden=0.5)
    params, xs, state = example(cell, 2)
    run = partial(nets.unroll, cell, params, xs, state, key=jax.random.key(0))
    assert_close(run(parallel="newton"), run())


@pytest.mark.parametrize("parallel", ["backward", "newton"])
def test_state_gradients(parallel):
    """With lengths, of a cell whose output follows from its state."""
    params, xs, state = example(LSTM, 3)
    run = partial(
        state_gradients,
        LSTM,
        params,
        xs,
        cases.total,
        state,
        lengths=jnp.array([5, 2, 0]),
    )
    assert_close(run(parallel=parallel), run())


def test_untied_parameters():
    """The gradient by the copies of each step."""
    params, xs, _ = example(GRU, 2)
    each = jax.tree.map(lambda p: jnp.stack([p] * TIME), params)

    @partial(jax.jit, static_argnums=1)
    def gradient(each, parallel):
        return jax.grad(
            lambda p: cases.total(
                *nets.unroll(GRU, p, xs, untied=True, parallel=parallel)
            )
        )(each)

    assert_close(gradient(each, "backward"), gradient(each, False))


def test_forward_mode_and_second_derivatives(x64):
    params, xs, state = example(GRU, 2, dtype=jnp.float64)
    along = cases.draw(params, seed=5)

    @jax.jit
    def derivatives(params, along):
        def loss(parallel, params):
            return cases.total(*nets.unroll(GRU, params, xs, state, parallel=parallel))

        def both(parallel):
            value = partial(loss, parallel)
            product = jax.jvp(jax.grad(value), [params], [along])[1]
            return jax.jvp(value, [params], [along]), product

        return both(False), both("newton")

    expected, got = derivatives(params, along)
    assert_close_float64(got, expected)


def counting():
    """A cell with a counter that its step reads."""

    def step(params, state, x):
        h, count = state
        h = jnp.tanh(x + (params.sum() / (1 + count))[..., None] * h)
        return (h, count + 1), h

    def first(params, x):
        return jnp.zeros_like(x), jnp.zeros(x.shape[:-1], int)

    return nets.Cell(lambda key, inputs, features: jnp.ones(inputs), first, step)


def test_counters_run_forward_in_a_loop():
    cell, xs = counting(), cases.normal(TIME, 2, 3)

    def gradient(parallel):
        return jax.grad(
            lambda w: cases.total((), nets.unroll(cell, w, xs, parallel=parallel)[1])
        )(jnp.ones(3))

    assert_close(gradient("backward"), gradient(False))
    with pytest.raises(ValueError, match=r"int32.*parallel='backward'"):
        gradient("newton")


@pytest.mark.parametrize("method", ["newton", "quasi"])
def test_a_custom_backward_pass(method):
    """Its Jacobians are taken row by row."""

    @jax.custom_vjp
    def squash(x):
        return jnp.tanh(x)

    squash.defvjp(
        lambda x: (jnp.tanh(x), x), lambda x, g: (g * (1 - jnp.tanh(x) ** 2),)
    )
    cell = nets.elman(activation=squash)
    params, xs, state = example(cell, 2)

    def gradient(parallel):
        def loss(params):
            return cases.total(*nets.unroll(cell, params, xs, state, parallel=parallel))

        return jax.value_and_grad(loss)(params)

    assert_close(gradient(method), gradient(False))


def test_no_sequence():
    params, xs, _ = example(GRU, 2)
    states, result = solve(GRU, params, xs[:, :0])
    assert states.hidden.shape == (TIME, 0, cases.FEATURES)
    assert result.converged and result.iterations == 0 and result.residual == 0


def test_products_that_overflow_leave_zeros():
    """A loss of the first steps: the gradient by the later ones is zero."""
    a, b = np.full((200, 2, 2), 3.0, "f"), np.zeros((200, 2), "f")
    b[-2:] = 1
    states = block_scan(jnp.asarray(a), jnp.asarray(b))
    assert not states[:-2].any() and states[-2:].tolist() == [[1, 1], [7, 7]]


def test_vmap_over_members():
    params, xs, state = example(GRU, 2)
    run = partial(nets.unroll, GRU, params, state=state)
    xs = jnp.stack([xs, 2 * xs])
    got = jax.vmap(partial(run, parallel="newton"))(xs)
    assert_close(got, jax.vmap(run)(xs))


TEXT: Any = "a"
ERRORS = {
    "a name": ("deer", r"among 'backward', 'newton', 'quasi', 'auto'; got 'deer'"),
    "a window": (ParallelSolver(window=0), "window to be an integer of at least 1"),
    "iterations": (ParallelSolver(max_iterations=True), "max_iterations.*got True"),
    "damping": (ParallelSolver(damping=1.0), "damping from 0 to below 1; got 1.0"),
    "damping as text": (
        ParallelSolver(damping=TEXT),
        "damping from 0 to below 1; got a",
    ),
    "a tolerance": (ParallelSolver(tolerance=-1.0), "tolerance of at least 0"),
    "tolerance as text": (ParallelSolver(tolerance=TEXT), "tolerance of at least 0"),
    "a guess": (ParallelSolver(guess=jnp.zeros(3)), "guess like the states of all"),
}


@pytest.mark.parametrize("parallel, message", ERRORS.values(), ids=ERRORS)
def test_wrong_solvers(parallel, message):
    params, xs, _ = example(GRU, 2)
    with pytest.raises(ValueError, match=message):
        nets.unroll(GRU, params, xs, parallel=parallel)


def test_no_solver():
    with pytest.raises(ValueError, match=r"or a `ParallelSolver`; got 2"):
        as_solver(2)


@pytest.mark.parametrize("options", [{"remat": True}, {"truncate": 2}])
def test_options_that_run_step_by_step(options):
    params, xs, _ = example(GRU, 2)
    with pytest.raises(ValueError, match="without remat and truncate"):
        nets.unroll(GRU, params, xs, parallel="newton", **options)


def test_a_state_that_changes_its_shape():
    cell = nets.Cell(
        lambda key, inputs, features: (),
        lambda params, x: jnp.zeros(3),
        lambda params, state, x: (state[1:], x),
    )
    with pytest.raises(TypeError, match="carry input and carry output"):
        nets.unroll(cell, (), jnp.ones((4, 2)), parallel="newton")


def test_only_a_method_that_solves_is_reported():
    params, xs, _ = example(GRU, 2)
    with pytest.raises(ValueError, match="'newton' or 'quasi'; got 'backward'"):
        solve_states(GRU, params, xs, solver="backward")


def test_jacobians_that_do_not_fit_into_memory():
    like = jax.eval_shape(lambda key: GRU.init(key, 2, 1024), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((100_000, 64, 2), jnp.float32)
    for parallel in ("newton", "backward"):

        def loss(params, xs, parallel=parallel):
            return nets.unroll(GRU, params, xs, parallel=parallel)[1].sum()

        message = r"at most 16 GiB; got 25000 GiB.*ParallelSolver\(window=\d+\)"
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(jax.grad(loss), like, xs)


def test_one_guess_does_not_fit_a_stack_of_different_cells():
    layer = nets.stack(GRU, LSTM)
    params = tuple(
        jax.eval_shape(lambda key, cell=cell: cell.init(key, 4, 4), jax.random.key(0))
        for cell in (GRU, LSTM)
    )
    solver = ParallelSolver(guess=nets.cells.GRUState(jnp.zeros((6, 4))))
    with pytest.raises(ValueError, match="a stack of different cells cannot have one"):
        jax.eval_shape(
            lambda params: layer.apply(params, jnp.ones((6, 4)), parallel=solver),
            params,
        )


@pytest.mark.parametrize("method", ["newton", "quasi"])
def test_nan_in_the_inputs_ends_the_iterations(method):
    """The states up to there are those of the loop, and no step after them is."""
    params, xs = elman(gain=0.5, time=200)
    finite = solve(ELMAN, params, xs, solver=method)[1]
    xs = xs.at[100].set(np.nan)
    states, result = solve(ELMAN, params, xs, solver=method)
    assert not result.converged and result.residual == np.inf
    assert result.iterations <= finite.iterations < 30
    expected = loop(ELMAN, params, xs[:100])[0]
    chex.assert_trees_all_close(  # within the tolerance of the solver
        jax.tree.map(lambda s: s[:100], states), expected, atol=5e-5
    )
