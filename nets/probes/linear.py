"""What can be read from a state by a linear map, on examples that it has not seen."""

import math
import operator
from typing import SupportsIndex

import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PyTree, Shaped

from nets.flow.arguments import integer
from nets.flow.layers import in_every_cell
from nets.probes.folds import (
    ROUNDING,
    examples_of,
    folds_of,
    labels_of,
    numbers_of,
    standardized,
)
from nets.recurrent import unroll
from nets.types import Cell, Params, State


def linear_probe_r2(
    states: PyTree[Shaped[Array, "..."]],
    targets: Shaped[Array, "..."],
    *,
    folds: SupportsIndex = 5,
    ridge: float = 1e-3,
) -> Float[Array, " targets"]:
    """How well numbers can be read linearly from a state: held-out R^2.

        R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2

    over all examples, where y_hat of an example is read by the map fitted on the other
    folds:

        w, b = argmin sum_train (y - w z - b)^2 + ridge n_train |w|^2

    with z the state, each entry of which has mean 0 and variance 1 in training.

    Args:
        states: [examples, n], or any tree of arrays [examples, ...], as a cell's states
            are: the whole of it is one vector, of complex numbers both parts.
        targets: [examples, targets].
        folds: How many parts the examples are cut into, in their order: shuffle them
            first if that means something.
        ridge: The penalty, 0 or above. It is free of scale.

    Returns:
        One number a column of the targets, [targets]: 1 if it is read without error, 0
        if not better than by its mean, negative if worse, as where there are few
        examples beside entries of the state; nan where the column is constant.

    Raises:
        ValueError: The arrays are not of the same examples, or there are fewer than 2
            folds, or fewer examples than folds, or the ridge is negative.

    Example:
        >>> states = jax.random.normal(jax.random.key(0), (100, 8))
        >>> targets = states @ jnp.ones((8, 2))
        >>> linear_probe_r2(states, targets).round(3).tolist()
        [1.0, 1.0]

    References:
        Alain and Bengio 2016, Understanding intermediate layers using linear classifier
        probes, https://arxiv.org/abs/1610.01644
    """
    if targets.ndim != 2 or jnp.iscomplexobj(targets):
        raise ValueError(
            "expected real targets of shape [examples, targets]; got "
            f"{targets.dtype}{list(targets.shape)}: give them one row an example, or "
            "use `linear_probe_accuracy` for labels"
        )
    values = numbers_of(targets, len(targets))
    predictions = _held_out(examples_of(states), values, folds, ridge)
    return _explained(*_squares(values, predictions))


def linear_probe_accuracy(
    states: PyTree[Shaped[Array, "..."]],
    labels: ArrayLike,
    classes: SupportsIndex,
    *,
    folds: SupportsIndex = 5,
    ridge: float = 1e-3,
) -> Float[Array, ""]:
    """How well labels can be read linearly from a state: held-out accuracy.

        accuracy = mean [argmax_k y_hat_k = label]

    where y_hat are the labels as one-hot vectors, read as in `linear_probe_r2`.

    Args:
        states: As in `linear_probe_r2`.
        labels: Integers from 0 to classes - 1, [examples].
        classes: How many there are.
        folds: As in `linear_probe_r2`: shuffle examples that stand in order of labels.
        ridge: Likewise.

    Returns:
        The share of examples whose label is the largest of those read; to be compared
        with the share of the most frequent label. nan if a state is.

    Raises:
        ValueError: As in `linear_probe_r2`, or a label is out of range (which only
            concrete labels can tell).

    Example:
        >>> labels = jnp.arange(60) % 3
        >>> states = jax.nn.one_hot(labels, 3)
        >>> linear_probe_accuracy(states, labels, 3).item()
        1.0

    References:
        Alain and Bengio 2016, Understanding intermediate layers using linear classifier
        probes, https://arxiv.org/abs/1610.01644
    """
    labels = labels_of(labels, classes)
    features = examples_of(states)
    wanted = jax.nn.one_hot(labels, operator.index(classes), dtype=features.dtype)
    read = _held_out(features, wanted, folds, ridge)
    right = read.argmax(axis=-1).astype(labels.dtype) == labels
    share = right.mean(dtype=features.dtype)
    return jnp.where(jnp.isnan(read).any(), jnp.nan, share)


