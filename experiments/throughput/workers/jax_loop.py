"""One model in a plain loop of Python: a jitted step per batch."""

import jax
import numpy as np
import optax

from experiments.harness import machine
from experiments.throughput.workers import protocol
from experiments.throughput.workers.network import initial_params, loss_fn_of, optimizer


def main() -> None:
    """Serve times of the loop."""
    task = protocol.task()
    machine.keep_compiled()
    xs, labels = protocol.data(task)
    rng = np.random.default_rng(0)
    chain, loss_fn = optimizer(), loss_fn_of(task)
    params = jax.tree.map(lambda leaf: leaf[0], initial_params(task))
    state = chain.init(params)

    @jax.jit
    def step(params, state, batch):
        loss, gradient = jax.value_and_grad(loss_fn)(params, batch, None)
        updates, state = chain.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    def take(count):
        nonlocal params, state
        for _ in range(count):
            indices = rng.integers(0, len(xs), task.batch_size)
            params, state, _ = step(params, state, (xs[indices], labels[indices]))
        jax.block_until_ready(params)

    protocol.serve(take, task.seconds)
