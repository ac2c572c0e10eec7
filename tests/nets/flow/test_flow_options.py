"""Options of the instruments, and cells and inputs of unusual kinds."""

from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import TIME, example, normal
from tolerances import assert_equal_float64

import nets
from nets import flow
from nets.tracing.jaxpr import programs_of

NOTHING: Any = None


def loss(state, ys):
    return jnp.sin(ys).sum()


def losses(ys):
    return jnp.sin(ys).sum(axis=-1)


# Options of `nets.unroll`.


@pytest.mark.slow
def test_a_loss_of_all_states(x64):
    """It takes them in place of the final one; lags and paths have no use for them."""
    cell = nets.gru()
    run = example(cell, 2)
    params, xs, state = run
    options = {"state": state, "all_states": True}

    def of_states(states, ys):
        return jnp.sin(states.hidden).sum()

    assert_equal_float64(
        flow.state_gradients(cell, params, xs, of_states, **options),
        flow.state_gradients(cell, params, xs, loss, state),
    )
    assert_equal_float64(
        flow.parameter_gradients_by_time(cell, params, xs, of_states, **options),
        flow.parameter_gradients_by_time(cell, params, xs, loss, state),
    )
    assert_equal_float64(
        flow.split_by_path(cell, params, xs, of_states, **options)[1],
        flow.split_by_path(cell, params, xs, loss, state)[1],
    )
    assert_equal_float64(
        flow.lag_matrix(cell, params, xs, losses, **options),
        flow.lag_matrix(cell, params, xs, losses, state),
    )
    zeros = flow.zero_perturbations(cell, params, xs, **options)
    chex.assert_trees_all_equal(zeros, flow.zero_perturbations(cell, params, xs, state))


def test_gradients_where_deltas_have_moved_the_run(x64):
    cell = nets.gru()
    params, xs, state = example(cell, 2)
    perturbations = cases.draw(flow.zero_perturbations(cell, params, xs, state))
    result = flow.state_gradients(
        cell, params, xs, loss, state, perturbations=perturbations
    )

    def moved(perturbations):
        return loss(*nets.unroll(cell, params, xs, state, perturbations=perturbations))

    assert_equal_float64(result, jax.value_and_grad(moved)(perturbations))
    lags: Any = flow.lag_matrix(
        cell, params, xs, losses, state, perturbations=perturbations
    )
    plain: Any = flow.lag_matrix(cell, params, xs, losses, state)
    assert (lags[-1, 0] != plain[-1, 0]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "how, reverse",
    [
        ({"remat": True}, False),
        ({"truncate": 2}, True),
        ({"remat": True, "truncate": 3}, False),
        ({"remat": True, "truncate": 3}, True),
    ],
)
def test_shares_of_truncated_and_recomputed_runs(how, reverse, x64):
    """They sum to the gradient of `nets.unroll` with the same options."""
    cell = nets.learned_state(nets.lstm())
    params, xs, _ = example(cell, 2)
    options: Any = {**how, "reverse": reverse, "lengths": np.array([TIME, 2])}
    result = flow.parameter_gradients_by_time(cell, params, xs, loss, **options)

    @jax.jit
    @jax.value_and_grad
    def value_and_gradient(params):
        return loss(*nets.unroll(cell, params, xs, **options))

    sums = jax.tree.map(lambda g: np.asarray(g).sum(axis=0), result[1])
    assert_equal_float64((result[0], sums), value_and_gradient(params))


@pytest.mark.slow
def test_the_penalty_does_not_depend_on_how_a_run_is_remembered(x64):
    cell = nets.gru()
    params, xs, _ = example(cell, 2)
    plain = flow.pascanu_penalty(cell, params, xs, loss)
    assert_equal_float64(
        flow.pascanu_penalty(cell, params, xs, loss, remat=True), plain
    )


@pytest.mark.parametrize("name", ["key", "perturbations", "parallel"])
def test_shares_of_runs_that_have_none(name):
    params, xs, _ = example(nets.lru(), 2)
    options: Any = {name: jax.random.key(0) if name == "key" else True}
    with pytest.raises(
        ValueError, match=f"neither a key nor perturbations.*got {name}"
    ):
        flow.parameter_gradients_by_time(nets.lru(), params, xs, loss, **options)


# Parameters.


def dense(params, h, x):
    h = params["activation"](x @ params["w"] + h @ (params["v"] * params["mask"]))
    return params["rate"] * h, h


