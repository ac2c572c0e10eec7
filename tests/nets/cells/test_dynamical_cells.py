"""Cells from dynamical systems: the equations of their authors, and exact facts."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example

from nets import initializers
from nets.cells.antisymmetric_rnn import antisymmetric_rnn
from nets.cells.cornn import cornn
from nets.cells.ind_rnn import ind_rnn
from nets.cells.lem import lem
from nets.cells.orthogonal_rnn import orthogonal_rnn
from nets.cells.rhn import rhn
from nets.cells.slstm import SLSTMState, slstm
from nets.cells.unicornn import unicornn

BATCH = 2

# The equations as their authors have them, one step, in NumPy or in PyTorch.


def _sigmoid(xp, a):
    return 1 / (1 + xp.exp(-a))


def _ind_rnn(xp, params, state, x):
    # Sunnydreamrain/IndRNN_pytorch, IndRNN_onlyrecurrent.py
    (h,) = state
    a = x @ params.w_i + params.b + h * params.w_h
    h = a * (a > 0)
    return (h,), h


def _antisymmetric_rnn(xp, params, state, x, epsilon=0.01, gamma=0.01, gated=False):
    # Equations 11 and 12 of the paper, for each row of the batch, in columns.
    n = params.w_h.shape[0]
    w = params.w_h.T
    matrix = w - w.T - gamma * xp.eye(n, dtype=w.dtype)
    v, b = params.w_i.T, params.b
    rows = []
    for h, u in zip(state[0], x, strict=True):
        z = 1.0
        if gated:
            z = _sigmoid(xp, matrix @ h + v[n:] @ u + b[n:])
        rows.append(h + epsilon * z * xp.tanh(matrix @ h + v[:n] @ u + b[:n]))
    h = xp.stack(rows)
    return (h,), h


def _cornn(xp, params, state, x, dt=0.042, gamma=2.7, epsilon=4.7):
    # tk-rusch/coRNN, sMNIST/network.py
    hy, hz = state
    weight = xp.concatenate((params.w_i, params.w_z, params.w_h))
    a = xp.concatenate((x, hz, hy), 1) @ weight + params.b
    hz = hz + dt * (xp.tanh(a) - gamma * hy - epsilon * hz)
    hy = hy + dt * hz
    return (hy, hz), hy


def _lem(xp, params, state, x, dt=1.0):
    # tk-rusch/LEM, sMNIST/network.py, but for the order of the blocks
    y, z = state
    n = y.shape[-1]
    inputs = x @ params.w_i + params.b
    hidden = y @ params.w_h
    i_dt, i_dt_bar, i_z, i_y = (inputs[:, k * n : (k + 1) * n] for k in range(4))
    h_dt, h_dt_bar, h_z = (hidden[:, k * n : (k + 1) * n] for k in range(3))
    ms_dt = dt * _sigmoid(xp, i_dt + h_dt)
    ms_dt_bar = dt * _sigmoid(xp, i_dt_bar + h_dt_bar)
    z = (1.0 - ms_dt) * z + ms_dt * xp.tanh(i_z + h_z)
    y = (1.0 - ms_dt_bar) * y + ms_dt_bar * xp.tanh(z @ params.w_m + i_y)
    return (y, z), y


def _unicornn(xp, params, state, x, dt=0.19, alpha=30.65):
    # tk-rusch/unicornn, health_care/network.py, unicornn_fwd
    hy, hz = state
    clock = dt * _sigmoid(xp, params.c)
    driven = x @ params.w_i + params.b
    hz = hz - clock * (xp.tanh(hy * params.w_h + driven) + alpha * hy)
    hy = hy + clock * hz
    return (hy, hz), hy


def _rhn(xp, params, state, x):
    # jzilly/RecurrentHighwayNetworks, rhn.py, RHNCell
    (s,) = state
    n = s.shape[-1]
    for i in range(len(params.w_h)):
        r, b = params.w_h[i], params.b[i]
        if i == 0:
            h = xp.tanh(x @ params.w_i[:, :n] + s @ r[:, :n] + b[:n])
            t = _sigmoid(xp, x @ params.w_i[:, n:] + s @ r[:, n:] + b[n:])
        else:
            h = xp.tanh(s @ r[:, :n] + b[:n])
            t = _sigmoid(xp, s @ r[:, n:] + b[n:])
        s = (h - s) * t + s
    return (s,), s


def _orthogonal_rnn(xp, params, state, x, negative=1):
    # SpartinStuff/scoRNN, scoRNN.py and makeW in scoRNN_mnist.py; W h as in the paper
    n = params.a.shape[0]
    eye = xp.eye(n, dtype=params.a.dtype)
    skew = params.a - params.a.T
    signs = xp.stack([eye[k] * (1 if k < n - negative else -1) for k in range(n)])
    w = xp.linalg.inv(eye + skew) @ (eye - skew) @ signs
    a = x @ params.w_i + state[0] @ w.T
    size = xp.abs(a) + params.b
    h = size * (size > 0) * xp.sign(a)
    return (h,), h


def _slstm(xp, params, state, x):
    # NX-AI/xlstm, xlstm/blocks/slstm/src/vanilla/slstm.py, heads apart
    y, c, n, m = state
    heads, size, _ = params.w_h.shape
    parts = []
    for gate in range(4):
        columns = slice(gate * heads * size, (gate + 1) * heads * size)
        recurrent = [
            y[:, k * size : (k + 1) * size]
            @ params.w_h[k][:, gate * size : (gate + 1) * size]
            for k in range(heads)
        ]
        affine = x @ params.w_i[:, columns] + params.b[columns]
        parts.append(affine + xp.concatenate(recurrent, 1))
    iraw, fraw, zraw, oraw = parts
    logfplusm = m + xp.log(_sigmoid(xp, fraw))
    new = iraw if (n == 0.0).all() else xp.maximum(iraw, logfplusm)
    igate, fgate = xp.exp(iraw - new), xp.exp(logfplusm - new)
    c = fgate * c + igate * xp.tanh(zraw)
    n = fgate * n + igate
    y = _sigmoid(xp, oraw) * c / n
    return (y, c, n, new), y


AUTHORS = {
    "ind_rnn": (ind_rnn(), _ind_rnn),
    "antisymmetric_rnn": (antisymmetric_rnn(), _antisymmetric_rnn),
    "antisymmetric_rnn(gated)": (
        antisymmetric_rnn(0.5, 0.1, gated=True),
        partial(_antisymmetric_rnn, epsilon=0.5, gamma=0.1, gated=True),
    ),
    "cornn": (cornn(), _cornn),
    "cornn(1, 2, 0.5)": (
        cornn(1.0, 2.0, 0.5),
        partial(_cornn, dt=1.0, gamma=2.0, epsilon=0.5),
    ),
    "lem": (lem(), _lem),
    "lem(0.3)": (lem(0.3), partial(_lem, dt=0.3)),
    "unicornn": (unicornn(), _unicornn),
    "unicornn(0.5, 2)": (unicornn(0.5, 2.0), partial(_unicornn, dt=0.5, alpha=2.0)),
    "rhn": (rhn(), _rhn),
    "rhn(1)": (rhn(1), _rhn),
    "orthogonal_rnn": (orthogonal_rnn(), partial(_orthogonal_rnn, negative=2)),
    "orthogonal_rnn(0)": (
        orthogonal_rnn(negative=0.0),
        partial(_orthogonal_rnn, negative=0),
    ),
    "slstm": (slstm(), _slstm),
    "slstm(heads=3)": (slstm(heads=3), _slstm),
}
MAKERS = [
    ind_rnn,
    antisymmetric_rnn,
    cornn,
    lem,
    unicornn,
    rhn,
    orthogonal_rnn,
    slstm,
]
each = pytest.mark.parametrize("cell, authors", AUTHORS.values(), ids=AUTHORS)
each_cell = pytest.mark.parametrize(
    "cell", [c for c, _ in AUTHORS.values()], ids=AUTHORS
)
# Cells with options; test_conformance.py walks over those without.
VARIANTS = {
    name: cell
    for name, (cell, _) in AUTHORS.items()
    if cell not in [case.cell for case in cases.CASES.values()]
}
each_variant = pytest.mark.parametrize("cell", VARIANTS.values(), ids=VARIANTS)
each_make = pytest.mark.parametrize("make", MAKERS)


def _start(cell, first):
    """An sLSTM's normalizer is above 0, as it is after any step."""
    if isinstance(first, SLSTMState):
        return first._replace(normalizer=1 + abs(first.normalizer))
    return first


