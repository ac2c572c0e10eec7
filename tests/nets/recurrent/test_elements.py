"""Linear recurrences of factors of every form, against loops over dense matrices."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nets
from nets import elements

SIZE, TIME, BATCH = 3, 6, 2


def positions(rng, *shape):
    """Rows of the ones of columns: not all of them are permutations."""
    return rng.integers(0, SIZE, (*shape, SIZE))


def one_hot(p):
    """Column j has its 1 in row p[j]."""
    return np.swapaxes(np.eye(SIZE)[p], -1, -2)


class Form(NamedTuple):
    """An element, factors of it, and the matrices of factors."""

    element: elements.Element
    draw: Callable[..., Any]  # (rng, *leading axes)
    dense: Callable[[Any], np.ndarray]
    columns: int = 0  # of the state, if it is a matrix

    @property
    def shape(self) -> tuple[int, ...]:
        return (SIZE, self.columns) if self.columns else (SIZE,)


def rank_one(w, u, v):
    return w[..., None] * np.eye(SIZE) - u[..., None] * v[..., None, :]


def permuted(p, d):
    return p * np.asarray(d)[..., None, :]


FORMS = {
    "elementwise": Form(
        elements.elementwise,
        lambda rng, *shape: rng.standard_normal((*shape, SIZE)),
        lambda a: np.asarray(a)[..., None] * np.eye(SIZE),
    ),
    "blocks": Form(
        elements.blocks,
        lambda rng, *shape: 0.6 * rng.standard_normal((*shape, SIZE, SIZE)),
        np.asarray,
    ),
    "left_factor": Form(
        elements.left_factor,
        lambda rng, *shape: 0.6 * rng.standard_normal((*shape, SIZE, SIZE)),
        np.asarray,
        columns=2,
    ),
    "diagonal_minus_rank_one": Form(
        elements.diagonal_minus_rank_one,
        lambda rng, *shape: tuple(0.8 * rng.standard_normal((3, *shape, SIZE))),
        lambda a: rank_one(*map(np.asarray, a)),
        columns=2,
    ),
    "permuted_diagonal": Form(
        elements.permuted_diagonal,
        lambda rng, *shape: (
            one_hot(positions(rng, *shape)),
            rng.standard_normal((*shape, SIZE)),
        ),
        lambda a: permuted(*a),
    ),
    "permuted_diagonal by positions": Form(
        elements.permuted_diagonal,
        lambda rng, *shape: (
            positions(rng, *shape),
            rng.standard_normal((*shape, SIZE)),
        ),
        lambda a: permuted(one_hot(np.asarray(a[0])), a[1]),
    ),
}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def example(form, time=TIME, batch=(BATCH,), factor_batch=None, seed=0):
    """Factors, summands and a first state."""
    rng = np.random.default_rng(seed)
    a = form.draw(rng, time, *(batch if factor_batch is None else factor_batch))
    b = rng.standard_normal((time, *batch, *form.shape))
    return a, b, rng.standard_normal((*batch, *form.shape))


def loop(form, a, b, state):
    """States after each step, in NumPy."""
    matrices, states = form.dense(a), []
    for t in range(len(b)):
        columns = state if form.columns else state[..., None]
        moved = matrices[min(t, len(matrices) - 1)] @ columns
        state = (moved if form.columns else moved[..., 0]) + b[t]
        states.append(state)
    return np.stack(states) if states else b


def cast(tree, dtype):
    return jax.tree.map(
        lambda a: jnp.asarray(a, dtype if a.dtype.kind == "f" else None), tree
    )


def in_parallel(element, a, b, state):
    return nets.linear_scan(a, b, state, element)


scan = jax.jit(in_parallel, static_argnums=0)


def by_steps(element, a, b, state):
    """The recurrence by `apply`, step by step."""

    def body(state, ab):
        state = element.apply(ab[0], state) + ab[1]
        return state, state

    return jax.lax.scan(body, state, (a, b))[1]


@each_form
@pytest.mark.parametrize("time", [0, 1, TIME])
def test_the_scan_is_a_loop_over_matrices(form, time, x64):
    given = example(form, time)
    for dtype, tolerance in {"float32": 1e-5, "float64": 1e-12}.items():
        got = scan(form.element, *cast(given, dtype))
        assert got.dtype == dtype
        chex.assert_trees_all_close(
            np.float64(got), loop(form, *given), rtol=tolerance, atol=tolerance
        )


@each_form
def test_factors_shared_by_sequences_and_steps(form, x64):
    for time, batch in ((TIME, 1), (1, 1)):
        a, b, state = example(form)
        a = form.draw(np.random.default_rng(1), time, batch)
        got = scan(form.element, *cast((a, b, state), "float64"))
        chex.assert_trees_all_close(got, loop(form, a, b, state), rtol=1e-12)


@each_form
def test_a_product_of_factors_is_one_factor(form, x64):
    """Of three, in both orders of association; the identity changes none."""
    a = cast(form.draw(np.random.default_rng(0), 3), "float64")
    element = form.element
    first, second, third = (jax.tree.map(lambda x, t=t: x[t], a) for t in range(3))
    packed = [element.compact(f) for f in (first, second, third)]
    combine = element.combine
    left = combine(packed[2], combine(packed[1], packed[0]))
    right = combine(combine(packed[2], packed[1]), packed[0])
    chex.assert_trees_all_close(left, right, rtol=1e-12)
    state = jnp.asarray(np.random.default_rng(1).standard_normal(form.shape))
    stepwise = state
    for factor in (first, second, third):
        stepwise = element.apply(factor, stepwise)
    chex.assert_trees_all_close(element.apply(left, state), stepwise, rtol=1e-12)
    chex.assert_trees_all_equal(element.apply(element.identity(first), state), state)


@partial(jax.jit, static_argnums=(0, 1))
def derivatives(run, element, a, b, state, tangents):
    """Forward, reverse, forward over reverse, and reverse over reverse."""
    integers, floats = split(a)

    def total(floats, b, state):
        states = run(element, join(integers, floats), b, state)
        return jnp.sin(states).sum()

    def slope(*args):
        gradient = jax.grad(total, argnums=(0, 1, 2))(*args)
        return sum(
            (g * t).sum()
            for g, t in zip(*map(jax.tree.leaves, (gradient, tangents)), strict=True)
        )

    args = floats, b, state
    return (
        jax.jvp(total, args, tangents),
        jax.grad(total, argnums=(0, 1, 2))(*args),
        jax.jvp(slope, args, tangents),
        jax.grad(slope, argnums=(0, 1, 2))(*args),
    )


def split(a):
    """Integers and numbers of a factor."""
    leaves = jax.tree.leaves(a)
    return [x for x in leaves if x.dtype.kind == "i"], [
        x for x in leaves if x.dtype.kind != "i"
    ]


def join(integers, floats):
    leaves = [*integers, *floats]
    return leaves[0] if len(leaves) == 1 else tuple(leaves)


@pytest.mark.slow
@each_form
def test_derivatives_of_every_kind(form, x64):
    a, b, state = cast(example(form), "float64")
    tangents = cases.draw((split(a)[1], b, state), 3)
    chex.assert_trees_all_close(
        derivatives(in_parallel, form.element, a, b, state, tangents),
        derivatives(by_steps, form.element, a, b, state, tangents),
        rtol=1e-10,
        atol=1e-10,
    )


@pytest.mark.slow
@each_form
def test_vmap_and_complex_numbers(form, x64):
    a, b, state = cast(example(form), "float64")
    whole = scan(form.element, a, b, state)
    mapped = jax.vmap(partial(scan, form.element), (1, 1, 0), 1)(a, b, state)
    chex.assert_trees_all_close(mapped, whole, rtol=1e-12, atol=1e-12)
    # A real factor acts on real and imaginary parts alike; i times it turns them.
    turned = jax.tree.map(
        lambda x: x * (1j if x.ndim == 3 and x.dtype.kind == "f" else 1), a
    )
    if form.element in (elements.left_factor, elements.blocks):
        turned = 1j * a
    got = scan(form.element, turned, b + 0j, state + 0j)
    chex.assert_trees_all_close(
        got, loop(form, *jax.tree.map(np.asarray, (turned, b, state))), rtol=1e-12
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@each_form
def test_half_precision_is_computed_in_float32(form, dtype):
    a, b, state = cast(example(form), dtype)
    got = scan(form.element, a, b, state)
    assert got.dtype == dtype
    a, b, state = jax.tree.map(
        lambda x: np.asarray(x, np.float64 if x.dtype == dtype else None), (a, b, state)
    )
    wanted = loop(form, a, b, state)
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(np.float64(got), wanted, rtol=eps, atol=eps)


# As cells: a state of several entries, each of another form.


def state_of(form, x):
    shape = *x.shape[:-1], *form.shape
    return jnp.zeros(shape, x.dtype)


NAMES = ["elementwise", "blocks", "left_factor", "permuted_diagonal"]


def _initial_state(params, x):
    return {name: state_of(FORMS[name], x) for name in NAMES}


def _coefficients(params, state, xs):
    a = {}
    for name in NAMES:
        number = params[name]
        lead = (*xs.shape[:-1], *[1] * number.ndim)
        # The input turns every factor.
        x = jnp.cos(xs.mean(-1)).reshape(lead)
        a[name] = x * jnp.broadcast_to(number, (*xs.shape[:-1], *number.shape))
    size = jnp.broadcast_to(jnp.eye(SIZE)[:, ::-1], (*xs.shape[:-1], SIZE, SIZE))
    a["permuted_diagonal"] = (size.astype(xs.dtype), a["permuted_diagonal"])
    b = {
        name: jnp.broadcast_to(
            xs.mean(-1).reshape(*xs.shape[:-1], *[1] * len(FORMS[name].shape)),
            (*xs.shape[:-1], *FORMS[name].shape),
        )
        for name in NAMES
    }
    return a, b


def _read(params, state, x):
    flat = [
        s.reshape(*x.shape[:-1], -1) for s in (state[name] for name in sorted(state))
    ]
    return jnp.concatenate(flat, axis=-1)[..., :: len(NAMES)][..., : cases.FEATURES]


def _init(key, inputs, features):
    rng = np.random.default_rng(0)
    draw = {name: FORMS[name].draw(rng) for name in NAMES}
    draw["permuted_diagonal"] = draw["permuted_diagonal"][1]
    return {name: jnp.asarray(value, float) for name, value in draw.items()}


MIXED = nets.linear_cell(
    _init,
    _initial_state,
    _coefficients,
    _read,
    {name: FORMS[name].element for name in NAMES},
)
LAYERS = {
    "reverse": nets.as_layer(MIXED, reverse=True),
    "bidirectional": nets.bidirectional(MIXED),
    "stack": nets.stack(MIXED, nets.min_gru()),
    "learned_state": nets.as_layer(nets.learned_state(MIXED)),
}


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_layers_in_parallel(layer, x64):
    """Padding by a mask, with NaN in it: outputs, states and gradients; with remat."""
    rng = np.random.default_rng(0)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1], [0] * 5]).T > 0
    xs = np.where(mask[..., None], rng.standard_normal((5, 4, cases.INPUTS)), np.nan)
    params = jax.tree.map(
        lambda a: jnp.asarray(a, float),
        cases.draw(
            jax.eval_shape(
                lambda: layer.init(jax.random.key(0), cases.INPUTS, cases.FEATURES)
            )
        ),
    )

    def loss(params, xs, parallel, remat):
        out = layer.apply(params, xs, mask=mask, parallel=parallel, remat=remat)
        return sum(jnp.sin(leaf + 0.3).sum() for leaf in jax.tree.leaves(out)), out

    @jax.jit
    def program(params, xs):
        return [
            jax.grad(
                partial(loss, parallel=parallel, remat=remat), (0, 1), has_aux=True
            )(params, xs)
            for parallel, remat in ((True, False), (True, True), (False, False))
        ]

    *got, expected = program(params, xs)
    chex.assert_tree_all_finite(expected)
    for each in got:
        chex.assert_trees_all_close(each, expected, rtol=1e-10, atol=1e-10)


def test_remat_bounds_the_memory_of_a_parallel_gradient():
    """Without it all matrices of 400 steps are kept, with it those of 20 steps."""
    cell = nets.delta_net()
    params = jax.eval_shape(lambda k: cell.init(k, 4, 16), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((400, 4), jnp.float32)

    def loss(params, xs, remat):
        return nets.unroll(cell, params, xs, parallel=True, remat=remat)[1].sum()

    def memory(remat):
        program = jax.jit(jax.grad(partial(loss, remat=remat))).lower(params, xs)
        analysis = program.compile().memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    assert memory(remat=True) < 0.25 * memory(remat=False)


def test_remat_returns_the_states_of_all_steps_in_parallel():
    cell = nets.min_gru()
    params, xs, state = cases.example(cell, 2)
    run = partial(nets.unroll, cell, params, xs, state, parallel=True)
    lengths = jnp.array([len(xs), 3])
    options = {"all_states": True, "lengths": lengths, "reverse": True}
    got, expected = run(remat=True, **options), run(**options)
    chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-6)


def test_a_gradient_passes_through_the_matrices_of_permuted_diagonal(x64):
    """dL/dP of a dense matrix, although steps are combined by positions."""
    form = FORMS["permuted_diagonal"]
    (p, d), b, state = cast(example(form), "float64")

    def dense(p):
        return scan(elements.blocks, p * d[..., None, :], b, state)

    def sparse(p):
        return scan(elements.permuted_diagonal, (p, d), b, state)

    wanted, got = (
        jax.grad(lambda p, run=run: jnp.sin(run(p)).sum())(p) for run in (dense, sparse)
    )
    assert abs(wanted).max() > 0.1
    chex.assert_trees_all_close(got, wanted, rtol=1e-10, atol=1e-12)
