"""bfloat16 and float16: long memories, and dtypes at the door."""

from functools import partial
from typing import Any

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, CORE, INPUTS

import nets

HALVES = ["bfloat16", "float16"]

# Each adds a little to what it has, at every step, and forgets next to nothing:
# parameters that are not zero. One unit, whose input is 1.
SLOW = {
    "irnn": {"w_h": [[1.0]], "b": [0.001]},
    "ind_rnn": {"w_h": [1.0], "b": [0.001]},
    "antisymmetric_rnn": {"b": [0.01]},
    "cornn": {"b": [0.01]},
    "unicornn": {"b": [0.01], "c": [-5.0]},
    "lem": {"b": [-7.0, -7, 1, 1]},
    "lstm": {"b": [-7.0, 30, 1, 30]},
    "lstm_1997": {"b": [-7.0, 1, 30]},
    "peephole_lstm": {"b": [-7.0, 30, 1, 30]},
    "coupled_lstm": {"b": [7.0, 1, 30]},
    "projected_lstm": {"b": [-7.0, 30, 1, 30], "w_p": [[1.0]]},
    "layer_norm_lstm": {"b": [-7.0, 30, 1, 30]},
    "slstm": {"w_i": [[0.0, 0, 1, 0]], "b": [0.0, 30, 0, 30]},
    "mlstm": {"w_i": [[0.0, 0, 1, 0]], "b": [1.0, 1, 0, 30], "b_g": [0.0, 30]},
    "gru": {"b": [0.0, 7, 1]},
    "gru(reset_after=False)": {"b": [0.0, 7, 1]},
    "layer_norm_gru": {"b": [0.0, 7, 1]},
    "mgu": {"b": [7.0, 1]},
    "janet": {"b": [7.0, 1]},
    "minimal_rnn": {"b_u": [7.0], "b_z": [1.0]},
    "star": {"b": [-7.0, 1]},
    "rhn": {"b": [[1.0, -7]] * 3},
    "qrnn": {"b": [1.0, 7, 9]},
    "sru": {"w_i": [[1.0, 0, 0]], "b": [7.0, 7]},
    "sru(peephole=True)": {"w_i": [[1.0, 0, 0]], "b": [7.0, 7]},
    "min_gru": {"b": [-7.0, 1]},
    "min_lstm": {"b": [-7.0, 7, 1]},
    "rg_lru": {"w_in": [[1.0]], "b": [-2.0, 30], "decay": [-7.0]},
    "lru": {"nu": [-8.0], "gamma": [-4.0], "b_re": [[1.0]], "c_re": [[1.0]]},
    "s5": {"lambda_re": [-0.5], "log_step": [-7.0], "b_re": [[1.0]], "c_re": [[1.0]]},
    "linoss": {"a": [0.5], "dt": [-3.0], "b_re": [[1.0]], "c_re": [[1.0]]},
    "d_linoss": {
        **{"a": [1.0], "g": [0.01], "dt": [-3.0]},
        **{"b_re": [[1.0]], "c_re": [[1.0]]},
    },
    "delta_net": {"w_i": [[1.0, 1, 1]], "w_g": [[-7.0]]},
    "gated_delta_net": {"w_i": [[1.0, 1, 1]], "w_g": [[-7.0, -7]], "b_dt": [-4.0]},
    "pd_ssm": {"b_o": [7.0, 30], "b_re": [[0.01]], "c_re": [[1.0]]},
    "conv_lstm 1-D": {"b": [-7.0, 30, 1, 30]},
    "conv_gru 1-D": {"b": [0.0, 7, 1]},
}
# Cells without a memory of 2,000 steps in one unit: tanh forgets, an angle needs two.
SHORT = {"elman", "orthogonal_rnn"}


def slow(name, dtype):
    """Parameters and 2,000 inputs, of which the last 1,000 turn round."""
    cell = nets.projected_lstm() if name == "projected_lstm" else CASES[name].cell
    like = jax.eval_shape(lambda key: cell.init(key, 1, 1), jax.random.key(0))
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, dtype), like)
    given = {k: jnp.asarray(v, dtype) for k, v in SLOW[name].items()}
    xs = jnp.ones((2000, *[1] * cell.spatial_dims, 1), dtype).at[1000:].multiply(-1)
    return cell, zeros._replace(**given), xs


def as_float32(tree):
    return jax.tree.map(lambda a: np.asarray(a.astype(jnp.float32)), tree)


def in_float32(tree):
    return jax.tree.map(lambda a: a.astype(jnp.float32), tree)


@pytest.mark.parametrize("name", SLOW)
def test_2000_steps_are_those_of_float32(name):
    """Of the same rounded parameters: only what each step rounds differs."""
    cell, params, xs = slow(name, "bfloat16")

    @partial(jax.jit, static_argnames="parallel")
    def run(params, xs, parallel=False):
        return nets.unroll(cell, params, xs, all_states=True, parallel=parallel)

    exact = run(*in_float32((params, xs)))
    for parallel in {False, cell.linear is not None}:
        out = run(params, xs, parallel=parallel)
        assert out[1].dtype == jnp.bfloat16
        sizes = [
            assert_near(*pair)
            for pair in zip(*map(jax.tree.leaves, (out, exact)), strict=True)
        ]
        assert max(sizes) > 1e-3


