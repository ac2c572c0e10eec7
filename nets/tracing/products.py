"""Matrix products in the program of a step, in a form that runs fast."""

from collections import Counter
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn
from jaxtyping import Array

from nets.tracing.jaxpr import evaluate, interpret, is_variable


def merged(program: Jaxpr) -> Jaxpr:
    """A program with sums of two products as one product.

        x W_i + h W_h = [x, h] [W_i; W_h]

    One product is faster than two of half its size. Sums in half precision are not
    merged, since this would change their rounding.

    If x has one feature, a zero is appended to it. Otherwise XLA would multiply
    elementwise instead, in one loop with the operations that follow, and this loop is
    not vectorized.

    Args:
        program: Jaxpr without constants, and without inner `jax.jit`.

    Returns:
        A jaxpr with the same inputs; its outputs are equal up to rounding.

    Example:
        >>> step = lambda x, h, w, v: x @ w + h @ v
        >>> args = [jnp.ones(shape) for shape in ((5, 1), (5, 2), (1, 4), (2, 4))]
        >>> faster = merged(jax.make_jaxpr(step)(*args).jaxpr)
        >>> [equation.primitive.name for equation in faster.eqns]
        ['concatenate', 'concatenate', 'dot_general']
    """
    atoms = [atom for equation in program.eqns for atom in equation.invars]
    uses = Counter(filter(is_variable, [*atoms, *program.outvars]))

    def rule(equation, inputs):
        if is_plain_product(equation):
            a, b = map(_value, inputs)
            product = _Product(a, b, equation)
            once = uses[equation.outvars[0]] == 1
            return [product if once else _value(product)]
        if equation.primitive.name == "add" and _can_be_merged(*inputs):
            return [_merge(*inputs)]
        return evaluate(program, equation, [_value(i) for i in inputs])

    def run(*args):
        return [_value(v) for v in interpret(program, [], args, rule)]

    result = jax.make_jaxpr(run)(*(variable.aval for variable in program.invars))
    return program if result.consts else result.jaxpr


def is_plain_product(equation: JaxprEqn) -> bool:
    """Check for the product x @ w with a matrix w, for x of two or more axes.

    Args:
        equation: Equation of a jaxpr.

    Returns:
        True for such a product.

    Example:
        >>> x, w = jnp.ones((5, 2)), jnp.ones((2, 3))
        >>> program = jax.make_jaxpr(lambda x, w: x @ w)(x, w).jaxpr
        >>> is_plain_product(program.eqns[0])
        True
    """
    if equation.primitive.name != "dot_general":
        return False
    a, b = (cast(Any, atom.aval) for atom in equation.invars)
    (left, right), batch = equation.params["dimension_numbers"]
    return (
        b.ndim == 2
        and a.ndim > 1
        and (tuple(left), tuple(right)) == ((a.ndim - 1,), (0,))
        and not any(map(len, batch))
    )


def product(a: Array, b: Array, equation: JaxprEqn) -> Array:
    """The product a @ b of matrices, in the precision of an equation.

    Args:
        a: Array, [rows, n].
        b: Array, [n, columns].
        equation: A product x @ w.

    Returns:
        Array, [rows, columns].

    Example:
        >>> x, w = jnp.ones((5, 2)), jnp.ones((2, 3))
        >>> program = jax.make_jaxpr(lambda x, w: x @ w)(x, w).jaxpr
        >>> product(x, w, program.eqns[0]).shape
        (5, 3)
    """
    names = "precision", "preferred_element_type"
    options = {name: equation.params[name] for name in names}
    numbers = ((a.ndim - 1,), (0,)), ((), ())
    return jax.lax.dot_general(a, b, numbers, **options)


class _Product(NamedTuple):
    """A product that is not computed yet."""

    a: Any
    b: Any
    equation: JaxprEqn


def _value(value: Any) -> Any:
    """Value of a variable, which may be a product."""
    if not isinstance(value, _Product):
        return value
    a, b = value.a, value.b
    if a.shape[-1] == 1:
        a = jnp.concatenate([a, jnp.zeros_like(a)], axis=-1)
        b = jnp.concatenate([b, jnp.zeros_like(b)], axis=0)
    return product(a, b, value.equation)


def _can_be_merged(first: Any, second: Any) -> bool:
    """True for two products whose sum is one product."""
    if not (isinstance(first, _Product) and isinstance(second, _Product)):
        return False
    types = {str(array.dtype) for array in (first.a, first.b, second.a, second.b)}
    params = [dict(product.equation.params) for product in (first, second)]
    return (
        first.a.shape[:-1] == second.a.shape[:-1]
        and params[0] == params[1]
        and len(types) == 1
        and jnp.issubdtype(first.a.dtype, jnp.inexact)
        and jnp.finfo(first.a.dtype).bits >= 32
    )


def _merge(first: _Product, second: _Product) -> Any:
    """The sum of two products as one product."""
    a = jnp.concatenate([first.a, second.a], axis=-1)
    b = jnp.concatenate([first.b, second.b], axis=0)
    return product(a, b, first.equation)
