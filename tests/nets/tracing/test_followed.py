"""Steps with programs inside: checkpoints, loops, branches, and what is passed on."""

import functools
from functools import partial
from typing import Any

import cases
import chex
import jax
import jax.numpy as jnp
import pytest
from cases import normal
from jax.ad_checkpoint import checkpoint_name
from tolerances import assert_close_float64

import nets
from nets import flow
from nets.tracing.tags import with_tags

TIME, BATCH, UNITS = 4, 2, 3
WRAPS = {"open": lambda f: f, "jit": jax.jit, "checkpoint": jax.checkpoint}
NOTHING: Any = None


def loss(state, ys):
    return jnp.sin(ys).sum()


# A new state that is an entry of the old one.


def as_tuple(w, s, x):
    s = (jnp.tanh(x + s[2] @ w), s[0], s[1])
    return s, s[2] * s[1]


def as_array(w, s, x):
    old = [s[..., i, :] for i in range(3)]
    s = jnp.stack([jnp.tanh(x + old[2] @ w), old[0], old[1]], axis=-2)
    return s, s[..., 2, :] * s[..., 1, :]


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_delay_line_is_the_same_in_a_tuple_and_in_an_array(wrap, x64):
    xs, w = normal(TIME, BATCH, UNITS), normal(UNITS, UNITS, seed=1)
    lines = nets.Cell(NOTHING, lambda w, x: (jnp.zeros(x.shape),) * 3, wrap(as_tuple))
    array = nets.Cell(
        NOTHING, lambda w, x: jnp.zeros((*x.shape[:-1], 3, x.shape[-1])), as_array
    )
    _, result = flow.state_gradients(lines, w, xs, loss)
    _, wanted = flow.state_gradients(array, w, xs, loss)
    assert_close_float64(jnp.stack(result, axis=-2), wanted)


def test_a_memory_that_is_passed_on(x64):
    """y_t reads s_t: all gradient by the memory comes through the later outputs."""

    def step(w, s, x):
        h = jnp.tanh(x + s["memory"] @ w)
        return {"h": h, "memory": s["memory"]}, h * s["memory"]

    def first(w, x):
        return {"h": jnp.zeros(x.shape), "memory": jnp.ones(x.shape)}

    xs, w = normal(TIME, BATCH, UNITS), normal(UNITS, UNITS, seed=1)
    cell = nets.Cell(NOTHING, first, step)
    _, result = flow.state_gradients(cell, w, xs, loss)
    state = first(w, xs[0])

    def restarted(memory, h, later):
        _, ys = nets.unroll(cell, w, later, {"h": h, "memory": memory})
        return loss(None, h * memory) + loss(None, ys)

    for t in range(TIME):
        state, _ = step(w, state, xs[t])
        wanted = jax.grad(restarted)(state["memory"], state["h"], xs[t + 1 :])
        assert_close_float64(result["memory"][t], wanted)


def test_a_parameter_that_is_the_new_state(x64):
    """The output follows it, though no equation of the step computes it."""
    cell = nets.Cell(
        NOTHING,
        lambda w, x: jnp.zeros(x.shape),
        lambda w, s, x: (w["s"], w["s"] * x + s),
    )
    xs = normal(TIME, UNITS)
    _, result = flow.state_gradients(
        cell, {"s": jnp.ones(UNITS)}, xs, lambda s, y: y.sum()
    )
    assert_close_float64(
        result,
        xs + jnp.concatenate([jnp.ones((TIME - 1, UNITS)), jnp.zeros((1, UNITS))]),
    )


# Checkpoints.


def wide(p, h, x):
    z = jnp.tanh(h[..., :1] * jnp.ones((*h.shape[:-1], 100_000)))
    z = checkpoint_name(jnp.sin(z) * jnp.cos(z), "z")
    keep = nets.tag_gate(jax.nn.sigmoid(x @ p[0]), "keep", retains=True)
    h = keep * h + nets.tag_candidate(jnp.tanh(h @ p[1] + z.mean(-1, keepdims=True)))
    return h, h


