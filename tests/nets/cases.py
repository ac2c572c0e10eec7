"""The cells that the tests walk over, and what they share."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets

TIME, INPUTS, FEATURES = 5, 2, 3
PLACES = (), (4,), (3, 2)  # of images, by their number of spatial axes


class FastParams(NamedTuple):
    key: jax.Array
    value: jax.Array
    query: jax.Array


def _fast_init(key, inputs, features):
    draw = partial(jax.random.normal, shape=(inputs, features))
    return FastParams(*map(draw, jax.random.split(key, 3)))


def _fast_initial_state(params, x):
    features = params.key.shape[-1]
    dtype = jnp.result_type(x, *params)
    return {"memory": jnp.zeros((*x.shape[:-1], features, features), dtype)}


def _fast_read(params, state, x):
    return jnp.einsum("...ij,...j->...i", state["memory"], jnp.cos(x @ params.query))


def _fast_step(params, state, x):
    key, value = jnp.tanh(x @ params.key), x @ params.value
    written = value[..., :, None] * key[..., None, :]
    state = {"memory": 0.9 * state["memory"] + jnp.sin(state["memory"]) * written}
    state = {"memory": state["memory"] + written}
    return state, _fast_read(params, state, x)


# Unlike our own cells: the state is a matrix in a dict, and the output is not in it.
FAST_WEIGHTS = nets.Cell(_fast_init, _fast_initial_state, _fast_step)


class Case(NamedTuple):
    """A factory, its options, and y_t as a function of (params, s_t, x_t), if it is."""

    make: Callable[..., nets.Cell]
    options: Mapping[str, Any] = MappingProxyType({})
    reader: Callable[[Any, Any, Any], Any] | None = lambda params, state, x: (
        state.hidden
    )

    @property
    def cell(self) -> nets.Cell:
        return self.make(**self.options)

    @property
    def read(self) -> Callable[[Any, Any, Any], Any] | None:
        return self.reader if self.cell.linear is None else self.cell.linear.read


CASES = {name: Case(make) for name, make in nets.CELLS.items()} | {
    "projected_lstm": Case(nets.projected_lstm, {"projection": FEATURES}),
    "sru(peephole=True)": Case(nets.sru, {"peephole": True}, reader=None),
    "gru(reset_after=False)": Case(nets.gru, {"reset_after": False}),
    "mamba": Case(nets.mamba, {"states": 2}),
    "mamba_2": Case(nets.mamba_2, {"states": 2}),
    "rwkv_7": Case(nets.rwkv_7, {"rank": 2}),
    "aussm": Case(nets.aussm, {"states": 2}),
    "m2rnn": Case(nets.m2rnn, reader=None),
    "conv_lstm": Case(nets.conv_lstm, {"kernel_size": (2, 2)}),
    "conv_gru": Case(nets.conv_gru, {"kernel_size": (3, 1)}),
    "conv_lstm 1-D": Case(nets.conv_lstm, {"kernel_size": (3,)}),
    "conv_gru 1-D": Case(nets.conv_gru, {"kernel_size": (2,), "reset_after": True}),
    "fast weights": Case(lambda: FAST_WEIGHTS, reader=_fast_read),
}
READABLE = {name: case for name, case in CASES.items() if case.read is not None}
each_case = pytest.mark.parametrize("case", READABLE.values(), ids=READABLE)
each_cell = pytest.mark.parametrize("cell", [c.cell for c in CASES.values()], ids=CASES)
CORE = ["elman", "lstm", "gru", "fast weights"]  # for what is slow, and alike for all
each_core = pytest.mark.parametrize("cell", [CASES[c].cell for c in CORE], ids=CORE)
# One of each kind of state: vectors, gates, a matrix, complex numbers, an image, depth.
KINDS = [*CORE, "orthogonal_rnn", "rhn", "mlstm", "lru", "s5", "qrnn", "conv_gru 1-D"]
each_kind = pytest.mark.parametrize("cell", [CASES[c].cell for c in KINDS], ids=KINDS)
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "back"])


# Entries of a state that steps add to: float32 in half precision too, as each cell's
# state declares. All others have the dtype of the inputs and the parameters.
_ADDED_TO = {
    "cell": "LSTM LSTM1997 PeepholeLSTM CoupledLSTM ProjectedLSTM LayerNormLSTM "
    "ConvLSTM SRU QRNN ParaLSTM",
    "hidden": "Elman GRU LayerNormGRU ConvGRU MGU JANET MinimalRNN STAR RHN IndRNN "
    "AntisymmetricRNN OrthogonalRNN MinGRU MinLSTM RGLRU Mamba ParaGRU",
    "hidden memory": "LEM",
    "hidden velocity": "CoRNN UnICORNN",
    "cell normalizer stabilizer": "SLSTM MLSTM",
    "memory": "DeltaNet GatedDeltaNet Mamba2 GLA HGRN2 RWKV7 M2RNN",
}
WIDE = {
    cell: set(entries.split())
    for entries, cells in _ADDED_TO.items()
    for cell in cells.split()
}


COMPLEX = {"LRU", "S5", "LinOSS", "DLinOSS", "PDSSM", "AUSSM"}


def state_dtypes(state: Any, dtype: str) -> dict[str, str]:
    """Dtype of each entry of the state of a cell that reads arrays of a dtype."""
    wide = WIDE.get(type(state).__name__.removesuffix("State"), set())
    half, fields = dtype in ("bfloat16", "float16"), getattr(state, "_asdict", None)
    real = {
        name: "float32" if half and name in wide else dtype
        for name in (fields() if fields else state)
    }
    if type(state).__name__.removesuffix("State") in COMPLEX:
        return {
            name: "complex128" if dtype == "float64" else "complex64" for name in real
        }
    return real


class Example(NamedTuple):
    params: Any
    xs: jax.Array
    state: Any


def differ(one: Any, other: Any) -> list[bool]:
    """Whether each array of one tree differs from the other's."""
    one, other = jax.tree.map(np.asarray, (one, other))
    return jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), one, other))


