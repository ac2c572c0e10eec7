"""`jax.lax.scan` with a backward pass that carries only the gradient by the state."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import PyTree

from nets.recurrent.linear_step import LinearStep, Step, linearize, replaced, step_of
from nets.recurrent.products_ahead import products_ahead, values_ahead
from nets.types import State

# A backward pass that reads more bytes than LARGE runs in chunks of about CHUNK bytes,
# whose terms stay in the cache. Shorter ones do not, as a loop over chunks takes longer
# to compile.
LARGE = 128_000_000
CHUNK = 4_000_000
UNROLLED = 4  # steps in one iteration of a loop on an accelerator

# Bytes of the products of the inputs that are computed before the loop. On a processor
# they stay in the cache. An accelerator saves a kernel in each step. Without
# derivatives, on a processor, all values that do not depend on the state are computed
# before the loop, which reads few other arrays: they need not fit into the cache.
AHEAD = 2_000_000
AHEAD_FORWARD = 16_000_000
AHEAD_ON_ACCELERATORS = 2_000_000_000


def scan(
    body: Callable[[State, Any], tuple[State, Any]],
    state: State,
    inputs: PyTree,
    *,
    reverse: bool = False,
) -> tuple[State, Any]:
    """`jax.lax.scan` over a recurrent step, with faster gradients.

    The derivative of a step s' = f(s, x, p) is

        ds' = A ds + u,    u = B dx + C dp,

    where p are all arrays that the step reads besides s and x, such as the parameters.
    The gradient of `jax.lax.scan` adds the gradient by p in each step of the backward
    loop. Here the loop carries only the gradient by the state, and keeps the gradients
    by u. Those by x and p follow from them for many steps at once, with one matrix
    product per matrix. Results are equal up to rounding.

    Steps are linearized once, in the forward pass, which keeps the outputs of products
    and of functions such as tanh. Values that follow from these by cheap operations,
    such as the slope 1 - tanh^2, are recomputed.

    All transformations of JAX apply: forward mode, higher derivatives, `jax.vmap`.

    Args:
        body: `state, out = body(state, x)`.
        state: Initial state.
        inputs: Arrays [time, ...].
        reverse: Read from the last step to the first.

    Returns:
        The last state, and the outputs [time, ...].

    Example:
        >>> w = jnp.array(0.5)
        >>> loss = lambda w: scan(lambda s, x: (w * s + x, s), 1.0, jnp.ones(3))[0]
        >>> float(loss(w)), float(jax.grad(loss)(w))
        (1.875, 2.75)
    """
    time = jax.tree.leaves(inputs)[0].shape[0]
    step = None
    if not jax.config.values["jax_disable_jit"] and time != 0:
        step = step_of(body, state, inputs)
    if step is None:
        return jax.lax.scan(body, state, inputs, reverse=reverse)
    consts, step = step.consts, step._replace(consts=[None] * len(step.consts))

    def loop(body, state, xs):
        options = {"length": None if xs else time, "unroll": _unrolled(time)}
        return jax.lax.scan(body, state, xs, reverse=reverse, **options)

    @jax.custom_jvp
    def run(consts, state, xs):
        if not _on_processor():
            now, xs = _with_products(step, consts, xs, time)
        elif ahead := values_ahead(step, time, AHEAD_FORWARD):
            kept = [xs[i] for i in ahead.kept]
            now, xs = ahead.step, [*kept, *ahead.values(consts, xs)]
        else:
            now = step
        return loop(lambda s, x: now.run(consts, s, x), state, xs)

    @partial(run.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        return _with_tangents(step, primals, tangents, loop, time, reverse)

    end, ys = run(consts, jax.tree.leaves(state), jax.tree.leaves(inputs))
    return jax.tree.unflatten(step.tree, [*end, *ys])


def _with_products(step: Step, consts, xs, time: Any, tangents: Any = None) -> Any:
    """A step that reads products of the inputs, and its inputs, or their tangents."""
    ahead = products_ahead(
        step, time, AHEAD if _on_processor() else AHEAD_ON_ACCELERATORS
    )
    if ahead is None:
        return (step, xs) if tangents is None else (step, xs, tangents[2])
    kept = [xs[i] for i in ahead.kept]
    if tangents is None:
        return ahead.step, [*kept, *ahead.values(consts, xs)]
    by_consts, by_inputs = _moving(tangents[0]), _moving(tangents[2])

    def values(some_consts, some_xs):
        return ahead.values(
            replaced(consts, by_consts, some_consts),
            replaced(xs, by_inputs, some_xs),
        )

    at = [consts[i] for i in by_consts], [xs[i] for i in by_inputs]
    along = [tangents[0][i] for i in by_consts], [tangents[2][i] for i in by_inputs]
    products, moved = jax.jvp(values, at, along)
    by_kept = [tangents[2][i] for i in ahead.kept]
    return ahead.step, [*kept, *products], [*by_kept, *moved]


def _with_tangents(step: Step, primals, tangents, loop, time: Any, reverse: bool):
    """Results of the scan, and their tangents."""
    consts, state, xs = primals
    step, xs, moved = _with_products(step, consts, xs, time, tangents)
    by_consts, given, by_inputs = map(_moving, (tangents[0], tangents[1], moved))
    by_state = [i for i, s in enumerate(state) if jnp.issubdtype(s.dtype, jnp.inexact)]
    by = by_consts, by_state, by_inputs
    linear = linearize(step, consts, state, xs, by)
    if linear.derivative.is_large(linear.stacked):
        return _in_the_loop(step, (consts, state, xs), (*tangents[:2], moved), by, loop)
    end, (ys, kept) = loop(lambda s, x: linear.run(consts, s, x), state, xs)
    start = [
        tangents[1][i] if i in given else jnp.zeros_like(state[i]) for i in by_state
    ]
    after, out = _tangents(
        linear,
        linear.saved(consts, xs, ys, kept),
        [tangents[0][i] for i in by_consts],
        start,
        [moved[i] for i in by_inputs],
        time,
        reverse,
    )
    return (end, ys), (_fill(end, after), _fill(ys, out))


def _in_the_loop(step: Step, primals, tangents, by, loop):
    """Results of the scan, and their tangents, as of `jax.lax.scan`."""

    def run(*chosen):
        args = zip(primals, by, chosen, strict=True)
        consts, state, xs = (replaced(*part) for part in args)
        return loop(lambda s, x: step.run(consts, s, x), state, xs)

    at = [[part[i] for i in where] for part, where in zip(primals, by, strict=True)]
    along = [
        [
            jnp.zeros_like(values[i]) if isinstance(part[i], SymbolicZero) else part[i]
            for i in where
        ]
        for values, part, where in zip(primals, tangents, by, strict=True)
    ]
    return jax.jvp(run, at, along)


def _tangents(linear: LinearStep, saved, by_consts, start, by_inputs, time, reverse):
    """Tangents of the last state and of the outputs.

    Values that are recomputed in the backward pass are checkpointed: otherwise they
    would be kept.
    """
    recomputed = partial(jax.checkpoint, prevent_cse=False)
    fixed, by_step = saved

    def apply(now, state, terms):
        return linear.apply((fixed, now), state, terms)

    def apply_at(now, state, terms):
        (t,) = now
        now = [jax.lax.dynamic_index_in_dim(a, t, keepdims=False) for a in by_step]
        return apply(now, state, terms)

    def part(state, first, by_inputs, steps):
        def terms(saved, first, by_consts, by_inputs):
            return linear.terms(saved, first, steps, by_consts, by_inputs)

        if steps is time:
            step, values = apply, by_step
        else:  # read from the whole arrays, so that no chunk of them is kept twice
            step, values = apply_at, [first + jnp.arange(steps)]
        terms = recomputed(terms)(saved, first, by_consts, by_inputs)
        return jax.lax.scan(
            lambda state, now: recomputed(step)(now[0], state, now[1]),
            state,
            (values, terms),
            length=None if values or terms else steps,
            reverse=reverse,
            unroll=_unrolled(steps),
        )

    steps = _chunk(time, sum(a.size * a.dtype.itemsize for a in saved[1]))
    if steps is time:
        return part(start, 0, by_inputs, time)
    count, rest = divmod(time, steps)
    most = count * steps
    offset = rest if reverse else 0  # the shorter part is read last

    def split(array):
        return array[offset : offset + most].reshape(count, steps, *array.shape[1:])

    firsts = offset + steps * jnp.arange(count)
    after, out = jax.lax.scan(
        lambda state, inputs: part(state, *inputs, steps),
        start,
        (firsts, [split(array) for array in by_inputs]),
        reverse=reverse,
    )
    out = [array.reshape(most, *array.shape[2:]) for array in out]
    if not rest:
        return after, out
    cut, first = (slice(0, rest), 0) if reverse else (slice(most, None), most)
    after, last = part(after, first, [array[cut] for array in by_inputs], rest)
    pairs = zip(last, out, strict=True) if reverse else zip(out, last, strict=True)
    return after, [jnp.concatenate(pair) for pair in pairs]


def _on_processor() -> bool:
    """True if programs run on a CPU."""
    return jax.default_backend() == "cpu"


def _unrolled(time: Any) -> int:
    """Number of steps in one iteration: an accelerator waits after each iteration."""
    if _on_processor() or not isinstance(time, int):  # JAX unrolls known numbers only
        return 1
    return UNROLLED


def _chunk(time: Any, size: Any) -> Any:
    """Number of steps in a chunk: a divisor of the time if one is near the target."""
    if not (isinstance(time, int) and isinstance(size, int)) or size <= LARGE:
        return time  # a size that is not known is not compared
    target = max(1, CHUNK * time // size)
    return next((n for n in range(target, 2 * target) if time % n == 0), target)


def _moving(tangents: Sequence[Any]) -> list[int]:
    """Positions of the tangents that are not known to be zero."""
    return [
        i
        for i, tangent in enumerate(tangents)
        if not isinstance(tangent, SymbolicZero) and tangent.dtype != jax.dtypes.float0
    ]


def _fill(values: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents of all values, of which only the real numbers have one."""
    rest = iter(tangents)
    return [
        next(rest)
        if jnp.issubdtype(value.dtype, jnp.inexact)
        else np.zeros(value.shape, jax.dtypes.float0)
        for value in values
    ]