DENSE = nets.Cell(NOTHING, lambda p, x: jnp.zeros((*x.shape[:-1], 3)), dense)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [int, bool, jnp.uint8, jnp.float64])
def test_parameters_that_are_no_floats(dtype, x64):
    params = {"w": normal(2, 3), "v": normal(3, 3, seed=1), "rate": 0.5, "name": "own"}
    params |= {"mask": (1 - jnp.eye(3)).astype(dtype), "activation": jnp.tanh}
    params |= {"key": jax.random.key(0), "nothing": None}
    xs = normal(TIME, 4, 2)
    value, shares = flow.parameter_gradients_by_time(DENSE, params, xs, loss)
    fixed = {k: v for k, v in params.items() if k not in ("w", "v", "rate")}

    def whole(moving):
        return loss(*nets.unroll(DENSE, fixed | moving, xs))

    moving = {k: params[k] for k in ("w", "v", "rate")}
    wanted = jax.jit(jax.value_and_grad(whole))(moving)
    sums = {k: np.asarray(shares[k]).sum(axis=0) for k in moving}
    assert_equal_float64((value, sums), wanted)
    assert shares["name"] is shares["activation"] is shares["nothing"] is None
    assert shares["key"].shape == (TIME,) and not shares["key"].any()
    assert shares["mask"].shape == (TIME, 3, 3)
    assert bool(shares["mask"].any()) == (dtype is jnp.float64)
    assert jnp.isfinite(flow.cancellation(shares).index)
    assert_equal_float64(
        flow.step_jacobians(DENSE, params, xs, jnp.zeros((4, 3))),
        flow.step_jacobians(DENSE, fixed | moving, xs),
    )


# Nothing to read.


@pytest.mark.parametrize("shape", [(0, 2), (TIME, 0), (0, 0), (0,)])
def test_no_steps_and_no_sequences(shape):
    """Arrays without an entry, and values of nothing: those of the first state."""
    cell = nets.learned_state(nets.gru())
    params, _, _ = example(cell)
    xs = jnp.zeros((*shape, cases.INPUTS))
    time, batch = shape[0], shape[1:]
    lags: Any = flow.lag_matrix(cell, params, xs, losses)
    assert lags.shape == (time, *shape)
    value, shares = flow.parameter_gradients_by_time(
        cell, params, xs, lambda state, ys: state.hidden.sum()
    )
    assert shares.cell.w_h.shape == (time, *params.cell.w_h.shape)
    wanted = cell.initial_state(params, jnp.zeros((*batch, cases.INPUTS))).hidden.sum()
    if not time:
        np.testing.assert_allclose(value, wanted, rtol=1e-6)
    assert flow.step_jacobians(cell, params, xs).shape == (*shape, 3, 3)
    if time:
        result = flow.gates(cell, params, xs)["update"]
        assert result.mean.shape == (time,) and jnp.isnan(result.mean).all()
        assert result.quantiles.shape == (time, 5) and jnp.isnan(result.quantiles).all()
    else:
        with pytest.raises(ValueError, match="at least one step"):
            flow.gates(cell, params, xs)


def test_no_inputs_at_all():
    params, _, _ = example(nets.gru())
    lengths = jnp.array([1])
    for measure in (flow.gates, flow.step_jacobians):
        for options in ({}, {"lengths": lengths}):
            with pytest.raises(ValueError, match=r"expected inputs of shape \[time"):
                measure(nets.gru(), params, None, **options)


def test_depth_of_no_examples_and_of_numpys_axes():
    gradients = jnp.ones((4, 3)), jnp.ones((4, 2, 2))
    result = flow.depth_log_norms(gradients, batch_axis=np.int64(0))
    assert_equal_float64(result, flow.depth_log_norms(gradients))
    none = jnp.ones((0, 3)), jnp.ones((0, 2, 2))
    assert flow.depth_log_norms(none).shape == (2, 0)


# Entries of inputs and states that are no floats.


def test_attributions_of_inputs_with_booleans_and_integers(x64):
    def step(w, h, x):
        x = jnp.where(x["seen"], x["x"], 0.0) * x["n"][..., None]
        h = jnp.tanh(x @ w + 0.5 * h)
        return h, h

    cell = nets.Cell(NOTHING, lambda w, x: jnp.zeros((*x["n"].shape, 3)), step)
    x = normal(TIME, 2, 2)
    xs = {"n": jnp.ones((TIME, 2), int), "seen": x > 0, "x": x}
    w = normal(2, 3)
    result = flow.integrated_gradients(cell, w, xs, loss, points=np.int64(8))
    for name in ("n", "seen"):
        assert result[name].shape == xs[name].shape and not result[name].any()
    blank = {**xs, "x": jnp.zeros_like(x)}
    change = loss(*nets.unroll(cell, w, xs)) - loss(*nets.unroll(cell, w, blank))
    np.testing.assert_allclose(result["x"].sum(), change, rtol=1e-6)


