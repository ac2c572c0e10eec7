"""Run a cell over time."""

from functools import partial
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PyTree, Shaped

from nets.compiling import compiled
from nets.recurrent.associating import associate
from nets.recurrent.batch import batch_shape
from nets.recurrent.chunks import scan_in_chunks
from nets.recurrent.combinations import (
    check_combination,
    check_perturbations,
    count_steps,
)
from nets.recurrent.half_precision import as_given, with_wide_gradients
from nets.recurrent.initial_state import initial_state
from nets.recurrent.padding import (
    array_like,
    check_padding,
    check_waiting,
    on_device,
    padding_mask,
    select_valid,
)
from nets.recurrent.parallel.choosing import any_candidate, associative_if_linear
from nets.recurrent.parallel.options import ParallelSolver, as_solver, no_iterations
from nets.recurrent.parallel.running import run_in_parallel
from nets.recurrent.restored_params import restored_for
from nets.recurrent.scanning import scan
from nets.recurrent.sharding import split_as, with_split_state
from nets.recurrent.untying import untied_params
from nets.tracing.perturb import perturbed
from nets.types import Cell, KeyArray, Params, State


def unroll(
    cell: Cell,
    params: Params,
    xs: PyTree[Shaped[Array | np.ndarray, "..."]],
    state: State | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reverse: bool = False,
    all_states: bool = False,
    key: KeyArray | None = None,
    parallel: bool | str | ParallelSolver = False,
    remat: bool = False,
    truncate: SupportsIndex | None = None,
    perturbations: State | None = None,
    untied: bool = False,
) -> tuple[State, Any]:
    """Run a cell over a sequence, step by step or in parallel.

        s_t, y_t = step(params, s_{t-1}, x_t)    for t = 0 ... T - 1

    At a step that is padding, by `lengths` or by `mask`, the state does not change and
    the output is zero. Values of xs in the padding, NaN included, affect neither the
    outputs nor the states nor the gradients. A sequence without real steps returns the
    initial state.

    Outside `jax.jit`, equal calls are compiled once (see `nets.compiling`).

    In parallel, the backward pass g_t = A_{t+1}^T g_{t+1} + dL/ds_t, A_t = ds_t /
    ds_{t-1}, is one associative scan without iterations. It needs the Jacobians of all
    steps: T n^2 numbers per sequence for a state of n numbers (T n, if the step is
    elementwise in the state), and three times as much in the scan. More than 16 GiB of
    Jacobians are refused. The forward pass is iterated until the states solve s_t =
    f(s_{t-1}, x_t); the iterations are few if the largest Lyapunov exponent is below 0,
    and up to T if it is above. Above 0, a difference within the tolerance grows over
    the steps, as a rounding error in a loop does, and states after many steps differ
    from those of the loop. If a solver does not converge, the loop runs. Under
    `jax.vmap` both always run, as a branch becomes a selection; a batch axis of xs does
    not have this cost. The sequences of a batch must not depend on each other. Products
    have the highest precision, on a GPU too.

    Args:
        cell: Any `Cell`.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs]; [time, *batch, *space, inputs] if the cell
            reads images; any tree of arrays [time, ...] if the cell takes a tree.
        state: Initial state s_{-1}, by default `cell.initial_state(params, xs[0])`. An
            entry that a cell in half precision keeps in float32 may be given in half
            precision; then the last state is returned in half precision too.
        lengths: Length of each sequence, integers from 0 to time, [*batch] or its
            leading axes. Later steps are padding.
        mask: Booleans, [time, *batch] or its leading axes, true at real steps. Padding
            may be at the beginning of a sequence or between its steps.
        reverse: Read from the last step to the first. Outputs keep the positions of
            their inputs, so ys[0] is computed last; padding by `lengths` is still at
            the end.
        all_states: Return the states after every step instead of the final state.
        key: Key of `jax.random.key` for a cell that is stochastic in training (see
            `input_dropout`, `recurrent_dropout`, `zoneout`, `drop_connect`). Without a
            key the cell is deterministic.
        parallel: Run over time in O(log time) parallel steps. True: an associative
            scan, for a cell that is linear in its state. For every cell: "newton" or
            "quasi" solves for all states at once; "backward" runs forward in the loop
            and backward in parallel; "auto" chooses; a `ParallelSolver` is a method
            with its options. Results are equal up to rounding and the tolerance, unless
            the cell is chaotic. See above.
        remat: Keep only every sqrt(time)-th state for the backward pass, and recompute
            the other states: memory grows as sqrt(time), at the cost of one more
            forward pass. With `parallel=True`, sqrt(time) steps at a time run in
            parallel.
        truncate: Number of steps (padding included) after which the gradient by the
            state is stopped, again and again. The forward pass does not change.
        perturbations: Perturbations added to the state after each step (zeros, to
            differentiate with respect to): a tree like the states of all steps, [time,
            *batch, ...]. The output follows the perturbed state (see
            `nets.flow.state_gradients`).
        untied: Use separate parameters at each step: each entry of `params` that is a
            float has a leading time axis. Entries of other types are shared.

    Returns:
        The state after the last step read (the states after each step, [time, ...],
        with `all_states`), and the outputs, [time, *batch, features].

    Raises:
        ValueError: The shapes of xs, state, lengths and mask do not fit each other; a
            length is out of range (only concrete lengths are checked);
            `parallel=True` is given for a cell that is not linear in its state;
            options cannot be combined; Jacobians do not fit into memory; the state to
            solve for has integers; or `perturbations` are given for a step whose output
            cannot be separated from its state.

    Example:
        >>> import nets
        >>> cell = nets.gru()
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 2, 3))
        >>> state, ys = unroll(cell, params, xs, lengths=jnp.array([10, 4]))
        >>> ys[3:6, 1, 0] == 0
        Array([False,  True,  True], dtype=bool)
        >>> bool((state.hidden[1] == ys[3, 1]).all())
        True

    References:
        Williams and Peng 1990, An efficient gradient-based algorithm for on-line
        training of recurrent network trajectories, Neural Computation (truncation).
        Chen et al. 2016, Training deep nets with sublinear memory cost,
        https://arxiv.org/abs/1604.06174 (remat).
        Lim et al. 2024, Parallelizing non-linear sequential models over the sequence
        length, https://arxiv.org/abs/2309.12252 ("newton").
        Gonzalez et al. 2024, Towards scalable and stable parallelization of nonlinear
        RNNs, https://arxiv.org/abs/2407.19115 ("quasi").
        Gonzalez et al. 2025, Predictability enables parallelization of nonlinear state
        space models, https://arxiv.org/abs/2508.16817 (the exponent).
    """
    params = restored_for(cell, params)
    params, xs = on_device((params, xs))
    time = _time(xs)
    if not isinstance(time, int) and (parallel or remat or truncate is not None):
        raise ValueError(
            "expected a known number of steps with parallel, remat or truncate; got "
            f"{time}: export the sequence with a fixed time, or without these options"
        )
    parallel = as_solver(parallel)
    truncate = None if truncate is None else count_steps(truncate)
    lengths = None if lengths is None else array_like(lengths)
    mask = None if mask is None else array_like(mask)
    check_padding(xs, lengths, mask, cell.spatial_dims)
    options = {"lengths": lengths, "mask": mask, "reverse": reverse}
    options |= {"all_states": all_states, "key": key, "parallel": parallel}
    options |= {"remat": remat, "truncate": truncate, "perturbations": perturbations}
    options |= {"untied": untied}
    end, ys = unrolled(cell, params, xs, state, **options)
    return (end if state is None else as_given(end, state)), ys


