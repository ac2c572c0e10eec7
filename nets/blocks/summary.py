"""A network's table: what each layer puts out, costs and sees."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from nets.blocks.composition import naming, output_shape, receptive_field
from nets.types import ImageLayer

# What makes a number of each number, or of two: one operation for each that comes out.
ARITHMETIC = {
    *("abs", "add", "add_any", "cos", "cosh", "cbrt", "div", "erf", "exp", "exp2"),
    *("expm1", "integer_pow", "log", "log1p", "logistic", "max", "min", "mul", "neg"),
    *("pow", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "sub"),
    *("tan", "tanh"),
}
REDUCTIONS = {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "argmax"}


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        name: Of the layer.
        shape: Of what it puts out for one example.
        parameters: How many numbers it learns.
        receptive_field: How many places of the network's input one output sees, along
            each spatial axis; None if it sees all.
        flops: Additions, multiplications and other operations for one example.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    receptive_field: tuple[int, ...] | None
    flops: int


def summary(layers: Sequence[ImageLayer], shape: Sequence[int]) -> list[Row]:
    """What each layer puts out, how much it learns, computes and sees.

    Args:
        layers: As in `sequential`.
        shape: Of one example, [*space, channels].

    Returns:
        A `Row` a layer.

    Raises:
        ValueError: A layer does not fit the one before it.

    Example:
        >>> from nets import blocks
        >>> layers = [blocks.conv(6, (5, 5), padding=2), blocks.max_pool((2, 2))]
        >>> for row in summary(layers, (28, 28, 1)):
        ...     print(row.name, row.shape, row.parameters, row.receptive_field)
        conv 5x5, 6 (28, 28, 6) 156 (5, 5)
        max_pool 2x2 (14, 14, 6) 0 (6, 6)
    """
    rows, before = [], tuple(shape)
    for i, layer in enumerate(layers):
        with naming(i, layers, before):
            init = partial(layer.init, shape=before)
            params = jax.eval_shape(init, jax.random.key(0))
            after = output_shape(layer, before)
        x = jax.ShapeDtypeStruct(before, jnp.float32)
        seen = receptive_field(layers[: i + 1], shape)
        rows.append(
            Row(
                layer.name,
                after,
                sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)),
                None if seen is None else tuple(math.floor(e) for e in seen.size),
                flops(layer.apply, params, x),
            )
        )
        before = after
    return rows


def flops(function: Any, *args: Any) -> int:
    """How many operations on numbers a function takes.

    Products of matrices and convolutions count two for each weight and output, as is
    usual, those in the padding among them; anything else that computes one for each
    number that comes out (that goes in, in sums and maxima); what only moves numbers
    none.

    Args:
        function: Of arrays, which is traced, not run.
        *args: Arrays, or their shapes.

    Returns:
        The count.

    Example:
        >>> flops(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 4)))
        48
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(program: Jaxpr) -> int:
    total = 0
    for equation in program.eqns:
        name, params = equation.primitive.name, equation.params
        operands: list[Any] = [operand.aval for operand in equation.invars]
        out: Any = equation.outvars[0].aval if equation.outvars else None
        if name == "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            lengths = operands[0].shape
            total += 2 * out.size * math.prod(lengths[axis] for axis in contracted)
        elif name == "cond":  # of several platforms: XLA's own way is the last
            total += _count(params["branches"][-1].jaxpr)
        elif name == "conv_general_dilated":
            kernel = operands[1].shape
            filters = kernel[params["dimension_numbers"].rhs_spec[0]]
            # Zeros that a transposed convolution sets between its inputs cost nothing.
            gaps = math.prod(params["lhs_dilation"])
            total += 2 * out.size * (math.prod(kernel) // filters) // gaps
        elif name.startswith("reduce_window"):
            total += out.size * math.prod(params["window_dimensions"])
        elif name in ARITHMETIC:
            total += out.size
        elif name in REDUCTIONS:
            total += operands[0].size
        else:
            total += sum(_count(inner) for inner in _programs(params.values()))
    return total


def _programs(values: Any) -> list[Jaxpr]:
    """The programs among an equation's parameters."""
    found = []
    for value in values:
        if isinstance(value, ClosedJaxpr):
            found.append(value.jaxpr)
        elif isinstance(value, Jaxpr):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _programs(value)
    return found