def counting(entry, after):
    def step(w, s, x):
        h = jnp.tanh(x @ w + 0.5 * s["h"])
        return {"h": h, "n": after(s["n"])}, h

    def first(w, x):
        return {"h": jnp.zeros((*x.shape[:-1], 3)), "n": entry(x)}

    return nets.Cell(NOTHING, first, step)


COUNTERS = {
    "counter": counting(lambda x: jnp.zeros((), int), lambda n: n + 1),
    "flag": counting(lambda x: jnp.zeros((), bool), lambda n: ~n),
    "key": counting(lambda x: jax.random.key(0), lambda k: jax.random.split(k)[0]),
    "old key": counting(lambda x: jax.random.PRNGKey(0), lambda k: k),
    "counters": counting(lambda x: jnp.zeros(x.shape[:-1], int), lambda n: n + 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTERS)
def test_entries_that_are_no_coordinates_change_nothing(name, x64):
    plain = nets.Cell(
        NOTHING,
        lambda w, x: jnp.zeros((*x.shape[:-1], 3)),
        lambda w, h, x: (lambda v: (v, v))(jnp.tanh(x @ w + 0.5 * h)),
    )
    w, xs, cell = normal(2, 3), normal(TIME, 2, 2), COUNTERS[name]
    assert_equal_float64(
        flow.step_jacobians(cell, w, xs), flow.step_jacobians(plain, w, xs)
    )
    assert_equal_float64(
        flow.lag_matrix(cell, w, xs, losses), flow.lag_matrix(plain, w, xs, losses)
    )
    result = flow.state_gradients(cell, w, xs, loss)[1]
    assert_equal_float64(result["h"], flow.state_gradients(plain, w, xs, loss)[1])
    assert not result["n"].any()
    lengths = jnp.array([TIME, 2])
    if name == "counters":
        assert_equal_float64(
            flow.step_jacobians(cell, w, xs, lengths=lengths),
            flow.step_jacobians(plain, w, xs, lengths=lengths),
        )
    elif name != "old key":  # whose two numbers may be those of two sequences
        with pytest.raises(ValueError, match="so that each sequence can wait"):
            flow.step_jacobians(cell, w, xs, lengths=lengths)


# Padding.


def test_lengths_of_inputs_without_features(x64):
    """A time between the steps, [time, *batch], has the batch of the other inputs."""

    def step(w, h, x):
        h = h + x["dt"][..., None] * jnp.tanh(x["x"] @ w - h)
        return h, h

    cell = nets.Cell(NOTHING, lambda w, x: jnp.zeros((*x["x"].shape[:-1], 3)), step)
    w, xs = normal(2, 3), {"dt": normal(TIME, 2, seed=4), "x": normal(TIME, 2, 2)}
    lengths = [TIME, 2]
    result = flow.step_jacobians(cell, w, xs, lengths=jnp.array(lengths))
    for row, n in enumerate(lengths):
        one = jax.tree.map(lambda x, row=row, n=n: x[:n, row], xs)
        assert_equal_float64(result[:n, row], flow.step_jacobians(cell, w, one))


def test_lengths_of_features_are_refused():
    cell = nets.gru()
    params = cell.init(jax.random.key(0), 3, 3)
    for dtype in (float, int, bool):
        xs = jnp.ones((TIME, 2, 3), dtype)
        with pytest.raises(
            ValueError, match="expected lengths of the shape of the inp"
        ):
            nets.unroll(cell, params, xs, lengths=jnp.ones((2, 3), int))


def test_a_cell_without_a_first_state(x64):
    cell = nets.gru()
    params, xs, state = example(cell, 2)
    bare = cell._replace(initial_state=NOTHING)
    assert_equal_float64(
        flow.step_jacobians(bare, params, xs, state),
        flow.step_jacobians(cell, params, xs, state),
    )
    assert_equal_float64(
        flow.state_gradients(bare, params, xs, loss, state),
        flow.state_gradients(cell, params, xs, loss, state),
    )
    for measure in (flow.step_jacobians, nets.unroll):
        with pytest.raises(ValueError, match="expected a state, as the cell has no"):
            measure(bare, params, xs)


def equations(equation):
    yield equation
    for program in programs_of(equation):
        for inner in program.eqns:
            yield from equations(inner)


def test_products_have_the_precision_of_float32():
    """On GPUs they would have that of TF32 where none is asked."""
    cell = nets.elman()
    params, xs, state = example(cell, 2)
    program = jax.make_jaxpr(partial(flow.step_jacobians, cell))(params, xs, state)
    *_, linear = [e for e in program.jaxpr.eqns if e.primitive.name == "scan"]
    products = [e for e in equations(linear) if e.primitive.name == "dot_general"]
    highest = (jax.lax.Precision.HIGHEST,) * 2
    assert products and all(e.params["precision"] == highest for e in products)
