"""Cells as others write them: odd inputs, states, parameters and steps.

Each entry of `FOREIGN` is a function without arguments that returns a `Foreign`, so
that its arrays have the dtype of the test that asks for it.
"""

import dataclasses
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import nets

NOTHING: Any = None  # what nobody asks of these cells

TIME, BATCH, INPUTS, UNITS = 3, 2, 2, 3


class Foreign(NamedTuple):
    """A cell and all that is needed to run it.

    Attributes:
        cell: The `Cell`.
        params: Its parameters.
        xs: Its inputs, [time, *batch, ...].
        read: `y = read(params, state, x)`, the output as a function of the new state.
        state: The state before the first step; None for the cell's own.
        batch: Sizes of the batch axes.
        close: Relative tolerance; above rounding where the state is float32.
        forward: Whether its step can be differentiated forward.
    """

    cell: nets.Cell
    params: Any
    xs: Any
    read: Callable[[Any, Any, Any], Any] = lambda params, state, x: state
    state: Any = None
    batch: tuple[int, ...] = (BATCH,)
    close: float = 1e-8
    forward: bool = True


def draw(*shape, seed=0, scale=0.6):
    """Normal numbers, NumPy's."""
    return jnp.asarray(scale * np.random.default_rng(seed).standard_normal(shape))


def weights(inputs=INPUTS, units=UNITS):
    return draw(inputs, units, seed=1), draw(units, units, seed=2)


def inputs(*shape, seed=3):
    return draw(TIME, *(shape or (BATCH, INPUTS)), seed=seed)


def zeros(units=UNITS):
    """An `initial_state`: zeros of so many units, like the last input."""

    def first(params, x):
        return jnp.zeros((*jax.tree.leaves(x)[-1].shape[:-1], units))

    return first


def own(step, first=None):
    return nets.Cell(NOTHING, first or zeros(), step)


def tanh_step(params, h, x):
    h = jnp.tanh(x @ params[0] + h @ params[1])
    return h, h


# Odd inputs.


def time_aware():
    """The time between two inputs comes first, without an axis of features."""

    def step(p, h, x):
        h = h + x["dt"][..., None] * (jnp.tanh(x["x"] @ p[0] + h @ p[1]) - h)
        return h, h

    dt = jnp.abs(inputs(BATCH, seed=4))
    return Foreign(own(step), weights(), {"dt": dt, "x": inputs()})


def _of_numbers(dtype):
    def step(p, h, x):
        h = jnp.tanh(x.astype(h.dtype) @ p[0] + h @ p[1])
        return h, h

    return Foreign(own(step), weights(), (inputs() > 0).astype(dtype))


def tokens():
    """Integers without an axis of features, one a sequence."""

    def first(p, x):
        return jnp.zeros((*x.shape, UNITS))

    def step(p, h, x):
        h = jnp.tanh(p[0][x] + h @ p[1])
        return h, h

    xs = jnp.asarray(np.random.default_rng(5).integers(0, INPUTS, (TIME, BATCH)))
    return Foreign(own(step, first), weights(), xs)


def two_batch_axes():
    xs = inputs(2, 3, INPUTS)
    return Foreign(own(tanh_step), weights(), xs, batch=(2, 3))


def no_batch():
    return Foreign(own(tanh_step), weights(), inputs(INPUTS), batch=())


def no_inputs():
    """Inputs of no features: an autonomous system, from a state that is given."""

    def step(w, h, x):
        h = jnp.tanh(h @ w)
        return h, h

    start, xs = draw(BATCH, UNITS, seed=6), jnp.zeros((TIME, BATCH, 0))
    return Foreign(own(step), 2 * weights()[1], xs, state=start)


def image():
    """A state [*batch, places, filters], under a convolution of width 3."""

    def step(w, h, x):
        around = sum(jnp.roll(h, i - 1, axis=-2) @ w[i] for i in range(3))
        h = jnp.tanh(x + around)
        return h, h

    cell = nets.Cell(NOTHING, lambda w, x: jnp.zeros(x.shape), step, spatial_dims=1)
    return Foreign(cell, draw(3, 2, 2, seed=7), inputs(BATCH, 4, 2))


