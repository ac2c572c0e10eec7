"""A step's output, where its new state is replaced after the step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nets.tracing.jaxpr import inner_jaxpr, is_variable
from nets.tracing.perturb import perturbed
from nets.types import State


def replace_state(
    step: Callable[[State], tuple[State, Any]],
    old: State,
    out: tuple[State, Any],
    replaced: State,
) -> tuple[State, Any]:
    """The replaced state, and the output that the step computes from it.

        s' = replaced,    y' = y(s', s, x) where the step returned y(s_new, s, x)

    An array of the output that is one of the new state is the replaced one, to the last
    digit, through `jax.jit`, `jax.checkpoint` and custom derivatives too; others are
    computed from it.

    Args:
        step: `state, y = step(old)`.
        old: The state before the step.
        out: Output that the step returned for it.
        replaced: Tree that replaces the new state.

    Returns:
        `replaced`, and the output.

    Raises:
        ValueError: The step computes the state and more inside one operation, such as a
            `scan`, so that the output cannot follow the state.

    Example:
        >>> step = jax.jit(lambda state: (state + 1,) * 2)
        >>> state, y = replace_state(step, 1.0, step(1.0), 7.0)
        >>> float(y)
        7.0
    """
    new, y = out
    program = jax.make_jaxpr(step)(old).jaxpr
    names = _names(program, program.invars)
    leaves, tree = jax.tree.flatten(y)
    count = len(names) - len(leaves)
    moved = {
        name: after
        for name, before, after in zip(
            names[:count], jax.tree.leaves(new), jax.tree.leaves(replaced), strict=True
        )
        if after is not before
    }
    if not all(name in moved for name in names[count:]):
        delta = jax.tree.map(_difference, replaced, new)
        try:
            leaves = jax.tree.leaves(perturbed(step)(delta, old)[1])
        except ValueError as error:
            raise ValueError(
                "expected a step whose output is computed from its new state in the "
                "open; it comes with the state out of one operation, so that it cannot "
                "follow a state that is kept; return the output from outside of it"
            ) from error
    leaves = [
        moved.get(name, leaf) for name, leaf in zip(names[count:], leaves, strict=True)
    ]
    return replaced, jax.tree.unflatten(tree, leaves)


def _difference(after, before):
    return jnp.zeros_like(before) if after is before else after - before


def _names(program, inputs):
    """A name for each output of a program: one for what is one variable inside."""
    named = dict(zip(program.invars, inputs, strict=True))

    def name_of(atom):
        return named.get(atom, atom) if is_variable(atom) else object()

    for equation in program.eqns:
        # A custom derivative does not change which output is which variable.
        inner = inner_jaxpr(equation) or equation.params.get("call_jaxpr")
        if inner is not None:
            outer = [name_of(atom) for atom in equation.invars]
            # The inner variables are told apart by the equation they are in: one
            # function that is called twice has one program.
            names = [
                name if any(name is given for given in outer) else (id(equation), name)
                for name in _names(inner.jaxpr, outer)
            ]
            named.update(zip(equation.outvars, names, strict=True))
    return [name_of(atom) for atom in program.outvars]
