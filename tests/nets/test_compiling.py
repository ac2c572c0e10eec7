"""A second call outside jit does not compile again, and is not stale."""

import gc
import threading
import types
import weakref
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets

XS = jnp.asarray(np.random.default_rng(0).standard_normal((4, 2, 3)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2)), jnp.float32)
LSTM = nets.lstm()
PARAMS = LSTM.init(jax.random.key(0), 3, 2)


@pytest.fixture
def compilations():
    """Number of programs compiled so far, in a list of one number."""
    count = [0]

    def listen(event: str, duration_secs: float, **_: Any):
        count[0] += "backend_compile" in event

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield count
    jax.monitoring.unregister_event_duration_listener(listen)


def accumulator(step) -> nets.Cell:
    def initial_state(params, x):
        return jnp.zeros((*x.shape[:-1], 2), x.dtype)

    return nets.Cell(lambda key, inputs, features: W, initial_state, step)


def summed(params, xs=XS, cell=LSTM, **options):
    return (nets.unroll(cell, params, xs, **options)[1] ** 2).sum()


def both(xs, **options):
    params = nets.recurrent.BidirectionalParams(PARAMS, PARAMS)
    return nets.bidirectional(LSTM).apply(params, xs, **options)


def squares(state, ys):
    return (ys**2).sum()


CALLS = {
    "plain": lambda: nets.unroll(LSTM, PARAMS, XS),
    "a cell of the call": lambda: nets.unroll(nets.lstm(), PARAMS, XS),
    "lengths": lambda: nets.unroll(LSTM, PARAMS, XS, lengths=np.array([4, 2])),
    "mask": lambda: nets.unroll(LSTM, PARAMS, XS, mask=np.ones((4, 2), bool)),
    "remat": lambda: jax.grad(partial(summed, remat=True))(PARAMS),
    "truncate": lambda: jax.grad(partial(summed, truncate=3))(PARAMS),
    "parallel": lambda: nets.unroll(nets.min_gru(), MIN_GRU, XS, parallel=True),
    "key": lambda: nets.unroll(
        nets.zoneout(LSTM, hidden=0.5), PARAMS, XS, key=jax.random.key(0)
    ),
    "grad": lambda: jax.grad(summed)(PARAMS),
    "value and grad by inputs": lambda: jax.value_and_grad(summed, 1)(PARAMS, XS),
    "jvp": lambda: jax.jvp(summed, (PARAMS,), (PARAMS,)),
    "vmap": lambda: jax.vmap(partial(summed, PARAMS))(XS[None]),
    "grad of vmap": lambda: jax.grad(
        lambda p: jax.vmap(partial(summed, p))(XS[None]).sum()
    )(PARAMS),
    "both directions": lambda: both(XS, lengths=np.array([4, 2])),
    "state gradients": lambda: nets.flow.state_gradients(
        LSTM, PARAMS, XS, lambda state, ys: (ys**2).sum()
    ),
    "integrated gradients": lambda: nets.flow.integrated_gradients(
        LSTM, PARAMS, XS, squares, points=3
    ),
    "linear scan": lambda: nets.linear_scan(XS, XS, XS[0]),
}
MIN_GRU = nets.min_gru().init(jax.random.key(0), 3, 2)


@pytest.mark.parametrize("name", CALLS)
def test_an_equal_call_compiles_nothing(name, compilations):
    call = CALLS[name]
    first, again = call(), call()
    before = compilations[0]
    third = call()
    assert compilations[0] == before
    chex.assert_trees_all_equal(again, third)
    chex.assert_trees_all_close(first, third, rtol=1e-6)


def _own_cells():
    weights = jnp.eye(2)
    table = np.float32(0.5)

    def closing(params, state, x):
        state = jnp.tanh(state @ weights * table + x @ params)
        return state, state

    class Leak:
        rate = 0.5

        def step(self, params, state, x):
            state = self.rate * state + x @ params
            return state, state

    @jax.custom_vjp
    def spike(x):
        return jnp.where(x > 0, 1.0, 0.0)

    spike.defvjp(lambda x: (spike(x), x), lambda x, g: (g / (1 + x * x),))

    def spiking(params, state, x):
        state = spike(state + x @ params)
        return state, state

    yield "closes over arrays", closing
    yield "a method", Leak().step
    yield "jit", jax.jit(closing)
    yield "checkpoint", jax.checkpoint(closing)
    yield "vmap", jax.vmap(closing, in_axes=(None, 0, 0))
    yield "custom vjp", spiking
    yield "partial", partial(lambda rate, p, s, x: (rate * s + x @ p,) * 2, 0.5)


@pytest.mark.parametrize("name", [name for name, _ in _own_cells()])
def test_cells_of_ones_own_compile_once(name, compilations):
    cell = accumulator(dict(_own_cells())[name])
    gradient = jax.value_and_grad(partial(summed, cell=cell))
    gradient(W)
    before = compilations[0]
    value, _ = gradient(W)
    assert compilations[0] == before
    with jax.disable_jit():
        chex.assert_trees_all_close(value, summed(W, cell=cell), rtol=1e-5)


RATE = 1.0


