"""A traced program, followed equation by equation."""

from collections.abc import Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

TRANSPARENT = {"jit", "remat2"}  # the primitives of jax.jit and jax.checkpoint


def inside(equation: JaxprEqn) -> ClosedJaxpr | None:
    """The program of a `jax.jit` or a `jax.checkpoint`, which can be looked into.

    Args:
        equation: Of a traced program.

    Returns:
        The program; None for any other operation.

    Example:
        >>> import jax
        >>> program = jax.make_jaxpr(jax.jit(lambda x: x + 1))(1.0)
        >>> inside(program.jaxpr.eqns[0]).jaxpr.eqns[0].primitive.name
        'add'
    """
    if equation.primitive.name not in TRANSPARENT:
        return None
    inner = equation.params["jaxpr"]
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


def is_variable(atom: Any) -> bool:
    """Whether it is a variable, and not a number written into the program.

    Args:
        atom: What goes into an equation.

    Returns:
        True for a variable.

    Example:
        >>> import jax
        >>> one, two = jax.make_jaxpr(lambda x: x + 1.0)(2.0).jaxpr.eqns[0].invars
        >>> is_variable(one), is_variable(two)
        (True, False)
    """
    return not isinstance(atom, Literal)


def evaluate(program: Jaxpr, equation: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of one equation, by a program that is it alone.

    Args:
        program: Which it stands in.
        equation: One of its.
        inputs: What goes into it, one entry each.

    Returns:
        What comes out of it.

    Example:
        >>> import jax
        >>> program = jax.make_jaxpr(lambda x: x + 1.0)(2.0).jaxpr
        >>> evaluate(program, program.eqns[0], [4.0, 1.0])[0].item()
        5.0
    """
    variables = {
        variable: value
        for variable, value in zip(equation.invars, inputs, strict=True)
        if is_variable(variable)
    }
    alone = program.replace(
        constvars=[],
        invars=list(variables),
        outvars=equation.outvars,
        eqns=[equation],
        effects=equation.effects,
        debug_info=program.debug_info.with_unknown_names(),
    )
    return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*variables.values())
