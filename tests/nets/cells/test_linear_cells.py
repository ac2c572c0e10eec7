"""The cells that are linear in their state: in parallel, and as their papers say."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import selective_papers
from cases import FEATURES, INPUTS

import nets
from nets.cells.aussm import aussm
from nets.cells.gla import gla
from nets.cells.hgrn2 import hgrn2
from nets.cells.lru import lru
from nets.cells.mamba import mamba
from nets.cells.mamba_2 import mamba_2
from nets.cells.min_gru import min_gru
from nets.cells.min_lstm import min_lstm
from nets.cells.mlstm import MLSTMState, mlstm
from nets.cells.qrnn import qrnn
from nets.cells.rg_lru import rg_lru
from nets.cells.rwkv_7 import rwkv_7
from nets.cells.s5 import s5
from nets.cells.sru import sru

TIME = 7

# The papers' equations, or the authors' code, in NumPy: loops over one sequence.


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _parts(array, count):
    return np.split(array, count, axis=-1)


def _qrnn(p, state, xs):
    c, past = state
    window = len(p.w_i)
    seen, ys = [*past, *xs], []
    for t in range(len(xs)):
        # seen[t + window] is x_t: `past` comes first, and has `window` inputs.
        gates = p.b.copy()
        for k in range(window):
            gates += seen[t + 1 + k] @ p.w_i[k]
        z, f, o = _parts(gates, 3)
        c = _sigmoid(f) * c + (1 - _sigmoid(f)) * np.tanh(z)
        ys.append(_sigmoid(o) * c)
    return (c, np.stack(seen[-window:])), ys


def _sru(p, state, xs):
    """asappresearch/sru, sru/ops.py: elementwise_recurrence_naive."""
    (c,) = state
    ys = []
    v_f, v_r = (0, 0) if p.v is None else _parts(p.v, 2)
    b_f, b_r = _parts(p.b, 2)
    for x in xs:
        u0, u1, u2 = _parts(x @ p.w_i, 3)
        skip = x * np.sqrt(3) if p.w_x is None else x @ p.w_x
        f, r = _sigmoid(u1 + b_f + c * v_f), _sigmoid(u2 + b_r + c * v_r)
        c = u0 + (c - u0) * f
        ys.append(skip + (c - skip) * r)
    return (c,), ys


def _min_gru(p, state, xs):
    (h,) = state
    ys = []
    for x in xs:
        z, n = _parts(x @ p.w_i + p.b, 2)
        h = (1 - _sigmoid(z)) * h + _sigmoid(z) * n
        ys.append(h)
    return (h,), ys


def _min_lstm(p, state, xs):
    (h,) = state
    ys = []
    for x in xs:
        i, f, n = _parts(x @ p.w_i + p.b, 3)
        i, f = _sigmoid(i), _sigmoid(f)
        h = f / (f + i) * h + i / (f + i) * n
        ys.append(h)
    return (h,), ys


def _lru(p, state, xs):
    """NicolasZucchet/minimal-LRU, lru/model.py: LRU."""
    (h,) = state
    eigenvalues = np.exp(-np.exp(p.nu) + 1j * np.exp(p.theta))
    b = (p.b_re + 1j * p.b_im).T * np.exp(p.gamma)[:, None]
    c = (p.c_re + 1j * p.c_im).T
    ys = []
    for x in xs:
        h = eigenvalues * h + b @ x
        ys.append((c @ h).real + p.d.T @ x)
    return (h,), ys


def _rg_lru(p, state, xs):
    """google-deepmind/recurrentgemma, recurrentgemma/jax/layers.py: RGLRU."""
    (h,) = state
    ys = []
    for x in xs:
        x = x @ p.w_in
        gate_a, gate_x = _parts(_sigmoid(x @ p.w_g + p.b), 2)
        log_a = -8 * gate_a * np.log1p(np.exp(p.decay))
        a = np.exp(log_a)
        h = a * h + np.sqrt(1 - a**2) * (x * gate_x)
        ys.append(h)
    return (h,), ys


def _s5(p, state, xs):
    """lindermanlab/S5, s5/ssm.py: discretize_zoh and apply_ssm, with conj_sym."""
    (h,) = state
    eigenvalues = p.lambda_re + 1j * p.lambda_im
    lambda_bar = np.exp(eigenvalues * np.exp(p.log_step))
    b_bar = (1 / eigenvalues * (lambda_bar - 1))[:, None] * (p.b_re + 1j * p.b_im).T
    c = (p.c_re + 1j * p.c_im).T
    ys = []
    for x in xs:
        h = lambda_bar * h + b_bar @ x
        ys.append(2 * (c @ h).real + p.d.T @ x)
    return (h,), ys


def _mlstm_projections(p, x, heads):
    q, k, v, o = (y.reshape(heads, -1) for y in _parts(x @ p.w_i + p.b, 4))
    i, f = _parts(x @ p.w_g + p.b_g, 2)
    return q, k / np.sqrt(k.shape[-1]), v, o, i, f


def _mlstm(p, state, xs, heads):
    """NX-AI/xlstm, xlstm/blocks/mlstm/backends.py: recurrent_step_stabilized_simple.

    There the memory is key by value, and there is no o, which is the paper's.
    """
    c, n, m = (s.copy() for s in state)
    ys = []
    for x in xs:
        q, k, v, o, i, f = _mlstm_projections(p, x, heads)
        h = np.zeros_like(q)
        for j in range(heads):
            log_f = np.log(_sigmoid(f[j]))
            m_new = max(log_f + m[j], i[j])
            forget, admit = np.exp(log_f + m[j] - m_new), np.exp(i[j] - m_new)
            c[j] = (forget * c[j].T + admit * np.outer(k[j], v[j])).T
            n[j] = forget * n[j] + admit * k[j]
            m[j] = m_new
            weight = max(abs(q[j] @ n[j]), np.exp(-m_new)) + 1e-6
            h[j] = (q[j] @ c[j].T) / weight
        ys.append((_sigmoid(o) * h).ravel())
    return (c, n, m), ys


class Linear(NamedTuple):
    """A factory, its options, its paper, and the part of the state that is carried."""

    make: Callable[..., nets.Cell]
    options: dict[str, Any]
    paper: Callable[..., Any]
    kept: str = "hidden"
    features: int = FEATURES

    @property
    def cell(self) -> nets.Cell:
        return self.make(**self.options)


LINEAR = {
    "qrnn": Linear(qrnn, {}, _qrnn, "cell"),
    "qrnn(window=1)": Linear(qrnn, {"window": 1}, _qrnn, "cell"),
    "qrnn(window=4)": Linear(qrnn, {"window": 4}, _qrnn, "cell"),
    "sru": Linear(sru, {}, _sru, "cell"),
    "sru(inputs=features)": Linear(sru, {}, _sru, "cell", features=INPUTS),
    "min_gru": Linear(min_gru, {}, _min_gru),
    "min_lstm": Linear(min_lstm, {}, _min_lstm),
    "lru": Linear(lru, {}, _lru),
    "rg_lru": Linear(rg_lru, {}, _rg_lru),
    "s5": Linear(s5, {}, _s5),
    "s5(features=5)": Linear(s5, {}, _s5, features=5),
    "mlstm": Linear(mlstm, {}, partial(_mlstm, heads=1), "cell"),
    "mlstm(heads=2)": Linear(
        mlstm, {"heads": 2}, partial(_mlstm, heads=2), "cell", features=4
    ),
    "mamba": Linear(mamba, {"states": 2, "rank": 2}, selective_papers.mamba),
    "mamba_2(heads=2)": Linear(
        mamba_2, {"heads": 2, "states": 3}, selective_papers.mamba_2, "memory", 4
    ),
    "gla(heads=2)": Linear(gla, {"heads": 2}, selective_papers.gla, "memory", 4),
    "hgrn2(heads=2)": Linear(hgrn2, {"heads": 2}, selective_papers.hgrn2, "memory", 4),
    "rwkv_7(heads=2)": Linear(
        rwkv_7, {"heads": 2, "rank": 2}, selective_papers.rwkv_7, "memory", 4
    ),
    "aussm": Linear(aussm, {"states": 2}, selective_papers.aussm),
}
each = pytest.mark.parametrize("case", LINEAR.values(), ids=LINEAR)
PEEPHOLE = {
    "sru(peephole)": Linear(sru, {"peephole": True}, _sru, "cell"),
    "sru(peephole, inputs=features)": Linear(
        sru, {"peephole": True}, _sru, "cell", features=INPUTS
    ),
}
each_and_peephole = pytest.mark.parametrize(
    "case", [*LINEAR.values(), *PEEPHOLE.values()], ids=[*LINEAR, *PEEPHOLE]
)


def _draw(like, seed, dtype=None):
    """Normal numbers, of which complex ones have both parts."""
    rng = np.random.default_rng(seed)

    def one(leaf):
        a = 0.5 * rng.standard_normal(leaf.shape)
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            return jnp.asarray(a + 0.5j * rng.standard_normal(leaf.shape), leaf.dtype)
        return jnp.asarray(a, dtype or leaf.dtype)

    return jax.tree.map(one, like)


def _example(case, *batch, dtype=None, time=TIME):
    init = partial(case.cell.init, inputs=INPUTS, features=case.features)
    params = _draw(jax.eval_shape(init, jax.random.key(0)), 0, dtype)
    shape = time, *batch, INPUTS
    xs = _draw(jax.ShapeDtypeStruct(shape, dtype or params[0].dtype), 1)
    state = _draw(jax.eval_shape(case.cell.initial_state, params, xs[0]), 2)
    return params, xs, state


@partial(jax.jit, static_argnums=0)
def _sequential(cell, params, xs, state):
    """The states after every step, and the outputs."""

    def body(state, x):
        state, y = cell.step(params, state, x)
        return state, (state, y)

    return jax.lax.scan(body, state, xs)[1]


@partial(jax.jit, static_argnums=0)
def _parallel(cell, params, xs, state):
    a, b = cell.linear.coefficients(params, state, xs)
    states = nets.linear_scan(a, b, state, cell.linear.element)
    return states, cell.linear.read(params, states, xs)


@partial(jax.jit, static_argnames=("run", "cell"))
def _with_grads(run, cell, params, xs, state):
    def loss(params, xs, state):
        out = run(cell, params, xs, state)
        parts = [f(leaf) for leaf in jax.tree.leaves(out) for f in (jnp.real, jnp.imag)]
        return sum(jnp.sin(part + 0.3).sum() for part in parts), out

    return jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(params, xs, state)


@each
def test_in_parallel_as_step_by_step(case, x64):
    example = _example(case, 2, 3, dtype=jnp.float64, time=3)
    one = _with_grads(_sequential, case.cell, *example)
    other = _with_grads(_parallel, case.cell, *example)
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    chex.assert_trees_all_close(one, other, rtol=1e-12, atol=1e-12)


@each
def test_bfloat16_is_near_the_equations(case):
    example = _example(case, dtype=jnp.bfloat16, time=4)
    numbers = jax.tree.map(np.asarray, example)
    params, xs, state = jax.tree.map(
        lambda a: a.astype(np.result_type(a, 1.0)), numbers
    )
    _, exact = case.paper(params, state, xs)
    for run in (_sequential, _parallel):
        states, ys = run(case.cell, *example)
        np.testing.assert_allclose(
            np.float32(ys), np.stack(exact), rtol=1e-6, atol=0.05
        )
        assert ys.dtype == jnp.bfloat16
        chex.assert_trees_all_equal_dtypes(states, example[2])


@each_and_peephole
def test_equations_of_the_paper(case, x64):
    example = _example(case)
    states, ys = _sequential(case.cell, *example)
    params, xs, state = jax.tree.map(np.asarray, example)
    end, outputs = case.paper(params, state, xs)
    chex.assert_trees_all_close(ys, np.stack(outputs), rtol=1e-10, atol=1e-10)
    last = tuple(leaf[-1] for leaf in states)
    chex.assert_trees_all_close(last, tuple(end), rtol=1e-10, atol=1e-10)


def test_mlstm_equals_the_formula_without_stabilizer(x64):
    case = LINEAR["mlstm(heads=2)"]
    params, xs, _ = _example(case)
    state = case.cell.initial_state(params, xs[0])
    ys = _sequential(case.cell, params, xs, state)[1]
    params, xs = jax.tree.map(np.asarray, (params, xs))
    c, n, _ = (np.array(s) for s in state)
    for x, y in zip(xs, ys, strict=True):
        q, k, v, o, i, f = _mlstm_projections(params, x, 2)
        i, f = np.exp(i), _sigmoid(f)
        c = f[:, None, None] * c + i[:, None, None] * v[:, :, None] * k[:, None, :]
        n = f[:, None] * n + i[:, None] * k
        weight = np.maximum(np.abs((n * q).sum(-1)), 1)[:, None]
        h = _sigmoid(o) * np.einsum("hij,hj->hi", c, q) / weight
        np.testing.assert_allclose(y, h.ravel(), rtol=1e-5)  # but for the 1e-6


@each
def test_the_gradient_by_the_first_state_is_the_product_of_a(case, x64):
    params, xs, state = _example(case, 2)
    first = getattr(state, case.kept)
    tangent = _draw(first, 5)

    def last(first):
        begin = state._replace(**{case.kept: first})
        return getattr(_sequential(case.cell, params, xs, begin)[0], case.kept)[-1]

    @jax.jit
    def program(first, tangent):
        a, _ = case.cell.linear.coefficients(params, state, xs)
        product = tangent
        for t in range(TIME):
            step = jax.tree.map(lambda leaf, t=t: leaf[t], getattr(a, case.kept))
            product = case.cell.linear.element.apply(step, product)
        return jax.jvp(last, (first,), (tangent,))[1], product

    chex.assert_trees_all_close(*program(first, tangent), rtol=1e-12, atol=1e-14)


@each
def test_a_streamed_sequence_is_the_whole_one(case, x64):
    params, xs, state = _example(case, 2, time=4)
    run = partial(_parallel, case.cell, params)
    whole = run(xs, state)
    xs = np.asarray(xs)
    half = run(xs[:2], state)
    middle = jax.tree.map(lambda s: np.asarray(s)[-1], half[0])
    rest = run(xs[2:], middle)
    joined = jax.tree.map(lambda *parts: np.concatenate(parts), half, rest)
    chex.assert_trees_all_close(whole, joined)


@pytest.mark.parametrize(
    "make, params_of, message",
    [
        (sru(), sru(peephole=True), "only peephole=True has v"),
        (sru(peephole=True), sru(), r"parameters of sru\(peephole=True\)"),
        (qrnn(3), qrnn(2), r"qrnn\(window=3\); got those of window=2"),
        (mlstm(3), mlstm(1), r"mlstm\(heads=3\); got those of heads=1"),
    ],
)
def test_parameters_of_another_form_are_refused(make, params_of, message):
    params = params_of.init(jax.random.key(0), INPUTS, 3)
    with pytest.raises(ValueError, match=message):
        make.initial_state(params, jnp.ones(INPUTS))


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="a window of at least 1 input; got 0"):
        qrnn(window=0)
    with pytest.raises(ValueError, match="divisible by heads; got 3 and 2"):
        mlstm(heads=2).init(jax.random.key(0), 2, 3)


# Where numbers are extreme.


@pytest.mark.parametrize("run", [_sequential, _parallel])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_mlstm_stays_finite_at_gates_of_200(dtype, run):
    """Gates open and shut in all pairs, and each by an input."""
    cell = mlstm(heads=2)
    like = jax.eval_shape(lambda: cell.init(jax.random.key(0), 4, 4))
    drawn = _draw(like, 0)._replace(w_g=np.zeros((4, 4)), b_g=np.zeros(4))
    begin = jax.jit(cell.initial_state)
    for signs in ("both", "+ +", "+ -", "- +", "- -"):
        xs = np.random.default_rng(0).standard_normal((8, 2, 4))
        if signs == "both":  # each gate of each head by a separate input
            xs = np.sign(xs)
            params = drawn._replace(w_g=200 * np.eye(4))
        else:
            i, f = (200.0 if sign == "+" else -200.0 for sign in signs.split())
            params = drawn._replace(b_g=np.array([i, i, f, f]))
        params, xs = jax.tree.map(
            lambda a: np.asarray(a).astype(jnp.dtype(dtype)), (params, xs)
        )
        state = begin(params, xs[0])
        grads, out = _with_grads(run, cell, params, xs, state)
        chex.assert_tree_all_finite((grads, out))
        if signs == "+ +":  # nothing is lost, and much is remembered
            assert float(abs(out[1]).max()) > 0.1


def test_mlstm_forgets_nothing_at_open_gates_and_all_at_closed_ones(x64):
    cell = mlstm()
    params, xs, state = _example(LINEAR["mlstm"])
    shut = params._replace(w_g=0 * params.w_g, b_g=jnp.array([-1e3, 1e3]))
    end, _ = nets.unroll(cell, shut, xs, state)
    chex.assert_trees_all_close(end, state)
    gone = params._replace(w_g=0 * params.w_g, b_g=jnp.array([0.0, -1e3]))
    chex.assert_trees_all_close(
        nets.unroll(cell, gone, xs, state)[1][-1],
        nets.unroll(cell, gone, xs[-1:])[1][-1],
    )


def test_mlstm_does_not_depend_on_its_stabilizer(x64):
    """C exp(m) and n exp(m) are the memory: m alone is a choice of units."""
    cell = mlstm()
    params, xs, (c, n, m) = _example(LINEAR["mlstm"])
    other = MLSTMState(c * np.exp(-3.0), n * np.exp(-3.0), m + 3.0)
    _, one = nets.unroll(cell, params, xs, MLSTMState(c, n, m))
    # But for the 1e-6 of the denominator, which is in those units.
    chex.assert_trees_all_close(nets.unroll(cell, params, xs, other)[1], one, rtol=1e-4)


@pytest.mark.parametrize("run", [_sequential, _parallel])
@pytest.mark.parametrize("bias", [-200.0, -80.0, -20.0, 200.0])
def test_rg_lru_stays_finite_where_a_is_near_1(bias, run):
    cell = rg_lru()
    params = cell.init(jax.random.key(0), INPUTS, FEATURES)
    params = params._replace(b=params.b.at[:FEATURES].set(bias))
    xs = cases.normal(30, 2, INPUTS, scale=1.0)
    state = jax.tree.map(jnp.ones_like, cell.initial_state(params, xs[0]))
    grads, out = _with_grads(run, cell, params, xs, state)
    chex.assert_tree_all_finite((grads, out))
    if bias <= -80:
        chex.assert_trees_all_close(out[1], jnp.ones_like(out[1]), atol=1e-6)


def test_rg_lru_remembers_in_bfloat16():
    """a = 0.999 is 1 in bfloat16: the input would be written with weight 0."""
    cell = rg_lru()
    params = cell.init(jax.random.key(0), INPUTS, FEATURES)
    params = params._replace(b=params.b.at[:FEATURES].set(-6.0))
    xs = jnp.ones((1, INPUTS))
    _, wanted = nets.unroll(cell, params, xs)
    params, xs = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, xs))
    _, ys = nets.unroll(cell, params, xs)
    assert abs(wanted).min() > 1e-4
    chex.assert_trees_all_close(ys.astype(jnp.float32), wanted, rtol=0.05)


def test_lru_keeps_the_variance_of_white_noise():
    cell = lru(r_min=0.5, r_max=0.9)
    params = cell.init(jax.random.key(0), 4, 30)
    xs = cases.normal(2000, 4, scale=1.0)
    run = jax.jit(partial(nets.unroll, cell, all_states=True))
    states, _ = run(params, xs)
    b = params.b_re**2 + params.b_im**2
    variance = (abs(states.hidden[50:]) ** 2).mean(0)
    np.testing.assert_allclose(variance / b.sum(0), np.ones(30), atol=0.3)


@pytest.mark.slow
def test_linear_scan_accumulates_in_float32():
    a = jnp.full(512, 0.99, jnp.bfloat16)
    run = jax.jit(nets.linear_scan)
    states = run(a, jnp.ones_like(a), jnp.zeros((), jnp.bfloat16))
    assert states.dtype == jnp.bfloat16
    factor = float(a[0])
    wanted = (1 - factor**512) / (1 - factor)
    assert float(states[-1]) == pytest.approx(wanted, rel=0.005)
