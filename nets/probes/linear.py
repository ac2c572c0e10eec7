"""Linear probes of a state, evaluated on held-out examples."""

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
    """Held-out R^2 of a linear prediction of numbers from a state.

        R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2

    The sums are over all examples. y_hat of an example is predicted by the map that is
    fitted to the remaining folds:

        w, b = argmin sum_train (y - w z - b)^2 + ridge n_train |w|^2

    Here z is the state, each entry standardized to mean 0 and variance 1 in training.

    Args:
        states: States [examples, n], or any tree of arrays [examples, ...], such as the
            states of a cell. The whole tree is one vector; a complex number counts as
            two numbers.
        targets: Numbers to predict, [examples, targets].
        folds: Number of folds. Folds are contiguous: shuffle the examples first if
            their order carries information.
        ridge: Penalty, 0 or above, independent of the scale of the states.

    Returns:
        R^2 of each column of the targets, [targets]: 1 for a prediction without error,
        0 for a prediction as good as the mean, negative for a worse prediction (e.g.
        with few examples compared with the entries of the state), and nan if the column
        is constant.

    Raises:
        ValueError: The arrays have different numbers of examples; there are fewer than
            2 folds, or fewer examples than folds; or the ridge is negative.

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
            f"{targets.dtype}{list(targets.shape)}: give one row per example, or use "
            "`linear_probe_accuracy` for labels"
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
    """Held-out accuracy of a linear prediction of labels from a state.

        accuracy = mean [argmax_k y_hat_k = label]

    Here y_hat is a prediction of the label as a one-hot vector, as in
    `linear_probe_r2`.

    Args:
        states: As in `linear_probe_r2`.
        labels: Integers from 0 to classes - 1, [examples].
        classes: Number of classes.
        folds: As in `linear_probe_r2`: shuffle examples that are sorted by label.
        ridge: As in `linear_probe_r2`.

    Returns:
        Share of examples whose label has the largest prediction, to be compared with
        the share of the most frequent label; nan if a state is nan.

    Raises:
        ValueError: As in `linear_probe_r2`, or a label is out of range (only concrete
            labels are checked).

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
    predictions = _held_out(features, wanted, folds, ridge)
    correct = predictions.argmax(axis=-1).astype(labels.dtype) == labels
    share = correct.mean(dtype=features.dtype)
    return jnp.where(jnp.isnan(predictions).any(), jnp.nan, share)


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
    """Held-out R^2 of past inputs, predicted linearly from the last state.

        R^2_k = 1 - sum |x_{T-1-k} - x_hat|^2 / sum |x_{T-1-k} - mean|^2

    x_hat is predicted linearly from s_{T-1}, the whole state after the last step, by a
    map that is fitted to sequences of the remaining folds, as in `linear_probe_r2`. The
    sums are over all sequences and all features of the input. For one feature that is
    independent from step to step, the sum over k is the short-term memory capacity,
    which is at most the length of the state.

    Args:
        cell: Any `Cell`, or a recurrent layer. For a layer, the result has one curve in
            place of the state of each cell. It measures how this cell remembers its
            inputs, which for an upper cell are the outputs of the cell below.
        params: Parameters of the cell or layer.
        xs: Inputs, [time, *batch, inputs], or a tree of inputs. The number of sequences
            should be several times the number of entries of the state. Integers in a
            tree are not predicted.
        state: State before the first step.
        lags: Number of lags, from 0 (the input read last) to `lags` - 1; by default the
            number of steps.
        folds: As in `linear_probe_r2`.
        ridge: As in `linear_probe_r2`.
        batch_axes: Number of axes of xs after time that are batch. All remaining axes
            are features.
        reverse: Read from the last step to the first: the input read last is x_0.
        lengths: Not supported: a shorter sequence has no input at long lags.
        mask: Not supported, for the same reason.

    Returns:
        R^2 of each lag, [lags]; negative if the prediction is worse than the mean, nan
        if the inputs are constant.

    Raises:
        ValueError: Lengths or a mask are given; there is no batch; no input is a float;
            lags are not from 1 to time; or as in `linear_probe_r2` and `nets.unroll`.

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
            "expected sequences of one length, as there is no input at a lag beyond "
            "the first step; got lengths or a mask: cut all sequences to the shortest"
        )
    inputs = _real_inputs(xs, batch_axes, lags)
    end, _ = unroll(cell, params, xs, state, reverse=reverse)
    targets = [(x if reverse else x[::-1])[:lags] for x in inputs]
    batch = targets[0].shape[1 : 1 + operator.index(batch_axes)]
    lags, examples = len(targets[0]), math.prod(batch)
    # Random keys and entries without a batch, such as a counter, are left out.
    states = [
        s
        for s in jax.tree.leaves(end)
        if s.shape[:batch_axes] == batch
        and not jnp.issubdtype(s.dtype, jax.dtypes.prng_key)
    ]
    values = numbers_of(targets, lags, examples)
    # One column per lag and feature, so that all columns share one factorization.
    columns = jnp.moveaxis(values, 0, 1).reshape(examples, -1)
    predictions = _held_out(numbers_of(states, examples), columns, folds, ridge)
    residual, total = _squares(columns, predictions)
    return _explained(*(s.reshape(lags, -1).sum(axis=-1) for s in (residual, total)))


def _real_inputs(xs, batch_axes, lags):
    """The inputs that are floats; an error if lags or batch axes do not fit them."""
    inputs = [jnp.asarray(x) for x in jax.tree.leaves(xs)]
    inputs = [x for x in inputs if jnp.issubdtype(x.dtype, jnp.inexact)]
    if not inputs:
        raise ValueError(
            "expected inputs of floats to predict; got none: predict tokens from the "
            "states with `linear_probe_accuracy`"
        )
    if (integer(batch_axes) or 0) < 1 or any(x.ndim < 1 + batch_axes for x in inputs):
        raise ValueError(
            f"expected inputs [time, *batch, inputs] with {batch_axes} batch axes, at "
            f"least 1; got shapes {[list(x.shape) for x in inputs]}: a probe needs "
            "many sequences"
        )
    time = len(inputs[0])
    if lags is not None and not 1 <= (integer(lags) or 0) <= time:
        raise ValueError(
            f"expected lags from 1 to {time}, the number of steps; got {lags!r}"
        )
    return inputs


def _held_out(states, targets, folds, ridge):
    """Predictions for each example by the map that is fitted to the remaining folds.

    The map is computed from the singular values of the states. Normal equations would
    square them, beyond the precision of float32.
    """
    fold = folds_of(states, targets, folds, ridge)
    tiny = max(states.shape) * jnp.finfo(states.dtype).eps

    def predict(predictions, k):
        train = (fold != k)[:, None]
        count = train.sum()
        z = standardized(states, train, count)
        number = count.astype(z.dtype)
        mean = jnp.where(train, targets, 0).sum(axis=0, keepdims=True) / number
        u, sizes, vt = jnp.linalg.svd(jnp.where(train, z, 0), full_matrices=False)
        known = ~(sizes <= tiny * sizes.max(initial=0))  # true for nan
        gain = sizes / jnp.where(known, sizes**2 + ridge * number, 1)
        gain = jnp.where(known, gain, 0)
        w = vt.T @ (gain[:, None] * (u.T @ jnp.where(train, targets - mean, 0)))
        return jnp.where(train, predictions, z @ w + mean), None

    with jax.default_matmul_precision("highest"):
        return jax.lax.scan(predict, jnp.zeros_like(targets), jnp.arange(folds))[0]


def _squares(targets, predictions):
    """Residual and total sums of squares over the examples.

    Both are 0 for a column that is constant up to rounding.
    """
    centered = targets - targets.mean(axis=0, keepdims=True)
    rounding = ROUNDING * jnp.finfo(targets.dtype).eps
    varies = jnp.abs(centered).max(axis=0) > rounding * jnp.abs(targets).max(axis=0)
    residual = ((targets - predictions) ** 2).sum(axis=0)
    return tuple(jnp.where(varies, s, 0) for s in (residual, (centered**2).sum(axis=0)))


def _explained(residual, total):
    """R^2 from sums of squares; nan if the total is 0."""
    constant = total == 0
    return jnp.where(constant, jnp.nan, 1 - residual / jnp.where(constant, 1, total))
