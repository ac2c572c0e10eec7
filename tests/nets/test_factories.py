"""Equal calls of a factory give one object, which is forgotten when nobody holds it."""

import gc
import sys
import threading
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import blocks, flow
from nets.factories import KEPT, _kept


class Heavy:
    """Values that an option closes over."""


def closing_over(heavy):
    return lambda x: jnp.tanh(x) if heavy else x


MADE = {
    "a cell": lambda act: nets.elman(activation=act),
    "zoneout": lambda act: nets.zoneout(nets.elman(activation=act), hidden=0.1),
    "learned_state": lambda act: nets.learned_state(nets.elman(activation=act)),
    "a layer": lambda act: nets.as_layer(nets.elman(activation=act)),
    "a stack": lambda act: nets.stack(
        nets.bidirectional(nets.elman(activation=act)),
        nets.h_detach(nets.elman(activation=act)),
    ),
    "merge": lambda act: nets.bidirectional(nets.gru(), merge=lambda f, b: act(f)),
    "highway": lambda act: flow.highway(nets.elman(activation=act)),
    "images": lambda act: blocks.sequential(blocks.activation(act)),
}


@pytest.mark.parametrize("name", MADE)
def test_what_nobody_holds_is_freed(name):
    make, heavy = MADE[name], Heavy()
    act = closing_over(heavy)
    thing = make(act)
    if name in ("a layer", "a stack"):  # records of cells, which are equal by value
        assert make(act) == thing and hash(make(act)) == hash(thing)
    elif name != "merge":  # whose lambda is another in each call
        assert make(act) is thing
    ref = weakref.ref(heavy)
    del heavy, act, thing
    gc.collect()
    assert ref() is None


def test_it_is_the_same_while_anyone_holds_it():
    act = closing_over(None)
    cell = nets.elman(activation=act)
    layer = nets.stack(cell, cell)
    del cell
    gc.collect()
    assert nets.stack(nets.elman(activation=act), nets.elman(activation=act)) == layer
    assert nets.elman(activation=act) is layer.cells[0].cell


PLAIN = [
    nets.lstm,
    lambda: nets.elman(activation=jax.nn.relu),
    lambda: nets.lstm(init=nets.initializers.keras),
    lambda: nets.initializers.chrono(50),
    lambda: blocks.sequential(blocks.conv(4, (3, 3)), blocks.max_pool((2, 2))),
]


@pytest.mark.parametrize("make", PLAIN)
def test_what_is_made_of_plain_options_stays(make):
    """So that what was compiled for it is found again by the next call."""
    made = make()
    assert any(kept is made for kept in _kept.values())


def test_so_many_stay_and_no_more():
    for i in range(KEPT + 10):
        nets.lstm(forget_bias=float(i))
    assert len(_kept) == KEPT


def test_options_without_a_hash_make_a_new_cell():
    class Bias:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, x):
            return jnp.tanh(x)

    act = Bias()
    one, other = nets.elman(activation=act), nets.elman(activation=act)
    assert one is not other
    params = one.init(jax.random.key(0), 3, 4)
    assert nets.unroll(other, params, jnp.ones((2, 3)))[1].shape == (2, 4)


def test_options_of_other_types_are_distinguished():
    """NumPy's number would set the dtype, where Python's follows the arrays."""
    cells = [nets.lstm(forget_bias=one) for one in (1.0, np.float64(1))]
    assert cells[0] != cells[1]
    assert nets.lstm(forget_bias=1) is cells[0]
    assert nets.lstm(forget_bias=-1.0) != nets.lstm(forget_bias=-2.0)  # of one hash


def test_threads_get_one_object():
    interval, wrong = sys.getswitchinterval(), 0
    sys.setswitchinterval(1e-6)
    try:
        for trial in range(100):
            made, gate = [], threading.Barrier(8)
            act = closing_over(trial)

            def run(made=made, gate=gate, act=act):
                gate.wait()
                made.append(nets.stack(nets.elman(activation=act), nets.lstm()))

            threads = [threading.Thread(target=run) for _ in range(8)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            wrong += len({id(one.cells[0].cell) for one in made}) > 1
    finally:
        sys.setswitchinterval(interval)
    assert wrong == 0
