"""Split the derivative of a step in terms that are known early, and the rest."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn
from jax.sharding import AxisType

from nets.tracing.jaxpr import evaluate, interpret
from nets.tracing.products import is_plain_product, product
from nets.tracing.programs import dependents

SUMS = "add", "add_any"
LARGE = 8  # times the size of the state and the output


class Derivative(NamedTuple):
    """The derivative of a step, ds' = A ds + B dx + C dp, as a program.

    Attributes:
        program: Linear program of residuals, and of the tangents of the constants p,
            the state s and the input x.
        counts: Number of tangents of p, s and x.
    """

    program: Jaxpr
    counts: tuple[int, int, int]

    def is_large(self, stacked: Sequence[bool]) -> bool:
        """Whether a step has values much larger than its state and output.

        An example is the product of each weight with a unit of the state, before it is
        summed. Such values are better left in the loop than kept for all steps.

        Args:
            stacked: Whether a residual differs between steps.
        """
        flags = [*stacked, *[False] * self.counts[0], *[True] * sum(self.counts[1:])]
        pairs = zip(self.program.invars, flags, strict=True)
        inputs = [variable for variable, flag in pairs if flag]
        by_step = dependents(self.program, inputs) - set(inputs)
        results = sum(_size(atom) for atom in self.program.outvars)
        return any(_size(variable) > LARGE * results for variable in by_step)


def early_terms(
    derivative: Derivative,
    residuals: Sequence[Any],
    stacked: Sequence[bool],
    by_consts: Sequence[Any],
    by_inputs: Sequence[Any],
    steps: Any,
) -> list[Any]:
    """Terms of a derivative that do not depend on the state, for many steps.

    The terms B dx + C dp are those that the program adds to values that depend on ds,
    such as the sum of the gates of an LSTM. Terms that are added to the same value are
    one term.

    Args:
        derivative: The derivative.
        residuals: Values that it depends on.
        stacked: Whether a residual differs between steps, and has an axis of steps.
        by_consts: Tangents of the constants.
        by_inputs: Tangents of the inputs, [steps, ...].
        steps: Number of steps.

    Returns:
        The terms for `with_terms`, [steps, ...].
    """
    terms: list[_Steps] = []
    values: list[Any] = [_Steps(*pair) for pair in zip(residuals, stacked, strict=True)]
    values += [_Early(_Steps(tangent, False)) for tangent in by_consts]
    values += [_Late() for _ in range(derivative.counts[1])]
    values += [_Early(_Steps(tangent, True)) for tangent in by_inputs]
    _walk(derivative.program, values, terms.append, early=_evaluate_steps)
    return [_stack(term, steps) for term in terms]


def with_terms(
    derivative: Derivative,
    residuals: Sequence[Any],
    by_state: Sequence[Any],
    terms: Sequence[Any],
) -> list[Any]:
    """Results of a derivative, given its terms that do not depend on the state.

    Args:
        derivative: The derivative.
        residuals: Values that it depends on, of one step.
        by_state: Tangents of the state.
        terms: Terms of the step.

    Returns:
        Tangents of the new state and the output.
    """
    rest = iter(terms)
    consts, _, inputs = derivative.counts
    values = [*residuals, *[_Early() for _ in range(consts)]]
    values += [_Late(tangent) for tangent in by_state]
    values += [_Early() for _ in range(inputs)]
    return _walk(derivative.program, values, lambda _: next(rest), late=evaluate)


def for_all_steps(
    program: Jaxpr, values: Sequence[Any], stacked: Sequence[bool], steps: Any
) -> list[Any]:
    """Run the program of one step for many steps, with one product per product.

    Args:
        program: Jaxpr without constants.
        values: Values of its inputs.
        stacked: Whether a value has an axis of steps in front, or is the same in all.
        steps: Number of steps.

    Returns:
        The outputs, [steps, ...].

    Example:
        >>> x, w = jnp.ones((5, 2)), jnp.ones((2, 3))
        >>> program = jax.make_jaxpr(lambda x, w: x @ w)(x, w).jaxpr
        >>> xs = jnp.ones((10, 5, 2))
        >>> for_all_steps(program, [xs, w], [True, False], 10)[0].shape
        (10, 5, 3)
    """
    values = [_Steps(*pair) for pair in zip(values, stacked, strict=True)]
    rule = partial(_evaluate_steps, program)
    return [_stack(v, steps) for v in interpret(program, [], values, rule)]


class _Steps(NamedTuple):
    """A value for many steps: one per step, or the same in all."""

    value: Any
    stacked: bool


@dataclass
class _Early:
    """A value that does not depend on the state."""

    value: Any = None
    met: bool = False


@dataclass
class _Late:
    """A value that depends on the state, to which a term is still to be added."""

    value: Any = None
    term: _Early | None = None


def _walk(
    program: Jaxpr,
    values: Sequence[Any],
    meet: Callable[[Any], Any],
    early: Callable[..., list[Any]] | None = None,
    late: Callable[..., list[Any]] | None = None,
) -> list[Any]:
    """Run a program, computing either the early or the late values.

    Args:
        program: Program of the derivative.
        values: Values of its inputs.
        meet: Takes a term, in the first case; returns it, in the second. Both cases
            meet the same terms in the same order.
        early: Evaluates an equation of early values.
        late: Evaluates an equation of late values.
    """
    evaluate_known = early or evaluate

    def settle(value):
        """Operand of an operation that depends on the state."""
        if isinstance(value, _Early):
            if not value.met:
                met = meet(value.value)
                value.value, value.met = (met if late else value.value), True
            return value.value
        if isinstance(value, _Late):
            if value.term is not None:
                term = settle(value.term)
                value.value, value.term = (value.value + term if late else None), None
            return value.value
        return value

    def rule(equation, inputs):
        kinds = {type(value) for value in inputs}
        outputs = equation.outvars
        if not kinds & {_Early, _Late}:
            return evaluate_known(program, equation, inputs)
        if _Late not in kinds:
            if not early:
                return [_Early() for _ in outputs]
            plain = [v.value if isinstance(v, _Early) else v for v in inputs]
            return [_Early(value) for value in early(program, equation, plain)]
        if equation.primitive.name in SUMS:
            terms = [v.term if isinstance(v, _Late) else v for v in inputs]
            terms = [term for term in terms if isinstance(term, _Early)]
            term = terms[0] if terms else None
            if len(terms) == 2:
                term = _Early(_add(*(t.value for t in terms)) if early else None)
            if early:
                return [_Late(None, term)]
            plain = [v.value if isinstance(v, _Late) else v for v in inputs]
            plain = [value for value in plain if not isinstance(value, _Early)]
            return [_Late(sum(plain[1:], plain[0]), term)]
        plain = [settle(value) for value in inputs]
        if not late:
            return [_Late() for _ in outputs]
        return [_Late(value) for value in late(program, equation, plain)]

    return [settle(value) for value in interpret(program, [], values, rule)]


def _add(a: _Steps, b: _Steps) -> _Steps:
    """Sum of two values for many steps."""
    x, y = (
        v.value if v.stacked == max(a.stacked, b.stacked) else v.value[None]
        for v in (a, b)
    )
    shape = jnp.broadcast_shapes(x.shape, y.shape)
    return _Steps(
        jnp.broadcast_to(x, shape) + jnp.broadcast_to(y, shape), a.stacked or b.stacked
    )


def _stack(value: Any, steps: Any) -> Any:
    """A value with an axis of steps."""
    if not isinstance(value, _Steps):
        value = _Steps(jnp.asarray(value), False)
    if value.stacked:
        return value.value
    return jnp.broadcast_to(value.value, (steps, *value.value.shape))


def _evaluate_steps(
    program: Jaxpr, equation: JaxprEqn, inputs: Sequence[Any]
) -> list[_Steps]:
    """Outputs of one equation for many steps."""
    plain = [v.value if isinstance(v, _Steps) else v for v in inputs]
    stacked = [isinstance(v, _Steps) and v.stacked for v in inputs]
    if not any(stacked):
        return [_Steps(out, False) for out in evaluate(program, equation, plain)]
    if is_plain_product(equation) and stacked == [True, False] and _is_local(plain):
        # As one product over steps and batch, whose transpose is one product too; a
        # product over two axes would be transposed in memory first.
        a, b = plain
        rows = math.prod(a.shape[:-1])
        out = product(a.reshape(rows, a.shape[-1]), b, equation)
        return [_Steps(out.reshape(*a.shape[:-1], out.shape[-1]), True)]
    run = jax.vmap(
        lambda *args: evaluate(program, equation, args),
        in_axes=[0 if s else None for s in stacked],
    )
    return [_Steps(out, True) for out in run(*plain)]


def _size(atom: Any) -> int:
    """Number of elements of a variable, for one element of each symbolic axis."""
    return math.prod(axis for axis in atom.aval.shape if isinstance(axis, int))


def _is_local(arrays: Sequence[Any]) -> bool:
    """True if arrays are on one device, or divided by `shard_map`.

    XLA divides other arrays itself, and cannot divide steps and batch as one axis.
    """
    specs = [jax.typeof(array).sharding.spec for array in arrays]
    if any(axis is not None for spec in specs for axis in spec):
        return False
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return jax.device_count() == 1
    axes = zip(mesh.axis_types, mesh.axis_sizes, strict=True)
    return all(kind == AxisType.Manual or size == 1 for kind, size in axes)
