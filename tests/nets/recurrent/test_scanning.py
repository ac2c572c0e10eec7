"""Our scan against `jax.lax.scan`: numbers, derivatives, and what its loops carry."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

import nets
from nets.recurrent import scanning
from nets.recurrent.scanning import scan
from nets.tracing.jaxpr import programs_of

TIME, BATCH, FEATURES = 7, 2, 3
NAMES = "elman", "gru", "lstm", "slstm", "min_gru"


def example(name: str, inputs: int = 1):
    """A cell, and parameters, a state and inputs that are all random."""
    cell = nets.CELLS[name]()
    params = cell.init(jax.random.key(0), inputs, FEATURES)
    xs = jax.random.normal(jax.random.key(1), (TIME, BATCH, inputs))
    state = cell.initial_state(params, xs[0])
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    leaves = [
        leaf + 0.1 * jax.random.uniform(key, leaf.shape)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return cell, (params, xs, jax.tree.unflatten(tree, leaves))


def loss_of(cell, scanned, reverse=False):
    """A loss that depends on the last state and on all outputs."""

    def loss(params, xs, state):
        results = scanned(partial(cell.step, params), state, xs, reverse=reverse)
        return sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(results))

    return loss


# The way back does not depend on the step: one cell shows it, and one in parts below.
@pytest.mark.parametrize(
    ("name", "reverse"), [*((name, False) for name in NAMES), ("lstm", True)]
)
def test_derivatives_are_those_of_lax_scan(name, reverse):
    """First and second derivatives in both modes, and under vmap."""
    cell, args = example(name)
    directions = jax.tree.map(jnp.cos, args)

    @partial(jax.jit, static_argnums=0)
    def derivatives(scanned, *args):
        loss = loss_of(cell, scanned, reverse)
        gradient = jax.grad(loss, argnums=(0, 1, 2))
        several = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), args)
        return (
            gradient(*args),
            jax.jvp(loss, args, directions),
            jax.jvp(gradient, args, directions)[1],
            jax.grad(lambda *args: jax.jvp(loss, args, directions)[1])(*args),
            jax.vmap(gradient)(*several),
        )

    ours, theirs = derivatives(scan, *args), derivatives(jax.lax.scan, *args)
    chex.assert_trees_all_close(ours, theirs, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_derivatives_in_float64(name, x64):
    cell, args = example(name, inputs=2)
    args = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), args)
    gradients = [
        jax.jit(jax.grad(loss_of(cell, scanned), argnums=(0, 1, 2)))(*args)
        for scanned in (scan, jax.lax.scan)
    ]
    chex.assert_trees_all_close(*gradients, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_chunks_change_nothing(chunk, reverse, monkeypatch):
    """Chunks that divide the time, and chunks that do not."""
    cell, args = example("gru", inputs=2)
    gradient = jax.grad(loss_of(cell, scan, reverse), argnums=(0, 1, 2))
    whole = jax.jit(gradient)(*args)
    monkeypatch.setattr(scanning, "_chunk", lambda time, size: chunk)
    assert_close(jax.jit(lambda *args: gradient(*args))(*args), whole)


@pytest.mark.parametrize("limit, processor", [(0, True), (10**9, True), (0, False)])
def test_products_ahead_of_the_loop_change_nothing(limit, processor, monkeypatch):
    """On a processor, and as on an accelerator."""
    cell, args = example("lstm", inputs=2)
    monkeypatch.setattr(scanning, "AHEAD", limit)
    monkeypatch.setattr(scanning, "_on_processor", lambda: processor)
    ours, theirs = (
        jax.jit(jax.value_and_grad(loss_of(cell, scanned), argnums=(0, 1, 2)))(*args)
        for scanned in (scan, jax.lax.scan)
    )
    assert_close(ours, theirs)


def scans_of(program):
    """All scans in a jaxpr, at any depth."""
    for equation in program.eqns:
        if equation.primitive.name == "scan":
            yield equation
        for inner in programs_of(equation):
            yield from scans_of(inner)


def low_rank(params, h, x):
    """A cell of a user, whose recurrent matrix is a product of two."""
    u, v, w_i = params
    h = jnp.tanh(h @ (u @ v) + jnp.sin(x @ w_i))
    return h, h


LOW_RANK = jnp.ones((3, 1)) / 4, jnp.ones((1, 3)), jnp.ones((2, 3)) / 5


@pytest.mark.parametrize(
    ("cell", "products"),
    [
        pytest.param(nets.elman(), 1, id="elman"),
        pytest.param(nets.lstm(), 1, id="lstm"),  # of [x, h]: its gates are parts
        pytest.param(nets.gru(), 1, id="gru"),
        pytest.param(nets.gru(reset_after=False), 2, id="gru, reset before"),
        pytest.param(nets.min_gru(), 0, id="min_gru"),
        pytest.param(None, 1, id="own"),
    ],
)
def test_the_forward_loop_repeats_nothing(cell, products):
    """It neither takes parts of weights nor multiplies two matrices of weights."""
    xs, state = jnp.ones((TIME, BATCH, 2)), jnp.zeros((BATCH, 3))
    run = partial(low_rank, LOW_RANK)
    if cell is not None:
        params = cell.init(jax.random.key(0), 2, 3)
        run, state = partial(cell.step, params), cell.initial_state(params, xs[0])
    program = jax.make_jaxpr(lambda *args: scan(run, *args))(state, xs).jaxpr
    (loop,) = scans_of(program)
    inner = loop.params["jaxpr"].jaxpr
    fixed = set(inner.invars[: loop.params["num_consts"]])
    names = [equation.primitive.name for equation in inner.eqns]
    parts = [e for e in inner.eqns if e.primitive.name == "split"]
    assert names.count("dot_general") == products
    assert not any(fixed.intersection(equation.invars) for equation in parts)
    assert_close(scan(run, state, xs), jax.lax.scan(run, state, xs))


@pytest.mark.parametrize("name", ["elman", "gru", "lstm", "own"])
def test_the_backward_loop_carries_no_parameters(name):
    """No loop carries an array of the size of a matrix of weights."""
    if name == "own":
        step = lambda w, s, x: (jnp.tanh(s @ w[0] + x @ w[1]),) * 2  # noqa: E731
        weights = jnp.ones((5, 5)), jnp.ones((4, 5))
        args = weights, jnp.ones((TIME, BATCH, 4)), jnp.zeros((BATCH, 5))
    else:
        cell = nets.CELLS[name]()
        params = cell.init(jax.random.key(0), 4, 5)
        xs = jnp.ones((TIME, BATCH, 4))
        step, args = cell.step, (params, xs, cell.initial_state(params, xs[0]))

    def largest_carry(scanned):
        def loss(params, xs, state):
            ys = scanned(lambda s, x: step(params, s, x), state, xs)[1]
            return jnp.sum(ys**2)

        program = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(*args).jaxpr
        carried = []
        for equation in scans_of(program):
            inner = equation.params["jaxpr"].jaxpr
            pairs = zip(equation.outvars, inner.outvars, strict=True)
            carried += [i.aval.size for o, i in pairs if o.aval.ndim == i.aval.ndim]
        return max(carried)

    assert largest_carry(scan) == BATCH * 5
    assert largest_carry(jax.lax.scan) >= 5 * 5


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_no_loop_reads_the_values_of_all_steps_as_a_constant(name):
    """`jax.vmap` would transpose them, as it moves its axis in front of time."""
    cell, args = example(name, 2)
    members = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), args)
    gradients = jax.vmap(jax.grad(loss_of(cell, scan), argnums=(0, 1)))
    loops = list(scans_of(jax.make_jaxpr(gradients)(*members).jaxpr))
    times = [
        variable.aval.shape.count(TIME)
        for loop in loops
        for variable in loop.params["jaxpr"].jaxpr.invars[: loop.params["num_consts"]]
    ]
    assert len(loops) == 2 and times and not any(times)


def test_a_step_that_counts_draws_and_looks_up():
    """A state of integers, keys and indices among the inputs, a closure over arrays."""
    table = jax.random.normal(jax.random.key(0), (5, FEATURES))
    keys = jax.random.split(jax.random.key(1), TIME)
    indices = jnp.arange(TIME) % 5

    def run(scanned, scale):
        def body(state, inputs):
            count, h = state
            key, index = inputs
            noise = jax.random.normal(key, (FEATURES,))
            h = jnp.tanh(scale * table[index] + h * noise)
            return (count + 1, h), (h, count)

        (count, h), (hs, counts) = scanned(
            body, (jnp.zeros((), int), jnp.zeros(FEATURES)), (keys, indices)
        )
        return jnp.sum(hs**2) + h.sum(), (count, counts)

    ours, theirs = (
        jax.value_and_grad(partial(run, scanned), has_aux=True)(1.5)
        for scanned in (scan, jax.lax.scan)
    )
    assert_close(ours, theirs)
    assert int(ours[0][1][0]) == TIME


def test_side_effects_are_kept(capsys):
    def body(state, x):
        jax.debug.print("step {x}", x=x)
        return state + x, state

    def last(xs):
        return scan(body, 0.0, xs)[0]

    gradient = jax.grad(last)(jnp.arange(3.0))
    jax.effects_barrier()
    np.testing.assert_array_equal(gradient, 1.0)
    assert "step 2" in capsys.readouterr().out


def test_without_jit_the_body_sees_values():
    seen = []

    def body(state, x):
        seen.append(float(x))
        return state + x, state

    with jax.disable_jit():
        assert scan(body, 0.0, jnp.arange(3.0))[0] == 3
    assert seen == [0, 1, 2]


def test_a_rule_of_the_user_is_applied_in_each_step():
    """A clipped gradient by a weight: the sum of clipped terms, not a clipped sum."""

    @jax.custom_vjp
    def clipped(w):
        return w

    clipped.defvjp(lambda w: (w, None), lambda _, g: (jnp.clip(g, -0.1, 0.1),))

    def last(w):
        return scan(lambda s, x: (s + x * clipped(w), s), 0.0, jnp.ones(10))[0]

    np.testing.assert_allclose(jax.grad(last)(1.0), 10 * 0.1, rtol=1e-6)


@pytest.mark.parametrize("new", [lambda s: (s,), lambda s: (s, s), lambda s: {"a": s}])
def test_a_state_of_another_structure_is_refused(new):
    with pytest.raises(TypeError, match="same pytree structure"):
        scan(lambda s, x: (new(s), s), jnp.zeros(3), jnp.ones((5, 3)))


def test_integers_are_multiplied():
    weights = jnp.arange(6).reshape(2, 3), jnp.eye(3, dtype=int)

    def body(state, x):
        return (x @ weights[0] + state @ weights[1]) % 7, state

    xs = jnp.arange(20).reshape(5, 2, 2)
    start = jnp.zeros((2, 3), int)
    chex.assert_trees_all_equal(scan(body, start, xs), jax.lax.scan(body, start, xs))


def test_outputs_that_are_numbers_of_python():
    def last(w):
        return scan(lambda s, x: (w * s + x, (True, 3, 2.5)), 1.0, jnp.ones(3))[0]

    np.testing.assert_allclose(jax.grad(last)(0.5), 2.75)


@pytest.mark.parametrize("shape", [(5, 3, 0), (5, 0, 2)])
def test_inputs_without_numbers(shape):
    cell = nets.lstm()
    params = cell.init(jax.random.key(0), 1, 4)._replace(w_i=jnp.ones((shape[-1], 16)))
    xs = jnp.ones(shape)
    ours, theirs = (
        jax.grad(loss_of(cell, scanned))(params, xs, cell.initial_state(params, xs[0]))
        for scanned in (scan, jax.lax.scan)
    )
    assert_close(ours, theirs)


def test_values_larger_than_the_state_stay_in_the_loop():
    """The product of each weight with a unit of the state, before it is summed."""

    def loss(scanned, w):
        def body(state, x):
            state = jnp.tanh((state[:, :, None] * w[None]).sum(1) + x)
            return state, state

        return scanned(body, jnp.ones((2, 32)), jnp.ones((TIME, 2, 32)))[1].sum()

    def loops(scanned):
        program = jax.make_jaxpr(jax.grad(partial(loss, scanned)))(jnp.eye(32)).jaxpr
        return [
            sorted(v.aval.size for v in equation.outvars)
            for equation in scans_of(program)
        ]

    assert loops(scan) == loops(jax.lax.scan)


def test_a_gradient_in_the_loop_is_summed_in_float32():
    """1,000 equal terms of a weight in bfloat16, where a sum stops at 256 of them."""

    def step(params, state, x):
        # Larger than the state, so its derivative stays in the loop.
        by_weights = state[:, :, None] * params["w"][None]
        state = by_weights.sum(1) + params["b"][None]
        return state, state

    params = {"w": jnp.zeros((32, 32)), "b": jnp.ones(32)}
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    xs = jnp.zeros((1000, 1, 32), jnp.bfloat16)
    cell = nets.Cell(lambda *_: params, lambda _, x: jnp.zeros_like(x), step)

    @jax.grad
    def gradient(params):
        return nets.unroll(cell, params, xs)[1].sum()

    np.testing.assert_allclose(gradient(params)["b"].astype(float), 1000, rtol=1e-2)


@pytest.mark.parametrize("generator", ["threefry2x32", "rbg", "unsafe_rbg"])
@pytest.mark.parametrize("processor", [True, False])
def test_random_numbers_are_those_of_the_steps(generator, processor, monkeypatch):
    """One mask for the product and for the output, with and without derivatives."""
    monkeypatch.setattr(scanning, "_on_processor", lambda: processor)
    keys = jax.random.split(jax.random.key(0, impl=generator), TIME)

    def run(scanned, w):
        def body(state, inputs):
            key, x = inputs
            x = jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x, 0)
            return jnp.tanh(state + x @ w), (state, x)

        return scanned(body, jnp.zeros((BATCH, 3)), (keys, jnp.ones((TIME, BATCH, 4))))

    w = jnp.ones((4, 3)) / 3
    for program in (run, lambda scanned, w: jax.jvp(partial(run, scanned), (w,), (w,))):
        ours, theirs = (program(scanned, w) for scanned in (scan, jax.lax.scan))
        assert_close(ours, theirs)
