"""Our function of an image and a peer's, compared in numbers and gradients."""

import jax
import jax.numpy as jnp


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