@compiled
def unrolled(
    cell,
    params,
    xs,
    state,
    *,
    lengths,
    mask,
    reverse,
    all_states,
    key,
    parallel,
    remat,
    truncate,
    perturbations,
    untied,
    report=False,
) -> Any:
    """`unroll` without the checks that need the values of arrays.

    With `report`, a solver does not fall back to the loop, and its `Solve` is returned.
    """
    time = _time(xs)
    first, last = (-1, 0) if reverse else (0, -1)
    # Zeros replace x_0: the initial state may not depend on the values of x_0, which
    # may be padding, and does not exist in an empty sequence.
    blank = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), xs)
    by_step = at_step = None
    if untied:
        by_step, at_step = untied_params(params, time)
        params = at_step([None if p is None else p[first] for p in by_step])
    state = initial_state(cell, params, blank, state)
    state = split_as(xs, state, cell.spatial_dims)
    real = _real_steps(cell, params, xs, blank, state, lengths, mask)
    # Otherwise a NaN in the padding would reach the gradients as 0 * NaN.
    xs = select_valid(real, xs, 0.0)
    stochastic_step = None if key is None else cell.stochastic_step
    noisy = stochastic_step is not None
    plain = not (noisy or untied or perturbations is not None)
    parallel = associative_if_linear(parallel, cell, plain)
    check_combination(cell, noisy, parallel, remat, truncate, perturbations, untied)

    if parallel is True and time:
        how = {"all_states": all_states, "remat": remat}
        return associate(cell, params, xs, state, real, reverse, **how)

    keys, step = None, with_wide_gradients(cell.step, params)
    if stochastic_step is not None and key is not None:
        once, each = jax.random.split(key)
        step, keys = stochastic_step(once, params, blank), jax.random.split(each, time)
    check_perturbations(perturbations, state, time)
    inputs = xs, real, keys, perturbations, by_step
    body, state = with_split_state(_advance(cell, step, at_step), state, inputs)
    if isinstance(parallel, ParallelSolver) and time:
        axes = len(batch_shape(cell, params, blank, state))
        if parallel.method != "auto" or any_candidate(body, state, inputs, axes):
            options = {"batch_axes": axes, "reverse": reverse, "fallback": not report}
            states, *out = run_in_parallel(body, state, inputs, parallel, **options)
            return _end(states, all_states, last), *out[: 1 + report]
    how = reverse, remat, truncate
    if not all_states:
        return _scan(body, state, inputs, *how)
    out = _scan(_with_state(body), state, inputs, *how)[1]
    return (*out, no_iterations()) if report else out


