"""Choice between XLA's two ways to compile sums and products for a CPU."""

import functools
import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

# The kinds of operations that XLA gives to its library YNNPACK; by default sums and
# matrix products.
OPTION = "xla_cpu_experimental_ynn_fusion_type"

# Nanoseconds that the library costs, measured with jaxlib 0.10.2 on an AMD EPYC: with
# it, sums over few numbers take 2 to 97 times as long as without, sums over many take a
# fifth as long to as long, and large products 0.7 times as long.
SHORT = 32  # numbers in a sum
PER_NUMBER_OF_SHORT = 1.0
PER_NUMBER_OF_LONG = -0.5
PER_PRODUCT = -0.01
LEAST = 100_000.0  # in a step of a member; below, both ways are about as fast


def compiler_options(
    program: ClosedJaxpr, platform: str, members: int = 1
) -> dict[str, str | bool]:
    """Options with which XLA compiles a program to run fast.

    A gradient has sums over the columns of small matrices wherever a vector multiplies
    their rows, as in cells with a matrix for a state.

    Args:
        program: The program.
        platform: Name of the platform that it runs on.
        members: Members on each device, which have equal parts of the program. The
            choice does not depend on their number, nor do their results.

    Returns:
        Options for `jax.stages.Lowered.compile`; none where the default is fast.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((40_000, 6))
        >>> compiler_options(jax.make_jaxpr(lambda x: x.sum(axis=-1))(x), "cpu")
        {'xla_cpu_experimental_ynn_fusion_type': ''}
        >>> compiler_options(jax.make_jaxpr(lambda x: x.sum(axis=0))(x), "cpu")
        {}
    """
    if platform != "cpu" or _cost(program.jaxpr) < members * LEAST:
        return {}
    if not _is_known():
        return {}
    return {OPTION: ""}


def _cost(program: Jaxpr) -> float:
    """Nanoseconds that the library costs in one run of a program."""
    costs = (
        _cost_of(equation)
        + equation.params.get("length", 1) * sum(map(_cost, _inner(equation)))
        for equation in program.eqns
    )
    return sum(costs, start=0.0)


def _cost_of(equation: JaxprEqn) -> float:
    """Nanoseconds that the library costs in a sum or a product."""
    name, shapes = equation.primitive.name, [_shape(v) for v in equation.invars]
    if name == "reduce_sum":
        count = math.prod(shapes[0][axis] for axis in equation.params["axes"])
        per_number = PER_NUMBER_OF_SHORT if count < SHORT else PER_NUMBER_OF_LONG
        return per_number * math.prod(shapes[0])
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        count = math.prod(shapes[0][axis] for axis in contracted)
        return PER_PRODUCT * count * math.prod(_shape(equation.outvars[0]))
    return 0.0


def _shape(atom: Any) -> tuple[int, ...]:
    """Shape of a variable or a literal."""
    return getattr(atom.aval, "shape", ())


def _inner(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """Programs within an equation, such as the body of a loop."""
    for value in equation.params.values():
        for part in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part


@functools.cache
def _is_known() -> bool:
    """Whether this version of XLA has the option."""
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options={OPTION: ""})
    except jax.errors.JaxRuntimeError:
        return False
    return True
