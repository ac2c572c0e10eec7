"""The nonlinear gated cells: the equations of their papers, peers, and exact facts."""

from functools import partial
from types import ModuleType
from typing import Any

import cases
import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, draw, example, normal
from side_by_side import optimized_jit, optimized_run_and_grad

import nets
from nets import initializers
from nets.cells.coupled_lstm import coupled_lstm
from nets.cells.irnn import irnn
from nets.cells.janet import janet
from nets.cells.layer_norm_gru import layer_norm_gru
from nets.cells.layer_norm_lstm import layer_norm_lstm
from nets.cells.lstm_1997 import lstm_1997
from nets.cells.m2rnn import m2rnn
from nets.cells.mgu import mgu
from nets.cells.minimal_rnn import minimal_rnn
from nets.cells.para_gru import para_gru
from nets.cells.para_lstm import para_lstm
from nets.cells.peephole_lstm import peephole_lstm
from nets.cells.projected_lstm import projected_lstm
from nets.cells.star import star
from nets.linear import layer_norm, scale_features

BATCH = 2

# The papers' equations, in NumPy or in PyTorch: one step of separate weights a gate.


def _parts(array, gates):
    """{"i": what belongs to i, ...}"""
    n = array.shape[-1] // len(gates)
    return {g: array[..., k * n : (k + 1) * n] for k, g in enumerate(gates)}


def _sigmoid(xp, a):
    return 1 / (1 + xp.exp(-a))


def _ln(xp, a, gain):
    centered = a - a.mean(-1)[..., None]
    variance = (centered**2).mean(-1)[..., None]
    return gain * centered / xp.sqrt(variance + 1e-5)


def _affine(params, gates, x, h):
    """{"i": W_i x + U_i h + b_i, ...}"""
    w, u, b = (_parts(a, gates) for a in (params.w_i, params.w_h, params.b))
    return {g: x @ w[g] + h @ u[g] + b[g] for g in gates}


def _lstm_1997(xp, params, state, x):
    h, c = state
    a = _affine(params, "igo", x, h)
    c = c + _sigmoid(xp, a["i"]) * xp.tanh(a["g"])
    h = _sigmoid(xp, a["o"]) * xp.tanh(c)
    return (h, c), h


def _peephole_lstm(xp, params, state, x):
    h, c = state
    a = _affine(params, "ifgo", x, h)
    i = _sigmoid(xp, a["i"] + params.p_i * c)
    f = _sigmoid(xp, a["f"] + params.p_f * c)
    c = f * c + i * xp.tanh(a["g"])
    o = _sigmoid(xp, a["o"] + params.p_o * c)
    h = o * xp.tanh(c)
    return (h, c), h


def _projected_lstm(xp, params, state, x):
    h, c = state
    a = _affine(params, "ifgo", x, h)
    c = _sigmoid(xp, a["f"]) * c + _sigmoid(xp, a["i"]) * xp.tanh(a["g"])
    m = _sigmoid(xp, a["o"]) * xp.tanh(c)
    h = m @ params.w_p
    return (h, c), h


def _coupled_lstm(xp, params, state, x):
    h, c = state
    a = _affine(params, "fgo", x, h)
    f = _sigmoid(xp, a["f"])
    c = f * c + (1 - f) * xp.tanh(a["g"])
    h = _sigmoid(xp, a["o"]) * xp.tanh(c)
    return (h, c), h


def _layer_norm_lstm(xp, params, state, x):
    h, c = state
    a = _ln(xp, h @ params.w_h, params.scale_h) + _ln(
        xp, x @ params.w_i, params.scale_i
    )
    a = _parts(a + params.b, "ifgo")
    c = _sigmoid(xp, a["f"]) * c + _sigmoid(xp, a["i"]) * xp.tanh(a["g"])
    h = _sigmoid(xp, a["o"]) * xp.tanh(_ln(xp, c, params.scale_c) + params.b_c)
    return (h, c), h


