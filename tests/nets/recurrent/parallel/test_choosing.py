"""The rule of `parallel="auto"`."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import example
from tolerances import assert_close

import nets
from nets.recurrent.parallel import choosing
from nets.recurrent.parallel.choosing import Sizes, candidates, choice, most_iterations
from nets.recurrent.parallel.steps import steps_of

GRU = nets.gru()


@pytest.fixture
def launches(monkeypatch):
    """Programs as for an accelerator on which a step of the loop takes a second."""
    monkeypatch.setattr(choosing, "has_launches", lambda: True)
    monkeypatch.setattr(choosing, "STEP", 1.0)


def test_a_processor_runs_the_loop(monkeypatch):
    """The program is that of the loop, for a linear cell too."""
    monkeypatch.setattr(choosing, "has_launches", lambda: False)
    for cell in (GRU, nets.lru()):
        params, xs, state = example(cell, 2)

        def program(parallel, cell=cell, args=(params, xs, state)):
            return str(
                jax.make_jaxpr(partial(nets.unroll, cell, parallel=parallel))(*args)
            )

        assert len(program("auto")) == len(program(False))


@pytest.mark.parametrize("scale", [0.1, 30.0], ids=["contracting", "chaotic"])
def test_both_branches_are_the_loop(launches, scale):
    params, xs, state = example(GRU, 2)
    params = jax.tree.map(lambda p: scale * p, params)

    @jax.jit
    def both(*args):
        def loss(parallel, *args):
            return cases.total(*nets.unroll(GRU, *args, parallel=parallel))

        return [
            jax.value_and_grad(partial(loss, p), argnums=(0, 1, 2))(*args)
            for p in (False, "auto")
        ]

    expected, got = both(params, xs, state)
    assert_close(got, expected)


def test_a_linear_cell_is_scanned(launches):
    params, xs, state = example(nets.lru(), 2)

    def program(parallel):
        run = partial(nets.unroll, nets.lru(), parallel=parallel)
        return len(str(jax.make_jaxpr(run)(params, xs, state)))

    assert program("auto") == program(True)


def test_long_sequences_of_small_states_have_candidates(monkeypatch):
    monkeypatch.setattr(choosing, "has_launches", lambda: True)
    assert "newton" in candidates(Sizes(100_000, 16, 8, 8))
    assert candidates(Sizes(20, 16, 8, 8)) == []
    assert candidates(Sizes(10_000, 64, 512, 512)) == []


def test_the_exponent_decides():
    sizes = Sizes(10_000, 1, 4, 4)
    methods = ["newton"]
    chosen = [int(choice(jnp.float32(e), methods, sizes)) for e in (-1.0, -0.01, 0.1)]
    assert chosen == [1, 0, 0]
    assert 1 <= most_iterations("newton", sizes) < 10_000


def test_the_exponent_of_a_linear_net():
    """ln |2| and ln |0.5| of two sequences; padding and later steps do not count."""
    rates = jnp.array([[2.0], [0.5]])

    def body(state, x):
        return jnp.where(x == 0, state, rates * state), x

    xs = np.ones((300, 2, 1), "f")
    xs[5:, 0] = 0
    steps, consts = steps_of(body, jnp.ones((2, 1)), jnp.asarray(xs), 1)
    both = choosing.largest_exponent(
        steps, consts, [jnp.ones((2, 1))], [jnp.asarray(xs)]
    )
    assert_close(both, np.log(2.0))
    padded = choosing.largest_exponent(
        steps, consts, [jnp.ones((2, 1))], [jnp.zeros((300, 2, 1))]
    )
    assert padded == -np.inf