def guarded():
    """Inputs that are missing are NaN, and read as 0."""

    def step(p, h, x):
        h = jnp.tanh(jnp.where(jnp.isnan(x), 0, x) @ p[0] + h @ p[1])
        return h, h

    return Foreign(own(step), weights(), inputs().at[2, 0].set(jnp.nan))


# Odd states.


def delay_line():
    """A tuple, each entry of which is another one's past."""

    def step(w, s, x):
        s = (jnp.tanh(x + s[2] @ w), s[0], s[1])
        return s, s[2]

    first = lambda w, x: (jnp.zeros_like(x),) * 3  # noqa: E731
    read = lambda w, s, x: s[2]  # noqa: E731
    return Foreign(own(step, first), draw(2, 2, seed=8), inputs(), read)


def keeping():
    """An entry that is passed on as it is, and one that is no longer needed."""

    def step(p, s, x):
        h = jnp.tanh(x @ p[0] + s["h"] @ p[1] + s["bias"])
        return {"h": h, "bias": s["bias"], "none": None}, h

    def first(p, x):
        h = zeros()(p, x)
        return {"h": h, "bias": 0.1 + h, "none": None}

    return Foreign(own(step, first), weights(), inputs(), lambda p, s, x: s["h"])


def _with(entry, after):
    """A tanh cell with an entry that is no coordinate: `entry(x)`, then `after(it)`."""

    def step(p, s, x):
        scale = (
            1 + 0.1 * jnp.sin(s["n"]) if jnp.issubdtype(s["n"].dtype, jnp.number) else 1
        )
        h = jnp.tanh(scale * (x @ p[0]) + s["h"] @ p[1])
        return {"h": h, "n": after(s["n"])}, h

    def first(p, x):
        return {"h": zeros()(p, x), "n": entry(x)}

    return Foreign(own(step, first), weights(), inputs(), lambda p, s, x: s["h"])


def check_scalar_loss():
    """A leaky integrator: one number a sequence, [*batch]."""

    def step(a, h, x):
        h = jnp.tanh(x.sum(axis=-1) + a * h)
        return h, h[..., None]

    first = lambda a, x: jnp.zeros(x.shape[:-1])  # noqa: E731
    read = lambda a, h, x: h[..., None]  # noqa: E731
    return Foreign(own(step, first), jnp.array(0.5), inputs(), read)


def logistic_map():
    def step(r, h, x):
        h = r * h * (1 - h)
        return h, h

    first = lambda r, x: jnp.full(x.shape, 0.3)  # noqa: E731
    return Foreign(own(step, first), jnp.array(3.9), jnp.zeros((TIME, BATCH, 1)))


def rotating():
    """Complex numbers, which are two coordinates each."""

    def step(p, z, x):
        z = (
            jnp.broadcast_to(p["turn"], z.shape) * z / jnp.sqrt(1 + jnp.abs(z) ** 2)
            + x @ p["w"]
        )
        return z, z.real

    p = {"turn": 0.9 * jnp.exp(1j * jnp.arange(1.0, 1 + UNITS)), "w": weights()[0]}
    first = lambda p, x: zeros()(p, x) + 0.3j  # noqa: E731
    return Foreign(own(step, first), p, inputs(), lambda p, z, x: z.real)


def fast_weights():
    """A matrix, and an output that is no part of the state."""

    def step(p, m, x):
        key = jnp.tanh(x @ p[0])
        m = 0.9 * m + jnp.sin(m) * (key[..., :, None] * key[..., None, :])
        return m, read(p, m, x)

    def read(p, m, x):
        return jnp.einsum("...ij,...j->...i", m, jnp.cos(x @ p[0]))

    first = lambda p, x: 0.5 + jnp.zeros((*x.shape[:-1], UNITS, UNITS))  # noqa: E731
    return Foreign(own(step, first), weights(), inputs(), read)


