"""Values of a recurrent step that follow from the inputs, for all steps at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from jax.extend.core import Jaxpr, JaxprEqn

from nets.recurrent.linear_step import Step
from nets.tracing.early_terms import for_all_steps
from nets.tracing.jaxpr import is_variable
from nets.tracing.products import is_plain_product, merged
from nets.tracing.programs import dependents, part_of

PARTS = "split", "slice", "dynamic_slice", "gather"


class ProductsAhead(NamedTuple):
    """A step that reads values of all steps, which are computed before the loop.

    Attributes:
        step: The step; it reads some of the inputs, and then the values.
        kept: Positions of the inputs that it still reads.
        program: Program of the values, from the constants and the inputs.
        consts: Number of constants.
    """

    step: Step
    kept: list[int]
    program: Jaxpr
    consts: int

    def values(self, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The values for all steps, [time, ...]."""
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
    program, by_x, by_state = _parts(step)
    products = [e.outvars[0] for e in _products(program, by_x, by_state)]
    if not products or not _fits(products, time, most):
        return None
    return _ahead(step, products)


def values_ahead(step: Step, time: Any, most: int) -> ProductsAhead | None:
    """Find all values of a step that do not depend on the state, if it has products.

    A loop that only runs forward then reads the last of these values. XLA fuses the
    reading with the functions that follow. On a processor the fused loop is not
    vectorized if it reads a part of a value, such as one gate of four. Such a step is
    left as it is, and so is a product with a single feature, which is no more than a
    multiplication.

    Args:
        step: The step.
        time: Number of steps.
        most: Largest size of the values of all steps, in bytes.

    Returns:
        A `ProductsAhead`; None if there are no such products, if their values are too
        large or of unknown size, or if the rest of the step reads parts of them.

    Example:
        >>> import jax.numpy as jnp
        >>> from nets.recurrent.linear_step import step_of
        >>> w = jnp.ones((3, 2))
        >>> body, xs = lambda s, x: (s + jnp.sin(x @ w), s), jnp.ones((10, 5, 3))
        >>> ahead = values_ahead(step_of(body, jnp.zeros((5, 2)), xs), 10, 1000)
        >>> [equation.primitive.name for equation in ahead.step.program.eqns]
        ['add']
    """
    program, by_x, by_state = _parts(step)
    products = _products(program, by_x, by_state)
    if not products or any(e.invars[0].aval.shape[-1] == 1 for e in products):
        return None
    rest = [e for e in program.eqns if not by_state.isdisjoint(e.outvars)]
    read = [atom for equation in rest for atom in equation.invars] + program.outvars
    inputs = program.invars[len(step.consts) + step.states :]
    early = by_x - by_state - set(inputs)
    values: list[Any] = [v for v in read if is_variable(v) and v in early]
    values = list(dict.fromkeys(values))
    late = dependents(program.replace(eqns=rest), values)
    parts = any(
        e.primitive.name in PARTS and not late.isdisjoint(filter(is_variable, e.invars))
        for e in rest
    )
    if parts or not _fits(values, time, most):
        return None
    return _ahead(step, values)


def _parts(step: Step) -> tuple[Jaxpr, set[Any], set[Any]]:
    """The program of a step, what depends on its input, and what stays in the loop.

    What depends on the state stays. So do random numbers of a generator that draws
    other numbers for many keys at once, under `jax.vmap`, than for each of them.
    """
    program, consts = step.program, len(step.consts)
    start = consts + step.states
    by_x = dependents(program, program.invars[start:])
    drawn = [v for e in program.eqns if _draws(e) for v in e.outvars]
    return program, by_x, dependents(program, [*program.invars[consts:start], *drawn])


def _draws(equation: JaxprEqn) -> bool:
    """True for random numbers of a generator other than Threefry."""
    types = {str(cast(Any, atom.aval).dtype) for atom in equation.invars}
    keys = any(name.startswith("key<") and name != "key<fry>" for name in types)
    return keys or equation.primitive.name == "rng_bit_generator"


def _products(program: Jaxpr, by_x: set[Any], by_state: set[Any]) -> list[Any]:
    """Products of the input with matrices."""
    return [
        equation
        for equation in program.eqns
        if is_plain_product(equation)
        and equation.invars[0] in by_x
        and by_state.isdisjoint(filter(is_variable, equation.invars))
    ]


def _fits(variables: Sequence[Any], time: Any, most: int) -> bool:
    """True if the values of all steps are not larger than `most` bytes."""
    avals = [cast(Any, variable.aval) for variable in variables]
    size = time * sum(aval.size * aval.dtype.itemsize for aval in avals)
    return isinstance(size, int) and size <= most


def _ahead(step: Step, values: Sequence[Any]) -> ProductsAhead:
    """A step that reads some of its values."""
    program, consts = step.program, len(step.consts)
    before = program.invars[: consts + step.states]
    x = program.invars[consts + step.states :]
    rest = part_of(program, [*before, *x, *values], program.outvars)
    atoms = [atom for equation in rest.eqns for atom in equation.invars]
    used = set(filter(is_variable, [*atoms, *rest.outvars]))
    kept = [i for i, variable in enumerate(x) if variable in used]
    rest = rest.replace(invars=[*before, *(x[i] for i in kept), *values])
    return ProductsAhead(
        step._replace(program=rest, fast=merged(rest)),
        kept,
        part_of(program, [*before[:consts], *x], values),
        consts,
    )