def _layer_norm_gru(xp, params, state, x):
    (h,) = state
    n = 2 * h.shape[-1]
    rz = _ln(xp, h @ params.w_h[:, :n], params.scale_h[:n])
    rz = rz + _ln(xp, x @ params.w_i[:, :n], params.scale_i[:n]) + params.b[:n]
    gate = _parts(rz, "rz")
    r = _sigmoid(xp, gate["r"])
    admits = 1 - _sigmoid(xp, gate["z"])  # the paper's z
    new = _ln(xp, x @ params.w_i[:, n:], params.scale_i[n:]) + params.b[n:]
    old = _ln(xp, h @ params.w_h[:, n:], params.scale_h[n:]) + params.b_hn
    h = (1 - admits) * h + admits * xp.tanh(new + r * old)
    return (h,), h


def _irnn(xp, params, state, x):
    a = x @ params.w_i + state[0] @ params.w_h + params.b
    h = a * (a > 0)
    return (h,), h


def _mgu(xp, params, state, x, reset_gate=True):
    (h,) = state
    w, u, b = (_parts(a, "fn") for a in (params.w_i, params.w_h, params.b))
    f = _sigmoid(xp, x @ w["f"] + h @ u["f"] + b["f"])
    old = f * (h @ u["n"] + params.b_hn) if reset_gate else h @ u["n"]
    h = (1 - f) * xp.tanh(x @ w["n"] + b["n"] + old) + f * h
    return (h,), h


def _janet(xp, params, state, x, beta=1.0):
    (c,) = state
    a = _affine(params, "fn", x, c)
    kept = _sigmoid(xp, a["f"])
    written = 1 - _sigmoid(xp, a["f"] - beta)
    c = kept * c + written * xp.tanh(a["n"])
    return (c,), c


def _minimal_rnn(xp, params, state, x):
    (h,) = state
    z = xp.tanh(x @ params.w_i + params.b_z)
    u = _sigmoid(xp, h @ params.w_h + z @ params.w_z + params.b_u)
    h = u * h + (1 - u) * z
    return (h,), h


def _star(xp, params, state, x):
    (h,) = state
    w, b = _parts(params.w_i, "kz"), _parts(params.b, "kz")
    z = xp.tanh(x @ w["z"] + b["z"])
    k = _sigmoid(xp, x @ w["k"] + h @ params.w_h + b["k"])
    h = xp.tanh((1 - k) * h + k * z)
    return (h,), h


def _para_gru(xp, params, state, x):
    # apple/ml-pararnn, pararnn/rnn_cell/gru_diag_mh.py, with one head
    (h,) = state
    w, b = (_parts(a, "rzn") for a in (params.w_i, params.b))
    u = dict(zip("rzn", params.w_h, strict=True))
    z = _sigmoid(xp, u["z"] * h + x @ w["z"] + b["z"])
    r = _sigmoid(xp, u["r"] * h + x @ w["r"] + b["r"])
    h_new = xp.tanh(u["n"] * h * r + x @ w["n"] + b["n"])
    h = z * h_new + (1 - z) * h
    return (h,), h


def _para_lstm(xp, params, state, x):
    # apple/ml-pararnn, pararnn/rnn_cell/lstm_cifg_diag_mh.py, with one head
    h, c = state
    w, b = (_parts(a, "fgo") for a in (params.w_i, params.b))
    u = dict(zip("fgo", params.w_h, strict=True))
    f, g, o = (u[k] * h + x @ w[k] + b[k] for k in "fgo")
    f = _sigmoid(xp, f + params.p_f * c)
    c = f * c + (1 - f) * xp.tanh(g)
    h = _sigmoid(xp, o + params.p_o * c) * xp.tanh(c)
    return (h, c), h


