"""Every cell in parallel over time equals the loop, forward and backward."""

from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, each_cell, each_core, example
from tolerances import assert_close, assert_equal_float64, within

import nets
from nets.recurrent.parallel.steps import steps_of

TIME = 4
LENGTHS = np.array([TIME, 2, 0])


@partial(jax.jit, static_argnames=("cell", "ways", "reverse"))
def each_way(cell, params, xs, state, ways, reverse=False):
    """Results and gradients of `unroll` with each value of `parallel`."""

    def loss(way, *args):
        out = nets.unroll(
            cell, *args, lengths=LENGTHS, all_states=True, parallel=way, reverse=reverse
        )
        return cases.total(*out), out

    return [
        jax.grad(partial(loss, way), argnums=(0, 1, 2), has_aux=True)(params, xs, state)
        for way in ways
    ]


def padded(cell, **options):
    """An example with NaN in the padding."""
    params, xs, state = example(cell, len(LENGTHS), time=TIME, **options)
    return params, cases.fill_padding(xs, LENGTHS, np.nan), state


@each_cell
def test_newton_equals_the_loop(cell, x64):
    """The gradient of "newton" is the parallel backward pass."""
    args = padded(cell, dtype=jnp.float64)
    loop, newton = each_way(cell, *args, ways=(False, "newton"))
    assert_equal_float64(newton, loop)


@each_core
def test_both_ways_in_float32(cell):
    """From the last step to the first; "backward" is the loop and its gradient."""
    ways = False, "backward", "quasi"
    loop, *others = each_way(cell, *padded(cell), ways=ways, reverse=True)
    for other in others:
        assert_close(other, loop)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision(dtype):
    cell = nets.lstm()
    args = padded(cell, dtype=dtype)
    state = jax.tree.map(lambda s: s.astype(dtype), args[2])
    run = jax.jit(partial(nets.unroll, cell), static_argnames="parallel")
    loop, newton = (run(*args[:2], state, parallel=p) for p in (False, "newton"))
    assert newton[0].cell.dtype == loop[0].cell.dtype
    within(0.03, 0.03)(
        *(jax.tree.map(lambda a: a.astype(jnp.float32), o) for o in (newton, loop))
    )


BLOCKS = {"ind_rnn": 1, "unicornn": 2, "min_gru": 1, "lru": 2, "lstm": 6, "qrnn": 7}


@pytest.mark.parametrize("name", BLOCKS)
def test_elementwise_cells_have_small_blocks(name):
    """Sizes of the blocks of the Jacobian, from the program of the step."""
    cell = CASES[name].cell
    params, xs, state = example(cell, 2)

    def body(state, x):
        return cell.step(params, state, x)

    steps, _ = steps_of(body, state, xs, 1)
    assert steps.block == BLOCKS[name]
