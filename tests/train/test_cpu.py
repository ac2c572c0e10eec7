"""The choice between XLA's two ways to compile sums for a CPU."""

import chex
import jax
import jax.numpy as jnp
import pytest

import nets
from train import cpu
from train.cpu import LEAST, OPTION, compiler_options

ROWS = jnp.ones((int(LEAST) // 6 + 1, 6))


def options(function, *args, members=1, platform="cpu"):
    return compiler_options(jax.make_jaxpr(function)(*args), platform, members)


def short_sums(x):
    return x.sum(axis=-1)


def long_sums(x):
    return x.sum(axis=0)


def test_short_sums_are_compiled_without_the_library():
    assert options(short_sums, ROWS) == {OPTION: ""}
    assert options(short_sums, ROWS, platform="cuda") == {}
    assert options(short_sums, ROWS[:100]) == {}
    assert options(long_sums, ROWS) == {}


def test_sums_within_loops_and_functions_count_as_often_as_they_run():
    def loop(x):
        return jax.lax.scan(lambda s, row: (s, jax.jit(short_sums)(row)), 0, x)[1]

    by_step = ROWS[:, None]
    assert options(loop, by_step) == {OPTION: ""}
    assert options(loop, by_step[: len(by_step) // 2]) == {}


def test_long_sums_and_large_products_outweigh_short_sums():
    large = jnp.ones((512, 512))
    assert options(lambda x, y: (short_sums(x), y @ y), ROWS, large) == {}
    rows = jnp.ones((64, len(ROWS)))
    assert options(lambda x, y: (short_sums(x), long_sums(y)), ROWS, rows) == {}


def test_the_number_of_members_decides_nothing():
    def of_all(members):
        return jax.lax.map(short_sums, members)

    for rows in (ROWS, ROWS[: len(ROWS) // 2]):
        alone = options(short_sums, rows)
        together = options(of_all, jnp.stack([rows] * 3), members=3)
        assert alone == together


@pytest.mark.parametrize(
    ("name", "expected"), [("gla", {OPTION: ""}), ("gru", {}), ("lstm", {})]
)
def test_a_matrix_for_a_state_has_short_sums(name, expected):
    cell, xs = nets.CELLS[name](), jnp.ones((40, 100, 1))
    params = cell.init(jax.random.key(0), 1, 6)

    def loss(params):
        return (nets.unroll(cell, params, xs)[1] ** 2).mean()

    traced = jax.jit(jax.grad(loss)).trace(params)
    chosen = compiler_options(traced.jaxpr, "cpu")
    assert chosen == expected
    if not chosen or jax.default_backend() != "cpu":
        return
    plain, fast = (traced.lower().compile(compiler_options=o) for o in ({}, chosen))
    assert "ynn" not in str(fast.as_text())
    chex.assert_trees_all_close(plain(params), fast(params), rtol=1e-4, atol=1e-7)


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(cpu, "OPTION", "xla_cpu_no_such_option")
    cpu._is_known.cache_clear()
    assert options(short_sums, ROWS) == {}
    cpu._is_known.cache_clear()