def _m2rnn(xp, params, state, x):
    # open-lm-engine/lm-engine, sequence_mixer_blocks/m2rnn/op.py and
    # softplus_decay_gate.py, each head apart
    (memory,) = state
    heads, d, _ = params.w_h.shape
    gates, states, ys = x @ params.w_i, [], []
    for j in range(heads):
        q, k, v = (
            gates[:, (part * heads + j) * d : (part * heads + j + 1) * d]
            for part in range(3)
        )
        s = xp.log(1 + xp.exp(gates[:, 3 * heads * d + j] + params.b[j]))
        f = xp.exp(-xp.exp(params.a_log[j]) * s)[:, None, None]
        h0 = memory[:, j]
        h = f * h0 + (1 - f) * xp.tanh(h0 @ params.w_h[j] + k[..., None] * v[:, None])
        states.append(h)
        ys.append((q[:, None] @ h)[:, 0])
    return (xp.stack(states, 1),), xp.concatenate(ys, 1)


PAPERS: dict[str, tuple[nets.Cell, Any]] = {
    "lstm_1997": (lstm_1997(), _lstm_1997),
    "peephole_lstm": (peephole_lstm(), _peephole_lstm),
    "projected_lstm": (projected_lstm(), _projected_lstm),
    "projected_lstm(2)": (projected_lstm(projection=2), _projected_lstm),
    "coupled_lstm": (coupled_lstm(), _coupled_lstm),
    "layer_norm_lstm": (layer_norm_lstm(), _layer_norm_lstm),
    "layer_norm_gru": (layer_norm_gru(), _layer_norm_gru),
    "irnn": (irnn(), _irnn),
    "mgu": (mgu(), _mgu),
    "mgu(reset_gate=False)": (mgu(reset_gate=False), partial(_mgu, reset_gate=False)),
    "janet": (janet(), _janet),
    "janet(beta=0)": (janet(beta=0.0), partial(_janet, beta=0.0)),
    "minimal_rnn": (minimal_rnn(), _minimal_rnn),
    "star": (star(), _star),
    "para_gru": (para_gru(), _para_gru),
    "para_lstm": (para_lstm(), _para_lstm),
    "m2rnn": (m2rnn(), _m2rnn),
}
each = pytest.mark.parametrize("cell, paper", PAPERS.values(), ids=PAPERS)
each_cell = pytest.mark.parametrize("cell", [c for c, _ in PAPERS.values()], ids=PAPERS)
# Cells with options; test_conformance.py walks over those without.
VARIANTS = {
    name: cell
    for name, (cell, _) in PAPERS.items()
    if cell not in [case.cell for case in cases.CASES.values()]
}
each_variant = pytest.mark.parametrize("cell", VARIANTS.values(), ids=VARIANTS)


def _loop(xp: ModuleType, paper, params, xs, state):
    state, ys = tuple(state), []
    for t in range(len(xs)):
        state, y = paper(xp, params, state, xs[t])
        ys.append(y)
    return state, xp.stack(ys)


