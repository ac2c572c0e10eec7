"""Initializers of other libraries: the distributions that their sources draw from."""

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from nets.initializers.weights import Weights, set_gate
from nets.types import KeyArray


def linen(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Flax Linen's default: the recurrent matrix of each gate is orthogonal.

        W_i ~ truncated normal of variance 1 / inputs    (lecun_normal)
        W_h = [Q_1 ... Q_gates],  Q uniform over the orthogonal matrices
        b = 0, but 1 for f in the minimal gated unit ("fn")

    All singular values of each Q are 1.

    `Initializer` describes the arguments and the result.

    Example:
        >>> weights = linen(jax.random.key(0), inputs=3, features=8, gates="ifgo")
        >>> weights.w_i.shape, weights.w_h.shape, weights.b_i.shape
        ((3, 32), (8, 32), (32,))

    References:
        Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks, https://arxiv.org/abs/1312.6120
        Flax, flax.linen.OptimizedLSTMCell, https://flax.readthedocs.io
    """
    key_i, key_h = jax.random.split(key)
    w_i = jax_initializers.lecun_normal()(key_i, (inputs, len(gates) * features))
    blocks = [
        jax_initializers.orthogonal()(k, (hidden or features, features))
        for k in jax.random.split(key_h, len(gates))
    ]
    b_i, b_h = (jnp.zeros(len(gates) * features) for _ in range(2))
    b_i = set_gate(b_i, gates, "f", 1.0) if gates == "fn" else b_i
    return Weights(w_i, jnp.concatenate(blocks, axis=-1), b_i, b_h)


def nnx(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Flax NNX's default: the recurrent matrix of all gates together is orthogonal.

        W_i ~ truncated normal of variance 1 / inputs    (lecun_normal)
        W_h uniform over the matrices with W_h W_h^T = I,   [hidden, gates features]
        b = 0

    The part of W_h that belongs to one gate then has singular values below 1, with root
    mean square 1 / sqrt(gates). nnx.LSTMCell, which is not fused, is initialized as by
    `linen`.

    `Initializer` describes the arguments and the result.

    Example:
        >>> w_h = nnx(jax.random.key(0), inputs=3, features=8, gates="ifgo").w_h
        >>> jnp.allclose(w_h @ w_h.T, jnp.eye(8), atol=1e-5)
        Array(True, dtype=bool)

    References:
        Flax, flax.nnx.OptimizedLSTMCell, GRUCell and SimpleCell,
        https://flax.readthedocs.io
    """
    key_i, key_h = jax.random.split(key)
    outputs = len(gates) * features
    w_i = jax_initializers.lecun_normal()(key_i, (inputs, outputs))
    w_h = jax_initializers.orthogonal()(key_h, (hidden or features, outputs))
    return Weights(w_i, w_h, jnp.zeros(outputs), jnp.zeros(outputs))


def keras(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Keras's default: W_h as in `nnx`, and forget gates that are initially open.

        W_i ~ U(-a, a),   a = sqrt(6 / (inputs + gates features))    (glorot_uniform)
        W_h uniform over the matrices with W_h W_h^T = I,   [hidden, gates features]
        b_f = 1, other biases 0

    `Initializer` describes the arguments and the result.

    Example:
        >>> keras(jax.random.key(0), 3, 2, "ifgo").b_i.tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]

    References:
        Glorot and Bengio 2010, Understanding the difficulty of training deep
        feedforward neural networks, AISTATS.
        Keras, keras.layers.LSTM, GRU and SimpleRNN, https://keras.io/api/layers
    """
    key_i, key_h = jax.random.split(key)
    outputs = len(gates) * features
    w_i = jax_initializers.glorot_uniform()(key_i, (inputs, outputs))
    w_h = jax_initializers.orthogonal()(key_h, (hidden or features, outputs))
    b_i, b_h = jnp.zeros(outputs), jnp.zeros(outputs)
    return Weights(w_i, w_h, set_gate(b_i, gates, "f", 1.0), b_h)


def torch(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """PyTorch's default: all weights and both biases are uniform.

        W_i, W_h, b_i, b_h ~ U(-a, a),   a = 1 / sqrt(features)

    A cell with one bias uses the sum of both, which has a triangular distribution. The
    bound depends on `features` even if W_h reads a projection of the state.

    `Initializer` describes the arguments and the result.

    Example:
        >>> weights = torch(jax.random.key(0), inputs=3, features=16, gates="rzn")
        >>> [bool(abs(w).max() <= 1 / 4) for w in weights]
        [True, True, True, True]

    References:
        PyTorch, torch.nn.LSTM, GRU and RNN,
        https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
    """
    outputs = len(gates) * features
    shapes = (inputs, outputs), (hidden or features, outputs), (outputs,), (outputs,)
    return Weights(*_uniform(key, features, shapes))


def equinox(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Equinox's default: uniform as in `torch`, but with one bias.

        W_i, W_h, b_i ~ U(-a, a),   a = 1 / sqrt(features)
        b_h = 0, except for n of the GRU ("rzn"), where it is drawn like b_i

    Equinox has only an LSTM and a GRU; all other cells are initialized as its LSTM.

    `Initializer` describes the arguments and the result.

    Example:
        >>> equinox(jax.random.key(0), 3, 2, "rzn").b_h[:4].tolist()
        [0.0, 0.0, 0.0, 0.0]

    References:
        Equinox, equinox.nn.LSTMCell and GRUCell,
        https://docs.kidger.site/equinox/api/nn/rnn/
    """
    outputs = len(gates) * features
    shapes = (inputs, outputs), (hidden or features, outputs), (outputs,), (features,)
    w_i, w_h, b_i, b_n = _uniform(key, features, shapes)
    b_h = jnp.zeros(outputs)
    if gates == "rzn":
        b_h = set_gate(b_h, gates, "n", b_n)
    return Weights(w_i, w_h, b_i, b_h)


def haiku(
    key: KeyArray, inputs: int, features: int, gates: str, hidden: int | None = None
) -> Weights:
    """Haiku's default: truncated normal, with a scale that depends on the kind of cell.

        N(s) = a normal of deviation s cut at 2 s, whose own deviation is 0.880 s

        with a g, as hk.LSTM:      W_i, W_h ~ N(1 / sqrt(inputs + hidden))
        one gate, as hk.VanillaRNN:    W_i ~ N(1 / sqrt(inputs))
                                       W_h ~ N(1 / sqrt(hidden))
        otherwise, as hk.GRU:      W_i ~ N(1 / sqrt(inputs) / 0.880)
                                   W_h ~ N(1 / sqrt(hidden) / 0.880)
        b_f = 1, other biases 0

    In Haiku, W_i and W_h of an LSTM are one matrix that reads the vector [x, h], and
    the 1 is added to f at each step; here it is an initial value of the bias.

    `Initializer` describes the arguments and the result.

    Example:
        >>> weights = haiku(jax.random.key(0), inputs=9, features=16, gates="ifgo")
        >>> bool(abs(weights.w_i).max() <= 2 / 5), bool(abs(weights.w_h).max() <= 2 / 5)
        (True, True)

    References:
        Haiku, hk.LSTM, hk.GRU and hk.VanillaRNN,
        https://dm-haiku.readthedocs.io/en/latest/api.html#recurrent
    """
    key_i, key_h = jax.random.split(key)
    hidden, outputs = hidden or features, len(gates) * features
    if "g" in gates:
        draw_i = draw_h = jax_initializers.truncated_normal((inputs + hidden) ** -0.5)
    elif len(gates) == 1:
        draw_i = jax_initializers.truncated_normal(inputs**-0.5)
        draw_h = jax_initializers.truncated_normal(hidden**-0.5)
    else:
        draw_i = draw_h = jax_initializers.lecun_normal()
    return Weights(
        w_i=draw_i(key_i, (inputs, outputs)),
        w_h=draw_h(key_h, (hidden, outputs)),
        b_i=set_gate(jnp.zeros(outputs), gates, "f", 1.0),
        b_h=jnp.zeros(outputs),
    )


def _uniform(key, features, shapes):
    """Draw arrays from U(-a, a) with a = 1 / sqrt(features)."""
    a = features**-0.5
    keys = jax.random.split(key, len(shapes))
    return [
        jax.random.uniform(k, shape, minval=-a, maxval=a)
        for k, shape in zip(keys, shapes, strict=True)
    ]