def assert_near(one, exact):
    size = float(jnp.abs(exact).max())
    one = one if jnp.iscomplexobj(one) else one.astype(jnp.float32)
    np.testing.assert_allclose(one, exact, atol=0.02 * size)
    return size


def test_every_cell_is_tried():
    missing = {n for n in nets.CELLS if not any(s.startswith(n) for s in SLOW)}
    assert missing == SHORT


def test_an_orthogonal_matrix_stays_orthogonal_in_bfloat16():
    cell = nets.orthogonal_rnn()
    params = cell.init(jax.random.key(0), 3, 8)
    params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
    first = cell.initial_state(params, jnp.ones((3,), jnp.bfloat16))
    first = first._replace(hidden=jax.random.normal(jax.random.key(1), (8,)))
    end, ys = nets.unroll(cell, params, jnp.zeros((2000, 3), jnp.bfloat16), first)
    norms = [float(jnp.linalg.norm(s.hidden)) for s in (first, end)]
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)
    assert ys.dtype == jnp.bfloat16


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ["elman", "lstm", "mlstm", "qrnn"])
def test_gradients_by_parameters_are_summed_in_float32(name, dtype):
    cell = CASES[name].cell
    params, xs, _ = cases.example(cell, time=3000, dtype=jnp.dtype(dtype))
    params = jax.tree.map(lambda a: a / 4, params)

    @jax.jit
    @jax.grad
    def grads(params, xs):
        return 100 * nets.unroll(cell, params, xs)[1].astype(jnp.float32).mean()

    got, exact = grads(params, xs), grads(*in_float32((params, xs)))
    for g, e in zip(jax.tree.leaves(got), jax.tree.leaves(exact), strict=True):
        assert g.dtype == jnp.dtype(dtype)
        np.testing.assert_allclose(as_float32(g), e, atol=0.05 * float(abs(e).max()))


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru", "min_gru", "qrnn", "mlstm"])
def test_a_state_may_be_given_in_half_precision(name, parallel):
    """And is then returned so: it can be carried from one call to the next."""
    cell = CASES[name].cell
    if parallel and cell.linear is None:
        return
    params, xs, first = cases.example(cell, 2, dtype=jnp.bfloat16)
    given = jax.tree.map(lambda s: s.astype(jnp.bfloat16), first)
    end, ys = nets.unroll(cell, params, xs, given, parallel=parallel)
    assert {a.dtype for a in jax.tree.leaves((end, ys))} == {jnp.dtype("bfloat16")}
    widened = jax.tree.map(lambda s, f: s.astype(f.dtype), given, first)
    exact = nets.unroll(cell, params, xs, widened, parallel=parallel)[1]
    assert (ys == exact).all()
    new, y = cell.step(params, given, xs[0])
    assert {a.dtype for a in jax.tree.leaves((new, y))} == {jnp.dtype("bfloat16")}


# Constants of a wider dtype show in bfloat16, those of a narrower one in float64; of a
# kind of state each, float16 and float32 take the same ways through the code.
@pytest.mark.parametrize(
    "cell, dtype",
    [
        pytest.param(case.cell, dtype, id=f"{name}-{dtype}")
        for name, case in CASES.items()
        if case.cell is not cases.FAST_WEIGHTS
        for dtype in ("bfloat16", "float64", *["float16", "float32"] * (name in CORE))
    ],
)
def test_operands_of_one_dtype_need_no_promotion(cell, dtype, x64):
    """jax_numpy_dtype_promotion="strict" refuses what is promoted in silence."""
    with jax.numpy_dtype_promotion("strict"):

        def loss(params, xs):
            lengths = jnp.array([3, 1], jnp.int32)
            ways: list[Any] = [{"lengths": lengths}]
            ways += [{"parallel": True}] * (cell.linear is not None)
            outputs = [nets.unroll(cell, params, xs, **way)[1] for way in ways]
            assert {ys.dtype for ys in outputs} == {jnp.dtype(dtype)}
            return sum(ys.astype(jnp.float32).sum() for ys in outputs)

        params = cases.param_shapes(cell, dtype)
        shape = 3, 2, *cases.PLACES[cell.spatial_dims], INPUTS
        xs = jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
        jax.eval_shape(jax.grad(loss, argnums=(0, 1)), params, xs)


WRAPPED = {
    "zoneout": nets.zoneout(nets.lstm(), hidden=0.25, cell=0.5),
    "input_dropout": nets.input_dropout(nets.gru(), np.float64(0.5)),
    "recurrent_dropout": nets.recurrent_dropout(nets.gru(), np.float64(0.5)),
    "drop_connect": nets.drop_connect(nets.lstm(), 0.5),
    "h_detach": nets.h_detach(nets.lstm(), 0.5),
    "learned_state": nets.learned_state(nets.gru()),
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", WRAPPED)
def test_noise_needs_no_promotion(name, dtype, x64):
    cell = WRAPPED[name]
    with jax.numpy_dtype_promotion("strict"):
        params, xs, _ = cases.example(cell, 2, dtype=jnp.dtype(dtype))
        for key in (None, jax.random.key(0)):
            out = jax.eval_shape(lambda p: nets.unroll(cell, p, xs, key=key), params)  # noqa: B023
            assert out[1].dtype == jnp.dtype(dtype)
