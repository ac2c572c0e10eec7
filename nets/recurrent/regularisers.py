"""Noise that keeps a cell from overfitting: each makes a cell of a cell.

Nothing is random unless `nets.unroll`, or a layer, is given a key.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets.factories import factory
from nets.recurrent.following import following
from nets.recurrent.reading import check_takes_drop, step_with
from nets.types import Cell, KeyArray


@factory
def input_dropout(cell: Cell, rate: float) -> Cell:
    """Variational dropout of the inputs: one mask for all steps of a sequence.

        x_t <- m x_t / (1 - rate),    m ~ Bernoulli(1 - rate), drawn once a sequence

    Args:
        cell: Any `Cell`.
        rate: How likely an input is dropped, from 0 to below 1.

    Returns:
        A `Cell` with the parameters and states of the given one.

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
        step = _noisy(cell)(inner, params, x)
        return lambda state, x, key: step(
            state, jax.tree.map(jnp.multiply, x, scale), key
        )

    return cell._replace(stochastic_step=stochastic_step)


@factory
def recurrent_dropout(cell: Cell, rate: float) -> Cell:
    """Variational dropout of what the recurrent weights read: one mask a sequence.

        W_h h  <-  W_h (m h / (1 - rate)),    m ~ Bernoulli(1 - rate), once a sequence

    What a gate carries over is not touched, so that no memory is lost: the h that a
    GRU keeps by z is the whole one.

    Args:
        cell: A `Cell` whose `step` has an argument `drop`, a function that it calls on
            the h that its recurrent weights read, as our cells do that have such
            weights. Other combinators stand around this one, not inside.
        rate: How likely a unit is dropped, from 0 to below 1.

    Returns:
        A `Cell` with the parameters and states of the given one.

    Raises:
        ValueError: The rate is out of range, or the cell's step takes no `drop`.

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
        scales = []

        def draw(h):
            scales.append(
                dropped(jax.random.fold_in(key, len(scales)), jnp.ones_like(h), rate)
            )
            return h

        # A step may read several: one mask each, drawn before time begins.
        step_with(cell, params, cell.initial_state(params, x), x, draw)

        def step(state, x, key):
            own = iter(scales)
            return step_with(cell, params, state, x, lambda h: h * next(own))

        return step

    return cell._replace(stochastic_step=stochastic_step)


@factory
def zoneout(inner: Cell, *, hidden: float = 0.0, cell: float = 0.0) -> Cell:
    """Zoneout: some units keep their old value for a step, drawn anew at every step.

        h' = m h + (1 - m) step(h),    m ~ Bernoulli(hidden)
        c' = m c + (1 - m) step(c),    m ~ Bernoulli(cell)

    Without a key, m is its mean: the rate. The output follows the state: what the step
    computes it from is h' and c' as they are here. Gradients pass the kept units whole.

    Args:
        inner: A `Cell` whose state has a field `hidden`, and `cell` if that is to be
            kept too.
        hidden: How likely a unit of `state.hidden` is kept, from 0 to below 1.
        cell: How likely a unit of `state.cell` is kept.

    Returns:
        A `Cell` with the parameters and states of the given one.

    Raises:
        ValueError: A rate is out of range, or is for a field that the state has not; or
            the step computes state and output inside one operation, such as a `scan`,
            so that the output cannot follow.

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
        """A step of the inner cell, with some of its new state kept from the old."""
        new, _ = out = step(old)
        kept = {}
        for name, rate in rates.items():
            if not hasattr(new, name):
                raise ValueError(
                    f"expected a state with a field {name!r} for zoneout({name}="
                    f"{rate}); got {type(new).__name__}"
                )
            kept[name] = keep(name, getattr(old, name), getattr(new, name))
        return following(step, old, out, new._replace(**kept)) if kept else out

    def mean(name, old, new):
        return rates[name] * old + (1 - rates[name]) * new

    def step(params, state, x):
        return weighted_sum(lambda state: inner.step(params, state, x), state, mean)

    def stochastic_step(key, params, x):
        inner_step = _noisy(inner)(key, params, x)

        def step(state, x, key):
            key, inner_key = jax.random.split(key)

            def draw(name, old, new):
                own = jax.random.fold_in(key, list(rates).index(name))
                return jnp.where(
                    jax.random.bernoulli(own, rates[name], new.shape), old, new
                )

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

        W_h <- M W_h / (1 - rate),    M ~ Bernoulli(1 - rate), once a call

    Args:
        cell: A `Cell` whose parameters have a field `w_h`.
        rate: How likely a weight is dropped, from 0 to below 1.

    Returns:
        A `Cell` with the parameters and states of the given one.

    Raises:
        ValueError: The rate is out of range, or (when it runs) there is no `w_h`.

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
        return _noisy(cell)(inner, params, x)

    return cell._replace(stochastic_step=stochastic_step)


def dropped(key: KeyArray, x: Any, rate: float) -> Any:
    """x with some of its numbers set to zero, and the others enlarged to keep the mean.

    Args:
        key: A key of `jax.random.key`.
        x: An array, or a tree of them.
        rate: How likely a number is dropped, from 0 to below 1.

    Returns:
        A tree like x.

    Example:
        >>> x = dropped(jax.random.key(0), jnp.ones(1000), 0.5)
        >>> sorted(set(x.tolist()))
        [0.0, 2.0]
    """
    if not rate:
        return x
    leaves, tree = jax.tree.flatten(x)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(tree, map(_dropped(rate), keys, leaves))


def _dropped(rate: float) -> Callable[[KeyArray, Array], Array]:
    def one(key: KeyArray, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        kept = jax.random.bernoulli(key, 1 - rate, x.shape)
        return jnp.where(kept, x / (1 - rate), 0)

    return one


def check_rate(name: str, rate: float) -> float:
    """Refuse a rate that is no probability below 1.

    Args:
        name: What it is called.
        rate: A number.

    Returns:
        It as Python's float, which changes no array's dtype, as NumPy's numbers do.

    Raises:
        ValueError: It is out of range.

    Example:
        >>> check_rate("rate", 0.5)
        0.5
    """
    if not 0 <= rate < 1:
        raise ValueError(f"expected {name} from 0 to below 1; got {rate}")
    return float(rate)


def _noisy(cell: Cell) -> Callable[..., Any]:
    """How a cell behaves in training: as ever, if it is not random."""
    if cell.stochastic_step is not None:
        return cell.stochastic_step
    return lambda key, params, x: lambda state, x, key: cell.step(params, state, x)
