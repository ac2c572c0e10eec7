"""The recurrent highway network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nets import initializers
from nets.factories import factory
from nets.linear import add_bias, wide
from nets.tracing.tags import tag_candidate, tag_gate
from nets.types import Cell


class RHNParams(NamedTuple):
    """w_i [inputs, 2 features], in order n t, and one w_h and b per layer.

    w_h [depth, features, 2 features], b [depth, 2 features].
    """

    w_i: Float[Array, "inputs 2*features"]
    w_h: Float[Array, "depth features 2*features"]
    b: Float[Array, "depth 2*features"]


class RHNState(NamedTuple):
    """hidden [*batch, features], at least float32: steps accumulate in it."""

    hidden: Float[Array, "*batch features"]


@factory
def rhn(
    depth: int = 3,
    transform_bias: float = -2.0,
    init: initializers.Initializer = initializers.orthogonal,
) -> Cell:
    """The recurrent highway network: several highway layers per time step.

        s_0 = h
        n_l = tanh(W_hnl s_(l-1) + b_nl + W_in x, this last if l = 1)
        t_l = sigmoid(W_htl s_(l-1) + b_tl + W_it x, this last if l = 1)
        s_l = t_l n_l + (1 - t_l) s_(l-1)    for l = 1 ... depth
        h' = s_depth

    The gradient passes through `depth` layers per step, almost unchanged where all t
    are small. The carry and transform gates are coupled, as in the authors'
    experiments.

    Args:
        depth: Number of layers per step. The default is that of the authors' cell; they
            use up to 10.
        transform_bias: Initial value of t's biases. With a negative value, a layer
            initially carries s over. The authors use -2 for words and -4 for
            characters.
        init: Initializer of the other parameters, from `nets.initializers`; t is
            initialized as an input gate.

    Returns:
        A `Cell` with `RHNParams` and `RHNState`.

    Raises:
        ValueError: `depth` is less than 1.

    Example:
        >>> import nets
        >>> cell = nets.rhn(depth=2)
        >>> params = cell.init(jax.random.key(0), 3, 8)
        >>> state, ys = nets.unroll(cell, params, jnp.ones((10, 5, 3)))
        >>> params.w_h.shape, ys.shape
        ((2, 8, 16), (10, 5, 8))

    References:
        Zilly et al. 2017, Recurrent highway networks, https://arxiv.org/abs/1607.03474
    """
    if depth < 1:
        raise ValueError(f"expected depth >= 1; got {depth}")

    def init_params(key, inputs, features):
        layers = [init(k, inputs, features, "ni") for k in jax.random.split(key, depth)]
        biases = [layer.b_h for layer in layers]
        biases[0] = biases[0] + layers[0].b_i
        return RHNParams(
            layers[0].w_i,
            jnp.stack([layer.w_h for layer in layers]),
            jnp.stack(
                [initializers.set_gate(b, "ni", "i", transform_bias) for b in biases]
            ),
        )

    def initial_state(params, x):
        return RHNState(wide(initializers.zero_state(x, params.w_i, params.w_h[0])))

    def step(params, state, x, drop=lambda h: h):
        s, from_x = wide(state.hidden), x @ params.w_i
        read = from_x
        for layer, (w_h, b) in enumerate(zip(params.w_h, params.b, strict=True)):
            read = drop(s).astype(from_x.dtype) @ w_h
            both = add_bias(*wide(read, b))
            n, t = jnp.split(both if layer else both + wide(from_x), 2, axis=-1)
            t = tag_gate(jax.nn.sigmoid(t), "transform")
            carry = tag_gate(1 - t, "carry", retains=True)
            s = t * tag_candidate(jnp.tanh(n)) + carry * s
        s = s.astype(state.hidden.dtype)
        return RHNState(s), s.astype(read.dtype)

    return Cell(init_params, initial_state, step, takes_drop=True)
