"""A recurrent step as a program, and its derivative."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Var
from jaxtyping import PyTree

from nets.tracing.early_terms import Derivative, early_terms, with_terms
from nets.tracing.jaxpr import is_variable, programs_of
from nets.tracing.products import merged
from nets.tracing.programs import (
    dependents,
    hoisted,
    part_of,
    program_of,
    run_program,
)
from nets.types import State

# Operations that cost no more than to read their result from memory.
CHEAP = """
    add add_any sub mul neg integer_pow square sign max min select_n eq ne ge gt le lt
    and or not convert_element_type broadcast_in_dim reshape squeeze slice split
    concatenate pad transpose copy name stop_gradient
"""


class Step(NamedTuple):
    """A step as a program.

    Attributes:
        program: Jaxpr of the constants, the state and the input, without inner jaxprs
            of `jax.jit`; its outputs are the new state and the output.
        fast: An equivalent program, whose products are merged.
        consts: Arrays that the step reads besides state and input, e.g. parameters.
        states: Number of arrays in the state.
        tree: Structure of the new state and the output.
    """

    program: Jaxpr
    fast: Jaxpr
    consts: list[Any]
    states: int
    tree: Any

    def run(self, consts, state, x) -> tuple[list[Any], list[Any]]:
        """The new state, and the output."""
        results = run_program(self.fast, *consts, *state, *x)
        return results[: self.states], results[self.states :]


def step_of(body: Callable[..., Any], state: State, inputs: PyTree) -> Step | None:
    """Trace the body of a scan.

    Args:
        body: `state, out = body(state, x)`.
        state: Initial state.
        inputs: Arrays [time, ...].

    Returns:
        The step; None if its derivative has to stay in the loop: it has side effects,
        it contains a loop, a branch, a `jax.checkpoint` or a `jax.custom_vjp`, or the
        new state is not like the state, for which `jax.lax.scan` has an error message.
    """
    x = first_of(inputs)
    program, consts, shapes, impure = program_of(body, state, x)
    opaque = any(
        equation.primitive.name != "custom_jvp_call" and any(programs_of(equation))
        for equation in program.eqns
    )
    like = jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), state)
    pair = isinstance(shapes, tuple) and len(shapes) == 2
    new = jax.tree.map(lambda s: (s.shape, s.dtype), shapes[0]) if pair else None
    if impure or opaque or new != like:
        return None
    states = len(jax.tree.leaves(state))
    program, consts = hoisted(program, consts)
    return Step(program, merged(program), consts, states, jax.tree.structure(shapes))


class LinearStep(NamedTuple):
    """A step, with the programs of its derivative.

    Attributes:
        forward: Program of the new state, the output, and values to keep.
        outs: Number of arrays in the new state and the output.
        fixed: Program of the values that are the same in all steps.
        residuals: Program of the residuals of the derivative, from the fixed values and
            the values of a step.
        sources: List and position of each value of a step; the lists are the inputs
            (0), the outputs (1) and the values to keep (2).
        derivative: The derivative.
        stacked: Whether a residual differs between steps.
        constants: Numbers in the programs, which are their first inputs.
    """

    forward: Jaxpr
    outs: int
    fixed: Jaxpr
    residuals: Jaxpr
    sources: list[tuple[int, int]]
    derivative: Derivative
    stacked: list[bool]
    constants: list[Any]

    def run(self, consts, state, x) -> tuple[list[Any], tuple[list[Any], list[Any]]]:
        """The new state; the output, and values to keep."""
        results = run_program(self.forward, *self.constants, *consts, *state, *x)
        states = len(state)
        return results[:states], (results[states : self.outs], results[self.outs :])

    def saved(self, consts, inputs, outs, kept) -> tuple[list[Any], list[Any]]:
        """The fixed values, and those of all steps."""
        where = inputs, outs, kept
        fixed = run_program(self.fixed, *self.constants, *consts)
        return fixed, [where[i][j] for i, j in self.sources]

    def terms(self, saved, first, steps, by_consts, by_inputs) -> list[Any]:
        """Terms of the derivative that do not depend on the state, [steps, ...]."""
        fixed, by_step = saved
        part = [
            a if a.shape[0] == steps else jax.lax.dynamic_slice_in_dim(a, first, steps)
            for a in by_step
        ]
        axes = [0 if stacked else None for stacked in self.stacked]
        residuals = jax.vmap(
            lambda *values: run_program(self.residuals, *fixed, *values),
            out_axes=axes,
            axis_size=steps,
        )(*part)
        return early_terms(
            self.derivative, residuals, self.stacked, by_consts, by_inputs, steps
        )

    def apply(self, saved, by_state, terms) -> tuple[list[Any], list[Any]]:
        """Tangents of the new state and the output of one step."""
        fixed, now = saved
        residuals = run_program(self.residuals, *fixed, *now)
        results = with_terms(self.derivative, residuals, by_state, terms)
        return results[: len(by_state)], results[len(by_state) :]


def linearize(
    step: Step,
    consts: Sequence[Any],
    state: Sequence[Any],
    inputs: Sequence[Any],
    by: tuple[Sequence[int], Sequence[int], Sequence[int]],
) -> LinearStep:
    """Linearize a step.

    Args:
        step: The step.
        consts: Arrays that it reads.
        state: Arrays of the state.
        inputs: Arrays [time, ...].
        by: Positions of the constants, the arrays of the state and of the inputs by
            which the step is differentiated.

    Returns:
        A `LinearStep`.
    """
    args = consts, state, first_of(list(inputs))
    whole, constants, derivative = _derivative(step.program, args, by)
    outs = len(step.program.outvars)
    firsts = len(constants) + len(consts)
    before, x = whole.invars[:firsts], whole.invars[firsts + len(state) :]
    out, residuals = whole.outvars[len(state) : outs], whole.outvars[outs:]
    varying = dependents(whole, whole.invars[firsts:])
    places = {v: (1, i) for i, v in enumerate(out) if is_variable(v)}
    places |= {v: (0, i) for i, v in enumerate(x)}
    fixed, by_step = _needed(whole, residuals, varying, set(places))
    kept = [v for v in by_step if v not in places]
    places |= {v: (2, i) for i, v in enumerate(kept)}
    return LinearStep(
        forward=merged(part_of(whole, whole.invars, [*whole.outvars[:outs], *kept])),
        outs=outs,
        fixed=part_of(whole, before, fixed),
        residuals=part_of(whole, [*fixed, *by_step], residuals),
        sources=[places[v] for v in by_step],
        derivative=derivative,
        stacked=[is_variable(atom) and atom in varying for atom in residuals],
        constants=constants,
    )


def _needed(
    program: Jaxpr, results: Sequence[Any], varying: set[Any], given: set[Any]
) -> tuple[list[Var], list[Var]]:
    """Variables from which the results follow by cheap operations.

    The first list has those that are the same in all steps, the second list the others.
    A result is kept if it takes less memory than what it follows from.
    """
    producers = {v: equation for equation in program.eqns for v in equation.outvars}
    cheap = CHEAP.split()
    by_step: list[Any] = []

    def is_kept(atom):
        if atom in given or atom in by_step or atom not in producers:
            return True
        return producers[atom].primitive.name not in cheap

    def sources(atom):
        """Variables that a value follows from."""
        if not is_variable(atom):
            return {}
        if atom not in varying or is_kept(atom):
            return {atom: None}  # a dictionary keeps the order
        return {v: None for u in producers[atom].invars for v in sources(u)}

    def add(atoms):
        by_step.extend(v for v in atoms if v in varying and v not in by_step)

    moving = [atom for atom in results if is_variable(atom) and atom in varying]
    add(filter(is_kept, moving))
    for atom in moving:
        others = [v for v in sources(atom) if v in varying and v not in by_step]
        size = sum(_bytes(v) for v in others if v not in given)
        add([atom] if size > _bytes(atom) else others)
    fixed = [v for atom in results for v in sources(atom) if v not in varying]
    return list(dict.fromkeys(fixed)), by_step


def _bytes(variable: Any) -> Any:
    """Size of a variable."""
    return variable.aval.size * variable.aval.dtype.itemsize


def _derivative(
    program: Jaxpr, args: tuple[Any, Any, Any], by: tuple[Sequence[int], ...]
) -> tuple[Jaxpr, list[Any], Derivative]:
    """Program of a step with its residuals, its constants, and the derivative."""
    linear = None

    def run(*parts):
        nonlocal linear

        def function(*chosen):
            full = [replaced(*args) for args in zip(parts, by, chosen, strict=True)]
            results = run_program(program, *full[0], *full[1], *full[2])
            results = [jnp.asarray(result) for result in results]
            return [result for result in results if _is_real(result)], results

        at = [[part[i] for i in where] for part, where in zip(parts, by, strict=True)]
        _, apply, results = jax.linearize(function, *at, has_aux=True)
        linear, consts, _, _ = program_of(apply, *at)
        return [*results, *consts]

    whole, consts, _, _ = program_of(run, *args)
    assert linear is not None
    counts = len(by[0]), len(by[1]), len(by[2])
    constants = consts[: len(whole.invars) - len(jax.tree.leaves(args))]
    return whole, constants, Derivative(linear, counts)


def replaced(values: Sequence[Any], where: Sequence[int], by: Sequence[Any]) -> list:
    """A list with other values at some positions.

    Args:
        values: The list.
        where: Positions.
        by: New values, one per position.

    Returns:
        A new list.

    Example:
        >>> replaced([1, 2, 3], [0, 2], [4, 5])
        [4, 2, 5]
    """
    result = list(values)
    for i, value in zip(where, by, strict=True):
        result[i] = value
    return result


def first_of(tree: PyTree) -> PyTree:
    """Shapes and dtypes of the inputs of one step.

    Args:
        tree: A tree of arrays [time, ...].

    Returns:
        The tree without the axis of time.

    Example:
        >>> first_of(jnp.ones((5, 2))).shape
        (2,)
    """
    return jax.eval_shape(lambda tree: jax.tree.map(lambda a: a[0], tree), tree)


def _is_real(leaf: Any) -> bool:
    """True for an array of real or complex numbers."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
