"""Memory of the instruments: none keeps the Jacobians of all steps."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import nets
from nets import flow

TIME, INPUTS, FEATURES = 1000, 2, 64
JACOBIANS = 4 * TIME * FEATURES**2  # bytes of [time, features, features]
CELL = nets.gru()


def last(state, ys):
    return (ys[-1] ** 2).sum()


def gradient(term):
    """The gradient of a term of a loss by the parameters."""

    def function(cell, params, xs):
        return jax.grad(lambda params: term(cell, params, xs))(params)

    return function


INSTRUMENTS = {
    "state_gradients": partial(flow.state_gradients, loss=last),
    "split_by_path": partial(flow.split_by_path, loss=last),
    "input_saliency": partial(flow.input_saliency, loss=last),
    "integrated_gradients": partial(flow.integrated_gradients, loss=last),
    "gates": flow.gates,
    "lag_matrix": partial(flow.lag_matrix, losses=lambda ys: (ys**2).sum(axis=-1)),
    "gradient of pascanu_penalty": gradient(partial(flow.pascanu_penalty, loss=last)),
    "lyapunov_spectrum": flow.lyapunov_spectrum,
    "gradient of flossing_penalty": gradient(partial(flow.flossing_penalty, count=4)),
    "log_singular_values": partial(flow.log_singular_values, count=None),
}
COMPILED_SLOWLY = list(INSTRUMENTS)[-2:]


def intermediate_bytes(function, time):
    """Memory for the intermediate values of a compiled function."""
    params, xs = jax.eval_shape(
        lambda: (
            CELL.init(jax.random.key(0), INPUTS, FEATURES),
            jnp.zeros((time, INPUTS)),
        )
    )
    program: Any = jax.jit(partial(function, CELL)).lower(params, xs).compile()
    return program.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in COMPILED_SLOWLY else name
        for name in INSTRUMENTS
    ],
)
def test_no_instrument_keeps_the_jacobians_of_all_steps(name):
    assert intermediate_bytes(INSTRUMENTS[name], TIME) < JACOBIANS / 2


@pytest.mark.slow
def test_each_step_adds_a_few_vectors_to_the_memory_of_the_streams():
    """The state and its inputs before each step, and one number per direction."""
    for name in ("lyapunov_spectrum", "log_singular_values"):
        short, long = (
            intermediate_bytes(INSTRUMENTS[name], steps) for steps in (TIME, 2 * TIME)
        )
        assert (long - short) / TIME < 8 * 4 * FEATURES
