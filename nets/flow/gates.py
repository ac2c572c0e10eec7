"""Statistics of the gates of a cell: opening, saturation, and memory time."""

import math
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from nets.compiling import compiled
from nets.flow.layers import in_every_cell
from nets.flow.linearized import batch_shape, one_step, trajectory
from nets.recurrent.batch import with_larger_batch
from nets.recurrent.padding import check_padding, select_valid
from nets.tracing.tags import CANDIDATE, KEEPER, Tag, with_tags
from nets.types import Cell, Params, State


class GateStatistics(NamedTuple):
    """Statistics of the values of a gate, over its units and the sequences of a batch.

    A step that is padding in every sequence is nan.

    Attributes:
        mean: Mean value, [time].
        quantiles: Quantiles of the values, [time, quantiles].
        closed: Share of values near 0, where the gate is saturated, [time].
        opened: Share of values near 1, where the gate is saturated, [time].
        memory: Memory time of each unit in steps, [*units], if the gate multiplies the
            old state; None for other gates.
    """

    mean: Float[Array, " time"]
    quantiles: Float[Array, "time quantiles"]
    closed: Float[Array, " time"]
    opened: Float[Array, " time"]
    memory: Float[Array, "*units"] | None


@in_every_cell
def gates(
    cell: Cell,
    params: Params,
    xs: Any,
    state: State | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reverse: bool = False,
    quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    closed: float = 0.1,
    opened: float = 0.9,
) -> dict[str, GateStatistics]:
    """Opening of the gates of a cell at every step, and memory time of its units.

        tau = -1 / mean(ln f),   f the gate that multiplies the old state

    A unit that is multiplied by f at every step keeps a share exp(-t / tau) after t
    steps: tau is its effective memory time. It is infinite if f is always 1; float32
    rounds values above 1 - 3e-8 to 1.

    Args:
        cell: Any `Cell` whose step tags its gates by `nets.tag_gate`, as our gated
            cells do, or a recurrent layer of such cells.
        params: Parameters of the cell.
        xs: Inputs, [time, *batch, inputs].
        state: State before the first step.
        lengths: As in `nets.unroll`; padding is not counted.
        mask: As in `nets.unroll`.
        reverse: As in `nets.unroll`; a result has the index t of its input.
        quantiles: Quantiles of the values to return, from 0 to 1.
        closed: Value below which a gate counts as closed.
        opened: Value above which a gate counts as open.

    Returns:
        `GateStatistics` by the name of the gate. Gates with the same name, such as
        those of several iterations of a loop, are numbered in the order of computation:
        "carry 1", "carry 2". For a layer, a tree with the structure of its states.

    Raises:
        ValueError: The cell tags no gate, or a gate inside a `while_loop`, a `cond` or
            a custom derivative; a quantile is out of range; there is no step; or as in
            `nets.unroll`.

    Example:
        >>> import nets
        >>> cell = nets.lstm(forget_bias=3.0)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> measured = gates(cell, params, jnp.zeros((10, 5, 3)))
        >>> list(measured)
        ['input', 'forget', 'output']
        >>> measured["forget"].mean.shape, measured["forget"].quantiles.shape
        ((10,), (10, 5))
        >>> measured["forget"].memory.round(1)[:3].tolist()  # -1 / ln sigmoid(3)
        [20.600000381469727, 20.600000381469727, 20.600000381469727]

    References:
        Karpathy, Johnson and Li 2015, Visualizing and understanding recurrent networks,
        https://arxiv.org/abs/1506.02078 (saturation)
        Tallec and Ollivier 2018, Can recurrent neural networks warp time?,
        https://arxiv.org/abs/1804.11188 (a gate as a time of memory)
    """
    if not all(0 <= q <= 1 for q in quantiles):
        raise ValueError(f"expected quantiles from 0 to 1; got {tuple(quantiles)}")
    check_padding(xs, lengths, mask, cell.spatial_dims)
    options = {"lengths": lengths, "mask": mask, "reverse": reverse}
    bounds = tuple(map(float, quantiles)), float(closed), float(opened)
    return dict(_gates(cell, params, xs, state, bounds, **options))


