"""A recurrent step as a program, and its derivative."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Var, jaxpr_as_fun
from jaxtyping import PyTree

from nets.tracing.early_terms import (
    Derivative,
    early_terms,
    for_all_steps,
    with_terms,
)
from nets.tracing.jaxpr import is_variable
from nets.tracing.products import inlined, is_plain_product, merged
from nets.types import State

# Operations that cost no more than to read their result from memory.
CHEAP = """
    add add_any sub mul neg integer_pow square sign max min select_n eq ne ge gt le lt
    and or not convert_element_type broadcast_in_dim reshape squeeze slice split
    concatenate pad transpose copy name stop_gradient
"""

# Bytes of the products of inputs that are computed before the loop: on a processor they
# stay in the cache; an accelerator saves a kernel in each step.
AHEAD = 2_000_000
AHEAD_ON_ACCELERATORS = 2_000_000_000


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
        results = _run(self.fast, *consts, *state, *x)
        return results[: self.states], results[self.states :]


def step_of(body: Callable[..., Any], state: State, inputs: PyTree) -> Step | None:
    """Trace the body of a scan.

    Args:
        body: `state, out = body(state, x)`.
        state: Initial state.
        inputs: Arrays [time, ...].

    Returns:
        The step; None if it has side effects, such as `jax.debug.print`.
    """
    x = _first(inputs)
    traced, shapes = jax.make_jaxpr(body, return_shape=True)(state, x)
    if traced.effects:
        return None
    leaves = jax.tree.leaves((state, x))
    program, consts = _flat(traced.jaxpr, traced.consts, leaves)
    states = len(jax.tree.leaves(state))
    return Step(program, _merged(program), consts, states, jax.tree.structure(shapes))


def computed_ahead(step: Step, inputs: Sequence[Any]) -> tuple[Step, list[Any]]:
    """Compute the products of the inputs for all steps, before the loop.

    A small product for all steps is faster than as many smaller ones. The results of a
    large one would have to be written to memory and read again.

    Args:
        step: The step.
        inputs: Arrays [time, ...].

    Returns:
        A step with the products, and other inputs that it needs, as inputs; and these
        inputs.
    """
    program, count = step.program, len(step.consts)
    x = program.invars[count + step.states :]
    moved = _varying(program, program.invars[count : count + step.states])
    by_x = _varying(program, x)
    products = [
        equation.outvars[0]
        for equation in program.eqns
        if is_plain_product(equation)
        and equation.invars[0] in by_x
        and not moved & set(filter(is_variable, equation.invars))
    ]
    steps = inputs[0].shape[0]
    size = sum(v.aval.size * v.aval.dtype.itemsize for v in products)
    limit = AHEAD if jax.default_backend() == "cpu" else AHEAD_ON_ACCELERATORS
    known = isinstance(steps, int) and isinstance(size, int)
    if not products or not known or steps * size > limit:
        return step, list(inputs)
    ahead = _part(program, [*program.invars[:count], *x], products)
    stacked = [False] * count + [True] * len(x)
    values = for_all_steps(ahead, [*step.consts, *inputs], stacked, steps)
    before = program.invars[: count + step.states]
    rest = _part(program, [*before, *x, *products], program.outvars)
    atoms = [atom for equation in rest.eqns for atom in equation.invars]
    used = set(filter(is_variable, [*atoms, *rest.outvars]))
    pairs = [(v, a) for v, a in zip(x, inputs, strict=True) if v in used]
    pairs += zip(products, values, strict=True)
    rest = rest.replace(invars=[*before, *(v for v, _ in pairs)])
    return step._replace(program=rest, fast=_merged(rest)), [a for _, a in pairs]


class LinearStep(NamedTuple):
    """A step, with the programs of its derivative.

    Attributes:
        forward: Program of the new state, the output, and values to keep.
        outs: Number of arrays in the new state and the output.
        fixed: Program of the values that are the same in all steps.
        residuals: Program of the residuals of the derivative, from the fixed values and
            the values of a step.
        sources: Where the values of a step are: the position in the list of the inputs
            (0), the outputs (1) or the values to keep (2).
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
        results = _run(self.forward, *self.constants, *consts, *state, *x)
        states = len(state)
        return results[:states], (results[states : self.outs], results[self.outs :])

    def saved(self, consts, inputs, outs, kept) -> tuple[list[Any], list[Any]]:
        """The fixed values, and those of all steps."""
        where = inputs, outs, kept
        fixed = _run(self.fixed, *self.constants, *consts)
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
            lambda *values: _run(self.residuals, *fixed, *values),
            out_axes=axes,
            axis_size=steps,
        )(*part)
        return early_terms(
            self.derivative, residuals, self.stacked, by_consts, by_inputs, steps
        )

    def apply(self, saved, t, by_state, terms) -> tuple[list[Any], list[Any]]:
        """Tangents of the new state and the output of step t."""
        fixed, by_step = saved
        now = [jax.lax.dynamic_index_in_dim(a, t, keepdims=False) for a in by_step]
        residuals = _run(self.residuals, *fixed, *now)
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
    args = consts, state, _first(list(inputs))
    whole, constants, derivative = _derivative(step.program, args, by)
    outs = len(step.program.outvars)
    firsts = len(constants) + len(consts)
    before, x = whole.invars[:firsts], whole.invars[firsts + len(state) :]
    out, residuals = whole.outvars[len(state) : outs], whole.outvars[outs:]
    varying = _varying(whole, whole.invars[firsts:])
    places = {v: (1, i) for i, v in enumerate(out) if is_variable(v)}
    places |= {v: (0, i) for i, v in enumerate(x)}
    fixed, by_step = _needed(whole, residuals, varying, set(places))
    kept = [v for v in by_step if v not in places]
    places |= {v: (2, i) for i, v in enumerate(kept)}
    return LinearStep(
        forward=_merged(_part(whole, whole.invars, [*whole.outvars[:outs], *kept])),
        outs=outs,
        fixed=_part(whole, before, fixed),
        residuals=_part(whole, [*fixed, *by_step], residuals),
        sources=[places[v] for v in by_step],
        derivative=derivative,
        stacked=[is_variable(atom) and atom in varying for atom in residuals],
        constants=constants,
    )


