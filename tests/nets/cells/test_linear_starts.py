"""Linear cells: the parameters that they start with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.cells.aussm import aussm
from nets.cells.gla import gla
from nets.cells.lru import lru
from nets.cells.mamba import mamba
from nets.cells.mamba_2 import mamba_2
from nets.cells.min_lstm import min_lstm
from nets.cells.mlstm import mlstm
from nets.cells.rg_lru import rg_lru
from nets.cells.rwkv_7 import rwkv_7
from nets.cells.s5 import s5
from nets.cells.sru import sru


def _assert_uniform(sample, low, high):
    """Whether the sample's quantiles are those of the uniform distribution."""
    sample = np.sort(np.asarray(sample, np.float64))
    expected = np.linspace(low, high, len(sample))
    assert low <= sample[0] and sample[-1] <= high
    np.testing.assert_allclose(sample, expected, atol=0.12 * (high - low))


@pytest.mark.parametrize("r_min, r_max, phase", [(0.0, 1.0, 6.28), (0.9, 0.999, 0.3)])
def test_lru_starts_on_its_ring(r_min, r_max, phase):
    cell = lru(r_min, r_max, phase)
    params = cell.init(jax.random.key(0), 3, 200)
    modulus = np.exp(-np.exp(np.float64(params.nu)))
    edge = 1e-6  # of float32
    _assert_uniform(modulus**2, r_min**2 - edge, r_max**2 + edge)
    _assert_uniform(np.exp(params.theta), 0, phase + edge)
    np.testing.assert_allclose(np.exp(params.gamma), np.sqrt(1 - modulus**2), rtol=1e-4)
    assert np.std(params.b_re) == pytest.approx(6**-0.5, rel=0.1)
    assert np.std(params.c_im) == pytest.approx(200**-0.5, rel=0.1)


def test_rg_lru_starts_with_long_memory():
    params = rg_lru().init(jax.random.key(0), 3, 400)
    _assert_uniform(
        np.exp(-8 * np.log1p(np.exp(np.float64(params.decay)))), 0.8999, 0.9991
    )


