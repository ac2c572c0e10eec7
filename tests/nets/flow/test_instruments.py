"""Every instrument under JAX's stricter settings, and with no steps or sequences."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import flow, probes

CELL = nets.gru()
TIME, BATCH, INPUTS, FEATURES = 30, 4, 2, 3


def loss(state, ys):
    return (ys**2).sum()


def losses(ys):
    return (ys**2).sum(axis=-1)


def log_norms(cell, params, xs):
    return flow.log_norms(flow.state_gradients(cell, params, xs, loss)[1])


def probed(probe):
    """A probe of the last states, by whether the first input was above 0."""

    def measure(cell, params, xs):
        states, _ = nets.unroll(cell, params, xs)
        return probe(states, (xs[0, :, 0] > 0).astype(jnp.int32), classes=2, folds=2)

    return measure


INSTRUMENTS: dict[str, Any] = {
    "state_gradients": partial(flow.state_gradients, loss=loss),
    "log_norms": log_norms,
    "lag_matrix": partial(flow.lag_matrix, losses=losses),
    "shares": partial(flow.parameter_gradients_by_time, loss=loss),
    "step_jacobians": flow.step_jacobians,
    "log_singular_values": flow.log_singular_values,
    "log_singular_values, all": partial(flow.log_singular_values, count=None),
    "lyapunov_spectrum": flow.lyapunov_spectrum,
    "lyapunov_spectrum, one": partial(flow.lyapunov_spectrum, count=1),
    "pascanu_penalty": partial(flow.pascanu_penalty, loss=loss),
    "flossing_penalty": flow.flossing_penalty,
    "slope of flossing": lambda cell, params, xs: jax.grad(
        lambda params: flow.flossing_penalty(cell, params, xs, count=2)
    )(params),
    "profile": lambda *run: flow.decay_profile(log_norms(*run)),
    "reach": lambda *run: flow.gradient_horizon(log_norms(*run)),
    "half_life": lambda *run: flow.half_life(flow.decay_rate(log_norms(*run))),
    "memory_capacity": partial(probes.memory_capacity, folds=2, lags=3),
    "linear_probe_accuracy": probed(probes.linear_probe_accuracy),
    "usable_information": probed(probes.usable_information),
    "gates": flow.gates,
    "paths": partial(flow.split_by_path, loss=loss),
    "input_saliency": partial(flow.input_saliency, loss=loss),
}


def example(dtype=jnp.float32, time=TIME, batch=BATCH):
    rng = np.random.default_rng(0)
    like = jax.eval_shape(lambda: CELL.init(jax.random.key(0), INPUTS, FEATURES))
    draw = lambda shape: jnp.asarray(0.5 * rng.standard_normal(shape), dtype)  # noqa: E731
    return (
        CELL,
        jax.tree.map(lambda a: draw(a.shape), like),
        draw((time, batch, INPUTS)),
    )


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_no_operand_is_promoted_in_silence(name):
    cell, params, xs = example()
    with jax.numpy_dtype_promotion("strict"):
        shapes = jax.eval_shape(
            lambda params, xs: INSTRUMENTS[name](cell, params, xs), params, xs
        )
    assert jax.tree.leaves(shapes)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_nothing_is_nan_on_the_way(name):
    """Step by step too, as those do who look for a nan of theirs."""
    run = example(batch=8)
    with jax.debug_nans(True):
        result = INSTRUMENTS[name](*run)
    assert not any(bool(jnp.isnan(leaf).any()) for leaf in jax.tree.leaves(result))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["flossing_penalty", "slope of flossing", "log_singular_values"]
)
def test_nothing_is_nan_in_a_short_run_or_where_rank_is_lost(name):
    params = nets.cells.ElmanParams(
        jnp.ones((2, 3)), jnp.ones((3, 3)) / 9, jnp.zeros(3)
    )
    with jax.debug_nans(True):
        result = INSTRUMENTS[name](nets.elman(), params, jnp.ones((4, 2, 2)))
    assert not any(bool(jnp.isnan(leaf).any()) for leaf in jax.tree.leaves(result))


def products(jaxpr):
    """The precisions of all matrix products of a program, those inside it too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation.params["precision"]
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from products(inner)


