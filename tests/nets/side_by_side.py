"""Our function and a peer's, compared in numbers and gradients."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import cases
import jax
import jax.numpy as jnp

# The defaults of XLA, which the flags of tests/conftest.py change: programs of ours
# are compared with other libraries as users compile them.
XLA_DEFAULTS: dict[str, Any] = {
    "xla_backend_optimization_level": 3,
    "xla_cpu_parallel_codegen_split_count": 32,
    "xla_llvm_disable_expensive_passes": False,
}
if "xla_cpu_use_fusion_emitters" in os.environ["XLA_FLAGS"]:
    XLA_DEFAULTS["xla_cpu_use_fusion_emitters"] = True
optimized_jit: Callable[..., Any] = partial(
    jax.jit,
    compiler_options=XLA_DEFAULTS if jax.default_backend() == "cpu" else None,
)
optimized_run_and_grad = optimized_jit(
    cases.run_and_grad, static_argnames=("cell", "reverse")
)


@partial(optimized_jit, static_argnames="layer")
def optimized_outputs_and_grads(layer, params, xs):
    """Gradients of the sum of the outputs' sines, by parameters and inputs; outputs.

    A layer is compiled once for all the peers that it is compared with.
    """

    def loss(params, xs):
        _, ys = layer.apply(params, xs)
        return sum(jnp.sin(y).sum() for y in jax.tree.leaves(ys)), ys

    return jax.grad(loss, argnums=(0, 1), has_aux=True)(params, xs)


def run(xs, *functions, jit: Callable[..., Any] = optimized_jit):
    """Of each function its outputs, and the gradient of the sum of their sines."""

    @jit
    def program(xs):
        results = []
        for function in functions:
            ys, back = jax.vjp(function, xs)
            results.append((ys, *back(jnp.cos(ys))))
        return results

    return program(xs)