def _changing():
    """Steps, and what changes what they compute."""
    box, table, holder = (
        [1.0],
        np.ones((1, 1), np.float32),
        types.SimpleNamespace(rate=1.0),
    )
    linear = nnx.Linear(2, 2, use_bias=False, rngs=nnx.Rngs(0))

    class Namespace:
        rate = 1.0

    class Own:
        rate = 1.0

        def step(self, params, state, x):
            return (self.rate * state + x @ params,) * 2

    def step_of(rate):
        return lambda params, state, x: (rate() * state + x @ params,) * 2

    def double():
        weights = linear.kernel.get_value()
        linear.kernel.set_value(2 * weights)

    def set_global():
        global RATE
        RATE = 0.5

    own, inner = Own(), [lambda: 1.0]
    rates = {
        "a list": (lambda: box[0], lambda: box.__setitem__(0, 0.5)),
        "NumPy's array": (lambda: table, lambda: table.fill(0.5)),
        "an object": (lambda: holder.rate, lambda: setattr(holder, "rate", 0.5)),
        "a class": (lambda: Namespace.rate, lambda: setattr(Namespace, "rate", 0.5)),
        "a global": (lambda: RATE, set_global),
        "a function": (lambda: inner[0](), lambda: inner.__setitem__(0, lambda: 0.5)),
    }
    yield from ((name, step_of(rate), change) for name, (rate, change) in rates.items())
    yield "an object's method", own.step, lambda: setattr(own, "rate", 0.5)
    yield "an NNX module", lambda p, s, x: (linear(s) + x @ p,) * 2, double


@pytest.mark.parametrize("name", [name for name, *_ in _changing()])
def test_what_a_step_closes_over_may_change(name):
    _, step, change = next(result for result in _changing() if result[0] == name)
    cell = accumulator(step)
    before = summed(W, cell=cell)
    assert summed(W, cell=cell) == before
    change()
    after = summed(W, cell=cell)
    assert after != before
    with jax.disable_jit():
        chex.assert_trees_all_close(after, summed(W, cell=cell), rtol=1e-5)


def test_steps_that_need_the_value_of_a_parameter():
    def step(params, state, x):
        rate, w = params
        return (float(rate) * state + x @ w,) * 2

    cell = accumulator(step)
    nets.unroll(cell, (jnp.array(0.5), W), XS)
    _, ys = nets.unroll(cell, (jnp.array(0.5), W), XS)
    chex.assert_trees_all_close(ys[1], 0.5 * XS[0] @ W + XS[1] @ W, rtol=1e-5)


def test_parameters_that_are_no_arrays(compilations):
    """As in a module of Equinox: functions, names, Python's numbers."""

    def step(params, state, x):
        assert params["name"] == "mine"
        return (params["act"](params["rate"] * state + x @ params["w"]),) * 2

    cell, params = accumulator(step), {"act": jnp.tanh, "name": "mine", "w": W}
    result = [summed({**params, "rate": rate}, cell=cell) for rate in (0.5, 0.0, -0.0)]
    assert result[0] != result[1] == result[2]
    before = compilations[0]
    assert summed({**params, "rate": 0.5}, cell=cell) == result[0]
    assert summed({**params, "act": jnp.sin, "rate": 0.5}, cell=cell) != result[0]
    assert compilations[0] > before  # of the second alone: another function


def test_cells_that_share_their_step_are_distinguished():
    one = nets.zoneout(LSTM, hidden=0.9)
    assert one.init is LSTM.init
    ones, others = (nets.unroll(cell, PARAMS, XS)[1] for cell in (one, LSTM))
    assert jnp.abs(ones - others).max() > 0.01
    shifted = LSTM._replace(
        initial_state=lambda params, x: jax.tree.map(
            lambda s: s + 1, LSTM.initial_state(params, x)
        )
    )
    assert (nets.unroll(shifted, PARAMS, XS)[1] != others).any()


def test_weak_types_stay():
    def step(params, state, x):
        return params * state, x

    cell = nets.Cell(None, lambda params, x: jnp.asarray(1.0), step)  # type: ignore
    xs = jnp.ones(3, jnp.bfloat16)
    rate = jnp.asarray(2.0)
    assert rate.weak_type
    state, ys = nets.unroll(cell, rate, xs)
    assert state.weak_type and state == 8 and ys.dtype == jnp.bfloat16


def test_a_program_goes_with_its_cell():
    held = []
    for i in range(3):
        weights = jnp.full((2, 2), float(i))
        cell = accumulator(
            lambda p, s, x, w=weights: (lambda new: (new, new))(s @ w + x @ p)
        )
        nets.unroll(cell, W, XS)
        held.append(weakref.ref(weights))
        del cell, weights
    gc.collect()
    assert [ref() for ref in held] == [None] * 3


@pytest.mark.slow
def test_tracers_do_not_leak():
    def of_weights(w):
        def step(params, state, x):
            return (jnp.tanh(state @ w + x @ params),) * 2

        return summed(W, cell=accumulator(step))

    eye = jnp.eye(2)
    with jax.checking_leaks():
        value = of_weights(eye)
        for run in jax.jit, lambda f: lambda x: jax.value_and_grad(f)(x)[0]:
            chex.assert_trees_all_close(run(of_weights)(eye), value, rtol=1e-5)
        jax.jit(jax.grad(of_weights))(eye)
        jax.vmap(of_weights)(eye[None])
        jax.grad(summed)(PARAMS)
        jax.vmap(partial(summed, PARAMS))(XS[None])


def test_under_jit_there_is_no_program_in_the_program():
    program = jax.make_jaxpr(partial(nets.unroll, LSTM))(PARAMS, XS)
    names = [equation.primitive.name for equation in program.jaxpr.eqns]
    assert names[-1] == "custom_jvp_call"  # the scan
    assert "jit" not in names


def test_threads(compilations):
    cell, errors = nets.lstm(forget_bias=0.123), []

    def run():
        try:
            for _ in range(5):
                nets.unroll(nets.lstm(forget_bias=0.123), PARAMS, XS)
        except Exception as error:
            errors.append(error)

    nets.unroll(cell, PARAMS, XS)
    before = compilations[0]
    threads = [threading.Thread(target=run) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors
    assert compilations[0] == before
