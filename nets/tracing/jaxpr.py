"""Interpretation of a jaxpr, equation by equation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

TRANSPARENT = {"jit", "remat2"}  # the primitives of jax.jit and jax.checkpoint


def inner_jaxpr(equation: JaxprEqn) -> ClosedJaxpr | None:
    """The inner jaxpr of a `jax.jit` or a `jax.checkpoint`.

    Args:
        equation: Equation of a jaxpr.

    Returns:
        The inner jaxpr; None for any other operation.

    Example:
        >>> import jax
        >>> program = jax.make_jaxpr(jax.jit(lambda x: x + 1))(1.0)
        >>> inner_jaxpr(program.jaxpr.eqns[0]).jaxpr.eqns[0].primitive.name
        'add'
    """
    if equation.primitive.name not in TRANSPARENT:
        return None
    inner = equation.params["jaxpr"]
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


def wrapped(equation: JaxprEqn, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function in the `jax.checkpoint` of an equation.

    The interpretation of a checkpointed jaxpr has to be checkpointed again, with the
    same policy. Otherwise the backward pass would keep values that should be
    recomputed.

    Args:
        equation: Equation with an inner jaxpr.
        function: Function that interprets the inner jaxpr.

    Returns:
        `jax.checkpoint(function)`, or `function` if the equation is a `jax.jit`.

    Example:
        >>> program = jax.make_jaxpr(jax.jit(lambda x: x + 1))(1.0)
        >>> wrapped(program.jaxpr.eqns[0], max) is max
        True
    """
    if equation.primitive.name != "remat2":
        return function
    keep = {name: equation.params[name] for name in ("prevent_cse", "policy")}
    return jax.checkpoint(function, **keep)


def programs_of(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """All inner jaxprs of an equation, such as the branches of a `cond`.

    Args:
        equation: Equation of a jaxpr.

    Yields:
        Each jaxpr, without its constants.

    Example:
        >>> program = jax.make_jaxpr(jax.nn.relu)(1.0)
        >>> [len(inner.eqns) for inner in programs_of(program.jaxpr.eqns[0])]
        [1]
    """
    for value in equation.params.values():
        for part in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(part, (Jaxpr, ClosedJaxpr)):
                yield part.jaxpr if isinstance(part, ClosedJaxpr) else part


def is_variable(atom: Any) -> bool:
    """Check for a variable, in contrast to a literal.

    Args:
        atom: Input of an equation.

    Returns:
        True for a variable.

    Example:
        >>> import jax
        >>> x, number = jax.make_jaxpr(lambda x: x + 1.0)(2.0).jaxpr.eqns[0].invars
        >>> is_variable(x), is_variable(number)
        (True, False)
    """
    return not isinstance(atom, Literal)


def interpret(
    program: Jaxpr,
    consts: Sequence[Any],
    inputs: Sequence[Any],
    rule: Callable[[JaxprEqn, list[Any]], Sequence[Any]],
) -> list[Any]:
    """Run a jaxpr with a function that evaluates its equations.

    Args:
        program: Jaxpr without its constants.
        consts: Values of the constants.
        inputs: Values of the inputs. They may be of any type that `rule` accepts.
        rule: `outputs = rule(equation, inputs)`. A literal input is given as its value.

    Returns:
        Values of the outputs.

    Example:
        >>> from functools import partial
        >>> program = jax.make_jaxpr(lambda x: 2.0 * x + 1.0)(2.0).jaxpr
        >>> interpret(program, [], [3.0], partial(evaluate, program))[0].item()
        7.0
    """
    values = dict(zip(program.invars, inputs, strict=True))
    values |= dict(zip(program.constvars, consts, strict=True))

    def read(atom):
        return values[atom] if is_variable(atom) else atom.val

    for equation in program.eqns:
        outputs = rule(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in program.outvars]


def evaluate(program: Jaxpr, equation: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    """Outputs of one equation, evaluated as a jaxpr of this equation alone.

    Args:
        program: Jaxpr that contains the equation.
        equation: Equation of the jaxpr.
        inputs: Values of the inputs.

    Returns:
        Values of the outputs.

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
