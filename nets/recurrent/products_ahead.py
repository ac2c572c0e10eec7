"""Products of the inputs of a recurrent step, computed for all steps at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from jax.extend.core import Jaxpr

from nets.recurrent.linear_step import Step
from nets.tracing.early_terms import for_all_steps
from nets.tracing.jaxpr import is_variable
from nets.tracing.products import is_plain_product, merged
from nets.tracing.programs import dependents, part_of


class ProductsAhead(NamedTuple):
    """A step whose products of the inputs with matrices are computed before the loop.

    Attributes:
        step: The step; it reads some of the inputs, and then the products.
        kept: Positions of the inputs that it still reads.
        program: Program of the products, from the constants and the inputs.
        consts: Number of constants.
    """

    step: Step
    kept: list[int]
    program: Jaxpr
    consts: int

    def values(self, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The products for all steps, [time, ...]."""
        stacked = [False] * self.consts + [True] * len(inputs)
        values = [*consts, *inputs]
        return for_all_steps(self.program, values, stacked, inputs[0].shape[0])


def products_ahead(step: Step, time: Any, most: int) -> ProductsAhead | None:
    """Find the products of a step that do not depend on the state.

    Args:
        step: The step.
        time: Number of steps.
        most: Largest size of the products of all steps, in bytes.

    Returns:
        A `ProductsAhead`; None if there are no such products, or if they are too large
        or of unknown size.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets.recurrent.linear_step import step_of
        >>> w = jnp.ones((3, 2))
        >>> body, xs = lambda s, x: (s + x @ w, s), jnp.ones((10, 5, 3))
        >>> step = step_of(body, jnp.zeros((5, 2)), xs)
        >>> [a.shape for a in products_ahead(step, 10, 1000).values(step.consts, [xs])]
        [(10, 5, 2)]
    """
    program, consts = step.program, len(step.consts)
    before = program.invars[: consts + step.states]
    x = program.invars[consts + step.states :]
    by_x, by_state = dependents(program, x), dependents(program, before[consts:])
    products = [
        equation.outvars[0]
        for equation in program.eqns
        if is_plain_product(equation)
        and equation.invars[0] in by_x
        and by_state.isdisjoint(filter(is_variable, equation.invars))
    ]
    avals = [cast(Any, variable.aval) for variable in products]
    size = time * sum(aval.size * aval.dtype.itemsize for aval in avals)
    if not products or not isinstance(size, int) or size > most:
        return None
    rest = part_of(program, [*before, *x, *products], program.outvars)
    atoms = [atom for equation in rest.eqns for atom in equation.invars]
    used = set(filter(is_variable, [*atoms, *rest.outvars]))
    kept = [i for i, variable in enumerate(x) if variable in used]
    rest = rest.replace(invars=[*before, *(x[i] for i in kept), *products])
    return ProductsAhead(
        step._replace(program=rest, fast=merged(rest)),
        kept,
        part_of(program, [*before[:consts], *x], products),
        consts,
    )
