"""Perturb the state produced by each step, without modifying the cell."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nets.tracing.jaxpr import evaluate, inner_jaxpr, interpret, is_variable, wrapped
from nets.types import State


def perturbed(step: Callable[..., tuple[State, Any]]) -> Callable[..., Any]:
    """The same step, with a perturbation of the state it produces.

        s_t = s(s_{t-1}, x_t) + delta_t,   y_t = y(s_t, s_{t-1}, x_t)

    The state is one vector, whose entries (h and c of an LSTM) are perturbed
    independently. The output follows the state wherever the step computes it from the
    new state, as in y_t = h_t. So dL/ddelta_t at 0 is the total dL/ds_t, including the
    path through the output of step t.

    The step is traced, and its jaxpr is followed through `jax.jit` and
    `jax.checkpoint`, whose contents are still recomputed in the backward pass. Other
    operations that contain a jaxpr (a `custom_vjp`, a `cond`) are evaluated as one
    operation with their own derivative; an output of such an operation that is the new
    state follows the state. A new state that is an argument of the step, such as an
    entry of the old state that is returned unchanged, is the same variable, and the
    output follows it too. If two entries of the state are the same variable, an output
    follows the first. Entries that are not real numbers, such as a counter, are not
    perturbed.

    Args:
        step: `state, y = step(*args)`, such as the step of a cell.

    Returns:
        `state, y = moved(delta, *args)`, where `delta` has the structure and shapes of
        the state.

    Raises:
        ValueError: In the returned function, if the step computes state and output
            inside one operation, such as a `scan`, so that the output cannot follow.

    Example:
        >>> step = perturbed(lambda state, x: (0.5 * state + x,) * 2)
        >>> state, y = step(jnp.array([1.0]), jnp.array([4.0]), jnp.array([3.0]))
        >>> state.item(), y.item()
        (6.0, 6.0)
    """

    def moved(delta, *args):
        program, outputs = jax.make_jaxpr(step, return_shape=True)(*args)
        perturbations = [
            d if jnp.issubdtype(s.dtype, jnp.inexact) else None
            for d, s in zip(
                jax.tree.leaves(delta), jax.tree.leaves(outputs[0]), strict=True
            )
        ]
        perturbations += [None] * (len(program.jaxpr.outvars) - len(perturbations))
        values = _run(program, jax.tree.leaves(args), perturbations)
        return jax.tree.unflatten(
            jax.tree.structure(outputs), [_perturbed(value) for value in values]
        )

    return moved


class _Pair(NamedTuple):
    """Value of a variable that follows the state, without and with the perturbation."""

    plain: Any
    perturbed: Any


def _plain(value):
    """Value without the perturbation."""
    return value.plain if isinstance(value, _Pair) else value


def _perturbed(value):
    """Value with the perturbation."""
    return value.perturbed if isinstance(value, _Pair) else value


def _plus(value, delta):
    """Pair of a value and its sum with `delta`; the value if there is no delta."""
    plain = _plain(value)
    return value if delta is None else _Pair(plain, plain + delta)


def _run(program, inputs, perturbations):
    """Interpret a closed jaxpr, adding perturbations[i] to the variable of output i.

    A variable of the state is perturbed by its delta only. All other variables are
    computed from perturbed variables: a value that follows the state is a `_Pair`, and
    a value that does not follow the state is computed once.
    """
    jaxpr = program.jaxpr
    pending = {}
    for variable, delta in zip(jaxpr.outvars, perturbations, strict=True):
        if delta is not None and is_variable(variable):
            pending.setdefault(variable, delta)
    used = {v for equation in jaxpr.eqns for v in equation.invars if is_variable(v)}
    used |= {v for v in jaxpr.outvars if is_variable(v)}

    def rule(equation, inputs):
        deltas = [pending.get(variable) for variable in equation.outvars]
        if any(delta is not None for delta in deltas):
            inner = inner_jaxpr(equation)
            if inner is not None:
                return wrapped(equation, partial(_run, inner))(inputs, deltas)
            deltas = _shared(equation, deltas, used)
        plain = moved = evaluate(jaxpr, equation, [_plain(value) for value in inputs])
        if any(isinstance(value, _Pair) for value in inputs):
            moved = evaluate(jaxpr, equation, [_perturbed(value) for value in inputs])
        return [
            _plus(p if m is p else _Pair(p, m), delta)
            for p, m, delta in zip(plain, moved, deltas, strict=True)
        ]

    def perturb(variables, values):  # the variables that no equation computes
        return [
            _plus(value, pending.get(variable))
            for variable, value in zip(variables, values, strict=True)
        ]

    inputs = perturb(jaxpr.invars, inputs)
    consts = perturb(jaxpr.constvars, program.consts)
    outputs = interpret(jaxpr, consts, inputs, rule)
    return [
        _plus(output, delta)
        for output, delta in zip(outputs, perturbations, strict=True)
    ]


def _shared(equation, deltas, used):
    """Perturbations of one operation: outputs that are one variable share theirs.

    An operation may return its new state twice, as state and as output. If it also
    returns a different value, the dependence of that value on the state is unknown.
    """
    inner = equation.params.get("branches") or [equation.params.get("call_jaxpr")]
    twins = [None if program is None else program.jaxpr.outvars for program in inner]
    shared = list(deltas)
    for i, variable in enumerate(equation.outvars):
        if deltas[i] is not None or variable not in used:
            continue
        alike = [
            delta
            for j, delta in enumerate(deltas)
            if delta is not None and all(t is not None and t[i] is t[j] for t in twins)
        ]
        if not alike:
            raise ValueError(
                "expected a step whose output is computed from its new state in the "
                f"open; one {equation.primitive.name} returns both output and state, "
                "so dL/ds_t is unknown: compute the output outside of it"
            )
        shared[i] = alike[0]
    return shared
