"""Our function of an image and a peer's, compared in numbers and gradients."""

from functools import partial

import chex
import jax
import jax.numpy as jnp

close = partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-5)


def run(xs, *functions):
    """Of each function its outputs, and the gradient of the sum of their sines."""

    @jax.jit
    def program(xs):
        found = []
        for function in functions:
            ys, back = jax.vjp(function, xs)
            found.append((ys, *back(jnp.cos(ys))))
        return found

    return program(xs)
