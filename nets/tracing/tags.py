"""Names on the values of a step, by which the instruments find them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jaxtyping import Array

from nets.tracing.jaxpr import evaluate, inner_jaxpr, is_variable, programs_of, wrapped

GATE, KEEPER, CANDIDATE = "gate", "keeper", "candidate"


class Tag(NamedTuple):
    """A name that a step has given to one of its values.

    Attributes:
        kind: "gate", "keeper" for a gate that the old state is multiplied by, or
            "candidate".
        name: What the gate is called.
    """

    kind: str
    name: str


def tag_gate(value: Array, name: str, *, retains: bool = False) -> Array:
    """The value as it is, known to the instruments as a gate.

    Args:
        value: Numbers from 0 to 1.
        name: What it is called, such as "forget".
        retains: Whether the old state is multiplied by it, so that it sets how long the
            state is remembered.

    Returns:
        The same numbers.

    Example:
        A cell of one's own that lets `nets.flow.gates` and `nets.flow.split_by_path`
        look in:

        >>> import jax.numpy as jnp, nets
        >>> def step(w, state, x):
        ...     keep = nets.tag_gate(jax.nn.sigmoid(x @ w), "keep", retains=True)
        ...     state = keep * state + (1 - keep) * nets.tag_candidate(jnp.tanh(x @ w))
        ...     return state, state
    """
    return checkpoint_name(value, f"{KEEPER if retains else GATE}:{name}")


def tag_candidate(value: Array, name: str = "candidate") -> Array:
    """The value as it is, known as what may be written into the state.

    Args:
        value: What the step computes to be let in.
        name: What it is called.

    Returns:
        The same numbers.

    Example:
        >>> tag_candidate(jax.numpy.ones(2)).tolist()
        [1.0, 1.0]
    """
    return checkpoint_name(value, f"{CANDIDATE}:{name}")


def with_tags(
    step: Callable[..., Any],
    change: Callable[[int, Array], Array] = lambda index, value: value,
) -> Callable[..., tuple[Any, list[tuple[Tag, Array]]]]:
    """The same step, returning its marked values too.

    Marks are found wherever they are in the step's program: in the open, inside
    `jax.jit` and `jax.checkpoint`, and inside a `scan` (or a `fori_loop` of a fixed
    number of steps), which is unrolled, so that each iteration has separate marks.
    Where the same is not possible, they are refused and not passed over.

    Args:
        step: Any function of arrays.
        change: `change(index, value)`: what the marked value of that number becomes on
            its way on.

    Returns:
        `out, marked = function(*args)`, with what `step` returns, and pairs of marks
        and values in the order in which they are computed.

    Raises:
        ValueError: When called: a value is marked inside another operation, such as a
            `while_loop`, a `cond`, a `custom_jvp` or a `custom_vjp`.

    Example:
        >>> import jax.numpy as jnp
        >>> double = with_tags(lambda x: 2 * tag_gate(x, "forget"))
        >>> y, ((mark, value),) = double(jnp.array(0.5))
        >>> y.item(), mark.name, value.item()
        (1.0, 'forget', 0.5)
    """

    def marking(*args):
        def run(*args):  # a step need not be hashable, as JAX asks
            return step(*args)

        program, out = jax.make_jaxpr(run, return_shape=True)(*args)
        marked = []
        values = _run(program, jax.tree.leaves(args), change, marked)
        return jax.tree.unflatten(jax.tree.structure(out), values), marked

    return marking


def gate_names(step: Callable[..., Any], *args: Any) -> list[str]:
    """What a step's gates are called.

    Args:
        step: Any function of arrays.
        *args: What it takes, or the shapes of that.

    Returns:
        Names, in the order in which the gates are computed; none if it marks none.

    Raises:
        ValueError: As in `with_tags`.

    Example:
        >>> gate_names(lambda x: 2 * tag_gate(x, "forget"), jax.numpy.ones(3))
        ['forget']
    """
    names = []

    def look(*args):
        _, marked = with_tags(step)(*args)
        names.extend(mark.name for mark, _ in marked if mark.kind != CANDIDATE)

    jax.eval_shape(look, *args)
    return names


def _run(program: ClosedJaxpr, inputs: list, change, marked: list) -> list:
    """Evaluate a closed jaxpr, collecting what is marked."""
    jaxpr = program.jaxpr
    values = dict(zip(jaxpr.invars, inputs, strict=True))
    values |= dict(zip(jaxpr.constvars, program.consts, strict=True))

    def read(atom):
        return values[atom] if is_variable(atom) else atom.val

    for equation in jaxpr.eqns:
        arguments = [read(atom) for atom in equation.invars]
        if mark := _tag(equation):
            results = [change(len(marked), arguments[0])]
            marked.append((mark, arguments[0]))
        elif equation.params.get("length") == 0 or not any(
            map(_has_tags, programs_of(equation))
        ):
            results = evaluate(jaxpr, equation, arguments)
        elif inner := inner_jaxpr(equation):
            results = _run_inside(equation, inner, arguments, change, marked)
        elif equation.primitive.name == "scan":
            results = _unroll(equation, arguments, change, marked)
        else:
            raise ValueError(
                "expected gates and candidates to be marked outside of loops of an "
                "unknown number of steps, of branches and of custom derivatives; got "
                f"marks inside one {equation.primitive.name}: mark what it returns"
            )
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _has_tags(jaxpr: Jaxpr) -> bool:
    """True if anything is marked in a program, at any depth."""
    return any(
        _tag(equation) is not None or any(map(_has_tags, programs_of(equation)))
        for equation in jaxpr.eqns
    )


def _run_inside(
    equation: JaxprEqn, program: ClosedJaxpr, inputs: list, change, marked: list
) -> list:
    """`_run`, under the checkpoint that the program is in, if it is in one."""
    marks = []

    def run(inputs):
        found = [*marked]  # so that indices are counted on
        results = _run(program, inputs, change, found)
        marks[:] = [mark for mark, _ in found[len(marked) :]]
        return results, [value for _, value in found[len(marked) :]]

    results, values = wrapped(equation, run)(inputs)
    marked.extend(zip(marks, values, strict=True))
    return results


def _unroll(equation: JaxprEqn, inputs: list, change, marked: list) -> list:
    """The outputs of a scan, one iteration after the other."""
    length, program = equation.params["length"], equation.params["jaxpr"]
    consts, carries = equation.params["num_consts"], equation.params["num_carry"]
    fixed, xs = inputs[:consts], inputs[consts + carries :]
    carry, ys = inputs[consts : consts + carries], {}
    for i in range(length)[:: -1 if equation.params["reverse"] else 1]:
        one = [x[i] for x in xs]
        results = _run(program, [*fixed, *carry, *one], change, marked)
        carry, ys[i] = results[:carries], results[carries:]
    rows = zip(*(ys[i] for i in range(length)), strict=True)
    return [*carry, *(jnp.stack(row) for row in rows)]


def _tag(equation) -> Tag | None:
    """What an equation marks, if it does."""
    kind, colon, name = str(equation.params.get("name", "")).partition(":")
    if colon and kind in (GATE, KEEPER, CANDIDATE):
        return Tag(kind, name)
    return None
