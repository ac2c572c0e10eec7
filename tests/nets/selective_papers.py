"""Equations of selective cells in NumPy, as their authors' code has them.

Each function takes parameters, a state and one sequence xs [time, inputs], and returns
the last state and the outputs.
"""

from typing import Any

import numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _softplus(a):
    return np.logaddexp(a, 0)


def mamba(p: Any, state: Any, xs: np.ndarray) -> tuple[Any, list[np.ndarray]]:
    """state-spaces/mamba, mamba_ssm/modules/mamba_simple.py: Mamba.step, its SSM."""
    (ssm_state,) = state
    n = p.a_log.shape[-1]
    a, ys = -np.exp(p.a_log), []
    for x in xs @ p.w_i:
        x_db = x @ p.w_u
        dt, b, c = x_db[: -2 * n], x_db[-2 * n : -n], x_db[-n:]
        dt = _softplus(dt @ p.w_s + p.b)
        d_a, d_b = np.exp(np.einsum("d,dn->dn", dt, a)), np.einsum("d,n->dn", dt, b)
        ssm_state = ssm_state * d_a + x[:, None] * d_b
        ys.append(ssm_state @ c + p.d * x)
    return (ssm_state,), ys


def mamba_2(p: Any, state: Any, xs: np.ndarray) -> tuple[Any, list[np.ndarray]]:
    """state-spaces/mamba, mamba_ssm/modules/ssd_minimal.py: ssd_minimal_discrete.

    One chunk: the outputs by the matrix of decays from each step to each later one.
    """
    heads = len(p.b)
    x, dt = np.split(xs @ p.w_i, [p.w_i.shape[-1] - heads], axis=-1)
    b, c = np.split(xs @ p.w_k, 2, axis=-1)
    x, dt = x.reshape(len(x), heads, -1), _softplus(dt + p.b)
    scaled, log_a = x * dt[..., None], -np.exp(p.a_log) * dt
    decay = np.exp(np.cumsum(log_a, axis=0))  # [time, heads], from the start
    matrix = np.tril(np.ones((len(x), len(x))))[..., None]
    matrix = matrix * decay[:, None] / decay[None]  # from the end of s to the end of l
    y = np.einsum("ln,sn,lsh,shp->lhp", c, b, matrix, scaled)
    y = y + np.einsum("ln,lh,hpn->lhp", c, decay, state[0]) + p.d[:, None] * x
    end = np.einsum("sn,sh,shp->hpn", b, matrix[-1], scaled)
    end = end + decay[-1][:, None, None] * state[0]
    return (end,), list(y.reshape(len(y), -1))


def _naive_recurrent_gla(q, k, v, gk, state):
    """fla-org/flash-linear-attention, fla/ops/gla/naive.py: naive_recurrent_gla."""
    h, ys = state, []
    for q_i, k_i, v_i, gk_i in zip(q * q.shape[-1] ** -0.5, k, v, gk, strict=True):
        h = h * np.exp(gk_i)[..., None] + k_i[..., None] * v_i[:, None, :]
        ys.append((q_i[..., None] * h).sum(-2).ravel())
    return (h,), ys


def gla(p: Any, state: Any, xs: np.ndarray) -> tuple[Any, list[np.ndarray]]:
    """fla-org/flash-linear-attention, fla/layers/gla.py, up to the normalization."""
    q, k, v = (y.reshape(-1, *p.b.shape) for y in np.split(xs @ p.w_i, 3, axis=-1))
    gk = (xs @ p.w_low @ p.w_high).reshape(q.shape) + p.b
    return _naive_recurrent_gla(q, k, v, -_softplus(-gk) / 16, *state)


def hgrn2(
    p: Any, state: Any, xs: np.ndarray, lower_bound: float = 0.5
) -> tuple[Any, list[np.ndarray]]:
    """fla-org/flash-linear-attention, fla/layers/hgrn2.py, up to the normalization."""
    q, f, i = (y.reshape(-1, *p.b.shape) for y in np.split(xs @ p.w_i, 3, axis=-1))
    with np.errstate(divide="ignore"):  # the log of a bound of 0
        g = np.log1p(-lower_bound) - _softplus(-(f + p.b))
        g = np.logaddexp(np.log(lower_bound), g)
    return _naive_recurrent_gla(q * _sigmoid(q), 1 - np.exp(g), i, g, *state)


def rwkv_7(p: Any, state: Any, xs: np.ndarray) -> tuple[Any, list[np.ndarray]]:
    """fla-org/flash-linear-attention, fla/layers/rwkv7.py, from the projections on.

    The recurrence is that of fla/ops/rwkv7: naive_recurrent_rwkv7, with a state that is
    value by key, and a = -kk and b = kk a.
    """
    r, k, v = (y.reshape(-1, *p.k_k.shape) for y in np.split(xs @ p.w_i, 3, axis=-1))
    w = (np.tanh(xs @ p.w_low[0]) @ p.w_high[0]).reshape(k.shape) + p.b[0]
    w = -0.6065306597126334 * _sigmoid(w)
    a = _sigmoid((xs @ p.w_low[1] @ p.w_high[1]).reshape(k.shape) + p.b[1])
    kk = k * p.k_k
    kk = kk / np.linalg.norm(kk, axis=-1, keepdims=True)
    k = k + k * (a - 1) * p.k_a
    s, ys = np.swapaxes(state[0], -1, -2), []
    for r_t, w_t, k_t, v_t, a_t, b_t in zip(r, w, k, v, -kk, kk * a, strict=True):
        sab = np.einsum("hik,hk,hj->hij", s, a_t, b_t)
        s = s * np.exp(w_t)[:, None, :] + sab + np.einsum("hj,hi->hij", k_t, v_t)
        ys.append(np.einsum("hj,hij->hi", r_t, s).ravel())
    return (np.swapaxes(s, -1, -2),), ys


def aussm(p: Any, state: Any, xs: np.ndarray) -> tuple[Any, list[np.ndarray]]:
    """arjunkaruvally/AUSSM, extension-cpp/extension_cpp/ops.py.

    reference_ssm_adaptive_unitary_optimized_polar, which sums what was written, turned
    back to the start by all angles so far, and turns the sum forward again.
    """
    u = xs @ p.w_i
    d = u.shape[-1]
    dt = _softplus(u @ p.w_u @ p.w_s + p.b)
    g = np.cumsum(np.einsum("jin,lj->lin", p.w_a, u) / np.sqrt(d) + p.phase, axis=0)
    u = u * _sigmoid(u)
    b_r, c_r = _softplus(p.b_size), _softplus(p.c_size)
    scale = (dt * u)[..., None]
    re = np.cumsum(b_r * np.cos(p.b_angle - g) * scale, axis=0) + state[0].real
    im = np.cumsum(b_r * np.sin(p.b_angle - g) * scale, axis=0) + state[0].imag
    y = c_r * (np.cos(p.c_angle + g) * re - np.sin(p.c_angle + g) * im)
    end = np.exp(1j * g[-1]) * (re[-1] + 1j * im[-1])
    return (end,), list(y.sum(-1) + u * p.d)