@pytest.mark.parametrize("features", [1, 2, 5, 16])
def test_s5_starts_as_hippo_n(features, x64):
    """The eigenvalues of HiPPO-LegS, plus its rank-one term, as a general matrix."""
    params = s5().init(jax.random.key(0), 3, features)
    size = 2 * max(1, features // 2)
    n = np.arange(size)
    legs = -np.sqrt(np.outer(2 * n + 1, 2 * n + 1))
    legs = np.tril(legs, -1) - np.diag(n + 1.0)
    hippo_n = legs + np.sqrt(np.outer(n + 0.5, n + 0.5))
    wanted = np.linalg.eigvals(hippo_n)
    half = np.asarray(params.lambda_re + 1j * params.lambda_im)
    got = np.concatenate([half, half.conj()])
    np.testing.assert_allclose(np.real(got), np.real(wanted), rtol=1e-9)
    np.testing.assert_allclose(
        np.sort(np.imag(got)), np.sort(np.imag(wanted)), rtol=1e-9, atol=1e-12
    )
    assert params.lambda_re.shape == (size // 2,)
    assert params.lambda_re.dtype == jnp.float64
    steps = np.exp(params.log_step)
    assert (steps >= 0.001).all() and (steps <= 0.1).all()


def test_s5_starts_in_the_basis_of_the_eigenvectors(x64):
    """B as drawn is real: V B is, with the conjugates, all of it."""
    params = s5().init(jax.random.key(0), 3, 8)
    n = np.arange(8)
    root = np.sqrt(n + 0.5)
    lower = np.tril(np.outer(root, root), -1)
    _, vectors = np.linalg.eigh(-1j * (lower.T - lower))
    b = np.asarray(params.b_re + 1j * params.b_im).T
    drawn = 2 * np.real(vectors[:, :4] @ b)
    np.testing.assert_allclose(vectors[:, :4].conj().T @ drawn, b, atol=1e-12)
    key = jax.random.split(jax.random.key(0), 5)[0]
    lecun = jax.nn.initializers.lecun_normal()(key, (8, 3))
    np.testing.assert_allclose(drawn, lecun, atol=1e-12)


def _assert_log_uniform_steps(b, low, high):
    """Whether the steps softplus(b) are log-uniform."""
    step = np.logaddexp(np.float64(b), 0)
    edge = 1e-4  # of float32: b is near -7 at the shortest step
    _assert_uniform(np.log(step), np.log(low) - edge, np.log(high) + edge)


def test_mamba_starts_with_short_steps_and_rates_of_1_to_n():
    params = mamba(states=3).init(jax.random.key(0), 4, 400)
    np.testing.assert_allclose(np.exp(params.a_log), np.tile([1, 2, 3], (400, 1)))
    _assert_log_uniform_steps(params.b, 0.001, 0.1)
    assert params.w_s.shape == (25, 400)  # rank = features / 16
    _assert_uniform(np.ravel(params.w_s), -0.2, 0.2)
    assert (params.d == 1).all()
    one = mamba(rank=1).init(jax.random.key(0), 4, 1)
    assert [leaf.shape for leaf in one[1:3]] == [(1, 33), (1, 1)]


def test_mamba_2_starts_with_one_rate_per_head():
    cell = mamba_2(heads=400, states=3, step_min=0.01, step_max=0.5)
    params = cell.init(jax.random.key(0), 4, 400)
    _assert_uniform(np.exp(params.a_log), 0.999, 16.001)
    _assert_log_uniform_steps(params.b, 0.01, 0.5)
    assert (params.d == 1).all()


def test_gla_starts_near_the_root_of_one_half():
    cell = gla()
    assert cell.linear is not None
    params = cell.init(jax.random.key(0), 4, 8)
    a, _ = cell.linear.coefficients(params, None, jnp.zeros((1, 4)))
    np.testing.assert_allclose(a.memory, 0.5 ** (1 / 16), rtol=1e-6)


def test_aussm_starts_with_all_phases():
    params = aussm(states=400).init(jax.random.key(0), 4, 2)
    _assert_uniform(np.ravel(params.phase), -np.pi, np.pi)
    for part in (params.b_size, params.b_angle, params.c_size, params.c_angle):
        assert np.var(part) == pytest.approx(0.5, rel=0.2)
    assert len({part.tobytes() for part in map(np.asarray, params[6:10])}) == 4


def test_rwkv_7_starts_as_the_authors_first_layer():
    """fla-org/flash-linear-attention, fla/layers/rwkv7.py, at layer_idx = 0."""
    heads, size = 2, 4
    params = rwkv_7(heads).init(jax.random.key(0), 6, heads * size)
    for unit in range(heads * size):
        linear = unit / (heads * size - 1) - 0.5
        zigzag = (unit % size - (size - 1) / 2) / ((size - 1) / 2)
        zigzag = zigzag * abs(zigzag)
        www = -6 + 6 * unit / (heads * size - 1)
        place = divmod(unit, size)
        w, a = (part[place] for part in params.b)
        assert float(w) == pytest.approx(www + 0.5 + 2.5 * zigzag, abs=1e-5)
        assert float(a) == pytest.approx(-0.19 + zigzag * 0.3 + linear * 0.4, abs=1e-6)
        assert float(params.k_k[place]) == pytest.approx(0.71 - linear * 0.1)
    assert (params.k_a == 1.02).all() and not params.w_low.any()
    params = rwkv_7().init(jax.random.key(0), 300, 100)
    r, k, v = (np.std(w) for w in np.split(np.asarray(params.w_i), 3, axis=-1))
    assert (r, 10 * k, v) == pytest.approx([300**-0.5] * 3, rel=0.05)


def test_gates_start_as_in_the_papers():
    params = mlstm(heads=4).init(jax.random.key(0), 3, 8)
    assert params.b_g[4:].tolist() == [3, 4, 5, 6]
    assert not params.w_g.any()
    assert min_lstm(2.0).init(jax.random.key(0), 3, 1).b.tolist() == [0, 2, 0]
    params = sru(highway_bias=-3.0).init(jax.random.key(0), 4, 4)
    assert params.b.tolist() == [0, 0, 0, 0, -3, -3, -3, -3]
    assert params.v is None and params.w_x is None
    params = sru(peephole=True).init(jax.random.key(0), 300, 100)
    c, f, r = (np.std(w) for w in np.split(np.asarray(params.w_i), 3, axis=-1))
    assert c == pytest.approx(300**-0.5, rel=0.05)
    assert f == pytest.approx(600**-0.5, rel=0.05)
    assert r == pytest.approx(600**-0.5, rel=0.05)
    assert np.std(params.w_x) == pytest.approx(100**-0.5, rel=0.05)
    assert np.std(params.v) == pytest.approx(0.5**0.5, rel=0.1)
