"""Parts of a program: a jaxpr without constants, and without inner `jax.jit`."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Var, jaxpr_as_fun

from nets.tracing.jaxpr import evaluate, inner_jaxpr, interpret, is_variable


def program_of(
    function: Callable[..., Any], *args: Any
) -> tuple[Jaxpr, list[Any], Any, bool]:
    """Trace a function.

    Args:
        function: Function of trees of arrays.
        *args: Its arguments, or their shapes and dtypes.

    Returns:
        A jaxpr of the constants, then the leaves of the arguments; the constants, the
        arrays that the function reads besides its arguments; the shapes and dtypes of
        the result; and whether the function has side effects.

    Example:
        >>> import jax.numpy as jnp
        >>> w = jnp.ones(2)
        >>> program, consts, *_ = program_of(lambda x: jax.jit(jnp.sin)(x) + w, w)
        >>> [equation.primitive.name for equation in program.eqns], len(consts)
        (['sin', 'add'], 1)
    """
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    leaves = [*traced.consts, *jax.tree.leaves(args)]

    def rule(equation, inputs):
        inner = inner_jaxpr(equation)
        if inner is None or equation.primitive.name != "jit":
            return evaluate(traced.jaxpr, equation, inputs)
        return interpret(inner.jaxpr, inner.consts, inputs, rule)

    def run(*leaves):
        count = len(traced.consts)
        return interpret(traced.jaxpr, leaves[:count], leaves[count:], rule)

    flat = jax.make_jaxpr(run)(*leaves)
    program = flat.jaxpr.replace(
        invars=[*flat.jaxpr.constvars, *flat.jaxpr.invars], constvars=[]
    )
    return program, [*flat.consts, *traced.consts], shapes, bool(traced.effects)


def run_program(program: Jaxpr, *args: Any) -> list[Any]:
    """Run a program.

    Args:
        program: Jaxpr without constants.
        *args: Values of its inputs.

    Returns:
        Values of its outputs.

    Example:
        >>> program = jax.make_jaxpr(lambda x: x + 1.0)(2.0).jaxpr
        >>> run_program(program, 3.0)[0].item()
        4.0
    """
    return jaxpr_as_fun(ClosedJaxpr(program, ()))(*args)


def part_of(program: Jaxpr, inputs: Sequence[Var], outputs: Sequence[Any]) -> Jaxpr:
    """The part of a program that computes some of its variables from others.

    Args:
        program: Jaxpr without constants.
        inputs: Variables that are given.
        outputs: Variables to compute, which depend on the given ones alone.

    Returns:
        A jaxpr.

    Example:
        >>> program = jax.make_jaxpr(lambda x: 2.0 * (x + 1.0))(2.0).jaxpr
        >>> between = program.eqns[0].outvars
        >>> run_program(part_of(program, between, program.outvars), 3.0)[0].item()
        6.0
    """
    given = set(inputs)
    needed = set(filter(is_variable, outputs)) - given
    equations = []
    for equation in reversed(program.eqns):
        if needed & set(equation.outvars):
            equations.append(equation)
            needed |= set(filter(is_variable, equation.invars))
            needed -= given
    return program.replace(
        invars=list(inputs),
        outvars=list(outputs),
        eqns=equations[::-1],
        debug_info=program.debug_info.with_unknown_names(),
    )


def dependents(program: Jaxpr, inputs: Sequence[Var]) -> set[Any]:
    """Variables that depend on some inputs.

    Args:
        program: Jaxpr.
        inputs: Some of its inputs.

    Returns:
        The inputs, and all variables that are computed from them.

    Example:
        >>> program = jax.make_jaxpr(lambda x, y: (x + 1.0, y + 1.0))(2.0, 3.0).jaxpr
        >>> [v in dependents(program, program.invars[:1]) for v in program.outvars]
        [True, False]
    """
    result: set[Any] = set(inputs)
    for equation in program.eqns:
        if not result.isdisjoint(filter(is_variable, equation.invars)):
            result |= set(equation.outvars)
    return result


def hoisted(program: Jaxpr, consts: list[Any]) -> tuple[Jaxpr, list[Any]]:
    """Move what follows from the constants alone out of the program of a step.

    What is the same in all steps, such as a part of a matrix, is computed once and
    becomes a constant. Broadcasting stays in the step: it costs nothing there. Values
    in half precision stay too, as the gradient by a constant is summed over the steps
    in the type of the constant.

    Args:
        program: Jaxpr of the constants, then of other inputs.
        consts: Values of its first inputs.

    Returns:
        The rest of the program, and the constants that it reads.

    Example:
        >>> program = jax.make_jaxpr(lambda w, x: 2.0 * w + x)(1.0, 2.0).jaxpr
        >>> rest, consts = hoisted(program, [3.0])
        >>> [equation.primitive.name for equation in rest.eqns], float(consts[0])
        (['add'], 6.0)
    """
    count = len(consts)
    given, inputs = program.invars[:count], program.invars[count:]
    fixed: set[Any] = set(given)
    for equation in program.eqns:
        atoms = list(filter(is_variable, equation.invars))
        stays = equation.primitive.name == "broadcast_in_dim"
        stays = stays or any(map(_is_half, equation.outvars))
        if atoms and fixed.issuperset(atoms) and not stays:
            fixed |= set(equation.outvars)
    rest = [e for e in program.eqns if not fixed.issuperset(e.outvars)]
    read = [atom for e in rest for atom in e.invars] + program.outvars
    used: list[Any] = [a for a in read if is_variable(a) and a in fixed]
    used = list(dict.fromkeys(used))
    if set(used) <= set(given):
        return program, consts
    values = run_program(part_of(program, given, used), *consts)
    return part_of(program, [*used, *inputs], program.outvars), values


def _is_half(variable: Var) -> bool:
    """True for real numbers narrower than float32."""
    dtype = cast(Any, variable.aval).dtype
    return jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32
