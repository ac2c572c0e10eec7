"""Products of the inputs of a recurrent step, computed before the loop."""

from collections.abc import Sequence
from typing import Any, cast

import jax

from nets.recurrent.linear_step import Step
from nets.tracing.early_terms import for_all_steps
from nets.tracing.jaxpr import is_variable
from nets.tracing.products import is_plain_product, merged
from nets.tracing.programs import dependents, part_of

# Bytes of all products: on a processor they stay in the cache; an accelerator saves a
# kernel in each step.
MOST = 2_000_000
MOST_ON_ACCELERATORS = 2_000_000_000


def computed_ahead(step: Step, inputs: Sequence[Any]) -> tuple[Step, list[Any]]:
    """Compute the products of the inputs with matrices for all steps at once.

    A product for all steps is faster than one per step, unless its result is too large
    for the cache, from which the loop reads it.

    Args:
        step: The step.
        inputs: Arrays [time, ...].

    Returns:
        A step that reads the products, and its inputs: the products, and the inputs
        that are still needed.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets.recurrent.linear_step import step_of
        >>> w = jnp.ones((3, 2))
        >>> body, xs = lambda s, x: (s + x @ w, s), jnp.ones((10, 5, 3))
        >>> step = step_of(body, jnp.zeros((5, 2)), xs)
        >>> [a.shape for a in computed_ahead(step, [xs])[1]]
        [(10, 5, 2)]
    """
    program, count = step.program, len(step.consts)
    before = program.invars[: count + step.states]
    x = program.invars[count + step.states :]
    by_x, by_state = dependents(program, x), dependents(program, before[count:])
    products = [
        equation.outvars[0]
        for equation in program.eqns
        if is_plain_product(equation)
        and equation.invars[0] in by_x
        and by_state.isdisjoint(filter(is_variable, equation.invars))
    ]
    if not products or not _is_small(products, inputs[0].shape[0]):
        return step, list(inputs)
    ahead = part_of(program, [*before[:count], *x], products)
    stacked = [False] * count + [True] * len(x)
    steps = inputs[0].shape[0]
    values = for_all_steps(ahead, [*step.consts, *inputs], stacked, steps)
    rest = part_of(program, [*before, *x, *products], program.outvars)
    atoms = [atom for equation in rest.eqns for atom in equation.invars]
    used = set(filter(is_variable, [*atoms, *rest.outvars]))
    pairs = [(v, array) for v, array in zip(x, inputs, strict=True) if v in used]
    pairs += zip(products, values, strict=True)
    rest = rest.replace(invars=[*before, *(v for v, _ in pairs)])
    faster = step._replace(program=rest, fast=merged(rest))
    return faster, [array for _, array in pairs]


def _is_small(products: Sequence[Any], steps: Any) -> bool:
    """True if the products of all steps are below the limit; sizes may be symbolic."""
    avals = [cast(Any, variable.aval) for variable in products]
    size = steps * sum(aval.size * aval.dtype.itemsize for aval in avals)
    limit = MOST if jax.default_backend() == "cpu" else MOST_ON_ACCELERATORS
    return isinstance(size, int) and size <= limit
