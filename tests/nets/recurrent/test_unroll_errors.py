"""A wrong shape is met with a sentence: what was expected, and what came."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import jaxtyping
import pytest
from cases import INPUTS, TIME

import nets
from nets.initializers import zero_state

CELL = nets.lstm()
PARAMS = cases.draw_params(CELL)
XS = jnp.ones((TIME, 4, INPUTS))
FIRST = nets.cells.LSTMState(jnp.zeros((4, 3)), jnp.zeros((4, 3)))

INPUT_ERRORS = {
    "no time": (
        jnp.ones(()),
        r"expected inputs of shape \[time, .*got shapes \[\[\]\]",
    ),
    "nothing": ((), r"expected inputs of shape \[time, .*got shapes \[\]"),
    "two times": (
        (jnp.ones((5, 2)), jnp.ones((4, 2))),
        r"the same time in all arrays; got shapes \[\[5, 2\], \[4, 2\]\]",
    ),
    "too few features": (
        jnp.ones((5, 4, 1)),
        r"expected an input .* with inputs = 2, .*got one of shape \[4, 1\]",
    ),
    "no features": (jnp.ones(5), r"with inputs = 2, .*got one of shape \[\]"),
}


@pytest.fixture(autouse=True)
def untyped():
    """Users run without the checks of shapes that pytest turns on."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("xs, message", INPUT_ERRORS.values(), ids=INPUT_ERRORS)
def test_wrong_inputs(xs, message):
    with pytest.raises(ValueError, match=message):
        nets.unroll(CELL, PARAMS, xs)


LENGTH_ERRORS = {
    "floats": (jnp.ones(4), "expected integer lengths; got float32"),
    "booleans": (jnp.ones(4, bool), "expected integer lengths; got bool"),
    "another batch": (
        jnp.ones(3, int),
        r"shape of the inputs' batch axes.*shape \[5, 4, 2\], lengths have \[3\]",
    ),
    "time in front": (jnp.ones((5, 4), int), r"\[5, 4, 2\], lengths have \[5, 4\]"),
    "too many axes": (jnp.ones((4, 2, 1), int), r"lengths have \[4, 2, 1\]"),
    "the features' axis": (jnp.ones((4, 2), int), r"lengths have \[4, 2\]"),
    "too long": (
        jnp.array([0, 5, 6, 1]),
        "expected lengths from 0 to 5, the number of steps; got lengths from 0 to 6",
    ),
    "negative": (jnp.array([2, -1, 3, 4]), "from 0 to 5, .*got lengths from -1 to 4"),
}


@pytest.mark.parametrize("lengths, message", LENGTH_ERRORS.values(), ids=LENGTH_ERRORS)
@pytest.mark.parametrize("square", [False, True], ids=["", "inputs = features"])
def test_wrong_lengths(lengths, message, square):
    features = INPUTS if square else 3
    params = CELL.init(jax.random.key(0), INPUTS, features)
    with pytest.raises(ValueError, match=message):
        nets.unroll(CELL, params, XS, lengths=lengths)


def test_a_scalar_length_does_for_a_whole_batch():
    """No axes are leading axes of any batch."""
    end, _ = nets.unroll(CELL, PARAMS, XS, lengths=3)
    short, _ = nets.unroll(CELL, PARAMS, XS[:3])
    assert jnp.allclose(end.hidden, short.hidden)


STATE_ERRORS = {
    "another cell's": (
        nets.cells.GRUState(FIRST.hidden),
        "expected an initial state of structure .*LSTMState.*; got .*GRUState",
    ),
    "another batch": (
        FIRST._replace(cell=jnp.zeros((2, 3))),
        r"state\.cell to be float32\[4, 3\], as .* require; got float32\[2, 3\]",
    ),
    "no batch": (
        nets.cells.LSTMState(jnp.zeros(3), jnp.zeros(3)),
        r"state\.hidden to be float32\[4, 3\], .*got float32\[3\]",
    ),
    "another dtype": (
        FIRST._replace(hidden=jnp.zeros((4, 3), jnp.bfloat16)),
        r"state\.hidden to be float32\[4, 3\], .*got bfloat16\[4, 3\]",
    ),
}


@pytest.mark.parametrize("state, message", STATE_ERRORS.values(), ids=STATE_ERRORS)
def test_wrong_states(state, message):
    with pytest.raises(ValueError, match=message):
        nets.unroll(CELL, PARAMS, XS, state)


@pytest.mark.parametrize("state, message", STATE_ERRORS.values(), ids=STATE_ERRORS)
def test_wrong_states_of_one_direction(state, message):
    layer = nets.bidirectional(CELL)
    params = nets.recurrent.BidirectionalParams(PARAMS, PARAMS)
    with pytest.raises(ValueError, match=message):
        layer.apply(params, XS, nets.recurrent.BidirectionalState(FIRST, state))


@pytest.mark.parametrize("name", nets.CELLS)
def test_every_cell_names_the_inputs_it_was_made_for(name):
    cell = nets.CELLS[name]()
    params = cases.draw_params(cell)
    with pytest.raises(ValueError, match=r"inputs = 2, .*got one of shape \[4, 7\]"):
        cell.initial_state(params, jnp.ones((4, 7)))


def test_zero_state_names_the_wrong_shape():
    with pytest.raises(ValueError, match=r"inputs = 2, .*got one of shape \[3\]"):
        zero_state(jnp.ones(3), jnp.ones((2, 3)), jnp.ones((3, 3)))


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
def test_a_loss_must_be_one_number(jit):
    gradients = partial(
        nets.flow.state_gradients, CELL, loss=lambda state, ys: ys[-1].sum(axis=-1)
    )
    message = r"expected a loss of one number.*got an array of shape \[4\]"
    with pytest.raises(ValueError, match=message):
        (jax.jit(gradients) if jit else gradients)(PARAMS, XS)


def test_state_gradients_checks_as_unroll_does():
    with pytest.raises(ValueError, match="expected lengths from 0 to 5"):
        nets.flow.state_gradients(
            CELL, PARAMS, XS, cases.total, lengths=jnp.array([0, 1, 2, 9])
        )
    with pytest.raises(ValueError, match="expected an initial state of structure"):
        nets.flow.state_gradients(
            CELL, PARAMS, XS, cases.total, nets.cells.GRUState(FIRST.hidden)
        )


def test_traced_lengths_cannot_be_out_of_range_loudly():
    """Under jit the values are not known: too long is all of it, negative is none."""
    state, _ = cases.run(CELL, PARAMS, XS, FIRST, lengths=jnp.array([9, 5, -1, 0]))
    assert jnp.array_equal(state.hidden[0], state.hidden[1])
    assert (state.hidden[2:] == 0).all()


@pytest.mark.parametrize("reset_after", [True, False])
def test_parameters_of_the_other_gru(reset_after):
    params = nets.gru(reset_after=not reset_after).init(jax.random.key(0), 2, 3)
    with pytest.raises(ValueError, match="only reset_after=True has b_hn"):
        nets.unroll(nets.gru(reset_after=reset_after), params, jnp.ones((4, 2)))
