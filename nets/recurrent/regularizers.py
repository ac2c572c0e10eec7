"""Regularization of a cell by noise: functions from a cell to a cell.

The noise is applied only if `nets.unroll`, or a layer, receives a key.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nets.factories import factory
from nets.recurrent.drop_hook import check_takes_drop, step_with
from nets.recurrent.dropout import check_rate, dropped
from nets.recurrent.replace_state import replace_state
from nets.types import Cell


@factory
def input_dropout(cell: Cell, rate: float) -> Cell:
    """Variational dropout of the inputs: one mask for all steps of a sequence.

        x_t <- m x_t / (1 - rate),    m ~ Bernoulli(1 - rate), once per sequence

    Args:
        cell: Any `Cell`.
        rate: Probability that an input is dropped, from 0 to below 1.

    Returns:
        A `Cell` with the parameters and states of the given cell.

    Raises:
        ValueError: The rate is out of range.

    Example:
        >>> import nets
        >>> cell = nets.input_dropout(nets.gru(), 0.5)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 5, 3))
        >>> state, ys = nets.unroll(cell, params, xs, key=jax.random.key(1))
        >>> ys.shape
        (10, 5, 8)

    References:
        Gal and Ghahramani 2016, A theoretically grounded application of dropout in
        recurrent neural networks, https://arxiv.org/abs/1512.05287
    """
    rate = check_rate("rate", rate)

    def stochastic_step(key, params, x):
        key, inner = jax.random.split(key)
        scale = dropped(key, jax.tree.map(jnp.ones_like, x), rate)
        step = _stochastic_step(cell)(inner, params, x)
        return lambda state, x, key: step(
            state, jax.tree.map(jnp.multiply, x, scale), key
        )

    return cell._replace(stochastic_step=stochastic_step)


@factory
def recurrent_dropout(cell: Cell, rate: float) -> Cell:
    """Variational dropout of h where the recurrent weights read it.

        W_h h  <-  W_h (m h / (1 - rate)),    m ~ Bernoulli(1 - rate), once per sequence

    The part of the state that a gate carries over is not dropped, so that no memory is
    lost: a GRU carries over all of h.

    Args:
        cell: A `Cell` with `takes_drop`, such as all cells of `nets` with recurrent
            weights. Apply other regularizers after this one.
        rate: Probability that a unit is dropped, from 0 to below 1.

    Returns:
        A `Cell` with the parameters and states of the given cell.

    Raises:
        ValueError: The rate is out of range, or the cell does not take `drop`.

    Example:
        >>> import nets
        >>> cell = nets.recurrent_dropout(nets.lstm(), 0.25)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 5, 3))
        >>> state, ys = nets.unroll(cell, params, xs, key=jax.random.key(1))
        >>> ys.shape
        (10, 5, 8)

    References:
        Gal and Ghahramani 2016, A theoretically grounded application of dropout in
        recurrent neural networks, https://arxiv.org/abs/1512.05287
    """
    rate = check_rate("rate", rate)
    check_takes_drop(cell)

    def stochastic_step(key, params, x):
        read = []

        def record(h):
            read.append(h.aval)
            return h

        # A step may read several h: one mask for each, drawn before the first step.
        state = cell.initial_state(params, x)
        jax.eval_shape(lambda: step_with(cell, params, state, x, record))
        scales = [
            dropped(jax.random.fold_in(key, i), jnp.ones(h.shape, h.dtype), rate)
            for i, h in enumerate(read)
        ]

        def step(state, x, key):
            remaining = iter(scales)
            return step_with(cell, params, state, x, lambda h: h * next(remaining))

        return step

    return cell._replace(stochastic_step=stochastic_step)


@factory
def zoneout(inner: Cell, *, hidden: float = 0.0, cell: float = 0.0) -> Cell:
    """Zoneout: random units keep their old value for a step.

        h' = m h + (1 - m) step(h),    m ~ Bernoulli(hidden)
        c' = m c + (1 - m) step(c),    m ~ Bernoulli(cell)

    The units are drawn independently at every step. Without a key, m is its mean, the
    rate. The output follows the state: it is computed from h' and c'. Gradients pass
    through kept units unchanged.

    Args:
        inner: A `Cell` whose state has a field `hidden`, and a field `cell` if its
            rate is given.
        hidden: Probability that a unit of `state.hidden` is kept, from 0 to below 1.
        cell: Probability that a unit of `state.cell` is kept, from 0 to below 1.

    Returns:
        A `Cell` with the parameters and states of the given cell.

    Raises:
        ValueError: A rate is out of range; the state does not have the field; or the
            step computes state and output inside one operation, such as a `scan`, so
            that the output cannot follow.

    Example:
        >>> import nets
        >>> cell = nets.zoneout(nets.lstm(), hidden=0.05, cell=0.5)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 5, 3))
        >>> state, ys = nets.unroll(cell, params, xs, key=jax.random.key(1))
        >>> bool((state.hidden == ys[-1]).all())
        True

    References:
        Krueger et al. 2017, Zoneout: regularizing RNNs by randomly preserving hidden
        activations, https://arxiv.org/abs/1606.01305
    """
    rates = {"hidden": hidden, "cell": cell}
    rates = {name: check_rate(name, rate) for name, rate in rates.items()}
    rates = {name: rate for name, rate in rates.items() if rate}

    def weighted_sum(step, old, keep):
        """A step of the inner cell, in which part of the old state is kept."""
        new, _ = out = step(old)
        kept = {}
        for name, rate in rates.items():
            if not hasattr(new, name):
                raise ValueError(
                    f"expected a state with a field {name!r} for zoneout({name}="
                    f"{rate}); got {type(new).__name__}"
                )
            kept[name] = keep(name, getattr(old, name), getattr(new, name))
        return replace_state(step, old, out, new._replace(**kept)) if kept else out

    def mean(name, old, new):
        return rates[name] * old + (1 - rates[name]) * new

    def step(params, state, x):
        return weighted_sum(lambda state: inner.step(params, state, x), state, mean)

    def stochastic_step(key, params, x):
        inner_step = _stochastic_step(inner)(key, params, x)

        def step(state, x, key):
            key, inner_key = jax.random.split(key)

            def draw(name, old, new):
                field_key = jax.random.fold_in(key, list(rates).index(name))
                kept = jax.random.bernoulli(field_key, rates[name], new.shape)
                return jnp.where(kept, old, new)

            return weighted_sum(
                lambda state: inner_step(state, x, inner_key), state, draw
            )

        return step

    return inner._replace(
        step=step, linear=None, stochastic_step=stochastic_step, takes_drop=False
    )


@factory
def drop_connect(cell: Cell, rate: float) -> Cell:
    """DropConnect on the recurrent weights: one mask for all steps and sequences.

        W_h <- M W_h / (1 - rate),    M ~ Bernoulli(1 - rate), once per call

    Args:
        cell: A `Cell` whose parameters have a field `w_h`.
        rate: Probability that a weight is dropped, from 0 to below 1.

    Returns:
        A `Cell` with the parameters and states of the given cell.

    Raises:
        ValueError: The rate is out of range, or the parameters have no `w_h` (raised
            when the cell runs).

    Example:
        >>> import nets
        >>> cell = nets.drop_connect(nets.lstm(), 0.5)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> xs = jnp.ones((10, 5, 3))
        >>> state, ys = nets.unroll(cell, params, xs, key=jax.random.key(1))
        >>> ys.shape
        (10, 5, 8)

    References:
        Merity, Keskar and Socher 2018, Regularizing and optimizing LSTM language
        models, https://arxiv.org/abs/1708.02182
    """
    rate = check_rate("rate", rate)

    def stochastic_step(key, params, x):
        if not hasattr(params, "w_h"):
            raise ValueError(
                "expected parameters with a field 'w_h' for drop_connect; got "
                f"{type(params).__name__}"
            )
        key, inner = jax.random.split(key)
        params = params._replace(w_h=dropped(key, params.w_h, rate))
        return _stochastic_step(cell)(inner, params, x)

    return cell._replace(stochastic_step=stochastic_step)


def _stochastic_step(cell: Cell) -> Callable[..., Any]:
    """Stochastic step of a cell; its step, if it has none."""
    if cell.stochastic_step is not None:
        return cell.stochastic_step
    return lambda key, params, x: lambda state, x, key: cell.step(params, state, x)
