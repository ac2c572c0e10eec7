"""Tags of a step: they change no number, and can be replaced."""

import chex
import jax.numpy as jnp
from cases import example

import nets
from nets.tracing.tags import CANDIDATE, KEEPER, with_tags


def test_marks_change_no_numbers():
    """Nor does taking them out: the same step, its marks passed over, is the same."""
    cell = nets.lstm()
    params, xs, first = example(cell, 2)
    plain = cell.step(params, first, xs[0])
    out, marked = with_tags(cell.step)(params, first, xs[0])
    chex.assert_trees_all_equal(out, plain)
    assert [mark.kind for mark, _ in marked] == ["gate", KEEPER, "gate", CANDIDATE]


def test_a_changed_mark_changes_the_step():
    """The tagged value is the value that the step continues with."""
    cell = nets.gru()
    params, xs, first = example(cell)
    keep = with_tags(cell.step, lambda index, z: jnp.ones_like(z) if index == 1 else z)
    (state, _), _ = keep(params, first, xs[0])
    chex.assert_trees_all_equal(state, first)