def _loop(xp, authors, params, xs, state):
    state, ys = tuple(state), []
    for t in range(len(xs)):
        state, y = authors(xp, params, state, xs[t])
        ys.append(y)
    return state, xp.stack(ys)


@pytest.mark.parametrize("begun", [False, True], ids=["from zeros", "begun"])
@each
def test_forward_is_the_authors(cell, authors, begun, x64):
    params, xs, first = example(cell, BATCH, time=7, dtype=jnp.float64)
    first = _start(cell, first) if begun else cell.initial_state(params, xs[0])
    expected = _loop(np, authors, *jax.tree.map(np.asarray, (params, xs, first)))
    state, ys = cases.run(cell, params, xs, first)
    chex.assert_trees_all_close((tuple(state), ys), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.peers
@each
def test_gradient_is_that_of_autograd(cell, authors, x64):
    torch = pytest.importorskip("torch")
    params, xs, first = example(cell, BATCH, dtype=jnp.float64)
    first = _start(cell, first)
    theirs = jax.tree.map(
        lambda a: torch.tensor(a.tolist(), dtype=torch.float64, requires_grad=True),
        (params, xs, first),
    )
    end, ys = _loop(torch, authors, *theirs)
    loss = torch.stack([torch.sin(a).sum() for a in (*end, ys)]).sum()
    expected = torch.autograd.grad(loss, jax.tree.leaves(theirs))
    _, grads = cases.run_and_grad(cell, params, xs, first)
    for one, other in zip(jax.tree.leaves(grads), expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-8, atol=1e-9)


@each_variant
def test_a_step_keeps_the_state_and_dtype(cell, x64):
    for dtype, batch in {"float32": (2, 3), "bfloat16": (), "float64": ()}.items():
        params = cases.param_shapes(cell, dtype)
        x = jax.ShapeDtypeStruct((*batch, INPUTS), jnp.dtype(dtype))
        state = jax.eval_shape(cell.initial_state, params, x)
        new, y = jax.eval_shape(cell.step, params, state, x)
        chex.assert_trees_all_equal_structs(new, state)
        chex.assert_trees_all_equal_shapes_and_dtypes(new, state)
        assert (y.shape, y.dtype) == (new.hidden.shape, jnp.dtype(dtype))
        dtypes = {name: leaf.dtype.name for name, leaf in state._asdict().items()}
        assert dtypes == cases.state_dtypes(state, dtype)


@each_cell
def test_bfloat16_is_near_float32(cell):
    params, xs, _ = example(cell, BATCH)
    small = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, xs))
    wide = jax.tree.map(lambda a: a.astype(jnp.float32), small)
    _, ys = cases.run(cell, *small)
    _, expected = cases.run(cell, *wide)
    assert ys.dtype == jnp.bfloat16
    np.testing.assert_allclose(ys.astype(jnp.float32), expected, atol=0.1)


