"""Replace the new state of a step, and recompute the output."""

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

    If an array of the output is an entry of the new state, it becomes exactly the
    replaced entry, also through `jax.jit`, `jax.checkpoint` and custom derivatives. All
    other arrays of the output are computed from the replaced state.

    Args:
        step: `state, y = step(old)`.
        old: State before the step.
        out: Result of `step(old)`.
        replaced: Tree that replaces the new state.

    Returns:
        `replaced`, and the output.

    Raises:
        ValueError: The step computes state and output inside one operation, such as a
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
                "open; one operation returns both output and state, so that the output "
                "cannot follow a state that is kept: compute the output outside of it"
            ) from error
    leaves = [
        moved.get(name, leaf) for name, leaf in zip(names[count:], leaves, strict=True)
    ]
    return replaced, jax.tree.unflatten(tree, leaves)


def _difference(after, before):
    """The difference; exactly 0 if both are the same array."""
    return jnp.zeros_like(before) if after is before else after - before


def _names(program, inputs):
    """Name of each output of a program; equal variables have equal names."""
    named = dict(zip(program.invars, inputs, strict=True))

    def name_of(atom):
        return named.get(atom, atom) if is_variable(atom) else object()

    for equation in program.eqns:
        # A custom derivative does not change which output is which variable.
        inner = inner_jaxpr(equation) or equation.params.get("call_jaxpr")
        if inner is not None:
            outer = [name_of(atom) for atom in equation.invars]
            # Names of inner variables contain their equation, because a function that
            # is called twice has only one program.
            names = [
                name if any(name is given for given in outer) else (id(equation), name)
                for name in _names(inner.jaxpr, outer)
            ]
            named.update(zip(equation.outvars, names, strict=True))
    return [name_of(atom) for atom in program.outvars]