def _advance(cell, step, at_step):
    """One step of all inputs: padding, noise, perturbations, separate parameters."""

    def advance(state, inputs):
        x, real, key, added, leaves = inputs
        run = step if at_step is None else partial(cell.step, at_step(leaves))
        args = (state, x) if key is None else (state, x, key)
        new, y = run(*args) if added is None else perturbed(run)(added, *args)
        new, y = select_valid(real, new, state), select_valid(real, y, 0.0)
        return new, y

    return advance


def _with_state(body):
    """A step whose output includes the new state."""

    def keep(state, inputs):
        new, y = body(state, inputs)
        return new, (new, y)

    return keep


def _end(states, all_states, last):
    """The states of all steps, or the state after the step that is read last."""
    return states if all_states else jax.tree.map(lambda s: s[last], states)


def _real_steps(cell, params, xs, x, state, lengths, mask):
    """Mask of the real steps; None without padding."""
    real = padding_mask(xs, lengths, mask, cell.spatial_dims)
    if real is not None:
        batch = batch_shape(cell, params, x, state)
        check_waiting(real, batch, state, masked=mask is not None)
    return real


def _scan(body, state, inputs, reverse, remat, truncate):
    """Scan over the steps, in chunks if requested."""
    if remat or truncate:
        return scan_in_chunks(body, state, inputs, reverse, remat, truncate)
    return scan(body, state, inputs, reverse=reverse)


def _time(xs: PyTree) -> Any:
    """Number of steps in xs."""
    shapes = [jnp.shape(x) for x in jax.tree.leaves(xs)]
    times = {shape[0] for shape in shapes if shape}
    if len(times) != 1 or () in shapes:
        raise ValueError(
            "expected inputs of shape [time, *batch, inputs], with the same time in "
            f"all arrays; got shapes {[list(shape) for shape in shapes]}"
        )
    return times.pop()
