"""Paths: what the highway is of each cell, and that the parts make the whole."""

from functools import partial

import cases
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FEATURES, INPUTS, TIME, example
from tolerances import assert_close_float64

import nets
from nets import flow
from nets.tracing.tags import KEEPER, with_tags

KEPT = {  # what is multiplied by keepers from one step to the next, and by which
    "antisymmetric_rnn": {"hidden": []},
    "lem": {"memory": ["memory keep"], "hidden": ["hidden keep"]},
    "lstm": {"cell": ["forget"]},
    "lstm_1997": {"cell": []},
    "peephole_lstm": {"cell": ["forget"]},
    "coupled_lstm": {"cell": ["forget"]},
    "projected_lstm": {"cell": ["forget"]},
    "layer_norm_lstm": {"cell": ["forget"]},
    "slstm": {"cell": ["forget"], "normalizer": ["forget"]},
    "mlstm": {"cell": ["forget"], "normalizer": ["forget"]},
    "gru": {"hidden": ["update"]},
    "layer_norm_gru": {"hidden": ["update"]},
    "mgu": {"hidden": ["forget"]},
    "janet": {"hidden": ["forget"]},
    "minimal_rnn": {"hidden": ["update"]},
    "star": {"hidden": ["keep"]},
    "rhn": {"hidden": ["carry"]},
    "qrnn": {"cell": ["forget"]},
    "sru": {"cell": ["forget"]},
    "min_gru": {"hidden": ["keep"]},
    "min_lstm": {"hidden": ["forget"]},
    "rg_lru": {"hidden": ["keep"]},
    "mamba": {"hidden": ["keep"]},
    "mamba_2": {"memory": ["keep"]},
    "m2rnn": {"memory": ["forget"]},
    "para_gru": {"hidden": ["keep"]},
    "para_lstm": {"cell": ["forget"]},
    "conv_lstm 1-D": {"cell": ["forget"]},
    "conv_gru 1-D": {"hidden": ["update"]},
    "sru(peephole=True)": {"cell": ["forget"]},
    "gru(reset_after=False)": {"hidden": ["update"]},
}
# Whose gates and candidates see the state through `drop` alone.
BY_WEIGHTS = {
    "lstm",
    "lstm_1997",
    "coupled_lstm",
    "projected_lstm",
    "layer_norm_lstm",
    "gru",
    "gru(reset_after=False)",
    "layer_norm_gru",
    "mgu",
    "janet",
    "minimal_rnn",
    "star",
    "rhn",
    "para_gru",
    "m2rnn",
    "conv_lstm 1-D",
    "conv_gru 1-D",
}
STATIC = "cell", "loss", "reverse", "truncate"
paths = jax.jit(flow.split_by_path, static_argnames=STATIC)
whole = jax.jit(flow.state_gradients, static_argnames=STATIC)


def without_weights(cell):
    """The cell by another way: nothing that recurrent weights read has a gradient."""
    return cell._replace(step=partial(cell.step, drop=jax.lax.stop_gradient))


def state_jacobian(cell, params, state, x):
    """ds_t/ds_{t-1} of one step, field by field."""
    return jax.jacobian(lambda s: cell.step(params, s, x)[0])(state)


@pytest.mark.parametrize("name", KEPT)
def test_the_highway_of_a_step_is_its_keepers(name, x64):
    """And its numbers are the cell's own."""
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, time=1)
    held = flow.highway(cell)

    @jax.jit
    def run(*args):
        out, marked = with_tags(cell.step)(*args)
        keepers = {mark.name: [] for mark, _ in marked if mark.kind == KEEPER}
        for mark, value in marked:
            if mark.kind == KEEPER:
                keepers[mark.name].append(value.reshape(-1))
        jacobian = state_jacobian(held, *args)
        other = jacobian
        if name in BY_WEIGHTS:
            other = state_jacobian(without_weights(cell), *args)
        return out, held.step(*args), keepers, jacobian, other

    (state, y), numbers, keepers, jacobian, other = run(params, first, xs[0])
    assert_close_float64(numbers, (state, y))
    assert set(keepers) == {keeper for kept in KEPT[name].values() for keeper in kept}
    for field, named in KEPT[name].items():
        after = np.asarray(getattr(state, field))
        factor = np.ones(after.size)
        for keeper in named:
            for value in keepers[keeper]:
                factor = factor * np.asarray(value)
        if name == "star":  # what is kept is squashed once more
            factor = factor * (1 - after**2)
        block = np.asarray(getattr(getattr(jacobian, field), field))
        assert_close_float64(block.reshape(after.size, after.size), np.diag(factor))
    assert_close_float64(jacobian, other)