def of_two_dtypes():
    """A float32 entry next to one of the default dtype."""

    def step(p, s, x):
        h, slow = s
        slow = (0.9 * slow + 0.1 * h).astype(jnp.float32)
        h = jnp.tanh(x @ p[0] + (h + slow) @ p[1])
        return (h, slow), h

    def first(p, x):
        return zeros()(p, x), zeros()(p, x).astype(jnp.float32)

    read = lambda p, s, x: s[0]  # noqa: E731
    return Foreign(own(step, first), weights(), inputs(), read, close=1e-5)


def with_an_empty_entry():
    def step(p, s, x):
        h = jnp.tanh(x @ p[0] + s[0] @ p[1])
        return [h, s[1]], h

    first = lambda p, x: [zeros()(p, x), zeros(0)(p, x)]  # noqa: E731
    return Foreign(own(step, first), weights(), inputs(), lambda p, s, x: s[0])


def without_a_first_state():
    cell = nets.Cell(NOTHING, NOTHING, tanh_step)
    return Foreign(cell, weights(), inputs(), state=draw(BATCH, UNITS, seed=6))


# Odd parameters.


@dataclasses.dataclass(eq=True)
class _Module:
    """A module as others have them: compared by its arrays, and without a hash."""

    w_i: jax.Array
    w_h: jax.Array

    def initial_state(self, params, x):
        return zeros()(params, x)

    def step(self, params, h, x):
        return tanh_step((self.w_i, self.w_h), h, x)


def bound_methods():
    module = _Module(*weights())
    return Foreign(nets.Cell(NOTHING, module.initial_state, module.step), (), inputs())


def function_in_the_parameters():
    """As in an Equinox module, whose activation is a leaf."""

    def step(p, h, x):
        h = p["activation"](x @ p["w"][0] + h @ p["w"][1])
        return h, h

    p = {"activation": jnp.tanh, "name": "h", "w": weights()}
    return Foreign(own(step), p, inputs())


def _masked(dtype):
    def step(p, h, x):
        h = jnp.tanh(x @ p["w"][0] + h @ (p["w"][1] * p["mask"]))
        return h, h

    mask = (1 - jnp.eye(UNITS)).astype(dtype)
    return Foreign(own(step), {"mask": mask, "w": weights()}, inputs())


def closure():
    """Weights that the step closes over."""
    w = weights()
    return Foreign(own(lambda p, h, x: tanh_step(w, h, x)), (), inputs())


# Odd steps.


def substeps():
    """A loop in the step: Euler's method."""

    def step(p, h, x):
        def euler(h, _):
            return h + 0.2 * (jnp.tanh(x @ p[0] + h @ p[1]) - h), None

        h, _ = jax.lax.scan(euler, h, None, length=3)
        return h, h

    return Foreign(own(step), weights(), inputs())


def branching():
    """A step that is another one when the first input is large."""

    def step(p, h, x):
        large = jnp.abs(x).max() > 0.7
        h = jax.lax.cond(
            large, lambda h: tanh_step(p, h, x)[0], lambda h: 0.8 * h + x @ p[0], h
        )
        return h, h

    return Foreign(own(step), weights(), inputs())


@jax.custom_jvp
def _hard(a):
    return jnp.clip(a, -1, 1)


@_hard.defjvp
def _soft(primals, tangents):
    (a,), (da,) = primals, tangents
    return _hard(a), da / jnp.cosh(a) ** 2  # a surrogate, which is not 0


@jax.custom_vjp
def _backward_only(a):
    return jnp.tanh(a)


_backward_only.defvjp(lambda a: (jnp.tanh(a), a), lambda a, g: (g / jnp.cosh(a) ** 2,))


def _activated(activation, **how):
    def step(p, h, x):
        h = activation(x @ p[0] + h @ p[1])
        return h, h

    return Foreign(own(step), weights(), inputs(), **how)


