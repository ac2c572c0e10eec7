"""Other JAX libraries, fed with our parameters.

Each peer is a function of our params and xs, [time, batch, inputs], and of lengths if
it runs in both directions. It returns the final state and outputs as ours. It can be
differentiated by our parameters, so that its gradients need no translation.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import keras
from cases import FEATURES, INPUTS

import nets
from nets.cells import ElmanState, GRUState, LSTMState


class Peer(NamedTuple):
    """Our cell, and theirs with our parameters."""

    cell: nets.Cell
    run: Callable[..., Any]


def gates(*arrays, names):
    """{"i": (w_i, w_h, b of i), ...}"""
    blocks = zip(*(jnp.split(a, len(names), axis=-1) for a in arrays), strict=True)
    return dict(zip(names, blocks, strict=True))


def swap(first, names="rzn", order="zrn"):
    """The gates of one array in another order."""
    blocks = dict(zip(names, jnp.split(first, len(names), axis=-1), strict=True))
    return jnp.concatenate([blocks[name] for name in order], axis=-1)


def to_linen(params: Any) -> tuple[Any, Any]:
    """Our parameters as Linen's tree, and Linen's cell."""
    if isinstance(params, nets.cells.ElmanParams):
        w_i, w_h, b = params
        return {"i": {"kernel": w_i, "bias": b}, "h": {"kernel": w_h}}, nn.SimpleCell
    tree: Any = {}
    lstm = isinstance(params, nets.cells.LSTMParams)
    names = "ifgo" if lstm else "rzn"
    for gate, (w_i, w_h, b) in gates(*params[:3], names=names).items():
        tree[f"i{gate}"], tree[f"h{gate}"] = {"kernel": w_i}, {"kernel": w_h}
        tree[("h" if lstm else "i") + gate]["bias"] = b
    if lstm:
        return tree, nn.OptimizedLSTMCell
    tree["hn"]["bias"] = params.b_hn
    return tree, nn.GRUCell


def from_flax(carry):
    if isinstance(carry, tuple):
        return LSTMState(hidden=carry[1], cell=carry[0])
    return carry


def linen(state):
    def run(params, xs):
        tree, cell = to_linen(params)
        layer = nn.RNN(cell(FEATURES), return_carry=True, time_major=True)
        carry, ys = layer.apply({"params": {"cell": tree}}, xs)
        return state(carry), ys

    return run


def linen_bidirectional(state):
    def run(params, xs, lengths=None):
        trees, cells = zip(*map(to_linen, params), strict=True)
        layer = nn.Bidirectional(
            nn.RNN(cells[0](FEATURES)),
            nn.RNN(cells[1](FEATURES)),
            return_carry=True,
            time_major=True,
        )
        names = "forward_rnn", "backward_rnn"
        tree = {n: {"cell": t} for n, t in zip(names, trees, strict=True)}
        variables = {"params": tree}
        carries, ys = layer.apply(variables, xs, seq_lengths=lengths)
        return nets.recurrent.BidirectionalState(*map(state, carries)), ys

    return run


def to_keras(params: Any) -> tuple[list, Any]:
    """Our parameters as the list of Keras's weights, and Keras's layer."""
    if isinstance(params, nets.cells.LSTMParams):
        return list(params), keras.layers.LSTM
    w_i, w_h, b = map(swap, params[:3])
    b = jnp.stack([b, jnp.pad(params.b_hn, (2 * FEATURES, 0))])
    return [w_i, w_h, b], keras.layers.GRU


def _mask(xs, lengths):
    if lengths is None:
        return None
    return jnp.arange(len(xs))[None, :] < lengths[:, None]


def keras_layer(params: Any) -> tuple[list, Any]:
    weights, layer = to_keras(params)
    layer = layer(
        FEATURES, return_sequences=True, return_state=True, zero_output_for_mask=True
    )
    return weights, layer


def keras_run(state):
    def run(params, xs):
        weights, layer = keras_layer(params)
        batch_first = xs.swapaxes(0, 1)
        layer.build(batch_first.shape)
        (ys, *end), _ = layer.stateless_call(
            weights,
            [v.value for v in layer.non_trainable_variables],
            batch_first,
        )
        return state(*end), ys.swapaxes(0, 1)

    return run


def keras_bidirectional(state):
    def run(params, xs, lengths=None):
        weights, layer = keras_layer(params.forward)
        other, _ = to_keras(params.backward)
        both: Any = keras.layers.Bidirectional(layer)
        batch_first = xs.swapaxes(0, 1)
        both.build(batch_first.shape)
        (ys, *ends), _ = both.stateless_call(
            weights + other,
            [v.value for v in both.non_trainable_variables],
            batch_first,
            mask=_mask(xs, lengths),
        )
        half = len(ends) // 2
        states = state(*ends[:half]), state(*ends[half:])
        return nets.recurrent.BidirectionalState(*states), ys.swapaxes(0, 1)

    return run


def haiku(make, to_haiku, state, zeros):
    def run(params, xs):
        core = hk.without_apply_rng(
            hk.transform(lambda xs: hk.dynamic_unroll(make(), xs, zeros(xs)))
        )
        ys, end = core.apply(to_haiku(params), xs)
        return state(end), ys

    return run


def _zeros(xs):
    return jnp.zeros((xs.shape[1], FEATURES), xs.dtype)


def haiku_lstm(params):
    w = jnp.concatenate([params.w_i, params.w_h])
    b = params.b.at[FEATURES : 2 * FEATURES].add(-1.0)  # haiku adds 1 in each step
    w, b = (swap(a, "ifgo", "igfo") for a in (w, b))
    return {"lstm/linear": {"w": w, "b": b}}


def equinox(kind, state):
    def run(params, xs):
        cell: Any = kind(INPUTS, FEATURES, key=jax.random.key(0))
        names = ["weight_ih", "weight_hh", "bias", "bias_n"][: len(params)]
        values = [params.w_i.T, params.w_h.T, *params[2:]]
        cell = eqx.tree_at(lambda c: [getattr(c, n) for n in names], cell, values)

        def one(xs):
            zeros = jnp.zeros(FEATURES, xs.dtype)
            first = (zeros, zeros) if kind is eqx.nn.LSTMCell else zeros

            def step(carry, x):
                carry = cell(x, carry)
                return carry, carry[0] if isinstance(carry, tuple) else carry

            return jax.lax.scan(step, first, xs)

        end, ys = jax.vmap(one, in_axes=1, out_axes=(0, 1))(xs)
        return state(end), ys

    return run


ELMAN, LSTM, GRU = nets.elman(), nets.lstm(), nets.gru()

PEERS = {
    "linen": Peer(LSTM, linen(from_flax)),
    "keras": Peer(LSTM, keras_run(LSTMState)),
    "haiku": Peer(
        LSTM,
        haiku(
            lambda: hk.LSTM(FEATURES),
            haiku_lstm,
            lambda end: LSTMState(*end),
            lambda xs: hk.LSTMState(_zeros(xs), _zeros(xs)),
        ),
    ),
    "equinox": Peer(LSTM, equinox(eqx.nn.LSTMCell, lambda end: LSTMState(*end))),
}
BIDIRECTIONAL_PEERS = {
    "elman linen": Peer(ELMAN, linen_bidirectional(ElmanState)),
    "gru linen": Peer(GRU, linen_bidirectional(GRUState)),
    "lstm keras": Peer(LSTM, keras_bidirectional(LSTMState)),
    "gru keras": Peer(GRU, keras_bidirectional(GRUState)),
}
