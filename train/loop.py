"""Before the loop of `train.fit`: keys, states, order of the examples, calls."""

import inspect
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Int, Key, PyTree

from train.data.batches import epochs, in_order
from train.members import Members
from train.result import Best, FitResult, Probes, Scores
from train.step import LossFn, Params, TrainState, init_state


def draw_keys(
    seeds: Sequence[int],
) -> tuple[Key[Array, " members"], Key[Array, " members"]]:
    """Keys of the order of the examples, and keys of the losses.

    Args:
        seeds: One seed per model.

    Returns:
        Both keys of every model, each [members].
    """
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    order_keys, loss_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    return order_keys, loss_keys


def draw_order(
    keys: Key[Array, " members"],
    examples: int,
    batch_size: int,
    steps: int,
    start: int,
    shuffle: bool = True,
) -> Int[np.ndarray, "steps members batch_size"]:
    """Indices of the examples of each step and model.

    Args:
        keys: First keys of `draw_keys`.
        examples: Number of examples.
        batch_size: Examples per step.
        steps: Number of steps.
        start: Number of steps taken before.
        shuffle: Whether the order is random.

    Returns:
        Indices, [steps, members, batch_size].
    """
    if not shuffle:
        order = in_order(examples, batch_size, steps, start)
        return np.repeat(order[:, None], len(keys), axis=1)
    draw = jax.vmap(
        lambda key: epochs(key, examples, batch_size, steps, start), out_axes=1
    )
    return np.asarray(draw(keys))


def init_members(
    optimizer: optax.GradientTransformation,
    params: Params | FitResult,
    keys: Key[Array, " members"],
    hyperparameters: Mapping[str, ArrayLike],
) -> tuple[Members, dict[str, Array]]:
    """Members before the next step, and arguments of their losses.

    Args:
        optimizer: As in `train.fit`.
        params: As in `train.fit`.
        keys: Keys of the losses.
        hyperparameters: As in `train.fit`, arrays [members].

    Returns:
        The members, whose optimizer has its hyperparameters; and the hyperparameters
        that the optimizer does not have.

    Raises:
        ValueError: The result to continue from is that of other seeds, or its members
            have taken different numbers of steps.
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

    hyperparameters = {n: jnp.asarray(v) for n, v in hyperparameters.items()}
    training, nonfinite = jnp.ones(len(keys), bool), jnp.zeros(len(keys), int)
    if isinstance(params, FitResult):
        _check_result(params, keys)
        training, nonfinite = (
            jnp.asarray(params.training),
            jnp.asarray(params.nonfinite),
        )
        params = params.state
    states = jax.eval_shape(jax.vmap(lambda p, k: init_one(p, k, {})), params, keys)
    arguments = {
        name: values
        for name, values in hyperparameters.items()
        if not optax.tree.get_all_with_path(states.opt_state, name)
    }
    in_state = {n: v for n, v in hyperparameters.items() if n not in arguments}
    states = jax.jit(jax.vmap(init_one))(params, keys, in_state)
    return Members(states, training, nonfinite), arguments


def _check_result(result: FitResult, keys: Key[Array, " members"]) -> None:
    """Check that a result is that of the same seeds, all after the same step."""
    before, now = map(jax.random.key_data, (result.state.key, keys))
    if jnp.shape(before) != jnp.shape(now) or not (before == now).all():
        raise ValueError(
            "expected the state of the same seeds, in the same order; got the state "
            "of other seeds"
        )
    steps = np.unique(np.asarray(result.state.step)[np.asarray(result.training)])
    if len(steps) > 1:
        raise ValueError(
            f"expected the state of models after equally many steps; got "
            f"{steps.tolist()}"
        )


def check_arguments(loss_fn: LossFn, names: Collection[str]) -> None:
    """Check that a loss takes the hyperparameters that the optimizer does not have.

    Args:
        loss_fn: As in `train.fit`.
        names: Names of the hyperparameters.

    Raises:
        ValueError: It does not take them.
    """
    try:
        inspect.signature(loss_fn).bind(None, None, None, **dict.fromkeys(names))
    except TypeError as error:
        if not names:
            return  # no hyperparameter is the cause
        raise ValueError(
            f"expected an optimizer of optax.inject_hyperparams whose state has "
            f"{', '.join(names)}, or a loss_fn with keyword arguments of these names; "
            f"got neither ({error})"
        ) from None
    except ValueError:
        return


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
    params: Params | FitResult,
    hyperparameters: Mapping[str, ArrayLike],
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
    models = params.state.params if isinstance(params, FitResult) else params
    counts = {len(leaf) for leaf in jax.tree.leaves((models, hyperparameters))}
    if counts != {len(seeds)}:
        raise ValueError(
            f"expected parameters, and hyperparameters if there are any, stacked over "
            f"{len(seeds)} seeds, [members, ...]; got arrays of length {sorted(counts)}"
        )
    lengths = {len(leaf) for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1:
        raise ValueError(
            f"expected data [examples, ...] of one length; got {sorted(lengths)}"
        )
    return lengths.pop()


def result_shapes(
    optimizer: optax.GradientTransformation,
    params: Params,
    seeds: Sequence[int],
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    probe: Callable[[Params], Any] | None = None,
    evaluate_fn: Callable[[Params], Any] | None = None,
) -> FitResult:
    """The structure of a `FitResult`, to restore one from a file.

    Args:
        optimizer: As in `fit`.
        params: As in `fit`.
        seeds: As in `fit`.
        hyperparameters: As in `fit`.
        probe: As in `fit`.
        evaluate_fn: As in `fit`.

    Returns:
        A `FitResult` without numbers: `jax.ShapeDtypeStruct` in place of arrays of JAX.
        Its probes and evaluations have length 0.

    Example:
        >>> shapes = result_shapes(optax.sgd(0.1), jnp.zeros((2, 3)), [0, 1])
        >>> shapes.state.params.shape, shapes.probes
        ((2, 3), None)
    """
    count, none = len(seeds), np.zeros(0, int)

    def state(params):
        _, keys = draw_keys(seeds)
        return init_members(optimizer, params, keys, hyperparameters or {})[0].state

    result = FitResult(
        jax.eval_shape(state, params),
        0.0,
        probes=None,
        scores=None,
        best=None,
        training=np.ones(count, bool),
        nonfinite=np.zeros(count, int),
    )
    if probe is not None:
        values = jax.eval_shape(lambda p: jax.lax.map(probe, p), params)
        empty = jax.tree.map(
            lambda v: jax.ShapeDtypeStruct((0, *v.shape), v.dtype), values
        )
        result = result._replace(probes=Probes(none, empty))
    if evaluate_fn is not None:
        scores = Scores(none, np.zeros((0, count)))
        best = Best(np.zeros(count, int), np.zeros(count), result.params)
        result = result._replace(scores=scores, best=best)
    return result