def normalized():
    """Layer normalization, under which one direction is lost in every step."""

    def step(p, h, x):
        a = x @ p[0] + h @ p[1]
        a = a - a.mean(axis=-1, keepdims=True)
        h = a / jnp.sqrt((a**2).mean(axis=-1, keepdims=True) + 0.1)
        return h, h

    return Foreign(own(step), weights(), inputs())


def relu_net():
    """Some units are dead in each step."""

    def step(p, h, x):
        h = jax.nn.relu(x @ p[0] + h @ p[1])
        return h, h

    start = jnp.abs(draw(BATCH, 6, seed=6))
    return Foreign(
        own(step, zeros(6)),
        (3 * weights(units=6)[0], weights(units=6)[1]),
        inputs(),
        state=start,
    )


def reservoir():
    """Sparse weights, of lower rank than there are units."""
    rng = np.random.default_rng(9)
    w = np.where(rng.random((8, 8)) < 0.2, rng.standard_normal((8, 8)), 0)
    w_i = rng.uniform(-0.5, 0.5, (INPUTS, 8))
    return Foreign(
        own(tanh_step, zeros(8)), (jnp.asarray(w_i), jnp.asarray(w)), inputs()
    )


# Cells of other libraries.


def _converted(convert, library, name, read=None):
    def foreign():
        cell = convert(getattr(importlib.import_module(library), name))
        like = jax.eval_shape(lambda: cell.init(jax.random.key(0), INPUTS, UNITS))
        leaves, tree = jax.tree.flatten(like)
        drawn = [draw(*leaf.shape, seed=10 + i) for i, leaf in enumerate(leaves)]
        params = jax.tree.unflatten(tree, drawn)
        return Foreign(cell, params, inputs(), read or (lambda params, state, x: state))

    return foreign


FOREIGN: dict[str, Callable[[], Foreign]] = {
    "time-aware inputs": time_aware,
    "integer inputs": partial(_of_numbers, jnp.int32),
    "boolean inputs": partial(_of_numbers, bool),
    "tokens": tokens,
    "two batch axes": two_batch_axes,
    "no batch": no_batch,
    "no inputs": no_inputs,
    "an image": image,
    "NaN-guarded": guarded,
    "a delay line": delay_line,
    "an entry that is kept": keeping,
    "a counter": partial(_with, lambda x: jnp.zeros((), int), lambda n: n + 1),
    "counters": partial(
        _with, lambda x: jnp.zeros((*x.shape[:-1], 1), int), lambda n: n + 1
    ),
    "a key": partial(
        _with, lambda x: jax.random.key(0), lambda key: jax.random.split(key)[0]
    ),
    "one number": check_scalar_loss,
    "logistic map": logistic_map,
    "complex numbers": rotating,
    "fast weights": fast_weights,
    "two dtypes": of_two_dtypes,
    "an empty entry": with_an_empty_entry,
    "without a first state": without_a_first_state,
    "bound methods": bound_methods,
    "a function in the parameters": function_in_the_parameters,
    "a mask of booleans": partial(_masked, bool),
    "a mask of integers": partial(_masked, int),
    "a closure": closure,
    "substeps": substeps,
    "a branch": branching,
    "a checkpoint": lambda: Foreign(
        own(jax.checkpoint(tanh_step)), weights(), inputs()
    ),
    "a jitted step": lambda: Foreign(own(jax.jit(tanh_step)), weights(), inputs()),
    "custom_jvp": partial(_activated, _hard),
    "custom_vjp": partial(_activated, _backward_only, forward=False),
    "layer normalization": normalized,
    "a ReLU net": relu_net,
    "a sparse reservoir": reservoir,
    "Linen's LSTM": _converted(
        nets.from_linen, "flax.linen", "LSTMCell", lambda p, s, x: s[1]
    ),
    "NNX's GRU": _converted(nets.from_nnx, "flax.nnx", "GRUCell"),
    "Equinox's LSTM": _converted(
        nets.from_equinox, "equinox.nn", "LSTMCell", lambda p, s, x: s[0]
    ),
    "Haiku's GRU": _converted(nets.from_haiku, "haiku", "GRU"),
}
