"""Tags on the values of a step, which the instruments search for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jaxtyping import Array

from nets.tracing.jaxpr import (
    evaluate,
    inner_jaxpr,
    interpret,
    programs_of,
    wrapped,
)

GATE, KEEPER, CANDIDATE = "gate", "keeper", "candidate"


class Tag(NamedTuple):
    """Tag of a value of a step.

    Attributes:
        kind: "gate", "keeper" for a gate that multiplies the old state, or "candidate".
        name: Name of the gate.
    """

    kind: str
    name: str


def tag_gate(value: Array, name: str, *, retains: bool = False) -> Array:
    """Tag a value as a gate, for the instruments.

    Args:
        value: Numbers from 0 to 1.
        name: Name of the gate, such as "forget".
        retains: True if the gate multiplies the old state, so that it sets how long the
            state is remembered.

    Returns:
        The value, unchanged.

    Example:
        A cell for `nets.flow.gates` and `nets.flow.split_by_path`:

        >>> import jax.numpy as jnp, nets
        >>> def step(w, state, x):
        ...     keep = nets.tag_gate(jax.nn.sigmoid(x @ w), "keep", retains=True)
        ...     state = keep * state + (1 - keep) * nets.tag_candidate(jnp.tanh(x @ w))
        ...     return state, state
    """
    return checkpoint_name(value, f"{KEEPER if retains else GATE}:{name}")


def tag_candidate(value: Array, name: str = "candidate") -> Array:
    """Tag a value as a candidate, which a gate may write into the state.

    Args:
        value: Candidate for the new state.
        name: Name of the candidate.

    Returns:
        The value, unchanged.

    Example:
        >>> tag_candidate(jax.numpy.ones(2)).tolist()
        [1.0, 1.0]
    """
    return checkpoint_name(value, f"{CANDIDATE}:{name}")


def with_tags(
    step: Callable[..., Any],
    change: Callable[[int, Array], Array] = lambda index, value: value,
) -> Callable[..., tuple[Any, list[tuple[Tag, Array]]]]:
    """The same step, which also returns its tagged values.

    Tags are found at the top level of the step, inside `jax.jit` and `jax.checkpoint`,
    and inside a `scan` (or a `fori_loop` of a fixed number of steps). A `scan` is
    unrolled, so that each iteration has separate tags. Tags anywhere else are an error.

    Args:
        step: Any function of arrays.
        change: `change(index, value)` returns the value that replaces the tagged value
            number `index` in the rest of the step.

    Returns:
        `out, tagged = function(*args)`: the result of `step`, and pairs of tags and
        values in the order of computation.

    Raises:
        ValueError: In the returned function, if a value is tagged inside another
            operation, such as a `while_loop`, a `cond`, a `custom_jvp` or a
            `custom_vjp`.

    Example:
        >>> import jax.numpy as jnp
        >>> double = with_tags(lambda x: 2 * tag_gate(x, "forget"))
        >>> y, ((tag, value),) = double(jnp.array(0.5))
        >>> y.item(), tag.name, value.item()
        (1.0, 'forget', 0.5)
    """

    def collecting(*args):
        def run(*args):  # hashable, as JAX requires, even if the step is not
            return step(*args)

        program, out = jax.make_jaxpr(run, return_shape=True)(*args)
        tagged = []
        values = _run(program, jax.tree.leaves(args), change, tagged)
        return jax.tree.unflatten(jax.tree.structure(out), values), tagged

    return collecting


def gate_names(step: Callable[..., Any], *args: Any) -> list[str]:
    """Names of the gates of a step.

    Args:
        step: Any function of arrays.
        *args: Arguments of the step, or their shapes.

    Returns:
        Names in the order of computation; an empty list if the step tags no gates.

    Raises:
        ValueError: As in `with_tags`.

    Example:
        >>> gate_names(lambda x: 2 * tag_gate(x, "forget"), jax.numpy.ones(3))
        ['forget']
    """
    names = []

    def look(*args):
        _, tagged = with_tags(step)(*args)
        names.extend(tag.name for tag, _ in tagged if tag.kind != CANDIDATE)

    jax.eval_shape(look, *args)
    return names


def _run(program: ClosedJaxpr, inputs: list, change, tagged: list) -> list:
    """Interpret a closed jaxpr, and append its tagged values to `tagged`."""

    def rule(equation, inputs):
        if tag := _tag(equation):
            value = change(len(tagged), inputs[0])
            tagged.append((tag, inputs[0]))
            return [value]
        if equation.params.get("length") == 0 or not any(
            map(_has_tags, programs_of(equation))
        ):
            return evaluate(program.jaxpr, equation, inputs)
        if inner := inner_jaxpr(equation):
            return _run_inside(equation, inner, inputs, change, tagged)
        if equation.primitive.name == "scan":
            return _unroll(equation, inputs, change, tagged)
        raise ValueError(
            "expected gates and candidates to be tagged outside of loops of an unknown "
            "number of steps, of branches and of custom derivatives; got tags inside "
            f"one {equation.primitive.name}: tag the values that it returns"
        )

    return interpret(program.jaxpr, program.consts, inputs, rule)


def _has_tags(jaxpr: Jaxpr) -> bool:
    """True if a jaxpr has tags, at any depth."""
    return any(
        _tag(equation) is not None or any(map(_has_tags, programs_of(equation)))
        for equation in jaxpr.eqns
    )


def _run_inside(
    equation: JaxprEqn, program: ClosedJaxpr, inputs: list, change, tagged: list
) -> list:
    """`_run` of an inner jaxpr, checkpointed if its equation is a checkpoint."""
    tags = []

    def run(inputs):
        collected = [*tagged]  # so that the indices continue
        results = _run(program, inputs, change, collected)
        tags[:] = [tag for tag, _ in collected[len(tagged) :]]
        return results, [value for _, value in collected[len(tagged) :]]

    results, values = wrapped(equation, run)(inputs)
    tagged.extend(zip(tags, values, strict=True))
    return results


def _unroll(equation: JaxprEqn, inputs: list, change, tagged: list) -> list:
    """Outputs of a scan, which is run iteration by iteration."""
    length, program = equation.params["length"], equation.params["jaxpr"]

    # An array that is read or written in each iteration has one axis less inside.
    def by_iteration(outside, inside):
        pairs = zip(outside, inside, strict=True)
        return sum(len(o.aval.shape) > len(i.aval.shape) for o, i in pairs)

    carries = len(equation.outvars)
    carries -= by_iteration(equation.outvars, program.jaxpr.outvars)
    xs = by_iteration(equation.invars, program.jaxpr.invars)
    consts = len(equation.invars) - xs - carries
    fixed, xs = inputs[:consts], inputs[consts + carries :]
    carry, ys = inputs[consts : consts + carries], {}
    for i in range(length)[:: -1 if equation.params["reverse"] else 1]:
        x = [leaf[i] for leaf in xs]
        results = _run(program, [*fixed, *carry, *x], change, tagged)
        carry, ys[i] = results[:carries], results[carries:]
    rows = zip(*(ys[i] for i in range(length)), strict=True)
    return [*carry, *(jnp.stack(row) for row in rows)]


def _tag(equation) -> Tag | None:
    """Tag of an equation, or None."""
    kind, colon, name = str(equation.params.get("name", "")).partition(":")
    if colon and kind in (GATE, KEEPER, CANDIDATE):
        return Tag(kind, name)
    return None