def test_the_lstm_reaches_its_output_by_the_cell_alone(x64):
    cell = nets.lstm()
    params, xs, first = example(cell, time=1)

    @jax.jit
    def run(*args):
        (state, _), marked = with_tags(cell.step)(*args)
        f, o = (value for mark, value in marked if mark.name in ("forget", "output"))
        by_output = o * (1 - jnp.tanh(state.cell) ** 2) * f
        return f, by_output, state_jacobian(flow.highway(cell), *args)

    f, by_output, jacobian = run(params, first, xs[0])
    nothing = jnp.zeros((FEATURES, FEATURES))
    assert_close_float64(
        jacobian.hidden, nets.cells.LSTMState(nothing, jnp.diag(by_output))
    )
    assert_close_float64(jacobian.cell, nets.cells.LSTMState(nothing, jnp.diag(f)))


@pytest.mark.parametrize("name", ["lstm", "rhn"])
def test_parameters_and_inputs_keep_their_gradient(name, x64):
    """Of one step, for which the state before is given."""
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, time=1)

    def gradient(cell):
        def loss(params, x):
            return cases.total(*cell.step(params, first, x))

        return jax.jit(jax.grad(loss, argnums=(0, 1)))(params, xs[0])

    assert_close_float64(gradient(flow.highway(cell)), gradient(cell))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lstm", {"lengths": jnp.array([TIME, 0, 2])}),
        ("gru", {"reverse": True, "lengths": jnp.array([TIME, 0, 2])}),
        ("gru", {"truncate": 2}),
    ],
    ids=["lengths", "reverse", "chunks"],
)
def test_parts_make_the_whole(name, options, x64):
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, 3)
    value, result = paths(cell, params, xs, cases.total, first, **options)
    loss, total = whole(cell, params, xs, cases.total, first, **options)
    assert_close_float64((value, result.total), (loss, total))
    other = without_weights(cell)
    _, highway = whole(other, params, xs, cases.total, first, **options)
    assert_close_float64(result.highway, highway)
    assert_close_float64(
        jax.tree.map(jnp.add, result.highway, result.through_gates), total
    )
    assert all(cases.differ(result.highway, total))


def test_the_lstm_without_weights_is_all_highway(x64):
    """dL/dc_t = sigmoid(b)^(T - 1 - t) where L is the sum of the last c."""
    cell, bias, time = nets.lstm(), 2.0, 40
    params = jax.tree.map(jnp.zeros_like, cases.draw_params(cell))
    params = params._replace(b=nets.initializers.set_gate(params.b, "ifgo", "f", bias))
    xs = cases.normal(time, 2, INPUTS)
    _, result = paths(cell, params, xs, lambda state, ys: state.cell.sum())
    decay = (1 / (1 + np.exp(-bias))) ** np.arange(time)[::-1]
    assert_close_float64(
        result.highway.cell, np.tile(decay[:, None, None], (1, 2, FEATURES))
    )
    chex.assert_trees_all_equal(
        (result.highway.hidden, result.through_gates),
        jax.tree.map(jnp.zeros_like, (result.highway.hidden, result.through_gates)),
    )
    memory = jax.jit(partial(flow.gates, cell))(params, xs)["forget"].memory
    assert_close_float64(
        np.exp(-(time - 1) / np.asarray(memory)), np.full(FEATURES, decay[0])
    )


def test_the_gru_passes_the_product_of_its_update_gates(x64):
    cell = nets.gru(reset_after=False)
    params, xs, first = example(cell)
    w_i, w_h, b = (np.asarray(p) for p in (params.w_i, params.w_h, params.b))
    h, zs = np.asarray(first.hidden), []
    for x in np.asarray(xs):
        x_r, x_z, x_n = np.split(x @ w_i + b, 3)
        w_r, w_z, w_n = np.split(w_h, 3, axis=1)
        r, z = (1 / (1 + np.exp(-a)) for a in (x_r + h @ w_r, x_z + h @ w_z))
        h = (1 - z) * np.tanh(x_n + (r * h) @ w_n) + z * h
        zs.append(z)
    _, result = paths(cell, params, xs, lambda state, ys: state.hidden.sum(), first)
    after = [np.prod(np.array(zs)[t + 1 :], axis=0) for t in range(TIME)]
    assert_close_float64(result.highway.hidden, np.array(after))
    assert bool((result.through_gates.hidden[:-1] != 0).all())


