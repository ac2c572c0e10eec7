"""The structure of the Jacobian of a step, read from its program."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Jaxpr

from nets.tracing.jaxpr import is_variable, programs_of
from nets.tracing.programs import part_of

# Operations whose results at an index depend on the operands at that index alone.
ELEMENTWISE = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp complex
    conj convert_element_type copy cos cosh digamma div eq erf erf_inv erfc exp exp2
    expm1 floor ge gt imag integer_pow is_finite le lgamma log log1p logistic lt max min
    mul name ne neg nextafter not or pow real reduce_precision rem reshape round rsqrt
    select_n sign sin sinh sqrt square sub tan tanh xor
"""
# Operations that apply a program to their operands.
CALLS = {"custom_jvp_call", "jit", "remat2"}


def parts_of(state: Sequence[Any]) -> list[tuple[int, ...]]:
    """Shapes of the real parts of a state; a complex entry has two.

    Args:
        state: Entries of the state. Integers are left out.

    Returns:
        One shape per part.

    Example:
        >>> parts_of([jnp.zeros((5, 2)), jnp.zeros(3, int), jnp.zeros(3, complex)])
        [(5, 2), (3,), (3,)]
    """
    return [
        tuple(s.shape)
        for s in state
        for _ in range(1 + jnp.issubdtype(s.dtype, jnp.complexfloating))
        if jnp.issubdtype(s.dtype, jnp.inexact)
    ]


def is_elementwise(program: Jaxpr, consts: int, states: int) -> bool:
    """Check for a step whose new state at an index depends on the state at that index.

    The Jacobian of such a step has one small block per index: one number for one array
    of the state, 2 x 2 numbers for two arrays or one complex array.

    Args:
        program: Program of a step: of constants, state and input.
        consts: Number of constants.
        states: Number of arrays in the state.

    Returns:
        True if the program shows it. False if the arrays of the state differ in shape,
        or if an operation on them is not known to be elementwise.

    Example:
        >>> import jax
        >>> step = lambda w, s, x: jnp.tanh(w * s + x)
        >>> program = jax.make_jaxpr(step)(*[jnp.ones(3)] * 3).jaxpr
        >>> is_elementwise(program, consts=1, states=1)
        True
    """
    inputs: list[Any] = list(program.invars[consts : consts + states])
    moving = [v for v in inputs if jnp.issubdtype(v.aval.dtype, jnp.inexact)]
    shape = moving[0].aval.shape if moving else ()
    if any(v.aval.shape != shape for v in moving):
        return False
    # An output such as C h mixes the state, but does not reach it.
    program = part_of(program, program.invars, program.outvars[:states])
    return _follow(program, [v in moving for v in program.invars], shape) is not None


def _follow(
    program: Jaxpr, aligned: Sequence[bool], shape: tuple[int, ...]
) -> list[bool] | None:
    """True for outputs that depend on the aligned inputs; None if they are mixed."""
    values = {
        v for v, is_aligned in zip(program.invars, aligned, strict=True) if is_aligned
    }
    for equation in program.eqns:
        reads = [is_variable(v) and v in values for v in equation.invars]
        if not any(reads):
            continue
        name = equation.primitive.name
        operands = [v for v, read in zip(equation.invars, reads, strict=True) if read]
        if name in CALLS:
            inner = next(programs_of(equation))
            outputs = _follow(inner, reads, shape)
            if outputs is None:
                return None
            values |= {v for v, o in zip(equation.outvars, outputs, strict=True) if o}
            continue
        shapes = [v.aval.shape for v in [*operands, *equation.outvars]]  # type: ignore
        if name not in ELEMENTWISE.split() or any(s != shape for s in shapes):
            return None
        values |= set(equation.outvars)
    return [is_variable(v) and v in values for v in program.outvars]