@each
def test_forward_is_the_papers(cell, paper, x64):
    params, xs, first = example(cell, BATCH, time=7, dtype=jnp.float64)
    expected = _loop(np, paper, *jax.tree.map(np.asarray, (params, xs, first)))
    state, ys = cases.run(cell, params, xs, first)
    chex.assert_trees_all_close((tuple(state), ys), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.peers
@each
def test_gradient_is_that_of_autograd(cell, paper, x64):
    torch = pytest.importorskip("torch")
    params, xs, first = example(cell, BATCH, dtype=jnp.float64)
    # One row begins at zeros, where the slope of layer normalization is 316.
    first = jax.tree.map(lambda s: s.at[0].set(0.0), first)
    theirs = jax.tree.map(
        lambda a: torch.tensor(a.tolist(), dtype=torch.float64, requires_grad=True),
        (params, xs, first),
    )
    end, ys = _loop(torch, paper, *theirs)
    loss = torch.stack([torch.sin(a).sum() for a in (*end, ys)]).sum()
    expected = torch.autograd.grad(loss, jax.tree.leaves(theirs))
    _, grads = cases.run_and_grad(cell, params, xs, first)
    for one, other in zip(jax.tree.leaves(grads), expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-9, atol=1e-9)


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


@each_variant
def test_the_output_is_the_hidden_state_and_waits_in_the_padding(cell):
    params, xs, first = example(cell, 3)
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
    dropped = cell.step(params, state, xs[0], drop=jnp.zeros_like)
    unread = params._replace(w_h=jnp.zeros_like(params.w_h))
    chex.assert_trees_all_close(dropped, cell.step(unread, state, xs[0]), rtol=1e-6)
    assert any(cases.differ(dropped, cell.step(params, state, xs[0])))


@pytest.mark.parametrize(
    "cell, gate",
    [
        (mgu(), {"b": [[9e9], [0]]}),
        (mgu(reset_gate=False), {"b": [[9e9], [0]]}),
        (janet(), {"b": [[9e9], [0]]}),
        (layer_norm_gru(), {"b": [[0], [9e9], [0]]}),
        (minimal_rnn(), {"b_u": [[9e9]]}),
    ],
    ids=["mgu", "mgu(reset_gate=False)", "janet", "layer_norm_gru", "minimal_rnn"],
)
def test_a_gate_that_keeps_all_carries_h_that_was_dropped(cell, gate):
    params, xs, state = example(cell, BATCH)
    ((name, value),) = gate.items()
    bias = jnp.asarray(np.repeat(value, FEATURES, axis=-1).ravel(), jnp.float32)
    params = params._replace(**{name: bias})
    new, y = cell.step(params, state, xs[0], drop=jnp.zeros_like)
    chex.assert_trees_all_equal(new, state)
    chex.assert_trees_all_equal(y, state.hidden)


@pytest.mark.parametrize(
    "make",
    [
        lstm_1997,
        peephole_lstm,
        projected_lstm,
        coupled_lstm,
        layer_norm_lstm,
        layer_norm_gru,
        irnn,
        mgu,
        janet,
        minimal_rnn,
        star,
    ],
)
def test_equal_calls_make_the_same_cell_and_init_is_used(make):
    assert make() is make()
    cell = make(init=initializers.linen)
    assert cell is not make()
    params = cell.init(jax.random.key(0), INPUTS, FEATURES)
    assert len({leaf.dtype for leaf in jax.tree.leaves(params)}) == 1
    chex.assert_trees_all_equal_shapes_and_dtypes(
        params, make().init(jax.random.key(0), INPUTS, FEATURES)
    )
    chex.assert_tree_all_finite(params)


# Peers.


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_projected_lstm_is_torchs():
    torch = pytest.importorskip("torch")
    cell = projected_lstm(projection=2)
    params, xs, first = example(cell, BATCH)
    layer = torch.nn.LSTM(INPUTS, FEATURES, proj_size=2)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.tensor(params.w_i.T.tolist()))
        layer.weight_hh_l0.copy_(torch.tensor(params.w_h.T.tolist()))
        layer.weight_hr_l0.copy_(torch.tensor(params.w_p.T.tolist()))
        layer.bias_ih_l0.copy_(torch.tensor(params.b.tolist()))
        layer.bias_hh_l0.zero_()
    x, h, c = (torch.tensor(a.tolist()).requires_grad_() for a in (xs, *first))
    ys, (h_n, c_n) = layer(x, (h[None], c[None]))
    torch.stack([torch.sin(a).sum() for a in (h_n, c_n, ys)]).sum().backward()

    out, grads = optimized_run_and_grad(cell, params, xs, first)
    by_params, by_xs, by_state = grads
    theirs = [h_n[0], c_n[0], ys]
    theirs += [layer.weight_ih_l0.grad.T, layer.weight_hh_l0.grad.T]
    theirs += [layer.bias_ih_l0.grad, layer.weight_hr_l0.grad.T, x.grad, h.grad, c.grad]
    ours = [*out[0], out[1], *by_params, by_xs, *by_state]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), atol=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("reset_gate", [True, False])