POLICIES = jax.checkpoint_policies
CHECKPOINTS = {
    "plain": jax.checkpoint(wide),
    "a policy of names": jax.checkpoint(
        wide, policy=POLICIES.save_only_these_names("h")
    ),
    "a jit inside": jax.checkpoint(jax.jit(wide)),
    "inside a jit": jax.jit(jax.checkpoint(wide)),
    "without cse": jax.checkpoint(wide, prevent_cse=False),
}


def megabytes(function, *args):
    result: Any = jax.jit(function).lower(*args).compile().memory_analysis()
    return result.temp_size_in_bytes / 2**20


@pytest.mark.slow
def test_instruments_keep_a_steps_checkpoint():
    """64 steps of 0.4 MB each are not remembered, but where the policy asks for it."""
    p, xs = (jnp.ones((2, UNITS)), jnp.eye(UNITS)), jnp.zeros((64, 1, 2))

    def first(p, x):
        return jnp.zeros((*x.shape[:-1], UNITS))

    def by_state(step):
        cell = nets.Cell(NOTHING, first, step)
        return megabytes(lambda p: flow.state_gradients(cell, p, xs, loss)[1], p)

    def of_training(step):
        cell = nets.Cell(NOTHING, first, step)

        def value(p, perturbations):
            return loss(*nets.unroll(cell, p, xs, perturbations=perturbations))

        zeros = flow.zero_perturbations(cell, p, xs)
        return megabytes(jax.grad(value, argnums=(0, 1)), p, zeros)

    def of_highway(step):
        cell = nets.Cell(NOTHING, first, step)
        return megabytes(lambda p: flow.split_by_path(cell, p, xs, loss)[1], p)

    assert by_state(wide) > 20
    assert of_highway(CHECKPOINTS["plain"]) < 10
    named = jax.checkpoint(wide, policy=POLICIES.save_only_these_names("z"))
    assert of_training(named) > 20
    for step in CHECKPOINTS.values():
        assert of_training(step) < 10


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_changes_no_numbers(name, x64):
    p, xs = (normal(2, UNITS), normal(UNITS, UNITS, seed=1)), normal(TIME, BATCH, 2)

    def result(step):
        cell = nets.Cell(NOTHING, lambda p, x: jnp.ones((*x.shape[:-1], UNITS)), step)
        return flow.split_by_path(cell, p, xs, loss), flow.gates(cell, p, xs)

    assert_close_float64(result(CHECKPOINTS[name]), result(wide))


# Marks inside of operations.


def micro(h, x):
    keep = nets.tag_gate(jax.nn.sigmoid(x + 2 * h), "keep", retains=True)
    return keep * h + (1 - keep) * nets.tag_candidate(jnp.tanh(x - h))


def flat(w, h, x):
    for i in range(3):
        h = micro(h, w[i] * x)
    return h, h


def fori(w, h, x):
    h = jax.lax.fori_loop(0, 3, lambda i, h: micro(h, w[i] * x), h)
    return h, h


def scanned(w, h, x, *, wrap=lambda f: f, **how):
    def body(h, v):
        h = wrap(micro)(h, v * x)
        return h, h

    _, each = jax.lax.scan(body, h, w, **how)
    h = each[0 if how.get("reverse") else -1]
    return h, h


def nested(w, h, x):
    def outer(h, _):
        return jax.lax.scan(lambda h, v: (micro(h, v * x), None), h, w)[0], None

    h, _ = jax.lax.scan(outer, h, None, length=1)
    return h, h


def empty(w, h, x):
    h, _ = jax.lax.scan(lambda h, v: (micro(h, v * x), None), h, w[:0])
    return flat(w, h, x)


FOLLOWED = {
    "fori_loop": fori,
    "scan": scanned,
    "scan of a jit": partial(scanned, wrap=jax.jit),
    "scan of a checkpoint": partial(scanned, wrap=jax.checkpoint),
    "unrolled scan": partial(scanned, unroll=3),
    "scan in reverse": lambda w, h, x: scanned(w[::-1], h, x, reverse=True),
    "scan in a scan": nested,
    "checkpoint of a scan": jax.checkpoint(scanned),
    "jit of a scan": jax.jit(scanned),
    "empty scan": empty,
}


def cell_of(step):
    return nets.Cell(NOTHING, lambda w, x: 0.1 + jnp.zeros(x.shape), step)


