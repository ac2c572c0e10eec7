"""Recurrent layers of other libraries that use JAX.

Each function takes a job, and returns a `Peer`. It raises `jobs.Refused` if its library
does not have the cell. A library is imported by its function only.
"""

import dataclasses
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.throughput.workers.jobs import BFLOAT16, HIGHEST, Job, Refused
from nets import interop


@dataclasses.dataclass(frozen=True)
class Peer:
    """A layer of one cell of another library.

    Attributes:
        convert: Parameters of a cell of this library to those of the peer.
        run: `ys = run(params, xs, reverse)`, for one cell.
        equation: Name of the equation that the peer computes, a key of
            `contenders.EQUATIONS`.
        batch_first: Whether its inputs are [batch, time, inputs].
        lacks: Name of a parameter that it does not have, at zero.
    """

    convert: Callable[[Any], Any]
    run: Callable[[Any, jax.Array, bool], Any]
    equation: str
    batch_first: bool = False
    lacks: str = ""


def linen(job: Job) -> Peer:
    """Flax Linen: `nn.RNN`, time first, with the LSTM that joins its products."""
    import flax.linen as nn

    kinds = {"elman": nn.SimpleCell, "lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}
    kind = _kind("Linen", kinds, job)

    def run(params, xs, reverse):
        order: Any = {"time_major": True, "reverse": reverse, "keep_order": True}
        layer = nn.RNN(kind(job.features), **order)
        return layer.apply({"params": {"cell": params}}, xs)

    return Peer(interop.to_linen, run, job.cell)


def nnx(job: Job) -> Peer:
    """Flax NNX: `nnx.RNN`, time first, with the LSTM that joins its products."""
    from flax import nnx

    kinds: Any = {
        "elman": nnx.SimpleCell,
        "lstm": nnx.OptimizedLSTMCell,
        "gru": nnx.GRUCell,
    }
    kind = _kind("NNX", kinds, job)

    def run(params, xs, reverse):
        inputs = xs.shape[-1]
        cell = nnx.eval_shape(lambda: kind(inputs, job.features, rngs=nnx.Rngs(0)))
        graph, weights, rest = nnx.split(cell, nnx.Param, ...)
        nnx.replace_by_pure_dict(weights, params)
        rest = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), rest)
        cell = nnx.merge(graph, weights, rest)
        order: Any = {"time_major": True, "reverse": reverse, "keep_order": True}
        return nnx.RNN(cell, rngs=nnx.Rngs(0), **order)(xs)

    lacks = "b_hn" if job.cell == "gru" else ""
    return Peer(interop.to_nnx, run, job.cell, lacks=lacks)


def haiku(job: Job) -> Peer:
    """Haiku: `hk.dynamic_unroll`. Its Elman has ReLUs, its GRU resets earlier."""
    import haiku as hk

    kinds = {"elman": hk.VanillaRNN, "lstm": hk.LSTM, "gru": hk.GRU}
    kind = _kind("Haiku", kinds, job)

    def unroll(xs, reverse):
        core: Any = kind(job.features)
        start = core.initial_state(xs.shape[1])
        return hk.dynamic_unroll(core, xs, start, reverse=reverse)[0]

    layer = hk.without_apply_rng(hk.transform(unroll))
    equations = {"elman": "elman_relu", "lstm": "lstm", "gru": "gru_reset_before"}
    return Peer(interop.to_haiku, layer.apply, equations[job.cell])


def equinox(job: Job) -> Peer:
    """Equinox: its cell under `jax.vmap` in `jax.lax.scan`."""
    import equinox as eqx

    kinds: Any = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}
    kind = _kind("Equinox", kinds, job)

    def run(params, xs, reverse):
        cell = eqx.filter_eval_shape(
            lambda: kind(xs.shape[-1], job.features, key=jax.random.key(0))
        )
        cell = eqx.tree_at(
            lambda cell: [getattr(cell, name) for name in params],
            cell,
            list(params.values()),
        )
        zero = jnp.zeros((xs.shape[1], job.features), xs.dtype)

        def step(state, x):
            state = jax.vmap(cell)(x, state)
            return state, state[0] if job.cell == "lstm" else state

        start = (zero, zero) if job.cell == "lstm" else zero
        return jax.lax.scan(step, start, xs, reverse=reverse)[1]

    return Peer(interop.to_equinox, run, job.cell)


def keras(job: Job) -> Peer:
    """Keras on JAX: its layer, batch first, as it has no other order."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    layers = keras.layers
    kinds = {"elman": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    kind = _kind("Keras", kinds, job)

    def run(params, xs, reverse):
        layer: Any = kind(
            job.features,
            return_sequences=True,
            go_backwards=reverse,
            kernel_initializer="zeros",
            recurrent_initializer="zeros",
        )
        with jax.ensure_compile_time_eval():
            layer.build(xs.shape)
            fixed = [v.value for v in layer.non_trainable_variables]
        ys, _ = layer.stateless_call(params, fixed, xs)
        return ys[:, ::-1] if reverse else ys

    return Peer(interop.to_keras, run, job.cell, batch_first=True)


def cudnn(job: Job) -> Peer:
    """The LSTM of cuDNN, as `jax.experimental.rnn` calls it."""
    from jax.experimental import rnn

    if job.layer != "lstm":
        raise Refused(f"jax.experimental.rnn has the LSTM only, not {job.layer}")
    if job.precision == BFLOAT16:
        raise Refused("jax.experimental.rnn has float32 only, not bfloat16")
    if jax.default_backend() != "gpu":
        raise Refused(
            f"cuDNN needs a GPU of NVIDIA; the device is a {jax.default_backend()}"
        )

    def run(params, xs, reverse):
        batch, time, inputs = xs.shape
        start = jnp.zeros((1, batch, job.features))
        lengths = jnp.full((batch,), time, jnp.int32)
        sizes = inputs, job.features, 1, 0.0, False
        highest = jax.lax.Precision.HIGHEST if job.precision == HIGHEST else None
        lstm: Any = rnn.lstm
        return lstm(xs, start, start, params, lengths, *sizes, highest)[0]

    return Peer(pack, run, job.cell, batch_first=True)


def pack(params: Any) -> jax.Array:
    """Parameters of an LSTM in the order of cuDNN: w_i, w_h and both biases, flat.

    Args:
        params: `nets.cells.LSTMParams`.

    Returns:
        A vector, for `jax.experimental.rnn.lstm`.

    Example:
        >>> import nets
        >>> pack(nets.lstm().init(jax.random.key(0), 3, 8)).shape
        (416,)
    """
    arrays = interop.to_torch(params)
    order = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
    return jnp.concatenate([arrays[name].ravel() for name in order])


PEERS = {
    "linen": linen,
    "nnx": nnx,
    "haiku": haiku,
    "equinox": equinox,
    "keras": keras,
    "cudnn": cudnn,
}
MODULES = {"linen": "flax", "nnx": "flax", "cudnn": "jax"}


def missing(name: str) -> bool:
    """Whether the package of a peer is not installed."""
    return importlib.util.find_spec(MODULES.get(name, name)) is None


def _kind(library: str, kinds: dict[str, Any], job: Job) -> Any:
    """The class of a cell."""
    if job.cell not in kinds:
        raise Refused(f"{library} has no {job.cell} cell")
    return kinds[job.cell]
