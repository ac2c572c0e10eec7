"""Linear cells whose states are multiplied by matrices: equations and exact facts."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import elements
from nets.cells.d_linoss import d_linoss
from nets.cells.delta_net import delta_net
from nets.cells.gated_delta_net import gated_delta_net
from nets.cells.linoss import linoss
from nets.cells.pd_ssm import pd_ssm

INPUTS, FEATURES, TIME = 2, 4, 6

# The authors' equations in NumPy: loops over one sequence, in float64.


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _softplus(a):
    return np.log1p(np.exp(a))


def _silu(a):
    return a * _sigmoid(a)


def _oscillate(p, state, xs, m, f):
    """M = [m11, m12, m21, m22] and F = [f1, f2] per oscillator."""
    z, y = state.hidden[:, 0], state.hidden[:, 1]
    b, c = (p.b_re + 1j * p.b_im).T, (p.c_re + 1j * p.c_im).T
    outputs = []
    for x in xs:
        force = b @ x
        z, y = (
            m[0] * z + m[1] * y + f[0] * force,
            m[2] * z + m[3] * y + f[1] * force,
        )
        outputs.append((c @ y).real + p.d.T @ x)
    return np.stack([z, y], axis=-1), outputs


def _linoss_imex(p, state, xs):
    """tk-rusch/linoss, models/LinOSS.py: apply_linoss_imex."""
    a, step = np.maximum(p.a, 0), _sigmoid(p.dt)
    m = np.ones_like(a), -step * a, step, 1 - step**2 * a
    return _oscillate(p, state, xs, m, (step, step**2))


def _linoss_im(p, state, xs):
    """tk-rusch/linoss, models/LinOSS.py: apply_linoss_im."""
    a, step = np.maximum(p.a, 0), _sigmoid(p.dt)
    schur = 1 / (1 + step**2 * a)
    m = 1 - step**2 * a * schur, -step * a * schur, step * schur, schur
    return _oscillate(p, state, xs, m, (m[0] * step, m[2] * step))


def _d_linoss(p, state, xs):
    """jaredbmit/damped-linoss, models/LinOSS.py: DampedIMEX1Layer."""
    g, dt = np.maximum(p.g, 0), _sigmoid(p.dt)
    low, high = (
        (2 + dt * g + sign * 2 * np.sqrt(1 + dt * g)) / np.maximum(dt**2, 1e-6)
        for sign in (-1, 1)
    )
    a = low + np.maximum(p.a - low, 0) - np.maximum(p.a - high, 0)
    s = 1 + dt * g
    m = 1 / s, -dt / s * a, dt / s, 1 - dt**2 / s * a
    return _oscillate(p, state, xs, m, (dt / s, dt**2 / s))


def _delta_rule(p, state, xs, heads, gates):
    """fla-org/flash-linear-attention, fla/ops/delta_rule/naive.py.

    There q is divided by sqrt(d), as the normalization that follows undoes it. The
    projections are those of fla/layers/delta_net.py without short convolutions.
    """
    memory, outputs = state.memory.copy(), []
    for x in xs:
        q, k, v = (
            part.reshape(heads, -1) for part in np.split(_silu(x @ p.w_i), 3, axis=-1)
        )
        q, k = (a / np.sqrt((a**2).sum(-1, keepdims=True) + 1e-6) for a in (q, k))
        alpha, beta = gates(p, x)
        y = np.zeros_like(v)
        for h in range(heads):
            memory[h] = alpha[h] * memory[h]
            change = beta[h] * (v[h] - (memory[h] * k[h][:, None]).sum(0))
            memory[h] = memory[h] + np.outer(k[h], change)
            y[h] = q[h] @ memory[h]
        outputs.append(y.ravel())
    return memory, outputs


def _delta_net(p, state, xs, heads, beta_max=1.0):
    def gates(p, x):
        return np.ones(heads), beta_max * _sigmoid(x @ p.w_g)

    return _delta_rule(p, state, xs, heads, gates)


def _gated_delta_net(p, state, xs, heads):
    """fla/ops/gated_delta_rule/gate.py: naive_gdn_gate."""

    def gates(p, x):
        g, beta = np.split(x @ p.w_g, 2)
        return np.exp(-np.exp(p.a_log) * _softplus(g + p.b_dt)), _sigmoid(beta)

    return _delta_rule(p, state, xs, heads, gates)


def _pd_ssm(p, state, xs):
    """IBM/expressive-sparse-state-space-model: PDSSM.py, and equations 1 to 5."""
    h, outputs = state.hidden, []
    b, c = (p.b_re + 1j * p.b_im).T, (p.c_re + 1j * p.c_im).T
    for x in xs:
        weights = np.exp(x @ p.w_s)
        m = np.einsum("kmn,k->mn", p.m, weights / weights.sum())
        one_hot = np.eye(len(h))[np.argmax(m, axis=0)].T
        inner = np.split(_gelu(x @ p.w_i + p.b_i), 2)
        b_o = np.split(p.b_o, 2)
        r, phi = (_sigmoid(inner[i] @ p.w_o[i] + b_o[i]) for i in range(2))
        h = one_hot @ (r * np.exp(2j * np.pi * phi) * h) + b @ x
        outputs.append((c @ h).real + p.d_x.T @ x)
    return h, outputs


def _gelu(a):
    erf = np.vectorize(math.erf)
    return a * (1 + erf(a / np.sqrt(2))) / 2


class Matrix(NamedTuple):
    """A factory, its options, and its paper."""

    make: Callable[..., nets.Cell]
    options: dict[str, Any]
    paper: Callable[..., Any]

    @property
    def cell(self) -> nets.Cell:
        return self.make(**self.options)


MATRIX = {
    "linoss(im)": Matrix(linoss, {"discretization": "im"}, _linoss_im),
    "linoss(imex)": Matrix(linoss, {}, _linoss_imex),
    "d_linoss": Matrix(d_linoss, {}, _d_linoss),
    "delta_net": Matrix(
        delta_net,
        {"heads": 2, "beta_max": 2.0},
        partial(_delta_net, heads=2, beta_max=2.0),
    ),
    "gated_delta_net(heads=2)": Matrix(
        gated_delta_net, {"heads": 2}, partial(_gated_delta_net, heads=2)
    ),
    "pd_ssm": Matrix(pd_ssm, {}, _pd_ssm),
}
ONE_HEAD = Matrix(delta_net, {}, partial(_delta_net, heads=1))
each = pytest.mark.parametrize("case", MATRIX.values(), ids=MATRIX)


def _example(case, *batch, dtype=None, time=TIME):
    init = partial(case.cell.init, inputs=INPUTS, features=FEATURES)
    params = cases.draw(jax.eval_shape(init, jax.random.key(0)), 0, dtype=dtype)
    xs = cases.normal(time, *batch, INPUTS, seed=1, scale=1.0, dtype=dtype)
    state = cases.draw(jax.eval_shape(case.cell.initial_state, params, xs[0]), 2)
    return params, xs, state


@partial(jax.jit, static_argnames=("cell", "reverse"))
def _both_ways(cell, params, xs, state, mask=None, reverse=False):
    """Results and gradients in parallel and step by step."""

    def loss(params, xs, state, parallel):
        options = {"mask": mask, "reverse": reverse, "all_states": True}
        out = nets.unroll(cell, params, xs, state, parallel=parallel, **options)
        return cases.total(*out), out

    grad = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
    return [grad(params, xs, state, parallel) for parallel in (True, False)]


@pytest.mark.slow
@each
def test_in_parallel_as_step_by_step_and_as_the_equations(case, x64):
    params, xs, state = _example(case, 3, dtype=jnp.float64)
    got, wanted = _both_ways(case.cell, params, xs, state)
    chex.assert_trees_all_close(got, wanted, rtol=1e-10, atol=1e-10)
    (states, ys) = got[1]
    params, xs, state = jax.tree.map(np.asarray, (params, xs, state))
    for row in range(xs.shape[1]):
        first = jax.tree.map(lambda s, row=row: s[row], state)
        end, outputs = case.paper(params, first, xs[:, row])
        np.testing.assert_allclose(ys[:, row], outputs, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(states[0][-1, row], end, rtol=1e-10, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["d_linoss", "gated_delta_net(heads=2)", "pd_ssm"])
def test_padding_in_reverse_in_float32(name):
    case = MATRIX[name]
    mask = np.array([[1] * 6, [0, 1, 0, 1, 1, 0], [0] * 6]).T > 0
    params, xs, state = _example(case, 3)
    xs = jnp.where(mask[..., None], xs, jnp.nan)
    got, wanted = _both_ways(case.cell, params, xs, state, mask, reverse=True)
    chex.assert_tree_all_finite(wanted)
    chex.assert_trees_all_close(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@each
def test_bfloat16_is_near_the_equations(case):
    example = _example(case, dtype=jnp.bfloat16, time=4)
    numbers = jax.tree.map(
        lambda a: np.asarray(a).astype(np.result_type(np.asarray(a), 1.0)), example
    )
    params, xs, state = numbers
    _, exact = case.paper(params, state, xs)
    for parallel in (False, True):
        _, ys = nets.unroll(case.cell, *example, parallel=parallel)
        assert ys.dtype == jnp.bfloat16
        np.testing.assert_allclose(np.float32(ys), np.stack(exact), atol=0.05)


def _matrices(cell, params, xs):
    """A_t of one oscillator or of one state, in NumPy."""
    state = cell.initial_state(params, xs[0])
    return jax.tree.map(np.asarray, coefficients(cell, params, state, xs))


def coefficients(cell, params, state, xs):
    """Factors of all steps."""
    assert cell.linear is not None
    return cell.linear.coefficients(params, state, xs)[0]


# Oscillators.


def test_an_implicit_explicit_step_keeps_volume(x64):
    """Determinant 1; eigenvalues of modulus 1, as A dt^2 is below 4."""
    params = linoss().init(jax.random.key(0), INPUTS, 50)
    m = _matrices(linoss(), params, jnp.ones((1, INPUTS))).hidden[0]
    np.testing.assert_allclose(np.linalg.det(m), 1, rtol=1e-12)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(m)), 1, rtol=1e-12)


def test_an_implicit_step_damps(x64):
    cell = linoss(discretization="im")
    params = cell.init(jax.random.key(0), INPUTS, 50)
    m = _matrices(cell, params, jnp.ones((1, INPUTS))).hidden[0]
    dt, a = _sigmoid(np.asarray(params.dt)), np.asarray(params.a)
    moduli = np.broadcast_to(1 / np.sqrt(1 + a * dt**2), (2, 50)).T
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(m)), moduli, rtol=1e-10)


def test_the_damped_oscillator_without_damping_is_linoss(x64):
    params, xs, state = _example(MATRIX["linoss(imex)"])
    damped = dict(params._asdict(), a=jnp.abs(params.a), g=-jnp.ones(FEATURES))
    _, wanted = nets.unroll(linoss(), params._replace(a=jnp.abs(params.a)), xs, state)
    d_state = nets.cells.DLinOSSState(state.hidden)
    d_params = nets.cells.DLinOSSParams(**damped)
    _, ys = nets.unroll(d_linoss(), d_params, xs, d_state)
    np.testing.assert_allclose(ys, wanted, rtol=1e-12)


@pytest.mark.parametrize("r_min, r_max, phase", [(0.9, 1.0, np.pi), (0.99, 0.999, 0.1)])
def test_damped_oscillators_start_on_their_ring(r_min, r_max, phase, x64):
    cell = d_linoss(r_min, r_max, phase)
    params = cell.init(jax.random.key(0), INPUTS, 300)
    m = _matrices(cell, params, jnp.ones((1, INPUTS))).hidden[0]
    values = np.linalg.eigvals(m)
    moduli, angles = np.abs(values), np.abs(np.angle(values))
    assert r_min - 1e-9 <= moduli.min() and moduli.max() <= r_max + 1e-9
    assert angles.max() <= phase + 1e-6
    middle = np.quantile(moduli[:, 0] ** 2, 0.5)
    assert middle == pytest.approx((r_min**2 + r_max**2) / 2, rel=0.02)
    assert np.quantile(angles, 0.5) == pytest.approx(phase / 2, rel=0.15)


def test_any_parameters_of_a_damped_oscillator_are_stable(x64):
    cell = d_linoss()
    params = cell.init(jax.random.key(0), INPUTS, 200)
    wild = cases.draw((params.a, params.g, params.dt), 1, scale=20.0)
    params = params._replace(a=wild[0], g=wild[1], dt=0.1 * wild[2])
    m = _matrices(cell, params, jnp.ones((1, INPUTS))).hidden[0]
    dt, g = _sigmoid(np.asarray(params.dt)), np.maximum(params.g, 0)
    moduli = np.abs(np.linalg.eigvals(m))
    # Where both eigenvalues are equal, rounding moves them by its square root.
    wanted = np.broadcast_to(1 / np.sqrt(1 + dt * g), (2, 200)).T
    np.testing.assert_allclose(moduli, wanted, rtol=1e-5)


# Memories.


def _writer(size, value_seed=0):
    """Parameters for which one-hot inputs [keys; values; beta] are what they name."""
    large = 1e3
    w_q = np.zeros((2 * size + 1, size))
    w_q[:size] = large * np.eye(size)
    w_v = np.zeros((2 * size + 1, size))
    w_v[size : 2 * size] = large * np.eye(size)
    w_g = np.zeros((2 * size + 1, 1))
    w_g[-1] = 1e3
    return nets.cells.DeltaNetParams(
        jnp.asarray(np.concatenate([w_q, w_q, w_v], axis=1)), jnp.asarray(w_g)
    )


def _inputs(keys, values, size, write=True):
    """One input per pair; silu(1000 v) is 1000 v for v >= 1."""
    xs = np.zeros((len(keys), 2 * size + 1))
    xs[np.arange(len(keys)), keys] = 1
    xs[:, size : 2 * size] = values
    xs[:, -1] = 1 if write else -1
    return jnp.asarray(xs)


def test_orthonormal_keys_store_and_retrieve_exactly(x64):
    """And a key that is written again returns its new value alone."""
    size = 3
    params = _writer(size)
    values = np.random.default_rng(0).integers(1, 9, (4, size)).astype(float)
    keys = [0, 1, 2, 1]
    state, _ = nets.unroll(delta_net(), params, _inputs(keys, values, size))
    wanted = 1e3 * values[[0, 3, 2]]
    np.testing.assert_allclose(state.memory[0], wanted, rtol=1e-9)
    questions = _inputs([0, 1, 2], np.zeros((3, size)), size, write=False)
    end, ys = nets.unroll(delta_net(), params, questions, state)
    np.testing.assert_allclose(ys, wanted, rtol=1e-9)
    np.testing.assert_allclose(end.memory, state.memory)


def test_a_gate_of_1_is_no_gate(x64):
    params, xs, state = _example(ONE_HEAD)
    gated = nets.cells.GatedDeltaNetParams(
        params.w_i,
        jnp.concatenate([jnp.zeros_like(params.w_g), params.w_g], axis=1),
        a_log=jnp.full(1, -60.0),
        b_dt=jnp.zeros(1),
    )
    _, wanted = nets.unroll(delta_net(), params, xs, state)
    gated_state = nets.cells.GatedDeltaNetState(state.memory)
    _, ys = nets.unroll(gated_delta_net(), gated, xs, gated_state)
    np.testing.assert_allclose(ys, wanted, rtol=1e-12)


def test_a_beta_of_2_reflects_the_memory(x64):
    """I - 2 k k^T: parities need this eigenvalue of -1."""
    params = _writer(1)
    cell = delta_net(beta_max=2.0)
    state = nets.cells.DeltaNetState(jnp.ones((1, 1, 1)))
    xs = _inputs([0] * 3, np.zeros((3, 1)), 1)
    states, _ = nets.unroll(cell, params, xs, state, all_states=True)
    np.testing.assert_allclose(np.ravel(states.memory), [-1, 1, -1], rtol=1e-8)


def test_gated_delta_net_starts_as_in_the_authors_code():
    params = gated_delta_net(heads=400).init(jax.random.key(0), INPUTS, 400)
    rate, step = np.exp(params.a_log), _softplus(np.asarray(params.b_dt))
    assert rate.min() > 0 and rate.max() < 16
    assert rate.mean() == pytest.approx(8, rel=0.1)
    assert step.min() > 0.00099 and step.max() < 0.101
    assert np.log(step).mean() == pytest.approx(np.log(0.01), rel=0.05)


# Initial parameters, and automata.


def test_oscillators_and_automata_start_as_in_the_authors_code():
    params = linoss().init(jax.random.key(0), 4, 400)
    for raw in (params.a, params.dt):
        assert raw.min() > 0 and raw.max() < 1
        assert raw.mean() == pytest.approx(0.5, abs=0.05)
    for w, bound in ((params.b_re, 4**-0.5), (params.c_im, 400**-0.5)):
        assert np.abs(w).max() <= bound
        assert np.std(w) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert np.std(params.d) == pytest.approx(0.5, rel=0.1)
    params = pd_ssm(3).init(jax.random.key(0), 4, 100)
    assert np.std(params.m) == pytest.approx(0.1, rel=0.05)
    assert np.std(params.b_re) == pytest.approx(8**-0.5, rel=0.1)
    b_r, b_p = np.split(np.asarray(params.b_o), 2)
    assert abs(b_r.mean()) < 0.05
    assert b_p.mean() == pytest.approx(-2.5, abs=0.05)


def test_products_of_one_hot_columns_are_such_and_have_norm_at_most_1(x64):
    """The 1-norm: no column of a product sums to more than 1."""
    params, xs, _ = _example(MATRIX["pd_ssm"], time=20)
    p, d = _matrices(pd_ssm(), params, xs).hidden
    assert ((p == 0) | (p == 1)).all() and (p.sum(axis=-2) == 1).all()
    product = np.eye(FEATURES) + 0j
    for one, diagonal in zip(p, d, strict=True):
        product = one @ (diagonal[:, None] * product)
        assert ((product != 0).sum(axis=0) == 1).all()
        assert np.abs(product).sum(axis=0).max() < 1


def test_pd_ssm_tracks_a_permutation(x64):
    """States change places as the input says, without loss where magnitudes are 1."""
    swap, turn = np.eye(3)[[1, 0, 2]], np.eye(3)[[2, 0, 1]]
    blank = jax.eval_shape(lambda k: pd_ssm(2).init(k, 2, 3), jax.random.key(0))
    params = cases.draw(blank, scale=0.0)
    params = params._replace(
        w_s=50 * jnp.eye(2),
        m=jnp.asarray(np.stack([swap, turn])),
        b_o=jnp.array([40.0] * 3 + [-40.0] * 3),
    )
    word = np.random.default_rng(0).integers(0, 2, 200)
    first = nets.cells.PDSSMState(jnp.asarray([1.0, 2.0, 3.0]) + 0j)
    end, _ = nets.unroll(
        pd_ssm(2), params, jnp.asarray(np.eye(2)[word]), first, parallel=True
    )
    wanted = np.array([1.0, 2.0, 3.0])
    for letter in word:
        wanted = (swap, turn)[letter] @ wanted
    np.testing.assert_allclose(end.hidden, wanted, rtol=1e-9)


def test_the_gradient_passes_through_the_softmax_of_columns(x64):
    """As if P were the softmax, wherever P is not used otherwise."""
    params, xs, state = _example(MATRIX["pd_ssm"], time=1)
    tangent = cases.draw(params.m, 5)

    def columns(m, soft):
        p = params._replace(m=m)
        if not soft:
            return coefficients(pd_ssm(), p, state, xs).hidden[0]
        weights = jax.nn.softmax(xs @ p.w_s, axis=-1)
        return jax.nn.softmax(jnp.einsum("tk,kij->tij", weights, m), axis=-2)

    moved, wanted = (
        jax.jvp(partial(columns, soft=soft), (params.m,), (tangent,))[1]
        for soft in (False, True)
    )
    assert np.abs(wanted).max() > 0.01
    np.testing.assert_allclose(moved, wanted, rtol=1e-12)


# Options.


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: linoss(discretization="euler"), '"imex" or "im"; got \'euler\''),
        (lambda: d_linoss(0.9, 1.1), "0 < r_min <= r_max <= 1; got 0.9 and 1.1"),
        (lambda: delta_net(beta_max=3.0), "above 0 and at most 2; got 3.0"),
        (lambda: gated_delta_net(beta_max=0.0), "above 0 and at most 2; got 0.0"),
        (lambda: pd_ssm(0), "at least 1 matrix; got 0"),
        (
            lambda: delta_net(2).init(jax.random.key(0), 2, 3),
            "divisible by heads; got 3 and 2",
        ),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", [delta_net, gated_delta_net])
def test_parameters_of_other_heads_are_refused(make):
    params = make(1).init(jax.random.key(0), INPUTS, 6)
    with pytest.raises(ValueError, match=r"\(heads=3\); got those of heads=1"):
        make(3).initial_state(params, jnp.ones(INPUTS))


@pytest.mark.parametrize(
    "cell, element",
    [
        (linoss(), elements.blocks),
        (delta_net(), elements.diagonal_minus_rank_one),
        (pd_ssm(), elements.permuted_diagonal),
    ],
)
def test_each_cell_has_the_element_of_its_form(cell, element):
    assert cell.linear is not None and cell.linear.element == element