def test_mgu_is_linens(reset_gate):
    cell = mgu(reset_gate)
    params, xs, first = example(cell, BATCH)

    def run_linen(params, xs, state):
        w, u, b = (_parts(a, "fn") for a in params[:3])
        tree: Any = {f"i{g}": {"kernel": w[g], "bias": b[g]} for g in "fn"}
        tree |= {f"h{g}": {"kernel": u[g]} for g in "fn"}
        if reset_gate:
            tree["hn"]["bias"] = params.b_hn
        layer = nn.RNN(
            nn.MGUCell(FEATURES, reset_gate=reset_gate),
            return_carry=True,
            time_major=True,
        )
        variables = {"params": {"cell": tree}}
        h, ys = layer.apply(variables, xs, initial_carry=state.hidden)
        return cases.total(h, ys), (type(state)(h), ys)

    gradient = jax.jit(jax.grad(run_linen, argnums=(0, 1, 2), has_aux=True))
    grads, out = gradient(params, xs, first)
    ours = optimized_run_and_grad(cell, params, xs, first)
    chex.assert_trees_all_close(ours, (out, grads), rtol=1e-5, atol=1e-6)


def test_mgu_starts_as_linens():
    params = mgu().init(jax.random.key(0), INPUTS, FEATURES)
    assert params.b.tolist() == [1.0] * FEATURES + [0.0] * FEATURES
    chex.assert_trees_all_equal(params.b_hn, jnp.zeros(FEATURES))


def test_mgu_refuses_parameters_of_the_other_form():
    params = cases.draw_params(mgu())
    with pytest.raises(ValueError, match="b_hn"):
        mgu(reset_gate=False).initial_state(params, jnp.zeros(INPUTS))


@pytest.mark.peers
def test_layer_norm_is_torchs_and_linens():
    torch = pytest.importorskip("torch")
    x, scale, bias = normal(4, 5), normal(5, seed=1), normal(5, seed=2)

    def linen(x, scale, bias):
        variables = {"params": {"scale": scale, "bias": bias}}
        return nn.LayerNorm(epsilon=1e-5).apply(variables, x)

    def with_gradients(function, jit):
        def loss(*args):
            y = function(*args)
            return jnp.sin(y).sum(), y

        gradients = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
        return jit(gradients)(x, scale, bias)

    grads, y = with_gradients(layer_norm, optimized_jit)
    chex.assert_trees_all_close((grads, y), with_gradients(linen, jax.jit), atol=1e-5)

    theirs = [torch.tensor(a.tolist(), requires_grad=True) for a in (x, scale, bias)]
    out = torch.nn.functional.layer_norm(theirs[0], (5,), *theirs[1:])
    torch.sin(out).sum().backward()
    np.testing.assert_allclose(y, out.detach().numpy(), atol=1e-6)
    for one, other in zip(grads, theirs, strict=True):
        np.testing.assert_allclose(one, other.grad.numpy(), atol=1e-5)
    chex.assert_trees_all_equal(
        layer_norm(x, scale), layer_norm(x, scale, jnp.zeros(5))
    )


def test_layer_norm_of_bfloat16_rounds_once_at_the_end():
    x, scale, bias = (
        draw(jax.ShapeDtypeStruct(shape, jnp.bfloat16), seed)
        for seed, shape in enumerate([(3, 64), (64,), (64,)])
    )
    x = x + 30
    wide = layer_norm(*(a.astype(jnp.float32) for a in (x, scale, bias)))
    y = layer_norm(x, scale, bias)
    assert y.dtype == jnp.bfloat16
    chex.assert_trees_all_equal(y, wide.astype(jnp.bfloat16))


def test_the_slope_of_layer_norm_is_largest_where_all_is_the_same():
    slope = jax.jacobian(lambda x: layer_norm(x, jnp.ones(4)))(jnp.full(4, 0.5))
    expected = (jnp.eye(4) - 1 / 4) / np.sqrt(1e-5)
    chex.assert_trees_all_close(slope, expected, rtol=1e-5)


def test_weigh_is_a_diagonal_matrix():
    x, w = normal(2, 3, 4), normal(4, seed=1)
    chex.assert_trees_all_close(scale_features(x, w), x @ jnp.diag(w), rtol=1e-6)
