"""Cells at zero: their slopes, and what they start with."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS
from jax.flatten_util import ravel_pytree

import nets
from nets import flow, initializers

# A ReLU has no slope at 0, and LN's is exact: 316, too steep for differences.
KINKED = {nets.irnn(), nets.ind_rnn()}


def blank(cell, seed=None):
    """Parameters (all zero without a seed), a blank input, and the first state."""
    init = jax.eval_shape(lambda k: cell.init(k, INPUTS, FEATURES), jax.random.key(0))
    params = cases.draw(init, seed or 0, scale=0.0 if seed is None else 0.5)
    x = jnp.asarray(np.zeros((*cases.PLACES[cell.spatial_dims], INPUTS)))
    return params, jax.jit(cell.initial_state)(params, x), x


def without_biases(params):
    """As most cells start."""
    named = params._asdict() if hasattr(params, "_asdict") else {}
    zeros = {k: 0 * v for k, v in named.items() if k[0] == "b" and v is not None}
    zeros = {k: v for k, v in zeros.items() if v.ndim == 1}
    return params._replace(**zeros)


@cases.each_cell
def test_slopes_at_zero_are_finite_differences(cell, x64):
    """Slopes by input and state, of two steps' outputs, where all are zero.

    With parameters of zero, and with drawn ones without biases: in one program.
    """
    step = 1e-10

    @jax.jit
    def program(params, first, x):
        flat, unflatten = ravel_pytree((first, x))
        dtype, flat = flat.dtype, flat.real

        def outputs(flat):
            state, x = unflatten(flat.astype(dtype))
            state, one = cell.step(params, state, x)
            _, two = cell.step(params, state, 0 * x)
            return jnp.stack([one, two]).ravel()

        directions = step * np.eye(len(flat))
        moved = flat[None] + np.concatenate([directions, -directions])
        there, back = jnp.split(jax.lax.map(outputs, moved), 2)
        return jax.jacrev(outputs)(flat), (there - back).T / (2 * step)

    for seed in (None, 0):
        params, first, x = blank(cell, seed)
        params = params if seed is None else without_biases(params)
        slopes, wanted = program(params, first, x)
        assert np.isfinite(slopes).all()
        if cell not in KINKED:
            size = max(1.0, float(np.abs(wanted).max()))
            np.testing.assert_allclose(slopes, wanted, atol=1e-4 * size)


@cases.each_cell
def test_gradients_by_parameters_of_zero_are_numbers(cell, x64):
    params, first, x = blank(cell)

    def loss(params):
        _, y = cell.step(params, first, x + 1)
        return jnp.sin(y + 0.3).sum()

    value, gradients = jax.jit(jax.value_and_grad(loss))(params)
    for leaf in jax.tree.leaves((value, gradients)):
        assert np.isfinite(leaf).all()


def test_modrelu_is_its_formula_with_the_slope_of_the_identity_at_0():
    cell = nets.orthogonal_rnn()
    params = cell.init(jax.random.key(0), 1, 1)

    def modrelu(z, b):
        given = params._replace(w_i=jnp.ones((1, 1)), b=jnp.array([b]))
        return cell.step(given, cell.initial_state(given, z), z)[1]

    z = jnp.array([[-2.0], [-0.5], [0.0], [0.5], [2.0]])
    for b in (-1.0, 0.0, 1.0):
        wanted = np.sign(z) * np.maximum(np.abs(z) + b, 0)
        np.testing.assert_allclose(modrelu(z, b), wanted, rtol=1e-6)
    slopes = {
        b: jax.grad(lambda z, b=b: modrelu(z, b).sum())(z).ravel().tolist()
        for b in (-1.0, 0.0)
    }
    assert slopes == {-1.0: [1, 0, 0, 0, 1], 0.0: [1, 1, 1, 1, 1]}
    assert np.isnan(modrelu(jnp.array([[jnp.nan]]), -1.0)).all()


def test_blank_inputs_do_not_stop_an_orthogonal_gradient():
    cell = nets.orthogonal_rnn()
    params = cell.init(jax.random.key(0), 3, 4)
    result = flow.step_jacobians(cell, params, jnp.zeros((2, 3)))
    eye = np.broadcast_to(np.eye(4), (2, 4, 4))
    np.testing.assert_allclose(result @ result.swapaxes(-1, -2), eye, atol=1e-5)


def test_s5_with_an_eigenvalue_of_0_adds_up():
    """(exp(lambda step) - 1) / lambda is step there, and smooth around it."""
    cell = nets.s5()
    params = cell.init(jax.random.key(0), 1, 2)
    params = jax.tree.map(jnp.zeros_like, params)._replace(
        b_re=jnp.ones((1, 1)),
        c_re=jnp.array([[0.5, 0.0]]),
        log_step=jnp.log(0.25)[None],
    )
    _, ys = nets.unroll(cell, params, jnp.ones((8, 1)))
    np.testing.assert_allclose(ys[:, 0], 0.25 * np.arange(1, 9), rtol=1e-6)
    for small in (1e-8, 2e-3, 8e-3):
        near = params._replace(lambda_im=jnp.array([small]))
        held = (np.exp(1j * small / 4) - 1) / (1j * small)
        y = nets.unroll(cell, near, jnp.ones((1, 1)))[1][0, 0]
        assert float(y) == pytest.approx(held.real, rel=1e-6)


def assert_donatable(function, *args):
    """No array that a function returns is in its results twice."""
    arrays = jax.make_jaxpr(function)(*args).jaxpr.outvars
    assert arrays and len(set(map(id, arrays))) == len(arrays)


def test_an_array_that_is_returned_twice_cannot_be_donated():
    with pytest.raises(AssertionError):
        assert_donatable(lambda x: (x + 1,) * 2, 1.0)
    zeros = np.zeros(3)
    with pytest.raises(AssertionError):
        assert_donatable(lambda x: (x, zeros, zeros), 1.0)


@cases.each_cell
def test_fresh_states_and_parameters_can_be_donated(cell):
    x = jnp.ones((2, *cases.PLACES[cell.spatial_dims], INPUTS))
    assert_donatable(lambda key: cell.init(key, INPUTS, FEATURES), jax.random.key(0))
    params = cases.draw_params(cell)
    assert_donatable(lambda x: cell.initial_state(params, x), x)


LAYERS = {
    "learned_state": nets.learned_state(nets.lstm()),
    "stack": nets.stack(nets.peephole_lstm(), nets.bidirectional(nets.slstm())),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_parameters_of_layers_can_be_donated(layer):
    assert_donatable(lambda key: layer.init(key, INPUTS, FEATURES), jax.random.key(0))


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_weights_of_an_initializer_can_be_donated(name):
    start = initializers.INITIALIZERS[name]
    assert_donatable(lambda key: tuple(start(key, 2, 3, "ifgo")), jax.random.key(0))


@pytest.mark.parametrize(
    "r_min, r_max", [(0.999, 1.0), (0.9999999, 1.0), (0.0, 1e-30), (0.0, 1.0)]
)
def test_lru_starts_with_numbers_on_every_ring(r_min, r_max):
    cell = nets.lru(r_min, r_max, max_phase=1e-30)
    start = jax.jit(jax.vmap(lambda key: cell.init(key, 1, 512)[:3]))
    for leaf in start(jax.random.split(jax.random.key(0), 200)):
        assert np.isfinite(leaf).all()


@pytest.mark.slow
def test_numpy_numbers_are_options():
    two, tenth = np.int64(2), np.float64(0.1)
    made = {
        "mlstm": (nets.mlstm, {"heads": 2}, {"heads": two}),
        "qrnn": (nets.qrnn, {"window": 2}, {"window": two}),
        "rhn": (nets.rhn, {"depth": 2}, {"depth": two}),
        "cornn": (nets.cornn, {"dt": 0.1}, {"dt": tenth}),
        "rg_lru": (nets.rg_lru, {"c": 0.1}, {"c": tenth}),
    }
    for make, plain, numpy in made.values():
        make = getattr(make, "__wrapped__", make)  # not from the factory's memory
        make = getattr(make, "__wrapped__", make)  # nor under the tests' type checks
        one, other = make(**plain), make(**numpy)
        params = other.init(jax.random.key(0), 3, 4)
        params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
        xs = jnp.ones((3, 2, 3), jnp.bfloat16)
        wanted, got = nets.unroll(one, params, xs)[1], nets.unroll(other, params, xs)[1]
        assert got.dtype == jnp.bfloat16 and (got == wanted).all()
