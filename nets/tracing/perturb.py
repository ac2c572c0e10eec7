"""Perturb the state produced by each step, without modifying the cell."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nets.tracing.jaxpr import evaluate, inner_jaxpr, is_variable, wrapped
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
        pairs = [(leaf, leaf) for leaf in jax.tree.leaves(args)]
        values = [value for _, value in _run(program, pairs, perturbations)]
        return jax.tree.unflatten(jax.tree.structure(outputs), values)

    return moved


def _run(program, pairs, perturbations):
    """Evaluate a closed jaxpr, adding perturbations[i] to the variable of output i.

    Every variable has a pair of values: without and with the perturbation. A variable
    of the state is perturbed by its own delta only; other variables follow the
    variables that they are computed from. A value that does not follow the state is
    computed once.
    """
    jaxpr = program.jaxpr
    pending = {}
    for variable, delta in zip(jaxpr.outvars, perturbations, strict=True):
        if delta is not None and is_variable(variable):
            pending.setdefault(variable, delta)
    values = dict(zip(jaxpr.invars, pairs, strict=True))
    for variable, value in zip(jaxpr.constvars, program.consts, strict=True):
        values[variable] = value, value
    for variable in [v for v in pending if v in values]:  # no equation computes these
        plain, _ = values[variable]
        values[variable] = plain, plain + pending[variable]

    used = {v for equation in jaxpr.eqns for v in equation.invars if is_variable(v)}
    used |= {v for v in jaxpr.outvars if is_variable(v)}

    def read(variable):
        return (
            values[variable] if is_variable(variable) else (variable.val, variable.val)
        )

    for equation in jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        holds = [pending.get(variable) for variable in equation.outvars]
        held = any(hold is not None for hold in holds)
        inner = inner_jaxpr(equation)
        if held and inner is not None:
            results = _run_inside(equation, inner, inputs, holds)
        else:
            holds = _shared(equation, holds, used) if held else holds
            plain = evaluate(jaxpr, equation, [plain for plain, _ in inputs])
            follows = any(moved is not plain for plain, moved in inputs)
            moved = (
                evaluate(jaxpr, equation, [moved for _, moved in inputs])
                if follows
                else plain
            )
            results = [
                (before, after if hold is None else before + hold)
                for before, after, hold in zip(plain, moved, holds, strict=True)
            ]
        values.update(zip(equation.outvars, results, strict=True))

    def leave(variable, delta):
        plain, moved = read(variable)
        return plain, moved if delta is None else plain + delta

    return [leave(*pair) for pair in zip(jaxpr.outvars, perturbations, strict=True)]


def _run_inside(equation, program, pairs, perturbations):
    """`_run`, under the checkpoint that the program is in, if it is in one."""

    def run(plain, moved, perturbations):
        pairs = [(p, p if m is None else m) for p, m in zip(plain, moved, strict=True)]
        return apart(_run(program, pairs, perturbations))

    def apart(pairs):  # None where a value does not follow the state
        plain = [plain for plain, _ in pairs]
        return plain, [None if moved is plain else moved for plain, moved in pairs]

    plain, moved = wrapped(equation, run)(*apart(pairs), perturbations)
    return [(p, p if m is None else m) for p, m in zip(plain, moved, strict=True)]


def _shared(equation, holds, used):
    """Perturbations of one operation: outputs that are one variable share theirs.

    An operation may return its new state twice, as state and as output. If it returns
    another value too, the dependence of that value on the state is unknown.
    """
    inner = equation.params.get("branches") or [equation.params.get("call_jaxpr")]
    twins = [None if program is None else program.jaxpr.outvars for program in inner]
    shared = list(holds)
    for i, variable in enumerate(equation.outvars):
        if holds[i] is not None or variable not in used:
            continue
        alike = [
            hold
            for j, hold in enumerate(holds)
            if hold is not None and all(t is not None and t[i] is t[j] for t in twins)
        ]
        if not alike:
            raise ValueError(
                "expected a step whose output is computed from its new state in the "
                f"open; it comes with the state out of one {equation.primitive.name}, "
                "so dL/ds_t cannot be told; return the output from outside of it"
            )
        shared[i] = alike[0]
    return shared