W = (1.0, 0.5, -0.5)


@functools.cache
def paths_and_gates(step):
    """Both instruments of a step, in one program."""
    cell = cell_of(step)

    @jax.jit
    def program(w, xs):
        return flow.split_by_path(cell, w, xs, loss), flow.gates(cell, w, xs)

    return program(jnp.array(W), normal(TIME, BATCH, UNITS))


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLLOWED)
def test_marks_in_a_loop_are_those_of_the_same_step_unrolled(name, x64):
    paths, gates = paths_and_gates(FOLLOWED[name])
    assert all(cases.differ(paths[1].highway, paths[1].total))
    assert list(gates) == ["keep 1", "keep 2", "keep 3"]
    assert_close_float64((paths, gates), paths_and_gates(flat))


@jax.custom_jvp
def by_jvp(h, x):
    return micro(h, x)


by_jvp.defjvp(lambda args, tangents: jax.jvp(micro, args, tangents))


@jax.custom_vjp
def by_vjp(h, x):
    return micro(h, x)


by_vjp.defvjp(lambda *args: jax.vjp(micro, *args), lambda pull, g: pull(g))


def twice(run):
    """A step of one marked gate in the open, and of one in an operation."""

    def step(w, h, x):
        h = run(micro(h, x), x)
        return h, h

    return step


REFUSED = {
    "while": twice(
        lambda h, x: jax.lax.while_loop(
            lambda h: h.sum() > 100, lambda h: micro(h, 0 * h), h
        )
    ),
    "cond": twice(lambda h, x: jax.lax.cond(x.sum() > 0, micro, lambda h, x: h, h, x)),
    "custom_jvp_call": twice(by_jvp),
    "custom_vjp_call": twice(by_vjp),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
@pytest.mark.parametrize("name", REFUSED)
def test_marks_that_cannot_be_followed_are_refused_and_named(name, wrap):
    """And not passed over, as other gates are found in the open."""
    cell, xs = cell_of(wrap(REFUSED[name])), jnp.ones((TIME, BATCH, UNITS))
    nets.unroll(cell, jnp.array(W), xs)
    along = partial(nets.unroll, flow.highway(cell))
    for measure in (partial(flow.gates, cell), along):
        with pytest.raises(ValueError, match=f"tags inside one {name}: tag the"):
            measure(jnp.array(W), xs)


def test_operations_without_marks_are_taken_as_they_are(x64):
    """A custom derivative inside of the step stays what it is."""
    step = lambda h, x: micro(h, jax.nn.relu(jax.nn.silu(x)))  # noqa: E731
    args = normal(UNITS), normal(UNITS, seed=1)
    (out, marked), plain = with_tags(step)(*args), step(*args)
    assert_close_float64(out, plain)
    assert len(marked) == 2
    slope = jax.jacobian(lambda h, x: with_tags(step)(h, x)[0], argnums=(0, 1))
    assert_close_float64(slope(*args), jax.jacobian(step, argnums=(0, 1))(*args))


def test_a_step_need_not_be_hashable(x64):
    class Unhashable:
        __hash__ = None  # pyright: ignore[reportAssignmentType]

        def step(self, w, h, x):
            return flat(w, h, x)

    own = cell_of(flat)._replace(step=Unhashable().step)
    w, xs = jnp.array(W), normal(TIME, BATCH, UNITS)
    assert_close_float64(flow.gates(own, w, xs), flow.gates(cell_of(flat), w, xs))


def test_a_scan_over_the_sequences_has_no_gates():
    """Their number would be that of the batch. Paths are found all the same."""

    def step(w, h, x):
        h = jax.lax.map(lambda pair: micro(*pair), (h, x))
        return h, h

    whole = cell_of(lambda w, h, x: (micro(h, x),) * 2)
    w, xs = jnp.array(W), normal(TIME, BATCH, UNITS)
    with pytest.raises(ValueError, match="in a scan over the sequences"):
        flow.gates(cell_of(step), w, xs)
    result, wanted = (
        flow.split_by_path(c, w, xs, loss) for c in (cell_of(step), whole)
    )
    chex.assert_trees_all_close(result, wanted, rtol=1e-5, atol=1e-6)