@compiled
def _gates(cell, params, xs, state, bounds, *, reverse, **options):
    """The statistics by the gates' names, in an order that jit keeps."""
    options["reverse"] = reverse
    walk = trajectory(cell, params, xs, state, **options)
    if not len(jax.tree.leaves(walk.xs)[0]):
        raise ValueError("expected at least one step; got a sequence of none")
    batch = batch_shape(cell, params, walk)
    tags: list[Tag] = []

    def values(state, x):
        """The gates of one step."""
        _, tagged = with_tags(cell.step)(params, state, x)
        tagged = [(tag, value) for tag, value in tagged if tag.kind != CANDIDATE]
        tags[:] = [tag for tag, _ in tagged]
        return [value for _, value in tagged]

    firsts = _batch_axes(cell, params, walk, values, batch)

    def of_step(step):
        """Those of every sequence, [*batch, *units] each."""
        return [
            _units(cell, tag, _by_sequence(value, first, batch), len(batch))
            for tag, value, first in zip(tags, values(*step), firsts, strict=True)
        ]

    measured = jax.lax.map(of_step, (walk.before, walk.xs))
    if not measured:
        raise ValueError(
            "expected a cell whose step tags its gates; got one without any: tag "
            "them by nets.tag_gate(value, name)"
        )
    shape = (len(measured[0]), *batch)
    real = select_valid(walk.real, jnp.ones(shape, bool), jnp.zeros(shape, bool))
    if reverse:
        measured, real = jax.tree.map(lambda leaf: leaf[::-1], (measured, real))
    return OrderedDict(
        (name, _statistics(value, real, tag.kind == KEEPER, *bounds))
        for name, tag, value in zip(_names(tags), tags, measured, strict=True)
    )


def _batch_axes(cell, params, walk, values, batch) -> list[int | None]:
    """The axis of each gate where the batch begins; None of one that has no batch.

    A gate that sees neither input nor state may be of the batch's size by chance, so
    the values are compared with those of a larger batch.
    """
    x, state = one_step(walk.xs), one_step(walk.before)
    plain = jax.eval_shape(values, state, x)
    larger = with_larger_batch(cell, params, x, state) if batch else None
    if not batch or larger is None:  # a cell that runs with one size of it only
        return [0 if value.shape[: len(batch)] == batch else None for value in plain]
    x, state = larger
    enlarged = jax.eval_shape(values, state, x)
    if len(enlarged) != len(plain):
        raise ValueError(
            "expected gates that do not depend in number on the size of the batch; got "
            "some in a scan over the sequences: use `jax.vmap`, or all at once"
        )
    return [
        next((i for i, n in enumerate(small.shape) if n != large.shape[i]), None)
        for small, large in zip(plain, enlarged, strict=True)
    ]


def _by_sequence(value: Array, first: int | None, batch: tuple[int, ...]) -> Array:
    """A gate with the batch in front: one that has none is that of every sequence."""
    if first is None:
        return jnp.broadcast_to(value, (*batch, *value.shape))
    axes = range(len(batch))
    return jnp.moveaxis(value, [first + axis for axis in axes], list(axes))


def _units(cell: Cell, tag: Tag, value: Array, batch_axes: int) -> Array:
    """The value of a gate in one step, [*batch, *units], without an axis of time.

    A linear cell has coefficients of all steps, here of one: what is
    tagged there has an axis of time in front. Only there the old state is multiplied.
    """
    if cell.linear is None or tag.kind != KEEPER:
        return value
    units = value.shape[batch_axes:]
    return value.squeeze(batch_axes) if len(units) > 1 and units[0] == 1 else value


def _names(tags: list[Tag]) -> list[str]:
    """A name for each gate, counted where there are several of one name."""
    total, counts, names = Counter(tag.name for tag in tags), Counter(), []
    for tag in tags:
        counts[tag.name] += 1
        several = total[tag.name] > 1
        names.append(f"{tag.name} {counts[tag.name]}" if several else tag.name)
    return names


def _statistics(value, real, keeps, quantiles, closed, opened):
    """Statistics of the values of a gate, [time, *batch, *units]."""
    value = value.astype(jnp.promote_types(value.dtype, jnp.float32))
    units = value.shape[real.ndim :]
    sequences = math.prod(value.shape[1 : real.ndim])
    value = value.reshape(len(value), sequences, *units)
    real = real.reshape(*value.shape[:2], *(1,) * len(units))
    memory = None
    if keeps:
        rate = jnp.log(value).mean((0, 1), where=real)
        memory = jnp.where(rate == 0, jnp.inf, -1 / rate)  # and not -inf
    value = value.reshape(len(value), sequences * math.prod(units))
    real = jnp.broadcast_to(real, (*real.shape[:2], *units)).reshape(value.shape)

    def share(where):
        return where.astype(value.dtype).mean(1, where=real)

    # Padding is left out; a NaN of the gate itself is not.
    mean = value.mean(1, where=real)
    points = jnp.asarray(quantiles, value.dtype)
    known = jnp.where(real, value, jnp.nan)
    known = known if known.size else jnp.full((len(value), 1), jnp.nan, value.dtype)
    parts = jnp.nanquantile(known, points, axis=1).T
    parts = jnp.where(jnp.isnan(mean)[:, None], jnp.nan, parts)
    return GateStatistics(
        mean, parts, share(value < closed), share(value > opened), memory
    )