@jax.custom_vjp
def backward_only(a):
    return jnp.tanh(a)


backward_only.defvjp(lambda a: (jnp.tanh(a), a), lambda a, g: (g / jnp.cosh(a) ** 2,))


@pytest.mark.parametrize("activation", [jnp.tanh, backward_only], ids=["jvp", "vjp"])
@pytest.mark.parametrize(
    "name", [n for n in INSTRUMENTS if n not in ("gates", "paths")]
)
def test_products_of_matrices_are_in_full_precision(name, activation):
    """Of a cell without products, so that all are the instrument's."""

    def step(params, h, x):
        h = activation(jnp.broadcast_to(params, h.shape) * h + x)
        return h, h

    cell = nets.Cell(lambda *_: (), lambda params, x: jnp.zeros_like(x), step)
    xs = jnp.asarray(np.random.default_rng(0).standard_normal((6, BATCH, 2)))
    if name == "slope of flossing" and activation is backward_only:
        pytest.skip("a second derivative of what has no first")
    program = jax.make_jaxpr(lambda p: INSTRUMENTS[name](cell, p, xs))(jnp.ones(2))
    highest = jax.lax.Precision.HIGHEST
    result = list(products(program.jaxpr))
    assert all(each in (highest, (highest, highest)) for each in result), result
    if name.startswith(("log_singular_values", "lyapunov", "memory")):
        assert result


NUMBERS = {
    "log_singular_values": lambda run, n: flow.log_singular_values(*run, count=n),
    "lyapunov_spectrum": lambda run, n: flow.lyapunov_spectrum(*run, count=n, warmup=n),
    "flossing_penalty": lambda run, n: flow.flossing_penalty(*run, count=n),
    "memory_capacity": lambda run, n: probes.memory_capacity(*run, lags=n, folds=n),
    "log_norms": lambda run, n: flow.log_norms(run[2], batch_axes=n - 1),
    "linear_probe_accuracy": lambda run, n: probes.linear_probe_accuracy(
        run[2][0], jnp.arange(BATCH) % 2, n, folds=n
    ),
    "usable_information": lambda run, n: probes.usable_information(
        run[2][0], jnp.arange(BATCH) % 2, n, folds=n
    ),
    "linear_probe_r2": lambda run, n: probes.linear_probe_r2(
        run[2][0], run[2][1], folds=n
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_integers_of_numpy_and_jax_are_integers(name):
    run = example()
    right = jax.eval_shape(lambda: NUMBERS[name](run, 2))
    for two in (np.int64(2), np.uint8(2), np.array(2)):
        assert jax.eval_shape(lambda two=two: NUMBERS[name](run, two)) == right


@pytest.mark.parametrize("wrong", [True, 0])
@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "log_norms"])
def test_other_numbers_are_refused(name, wrong):
    with pytest.raises(ValueError, match="expected"):
        NUMBERS[name](example(), wrong)


SHAPES = {
    "log_norms": lambda T, B: (T, B),
    "log_singular_values": lambda T, B: (T, B, 1),
    "log_singular_values, all": lambda T, B: (T, B, FEATURES),
    "pascanu_penalty": lambda T, B: (),
    "profile": lambda T, B: (T,),
    "reach": lambda T, B: (B,),
    "half_life": lambda T, B: (B,),
}


@pytest.mark.parametrize("time, batch", [(0, 2), (5, 0)])
@pytest.mark.parametrize("name", SHAPES)
def test_no_steps_or_no_sequences(name, time, batch):
    cell, *run = example(time=time, batch=batch)
    result = jax.jit(partial(INSTRUMENTS[name], cell))(*run)
    assert jax.tree.leaves(result)[0].shape == SHAPES[name](time, batch)


def test_no_sequences_have_no_exponents_and_no_penalty():
    run = example(batch=0)
    assert flow.lyapunov_spectrum(*run).exponents.shape == (0, FEATURES)
    assert flow.flossing_penalty(*run) == 0
    with pytest.raises(ValueError, match="at least one step"):
        flow.lyapunov_spectrum(*example(time=0))