@pytest.mark.parametrize("name", ["sru", "min_gru", "min_lstm", "rg_lru", "qrnn"])
def test_a_linear_cell_is_all_highway(name, x64):
    """But for past inputs, which a qrnn's gates read, and which are its state too."""
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, 2, time=3)
    _, result = paths(cell, params, xs, cases.total, first)
    assert bool((result.highway[0] != 0).all())
    assert_close_float64(
        result.through_gates[0], jnp.zeros_like(result.through_gates[0])
    )
    if name == "qrnn":
        assert bool((result.through_gates.past != 0).any())


def own_step(params, state, x):
    """A state in a dict with a counter, and a gate of its own name."""
    h, count = state["h"], state["count"]
    keep = nets.tag_gate(jax.nn.sigmoid(x + h @ params), "keep", retains=True)
    h = keep * h + (1 - keep) * nets.tag_candidate(jnp.tanh(x - h @ params))
    return {"h": h, "count": count + 1}, h


OWN = nets.Cell(
    lambda key, inputs, features: jnp.eye(features),
    lambda params, x: {"h": jnp.zeros(x.shape), "count": jnp.zeros((), int)},
    own_step,
)


def test_a_user_cell(x64):
    params, xs = cases.normal(2, 2), cases.normal(TIME, 2, seed=1)
    _, result = paths(OWN, params, xs, lambda state, ys: ys[-1].sum())
    before = jnp.concatenate([jnp.zeros((1, 2)), nets.unroll(OWN, params, xs)[1][:-1]])
    keeps = np.asarray(jax.nn.sigmoid(xs + before @ params))
    after = np.array([np.prod(keeps[t + 1 :], axis=0) for t in range(TIME)])
    assert_close_float64(result.highway["h"], after)
    assert bool((result.highway["count"] == 0).all())


@pytest.mark.slow
def test_layers_are_restricted_in_time_alone(x64):
    """Each cell to its own highway; from layer to layer the gradient is whole."""
    lstm, gru = nets.lstm(), nets.gru()
    layer = nets.stack(nets.bidirectional(gru), lstm)
    other = nets.stack(nets.bidirectional(without_weights(gru)), without_weights(lstm))
    params = cases.draw(
        jax.eval_shape(lambda key: layer.init(key, INPUTS, FEATURES), jax.random.key(0))
    )
    xs, lengths = cases.normal(TIME, 2, INPUTS), jnp.array([TIME, 2])
    _, result = paths(layer, params, xs, cases.total, lengths=lengths)
    assert_close_float64(
        result.total, whole(layer, params, xs, cases.total, lengths=lengths)[1]
    )
    assert_close_float64(
        result.highway, whole(other, params, xs, cases.total, lengths=lengths)[1]
    )
    assert all(cases.differ(result.total, result.highway))


def test_seeds_are_vmapped(x64):
    cell, xs = nets.lstm(), cases.normal(TIME, 2, INPUTS)
    several = [cases.draw_params(cell, seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    result = jax.vmap(lambda params: paths(cell, params, xs, cases.total))(stacked)
    for seed, params in enumerate(several):
        one = jax.tree.map(lambda a, seed=seed: a[seed], result)
        assert_close_float64(one, paths(cell, params, xs, cases.total))


def test_noise_of_training_is_the_same_on_the_highway(x64):
    cell, key = nets.recurrent_dropout(nets.lstm(), 0.5), jax.random.key(0)
    params, xs, _ = example(cell, 2, time=2)
    first = cell.initial_state(params, xs[0])

    @partial(jax.jit, static_argnums=0)
    def run(cell, hidden, key=key):
        state = first._replace(hidden=hidden)
        return nets.unroll(cell, params, xs, state, key=key)

    held = flow.highway(cell)
    assert_close_float64(run(held, first.hidden), run(cell, first.hidden))
    assert all(cases.differ(run(cell, first.hidden), run(cell, first.hidden, None)))
    gradient = jax.jit(jax.grad(lambda h: cases.total(*run(held, h))))(first.hidden)
    chex.assert_trees_all_equal(gradient, jnp.zeros_like(gradient))


def test_equal_calls_make_one_cell():
    assert flow.highway(nets.lstm()) is flow.highway(nets.lstm())


@pytest.mark.parametrize("name", ["elman", "lru", "fast weights"])
def test_a_cell_without_marks_is_refused(name):
    cell = cases.CASES[name].cell
    params, xs, first = example(cell, 2, time=2)
    with pytest.raises(ValueError, match="expected a cell whose step tags its gates"):
        jax.eval_shape(lambda: flow.split_by_path(cell, params, xs, cases.total, first))