@pytest.mark.slow
@each_variant
def test_the_output_is_the_hidden_state_and_waits_in_the_padding(cell):
    params, xs, first = example(cell, 3)
    first = _start(cell, first)
    lengths = (0, 2, TIME)
    out = cases.run_and_grad(cell, params, xs, first, lengths=jnp.array(lengths))
    rows = cases.run_rows_and_grad(cell, params, xs, first, lengths=lengths)
    chex.assert_trees_all_close(out, rows, rtol=1e-4, atol=1e-5)
    (state, ys), _ = out
    last = ys[jnp.array([1, TIME - 1]), jnp.array([1, 2])]
    chex.assert_trees_all_close(state.hidden[1:], last, rtol=1e-6)


@each_cell
def test_another_number_of_inputs_is_an_error(cell):
    params = cases.draw_params(cell)
    with pytest.raises(ValueError, match=rf"inputs = {INPUTS}"):
        cell.initial_state(params, jnp.zeros((4, INPUTS + 1)))


@each_cell
def test_drop_hides_h_from_the_weights_and_from_nothing_else(cell):
    params, xs, state = example(cell, BATCH)
    state = _start(cell, state)
    dropped = cell.step(params, state, xs[0], drop=jnp.zeros_like)
    assert any(cases.differ(dropped, cell.step(params, state, xs[0])))
    if hasattr(params, "w_h"):
        unread = cell.step(
            params._replace(w_h=jnp.zeros_like(params.w_h)), state, xs[0]
        )
    else:
        unread = cell.step(params, jax.tree.map(jnp.zeros_like, state), xs[0])
    chex.assert_trees_all_close(dropped, unread, rtol=1e-6)


@each_make
def test_equal_calls_make_the_same_cell(make):
    assert make() is make()
    params = make().init(jax.random.key(0), INPUTS, FEATURES)
    chex.assert_tree_all_finite(params)
    one = make().init(jax.random.key(0), 1, 1)
    assert make().initial_state(one, jnp.zeros(1)).hidden.shape == (1,)


@pytest.mark.parametrize("make", [ind_rnn, rhn, slstm])
def test_init_is_used(make):
    def halves(key, inputs, features, gates, hidden=None):
        outputs = len(gates) * features
        half = partial(jnp.full, fill_value=0.5)
        return initializers.Weights(
            half((inputs, outputs)),
            half((hidden or features, outputs)),
            half(outputs),
            half(outputs),
        )

    params = make(init=halves).init(jax.random.key(0), INPUTS, FEATURES)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        params, make().init(jax.random.key(0), INPUTS, FEATURES)
    )
    assert (params.w_i == 0.5).all()
    first = params.b[0, :FEATURES] if make is rhn else params.b
    assert (first == 1.0).all()
    if make is rhn:
        assert (params.b[1:, :FEATURES] == 0.5).all()
    if make is not ind_rnn:
        assert (params.w_h == 0.5).all()
