"""Summary table of a network: output shapes, costs and receptive fields."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from nets.blocks.composition import naming, output_shape, receptive_field
from nets.tracing.jaxpr import programs_of
from nets.types import ImageLayer

# Elementwise primitives, which count as one operation per output number.
ARITHMETIC = {
    *("abs", "add", "add_any", "cos", "cosh", "cbrt", "div", "erf", "exp", "exp2"),
    *("expm1", "integer_pow", "log", "log1p", "logistic", "max", "min", "mul", "neg"),
    *("pow", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "sub"),
    *("tan", "tanh"),
}
REDUCTIONS = {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "argmax"}


class Row(NamedTuple):
    """Row of the summary, for one layer.

    Attributes:
        name: Name of the layer.
        shape: Output shape for one example.
        parameters: Number of learned parameters.
        receptive_field: Number of inputs of the network that one output depends on,
            along each spatial axis; None if it depends on all.
        flops: Number of additions, multiplications and other operations for one
            example.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    receptive_field: tuple[int, ...] | None
    flops: int


def summary(layers: Sequence[ImageLayer], shape: Sequence[int]) -> list[Row]:
    """Summarize each layer: output shape, parameters, FLOPs and receptive field.

    Args:
        layers: Layers, as in `sequential`.
        shape: Shape of one example, [*space, channels].

    Returns:
        One `Row` per layer.

    Raises:
        ValueError: A layer does not accept the output of the previous layer.

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
        field = receptive_field(layers[: i + 1], shape)
        rows.append(
            Row(
                layer.name,
                after,
                sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)),
                None if field is None else tuple(math.floor(e) for e in field.size),
                flops(layer.apply, params, x),
            )
        )
        before = after
    return rows


def flops(function: Any, *args: Any) -> int:
    """Count the arithmetic operations of a function.

    Matrix products and convolutions count two operations per weight and output, as is
    usual, including those on padding. Other arithmetic counts one operation per output
    number, and sums and maxima one per input number. Operations that only move numbers
    count zero.

    Args:
        function: Function of arrays. It is traced, not run.
        *args: Arrays, or `jax.ShapeDtypeStruct`s.

    Returns:
        Number of operations.

    Example:
        >>> flops(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 4)))
        48
    """
    # Not by XLA's `cost_analysis`, which depends on the platform: on a CPU it also
    # counts the zeros that a transposed convolution adds.
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
        elif name == "cond":  # one branch per platform: the last is XLA's default
            total += _count(params["branches"][-1].jaxpr)
        elif name == "conv_general_dilated":
            kernel = operands[1].shape
            filters = kernel[params["dimension_numbers"].rhs_spec[0]]
            # Zeros that a transposed convolution inserts between its inputs are free.
            gaps = math.prod(params["lhs_dilation"])
            total += 2 * out.size * (math.prod(kernel) // filters) // gaps
        elif name.startswith("reduce_window"):
            total += out.size * math.prod(params["window_dimensions"])
        elif name in ARITHMETIC:
            total += out.size
        elif name in REDUCTIONS:
            total += operands[0].size
        else:
            total += sum(_count(inner) for inner in programs_of(equation))
    return total
