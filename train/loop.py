"""The parts of `train.fit`: states, order of the examples, and the compiled program."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, Key, PyTree

from train.data.batches import epochs
from train.step import LossFn, Params, TrainState, init_state, make_step


def draw_keys(
    seeds: Sequence[int],
) -> tuple[Key[Array, " seeds"], Key[Array, " seeds"]]:
    """Keys of the order of the examples, and keys of the losses.

    Args:
        seeds: One seed per model.

    Returns:
        Both keys of every model, each [seeds].
    """
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    order_keys, loss_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    return order_keys, loss_keys


def draw_order(
    keys: Key[Array, " seeds"], examples: int, batch_size: int, steps: int, start: int
) -> Int[Array, "steps seeds batch_size"]:
    """Indices of the examples of each step and model.

    Args:
        keys: First keys of `draw_keys`.
        examples: Number of examples.
        batch_size: Examples per step.
        steps: Number of steps.
        start: Number of steps taken before.

    Returns:
        Indices, [steps, seeds, batch_size].
    """
    draw = jax.vmap(
        lambda key: epochs(key, examples, batch_size, steps, start), out_axes=1
    )
    return draw(keys)


def init_states(
    optimizer: optax.GradientTransformation,
    params: Params | TrainState,
    keys: Key[Array, " seeds"],
    hyperparameters: Mapping[str, Array],
) -> TrainState:
    """States of all models before the next step, each with its hyperparameters.

    Args:
        optimizer: As in `train.fit`.
        params: As in `train.fit`.
        keys: Keys of the losses.
        hyperparameters: As in `train.fit`, arrays [seeds].

    Returns:
        A `TrainState`, [seeds, ...].

    Raises:
        ValueError: The state is that of other seeds, its models have taken different
            numbers of steps, or the optimizer's state lacks a hyperparameter.
    """

    def init_one(params, key, hyperparameters):
        state = params
        if not isinstance(params, TrainState):
            state = init_state(optimizer, params, key)
        if not hyperparameters:
            return state
        return state._replace(
            opt_state=optax.tree.set(state.opt_state, **hyperparameters)
        )

    if isinstance(params, TrainState):
        _check_state(params, keys)
    try:
        return jax.vmap(init_one)(params, keys, hyperparameters)
    except KeyError as error:
        raise ValueError(
            f"expected an optimizer of optax.inject_hyperparams whose state has "
            f"{', '.join(hyperparameters)}; got {error.args[0]}"
        ) from None


def _check_state(state: TrainState, keys: Key[Array, " seeds"]) -> None:
    """Check that the state is that of the same seeds, all after the same step."""
    if not (jax.random.key_data(state.key) == jax.random.key_data(keys)).all():
        raise ValueError(
            "expected the state of the same seeds, in the same order; got the state "
            "of other seeds"
        )
    steps = np.unique(state.step).tolist()
    if len(steps) > 1:
        raise ValueError(
            f"expected the state of models after equally many steps; got {steps}"
        )


def step_of_all(
    loss_fn: LossFn, optimizer: optax.GradientTransformation
) -> Callable[..., Any]:
    """One step of all models.

    Args:
        loss_fn: As in `train.fit`.
        optimizer: As in `train.fit`.

    Returns:
        `states, metrics = step(states, indices, data)`, indices [seeds, batch_size].
    """
    take_step = make_step(loss_fn, optimizer)

    def step_of_one(state, indices, data):
        return take_step(state, jax.tree.map(lambda array: array[indices], data))

    return jax.vmap(step_of_one, in_axes=(0, 0, None))


def many_steps(step: Callable[..., Any], probe: Callable[[Params], Any] | None) -> Any:
    """Many steps of all models in one jitted scan, with probes in between.

    Args:
        step: Step of all models, from `step_of_all`.
        probe: As in `train.fit`.

    Returns:
        `states, (metrics, values) = run(states, order, probed, data)`, where `order`
        is that of `draw_order` and `probed` is true before the steps of a probe.
    """

    @jax.jit
    def run(states, order, probed, data):
        def one_step(states, now):
            indices, due = now
            values = None if probe is None else _probe_all(probe, states.params, due)
            states, metrics = step(states, indices, data)
            return states, (metrics, values)

        return jax.lax.scan(one_step, states, (order, probed))

    return run


def _probe_all(probe, params, due):
    """Results of the probe for every model, one after the other; zeros if not due."""
    like = jax.eval_shape(lambda p: jax.lax.map(probe, p), params)
    return jax.lax.cond(
        due,
        lambda p: jax.lax.map(probe, p),
        lambda p: jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like),
        params,
    )


def calls(start: int, stop: int, *every: int) -> list[slice]:
    """Divide steps into calls of the program, which end at multiples of some numbers.

    Args:
        start: Number of steps taken before.
        stop: Number of steps after the last.
        *every: Numbers of steps; a call ends at each of their multiples. 0 is ignored.

    Returns:
        One slice of the steps, counted from `start`, per call.

    Example:
        >>> [(part.start, part.stop) for part in calls(10, 50, 20, 30)]
        [(0, 10), (10, 20), (20, 30), (30, 40)]
    """
    ends = {stop}
    for count in filter(None, every):
        ends |= set(range(start - start % count + count, stop, count))
    ordered = [0, *(end - start for end in sorted(ends))]
    return [slice(*pair) for pair in itertools.pairwise(ordered)]


def check_sizes(
    params: Params | TrainState,
    hyperparameters: Mapping[str, Array],
    data: PyTree,
    seeds: Sequence[int],
) -> int:
    """Check that the lengths of the arrays agree.

    Args:
        params: As in `train.fit`.
        hyperparameters: As in `train.fit`.
        data: As in `train.fit`.
        seeds: As in `train.fit`.

    Returns:
        The number of examples.

    Raises:
        ValueError: They do not agree.
    """
    # The state of an optimizer may have parts without arrays; the parameters do not.
    models = params.params if isinstance(params, TrainState) else params
    counts = {len(leaf) for leaf in jax.tree.leaves((models, hyperparameters))}
    if counts != {len(seeds)}:
        raise ValueError(
            f"expected parameters, and hyperparameters if there are any, stacked over "
            f"{len(seeds)} seeds, [seeds, ...]; got arrays of length {sorted(counts)}"
        )
    lengths = {len(leaf) for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1:
        raise ValueError(
            f"expected data [examples, ...] of one length; got {sorted(lengths)}"
        )
    return lengths.pop()