@in_every_cell
def memory_capacity(
    cell: Cell,
    params: Params,
    xs: PyTree[Shaped[Array, "..."]],
    state: State | None = None,
    *,
    lags: SupportsIndex | None = None,
    folds: SupportsIndex = 5,
    ridge: float = 1e-3,
    batch_axes: SupportsIndex = 1,
    reverse: bool = False,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Float[Array, " lags"]:
    """How well an input can be read from the last state, by how long ago it was read.

        R^2_k = 1 - sum |x_{T-1-k} - x_hat|^2 / sum |x_{T-1-k} - mean|^2

    with x_hat read linearly from s_{T-1}, the whole state after the last step, of the
    sequences of other folds, as in `linear_probe_r2`; the sums are over all sequences,
    and over all features of the input. Of one feature, independent from step to step,
    the sum over k is the short-term memory capacity, at most the length of the state.

    Args:
        cell: Any `Cell`, or a recurrent layer: then a curve for each of its cells,
            where its state would stand, of how that cell remembers the inputs that it
            sees there itself: those of an upper cell are the outputs of the one below.
        params: Its parameters.
        xs: The inputs, [time, *batch, inputs], or a tree of such: many sequences, some
            times more than the state has entries. Integers in a tree are not read out.
        state: The state before the first step.
        lags: How many: 0 (the input read last) to `lags` - 1; by default all of time.
        folds: As in `linear_probe_r2`.
        ridge: Likewise.
        batch_axes: How many axes of xs, after time, are batch; all others are features.
        reverse: Read from the last step to the first: the input read last is x_0.
        lengths: Not to be given: a sequence cut short has no input at the longer lags.
        mask: Likewise.

    Returns:
        R^2 by the lag, [lags]; negative where it is worse than the mean, nan where the
        inputs are constant.

    Raises:
        ValueError: Lengths or a mask are given, there is no batch, no input is a float,
            lags are not from 1 to time, or as in `linear_probe_r2` and `nets.unroll`.

    Example:
        >>> import nets
        >>> cell = nets.elman()
        >>> params = cell.init(jax.random.key(0), 1, 8)
        >>> xs = jax.random.normal(jax.random.key(1), (10, 200, 1))
        >>> curve = memory_capacity(cell, params, xs)
        >>> curve.shape, bool(curve[0] > 0.9 > curve[3] > 0.1 > curve[9])
        ((10,), True)

    References:
        Jaeger 2001, Short term memory in echo state networks, GMD report 152.
    """
    if lengths is not None or mask is not None:
        raise ValueError(
            "expected sequences of one length, as there is nothing at a lag beyond the "
            "first input; got lengths or a mask: cut the sequences to the shortest one"
        )
    read = _read_out(xs, batch_axes, lags)
    end, _ = unroll(cell, params, xs, state, reverse=reverse)
    targets = [(x if reverse else x[::-1])[:lags] for x in read]
    batch = targets[0].shape[1 : 1 + operator.index(batch_axes)]
    lags, examples = len(targets[0]), math.prod(batch)
    # Keys are no numbers, and an entry without a batch says nothing of one sequence.
    own = [
        s
        for s in jax.tree.leaves(end)
        if s.shape[:batch_axes] == batch
        and not jnp.issubdtype(s.dtype, jax.dtypes.prng_key)
    ]
    values = numbers_of(targets, lags, examples)
    # One column for each lag and feature: all of them share a factorisation.
    columns = jnp.moveaxis(values, 0, 1).reshape(examples, -1)
    predictions = _held_out(numbers_of(own, examples), columns, folds, ridge)
    missed, total = _squares(columns, predictions)
    return _explained(*(s.reshape(lags, -1).sum(axis=-1) for s in (missed, total)))


def _read_out(xs, batch_axes, lags):
    """The inputs that are numbers, if lags and batch fit them."""
    read = [jnp.asarray(x) for x in jax.tree.leaves(xs)]
    read = [x for x in read if jnp.issubdtype(x.dtype, jnp.inexact)]
    if not read:
        raise ValueError(
            "expected inputs of floats to read out; got none: read tokens out of the "
            "states with `linear_probe_accuracy`"
        )
    if (integer(batch_axes) or 0) < 1 or any(x.ndim < 1 + batch_axes for x in read):
        raise ValueError(
            f"expected inputs [time, *batch, inputs] with {batch_axes} axes of batch, "
            f"at least 1; got shapes {[list(x.shape) for x in read]}: a probe needs "
            "many sequences"
        )
    time = len(read[0])
    if lags is not None and not 1 <= (integer(lags) or 0) <= time:
        raise ValueError(
            f"expected lags from 1 to {time}, the number of steps; got {lags!r}"
        )
    return read


def _held_out(states, targets, folds, ridge):
    """What is read of each example by the map that is fitted on the other folds.

    By the singular values of the states, whose squares, as in the normal equations,
    float32 could not hold.
    """
    fold = folds_of(states, targets, folds, ridge)
    tiny = max(states.shape) * jnp.finfo(states.dtype).eps

    def read(predictions, k):
        train = (fold != k)[:, None]
        count = train.sum()
        z = standardized(states, train, count)
        number = count.astype(z.dtype)
        mean = jnp.where(train, targets, 0).sum(axis=0, keepdims=True) / number
        u, sizes, vt = jnp.linalg.svd(jnp.where(train, z, 0), full_matrices=False)
        known = ~(sizes <= tiny * sizes.max(initial=0))  # or they are nan
        gain = sizes / jnp.where(known, sizes**2 + ridge * number, 1)
        gain = jnp.where(known, gain, 0)
        w = vt.T @ (gain[:, None] * (u.T @ jnp.where(train, targets - mean, 0)))
        return jnp.where(train, predictions, z @ w + mean), None

    with jax.default_matmul_precision("highest"):
        return jax.lax.scan(read, jnp.zeros_like(targets), jnp.arange(folds))[0]


def _squares(targets, predictions):
    """Sums of squares over the examples: what was missed, and what there was.

    Both are 0 for a column that is constant but for rounding.
    """
    centred = targets - targets.mean(axis=0, keepdims=True)
    rounding = ROUNDING * jnp.finfo(targets.dtype).eps
    varies = jnp.abs(centred).max(axis=0) > rounding * jnp.abs(targets).max(axis=0)
    missed = ((targets - predictions) ** 2).sum(axis=0)
    return tuple(jnp.where(varies, s, 0) for s in (missed, (centred**2).sum(axis=0)))


def _explained(missed, total):
    """R^2, nan where there is nothing to explain."""
    return jnp.where(total == 0, jnp.nan, 1 - missed / jnp.where(total == 0, 1, total))