def draw(like: Any, seed: int = 0, scale: float = 0.5, dtype: Any = None) -> Any:
    """Normal numbers in a tree of shapes: NumPy's, as JAX would compile each shape."""
    rng = np.random.default_rng(seed)

    def leaf(a):
        values = scale * rng.standard_normal(a.shape)
        if jnp.issubdtype(a.dtype, jnp.complexfloating):
            values = values + 1j * scale * rng.standard_normal(a.shape)
        return jnp.asarray(values.astype(jnp.dtype(dtype or a.dtype)))

    return jax.tree.map(leaf, like)


def normal(
    *shape: int, seed: int = 0, scale: float = 0.5, dtype: Any = None
) -> jax.Array:
    values = scale * np.random.default_rng(seed).standard_normal(shape)
    return jnp.asarray(values if dtype is None else values.astype(jnp.dtype(dtype)))


def draw_params(cell: nets.Cell, seed: int = 0, **kwargs: Any) -> Any:
    """Parameters none of which is zero, biases included."""
    like = jax.eval_shape(lambda key: cell.init(key, INPUTS, FEATURES), _key())
    return draw(like, seed, **kwargs)


def param_shapes(cell: nets.Cell, dtype: str) -> Any:
    """Shapes of the parameters, in another dtype: enough for `jax.eval_shape`."""
    like = jax.eval_shape(lambda key: cell.init(key, INPUTS, FEATURES), _key())
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.dtype(dtype)), like)


def example(
    cell: nets.Cell, *batch: int, time: int = TIME, dtype: Any = None, seed: int = 0
) -> Example:
    """Parameters, inputs [time, *batch, inputs] and a first state, all at random."""
    params = draw_params(cell, seed, dtype=dtype)
    shape = time, *batch, *PLACES[cell.spatial_dims], INPUTS
    xs = normal(*shape, seed=seed + 1, scale=1.0, dtype=dtype)
    x = jax.ShapeDtypeStruct(xs.shape[1:], xs.dtype)
    state = draw(jax.eval_shape(cell.initial_state, params, x), seed + 2)
    return Example(params, xs, state)


def _key():
    return jax.random.key(0)


def total(state: Any, ys: Any) -> jax.Array:
    """A loss in which every number counts, a zero of the padding too."""
    leaves = jax.tree.leaves((state, ys))
    parts = [
        part for a in leaves for part in (a.real, a.imag)[: 1 + jnp.iscomplexobj(a)]
    ]
    return jnp.stack([jnp.sin(part).sum() for part in parts]).sum()


run = jax.jit(nets.unroll, static_argnames=("cell", "reverse"))


@partial(jax.jit, static_argnames=("cell", "reverse"))
def run_and_grad(cell, params, xs, state, *, lengths=None, reverse=False):
    """Results of unroll, and gradients by parameters, inputs and first state."""

    def loss(params, xs, state):
        out = nets.unroll(cell, params, xs, state, lengths=lengths, reverse=reverse)
        return total(*out), out

    grads, out = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(params, xs, state)
    return out, grads


@partial(jax.jit, static_argnames=("cell", "lengths", "reverse"))
def run_rows_and_grad(cell, params, xs, state, *, lengths, reverse=False):
    """`run_and_grad`, one sequence after another, each cut to its own length."""

    def loss(params, xs, state):
        states, outputs = [], []
        for row, length in enumerate(lengths):
            first = jax.tree.map(lambda s, row=row: s[row], state)
            end, ys = nets.unroll(
                cell, params, xs[:length, row], first, reverse=reverse
            )
            states.append(end)
            rest = jnp.zeros((len(xs) - length, *ys.shape[1:]), ys.dtype)
            outputs.append(jnp.concatenate([ys, rest]))
        ends = jax.tree.map(lambda *rows: jnp.stack(rows), *states)
        out = ends, jnp.stack(outputs, axis=1)
        return total(*out), out

    grads, out = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(params, xs, state)
    return out, grads


def fill_padding(xs: jax.Array, lengths: Any, fill: float) -> jax.Array:
    """xs [time, *batch, inputs] with `fill` wherever a sequence has ended."""
    lengths = np.asarray(lengths)
    steps = np.arange(len(xs)).reshape(-1, *(1,) * lengths.ndim)
    axes = tuple(range(1 + lengths.ndim, xs.ndim))
    real = np.expand_dims(steps < lengths, axes)
    return jnp.asarray(np.where(real, xs, fill), xs.dtype)
