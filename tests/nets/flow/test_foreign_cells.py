"""Instruments of foreign cells against brute force.

Brute force knows no batch axes, no scan and no trajectory: it runs the steps in a loop,
all sequences as one system, moves the state between the steps, differentiates the whole
run in float64 and forward, and leaves the rest to NumPy.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign_cells import FOREIGN, TIME, Foreign

from nets import flow

# Cells whose spectra are compared as well: one of each kind of state and of batch, and
# two whose steps lose directions. For every cell, the Jacobians from which the spectra
# are made are compared; the programs of the spectra are the longest to compile.
SPECTRA = {
    "two batch axes",
    "an image",
    "a delay line",
    "a counter",
    "complex numbers",
    "two dtypes",
    "a ReLU net",
}


def moving(leaf):
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def coordinates(state, batch):
    """[*batch, n]: of complex numbers all real parts, then all imaginary ones."""
    parts = []
    for leaf in filter(moving, jax.tree.leaves(state)):
        flat = leaf.reshape(*batch, leaf.size // np.prod(batch, dtype=int))
        parts += [flat.real, flat.imag] if jnp.iscomplexobj(leaf) else [flat]
    return jnp.concatenate(parts, axis=-1).astype(float)


def moved(state, by):
    """The state, moved by coordinates [*batch, n]."""
    taken, leaves = 0, []
    for leaf in jax.tree.leaves(state):
        for unit in (1, 1j)[: 1 + jnp.iscomplexobj(leaf)] if moving(leaf) else ():
            size = np.prod(leaf.shape[by.ndim - 1 :], dtype=int)
            delta = by[..., taken : taken + size].reshape(leaf.shape)
            leaf, taken = leaf + (unit * delta).astype(leaf.dtype), taken + size
        leaves.append(leaf)
    return jax.tree.unflatten(jax.tree.structure(state), leaves)


def losses(ys, batch_axes):
    """A loss for each step and sequence, [time, *batch]."""
    return (jnp.sin(ys) + ys**2).sum(axis=tuple(range(1 + batch_axes, ys.ndim)))


class Brute(NamedTuple):
    """Found by brute force, of all sequences in one axis.

    Attributes:
        jacobians: [time, sequences, n, n].
        slopes: dL_t / ds_tau, [tau, t, sequences, n]; 0 for t < tau.
    """

    jacobians: Any
    slopes: Any


def brute(foreign: Foreign) -> Brute:
    cell, params, xs, read, state, batch, *_ = foreign
    derivative = jax.jacfwd if foreign.forward else jax.jacrev
    steps = [jax.tree.map(lambda x, t=t: x[t], xs) for t in range(TIME)]
    state = cell.initial_state(params, steps[0]) if state is None else state
    still = jnp.zeros_like(coordinates(state, batch))
    number, size = np.prod(batch, dtype=int), still.shape[-1]
    still = jnp.stack([still] * (TIME + 1))

    def run(by):
        """Losses and states of a run whose state is moved before and after each step.

        The states are those that leave the steps, before they are moved.
        """
        now, ys, states = moved(state, by[0]), [], []
        for x, after in zip(steps, by[1:], strict=True):
            now, _ = cell.step(params, now, x)
            states.append(coordinates(now, batch))
            now = moved(now, after)
            ys.append(read(params, now, x))
        states = jnp.moveaxis(jnp.stack(states), -1, 1)
        return losses(jnp.stack(ys), len(batch)), states

    slopes, jacobians = (
        d.reshape(TIME, -1, number, TIME + 1, number, size)
        for d in derivative(run)(still)
    )
    each = np.arange(number)  # of each sequence the derivatives by its coordinates
    slopes = slopes[:, 0, each, 1:, each]  # [sequences, t, tau, n]
    steps_of = np.arange(TIME)
    jacobians = jacobians[steps_of, :, :, steps_of][:, :, each, each]
    return Brute(jnp.moveaxis(jacobians, 1, 2), slopes.transpose(2, 1, 0, 3))


def measured(foreign: Foreign, spectra: bool) -> dict[str, Any]:
    """Results of the instruments, in the same shapes."""
    cell, params, xs, _, state, batch, *_ = foreign
    run, axes = (cell, params, xs), len(batch)

    def loss(state, ys):
        return losses(ys, axes).sum()

    _, gradients = flow.state_gradients(*run, loss, state)
    real = [jnp.conj(g) for g in jax.tree.leaves(gradients)]
    states = jax.tree.leaves(
        cell.initial_state(params, jax.tree.map(lambda x: x[0], xs))
        if state is None
        else state
    )
    real = [g for g, s in zip(real, states, strict=True) if moving(s)]
    result = {
        "gradients": coordinates(real, (TIME, *batch)),
        "lags": flow.lag_matrix(*run, lambda ys: losses(ys, axes), state),
        "jacobians": flow.step_jacobians(*run, state),
        "pascanu": flow.pascanu_penalty(*run, loss, state),
    }
    leading = {"gradients": 1, "lags": 2, "jacobians": 1}
    if spectra:
        result |= {
            "exponents": flow.lyapunov_spectrum(*run, state).exponents,
            "sigmas": flow.log_singular_values(*run, state, count=None),
            "flossing": flow.flossing_penalty(*run, state, target=-0.5),
        }
        leading |= {"exponents": 0, "sigmas": 1}
    number = np.prod(batch, dtype=int)
    for name, before in leading.items():
        a = result[name]
        shape = a.shape[:before], a.shape[before + axes :]
        assert a.shape[before : before + axes] == batch, f"{name}: {a.shape}"
        result[name] = a.reshape(*shape[0], number, *shape[1])
    return result


def spectrum_of(jacobians, batch):
    """The exponents by QR in NumPy, in the order of the columns."""
    shape = *batch, *jacobians.shape[-2:]
    start = jax.random.normal(jax.random.key(0), shape, jnp.float32).astype(float)
    start = jnp.linalg.qr(start)[0]
    columns = np.asarray(start).reshape(jacobians.shape[1:])
    total = np.zeros(jacobians.shape[1:-1])
    for j in jacobians:
        columns, upper = np.linalg.qr(j @ columns)
        with np.errstate(divide="ignore"):
            total = total + np.log(np.abs(np.diagonal(upper, axis1=-2, axis2=-1)))
    return total / TIME


def assert_close(name, result, right, close):
    """Equal to a tolerance, relative and of the largest."""
    right = np.asarray(right)
    largest = np.abs(right[np.isfinite(right)]).max(initial=1e-300)
    np.testing.assert_allclose(
        result, right, rtol=close, atol=close * largest, err_msg=name
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FOREIGN)
def test_instruments_are_brute_force(name, x64):
    foreign = FOREIGN[name]()
    close = foreign.close

    @jax.jit
    def both():
        return brute(foreign), measured(foreign, name in SPECTRA)

    (jacobians, slopes), result = jax.tree.map(np.asarray, both())
    g = slopes.sum(axis=1)
    assert_close("jacobians", result["jacobians"], jacobians, close)
    assert_close("gradients", result["gradients"], g, close)

    norms = np.linalg.norm(slopes, axis=-1)  # [tau, t, sequences]
    for t in range(TIME):
        with np.errstate(divide="ignore"):
            lags = np.log(norms[: t + 1, t][::-1])
        there = np.exp(result["lags"][t, : t + 1])
        assert_close("lags", there, np.exp(lags), close)
        assert np.isneginf(result["lags"][t, t + 1 :]).all()

    ratio = np.linalg.norm(np.einsum("tbi,tbij->tbj", g, jacobians), axis=-1)
    size = np.linalg.norm(g, axis=-1)
    ratio = np.divide(ratio, size, out=np.ones_like(size), where=size > 0)
    omega = ((ratio - 1) ** 2).sum() / g.shape[1]
    assert_close("pascanu", result["pascanu"], omega, close)

    if name in SPECTRA:
        assert_spectra_close(foreign, result, jacobians)


def assert_spectra_close(foreign, result, jacobians):
    """Exponents, singular values and flossing, by NumPy from the true Jacobians."""
    close, size = foreign.close, jacobians.shape[-1]
    exponents = spectrum_of(jacobians, foreign.batch)
    first, exponents = exponents[:, 0], -np.sort(-exponents, axis=-1)
    assert_close("flossing", result["flossing"], ((first + 0.5) ** 2).mean(), close)
    lost: Any = None
    product, rounding = np.eye(size)[None], 1e-12 if close < 1e-6 else 1e-8
    for t, j in enumerate(jacobians):
        product = j @ product
        sigmas = np.linalg.svd(product, compute_uv=False)
        lost = sigmas <= rounding * sigmas[:, :1]
        np.testing.assert_array_equal(np.isneginf(result["sigmas"][t]), lost)
        assert_close(
            "sigmas", np.exp(result["sigmas"][t]), np.where(lost, 0, sigmas), close
        )
    np.testing.assert_array_equal(np.isneginf(result["exponents"]), lost)
    kept = np.where(lost, 0, result["exponents"])
    assert_close("exponents", kept, np.where(lost, 0, exponents), 100 * close)
