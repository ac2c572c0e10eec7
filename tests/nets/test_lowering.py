"""Programs that run here on a CPU compile for GPUs and TPUs too."""

from functools import partial
from typing import Any

import cases
import jax
import jax.export
import jax.numpy as jnp
import optax
import pytest
from cases import CASES, FEATURES, INPUTS, KINDS, TIME, each_cell

import nets
from nets.models import SequenceClassifier

PLATFORMS = ["cpu", "cuda", "tpu"]


def assert_lowers(function, *args):
    exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*args)
    assert exported.platforms == tuple(PLATFORMS)
    results = jax.tree.leaves(jax.eval_shape(function, *args))
    assert [a.shape for a in exported.out_avals] == [r.shape for r in results]


@each_cell
def test_unroll(cell):
    params, xs, first = cases.example(cell, 4)

    def run(params, xs, state, lengths):
        return nets.unroll(cell, params, xs, state, lengths=lengths)

    assert_lowers(run, params, xs, first, jnp.full(4, 3))


@cases.each_core
def test_bidirectional(cell):
    params, xs, _ = cases.example(cell, 4)
    both = nets.recurrent.BidirectionalParams(params, params)
    assert_lowers(nets.bidirectional(cell).apply, both, xs)


@pytest.mark.parametrize("parallel", ["backward", "newton", "quasi", "auto"])
def test_parallel_in_time(parallel):
    params, xs, first = cases.example(nets.lstm(), 4)

    def gradient(params, xs, state, lengths):
        def loss(params):
            options = {"lengths": lengths, "parallel": parallel}
            return cases.total(*nets.unroll(nets.lstm(), params, xs, state, **options))

        return jax.grad(loss)(params)

    assert_lowers(gradient, params, xs, first, jnp.full(4, 3))


@cases.each_core
def test_state_gradients(cell):
    params, xs, _ = cases.example(cell, 4)
    assert_lowers(
        partial(nets.flow.state_gradients, cell, loss=cases.total), params, xs
    )


INSTRUMENTS = {
    "lyapunov": nets.flow.lyapunov_spectrum,
    "transport": partial(nets.flow.log_singular_values, count=2),
    "memory": partial(nets.probes.memory_capacity, folds=2),
    "gates": nets.flow.gates,
}


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_instruments(name):
    """Their linear algebra, above all."""
    params, xs, _ = cases.example(nets.lstm(), 4)
    assert_lowers(partial(INSTRUMENTS[name], nets.lstm()), params, xs)


@pytest.mark.parametrize("name", KINDS)
def test_init(name):
    cell = CASES[name].cell

    def init(seed):
        return cell.init(jax.random.key(seed), INPUTS, FEATURES)

    assert_lowers(init, 0)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["", "bidirectional"])
def test_a_train_step(bidirectional):
    model: Any = SequenceClassifier(nets.lstm(), FEATURES, 4, bidirectional)
    optimizer = optax.adam(1e-3)
    xs, lengths = jnp.ones((4, TIME, INPUTS)), jnp.array([1, 2, 5, 0])
    variables = cases.draw(jax.eval_shape(model.init, jax.random.key(0), xs))

    def step(variables, memory, xs, lengths, labels):
        def loss(variables):
            logits = model.apply(variables, xs, lengths)
            return optax.softmax_cross_entropy_with_integer_labels(
                logits, labels
            ).mean()

        value, gradients = jax.value_and_grad(loss)(variables)
        updates, memory = optimizer.update(gradients, memory, variables)
        return value, optax.apply_updates(variables, updates), memory

    memory = optimizer.init(variables)
    assert_lowers(step, variables, memory, xs, lengths, jnp.arange(4))