def _needed(
    program: Jaxpr, results: Sequence[Any], varying: set[Var], given: set[Var]
) -> tuple[list[Var], list[Var]]:
    """Variables from which the results follow by cheap operations.

    The first list has those that are the same in all steps, the second list the others.
    """
    producers = {v: equation for equation in program.eqns for v in equation.outvars}
    cheap = CHEAP.split()
    fixed: list[Var] = []
    by_step: list[Var] = []

    def need(atom):
        if not is_variable(atom) or atom in fixed or atom in by_step:
            return
        equation = producers.get(atom)
        if atom not in varying:
            fixed.append(atom)
        elif atom in given or equation is None or equation.primitive.name not in cheap:
            by_step.append(atom)
        else:
            for operand in equation.invars:
                need(operand)

    for atom in results:
        need(atom)
    return fixed, by_step


def _derivative(
    program: Jaxpr, args: tuple[Any, Any, Any], by: tuple[Sequence[int], ...]
) -> tuple[Jaxpr, list[Any], Derivative]:
    """Program of a step with its residuals, its constants, and the derivative."""
    linear = None

    def run(*parts):
        nonlocal linear

        def function(*chosen):
            full = [list(part) for part in parts]
            for part, where, values in zip(full, by, chosen, strict=True):
                for i, value in zip(where, values, strict=True):
                    part[i] = value
            results = _run(program, *full[0], *full[1], *full[2])
            return [result for result in results if _is_real(result)], results

        at = [[part[i] for i in where] for part, where in zip(parts, by, strict=True)]
        _, apply, results = jax.linearize(function, *at, has_aux=True)
        traced = jax.make_jaxpr(apply)(*at)
        linear, consts = _flat(traced.jaxpr, traced.consts, jax.tree.leaves(at))
        return [*results, *consts]

    traced = jax.make_jaxpr(run)(*args)
    whole, consts = _flat(traced.jaxpr, traced.consts, jax.tree.leaves(args))
    assert linear is not None
    counts = len(by[0]), len(by[1]), len(by[2])
    return (
        whole,
        consts[: len(whole.invars) - len(jax.tree.leaves(args))],
        Derivative(linear, counts),
    )


def _flat(
    program: Jaxpr, consts: Sequence[Any], args: Sequence[Any]
) -> tuple[Jaxpr, list[Any]]:
    """A program without inner `jax.jit`, whose constants are its first inputs."""
    flat = jax.make_jaxpr(lambda *args: inlined(program, *args))(*consts, *args)
    jaxpr = flat.jaxpr.replace(
        invars=[*flat.jaxpr.constvars, *flat.jaxpr.invars], constvars=[]
    )
    return jaxpr, [*flat.consts, *consts]


def _merged(program: Jaxpr) -> Jaxpr:
    """The program, with merged products."""
    avals = [variable.aval for variable in program.invars]
    result = jax.make_jaxpr(lambda *args: merged(program, *args))(*avals)
    return program if result.consts else result.jaxpr


def _part(program: Jaxpr, inputs: Sequence[Var], outputs: Sequence[Any]) -> Jaxpr:
    """The part of a program that computes some variables from others."""
    needed = {atom for atom in outputs if is_variable(atom)} - set(inputs)
    equations = []
    for equation in reversed(program.eqns):
        if needed & set(equation.outvars):
            equations.append(equation)
            needed |= {atom for atom in equation.invars if is_variable(atom)}
            needed -= set(inputs)
    return program.replace(
        invars=list(inputs),
        outvars=list(outputs),
        eqns=equations[::-1],
        debug_info=program.debug_info.with_unknown_names(),
    )


def _run(program: Jaxpr, *args: Any) -> list[Any]:
    """Run a program without constants."""
    return jaxpr_as_fun(ClosedJaxpr(program, ()))(*args)


def _varying(program: Jaxpr, inputs: Sequence[Var]) -> set[Var]:
    """Variables that depend on some of the inputs."""
    varying = set(inputs)
    for equation in program.eqns:
        if any(is_variable(atom) and atom in varying for atom in equation.invars):
            varying |= set(equation.outvars)
    return varying


def _first(tree: PyTree) -> PyTree:
    """Shapes and dtypes of the inputs of one step."""
    return jax.eval_shape(lambda tree: jax.tree.map(lambda a: a[0], tree), tree)


def _is_real(leaf: Any) -> bool:
    """True for an array of real or complex numbers."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
